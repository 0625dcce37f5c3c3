"""Looks as they are stored: on which seeds a claim was judged, when, and which trend was declared then.

    {"cell": [claim, protocol, scale], "sha256": of what follows,
     "looks": [{"seeds": {seed: key of what was measured on it}, "date": UTC, "trends": {component: trend}}, ...]}

Files of before have the seeds of each look alone, and no checksum; they stay readable.
"""

import datetime
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dtclaims.addresses import key_of
from dtclaims.errors import Damaged, StatisticsError
from dtclaims.files import checksum, read_json, write_json
from dtclaims.harness.stats.trends import Trend

REMEDY = "Restore it from a copy; if there is none, delete it, and looks before today are not paid for."
FIELDS = {"seeds", "date", "trends"}


@dataclass(frozen=True)
class Look:
    """One judging of a cell."""

    seeds: Mapping[str, str]
    """Seed → key of what was measured on it."""
    date: str | None = None
    """ISO 8601, UTC; None in files of before."""
    trends: Mapping[str, Trend] = field(default_factory=dict)
    """By component, as declared then; none in files of before."""

    @classmethod
    def from_json(cls, content: object) -> "Look":
        """The look that `to_json` wrote, or one of before.

        Raises:
            ValueError: it is neither; the text says what is wrong.
        """
        if not isinstance(content, dict):
            raise ValueError(f"a look that is {type(content).__name__}")
        if "seeds" not in content:
            return cls(_seeds(content))
        if set(content) != FIELDS:
            raise ValueError(f"a look with {', '.join(sorted(content))} in place of {', '.join(sorted(FIELDS))}")
        date, trends = content["date"], content["trends"]
        if date is not None:
            _check_date(date)
        if not isinstance(trends, dict) or not all(isinstance(one, dict) for one in trends.values()):
            raise ValueError("trends that are none")
        try:
            return cls(_seeds(content["seeds"]), date, {name: Trend.from_json(one) for name, one in trends.items()})
        except (StatisticsError, TypeError) as error:
            raise ValueError(str(error)) from None

    def to_json(self) -> dict[str, Any]:
        """The look as plain data."""
        trends = {name: one.to_json() for name, one in self.trends.items()}
        return {"seeds": dict(self.seeds), "date": self.date, "trends": trends}


def _seeds(content: object) -> dict[str, str]:
    if not isinstance(content, dict) or not content:
        raise ValueError("a look at no seeds")
    for seed, key in content.items():
        if not (seed.isascii() and seed.isdigit() and isinstance(key, str) and key):
            raise ValueError(f"seed {seed!r} with {key!r}")
    return content


def _check_date(date: object) -> None:
    if not isinstance(date, str) or datetime.datetime.fromisoformat(date).utcoffset() != datetime.timedelta(0):
        raise ValueError(f"a date {date!r} that is not UTC")


def read_looks(path: Path) -> tuple[list[str], list[Look]]:
    """The cell that a file of looks is about, and its looks, the earliest first.

    Raises:
        NotThere, NotPermitted: see `dtclaims.files.read_json`.
        Damaged: the file is not as it was written.
    """
    content = read_json(path, remedy=REMEDY)
    cell, looks = content.get("cell"), content.get("looks")
    if not isinstance(cell, list) or not all(isinstance(word, str) for word in cell):
        raise _damaged(path, "no cell")
    if key_of({"cell": cell}) != path.stem:
        raise _damaged(path, "looks of another cell")
    if not isinstance(looks, list):
        raise _damaged(path, "no list of looks")
    try:
        found = [Look.from_json(one) for one in looks]
    except ValueError as error:
        raise _damaged(path, error) from None
    # Only what has dates is of the form that has a checksum.
    summed = "sha256" in content or any("seeds" in one for one in looks)
    if (summed and content.get("sha256") != checksum(looks)) or content.keys() - {"cell", "looks", "sha256"}:
        raise _damaged(path, "another SHA-256 than was written")
    return cell, found


def write_looks(path: Path, cell: Sequence[str], looks: Iterable[Look]) -> None:
    """Write a file of looks.

    Raises:
        StoreError: the disk is full, or the store may not be written.
    """
    content = [one.to_json() for one in looks]
    write_json(path, {"cell": list(cell), "looks": content, "sha256": checksum(content)})


def merged(here: Sequence[Look], arrived: Sequence[Look]) -> list[Look]:
    """Looks add up: what somebody has seen on another machine was seen. Earliest first; those without a date before."""
    known = [dict(one.seeds) for one in here]
    both = [*here, *(one for one in arrived if dict(one.seeds) not in known)]
    return sorted(both, key=lambda one: one.date or "")


def _damaged(path: Path, what: object) -> Damaged:
    return Damaged(f"{path} is damaged", given=what, expected="looks as they were written", remedy=REMEDY)
