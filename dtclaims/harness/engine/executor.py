"""Carries a plan out: which job starts when, and what becomes of those that rest on it."""

import signal
import threading
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from dtclaims.device import cpu_count, device_class, gpus_for, runs_per_gpu, worker_count
from dtclaims.errors import StoreError, UsageError
from dtclaims.harness.engine.background import Background
from dtclaims.harness.engine.engine import EXECUTORS, Advanced, Ended, Engine, Event, Noted, imported
from dtclaims.harness.engine.inline import Inline
from dtclaims.harness.engine.loggers import check_loggers
from dtclaims.harness.engine.processes import Processes
from dtclaims.harness.engine.progress import TRAIN, Display, Expected
from dtclaims.harness.engine.ray_cluster import RayCluster
from dtclaims.harness.engine.room import full
from dtclaims.harness.engine.timeline import Timeline
from dtclaims.harness.engine.work import Group, Order
from dtclaims.harness.lab import Preparation, Session
from dtclaims.harness.plan.estimate import Machine
from dtclaims.harness.plan.plan import Plan, PlannedJob
from dtclaims.harness.store.store import Store
from dtclaims.harness.store.timings import Timing, add_timing

RETRIES = 2
"""How often a job whose worker died is given to another: a run then goes on from where it was saved."""
LOOK = 0.5
"""Seconds between two looks at what is made in the background."""
BUSY_WAIT = (1.0, 30.0)
"""Seconds before a run that another process is making is looked at again: at first, and at most."""


@dataclass
class Outcome:
    """What became of a plan."""

    trained: int = 0
    measured: int = 0
    failures: dict[str, str] = field(default_factory=dict)
    """Key of a job → what went wrong; claims that rest on it are errors."""


def execute(
    plan: Plan,
    store: Store,
    display: Display,
    *,
    session: Session,
    folder: Path,
    workers: int | None = None,
    executor: str = "processes",
    ray_address: str | None = None,
    loggers: Sequence[str] = (),
) -> Outcome:
    """Train what is missing and measure what is needed; a failure is recorded and the rest goes on.

    On Ctrl-C, and on SIGTERM (`kill`, `timeout`, a batch system), the workers are stopped; finished runs stay in the
    store, unfinished ones go on from their saved state.

    Args:
        plan: what is needed.
        store: where it goes.
        display: shows the progress.
        session: of the lab that does the jobs.
        folder: of the paper, by which workers find the lab.
        workers: how many jobs at once; None for one per core, or `runs_per_gpu` per GPU.
        executor: `processes`, `inline` (this process, one after the other) or `ray`.
        ray_address: of a running Ray cluster; None starts one here.
        loggers: names of loggers that are told of every epoch.

    Raises:
        UsageError: no such executor or logger.
        MissingDependency: its package is not installed.
        StoreError: the disk is full: nothing that is left could be kept.
        KeyboardInterrupt: it was stopped.
    """
    agenda = _Agenda(plan, store, folder, check_loggers(loggers))
    if not agenda.jobs():
        return agenda.outcome
    timeline = Timeline(store.root / "logs")
    with _stopped_by_sigterm(), display:
        for one in agenda.jobs():
            if why := agenda.again_because(one):
                display.note(f"{one.job.name} is {why}")
        try:
            with (
                Background(session.preparations([one.job for one in agenda.jobs()]), display.phase) as background,
                make_engine(plan, store, executor, workers, ray_address, display.note) as engine,
            ):
                agenda.hold(background.waiting)
                if background.busy and isinstance(engine, Processes):
                    engine.warm(folder, len(agenda.jobs()))
                timeline.tell("begin", device=plan.device, workers=engine.slots, jobs=len(agenda.jobs()))
                display.begin(agenda.expected(engine.slots), engine.slots)
                _carry_out(agenda, engine, background, display, timeline)
        except KeyboardInterrupt:
            display.note("stopped; the same command goes on, unfinished runs after their last saved epoch")
            raise
    return agenda.outcome


@contextmanager
def _stopped_by_sigterm() -> Iterator[None]:
    """Let the first SIGTERM be a Ctrl-C, and further ones nothing: `timeout` sends it to the process and its group.

    A handler that somebody else has set stays; so does everything outside the main thread, which cannot set any.
    """
    before = signal.getsignal(signal.SIGTERM)
    if before is not signal.SIG_DFL or threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def make_engine(
    plan: Plan,
    store: Store,
    executor: str,
    workers: int | None,
    ray_address: str | None,
    note: Callable[[str], None] = lambda text: None,
) -> Engine:
    """The engine that an executor's name means.

    Raises:
        UsageError: no such executor.
    """
    if executor == "inline":
        return Inline(store)
    if executor == "ray":
        each = runs_per_gpu(plan.per_gpu)
        return RayCluster(store.root, each if device_class(plan.device) == "cuda" else None, ray_address, workers)
    if executor == "processes":
        return Processes(store.root, places(plan, workers), note)
    if ":" in executor:
        # Of another plugin (`dtclaims.harness.extensions`).
        made: Engine = imported(executor)(store.root, plan.device, workers)
        return made
    raise UsageError("unknown executor", given=repr(executor), expected=", ".join(EXECUTORS))


def places(plan: Plan, workers: int | None = None) -> list[str | None]:
    """Where the worker processes of a plan run, one entry each: the GPU it sees, or None for none."""
    gpus = gpus_for(plan.device)
    size = worker_count(plan.per_gpu, workers, len(gpus), cpu_count())
    if not gpus:
        return [None] * size
    # Round robin, so that few jobs spread over all GPUs.
    return [gpus[i % len(gpus)] for i in range(size)]


def _carry_out(agenda: "_Agenda", engine: Engine, background: Background, display: Display, timeline: Timeline) -> None:
    running: dict[str, tuple[Order, Group]] = {}

    def hear(event: Event) -> None:
        if isinstance(event, Advanced):
            display.advance(event.key, event.done, event.total)
        elif isinstance(event, Noted):
            display.note(f"{agenda.label(running[event.key][0])}: {event.text}")
        else:
            order, group = running.pop(event.key)
            timeline.tell("end", name=order.job.name, status=event.status)
            _end(agenda, order, group, event, display)

    def groups() -> int:
        return len({id(group) for _, group in running.values()})

    while True:
        for prepared, problem in background.over():
            timeline.tell("prepared", name=prepared.name, problem=problem)
            if problem is None:
                agenda.prepared(prepared)
                continue
            for key in agenda.unprepared(prepared, problem):
                display.finish(key)
            display.failed(f"{prepared.name}: {problem}")
        slots = engine.slots
        while groups() < slots and (group := agenda.next()) is not None:
            for order in group:
                running[order.key] = (order, group)
            display.start(*(order.key for order in group))
            timeline.tell("start", names=[order.job.name for order in group])
            engine.start(group)
        pause = agenda.seconds_to_wait()
        if background.busy:
            pause = LOOK if pause is None else min(pause, LOOK)
        if running:
            # With all slots taken a job that was put off has to wait for one of them anyway.
            engine.wait(pause if groups() < slots else None, hear)
        elif pause is not None:
            time.sleep(pause)
        else:
            return


def _end(agenda: "_Agenda", job: Order, group: Group, event: Ended, display: Display) -> None:
    label = agenda.label(job)
    if event.status == "full":
        # The next jobs would all end like this one.
        raise agenda.full(f"{label}: {event.text}")
    if event.status == "busy":
        display.put_off(job.key)
        if agenda.put_off(job):
            display.note(f"{label}: {event.text}")
        return
    if event.status == "apart" or (event.status == "died" and agenda.again(job, len(group))):
        display.put_off(job.key)
        fewer = agenda.apart(job, len(group))
        # Of a group one line is enough.
        if job is group[0] or event.status == "died":
            display.note(f"{label}: {event.text}; it goes on {'with fewer beside it' if fewer else 'in another'}")
        return
    if event.status in ("failed", "died"):
        for key in agenda.fail(job, event.text):
            display.finish(key)
        display.failed(f"{label}: {event.text}")
    else:
        agenda.succeed(job, made=event.status == "made")
    seconds = display.finish(job.key)
    if event.status == "made":
        agenda.timed(job, seconds, len(group))


def _made_again(wanted: Sequence[PlannedJob], plan: Plan, store: Store) -> dict[str, str]:
    """Stored runs whose files were dropped and are needed by a wanted job, with the reason."""
    again: dict[str, str] = {}
    for one in wanted:
        for key in one.needs:
            run = store.find(key) if plan.jobs[key].job.keeps_files and key not in again else None
            if run is not None and run.dropped:
                again[key] = f"trained again: its checkpoints were dropped and {one.job.name} needs them"
    return again


class _Agenda:
    """What can start now, what waits for which run, and what was put off."""

    def __init__(self, plan: Plan, store: Store, folder: Path, loggers: tuple[str, ...]) -> None:
        self.outcome = Outcome()
        self._plan, self._store, self._folder, self._loggers = plan, store, folder, loggers
        wanted = [one for one in plan.values.values() if store.find_measurement(one.identity) is None]
        self._again = _made_again(wanted, plan, store)
        missing = plan.in_order([*plan.missing(), *(plan.jobs[key] for key in self._again)])
        # What makes one value comes first: it is short, and verdicts then come early.
        self._ordered = [*wanted, *missing]
        self._to_make = {one.key for one in self._ordered}
        self._machine: Machine | None = None
        self.ready: deque[Order] = deque()
        self._after: dict[str, list[PlannedJob]] = defaultdict(list)
        self._put_off: list[tuple[float, Order]] = []
        self._visits: Counter[str] = Counter()
        self._deaths: Counter[str] = Counter()
        self._limit: dict[str, int] = {}
        """Of jobs that could not be done in a larger group."""
        self._held: dict[str, int] = {}
        """By key, how many preparations a job still waits for."""
        self._roots = [one for one in self._ordered if not self._to_make.intersection(one.needs)]
        for one in self._ordered:
            for key in self._to_make.intersection(one.needs):
                self._after[key].append(one)
        self.hold({})

    def hold(self, waiting: Mapping[str, int]) -> None:
        """Hold jobs back, before any is started: name of a job → how many preparations it waits for."""
        self._held = {one.key: waiting[one.job.name] for one in self.jobs() if one.job.name in waiting}
        self.ready = deque(self._order(one) for one in self._roots if one.key not in self._held)

    def prepared(self, preparation: Preparation) -> None:
        """Let start what waited for it and for nothing else."""
        names = {job.name for job in preparation.jobs}
        for one in self._ordered:
            if one.job.name in names and one.key in self._held:
                self._held[one.key] -= 1
                if not self._held[one.key]:
                    del self._held[one.key]
                    if not self._to_make.intersection(one.needs):
                        self.ready.append(self._order(one))

    def unprepared(self, preparation: Preparation, text: str) -> list[str]:
        """Record the failure of all that waited for it; their keys."""
        names = {job.name for job in preparation.jobs}
        lost = [one for one in self.jobs() if one.job.name in names and one.key not in self.outcome.failures]
        keys = [key for one in lost for key in (one.key, *self.fail(self._order(one), text))]
        return list(dict.fromkeys(keys))

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

    def expected(self, workers: int) -> dict[str, Expected]:
        """All that is to be done, with how long it is expected to take, in the order in which it is expected to start.

        Args:
            workers: how many jobs, or groups of them, are done at once.
        """
        self._machine = Machine(cpu_count(), max(1, workers), len(gpus_for(self._plan.device)))
        planned = self._plan.schedule(self._ordered, self._machine).jobs
        found = {}
        for key in sorted(planned, key=lambda key: planned[key].begin):
            job, at = self._plan.jobs[key].job, planned[key]
            kind = TRAIN if job.keeps_files else job.kind
            found[key] = Expected(job.name, kind, at.seconds, " ".join((job.kind, *job.cost.like)), at.group)
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
        add_timing(self._store.root, Timing(job.job.kind, cost.like, device, cost.steps, seconds, *company))

    def label(self, job: Order) -> str:
        """A job as people call it."""
        return job.job.name

    def next(self) -> Group | None:
        """Jobs to start now, if there are some; those put off come back in their time, after the others."""
        if not self.ready:
            if not self._put_off or self._put_off[0][0] > time.monotonic():
                return None
            self.ready.append(self._put_off.pop(0)[1])
        first = self.ready.popleft()
        group = [first]
        if first.job.together is not None:
            most = self._most(first)
            others = deque[Order]()
            while self.ready:
                one = self.ready.popleft()
                if one.job.together == first.job.together and len(group) < min(most, self._most(one)):
                    group.append(one)
                else:
                    others.append(one)
            self.ready = others
        return tuple(group)

    def _most(self, job: Order) -> int:
        """How large a group it may be in."""
        return self._limit.get(job.key, job.job.most_together)

    def apart(self, job: Order, size: int) -> bool:
        """A group of this size failed or died: the job comes next, in groups of half the size. Whether it was one."""
        self._limit[job.key] = max(1, size // 2)
        self.ready.appendleft(job)
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

    def succeed(self, job: Order, *, made: bool) -> None:
        """Count it, and let start what waited for it."""
        if job.job.keeps_files:
            self.outcome.trained += made
        else:
            self.outcome.measured += made
        self._to_make.discard(job.key)
        # To the front: measuring is short, and verdicts then come early.
        free = [
            one
            for one in self._after[job.key]
            if not self._to_make.intersection(one.needs) and one.key not in self._held
        ]
        self.ready.extendleft(self._order(one) for one in free)
