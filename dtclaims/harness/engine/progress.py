"""Progress of a plan: bars on a terminal, a line now and then elsewhere, an ETA in both."""

import heapq
import math
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import NamedTuple, Self, TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

from dtclaims.harness.printable import printable

LINE_EVERY = 10.0
"""Seconds between two lines where the output is no terminal, as in CI logs."""
TRAIN = "train"
"""The kind of jobs that are runs."""
TELLING = 0.1
"""Share of a job that shows its pace: before, what is done once at its beginning weighs too much. Ours."""
TELLS_OF_THE_WHOLE = 0.5
"""Share of a job that has to be seen for it to say what the whole takes: it starts and ends once, however little of it
was left when it was taken up. Ours."""
ROWS = 12
"""Jobs with a bar of their own; on many GPUs the others are in the first bar alone."""


class _Moment(NamedTuple):
    wall: float
    work: float
    """The same by a clock that goes slower while GPUs are filled, as all who are at work there do: by it a job keeps
    its pace."""


@dataclass
class _Job:
    name: str
    kind: str
    estimate: float
    """Wall seconds, of the whole group where it is done in one."""
    like: str = ""
    """Jobs of one kind and one `like` are off their estimates by one factor."""
    group: int | None = None
    """Those that are to be done together have one number."""
    fills: float = 0.0
    """Share of the GPUs that it fills."""
    untaught: float | None = None
    """Its estimate by the lab's own figures, where earlier sessions taught a longer one."""
    slot: int | None = None
    """Number of the start: jobs that were started together share a worker."""
    started: _Moment | None = None
    first: tuple[_Moment, float] | None = None
    """When it first reported, and what share was done then: more than a step, if it was taken up."""
    share: float = 0.0
    told: float = 0.0
    """When it last reported, by the clock of work."""
    cost: float | None = None
    """Seconds that the whole of it takes, once it is over; without its worker's start, if it reported before. 0: it
    did not show."""
    took: float = 0.0
    """The same by the clock of work."""

    @property
    def own(self) -> float:
        """Its estimate by the lab's own figures."""
        return self.estimate if self.untaught is None else self.untaught

    def begun(self) -> tuple[_Moment | None, float]:
        """When its work began, and what share was done then."""
        return self.first if self.first is not None and self.first[1] < 1 else (self.started, 0.0)

    def end(self, now: _Moment) -> None:
        """It is over; what it costs is 0 where too little of it was seen."""
        begun, share = self.begun()
        self.cost = 0.0
        if begun is not None and 1 - share >= TELLS_OF_THE_WHOLE:
            self.cost, self.took = ((after - before) / (1 - share) for after, before in zip(now, begun, strict=True))

    def paced(self) -> float | None:
        """Seconds by the clock of work that the whole of it takes at its pace, as far as can be told; None before it
        can."""
        if self.cost is not None:
            return self.took if self.cost else None
        begun, share = self.begun()
        if begun is None or self.share - share < TELLING:
            return None
        return (self.told - begun.work) / (self.share - share)

    def missed(self) -> float | None:
        """By what factor it misses its estimate, as far as can be told; None before it can."""
        paced = self.paced()
        return None if paced is None or not self.estimate else paced / self.estimate

    def seen(self) -> float:
        """Share of it in which it showed its pace; all of it once that is known."""
        return 1.0 if self.cost is not None else self.share - self.begun()[1]

    def left(self, now: float, factor: float) -> float:
        """Seconds by the clock of work that it still needs: more and more by its own pace, as far as it has none by its
        estimate."""
        if self.cost is not None:
            return 0.0
        begun, share = self.begun()
        running, done = 0.0 if begun is None else now - begun.work, self.share - share
        left = max(0.0, self.estimate * factor * (1 - share) - running)
        if done <= 0:
            return left
        own = min(1.0, done / TELLING)
        # Its pace is that of its last report, since when it went on.
        pace = (self.told - (now - running)) / done
        return own * max(0.0, pace * (1 - self.share) - (now - self.told)) + (1 - own) * left


class Expected(NamedTuple):
    """What is to be done, and how long it is expected to take."""

    name: str
    kind: str
    seconds: float
    """Wall time, of the whole group where it is done in one; right relative to others like it is enough."""
    like: str = ""
    """Jobs of one kind and one `like` are off their estimates by one factor."""
    group: int | None = None
    """Those that are to be done together have one number."""
    fills: float = 0.0
    """Share of all GPUs that it fills, so that everybody there is slower meanwhile; its seconds are those that it takes
    by itself. 0 of what leaves room for others: the pace that it shows is that in their company."""
    untaught: float | None = None
    """Its seconds by the lab's own figures, where earlier sessions taught longer ones."""

    @property
    def own(self) -> float:
        """Its seconds by the lab's own figures."""
        return self.seconds if self.untaught is None else self.untaught


class Untaught:
    """What jobs would take if what earlier sessions took said nothing: what the lab's own figures say, or more where
    jobs of this session, like ones or else those of their kind, were seen to take more than these say."""

    def __init__(self) -> None:
        self._seen: dict[tuple[object, ...], tuple[float, float]] = {}
        """By name, what jobs took and what they would have by the lab's own figures, summed up."""

    def add(self, job: "_Job | Expected", takes: float) -> None:
        """A job was seen to take so many seconds."""
        for name in _names(job)[:2]:
            before, own = self._seen.get(name, (0.0, 0.0))
            self._seen[name] = before + takes, own + job.own

    def seen(self, jobs: "Iterable[_Job | Expected]") -> bool:
        """Whether one that is like any of these was seen."""
        return any(_names(job)[0] in self._seen for job in jobs)

    def takes(self, jobs: "Iterable[_Job | Expected]") -> float:
        """Seconds of jobs that are done together; without end where no earlier session taught that they take longer."""
        jobs = list(jobs)
        if all(job.untaught is None for job in jobs):
            return math.inf
        return max(job.own * self._slower(job) for job in jobs)

    def _slower(self, job: "_Job | Expected") -> float:
        like, kind, _ = _names(job)
        takes, own = self._seen.get(like) or self._seen.get(kind, (0.0, 0.0))
        return max(1.0, takes / own) if own else 1.0


def _names(job: "_Job | Expected") -> tuple[tuple[object, ...], ...]:
    """Of those that are like a job, of those of its kind, and of all."""
    return (job.kind, job.like), (job.kind, job.fills > 0), ()


class _Factors:
    """By how much jobs miss their estimates: like ones, then those of a kind, then all.

    Half of a job tells what like ones take. Of unlike ones what was seen tells as many seconds as it was planned with:
    of a job that is longer, what is beyond is off as any other job is, if one of these was seen for longer, and else
    takes what was planned. The first that end are the shortest, and faster than what comes: networks are untrained
    then and episodes short. For that a session of 1057 s was taken for one of 650 to 780 s for its first five minutes.

    What fills a GPU is of another kind than what does not: a small measurement that took a second in the place of a
    third says nothing of minutes on a GPU, and of these the runs say more.
    """

    def __init__(self, jobs: Iterable[_Job]) -> None:
        found: dict[tuple[object, ...], list[tuple[float, float]]] = defaultdict(list)
        for job in jobs:
            if (missed := job.missed()) is not None:
                like, *others = _names(job)
                seen = job.seen()
                found[like].append((missed, job.estimate * (1.0 if seen >= TELLS_OF_THE_WHOLE else seen)))
                for name in others:
                    found[name].append((missed, job.estimate * seen))
        self._found = {
            name: (statistics.median(missed for missed, _ in each), max(seconds for _, seconds in each))
            for name, each in found.items()
        }

    def __call__(self, job: _Job) -> float:
        takes = told = 0.0
        for name in _names(job):
            missed, seconds = self._found.get(name, (1.0, 0.0))
            until = max(told, min(seconds, job.estimate))
            takes, told = takes + missed * (until - told), until
        return (takes + job.estimate - told) / job.estimate if job.estimate else 1.0

    def __bool__(self) -> bool:
        """Whether any job has shown its pace."""
        return bool(self._found)


class _Known(NamedTuple):
    """What jobs have shown."""

    at: float
    """Until when, by the clock of work."""
    factors: _Factors
    untaught: Untaught
    slots: frozenset[int | None]
    """Starts of which one has shown its pace."""


class Display:
    """Shows what is running. One instance per plan, used as a context manager."""

    def __init__(self, stream: TextIO) -> None:
        # Of a command this is seen to already; pytest prints around signs that its stream lacks, rich does not.
        printable(stream)
        self._console = Console(file=stream, highlight=False)
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[eta]}"),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._tasks: dict[str, TaskID] = {}
        self._jobs: dict[str, _Job] = {}
        self._slots = 1
        self._starts = 0
        self._running: dict[str, _Job] = {}
        self._moment = _Moment(0.0, 0.0)
        self._load = 1.0
        """By how much the clock of work is slower now."""
        self._known: _Known | None = None
        self._whole: TaskID | None = None
        self._last_line = 0.0

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Up to release 14 of rich, bars that were never shown end with an empty line among what is printed.
        if not self._bars.disable:
            self._bars.stop()

    def phase(self, text: str) -> Callable[[int, int], None]:
        """A step before the runs; returns its progress function."""
        task: TaskID | None = None

        def advance(done: int, total: int) -> None:
            nonlocal task
            if task is None:
                task = self._bars.add_task(text, total=total, eta="")
                self._say(f"{text} ({total} steps)")
            self._bars.update(task, completed=done)

        return advance

    def begin(self, jobs: "Mapping[str, Expected]", slots: int) -> None:
        """Announce what is to be done.

        Args:
            jobs: by key, in the order in which they are to start.
            slots: how many jobs, or groups of them, run at once.
        """
        self._jobs = {key: _Job(*job) for key, job in jobs.items()}
        self._slots = slots
        if jobs:
            self._whole = self._bars.add_task(self._counts(), total=len(jobs), eta="")
            self._say(f"{self._counts()} to do, {slots} at once")

    def start(self, *keys: str) -> None:
        """A worker has begun a job, or some together."""
        self._starts += 1
        now = self._now()
        for key in keys:
            job = self._running[key] = self._jobs[key]
            job.started, job.slot = now, self._starts
        self._weigh()

    def advance(self, key: str, done: int, total: int) -> None:
        """Steps of one job done so far."""
        job = self._jobs[key]
        job.share = done / total
        now = self._now()
        job.told = now.work
        job.first = job.first or (now, job.share)
        if key not in self._tasks and len(self._tasks) < ROWS:
            self._tasks[key] = self._bars.add_task(f"  {job.name}", total=total, eta="")
        if key in self._tasks:
            self._bars.update(self._tasks[key], completed=done, eta=f"eta {clock(self._left(job))}")
        if self._due():
            self._show(f"{job.name} step {done}/{total}, eta {clock(self._left(job))}")

    def put_off(self, key: str) -> None:
        """A job is not being done after all, for now."""
        job = self._jobs[key]
        self._stop(key)
        job.started, job.slot, job.first, job.share = None, None, None, 0.0
        self._remove_row(key)

    def finish(self, key: str) -> float:
        """One job is over, well or not; the seconds that the whole of it takes, 0 if that did not show."""
        job = self._jobs[key]
        job.end(self._stop(key))
        self._known = None
        self._remove_row(key)
        if self._whole is not None:
            self._bars.update(self._whole, advance=1, description=self._counts())
        self._show(f"{job.name} done")
        return job.cost or 0.0

    def _remove_row(self, key: str) -> None:
        if key in self._tasks:
            self._bars.remove_task(self._tasks.pop(key))

    def failed(self, text: str) -> None:
        """Say at once that something failed; the rest goes on."""
        self._console.print(f"failed: {text}", markup=False)

    def note(self, text: str) -> None:
        """Say something that matters more than progress."""
        self._console.print(f"note: {text}", markup=False, soft_wrap=True)

    def eta(self) -> float | None:
        """Seconds until the last job ends; None before anything is known.

        What is left is dealt out to the slots in its order, groups whole, as the workers will do: near the end there
        are fewer jobs than slots, and the time left is that of the longest of them. A job that has not begun takes its
        estimate times what like ones missed theirs by; where none has shown its pace yet, those of its kind, or any.

        What fills a GPU is added to all that: whenever it is done, it makes the end later by as long as it takes. Three
        minutes of a session of 776 s on two GPUs were of that sort, most of them in its second half; it was taken for
        one of 560 to 620 s throughout its first.
        """
        now = self._now().work
        if not any(job.cost or job.share for job in self._jobs.values()):
            return None
        factors = self._look(now).factors
        running: dict[int | None, float] = {}
        waiting: dict[object, float] = {}
        filled = longest = 0.0
        for key, job in self._jobs.items():
            if job.cost is not None:
                continue
            seconds = job.left(now, factors(job))
            if job.fills:
                filled, longest = filled + seconds * job.fills, max(longest, seconds)
            elif job.started is not None:
                running[job.slot] = max(running.get(job.slot, 0.0), seconds)
            else:
                group = key if job.group is None else job.group
                waiting[group] = max(waiting.get(group, 0.0), seconds)
        slots = [*running.values(), *[0.0] * (self._slots - len(running))]
        heapq.heapify(slots)
        for seconds in waiting.values():
            heapq.heapreplace(slots, slots[0] + seconds)
        return max(max(slots) + filled, longest)

    def left(self, keys: Iterable[str]) -> float | None:
        """Seconds that jobs that are done together still need, or will, as things are now; None before any job of the
        session has shown its pace.

        Args:
            keys: of the jobs; they take as long as the slowest of them.
        """
        jobs = [self._jobs[key] for key in keys]
        now = self._now().work
        factors = self._look(now).factors
        if not factors or not all(job.estimate for job in jobs):
            return None
        return self._load * max(job.left(now, factors(job)) for job in jobs)

    def takes(self, keys: Iterable[str]) -> float:
        """Seconds that jobs that have not begun are expected to take together: those of the plan, until one shows its
        pace."""
        keys = list(keys)
        known = self.left(keys)
        return max(self._jobs[key].estimate for key in keys) if known is None else known

    def takes_untaught(self, keys: Iterable[str]) -> float:
        """The same if what earlier sessions took said nothing (`Untaught`)."""
        untaught = self._look(self._now().work).untaught
        return self._load * untaught.takes(self._jobs[key] for key in keys)

    def seen(self, keys: Iterable[str]) -> bool:
        """Whether a job that is like any of these has shown its pace."""
        return self._look(self._now().work).untaught.seen(self._jobs[key] for key in keys)

    @property
    def tells_more(self) -> bool:
        """Whether anything is at work that has not shown its pace: of what is done together, one shows it for all."""
        slots = self._look(self._now().work).slots
        return any(job.slot not in slots for job in self._running.values())

    def _now(self) -> _Moment:
        wall, (before, work) = time.monotonic(), self._moment
        self._moment = _Moment(wall, work + (wall - before) / self._load)
        return self._moment

    def _stop(self, key: str) -> _Moment:
        """A job is at work no more; since when."""
        now = self._now()
        self._running.pop(key, None)
        self._weigh()
        return now

    def _weigh(self) -> None:
        """How slow the clock of work is from now on: a GPU is shared evenly by all that fill it and the others, who
        together count as one. So an epoch beside ten measurements on two GPUs takes five times as long; that session
        had 41 s for 8."""
        fills = [job.fills for job in self._running.values()]
        self._load = max(1.0, sum(fills) + (0.0 in fills))

    def _look(self, now: float) -> _Known:
        """What all have shown, looked up once a second: some report often."""
        known = self._known
        if known is None or now - known.at >= 1.0:
            untaught, slots = Untaught(), set()
            for job in self._jobs.values():
                if (paced := job.paced()) is not None:
                    untaught.add(job, paced)
                    slots.add(job.slot)
            known = self._known = _Known(now, _Factors(self._jobs.values()), untaught, frozenset(slots))
        return known

    def _left(self, job: _Job) -> float:
        now = self._now().work
        return job.left(now, self._look(now).factors(job))

    def _counts(self) -> str:
        """Jobs done and in all, runs and measurements apart."""
        runs = [job for job in self._jobs.values() if job.kind == TRAIN]
        others = [job for job in self._jobs.values() if job.kind != TRAIN]
        return ", ".join(
            f"{sum(job.cost is not None for job in jobs)}/{len(jobs)} {what}"
            for what, jobs in (("runs", runs), ("measurements", others))
            if jobs
        )

    def _due(self) -> bool:
        """Whether the plan's ETA, which is dear to compute, is to be shown again."""
        every = 1.0 if self._console.is_terminal else LINE_EVERY
        return time.monotonic() - self._last_line >= every

    def _show(self, text: str) -> None:
        """The state of the whole, and in a log also what has just happened."""
        eta = self.eta()
        left = f"plan eta {'?' if eta is None else clock(eta)}"
        if self._whole is not None:
            self._bars.update(self._whole, eta=left)
        self._say(f"{self._counts()}, {left} · {text}")

    def _say(self, text: str) -> None:
        """A line in a log; bars say it on a terminal."""
        self._last_line = time.monotonic()
        if not self._console.is_terminal:
            self._console.print(text, markup=False, soft_wrap=True)


def clock(seconds: float) -> str:
    """Seconds as m:ss or h:mm:ss."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
