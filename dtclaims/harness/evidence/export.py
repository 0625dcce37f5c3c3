"""A study's results as the content of a file of evidence."""

import datetime
import math
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dtclaims import __version__
from dtclaims.errors import StoreError
from dtclaims.harness.commit import commit_of
from dtclaims.harness.declare.claim import Claim
from dtclaims.harness.declare.registry import DEFAULT_FOLDER
from dtclaims.harness.engine.device import device_class
from dtclaims.harness.evidence.form import KIND, VERSION
from dtclaims.harness.judge.looks import earlier_looks
from dtclaims.harness.study import Study
from dtclaims.lab.measurements import MEASUREMENTS
from dtclaims.places import ROOT

INPUTS = ("data", "backbones", "resolved")
"""Parts of runs' identities that many of them share, and not all."""


def content_of(study: Study, *, command: str) -> dict[str, Any]:
    """What `write_evidence` writes of a study: results that are missing are left out.

    Args:
        study: planned with the results of a store (`gather`), and judged: that counts as a look.
        command: that made it.

    Raises:
        StoreError: the store has nothing of the study.
    """
    inputs, provenances = _Table(), _Table()
    runs, common = _runs(study, inputs, provenances)
    measurements, code = _measurements(study)
    if not runs and not measurements:
        raise StoreError(
            "the store has nothing of this study",
            given=str(study.results.root),
            remedy="Name it with --store, and give the --scale, --device and --precision that it was made with.",
        )
    return {
        "schema": VERSION,
        "kind": KIND,
        "made": {
            "command": command,
            "dtclaims": __version__,
            "commit": commit_of(ROOT),
            "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        },
        "study": _study(study),
        "identity": common,
        "inputs": inputs.rows,
        "provenances": provenances.rows,
        "code": code,
        "runs": runs,
        "measurements": measurements,
        "looks": [
            {"cell": list(cell), "looks": looks}
            for cell, needs in study.plan.needs.items()
            if needs and (looks := earlier_looks(cell, study.plan, study.results))
        ],
    }


DIGITS = 9
"""Of the numbers in a file; it has a third of the size for it, and training is no more exact than that."""


def rounded(content: Mapping[str, Any], digits: int = DIGITS) -> dict[str, Any]:
    """The content with its results to some significant digits; identities stay as they are."""
    results = {"runs": ("seconds", "curves", "diagnostics"), "measurements": ("value",)}
    return {
        **content,
        **{
            part: [
                {name: _round(value, digits) if name in names else value for name, value in line.items()}
                for line in content[part]
            ]
            for part, names in results.items()
        },
    }


def _round(value: Any, digits: int) -> Any:
    if isinstance(value, float):
        return float(f"{value:.{digits}g}")
    if isinstance(value, list):
        return [_round(one, digits) for one in value]
    return {name: _round(one, digits) for name, one in value.items()} if isinstance(value, dict) else value


def same_verdicts(ours: Sequence[Mapping[str, Any]], theirs: Sequence[Mapping[str, Any]]) -> bool:
    """Whether the entries of two reports agree: verdicts exactly, effects and their intervals to six digits."""
    return len(ours) == len(theirs) and all(map(_agree, ours, theirs))


def _agree(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    numbers = [(one["effect"][name], other["effect"][name]) for name in ("mean", "low", "high")]
    parts, others = one.get("components", {}), other.get("components", {})
    return (
        one["verdict"] == other["verdict"]
        and all(a == b or (None not in (a, b) and math.isclose(a, b, rel_tol=1e-6, abs_tol=1e-9)) for a, b in numbers)
        and parts.keys() == others.keys()
        and all(_agree(parts[name], others[name]) for name in parts)
    )


class _Table:
    """Records that many lines share: each once, referred to by its place."""

    def __init__(self) -> None:
        self.rows: list[Any] = []

    def place(self, record: Any) -> int:
        if record not in self.rows:
            self.rows.append(record)
        return self.rows.index(record)


def _runs(study: Study, inputs: _Table, provenances: _Table) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The runs, and what their identities have in common."""
    lines, common = [], dict[str, Any]()
    for planned in sorted(study.plan.runs.values(), key=lambda run: run.spec.name):
        run = study.results.find(planned.key)
        if run is None:
            continue
        own = {"spec", *INPUTS}
        common = {name: value for name, value in run.identity.items() if name not in own}
        lines.append(
            {
                "key": run.key,
                "spec": run.identity["spec"],
                "inputs": inputs.place({name: run.identity[name] for name in INPUTS if name in run.identity}),
                "provenance": provenances.place(run.result["provenance"]),
                "seconds": run.result["seconds"],
                "curves": run.result["curves"],
                "diagnostics": run.result.get("diagnostics", {}),
                "resumed": run.result.get("resumed", []),
            }
        )
    return lines, common


def _measurements(study: Study) -> tuple[list[dict[str, Any]], dict[str, dict[str, str]]]:
    """The values of measurements and experiments, and by name the code that took them."""
    lines, code = [], dict[str, dict[str, str]]()
    for planned in study.plan.measurements.values():
        if MEASUREMENTS[planned.name].from_curves is not None:
            continue
        value = study.results.find_measurement(planned.identity)
        if value is None:
            continue
        identity = dict(planned.identity)
        code[planned.name] = identity.pop("depends" if "depends" in identity else "code")
        lines.append({"key": planned.key, "identity": identity, "value": value})
    return lines, code


def _study(study: Study) -> dict[str, Any]:
    settings = study.settings
    return {
        "scale": settings.scale.name,
        "protocols": [protocol.name for protocol in settings.protocols],
        "tasks": list(settings.tasks),
        "seeds": list(settings.seeds),
        "claims": list(dict.fromkeys(cell.claim.id for cell in study.cells)),
        "folder": _portable(study.cells[0].claim.file.parent),
        "device": device_class(settings.device),
        "precision": settings.precision,
        "sources": {
            # Where they lay says nothing elsewhere.
            "data": Path(settings.sources.data).name if settings.sources.data else None,
            "backbones": {source: Path(name).name for source, name in settings.sources.backbones.items()},
        },
        "factors": list(settings.factors),
    }


def _portable(folder: Path) -> str:
    """A folder of claims as it is found from the checkout, or from where the command is given."""
    folder = folder.resolve()
    for root in (ROOT, Path.cwd()):
        if folder.is_relative_to(root) and folder != root:
            return folder.relative_to(root).as_posix()
    return folder.name


def command_of(out: Path, choices: Mapping[str, str | None], claims: Sequence[Claim]) -> str:
    """The command line that makes a file again, without places on this machine; its claims are in the study."""
    words = ["dtclaims", "evidence", out.name]
    for name, value in choices.items():
        if value is not None and name not in PLACES:
            words += [f"--{name.replace('_', '-')}", Path(value).name]
    folder = claims[0].file.parent
    if folder.resolve() != DEFAULT_FOLDER:
        words += ["--claims", _portable(folder)]
    return shlex.join(words)


PLACES = ("store", "report")
