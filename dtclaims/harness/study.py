"""One session over a set of claims: plan, run, judge, report. pytest and the command line both drive this."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from dtclaims.harness.declare.claim import Claim
from dtclaims.harness.declare.experiments import Experiment, name_of
from dtclaims.harness.declare.papers import common_publication
from dtclaims.harness.engine.progress import clock
from dtclaims.harness.judge.attribution import attribution, next_set, relevant, variants
from dtclaims.harness.judge.judging import Judge, report_document
from dtclaims.harness.plan.planner import Cell, Plan, make_plan
from dtclaims.harness.settings import Settings
from dtclaims.harness.store.recorded import Recorded
from dtclaims.harness.store.results import Results
from dtclaims.harness.store.store import Store
from dtclaims.lab.measurements import MEASUREMENTS


def cells_of(claims: Iterable[Claim], settings: Settings) -> list[Cell]:
    """Every claim under every protocol asked for, at the scale asked for."""
    return [Cell(one, protocol, settings.scale, settings.tasks) for one in claims for protocol in settings.protocols]


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
            StoreError: the store is not ours, or a run that is needed is damaged.
            FixtureError: a shipped file is not the recorded one.
            DataError: the data asked for break their format.
        """
        self.cells = list(cells)
        self.settings = settings
        self.publication = common_publication(cell.claim.file.parent for cell in self.cells)
        self.results: Results = Store(settings.store) if results is None else results
        self._recorded = recorded
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
            seeds=settings.seeds,
            device=settings.device,
            store=self.results,
            sources=settings.sources,
            precision=settings.precision,
            recorded=self._recorded,
        )
        self._judge = Judge(self.plan, self.results, settings.alpha)

    @property
    def store(self) -> Store:
        """The store, of a study that has one."""
        assert isinstance(self.results, Store)
        return self.results

    def run(self, stream: TextIO) -> None:
        """Train and measure what is missing; then the larger sets of switches, where one alone explains nothing."""
        self._execute(stream)
        while larger := self._larger_sets():
            self._plan_for([*self._planned, *larger])
            self._execute(stream)

    def _execute(self, stream: TextIO) -> None:
        from dtclaims.harness.engine.executor import execute
        from dtclaims.harness.engine.progress import Display

        settings = self.settings
        self._judge.failures = execute(
            self.plan,
            self.store,
            Display(stream),
            workers=settings.workers,
            executor=settings.executor,
            ray_address=settings.ray_address,
            loggers=settings.loggers,
        ).failures

    def _larger_sets(self) -> list[Cell]:
        found = []
        for cell in self.cells:
            singles = self._variants.get(cell.name)
            if not singles or self._judge.cell(cell)["verdict"] in ("not_run", "error"):
                continue
            larger = next_set(cell, singles, self._judge.cell, self._tried[cell.name])
            if larger is not None:
                self._tried[cell.name] += 1
                found.append(larger)
        return found

    @property
    def verdicts(self) -> Judge:
        """What judges the cells of the present plan."""
        return self._judge

    def explained_by(self, cell: Cell) -> tuple[Mapping[str, Cell], int]:
        """The cell with one switch flipped, by switch, and how many switches the largest set had that was tried."""
        return self._variants.get(cell.name, {}), self._tried.get(cell.name, 1)

    def judge(self, cell: Cell) -> dict[str, Any]:
        """The report's entry of one cell."""
        entry = self._judge.cell(cell)
        singles = self._variants.get(cell.name)
        if not singles:
            return entry
        return {**entry, "attribution": attribution(cell, singles, self._judge.cell, self._tried[cell.name])}

    def document(self, entries: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """The report as plain data."""
        settings = self.settings
        names = [protocol.name for protocol in settings.protocols]
        figures, tables = self._figures_and_tables(names) if self.publication.figures else ({}, {})
        return report_document(
            entries,
            publication=self.publication,
            figures=figures,
            tables=tables,
            scale=settings.scale,
            scale_reason=settings.scale_reason,
            protocols=names,
            plan=self.plan,
            alpha=settings.alpha,
            store=self.results,
        )

    def _figures_and_tables(self, protocols: Sequence[str]) -> tuple[dict[str, Any], dict[str, Any]]:
        from dtclaims.lab.figures.ours import OurFigures

        ours = OurFigures(self.plan, self.results, protocols, self.settings.alpha)
        return ours.figures(), ours.tables()

    def write_report(self, document: dict[str, Any]) -> dict[str, Path]:
        """Write report.json, report.html and report.md; their paths by format."""
        from dtclaims.harness.report import render

        return render(document, self.settings.report)

    def plan_lines(self) -> list[str]:
        """The plan as a table: one line per run and experiment, then the totals."""
        from dtclaims.harness.engine.executor import places

        lines = []
        for run in sorted(self.plan.runs.values(), key=lambda run: (run.cached, run.spec.name)):
            cost = "cached" if run.cached else f"~{clock(run.seconds)}"
            lines.append(f"{run.key}  {cost:>8}  {run.spec.name}")
        lines += self._experiment_lines()
        missing = self.plan.missing()
        workers = len(places(self.plan, self.settings.workers))
        total = sum(run.seconds for run in missing) / workers
        if self.plan.runs or not lines:
            lines.append(
                f"{len(self.plan.runs)} runs: {len(self.plan.runs) - len(missing)} cached, {len(missing)} to train, "
                f"about {clock(total)} on {workers} {'process' if workers == 1 else 'processes'}"
            )
        for name, missing_input in self.plan.unavailable.items():
            lines.append(f"not run: {' '.join(name)}: {missing_input.reason}. {missing_input.remedy}")
        return lines

    def _experiment_lines(self) -> list[str]:
        """One line per experiment of the plan, then how many there are."""
        found = [one for one in self.plan.measurements.values() if isinstance(MEASUREMENTS[one.name], Experiment)]
        lines, cached = [], 0
        for one in found:
            stored = self.store.find_measurement(one.identity) is not None
            cached += stored
            lines.append(f"{one.key}  {'cached' if stored else 'to take':>8}  {name_of(one.identity)}")
        if found:
            lines.append(f"{len(found)} experiments: {cached} cached, {len(found) - cached} to take")
        return lines
