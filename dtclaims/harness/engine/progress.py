"""Progress of a plan: bars on a terminal, a line now and then elsewhere, an ETA in both."""

import heapq
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Self, TextIO

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

LINE_EVERY = 10.0
"""Seconds between two lines where the output is no terminal, as in CI logs."""
TRAIN = "train"
"""The kind of jobs that are runs."""
ROWS = 12
"""Jobs with a bar of their own; on many GPUs the others are in the first bar alone."""


@dataclass
class _Job:
    name: str
    kind: str
    """Jobs of one kind are off their estimates by one factor."""
    estimate: float
    started: float | None = None
    first: tuple[float, float] | None = None
    """When it first reported, and what share was done then: more than a step, if it was taken up."""
    share: float = 0.0
    cost: float | None = None
    """Seconds that the whole of it takes, once it is over; without its worker's start, if it reported before."""

    def begun(self) -> tuple[float | None, float]:
        """When its work began, and what share was done then."""
        return self.first if self.first is not None and self.first[1] < 1 else (self.started, 0.0)

    def end(self, now: float) -> None:
        """It is over."""
        begun, share = self.begun()
        self.cost = 0.0 if begun is None else (now - begun) / (1 - share)

    def left(self, now: float, factor: float) -> float:
        """Seconds that it still needs: by its own pace where it has one, else by its estimate."""
        if self.cost is not None:
            return 0.0
        begun, share = self.begun()
        running = 0.0 if begun is None else now - begun
        if self.share > share:
            return running * (1 - self.share) / (self.share - share)
        return max(0.0, self.estimate * factor * (1 - share) - running)


class Display:
    """Shows what is running. One instance per plan, used as a context manager."""

    def __init__(self, stream: TextIO) -> None:
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
        self._factors: dict[str, float] = {}
        """By kind, by how much finished jobs missed their estimates."""
        self._slots = 1
        self._whole: TaskID | None = None
        self._last_line = 0.0

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
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

    def begin(self, jobs: Mapping[str, tuple[str, str, float]], slots: int) -> None:
        """Announce what is to be done.

        Args:
            jobs: key → (name, kind, estimated seconds); estimates need only be right relative to others of the kind.
            slots: how many jobs run at once.
        """
        self._jobs = {key: _Job(*job) for key, job in jobs.items()}
        self._slots = slots
        if jobs:
            self._whole = self._bars.add_task(self._counts(), total=len(jobs), eta="")
            self._say(f"{self._counts()} to do, {slots} at once")

    def start(self, key: str) -> None:
        """A worker has begun a job."""
        self._jobs[key].started = time.monotonic()

    def advance(self, key: str, done: int, total: int) -> None:
        """Steps of one job done so far."""
        job = self._jobs[key]
        job.share = done / total
        job.first = job.first or (time.monotonic(), job.share)
        if key not in self._tasks and len(self._tasks) < ROWS:
            self._tasks[key] = self._bars.add_task(f"  {job.name}", total=total, eta="")
        if key in self._tasks:
            self._bars.update(self._tasks[key], completed=done, eta=f"eta {clock(self._left(job))}")
        if self._due():
            self._show(f"{job.name} step {done}/{total}, eta {clock(self._left(job))}")

    def put_off(self, key: str) -> None:
        """A job is not being done after all, for now."""
        job = self._jobs[key]
        job.started, job.first, job.share = None, None, 0.0
        self._remove_row(key)

    def finish(self, key: str) -> None:
        """One job is over, well or not."""
        job = self._jobs[key]
        job.end(time.monotonic())
        self._remove_row(key)
        missed = [one.cost / one.estimate for one in self._jobs.values() if one.kind == job.kind and one.cost]
        self._factors[job.kind] = statistics.median(missed) if missed else 1.0
        if self._whole is not None:
            self._bars.update(self._whole, advance=1, description=self._counts())
        self._show(f"{job.name} done")

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

        What is left is dealt out to the slots, longest first, as the workers will do: near the end there are fewer
        jobs than slots, and the time left is that of the longest of them.
        """
        now = time.monotonic()
        if not any(job.cost or job.share for job in self._jobs.values()):
            return None
        left = [(job, self._left(job, now)) for job in self._jobs.values() if job.cost is None]
        running = [seconds for job, seconds in left if job.started is not None]
        slots = [*running, *[0.0] * (self._slots - len(running))]
        heapq.heapify(slots)
        for seconds in sorted((seconds for job, seconds in left if job.started is None), reverse=True):
            heapq.heapreplace(slots, slots[0] + seconds)
        return max(slots)

    def _left(self, job: _Job, now: float | None = None) -> float:
        return job.left(time.monotonic() if now is None else now, self._factors.get(job.kind, 1.0))

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
