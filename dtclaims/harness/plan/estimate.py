"""How long jobs take on a machine: a schedule of them on its workers, GPUs and cores. Plain numbers in and out.

Workers take jobs in their order, those of one `together` in groups. What a group does is a mix of waiting for its GPU,
for physics, and for itself; the groups on one GPU share it, and all share the cores: where more is asked of a GPU or of
the cores than there is, everybody who uses it is slower by the same factor (processor sharing). So training and physics
of several workers overlap, and the session takes as long as what there is least of.
"""

import heapq
import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from dtclaims.device import cores_each
from dtclaims.harness.lab import Cost


@dataclass(frozen=True)
class Machine:
    """What the workers of a session have."""

    cores: int
    workers: int
    """Processes, all GPUs together."""
    gpus: int = 0

    @property
    def cores_each(self) -> int:
        """That one worker may use."""
        return cores_each(self.workers, self.cores)


@dataclass(frozen=True)
class Work:
    """A job as far as time goes."""

    key: str
    cost: Cost
    needs: tuple[str, ...] = ()
    """Keys of those that have to be done before; any that are not among the works are done."""
    together: str | None = None
    most: int = 1
    """At most so many of one `together` in a group."""


@dataclass(frozen=True)
class Scheduled:
    """When a job runs."""

    begin: float
    end: float
    group: int
    """Number of the group that it is in."""
    size: int
    """How many are in the group."""
    slowed: float = 1.0
    """By what factor it takes longer than it would if nobody else were there."""

    @property
    def seconds(self) -> float:
        """Wall time of the whole group."""
        return self.end - self.begin


@dataclass
class Schedule:
    """Which job runs when."""

    jobs: dict[str, Scheduled] = field(default_factory=dict)
    gpu_seconds: float = 0.0
    """That the GPUs are busy, all together."""
    core_seconds: float = 0.0

    @property
    def seconds(self) -> float:
        """Until the last job ends."""
        return max((one.end for one in self.jobs.values()), default=0.0)

    def done(self, keys: Iterable[str]) -> float:
        """When the last of some jobs ends; those that are not in the schedule are done before."""
        return max((self.jobs[key].end for key in keys if key in self.jobs), default=0.0)


@dataclass
class _Group:
    works: list[Work]
    number: int
    gpu: int | None
    begin: float
    alone: float
    """Seconds for all of it on a machine that is otherwise idle."""
    on_gpu: float
    """Share of them in which it keeps the GPU busy."""
    on_cores: float
    """Cores that it keeps busy on average."""
    starts: float
    """When it gets going: what is made once, by itself or by another, is there."""
    left: float = 0.0


def wall(costs: Sequence[Cost], cores: int) -> tuple[float, float, float]:
    """What jobs done together by one worker take: seconds if nobody else is there, of the GPU, and of cores.

    Args:
        costs: of the jobs.
        cores: that the worker may use.
    """
    gpu = sum(one.accelerator_of(len(costs)) for one in costs)
    alone, spread = sum(one.seconds for one in costs), sum(one.spread for one in costs)
    return alone + gpu + spread / max(1, min(cores, sum(one.cores for one in costs))), gpu, alone + spread


def steady(cost: Cost, size: int, machine: Machine) -> float:
    """Wall seconds of a group of like jobs while all workers are at such groups."""
    alone, gpu, cores = wall([cost] * size, machine.cores_each)
    busy = alone
    if machine.gpus:
        busy = max(busy, gpu * math.ceil(machine.workers / machine.gpus))
    return max(busy, cores * machine.workers / machine.cores)


def spread(kinds: Mapping[str, tuple[int, int]], gpus: int) -> dict[str, int]:
    """How many of a kind are done together at most: fewer than may be where some of the GPUs would get no group at all.

    Args:
        kinds: by its name, how many there are of a kind, and how many of them may be done together.
        gpus: that are there.
    """
    groups = {kind: math.ceil(count / most) for kind, (count, most) in kinds.items()}

    def size(kind: str) -> float:
        return kinds[kind][0] / groups[kind]

    if not groups or sum(groups.values()) >= gpus:
        return {kind: most for kind, (_, most) in kinds.items()}
    while sum(groups.values()) < gpus and size(largest := max(groups, key=size)) > 1:
        groups[largest] += 1
    return {kind: math.ceil(size(kind)) for kind in groups}


def schedule(works: Sequence[Work], machine: Machine) -> Schedule:
    """Works on a machine, taken in their order.

    Args:
        works: what is to be done; a job that waits for others goes to the front when they are done.
        machine: who does it.
    """
    return _Simulation(works, machine).run()


class _Simulation:
    def __init__(self, works: Sequence[Work], machine: Machine) -> None:
        self.machine, self.result = machine, Schedule()
        self.now = 0.0
        known = {one.key for one in works}
        self._waits = {one.key: known.intersection(one.needs) for one in works}
        self._after: dict[str, list[Work]] = defaultdict(list)
        for one in works:
            for key in self._waits[one.key]:
                self._after[key].append(one)
        self._prepared = prepared([one.cost for one in works], machine)
        """Name → when what is made in the background is there."""
        self._made: dict[tuple[str, int | None], float] = {}
        """What is made once, by which worker, or by any → when it is there."""
        self._order = {one.key: (1, number) for number, one in enumerate(works)}
        self._ready: list[tuple[tuple[int, int], Work]] = []
        self._later: list[tuple[float, tuple[int, int], Work]] = []
        self._groups = 0
        for one in works:
            if not self._waits[one.key]:
                self._put(one)

    def _put(self, work: Work) -> None:
        """A work that waits for no other: ready when what it needs of the background is there."""
        at = max((self._prepared[one.name] for one in work.cost.once if one.by == "session"), default=0.0)
        order = self._order[work.key]
        if at > self.now:
            heapq.heappush(self._later, (at, order, work))
        else:
            self._make_ready(order, work)

    def _make_ready(self, order: tuple[int, int], work: Work) -> None:
        heapq.heappush(self._ready, (order, work))

    def _take(self) -> list[Work]:
        """The next group, as full as the engine makes it."""
        order, first = heapq.heappop(self._ready)
        if first.together is None:
            return [first]
        taken, others = [first], []
        while self._ready and len(taken) < first.most:
            order, work = heapq.heappop(self._ready)
            if work.together == first.together:
                taken.append(work)
            else:
                others.append((order, work))
        for one in others:
            heapq.heappush(self._ready, one)
        return taken

    def _begin(self, works: list[Work], worker: int) -> _Group:
        machine = self.machine
        gpu = worker % machine.gpus if machine.gpus else None
        alone, on_gpu, on_cores = wall([one.cost for one in works], machine.cores_each)
        starts = self.now
        # One after the other, in the order in which they are named.
        for once in dict.fromkeys(one for work in works for one in work.cost.once if one.by != "session"):
            name = (once.name, worker if once.by == "worker" else None)
            starts = max(starts, self._made.setdefault(name, starts + once.seconds))
        alone = max(alone, 1e-9)
        self._groups += 1
        self.result.gpu_seconds += on_gpu
        self.result.core_seconds += on_cores
        return _Group(works, self._groups, gpu, self.now, alone, on_gpu / alone, on_cores / alone, starts, alone)

    def run(self) -> Schedule:
        idle, active = list(range(self.machine.workers)), dict[int, _Group]()
        heapq.heapify(idle)
        while True:
            while self._later and self._later[0][0] <= self.now:
                _, order, work = heapq.heappop(self._later)
                self._make_ready(order, work)
            while idle and self._ready:
                worker = heapq.heappop(idle)
                active[worker] = self._begin(self._take(), worker)
            if not active and not self._later:
                return self.result
            self._advance(active, idle)

    def _advance(self, active: dict[int, _Group], idle: list[int]) -> None:
        """On to the next moment at which anything changes."""
        going = {worker: one for worker, one in active.items() if one.starts <= self.now}
        speed = self._speeds(going.values())
        moments = [one.starts for one in active.values() if one.starts > self.now]
        if self._later:
            moments.append(self._later[0][0])
        moments += [self.now + one.left / speed[one.gpu] for one in going.values()]
        then = min(moments)
        passed = then - self.now
        self.now = then
        for worker, one in going.items():
            one.left -= passed * speed[one.gpu]
            if one.left <= 1e-9 * one.alone:
                self._end(active.pop(worker))
                heapq.heappush(idle, worker)

    def _speeds(self, going: Iterable[_Group]) -> dict[int | None, float]:
        """Share of its speed alone that a group has, by its GPU: the same for all that share what is short."""
        groups = list(going)
        gpus: dict[int | None, float] = defaultdict(float)
        for one in groups:
            gpus[one.gpu] += one.on_gpu
        found = {gpu: 1.0 if gpu is None else 1 / max(1.0, load) for gpu, load in gpus.items()}
        cores = sum(one.on_cores * found[one.gpu] for one in groups)
        slower = max(1.0, cores / self.machine.cores)
        return {gpu: speed / slower for gpu, speed in found.items()}

    def _end(self, group: _Group) -> None:
        for work in group.works:
            slowed = (self.now - group.starts) / group.alone
            self.result.jobs[work.key] = Scheduled(group.begin, self.now, group.number, len(group.works), slowed)
            for one in self._after[work.key]:
                self._waits[one.key].discard(work.key)
                if not self._waits[one.key]:
                    # To the front, as the engine does: measuring is short, and verdicts then come early.
                    self._order[one.key] = (0, self._order[one.key][1])
                    self._put(one)


def prepared(costs: Iterable[Cost], machine: Machine) -> Mapping[str, float]:
    """When what the session makes in the background is there: one after the other, each on all cores."""
    once = {one.name: one.seconds for cost in costs for one in cost.once if one.by == "session"}
    found, now = {}, 0.0
    for name, seconds in once.items():
        now += seconds / machine.cores
        found[name] = now
    return found
