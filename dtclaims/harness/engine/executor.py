"""Carries a plan out: workers are given what the agenda says, and the agenda is told what became of it."""

import math
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from types import FrameType

from dtclaims.device import cpu_count, device_class, gpus_for, runs_per_gpu, worker_count
from dtclaims.errors import UsageError
from dtclaims.harness.engine.agenda import Agenda, Outcome
from dtclaims.harness.engine.background import Background
from dtclaims.harness.engine.engine import EXECUTORS, Advanced, Ended, Engine, Event, Noted, Spent, imported
from dtclaims.harness.engine.inline import Inline
from dtclaims.harness.engine.limit import all_the_same, counted, in_time, no_time_for
from dtclaims.harness.engine.loggers import check_loggers
from dtclaims.harness.engine.processes import Processes
from dtclaims.harness.engine.progress import Display
from dtclaims.harness.engine.ray_cluster import RayCluster
from dtclaims.harness.engine.timeline import MEASUREMENT, RUN, Timeline
from dtclaims.harness.engine.work import Group, Order
from dtclaims.harness.lab import Session
from dtclaims.harness.plan.cells import Name
from dtclaims.harness.plan.estimate import Machine
from dtclaims.harness.plan.plan import Plan, PlannedJob
from dtclaims.harness.store.store import Store

LOOK = 0.5
"""Seconds between two looks at what is made in the background."""


class _OutOfTime(Exception):
    """The session's limit is reached while jobs are being done."""


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
    until: float | None = None,
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
        until: when the session's limit is reached, by the clock of `time.monotonic`; None for no limit. A job starts
            only if it is expected to end before, and what is not done then is stopped: it is neither made nor failed.
            Where nothing is only by what earlier sessions took, one group is tried.

    Raises:
        UsageError: no such executor or logger.
        MissingDependency: its package is not installed.
        StoreError: the disk is full: nothing that is left could be kept.
        KeyboardInterrupt: it was stopped.
    """
    agenda = Agenda(plan, store, folder, check_loggers(loggers))
    outcome, stopped = agenda.outcome, False
    if not agenda.jobs():
        return outcome
    with _stopped_by_sigterm(), display, Timeline(store.root / "logs", plan.device) as timeline:
        for one in agenda.jobs():
            if why := agenda.again_because(one):
                display.note(f"{one.job.name} is {why}")
        try:
            preparations = session.preparations([one.job for one in agenda.jobs()])
            with (
                Background(preparations, display.phase) as background,
                make_engine(plan, store, executor, workers, ray_address, display.note) as engine,
            ):
                agenda.begin(preparations)
                if background.busy and isinstance(engine, Processes):
                    engine.warm(folder, len(agenda.jobs()))
                timeline.tell("begin", device=plan.device, workers=engine.slots, jobs=len(agenda.jobs()))
                machine = Machine(cpu_count(), max(1, engine.slots), len(gpus_for(plan.device)))
                display.begin(agenda.expected(machine), engine.slots)
                _carry_out(agenda, engine, background, display, timeline, until)
        except KeyboardInterrupt:
            display.note("stopped; the same command goes on, unfinished runs after their last saved epoch")
            raise
        except _OutOfTime:
            stopped = True
            display.note("stopped by the time limit; unfinished runs go on after their last saved epoch")
        if until is not None and (left := [one for one in agenda.jobs() if one.key not in outcome.failures]):
            outcome.left = len(left)
            begun = stopped or outcome.trained + outcome.measured > 0
            display.note(_told_left(left, display, begun=begun))
    return outcome


def _told_left(left: Sequence[PlannedJob], display: Display, *, begun: bool) -> str:
    if begun:
        return f"no time for {counted(left)}; the same command goes on"
    return no_time_for(left, lambda key: display.takes([key]))


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


def _carry_out(
    agenda: Agenda, engine: Engine, background: Background, display: Display, timeline: Timeline, until: float | None
) -> None:
    running: dict[str, tuple[Order, Group]] = {}

    def hear(event: Event) -> None:
        if event.key not in running and not isinstance(event, Ended):
            # A group speaks through one of its jobs, which may be over before the others.
            return
        if isinstance(event, Advanced):
            display.advance(event.key, event.done, event.total)
        elif isinstance(event, Noted):
            display.note(f"{agenda.label(running[event.key][0])}: {event.text}")
        elif isinstance(event, Spent):
            order, group = running[event.key]
            timeline.tell("spent", name=order.job.name, jobs=len(group), seconds=event.seconds)
        else:
            order, group = running.pop(event.key)
            kind = RUN if order.job.keeps_files else MEASUREMENT
            timeline.tell("end", name=order.job.name, kind=kind, status=event.status)
            for cell in _end(agenda, order, group, event, display):
                timeline.tell("headline", cell=cell)

    def groups() -> int:
        return len({id(group) for _, group in running.values()})

    if isinstance(engine, Processes):
        engine.left = display.left

    def fits(group: Group, pause: float = 0.0) -> bool:
        """Whether jobs that are done together are expected to end before the limit, with something to spare."""
        if until is None:
            return True
        return in_time(display.takes([order.key for order in group]), until - time.monotonic() - pause)

    def tried() -> Group | None:
        """What is begun though by what earlier sessions took nothing ends in time, as by the lab's own figures it does:
        these sessions may have shared their GPU with others. One group, whose pace is waited for; then all that are
        like it, as far as that lets them."""
        if until is None:
            return None
        alone, rest = not (display.tells_more or background.busy), until - time.monotonic()

        def fits_untaught(group: Group) -> bool:
            keys = [order.key for order in group]
            return (alone or display.seen(keys)) and in_time(display.takes_untaught(keys), rest)

        group = next(agenda.coming(fits_untaught), None)
        if group is not None and not display.seen([order.key for order in group]):
            display.note(f"no time for what is left by what earlier sessions took; {all_the_same(group)}")
        return group

    def coming() -> Group | None:
        return next(agenda.coming(fits), None) or tried()

    def held() -> float | None:
        hold = engine.hold(agenda.coming(fits)) if isinstance(engine, Processes) else None
        # Rather in company than not at all.
        return hold if hold is None or any(fits(group, hold) for group in islice(agenda.coming(fits), 1)) else None

    while True:
        for prepared, problem in background.over():
            timeline.tell("prepared", name=prepared.name, problem=problem)
            if problem is None:
                agenda.prepared(prepared)
                continue
            for key in agenda.unprepared(prepared, problem):
                display.finish(key)
            display.failed(f"{prepared.name}: {problem}")
        slots, hold = engine.slots, None
        while groups() < slots and (hold := held()) is None and (group := coming()) is not None:
            agenda.take(group)
            for order in group:
                running[order.key] = (order, group)
            display.start(*(order.key for order in group))
            timeline.tell("start", names=[order.job.name for order in group])
            engine.start(group)
        # What was put off comes after those that are held back.
        pause = agenda.seconds_to_wait() if hold is None else hold
        if background.busy:
            pause = LOOK if pause is None else min(pause, LOOK)
        rest = math.inf if until is None else until - time.monotonic()
        if running:
            if rest <= 0:
                raise _OutOfTime
            # With all slots taken a job that was put off has to wait for one of them anyway.
            wait = min(rest, math.inf if pause is None or groups() >= slots else pause)
            engine.wait(None if wait == math.inf else wait, hear)
        elif pause is not None and rest > 0:
            time.sleep(min(pause, rest))
        else:
            return


def _end(agenda: Agenda, job: Order, group: Group, event: Ended, display: Display) -> list[Name]:
    """Take in how a job ended; headline cells of which nothing is missing any more."""
    label = agenda.label(job)
    if event.status == "full":
        # The next jobs would all end like this one.
        raise agenda.full(f"{label}: {event.text}")
    if event.status == "busy":
        display.put_off(job.key)
        if agenda.put_off(job):
            display.note(f"{label}: {event.text}")
        return []
    if event.status == "apart" or (event.status == "died" and agenda.again(job, len(group))):
        display.put_off(job.key)
        fewer = agenda.apart(job, len(group))
        # Of a group one line is enough.
        if job is group[0] or event.status == "died":
            display.note(f"{label}: {event.text}; it goes on {'with fewer beside it' if fewer else 'in another'}")
        return []
    complete: list[Name] = []
    if event.status in ("failed", "died"):
        for key in agenda.fail(job, event.text):
            display.finish(key)
        display.failed(f"{label}: {event.text}")
    else:
        complete = agenda.succeed(job, made=event.status == "made")
    seconds = display.finish(job.key)
    if event.status == "made":
        agenda.timed(job, seconds, len(group))
    return complete
