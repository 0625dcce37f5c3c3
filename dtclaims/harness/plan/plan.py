"""A plan: the jobs and readings that the cells of a session need, each once. Plain data."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dtclaims.harness.lab import Cost, Job, Reading, Unavailable
from dtclaims.harness.plan.cells import Cell, Name
from dtclaims.harness.plan.estimate import Machine, Schedule, Work, schedule, spread

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
    cost: Cost
    """What it is expected to take: the lab's figures, corrected by what this machine has timed."""

    @property
    def seconds(self) -> float:
        """Of one worker with one core that does it alone."""
        return self.cost.whole


@dataclass(frozen=True)
class PlannedReading:
    """A quantity some claim needs, and the keys of the jobs that it is read from."""

    reading: Reading
    keys: tuple[str, ...]
    key: str
    """Of the quantity itself: the job's, unless the lab derives it."""


@dataclass
class Plan:
    """All jobs and readings of the selected cells, each once."""

    seeds: tuple[int, ...]
    device: str
    precision: str = "float32"
    given: Mapping[str, str] = field(default_factory=dict)
    """What the user typed, by the names of options: a remedy repeats it."""
    chosen: tuple[str, ...] = ()
    """Ids of the claims, where they are some of more: a remedy for all of them names these."""
    jobs: dict[str, PlannedJob] = field(default_factory=dict)
    """By key; what a job needs stands before it."""
    readings: dict[str, PlannedReading] = field(default_factory=dict)
    needs: dict[Name, dict[int, dict[str, dict[str, str]]]] = field(default_factory=dict)
    """Cell name → seed → task → need → key of the reading."""
    checks: dict[Name, dict[str, dict[int, dict[str, dict[str, str]]]]] = field(default_factory=dict)
    """Cell name → name of the check → the same of what it needs."""
    unavailable: dict[Name, Unavailable] = field(default_factory=dict)
    absent: dict[Name, tuple[Unavailable, ...]] = field(default_factory=dict)
    """Of cells that are planned with what is not at hand yet: what has to be got first."""
    faults: dict[str, str] = field(default_factory=dict)
    """Key of a job whose stored result cannot be used → what is wrong with it; neither it nor what reads it is made."""
    proofs: dict[Name, tuple[str, ...]] = field(default_factory=dict)
    """Headline cell → keys of all jobs that it rests on, itself or by its parts."""
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
        return self.in_order(one for one in self._makeable() if one.job.keeps_files)

    def to_do(self) -> list[PlannedJob]:
        """All that is missing: first what makes one value, for it is short and verdicts then come early."""
        return [*(one for one in self._makeable() if not one.job.keeps_files), *self.missing()]

    def _makeable(self) -> list[PlannedJob]:
        return [one for one in self.jobs.values() if not one.cached and one.key not in self.faults]

    def spoil(self, key: str, problem: str) -> None:
        """Note that a stored result cannot be used, and so nothing that is yet to be made of it."""
        self.faults.setdefault(key, problem)
        for one in self.jobs.values():
            if one.key not in self.faults and not one.cached and self.faults.keys() & set(one.needs):
                self.faults[one.key] = problem

    def schedule(self, jobs: Iterable[PlannedJob], machine: Machine) -> Schedule:
        """When jobs would be done on a machine, taken in their order."""
        jobs = list(jobs)
        most = self.most_together(jobs, machine)
        return schedule([Work(one.key, one.cost, one.needs, one.job.together, most[one.key]) for one in jobs], machine)

    def most_together(self, jobs: Sequence[PlannedJob], machine: Machine) -> dict[str, int]:
        """By key, in how large a group each of some jobs is done: as it says, but that every GPU gets a group of runs.

        What makes one value is short, and comes and goes beside the runs.
        """
        runs = {one.key: one.job.together or one.key for one in jobs if one.job.keeps_files}
        counts, may = Counter(runs.values()), {runs[one.key]: one.job.most_together for one in jobs if one.key in runs}
        most = spread({kind: (counts[kind], may[kind]) for kind in may}, min(machine.gpus, machine.workers))
        own = {one.key: one.job.most_together for one in jobs}
        return own | {key: min(own[key], most[kind]) for key, kind in runs.items()}

    def in_order(self, jobs: Iterable[PlannedJob]) -> list[PlannedJob]:
        """Jobs as they are to start: a session that is cut short has then judged as many headline claims as it could.

        First what the headline cell needs that has least missing, then what the next needs that has least missing
        beside that, and so on; then all others. Of one cell, and of the others, the longest first: the pool ends
        without a straggler.
        """
        left = {one.key: one for one in jobs}
        proofs = {name: {key for key in keys if key in left} for name, keys in self.proofs.items()}
        found: list[PlannedJob] = []

        def take(keys: Iterable[str]) -> None:
            taken = [left.pop(key) for key in keys]
            # By key where two cost the same: sets have no order.
            found.extend(sorted(taken, key=lambda one: (-one.seconds, one.job.name, one.key)))

        while proofs:
            # Rounded once: a plain sum over a set differs between processes, and what costs the same changed places.
            name = min(proofs, key=lambda name: (math.fsum(left[key].seconds for key in proofs[name]), name))
            first = proofs.pop(name)
            take(first)
            proofs = {name: keys - first for name, keys in proofs.items()}
        take(list(left))
        return found

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
