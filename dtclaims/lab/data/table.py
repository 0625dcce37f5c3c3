"""The paper's data table (protocol §1) for any sets, beside D4RL's own values."""

from collections.abc import Sequence

from dtclaims.lab.data.assembly import DROPPED
from dtclaims.lab.data.trajectories import Trajectories
from dtclaims.lab.design.tasks import SetFacts

HEADER = ("set", "trajectories", "steps", "return mean ± std", "max", "min", "tail dropped")


def table(sets: Sequence[tuple[str, Trajectories]]) -> list[str]:
    """Lines of the table, each set followed by D4RL's medium-v2 of its task, then where each came from.

    Args:
        sets: (name as the user gave it, content).
    """
    rows: list[Sequence[str]] = [HEADER]
    for name, data in sets:
        rows.append(_row(name, data.facts(), str(data.provenance.get(DROPPED, 0))))
        rows.append(_row(f"  D4RL {data.task.name}-medium-v2", data.task.medium, ""))
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEADER))]
    lines = ["  ".join(_aligned(row, widths)).rstrip() for row in rows]
    for name, data in sets:
        lines += ["", f"{name}: {data.task.name}, content sha256 {data.sha256}"]
        lines += [f"  {key}: {value}" for key, value in data.provenance.items() if key != DROPPED]
    return lines


def _row(name: str, facts: SetFacts, dropped: str) -> tuple[str, ...]:
    return (
        name,
        f"{facts.trajectories:,}",
        f"{facts.steps:,}",
        f"{facts.return_mean:.2f} ± {facts.return_std:.2f}",
        f"{facts.return_max:.2f}",
        f"{facts.return_min:.2f}",
        dropped,
    )


def _aligned(row: Sequence[str], widths: Sequence[int]) -> list[str]:
    return [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
