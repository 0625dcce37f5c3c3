"""Carries a plan out: which job starts when, and what becomes of those that rest on it."""

import signal
import threading
import time
from collections import Counter, defaultdict, deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from dtclaims.device import cpu_count, device_class, gpus_for, runs_per_gpu, worker_count
from dtclaims.errors import StoreError, UsageError
from dtclaims.harness.engine.engine import EXECUTORS, Advanced, Ended, Engine, Event, Noted, imported
from dtclaims.harness.engine.inline import Inline
from dtclaims.harness.engine.loggers import check_loggers
from dtclaims.harness.engine.processes import Processes
from dtclaims.harness.engine.progress import TRAIN, Display, Expected
from dtclaims.harness.engine.ray_cluster import RayCluster
from dtclaims.harness.engine.room import full
from dtclaims.harness.engine.work import Order
from dtclaims.harness.lab import Session
from dtclaims.harness.plan.estimate import Machine
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
    if not agenda.ready:
        return agenda.outcome
    with _stopped_by_sigterm(), display:
        session.prepare([one.job for one in agenda.jobs()], display.phase)
        for one in agenda.jobs():
            if why := agenda.again_because(one):
                display.note(f"{one.job.name} is {why}")
        try:
            with make_engine(plan, store, executor, workers, ray_address) as engine:
                display.begin(agenda.expected(engine.slots), engine.slots)
                _carry_out(agenda, engine, display)
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


def make_engine(plan: Plan, store: Store, executor: str, workers: int | None, ray_address: str | None) -> Engine:
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
        return Processes(store.root, places(plan, workers))
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


def _carry_out(agenda: "_Agenda", engine: Engine, display: Display) -> None:
    running: dict[str, Order] = {}

    def hear(event: Event) -> None:
        if isinstance(event, Advanced):
            display.advance(event.key, event.done, event.total)
        elif isinstance(event, Noted):
            display.note(f"{agenda.label(running[event.key])}: {event.text}")
        else:
            _end(agenda, running.pop(event.key), event, display)

    while True:
        slots = engine.slots
        while len(running) < slots and (job := agenda.next()) is not None:
            running[job.key] = job
            display.start(job.key)
            engine.start(job)
        pause = agenda.seconds_to_wait()
        if running:
            # With all slots taken a job that was put off has to wait for one of them anyway.
            engine.wait(pause if len(running) < slots else None, hear)
        elif pause is not None:
            time.sleep(pause)
        else:
            return


def _end(agenda: "_Agenda", job: Order, event: Ended, display: Display) -> None:
    label = agenda.label(job)
    if event.status == "full":
        # The next jobs would all end like this one.
        raise agenda.full(f"{label}: {event.text}")
    if event.status == "busy":
        display.put_off(job.key)
        if agenda.put_off(job):
            display.note(f"{label}: {event.text}")
        return
    if event.status == "died" and agenda.again(job):
        display.put_off(job.key)
        display.note(f"{label}: {event.text}; it goes on in another")
        return
    if event.status in ("failed", "died"):
        for key in agenda.fail(job, event.text):
            display.finish(key)
        display.failed(f"{label}: {event.text}")
    else:
        agenda.succeed(job, made=event.status == "made")
    seconds = display.finish(job.key)
    if event.status == "made":
        agenda.timed(job, seconds)


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
        for one in self._ordered:
            waits_for = self._to_make.intersection(one.needs)
            for key in waits_for:
                self._after[key].append(one)
            if not waits_for:
                self.ready.append(self._order(one))

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

    def next(self) -> Order | None:
        """A job to start now, if there is one; those put off come back in their time, after the others."""
        if self.ready:
            return self.ready.popleft()
        if self._put_off and self._put_off[0][0] <= time.monotonic():
            return self._put_off.pop(0)[1]
        return None

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

    def again(self, job: Order) -> bool:
        """Whether a job whose worker died gets another; if so it is next."""
        self._deaths[job.key] += 1
        if self._deaths[job.key] > RETRIES:
            return False
        self.ready.appendleft(job)
        return True

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
        free = [one for one in self._after[job.key] if not self._to_make.intersection(one.needs)]
        self.ready.extendleft(self._order(one) for one in free)
