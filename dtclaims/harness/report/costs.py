"""What runs cost, as Markdown: by kind of run from their recorded times, and by session from a list kept by hand."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from statistics import median
from typing import Any, Protocol

from dtclaims.errors import ReportError
from dtclaims.harness.report import schema
from dtclaims.harness.report.wording import count, duration
from dtclaims.lab.design.arms import BLOCKS, get_arm

SESSIONS = {
    "type": "array",
    "items": {
        "type": "object",
        "additionalProperties": False,
        "required": ["command", "seconds", "gpus", "runs"],
        "properties": {
            "command": {"type": "string"},
            "seconds": {"type": "number", "minimum": 0},
            "gpus": {"type": "integer", "minimum": 1},
            "runs": {"type": "integer", "minimum": 0},
        },
    },
}
"""A session: the command, wall seconds it held the GPUs, how many of them, runs it finished."""


class Timed(Protocol):
    """A run as far as its cost goes."""

    @property
    def spec(self) -> Mapping[str, Any]:
        """Its specification."""

    @property
    def seconds(self) -> float:
        """Wall time."""

    @property
    def provenance(self) -> Mapping[str, Any]:
        """With the name of the device."""


def run_table(runs: Iterable[Timed]) -> str:
    """One row per kind of run: how many, updates of each, their median and summed time.

    Raises:
        UsageError: a run of an arm that there is not.
    """
    groups: dict[tuple[str, int, str, str, int], list[float]] = {}
    for run in runs:
        spec = run.spec
        updates = spec["epochs"] * spec["budget"]["steps_per_epoch"]
        kind = spec["scale"], spec["context"], network(spec["arm"]), run.provenance["device"], updates
        groups.setdefault(kind, []).append(run.seconds)
    rows = [
        f"| {scale} | {context} | {kind} | {device} | {updates:,} | {len(took)} | {duration(median(took))} "
        f"| {duration(sum(took))} |"
        for (scale, context, kind, device, updates), took in sorted(groups.items())
    ]
    every = [seconds for took in groups.values() for seconds in took]
    return _table(
        ("scale", "K", "network", "device", "updates per run", "runs", "median time per run", "sum"),
        [*rows, f"| all | | | | | {len(every)} | | {duration(sum(every))} |"],
    )


def network(arm: str) -> str:
    """The family of networks that cost alike: the MLP, stacks of the image model's depth, and all others.

    Raises:
        UsageError: no such arm.
    """
    match get_arm(arm).shape:
        case "mlp":
            return "MLP"
        case "image" | "image_layer_norm":
            return "image stack"
        case _:
            return f"stack of {BLOCKS} blocks"


def read_sessions(path: Path) -> list[dict[str, Any]]:
    """A list of sessions from a JSON file.

    Raises:
        ReportError: no such file, no JSON, or not of the form of `SESSIONS`.
    """
    try:
        content: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
        schema.check_json(content, "sessions")
        schema.check(content, SESSIONS, SESSIONS, "sessions")
    except (OSError, ValueError) as error:
        raise ReportError(f"cannot read the sessions in {path}", given=error) from None
    except ReportError as error:
        raise ReportError(f"{path}: {error.problem}", given=error.given, expected=error.expected) from None
    return content


def session_table(sessions: Iterable[Mapping[str, Any]]) -> str:
    """One row per session: GPU minutes, and GPU minutes per run."""
    rows = []
    total, runs = 0.0, 0
    for one in sessions:
        minutes = one["seconds"] * one["gpus"] / 60
        total, runs = total + minutes, runs + one["runs"]
        command = one["command"].replace("|", "\\|")
        rows.append(
            f"| `{command}` | {one['gpus']} | {duration(one['seconds'])} | {one['runs']} | {minutes:.1f} "
            f"| {_per_run(minutes, one['runs'])} |"
        )
    return _table(
        ("command", "GPUs", "wall time", "runs", "GPU minutes", "GPU minutes per run"),
        [*rows, f"| {count(len(rows), 'session')} | | | {runs} | {total:.1f} | {_per_run(total, runs)} |"],
    )


def _per_run(minutes: float, runs: int) -> str:
    return f"{minutes / runs:.2f}" if runs else "–"


def _table(columns: Iterable[str], rows: Iterable[str]) -> str:
    names = list(columns)
    return "\n".join([f"| {' | '.join(names)} |", "|---" * len(names) + "|", *rows]) + "\n"
