"""The regime as text: ours and the paper's side by side."""

from dtclaims.harness.counting import count
from dtclaims.harness.judge.regime import RegimeRow, RegimeValue


def name(row: RegimeRow) -> str:
    """Which runs, how many."""
    return f"{row.of} ({row.protocol}, {row.scale}, {count(row.n, 'run')})"


def told(value: RegimeValue) -> str:
    """`0.122 (paper: 0.12 to 0.13)`."""
    ours = "not recorded" if value.ours is None else f"{value.ours:.3g}"
    return f"{ours} (paper: {value.paper or 'not shown'})"


def line(row: RegimeRow) -> str:
    """A row as one sentence."""
    return f"{name(row)}: {'; '.join(f'{value.name} {told(value)}' for value in row.values)}"
