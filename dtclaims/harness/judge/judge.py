"""From stored results to the entries of a report. Needs nothing heavy."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from dtclaims.errors import DtclaimsError, StatisticsError, StoreError, words_of
from dtclaims.harness.declare.claim import SINGLE, Form
from dtclaims.harness.judge.builder import (
    ELSEWHERE,
    OTHERWISE,
    Basis,
    Checked,
    Declared,
    Effects,
    failed,
    judge_check,
    judged,
    not_evaluable,
    not_run,
    presupposed_is_missing,
    with_parts,
)
from dtclaims.harness.judge.calibration import drawn_effects, readings
from dtclaims.harness.judge.entries import SEED, Entry, Over, PaperValue, Reach, RunUsed
from dtclaims.harness.judge.factors import factors_of
from dtclaims.harness.judge.looks import look
from dtclaims.harness.judge.reachable import reach_of, testable, tested
from dtclaims.harness.lab import Lab, Provenance
from dtclaims.harness.plan.again import again
from dtclaims.harness.plan.cells import Cell, Name
from dtclaims.harness.plan.plan import Plan
from dtclaims.harness.stats.reach import Reach as Reachable
from dtclaims.harness.stats.spending import level_of_look
from dtclaims.harness.store.pooling import pool
from dtclaims.harness.store.results import Results
from dtclaims.harness.store.store import StoredRun

ABSENT = "a measurement is not in {}"


@dataclass
class Judge:
    """Judges cells of one plan against one store, or one file of evidence."""

    lab: Lab
    plan: Plan
    store: Results
    alpha: float
    failures: Mapping[str, str] = field(default_factory=dict)
    """Key of a job → what went wrong in this session."""
    looks: tuple[int, ...] | None = None
    """At which numbers of seeds the claims were declared to be judged; None if nothing was declared."""
    _entries: dict[Name, Entry] = field(default_factory=dict)

    def cell(self, cell: Cell) -> Entry:
        """The report's entry of one claim under one protocol at one scale."""
        if cell.name not in self._entries:
            self._entries[cell.name] = self._entry(cell)
        return self._entries[cell.name]

    def _entry(self, cell: Cell) -> Entry:
        declared = self.declared(cell)
        missing = self.plan.unavailable.get(cell.name)
        if missing is not None:
            return not_run(declared, missing.reason, missing.remedy)
        own = self._own(cell, declared) if cell.form is not None else None
        if not cell.claim.parts:
            assert own is not None
            return own
        # A part that this protocol cannot test is left out: the composite says what can be said.
        return with_parts(declared, own, [self.cell(part) for part in testable(cell)], alpha=self.alpha)

    def own(self, cell: Cell) -> Entry:
        """The entry of a cell that is tested by an effect of its own, as if it had no parts."""
        return self._own(cell, self.declared(cell))

    def declared(self, cell: Cell) -> Declared:
        """What an entry says before anything is judged, with what its seeds can say at all."""
        factors = factors_of(self.plan, cell)
        over = Over(factors.sentence(), " with the ".join(factors.varying) or SEED, factors.levels)
        return replace(
            declared_of(cell),
            over=over if factors.by_seed else None,
            reachable=None
            if cell.name in self.plan.unavailable
            else _shown(reach_of(cell, self.observations, alpha=self.alpha)),
        )

    def observations(self, cell: Cell) -> int:
        """How many independent observations a cell has: seeds, or what several of them are of."""
        units = factors_of(self.plan, cell).unit_of
        return len(set(units.values())) if units else len(self.plan.seeds)

    def effects(self, cell: Cell) -> Effects:
        """Component → seed → effect of a cell whose runs and measurements are there."""
        found = {key: self.store.find(key) for key in self.plan.run_keys(cell)}
        return self._effects(cell, {key: run for key, run in found.items() if run is not None})

    def _own(self, cell: Cell, declared: Declared) -> Entry:
        """What a cell's own effect says, its parts aside."""
        known = [self.failures[key] for key in self.plan.job_keys(cell) if key in self.failures]
        if known:
            return failed(declared, known[0])
        keys = self.plan.run_keys(cell)
        try:
            runs = {key: self.store.find(key) for key in keys}
        except StoreError as error:
            # Damaged since it was planned.
            return failed(declared, str(error))
        if absent := [key for key, run in runs.items() if run is None]:
            reason = f"{len(absent)} of {len(keys)} runs are not in {self.store.called}"
            return not_run(declared, reason, self._remedy(cell))
        stored = {key: run for key, run in runs.items() if run is not None}
        if wrong := self._wrong(stored):
            return failed(declared, wrong)
        basis = Basis(tuple(map(self._used, stored.values())), self._diagnostics(list(stored.values())))
        try:
            basis = Basis(basis.runs, basis.diagnostics, self._provenance(cell, stored))
            checked = self._check_effects(cell, stored)
        except Exception as error:
            return self._without_effects(error, cell, declared, basis)
        unit_of, n = factors_of(self.plan, cell).unit_of, self.observations(cell)
        try:
            checks = [
                judge_check(
                    Checked(check.name, check.doc, check.unit, check.trend),
                    checked[check.name],
                    declared,
                    alpha=self.alpha,
                    unit_of=unit_of,
                )
                for check in (cell.form.checks if cell.form else ())
            ]
        except StatisticsError as error:
            # A number where the check is true or false: this claim's fault, and no other's.
            return failed(declared, str(error), basis)
        if broken := [f"{one.name}: {one.reason}" for one in checks if one.verdict == "error"]:
            return failed(declared, broken[0], basis)
        # Where a check is not passed the effect may have no value.
        if presupposed_is_missing(checks, n):
            return not_evaluable(declared, checks, basis)
        try:
            effects = self._effects(cell, stored)
        except Exception as error:
            return self._without_effects(error, cell, declared, basis)
        try:
            looked = look(cell.name, self.plan, self.store, tested(cell)["trends"], n)
        except StoreError as error:
            return failed(declared, str(error), basis)
        level = None if self.looks is None else level_of_look(self.alpha, self.looks, n, looked.earlier)
        try:
            combined = declared.judge(effects, alpha=self.alpha, looks=1 + looked.earlier, level=level, unit_of=unit_of)
        except StatisticsError as error:
            return failed(declared, str(error), basis)
        declared = replace(declared, warnings=(*declared.warnings, *looked.warnings))
        return judged(declared, combined, effects, basis, checks=checks, unit_of=unit_of, level=level)

    def _wrong(self, stored: Mapping[str, StoredRun]) -> str | None:
        """What is wrong with a run that nobody damaged: it does not hold what the lab says a run has."""
        fault: Callable[..., str | None] = getattr(self.lab, "fault", lambda identity, result: None)
        for key, run in stored.items():
            if (found := fault(run.identity, run.result)) is not None:
                return f"run {key} ({run.folder}) is not what a run holds: {found}"
        return None

    def _without_effects(self, error: Exception, cell: Cell, declared: Declared, basis: Basis) -> Entry:
        """The entry of a claim whose numbers cannot be had, by why."""
        if isinstance(error, NotMeasured):
            return not_run(declared, ABSENT.format(self.store.called), self._remedy(cell), basis)
        return failed(declared, _explain(error), basis)

    def check_effects(self, cell: Cell) -> dict[str, dict[str, dict[int, float]]]:
        """Check → component → seed → effect of a cell whose runs and measurements are there."""
        found = {key: self.store.find(key) for key in self.plan.run_keys(cell)}
        return self._check_effects(cell, {key: run for key, run in found.items() if run is not None})

    def _check_effects(self, cell: Cell, stored: Mapping[str, StoredRun]) -> dict[str, dict[str, dict[int, float]]]:
        found: dict[str, dict[str, dict[int, float]]] = {}
        for check in cell.form.checks if cell.form else ():
            effects = found.setdefault(check.name, {})
            for seed, by_task in self.plan.checks[cell.name][check.name].items():
                for task, by_need in by_task.items():
                    values = {name: self._value(key, stored) for name, key in by_need.items()}
                    effects.setdefault(cell.component(SINGLE, task), {})[seed] = check(**values)
        return found

    def _effects(self, cell: Cell, stored: Mapping[str, StoredRun]) -> Effects:
        form = cell.form
        assert form is not None
        effects: dict[str, dict[int, float]] = {}
        for seed, by_task in self.plan.needs[cell.name].items():
            for task, by_need in by_task.items():
                values = {name: self._value(key, stored) for name, key in by_need.items()}
                for part, value in form(**values).items():
                    effects.setdefault(cell.component(part, task), {})[seed] = value
        return effects

    def _value(self, key: str, stored: Mapping[str, StoredRun]) -> Any:
        planned = self.plan.readings[key]
        if planned.reading.derived:
            return self.lab.derive(planned.reading, [stored[run] for run in planned.keys])
        value = self.store.find_measurement(self.plan.jobs[key].identity)
        if value is None:
            raise NotMeasured(planned.reading.quantity)
        return value

    def _provenance(self, cell: Cell, stored: Mapping[str, StoredRun]) -> dict[str, Any]:
        """Where a cell's numbers come from: of its runs, or of its values where it rests on no runs.

        Raises:
            PoolingError: the results do not belong together.
        """
        found = [Provenance.from_json(run.result["provenance"]) for run in stored.values()]
        if not found:
            shared = ("versions", "device", "precision")
            identities = [self.plan.jobs[key].identity for key in self.plan.job_keys(cell)]
            found = [Provenance({name: one[name] for name in shared}, {}) for one in identities]
        rests_on = [self.plan.readings[key].reading.rests_on for key in self.plan.reading_keys(cell)]
        return pool([*found, *(Provenance({}, parts) for parts in rests_on if parts)])

    def _used(self, run: StoredRun) -> RunUsed:
        planned = self.plan.jobs[run.key]
        condition = {name: planned.job.what[name] for name in self.lab.shown if name in planned.job.what}
        return RunUsed(run.key, condition, planned.job.seed or 0, planned.cached, run.result["seconds"])

    def _diagnostics(self, runs: Sequence[StoredRun]) -> dict[str, float]:
        """What explains failures, averaged over the last epoch of the runs."""
        found: dict[str, list[float]] = {}
        for run in runs:
            for name in self.lab.diagnostics:
                if curve := run.result["curves"].get(name):
                    found.setdefault(name, []).append(curve[-1])
            for name, value in run.result.get("diagnostics", {}).items():
                found.setdefault(name, []).append(value)
        return {name: sum(values) / len(values) for name, values in found.items()}

    def _remedy(self, cell: Cell) -> str:
        every = set(cell.tasks) == set(self.lab.tasks)
        return again(
            cell.claim.file.parent,
            cell.scale,
            self.plan.given,
            protocol=cell.protocol.base,
            task="all" if every and self.lab.tasks else ",".join(cell.tasks),
            seeds=self.plan.seeds,
            claims=[cell.claim.id],
        )


class NotMeasured(Exception):
    """A run is stored but a measurement of it is not, and this session may not take it."""


def declared_of(cell: Cell) -> Declared:
    """What an entry says before anything is judged."""
    claim, form, quantities = cell.claim, cell.form, cell.lab.quantities
    says = dict.fromkeys(need.quantity for need in form.needs.values()) if form else {}
    measured = [form.doc, *(quantities[name].says[cell.protocol.base] for name in says)] if form else []
    if claim.parts:
        measured.append(f"Holds only if its parts do: {', '.join(claim.parts)}.")
    told, sizes = tested(cell), _sizes(cell)
    return Declared(
        id=claim.id,
        section=claim.section,
        headline=claim.headline,
        quote=claim.quote,
        scope=_scope(cell),
        protocol=cell.protocol.name,
        scale=cell.scale.name,
        paper=PaperValue(claim.paper.text, numbers=tuple(_paper_numbers(sizes, told.get("trends", ())))),
        deviations=claim.deviations,
        switches=dict(cell.protocol.switches) if form or claim.parts else {},
        measured=" ".join(measured),
        parts=claim.parts,
        sizes=sizes,
        incomparable=_incomparable(cell),
        paper_data=tuple(readings(cell)),
        **told,
    )


def _shown(found: Reachable) -> Reach:
    return Reach(**vars(found))


def _incomparable(cell: Cell) -> str:
    """Why the paper's value says nothing about the size of ours; empty where it does."""
    form = cell.form
    if form is not None and form is not cell.claim.form:
        return ELSEWHERE
    if form is not None:
        quantities = {need.quantity for need in form.needs.values()}
        obeyed = dict.fromkeys(name for one in sorted(quantities) for name in cell.lab.quantities[one].switches)
        moved = [name for name in obeyed if cell.protocol.corrects(name)]
        if moved:
            return f"{OTHERWISE}: {', '.join(moved)} corrected"
    return cell.scale.apart


def _scope(cell: Cell) -> str:
    """The claim's scope, and where it was judged if that is less."""
    judged_on, declared = cell.judged_tasks, cell.declared_tasks
    if set(judged_on) == set(declared) or not declared:
        return cell.claim.scope
    return f"{cell.claim.scope}; judged on {' and '.join(judged_on) or 'none'} only, of {', '.join(declared)}"


def _sizes(cell: Cell) -> dict[str, tuple[float, ...]]:
    """The paper's values of the effect, by component; none where the protocol tests another quantity."""
    form = cell.form
    if form is None or form is not cell.claim.form:
        return {}
    if cell.lab.published is None:
        return _declared_sizes(cell, form)
    found: dict[str, list[float]] = {}
    for one in drawn_effects(cell):
        if one.effect is not None and one.task in cell.judged_tasks:
            found.setdefault(cell.component(one.part, one.task), []).append(one.effect)
    return {name: tuple(values) for name, values in found.items()}


def _declared_sizes(cell: Cell, form: Form) -> dict[str, tuple[float, ...]]:
    """As the claim declares them: of a claim of several parts one number for each."""
    numbers = cell.claim.paper.numbers
    found: dict[str, tuple[float, ...]] = {}
    for task in cell.judged_tasks:
        if isinstance(numbers, Mapping):
            said = tuple(numbers.get(task, ()))
        else:
            said = tuple(numbers) if len(cell.judged_tasks) == 1 else ()
        if len(form.trends) == 1:
            found |= {cell.component(part, task): said for part in form.trends if said}
        elif len(said) == len(form.trends):
            found |= {cell.component(part, task): (value,) for part, value in zip(form.trends, said, strict=True)}
    return found


def _paper_numbers(sizes: Mapping[str, tuple[float, ...]], components: Collection[str]) -> list[float]:
    """The paper's numbers to plot: all of them for one component, else one for each, if the paper has that."""
    if len(components) == 1:
        return list(next(iter(sizes.values()), ()))
    return [sizes[name][0] for name in components] if sizes.keys() == set(components) else []


def _explain(error: Exception) -> str:
    return str(error) if isinstance(error, DtclaimsError) else words_of(error)
