"""What runs cost, as Markdown: by kind of run from their recorded times, and by session from a list kept by hand."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Annotated, Protocol, TypeVar

from dtclaims.errors import ReportError
from dtclaims.files import parse_json, plain_text
from dtclaims.harness.counting import count
from dtclaims.harness.described import Must
from dtclaims.harness.judge.entries import Count
from dtclaims.harness.records import Record, read_as
from dtclaims.harness.report.wording import duration


@dataclass(frozen=True)
class Session(Record):
    """One use of GPUs."""

    command: str
    seconds: Annotated[float, Must(minimum=0)]
    """Wall time for which it held them."""
    gpus: Annotated[int, Must(minimum=1)]
    runs: Count
    """That it finished."""


class Timed(Protocol):
    """A run as far as its cost goes."""

    @property
    def seconds(self) -> float:
        """Wall time."""


R = TypeVar("R", bound=Timed)

Kind = tuple[str | int, ...]
"""What runs that cost alike have in common, one value per column."""


def run_table(runs: Iterable[R], columns: Sequence[str], kind: Callable[[R], Kind]) -> str:
    """One row per kind of run: how many, their median and summed time.

    Args:
        runs: with their times.
        columns: what is said of a kind.
        kind: of a run, one value per column; numbers of one column sort as numbers.
    """
    groups: dict[Kind, list[float]] = {}
    for run in runs:
        groups.setdefault(kind(run), []).append(run.seconds)
    rows = [
        f"| {' | '.join(map(_value, name))} | {len(took)} | {duration(median(took))} | {duration(sum(took))} |"
        for name, took in sorted(groups.items())
    ]
    every = [seconds for took in groups.values() for seconds in took]
    return _table(
        (*columns, "runs", "median time per run", "sum"),
        [*rows, f"| all{' |' * len(columns)} {len(every)} | | {duration(sum(every))} |"],
    )


def read_sessions(path: Path) -> list[Session]:
    """A list of sessions from a JSON file.

    Raises:
        ReportError: no such file, no JSON, or not a list of sessions.
    """
    try:
        found: tuple[Session, ...] = read_as(tuple[Session, ...], parse_json(plain_text(path)), "sessions")
    except (OSError, ValueError) as error:
        raise ReportError(f"cannot read the sessions in {path}", given=error) from None
    except ReportError as error:
        raise ReportError(f"{path}: {error.problem}", given=error.given, expected=error.expected) from None
    return list(found)


def session_table(sessions: Iterable[Session]) -> str:
    """One row per session: GPU minutes, and GPU minutes per run."""
    rows = []
    total, runs = 0.0, 0
    for one in sessions:
        minutes = one.seconds * one.gpus / 60
        total, runs = total + minutes, runs + one.runs
        command = one.command.replace("|", "\\|")
        rows.append(
            f"| `{command}` | {one.gpus} | {duration(one.seconds)} | {one.runs} | {minutes:.1f} "
            f"| {_per_run(minutes, one.runs)} |"
        )
    return _table(
        ("command", "GPUs", "wall time", "runs", "GPU minutes", "GPU minutes per run"),
        [*rows, f"| {count(len(rows), 'session')} | | | {runs} | {total:.1f} | {_per_run(total, runs)} |"],
    )


def _value(value: str | int) -> str:
    return value if isinstance(value, str) else f"{value:,}"


def _per_run(minutes: float, runs: int) -> str:
    return f"{minutes / runs:.2f}" if runs else "–"


def _table(columns: Iterable[str], rows: Iterable[str]) -> str:
    names = list(columns)
    return "\n".join([f"| {' | '.join(names)} |", "|---" * len(names) + "|", *rows]) + "\n"
