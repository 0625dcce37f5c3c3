"""One session over a set of claims: plan, run, judge, report. pytest and the command line both drive this."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, TextIO

from dtclaims.device import limited, machine_of, worker_count
from dtclaims.errors import StoreError, UsageError
from dtclaims.harness.commit import commit_of
from dtclaims.harness.declare.claim import Claim
from dtclaims.harness.declare.papers import common_publication, pages_of
from dtclaims.harness.declare.registry import load_claims
from dtclaims.harness.judge.attribution import attribution, next_set, relevant, variants
from dtclaims.harness.judge.document import BEYOND, Document, Family, Paper, Registration, made_now, with_holm
from dtclaims.harness.judge.entries import Entry
from dtclaims.harness.judge.exhibits import read_figures, read_tables
from dtclaims.harness.judge.judge import Judge
from dtclaims.harness.judge.regime import read_regime
from dtclaims.harness.judge.registration import read as read_registration
from dtclaims.harness.judge.words import Words
from dtclaims.harness.lab import Job, Reading, Stored
from dtclaims.harness.plan.again import again
from dtclaims.harness.plan.cells import Cell, cells_of
from dtclaims.harness.plan.estimate import Machine
from dtclaims.harness.plan.plan import Plan
from dtclaims.harness.plan.planner import make_plan
from dtclaims.harness.settings import Settings
from dtclaims.harness.store.recorded import Recorded
from dtclaims.harness.store.results import Results
from dtclaims.harness.store.store import Store

if TYPE_CHECKING:
    from dtclaims.harness.engine.agenda import Outcome
    from dtclaims.harness.engine.progress import Display

__all__ = ["Study", "cells_of"]


class Study:
    """Some cells, the plan they need and the place where their results are."""

    def __init__(
        self,
        cells: Sequence[Cell],
        settings: Settings,
        *,
        results: Results | None = None,
        recorded: Recorded | None = None,
    ) -> None:
        """Open the store and plan.

        Args:
            cells: to judge.
            settings: the user's choices.
            results: where results are, if not in the settings' store.
            recorded: the results that count, if not those that the present code would make.

        Raises:
            UsageError: the claims are about two papers, or a `paper.json` is broken.
            StoreError: the store is not ours, or may not be read.
            FixtureError: a shipped file is not the recorded one.
            DataError: the data asked for break their format.
            StoreError: a registration that is damaged, or not as it was sealed.
        """
        self.cells = list(cells)
        self.settings = settings
        self._until = None if settings.time_limit is None else time.monotonic() + settings.time_limit
        self.publication = common_publication(cell.claim.file.parent for cell in self.cells)
        # Now, not after hours of work: a page that cannot be read is an error.
        self.pages = pages_of(self.cells[0].claim.file.parent)
        self.results: Results = Store(settings.store) if results is None else results
        self._recorded = recorded
        self._registration = None if settings.registration is None else read_registration(settings.registration)
        self._failures: dict[str, str] = {}
        self._variants = {cell.name: variants(cell, settings.factors) for cell in self.cells if cell.form}
        self._tried = dict.fromkeys(self._variants, 1)
        self._plan_for([*self.cells, *(one for singles in self._variants.values() for one in singles.values())])
        for cell in self.cells:
            if cell.name in self._variants:
                self._variants[cell.name] = relevant(cell, self._variants[cell.name], self.plan)

    def _plan_for(self, cells: Sequence[Cell]) -> None:
        settings = self.settings
        self._planned = list(cells)
        self.plan: Plan = make_plan(
            cells,
            lab=settings.lab,
            session=settings.session,
            seeds=settings.seeds,
            device=settings.device,
            store=self.results,
            precision=settings.precision,
            recorded=self._recorded,
            given=settings.given,
            chosen=self._chosen,
        )
        self._judge = Judge(
            settings.lab,
            self.plan,
            self.results,
            settings.alpha,
            failures={**self.plan.faults, **self._failures},
            looks=settings.looks,
        )

    @property
    def store(self) -> Store:
        """The store, of a study that has one."""
        assert isinstance(self.results, Store)
        return self.results

    @property
    def verdicts(self) -> Judge:
        """What judges the cells of the present plan."""
        return self._judge

    def explained_by(self, cell: Cell) -> tuple[Mapping[str, Cell], int]:
        """The cell with one switch flipped, by switch, and how many switches the largest set had that was tried."""
        return self._variants.get(cell.name, {}), self._tried.get(cell.name, 1)

    @property
    def failures(self) -> Mapping[str, str]:
        """Key of a job → what went wrong with it in this session."""
        return self._failures

    def run(self, stream: TextIO) -> None:
        """Make and measure what is missing; then the larger sets of switches, where one alone explains nothing.

        Raises:
            UsageError: nothing of it can be done here.
            DtclaimsError: as `execute`.
        """
        self._check_possible()
        for line in self.departures():
            print(line, file=stream)
        left = self._execute(stream)
        # Sets are chosen by what smaller ones show, of which nothing is missing.
        while not left and (larger := self._larger_sets()):
            self._plan_for([*self._planned, *larger])
            left = self._execute(stream)

    def _check_possible(self) -> None:
        """Refuse a session on a GPU that could only say of each claim that it was not run."""
        from dtclaims.harness.plan.summary import reasons

        if not self.settings.scale.needs_gpu or self.plan.jobs:
            return
        if impossible := [one for one in reasons(self.plan, self.cells) if not one.declared]:
            most = max(impossible, key=lambda one: len(one.cells))
            raise UsageError(f"none of the claims can be tested here: {most.reason}", remedy=most.remedy)

    def preflight(self, stream: TextIO, say: Callable[[str], None]) -> bool:
        """Try every kind of job that is missing, and say what was found; whether the session can be begun.

        Args:
            stream: for progress.
            say: is given each line.

        Raises:
            UsageError: nothing can be done here.
            StoreError: the store's folder may not be written.
        """
        from dtclaims.harness.preflight import preflight

        self._check_possible()
        found = preflight(
            self.plan,
            self.cells,
            self.store,
            session=self.settings.session,
            execute=self._carry_out,
            stream=stream,
            machine=self.machine,
            limit=self.settings.time_limit,
        )
        for line in [*self.departures(), *found.lines, found.verdict]:
            say(line)
        return found.ready

    def _execute(self, stream: TextIO) -> int:
        """Do what is missing; how many jobs there was no time for."""
        from dtclaims.harness.engine.progress import Display

        outcome = self._carry_out(self.plan, self.store, Display(stream), self.settings.loggers, until=self._until)
        self._failures |= outcome.failures
        self._judge.failures = {**self.plan.faults, **self._failures}
        return outcome.left

    def _carry_out(
        self,
        plan: Plan,
        store: Store,
        display: "Display",
        loggers: Sequence[str] = (),
        *,
        until: float | None = None,
    ) -> "Outcome":
        from dtclaims.harness.engine.executor import execute

        settings = self.settings
        with limited(settings.gpus, settings.cores):
            return execute(
                plan,
                store,
                display,
                session=settings.session,
                folder=self.cells[0].claim.file.parent,
                workers=settings.workers,
                executor=settings.executor,
                ray_address=settings.ray_address,
                loggers=loggers,
                until=until,
            )

    def _larger_sets(self) -> list[Cell]:
        found = []
        for cell in self.cells:
            singles = self._variants.get(cell.name)
            if not singles or not self._judge.cell(cell).decided:
                continue
            larger = next_set(cell, singles, self._judge.cell, self._tried[cell.name])
            if larger is not None:
                self._tried[cell.name] += 1
                found.append(larger)
        return found

    def judge(self, cell: Cell) -> Entry:
        """The report's entry of one cell."""
        entry = self._judge.cell(cell)
        singles = self._variants.get(cell.name)
        if not singles:
            return entry
        return replace(entry, attribution=attribution(cell, singles, self._judge.cell, self._tried[cell.name]))

    def document(self, entries: Sequence[Entry]) -> Document:
        """The report."""
        settings, paper = self.settings, self.publication
        figures, tables = (
            settings.lab.figures(View(self.plan, self.results), settings.protocols, settings.alpha)
            if paper.figures
            else ({}, {})
        )
        return Document(
            paper=Paper(paper.title, paper.authors, paper.venue, paper.year, paper.url),
            provenance=made_now(
                seeds=self.plan.seeds,
                scale=settings.scale.name,
                scale_reason=settings.scale_reason,
                protocols=[protocol.name for protocol in settings.protocols],
                device=self.plan.device,
                alpha=settings.alpha,
                store=self.results.root,
                versions=self._versions(),
                label=paper.label or settings.session.label,
                tasks=settings.tasks,
                family=self._family,
                registration=self._registered(),
                commit=commit_of(self.cells[0].claim.file.parent),
                options=settings.options,
            ),
            claims=with_holm(entries, settings.alpha),
            figures=read_figures(figures),
            tables=read_tables(tables),
            words=Words.from_json(dict(settings.lab.words)),
            regime=read_regime(list(settings.lab.regime(View(self.plan, self.results), settings.protocols))),
            pages=self.pages,
        )

    @property
    def again(self) -> str:
        """The command that judges these claims again, as they were chosen."""
        settings = self.settings
        return again(
            self.cells[0].claim.file.parent,
            settings.scale,
            settings.given,
            protocol=settings.given.get("protocol", ""),
            task=settings.given.get("task", ""),
            seeds=self.plan.seeds if "seeds" in settings.given else (),
            claims=self._chosen,
        )

    @property
    def _chosen(self) -> tuple[str, ...]:
        """Ids of the study's claims, where the folder has more."""
        ids, family = tuple(dict.fromkeys(cell.claim.id for cell in self.cells)), self._family
        return ids if family is not None and len(ids) < family.claims else ()

    @cached_property
    def declared(self) -> Mapping[str, Claim]:
        """All claims of the folder by id; none where it does not say, as of claims in files of other names."""
        try:
            return load_claims(self.cells[0].claim.file.parent)
        except (UsageError, IndexError):
            return {}

    @property
    def _family(self) -> Family | None:
        """What the claims are some of."""
        claims = self.declared.values()
        return Family(len(claims), sum(one.headline for one in claims)) if claims else None

    def departures(self) -> list[str]:
        """What claims or choices are otherwise than in the registration that was named, and what is asked for beyond
        it: to be said before any run.

        Switches (`--attribute`, `--factor`) are no departure: a claim under them is a cell of its own, with looks of
        its own, on which no verdict that is registered rests.
        """
        if self._registration is None:
            return []
        differs, file = self._registration.departures(self._judged, self.settings), self.settings.registration
        said = [f"not as registered in {file}: {', '.join(differs)}; the report will say so"] if differs else []
        if any(self._variants.values()):
            said.append(f"beyond {file}: {BEYOND}")
        return said

    @property
    def _judged(self) -> list[Claim]:
        """The claims of the study, and those that are parts of one."""
        return list({cell.claim.id: cell.claim for cell in self._judged_cells}.values())

    @property
    def _judged_cells(self) -> list[Cell]:
        """The cells of the study, and those that are parts of one."""
        cells = {cell.name: cell for cell in self.cells}
        waiting = [part for cell in self.cells for part in cell.parts]
        while waiting:
            part = waiting.pop()
            cells.setdefault(part.name, part)
            waiting += part.parts
        return list(cells.values())

    def _registered(self) -> Registration | None:
        """What is to be said of the registration that was named."""
        if self._registration is None:
            return None
        # What was run beyond it, for switches, was no sight of what it registers.
        keys = dict.fromkeys(key for cell in self._judged_cells for key in self.plan.job_keys(cell))
        sound = [key for key in keys if key not in self.plan.faults]
        made = [found for key in sound if (found := self.store.made_at(key)) is not None]
        return self._registration.of_session(self._judged, self.settings, self._registration.before(made))

    def _versions(self) -> dict[str, str]:
        """Of all packages that results of the plan depend on."""
        found: dict[str, str] = {}
        for one in self.plan.jobs.values():
            found |= {name: str(version) for name, version in dict(one.identity.get("versions", {})).items() if version}
        return found

    @property
    def machine(self) -> Machine:
        """What the session works on, or is planned for."""
        settings = self.settings
        gpus, cores = machine_of(settings.device, settings.gpus, settings.cores)
        # In this process there is one job at a time.
        workers = 1 if settings.executor == "inline" else settings.workers
        return Machine(cores, worker_count(self.plan.per_gpu, workers, gpus, cores), gpus)

    def plan_lines(self, *, every: bool = False) -> list[str]:
        """The plan as tables by condition and task, its time, and what cannot be done; first what departs from a seal.

        Args:
            every: a line per run too.
        """
        from dtclaims.harness.plan.summary import plan_lines

        lab, limit = self.settings.lab, self.settings.time_limit
        planned = plan_lines(self.plan, self.cells, self.machine, self.store, lab, every=every, limit=limit)
        return [*self.departures(), *planned]


class View:
    """What a lab sees of a plan when it draws (`dtclaims.harness.lab.PlanView`)."""

    def __init__(self, plan: Plan, results: Results) -> None:
        self._plan, self._results = plan, results

    def readings(self) -> Sequence[tuple[Reading, tuple[str, ...]]]:
        """Every reading of the plan, with the keys of the jobs that it is read from."""
        return [(one.reading, one.keys) for one in self._plan.readings.values()]

    def jobs(self) -> Sequence[tuple[Job, str]]:
        """Every job that keeps files, with its key."""
        return [(one.job, key) for key, one in self._plan.runs.items()]

    def stored(self, key: str) -> Stored | None:
        """The result of a job that keeps files; None where it cannot be used: what is drawn leaves it out."""
        with suppress(StoreError):
            return self._results.find(key)
        return None

    def value(self, key: str) -> Any | None:
        """The value of a job that makes one; see `stored`."""
        with suppress(StoreError):
            return self._results.find_measurement(self._plan.jobs[key].identity)
        return None
