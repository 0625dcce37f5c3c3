"""From stored measurements to the claims of a report. Needs no torch."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from dtclaims.addresses import versions
from dtclaims.errors import DtclaimsError, PoolingError
from dtclaims.harness.declare.claim import ALL_TASKS, SINGLE
from dtclaims.harness.declare.experiments import Experiment
from dtclaims.harness.declare.papers import Publication
from dtclaims.harness.judge.builder import Basis, Declared, failed, judged, not_run, with_parts
from dtclaims.harness.judge.document import Document, Paper, made_now, with_holm
from dtclaims.harness.judge.entries import Entry, PaperValue, RunUsed
from dtclaims.harness.judge.exhibits import read_figures, read_tables
from dtclaims.harness.judge.looks import count_looks
from dtclaims.harness.judge.words import Words
from dtclaims.harness.plan.planner import Cell, Plan
from dtclaims.harness.store.pooling import pool
from dtclaims.harness.store.results import Results
from dtclaims.harness.store.store import StoredRun
from dtclaims.lab.data.scores import score_reference
from dtclaims.lab.design.scales import Scale
from dtclaims.lab.design.tasks import get_task
from dtclaims.lab.design.words import RUN, SCALES, VALUES
from dtclaims.lab.measurements import MEASUREMENTS

T = TypeVar("T")


@dataclass
class Judge:
    """Judges cells of one plan against one store, or one file of evidence."""

    plan: Plan
    store: Results
    alpha: float
    failures: Mapping[str, str] = field(default_factory=dict)
    """Run or measurement key → what went wrong in this session."""
    _entries: dict[tuple[str, str, str], Entry] = field(default_factory=dict)

    def cell(self, cell: Cell) -> Entry:
        """The report's entry of one claim under one protocol at one scale."""
        if cell.name not in self._entries:
            self._entries[cell.name] = self._entry(cell)
        return self._entries[cell.name]

    def _entry(self, cell: Cell) -> Entry:
        declared = declared_of(cell)
        missing = self.plan.unavailable.get(cell.name)
        if missing is not None:
            return not_run(declared, missing.reason, missing.remedy)
        own = self._own(cell, declared) if cell.form is not None else None
        if not cell.claim.parts:
            assert own is not None
            return own
        # A part that this protocol cannot test is left out: the composite says what can be said.
        parts = [part for part in cell.parts if cell.protocol.base in part.claim.protocols]
        return with_parts(declared, own, [self.cell(part) for part in parts])

    def _own(self, cell: Cell, declared: Declared) -> Entry:
        """What a cell's own effect says, its parts aside."""
        keys = self.plan.run_keys(cell)
        went_wrong = [self.failures[key] for key in (*keys, *self.plan.measurement_keys(cell)) if key in self.failures]
        if went_wrong:
            return failed(declared, went_wrong[0])
        runs = {key: self.store.find(key) for key in keys}
        absent = [key for key, run in runs.items() if run is None]
        if absent:
            reason = f"{len(absent)} of {len(keys)} runs are not in {self.store.called}"
            return not_run(declared, reason, _remedy(cell, self.plan))
        stored = {key: run for key, run in runs.items() if run is not None}
        basis = Basis(
            tuple(self._run_used(run) for run in stored.values()),
            _diagnostics(list(stored.values())),
            self._experiments(cell),
        )
        if stored:
            try:
                pooled = pool([_provenance(cell, run) for run in stored.values()])
            except PoolingError as error:
                return failed(declared, str(error), basis)
            basis = replace(basis, provenance={**basis.provenance, **pooled})
        try:
            effects = self._effects(cell, stored)
        except NotMeasured:
            return not_run(declared, f"a measurement is not in {self.store.called}", _remedy(cell, self.plan), basis)
        except Exception as error:
            return failed(declared, _explain(error), basis)
        looks = count_looks(cell.name, self.plan, self.store)
        return judged(declared, declared.judge(effects, alpha=self.alpha, looks=looks), effects, basis)

    def _effects(self, cell: Cell, stored: Mapping[str, StoredRun]) -> dict[str, dict[int, float]]:
        """Component → seed → effect."""
        form = cell.form
        assert form is not None
        effects: dict[str, dict[int, float]] = {}
        for seed, by_task in self.plan.needs[cell.name].items():
            for task, by_need in by_task.items():
                values = {name: self._value(key, stored) for name, key in by_need.items()}
                for part, value in form(**values).items():
                    effects.setdefault(component(part, task, cell), {})[seed] = value
        return effects

    def _value(self, key: str, stored: Mapping[str, StoredRun]) -> Any:
        planned = self.plan.measurements[key]
        measurement = MEASUREMENTS[planned.name]
        if measurement.from_curves is not None:
            (run,) = planned.runs
            return measurement.from_curves(stored[run], planned.switches, **planned.parameters)
        value = self.store.find_measurement(planned.identity)
        if value is None:
            raise NotMeasured(planned.name)
        return value

    def _experiments(self, cell: Cell) -> dict[str, Any]:
        """What the values of a cell's experiments depend on, as part of its provenance."""
        planned = [self.plan.measurements[key] for key in self.plan.measurement_keys(cell)]
        found = {one.name: one.identity["depends"] for one in planned if isinstance(MEASUREMENTS[one.name], Experiment)}
        return {"experiments": found} if found else {}

    def _run_used(self, run: StoredRun) -> RunUsed:
        spec = run.identity["spec"]
        condition = {name: spec[name] for name in ("arm", "task", "context")}
        return RunUsed(run.key, condition, spec["seed"], self.plan.runs[run.key].cached, run.result["seconds"])


class NotMeasured(Exception):
    """A run is stored but a measurement of it is not, and this session may not take it."""


def component(part: str, task: str, cell: Cell) -> str:
    """The name of one part on one task, as short as it can be told apart."""
    if len(cell.judged_tasks) == 1:
        return part
    return task if part == SINGLE else f"{part} ({task})"


def _components(cell: Cell, parts: Mapping[str, T]) -> dict[str, T]:
    """By component what is declared by part."""
    return {component(part, task, cell): value for task in cell.judged_tasks for part, value in parts.items()}


def declared_of(cell: Cell) -> Declared:
    """What an entry says before anything is judged."""
    claim, form, base = cell.claim, cell.form, cell.protocol.base
    says = dict.fromkeys(need.measurement for need in form.needs.values()) if form else {}
    measured = [form.doc, *(MEASUREMENTS[name].says[base] for name in says)] if form else []
    if claim.parts:
        measured.append(f"Holds only if its parts do: {', '.join(claim.parts)}.")
    whole = Declared(
        id=claim.id,
        section=claim.section,
        headline=claim.headline,
        quote=claim.quote,
        scope=_scope(cell),
        protocol=cell.protocol.name,
        scale=cell.scale.name,
        paper=PaperValue(claim.paper.text, numbers=tuple(_paper_numbers(cell))),
        deviations=tuple(claim.deviations),
        switches={} if cell.experiments_only else dict(cell.protocol.switches),
        measured=" ".join(measured),
        parts=tuple(claim.parts),
    )
    if form is None:
        return whole
    return replace(
        whole,
        effect=form.effect,
        predicates=_components(cell, form.predicates),
        units=_components(cell, form.units),
        any_of=tuple(
            frozenset(component(part, task, cell) for task in cell.judged_tasks) for part in sorted(form.any_of)
        ),
    )


def _scope(cell: Cell) -> str:
    """The claim's scope, and where it was judged if that is less."""
    judged, declared = cell.judged_tasks, cell.claim.tasks
    if set(judged) == set(declared) or not declared:
        return cell.claim.scope
    return f"{cell.claim.scope}; judged on {' and '.join(judged) or 'none'} only, of {', '.join(declared)}"


def _paper_numbers(cell: Cell) -> list[float]:
    """The paper's numbers: all of them for one component, else one for each, if the paper has that.

    None where the protocol tests another quantity than the paper reports.
    """
    form, paper = cell.form, cell.claim.paper
    if form is not cell.claim.form:
        return []
    count = len(form.predicates) if form else 1
    if not isinstance(paper.numbers, Mapping):
        return list(paper.numbers) if len(cell.judged_tasks) == 1 else []
    by_task = [list(paper.numbers.get(task, ())) for task in cell.judged_tasks]
    if len(by_task) == 1:
        return by_task[0]
    if count == 1:
        return [found[0] for found in by_task] if all(by_task) else []
    return [number for found in by_task for number in found] if all(len(one) == count for one in by_task) else []


def _diagnostics(runs: Sequence[StoredRun]) -> dict[str, float]:
    """What explains failures, averaged over the last epoch of the runs (DEV-11): how saturated, clipped and wrong."""
    found: dict[str, list[float]] = {}
    for run in runs:
        for name in ("saturated", "clipped", "action_error", "held_out_error"):
            if curve := run.result["curves"].get(name):
                found.setdefault(name, []).append(curve[-1])
        for name, value in run.result.get("diagnostics", {}).items():
            found.setdefault(name, []).append(value)
    return {name: sum(values) / len(values) for name, values in found.items()}


def _remedy(cell: Cell, plan: Plan) -> str:
    listed = ",".join(map(str, plan.seeds))
    gpu = " -m gpu" if cell.scale.needs_gpu else ""
    given = {"data": plan.sources.data, **{f"{kind}-model": name for kind, name in plan.sources.backbones.items()}}
    own = "".join(f" --{option} {shlex.quote(value)}" for option, value in given.items() if value)
    tasks = ",".join(cell.tasks) if set(cell.tasks) != set(ALL_TASKS) else "all"
    scope = f"--protocol {cell.protocol.base}"
    if not cell.experiments_only:
        scope = f"--scale {cell.scale.name} {scope} --task {tasks}"
    return f"pytest {_folder(cell)}{gpu} {scope} --seeds {listed},{own} --claim {cell.claim.id}"


def _folder(cell: Cell) -> str:
    """The claim's folder as it is named on a command line here."""
    folder = cell.claim.file.parent.resolve()
    return shlex.quote(str(folder.relative_to(Path.cwd()) if folder.is_relative_to(Path.cwd()) else folder))


def _provenance(cell: Cell, run: StoredRun) -> tuple[str, dict[str, Any]]:
    """A run's task and provenance, with the returns that mean score 0 and 100 where the claim reads scores."""
    task = get_task(run.identity["spec"]["task"])
    provenance = dict(run.result["provenance"])
    form = cell.form
    if form and any("score_refs" in MEASUREMENTS[need.measurement].switches for need in form.needs.values()):
        name = cell.protocol["score_refs"]
        low, high = score_reference(task, name)
        provenance["score_reference"] = {"name": name, "random": low, "expert": high}
    return task.name, provenance


def _explain(error: Exception) -> str:
    return str(error) if isinstance(error, DtclaimsError) else f"{type(error).__name__}: {error}"


def report_document(
    entries: Sequence[Entry],
    *,
    publication: Publication,
    scale: Scale,
    scale_reason: str,
    protocols: Sequence[str],
    plan: Plan,
    alpha: float,
    store: Results,
    figures: Mapping[str, Any] | None = None,
    tables: Mapping[str, Any] | None = None,
) -> Document:
    """The whole report.

    Args:
        entries: of the judged cells, in the order to show.
        publication: the paper they are about.
        scale: of the session.
        scale_reason: why that one.
        protocols: names of those asked for.
        plan: what the session rests on.
        alpha: of every verdict, on each side.
        store: where the runs are.
        figures: ours, by id; the paper's values are put beside them. Only for the paper whose values we have.
        tables: likewise.
    """
    from dtclaims.lab.figures.paper_values import complete

    drawn, listed = complete(figures or {}, tables or {}) if publication.figures else ({}, {})
    return Document(
        paper=Paper(**publication.to_json()),
        provenance=made_now(
            seeds=plan.seeds,
            scale=scale.name,
            scale_reason=scale_reason,
            protocols=protocols,
            device=plan.device,
            alpha=alpha,
            store=store.root,
            versions=versions(),
            label=publication.label or _label(scale, plan),
        ),
        claims=with_holm(entries, alpha),
        figures=read_figures(drawn),
        tables=read_tables(listed),
        words=Words(SCALES, RUN, VALUES),
    )


def _label(scale: Scale, plan: Plan) -> str:
    """What the verdicts are evidence of; the scale's own words speak of collected data."""
    names = sorted({str(run.inputs.data["name"]) for run in plan.runs.values() if "name" in run.inputs.data})
    return scale.label.replace("self-collected data", f"data from {', '.join(names)}") if names else scale.label
