"""The regime of a report: how the runs trained, beside the paper's, so that no verdict is read without it."""

from dataclasses import dataclass

from dtclaims.harness.judge.entries import Base, Count, Name
from dtclaims.harness.records import Record, read_as


@dataclass(frozen=True)
class RegimeValue(Record):
    """One fact of it."""

    name: Name
    """In the lab's words."""
    ours: float | None
    """Mean over the runs; null where they do not say."""
    paper: str = ""
    """The paper's, as a reader is told it; empty where the paper does not show it."""


@dataclass(frozen=True)
class RegimeRow(Record):
    """Runs that trained alike."""

    of: Name
    """Which, in the lab's words."""
    protocol: Base
    scale: Name
    n: Count
    """Runs behind it."""
    values: tuple[RegimeValue, ...]


def read_regime(content: object) -> tuple[RegimeRow, ...]:
    """Rows from plain data as a lab gives them.

    Raises:
        ReportError: the first field that is missing, unknown or not as described.
    """
    found: tuple[RegimeRow, ...] = read_as(tuple[RegimeRow, ...], content, "regime")
    return found
