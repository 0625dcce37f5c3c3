"""A plan: the jobs and readings that the cells of a session need, each once. Plain data."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from dtclaims.harness.lab import Job, Reading, Unavailable
from dtclaims.harness.plan.cells import Cell, Name

Identity = Mapping[str, Any]


@dataclass(frozen=True)
class PlannedJob:
    """A job some claim needs, with its address."""

    job: Job
    identity: Identity
    key: str
    needs: tuple[str, ...]
    """Keys of the jobs whose results it reads."""
    cached: bool
    """Whether its result is stored."""
    seconds: float
    """Measured if cached, else estimated."""
    headline: bool = False
    """Whether a headline claim rests on it, itself or by one of its parts."""


@dataclass(frozen=True)
class PlannedReading:
    """A quantity some claim needs, and the keys of the jobs that it is read from."""

    reading: Reading
    keys: tuple[str, ...]
    key: str
    """Of the quantity itself: the job's, unless the lab derives it."""


def in_order(jobs: Iterable[PlannedJob]) -> list[PlannedJob]:
    """Jobs as they are to start: a session that is cut short then has what headline claims rest on.

    Of those, and then of the others, the longest first: the pool ends without a straggler.
    """
    return sorted(jobs, key=lambda one: (not one.headline, -one.seconds))


@dataclass
class Plan:
    """All jobs and readings of the selected cells, each once."""

    seeds: tuple[int, ...]
    device: str
    precision: str = "float32"
    jobs: dict[str, PlannedJob] = field(default_factory=dict)
    """By key; what a job needs stands before it."""
    readings: dict[str, PlannedReading] = field(default_factory=dict)
    needs: dict[Name, dict[int, dict[str, dict[str, str]]]] = field(default_factory=dict)
    """Cell name → seed → task → need → key of the reading."""
    checks: dict[Name, dict[str, dict[int, dict[str, dict[str, str]]]]] = field(default_factory=dict)
    """Cell name → name of the check → the same of what it needs."""
    unavailable: dict[Name, Unavailable] = field(default_factory=dict)
    per_gpu: int | None = None
    """At most how many of its jobs may share one GPU."""

    @property
    def runs(self) -> dict[str, PlannedJob]:
        """Jobs that keep files: those that take long."""
        return {key: one for key, one in self.jobs.items() if one.job.keeps_files}

    @property
    def values(self) -> dict[str, PlannedJob]:
        """Jobs that make one value."""
        return {key: one for key, one in self.jobs.items() if not one.job.keeps_files}

    def missing(self) -> list[PlannedJob]:
        """Runs that have to be made, in the order in which they are to start."""
        return in_order(one for one in self.runs.values() if not one.cached)

    def reading_keys(self, cell: Cell) -> list[str]:
        """Keys of the readings that a cell rests on, in a stable order."""
        found = [self.needs.get(cell.name, {}), *self.checks.get(cell.name, {}).values()]
        return list(
            dict.fromkeys(
                key
                for by_seed in found
                for by_task in by_seed.values()
                for needs in by_task.values()
                for key in needs.values()
            )
        )

    def job_keys(self, cell: Cell) -> list[str]:
        """Keys of all jobs that a cell rests on, those that its jobs need included, in a stable order."""
        found: dict[str, None] = {}
        readings = [self.readings[key] for key in self.reading_keys(cell)]
        waiting = [key for reading in reversed(readings) for key in reversed(reading.keys)]
        while waiting:
            key = waiting.pop()
            if key not in found:
                found[key] = None
                waiting += reversed(self.jobs[key].needs)
        return list(found)

    def run_keys(self, cell: Cell) -> list[str]:
        """Those of them that keep files."""
        return [key for key in self.job_keys(cell) if self.jobs[key].job.keeps_files]
