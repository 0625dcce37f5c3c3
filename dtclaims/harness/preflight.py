"""Preflight: every kind of job that a plan holds is done once, for a few steps, before hours are spent on all of them.

Everything is the session's own but the number of steps: data, weights, device, precision, executor, workers, and groups
as large as it would make. What a job takes is then known, and so whether all of them can be had here. Results go into a
folder inside the store's, which is removed.
"""

import math
import shutil
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TextIO

from dtclaims.addresses import key_of
from dtclaims.errors import DtclaimsError
from dtclaims.files import bytes_in, writing
from dtclaims.harness.counting import count
from dtclaims.harness.engine.agenda import Outcome
from dtclaims.harness.engine.limit import forecast
from dtclaims.harness.engine.memory import CONTEXT, Watch
from dtclaims.harness.engine.progress import Display, clock
from dtclaims.harness.engine.room import size
from dtclaims.harness.lab import Job, Session
from dtclaims.harness.plan.cells import Cell
from dtclaims.harness.plan.estimate import Machine
from dtclaims.harness.plan.plan import Plan, PlannedJob
from dtclaims.harness.plan.planner import identity_of
from dtclaims.harness.plan.summary import impossible_lines, machine_words, reasons
from dtclaims.harness.store.store import Store

Execute = Callable[[Plan, Store, Display], Outcome]
"""Carries a plan out as the session would."""


@dataclass
class Kind:
    """Jobs that one stands for: they run the same code, and cost alike."""

    jobs: list[PlannedJob] = field(default_factory=list)
    """That are to be made."""


def kind_of(job: Job) -> Hashable:
    """What jobs of one kind have in common: all but their seeds and what they are made of.

    They run the same code under the same switches. Those that keep files are tried on each task with each set of
    weights, and of each length: by it they keep more files or fewer.
    """
    code = (job.code.entries, tuple(sorted((table, str(chosen)) for table, chosen in job.code.chosen.items())))
    kind = (job.kind, code, job.cost.like, key_of(dict(job.how)))
    return (*kind, job.task, job.cost.steps) if job.keeps_files else kind


def kinds_of(plan: Plan) -> list[Kind]:
    """Kinds of the jobs that are still to be made, those that keep files first."""
    found: dict[Hashable, Kind] = defaultdict(Kind)
    for one in sorted(plan.jobs.values(), key=lambda one: not one.job.keeps_files):
        if not one.cached:
            found[kind_of(one.job)].jobs.append(one)
    return list(found.values())


def chosen(plan: Plan, kinds: Sequence[Kind]) -> list[str]:
    """Keys of the jobs that are tried, with what they read, in the plan's order: of each kind one, and groups filled.

    Memory is taken by whole groups, and what is compiled for one size of group serves no other. So with a job are tried
    others that would share a group with it, up to as many as the session would put together.
    """
    alike: dict[str, list[PlannedJob]] = defaultdict(list)
    for one in (one for kind in kinds for one in kind.jobs if one.job.together is not None):
        alike[str(one.job.together)].append(one)
    found: set[str] = set()

    def price(one: PlannedJob) -> tuple[int, int]:
        """What reads results that are tried anyway needs no others; of runs, those of large groups take most."""
        return len(set(_read_by(one, plan)) - found), -len(alike.get(str(one.job.together), ()))

    for kind in kinds:
        if not found.intersection(one.key for one in kind.jobs):
            one = min(kind.jobs, key=price)
            found.update((one.key, *_read_by(one, plan)))
    for jobs in alike.values():
        taken = sum(one.key in found for one in jobs)
        most = jobs[0].job.most_together
        found.update([one.key for one in jobs if one.key not in found][: math.ceil(taken / most) * most - taken])
    return [key for key in plan.jobs if key in found]


def _read_by(one: PlannedJob, plan: Plan) -> list[str]:
    """Keys of all that a job reads, and of what that reads."""
    found: dict[str, None] = {}
    waiting = list(one.needs)
    while waiting:
        key = waiting.pop()
        if key not in found:
            found[key] = None
            waiting += plan.jobs[key].needs
    return list(found)


def rehearsal_of(plan: Plan, keys: Iterable[str], session: Session) -> tuple[Plan, dict[str, str]]:
    """A plan of short jobs, and by a job's key that of its rehearsal.

    Args:
        plan: of the session.
        keys: of the jobs that are tried; what a job reads stands before it.
        session: of the lab, which shortens them if it can (`dtclaims.harness.lab.Rehearses`).
    """
    shorten: Callable[[Job, tuple[Job, ...]], Job] | None = getattr(session, "rehearsal", None)
    made = Plan(plan.seeds, plan.device, plan.precision, per_gpu=plan.per_gpu)
    short: dict[str, str] = {}
    for key in keys:
        one = plan.jobs[key]
        needs = tuple(short[need] for need in one.needs)
        jobs = tuple(made.jobs[need].job for need in needs)
        job = replace(one.job, needs=jobs) if shorten is None else shorten(one.job, jobs)
        identity = identity_of(job, needs)
        short[key] = key_of(identity)
        planned = replace(one, job=job, identity=identity, key=short[key], needs=needs, cached=False, cost=job.cost)
        # Two lengths of one run may have one rehearsal.
        made.jobs.setdefault(short[key], planned)
    return made, short


class _Watching(Display):
    """Shows the progress, and knows afterwards how long each job took and what was to be said of it."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self.seconds: dict[str, float] = {}
        self.notes: dict[str, None] = {}

    def note(self, text: str) -> None:
        """See `Display.note`."""
        super().note(text)
        self.notes[text] = None

    def finish(self, key: str) -> float:
        """See `Display.finish`."""
        self.seconds[key] = super().finish(key)
        return self.seconds[key]


@dataclass
class Findings:
    """What a preflight found."""

    lines: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    """What is to be mended, each with its remedy; the first is what is said last."""

    @property
    def ready(self) -> bool:
        """Whether nothing is."""
        return not self.problems

    @property
    def verdict(self) -> str:
        """The last line."""
        return f"preflight: not ready: {self.problems[0]}" if self.problems else "preflight: ready"


def preflight(
    plan: Plan,
    cells: Sequence[Cell],
    store: Store,
    *,
    session: Session,
    execute: Execute,
    stream: TextIO,
    machine: Machine,
    limit: float | None = None,
) -> Findings:
    """Try what a plan holds.

    Args:
        plan: of the session.
        cells: that it is for.
        store: of the session; nothing in it changes.
        session: of the lab.
        execute: does what it is given as the session would.
        stream: for progress.
        machine: that the session has.
        limit: seconds that its jobs have.

    Raises:
        StoreError: the store's folder may not be written.
        KeyboardInterrupt: it was stopped; what it made is removed.
    """
    found, kinds = Findings(), kinds_of(plan)
    if kinds:
        _try(plan, kinds, store, session, execute, stream, machine, found)
        seconds = plan.schedule(plan.to_do(), machine).seconds
        found.lines.append(f"time: about {clock(seconds)} for all of it on {machine_words(machine)}")
        if limit is not None:
            fit = forecast(plan, store, machine, limit)
            found.lines.append(fit.told())
            found.problems += [fit.told()] * fit.nothing_fits
    elif plan.jobs:
        found.lines.append(f"all {count(len(plan.jobs), 'job')} are stored: nothing is left but to judge")
    else:
        why = [one for one in reasons(plan, cells) if not one.declared] or reasons(plan, cells)
        found.problems.append(f"nothing can be done here: {why[0].reason}. {why[0].remedy}" if why else "no claim")
    found.lines += impossible_lines(plan, cells)
    return found


def _try(
    plan: Plan,
    kinds: Sequence[Kind],
    store: Store,
    session: Session,
    execute: Execute,
    stream: TextIO,
    machine: Machine,
    found: Findings,
) -> None:
    short, short_of = rehearsal_of(plan, chosen(plan, kinds), session)
    with writing(store.root):
        folder = Path(tempfile.mkdtemp(prefix="preflight-", dir=store.root))
    own, display = Store(folder), _Watching(stream)
    lost: Mapping[str, str] = {}
    try:
        with Watch(plan.device) as watch:
            try:
                lost = execute(short, own, display).failures
            except DtclaimsError as error:
                # A full disk ends all of it.
                found.problems.append(str(error))
        tried = _Tried(short, short_of, own, lost, display.seconds)
        tried.tell(kinds, found)
        # Such as a group that did not fit and went on in halves.
        found.lines += [f"note: {text}" for text in display.notes]
        tried.room(kinds, found, store, machine.workers)
        tried.memory(found, watch, machine.workers)
    finally:
        if lost:
            found.lines.append(f"what was made is in {folder}, to be looked at and deleted")
        else:
            shutil.rmtree(folder, ignore_errors=True)


@dataclass
class _Tried:
    """Jobs that were tried, and how that went."""

    short: Plan
    short_of: Mapping[str, str]
    store: Store
    failures: Mapping[str, str]
    """By key of the rehearsal."""
    seconds: Mapping[str, float]

    def of(self, kind: Kind) -> list[str]:
        """Keys of the rehearsals of jobs of a kind."""
        return list(dict.fromkeys(self.short_of[one.key] for one in kind.jobs if one.key in self.short_of))

    def demand(self, key: str, name: str) -> float:
        """What the job of a rehearsal takes, in bytes."""
        run = self.store.find(key)
        if run is None:
            return 0.0
        told = run.result.get("rehearsal")
        if isinstance(told, Mapping):
            return float(told.get(name, 0))
        return float(bytes_in(run.folder)) if name == "kept" else 0.0

    def tell(self, kinds: Sequence[Kind], found: Findings) -> None:
        """A line for each kind of job that keeps files, one for all others that went well, one for each failure."""
        total = sum(len(kind.jobs) for kind in kinds)
        found.lines.append(
            f"{count(len(self.short.jobs), 'job')} of {count(len(kinds), 'kind')} tried, for {total} that are missing"
        )
        values: list[tuple[float, str]] = []
        for kind in kinds:
            keys = self.of(kind)
            lost = next((key for key in keys if key in self.failures), None)
            if lost is None and not any(key in self.seconds for key in keys):
                # Everything was ended before it.
                continue
            if lost is not None:
                self._failed(lost, kind, found)
                continue
            first = keys[0]
            spent = self.seconds.get(first, 0.0)
            if kind.jobs[0].job.keeps_files:
                found.lines.append(f"made    {clock(spent):>6}  {self._named(first)}, for {len(kind.jobs)}")
            else:
                values.append((spent, self.short.jobs[first].job.name))
        if values:
            slowest, name = max(values)
            found.lines.append(
                f"made    {clock(sum(one for one, _ in values)):>6}  {count(len(values), 'kind')} of values, "
                f"the slowest in {clock(slowest)}: {name}"
            )

    def _failed(self, key: str, kind: Kind, found: Findings) -> None:
        name, text = self.short.jobs[key].job.name, self.failures[key]
        text = text.strip().splitlines()[0] if text.strip() else "no reason given"
        found.lines.append(f"FAILED          {name}, for {len(kind.jobs)}: {text}")
        found.problems.append(f"{name}: {text}")

    def _named(self, key: str) -> str:
        job = self.short.jobs[key].job
        size_of = Counter(one.job.together for one in self.short.jobs.values())[job.together] if job.together else 1
        beside = f", {min(size_of, job.most_together)} together" if job.together else ""
        gpu = self.demand(key, "gpu")
        return f"{job.name}{beside}{f', {size(gpu)} of a GPU' if gpu else ''}"

    def room(self, kinds: Sequence[Kind], found: Findings, store: Store, workers: int) -> None:
        """The disk: what all results take, and what is at work, beside what there is."""
        kept = at_work = 0.0
        values = max(1, sum(not one.job.keeps_files for one in self.short.jobs.values()))
        each = bytes_in(self.store.root / "measurements") / values
        for kind in kinds:
            job = kind.jobs[0].job
            demands = [self.demand(key, "kept") for key in self.of(kind)]
            kept += len(kind.jobs) * (max(demands, default=0.0) if job.keeps_files else each)
            states = max((self.demand(key, "at_work") for key in self.of(kind)), default=0.0)
            # As many as can be at work at once, were they all of the dearest kind.
            at_work = max(at_work, states * min(len(kind.jobs), workers * job.most_together))
        free = store.free()
        found.lines.append(
            f"disk: {size(kept)} for results and at most {size(at_work)} while they are made, "
            f"{size(free)} free at {store.root}"
        )
        if kept + at_work > free:
            found.problems.append(
                f"{size(kept + at_work)} of disk are needed and {size(free)} are free at {store.root}. "
                "Make room, or name another folder with --store."
            )

    def memory(self, found: Findings, watch: Watch, workers: int) -> None:
        """What was held at once, and what would be if the dearest groups met on one GPU."""
        held = f"{size(watch.process)} of {size(watch.there)}"
        found.lines.append(f"memory: at most {held} was held by all processes")
        if watch.process > watch.there:
            found.problems.append(
                f"{held} of memory were needed, and the rest was swapped. Use fewer processes: --workers N."
            )
        if watch.gpu is None:
            return
        dearest: dict[str, float] = {}
        for key, one in self.short.jobs.items():
            group = one.job.together or key
            dearest[group] = max(dearest.get(group, 0.0), self.demand(key, "gpu"))
        sharing = max(1, -(-workers // max(1, watch.gpus)))
        together = [one + CONTEXT for one in sorted(dearest.values(), reverse=True)[:sharing]]
        needed, there = max(watch.gpu[0], sum(together)), watch.gpu[1]
        found.lines.append(
            f"GPU memory: at most {size(watch.gpu[0])} of {size(there)} was held on one, {size(needed)} if the "
            f"{count(len(together), 'dearest group')} meet there"
        )
        if needed > there:
            found.problems.append(
                f"{size(needed)} of a GPU's memory may be needed and it has {size(there)}. "
                f"Let fewer share one: --workers {watch.gpus * max(1, sharing - 1)}."
            )
