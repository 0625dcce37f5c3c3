"""What of a plan can start now, in what company, and what waits for what."""

import time
from bisect import insort
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from dtclaims.device import device_class
from dtclaims.errors import StoreError
from dtclaims.harness.engine.progress import TRAIN, Expected
from dtclaims.harness.engine.room import full
from dtclaims.harness.engine.work import Group, Order
from dtclaims.harness.lab import Preparation
from dtclaims.harness.plan.cells import Name
from dtclaims.harness.plan.estimate import Machine, Scheduled
from dtclaims.harness.plan.plan import Plan, PlannedJob
from dtclaims.harness.store.store import Store
from dtclaims.harness.store.timings import Timing, add_timing

RETRIES = 2
"""How often a job whose worker died is given to another: a run then goes on from where it was saved."""
BUSY_WAIT = (1.0, 30.0)
"""Seconds before a run that another process is making is looked at again: at first, and at most."""


@dataclass
class Outcome:
    """What became of a plan."""

    trained: int = 0
    measured: int = 0
    left: int = 0
    """Jobs that the session's limit left no time for."""
    failures: dict[str, str] = field(default_factory=dict)
    """Key of a job → what went wrong; claims that rest on it are errors."""


class Agenda:
    """What can start now, what waits for which run, and what was put off.

    Args:
        plan: what is needed.
        store: what is there.
        folder: of the paper, by which workers find the lab.
        loggers: names of those that are told of every epoch.
    """

    def __init__(self, plan: Plan, store: Store, folder: Path, loggers: tuple[str, ...]) -> None:
        self.outcome = Outcome()
        self._plan, self._store, self._folder, self._loggers = plan, store, folder, loggers
        wanted = [
            one for one in plan.values.values() if one.key not in plan.faults and not _has_value(plan, store, one)
        ]
        self._again = _made_again(wanted, plan, store)
        wanted = [one for one in wanted if one.key not in plan.faults]
        missing = plan.in_order([*plan.missing(), *(plan.jobs[key] for key in self._again)])
        # What makes one value comes first: it is short, and verdicts then come early.
        self._ordered = [*wanted, *missing]
        self._rank = {one.key: number for number, one in enumerate(self._ordered)}
        self._to_make = set(self._rank)
        self._headlines = {name: found for name, keys in plan.proofs.items() if (found := self._to_make & {*keys})}
        self._machine: Machine | None = None
        self._most_together: dict[str, int] = {}
        """By key, in how large a group a job is planned, once `expected` knows the machine."""
        self._slowed: dict[str, float] = {}
        """By key, what the plan expects of the company that a job is in."""
        self.lasting: dict[str, float] = {}
        """By key, wall seconds that a job takes in that company, once `expected` knows the machine."""
        self._ready: list[tuple[int, int, Order]] = []
        """Sorted: first what others waited for or what is tried again, then as planned."""
        self._after: dict[str, list[PlannedJob]] = defaultdict(list)
        self._put_off: list[tuple[float, Order]] = []
        self._visits: Counter[str] = Counter()
        self._deaths: Counter[str] = Counter()
        self._limit: dict[str, int] = {}
        """Of jobs that could not be done in a larger group."""
        self._held: Counter[str] = Counter()
        """By key, how many preparations a job still waits for."""
        for one in self._ordered:
            for key in self._to_make.intersection(one.needs):
                self._after[key].append(one)

    def begin(self, preparations: Sequence[Preparation]) -> None:
        """Let start what waits for nothing.

        Args:
            preparations: that are being made; jobs that wait for one are held back until `prepared`.
        """
        for preparation in preparations:
            self._held.update(one.key for one in self._waiting_for(preparation))
        for one in self._ordered:
            self._let(one)

    def prepared(self, preparation: Preparation) -> None:
        """Let start what waited for it and for nothing else."""
        for one in self._waiting_for(preparation):
            if one.key in self._held:
                self._held[one.key] -= 1
                self._let(one)

    def unprepared(self, preparation: Preparation, text: str) -> list[str]:
        """Record the failure of all that waited for it; their keys."""
        keys: dict[str, None] = {}
        for one in self._waiting_for(preparation):
            # Another preparation may let it start no more.
            del self._held[one.key]
            if one.key not in self.outcome.failures:
                keys.update(dict.fromkeys((one.key, *self.fail(self._order(one), text))))
        return list(keys)

    def _waiting_for(self, preparation: Preparation) -> Iterator[PlannedJob]:
        named: dict[str, list[PlannedJob]] = defaultdict(list)
        for one in self._ordered:
            named[one.job.name].append(one)
        for job in preparation.jobs:
            # Names are for people: several jobs may have one.
            yield from (one for one in named[job.name] if one.job == job)

    def _let(self, one: PlannedJob, *, first: bool = False) -> None:
        """Let a job start, unless it waits for something."""
        if self._held[one.key] > 0 or one.key in self.outcome.failures or self._to_make.intersection(one.needs):
            return
        self._make_ready(self._order(one), first=first)

    def _make_ready(self, order: Order, *, first: bool) -> None:
        insort(self._ready, (0 if first else 1, self._rank[order.key], order))

    def _order(self, one: PlannedJob) -> Order:
        device = self._plan.device
        again = self._again.get(one.key)
        return Order(one.key, one.job, one.identity, one.needs, self._folder, device, again, self._loggers)

    def jobs(self) -> list[PlannedJob]:
        """All that is to be done."""
        return [one for key, one in self._plan.jobs.items() if key in self._to_make]

    def again_because(self, one: PlannedJob) -> str | None:
        """Why a job is done although its result is stored; None if it is not."""
        return self._again.get(one.key)

    def expected(self, machine: Machine) -> dict[str, Expected]:
        """All that is to be done, with how long it is expected to take, in the order in which it is expected to start.

        Args:
            machine: that does it.
        """
        self._machine = machine
        self._most_together = self._plan.most_together(self._ordered, machine)
        planned = self._plan.schedule(self._ordered, machine).jobs
        self._slowed = {key: one.slowed for key, one in planned.items()}
        self.lasting = {key: one.seconds for key, one in planned.items()}
        if any(map(_fills, self._ordered)):
            # That is counted apart: what others take is what they would take without it.
            planned = self._plan.schedule(map(_beside_none, self._ordered), machine).jobs
        # What earlier sessions taught to be slower than the lab says, as it would be had they taught nothing.
        slower = {one.key for one in self._ordered if one.cost.whole > one.job.cost.whole}
        untaught: Mapping[str, Scheduled] = {}
        if slower:
            own = [replace(one, cost=one.job.cost) for one in self._ordered]
            untaught = self._plan.schedule(map(_beside_none, own), machine).jobs
        found = {}
        for key in sorted(planned, key=lambda key: planned[key].begin):
            one, at = self._plan.jobs[key], planned[key]
            kind, like = TRAIN if one.job.keeps_files else one.job.kind, " ".join((one.job.kind, *one.job.cost.like))
            fills = one.cost.accelerator / one.cost.whole / machine.gpus if machine.gpus and _fills(one) else 0.0
            without = untaught[key].seconds if key in slower else None
            found[key] = Expected(one.job.name, kind, at.seconds, like, at.group, fills, without)
        return found

    def timed(self, job: Order, seconds: float, together: int = 1) -> None:
        """Remember what a job took that was made now.

        Args:
            job: which.
            seconds: wall time of its group.
            together: how many there were in it.
        """
        machine, cost = self._machine, job.job.cost
        if machine is None or seconds <= 0:
            return
        device = device_class(self._plan.device)
        company = (together, machine.workers, machine.gpus, machine.cores)
        slowed = self._slowed.get(job.key)
        add_timing(self._store.root, Timing(job.job.kind, cost.like, device, cost.steps, seconds, *company, slowed))

    def label(self, job: Order) -> str:
        """A job as people call it."""
        return job.job.name

    def take(self, group: Group) -> None:
        """These start now, of those that are coming."""
        taken = {one.key for one in group}
        self._ready = [one for one in self._ready if one[2].key not in taken]

    def coming(self, fits: Callable[[Group], bool] = lambda group: True) -> Iterator[Group]:
        """The groups that could start now, in their order; those put off come back in their time, after the others.

        None is taken: what becomes ready may change them all.

        Args:
            fits: whether there is still time for a group.
        """
        found = False
        for group in self._groups():
            if fits(group):
                found = True
                yield group
        if not found:
            while self._put_off and self._put_off[0][0] <= time.monotonic():
                self._make_ready(self._put_off.pop(0)[1], first=False)
            yield from filter(fits, self._groups())

    def _groups(self) -> Iterator[Group]:
        """All that is ready, in groups."""
        left = [order for _, _, order in self._ready]
        while left:
            first, group = left[0], left[:1]
            others: list[Order] = []
            for one in left[1:]:
                alike = one.job.together is not None and one.job.together == first.job.together
                fits = alike and len(group) < min(self._most(first), self._most(one))
                (group if fits else others).append(one)
            yield tuple(group)
            left = others

    def _most(self, job: Order) -> int:
        """How large a group it may be in."""
        planned = self._most_together.get(job.key, job.job.most_together)
        return min(planned, self._limit.get(job.key, planned))

    def apart(self, job: Order, size: int) -> bool:
        """A group of this size failed or died: the job comes next, in groups of half the size. Whether it was one."""
        self._limit[job.key] = max(1, size // 2)
        self._make_ready(job, first=True)
        return size > 1

    def seconds_to_wait(self) -> float | None:
        """Until the next job that was put off; None if there is none."""
        return max(0.0, self._put_off[0][0] - time.monotonic()) if self._put_off else None

    def put_off(self, job: Order) -> bool:
        """Another process is at it: look again later. True the first time."""
        shortest, longest = BUSY_WAIT
        self._visits[job.key] += 1
        pause = min(shortest * 2 ** (self._visits[job.key] - 1), longest)
        self._put_off = sorted([*self._put_off, (time.monotonic() + pause, job)], key=lambda one: one[0])
        return self._visits[job.key] == 1

    def again(self, job: Order, size: int) -> bool:
        """Whether a job whose worker died gets another. In a group it may have been a companion's fault."""
        self._deaths[job.key] += size == 1
        return self._deaths[job.key] <= RETRIES

    def fail(self, job: Order, text: str) -> list[str]:
        """Record a failure for the job and for what rests on it; keys of the latter."""
        failed, waiting = [job.key], [job.key]
        while waiting:
            new = [one.key for one in self._after[waiting.pop()] if one.key not in {*failed, *self.outcome.failures}]
            failed += new
            waiting += new
        self.outcome.failures.update(dict.fromkeys(failed, text))
        return failed[1:]

    def full(self, text: str) -> StoreError:
        """What ends a session that met a full disk."""
        return full(self._plan, self._store, self.jobs(), text)

    def succeed(self, job: Order, *, made: bool) -> list[Name]:
        """Count it, and let start what waited for it; headline cells of which nothing is missing any more."""
        if job.job.keeps_files:
            self.outcome.trained += made
        else:
            self.outcome.measured += made
        self._to_make.discard(job.key)
        for one in self._after[job.key]:
            # Measuring is short, and verdicts then come early.
            self._let(one, first=True)
        complete = []
        for name, keys in list(self._headlines.items()):
            keys.discard(job.key)
            if not keys:
                complete.append(name)
                del self._headlines[name]
        return complete


def _fills(one: PlannedJob) -> bool:
    """Whether a job keeps others from its GPU: runs are small and many, and what may be done together leaves room."""
    return one.cost.accelerator > 0 and not one.job.keeps_files and one.job.together is None


def _beside_none(one: PlannedJob) -> PlannedJob:
    """A job that takes nothing of a GPU from others."""
    if not _fills(one):
        return one
    return replace(one, cost=replace(one.cost, seconds=one.cost.seconds + one.cost.accelerator, accelerator=0.0))


def _has_value(plan: Plan, store: Store, one: PlannedJob) -> bool:
    try:
        return store.find_measurement(one.identity) is not None
    except StoreError as error:
        # Damaged since it was planned.
        plan.spoil(one.key, str(error))
        return True


def _made_again(wanted: Sequence[PlannedJob], plan: Plan, store: Store) -> dict[str, str]:
    """Stored runs whose files were dropped and are needed by a wanted job, with the reason."""
    again: dict[str, str] = {}
    for one in wanted:
        for key in one.needs:
            if not plan.jobs[key].job.keeps_files or key in again or key in plan.faults:
                continue
            try:
                run = store.find(key)
            except StoreError as error:
                plan.spoil(key, str(error))
                continue
            if run is not None and run.dropped:
                again[key] = f"trained again: its checkpoints were dropped and {one.job.name} needs them"
    return again
