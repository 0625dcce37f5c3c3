"""Figures and tables that a lab shows beside the verdicts: ours and the paper's own values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from dtclaims.errors import ReportError
from dtclaims.harness.described import Must
from dtclaims.harness.judge.entries import Base, Count
from dtclaims.harness.records import ABSENT, Record, read_as, written

Id = Annotated[str, Must(pattern=r"^[A-Za-z0-9._-]+$")]
Numbers = tuple[float, ...]
Gappy = tuple[float | None, ...]
"""Numbers, None where there is a gap."""

OURS = written(lambda cell: cell.protocol is not None)


@dataclass(frozen=True)
class Series(Record):
    """What one arm shows in one panel. All lists but `fliers` are as long as `x`; a null is a gap."""

    name: str
    """As in the legend; the same name has the same colour."""
    arm: str
    protocol: Base | None
    """null: the paper's own values."""
    seed: int | None
    """null: over all seeds."""
    style: Literal["line", "box", "points"]
    x: Numbers
    y: Gappy
    """Of a box, its median."""
    low: Gappy | None = field(default=None, metadata=ABSENT)
    """With `high` a band around a line, bars on points, and the quartiles of a box."""
    high: Gappy | None = field(default=None, metadata=ABSENT)
    whisker_low: Gappy | None = field(default=None, metadata=ABSENT)
    whisker_high: Gappy | None = field(default=None, metadata=ABSENT)
    fliers: tuple[Numbers, ...] | None = field(default=None, metadata=ABSENT)
    """[x, y] of points beyond the whiskers."""


@dataclass(frozen=True, kw_only=True)
class Panel(Record):
    """One pair of axes."""

    title: str
    x_label: str
    y_label: str
    x_names: tuple[str, ...] | None = field(default=None, metadata=ABSENT)
    """Names of x = 0, 1, 2, ... where x counts things."""
    series: tuple[Series, ...]


@dataclass(frozen=True, kw_only=True)
class Figure(Record):
    """A figure redrawn."""

    title: str
    note: str | None = field(default=None, metadata=ABSENT)
    panels: tuple[Panel, ...]

    @property
    def series(self) -> list[Series]:
        """Of all panels, in their order."""
        return [series for panel in self.panels for series in panel.series]


@dataclass(frozen=True)
class Cell(Record):
    """One number of a table."""

    row: str
    column: str
    protocol: Base | None
    """null: the paper's own values."""
    n: Count | None = field(default=None, kw_only=True, metadata=OURS)
    """Seeds behind it."""
    value: float | None
    low: float | None = field(default=None, kw_only=True, metadata=OURS)
    """Lower end of the interval of ours."""
    high: float | None = field(default=None, kw_only=True, metadata=OURS)
    plus_minus: float | None = None
    """What the paper prints."""

    @property
    def mean(self) -> float | None:
        """The value, as an `Estimate`."""
        return self.value


@dataclass(frozen=True, kw_only=True)
class Table(Record):
    """A table remade."""

    title: str
    unit: str
    note: str | None = field(default=None, metadata=ABSENT)
    cells: tuple[Cell, ...]


def read_figures(content: object) -> dict[str, Figure]:
    """Figures by id, from plain data as a lab gives it.

    Raises:
        ReportError: the first field that is missing, unknown or not as described, or a series that cannot be drawn.
    """
    found: dict[str, Figure] = read_as(Mapping[Id, Figure], content, "figures")
    check_figures(found)
    return found


def read_tables(content: object) -> dict[str, Table]:
    """Tables by id, from plain data as a lab gives it.

    Raises:
        ReportError: the first field that is missing, unknown or not as described.
    """
    found: dict[str, Table] = read_as(Mapping[Id, Table], content, "tables")
    return found


def check_figures(figures: Mapping[str, Figure]) -> None:
    """Refuse what cannot be drawn.

    Raises:
        ReportError: a series with lists of different lengths, half a band, or a flier that is no pair.
    """
    for name, figure in figures.items():
        for number, panel in enumerate(figure.panels):
            for index, series in enumerate(panel.series):
                _check_series(series, f"figures.{name}.panels[{number}].series[{index}]")


def _check_series(series: Series, path: str) -> None:
    length = len(series.x)
    lists = {name: getattr(series, name) for name in ("y", "low", "high", "whisker_low", "whisker_high")}
    for name, values in lists.items():
        if values is not None and len(values) != length:
            raise ReportError(f"{path}.{name} is not as long as x", given=len(values), expected=length)
    for given, other in (("low", "high"), ("high", "low"), ("whisker_low", "whisker_high")):
        if lists[given] is not None and lists[other] is None:
            raise ReportError(f"{path} has {given} without {other}")
    if any(len(flier) != 2 for flier in series.fliers or ()):
        raise ReportError(f"{path}.fliers holds something else than pairs", expected="[x, y]")
