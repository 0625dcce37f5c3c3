"""From stored measurements to the claims of a report. Needs no torch."""

import datetime
import platform
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import dtclaims
from dtclaims.addresses import versions
from dtclaims.errors import DtclaimsError, PoolingError
from dtclaims.harness.declare.claim import ALL_TASKS, SINGLE
from dtclaims.harness.declare.experiments import Experiment
from dtclaims.harness.declare.papers import Publication
from dtclaims.harness.judge.looks import count_looks
from dtclaims.harness.plan.planner import Cell, Plan
from dtclaims.harness.stats import Predicate, Verdict, holm, judge_components
from dtclaims.harness.store.pooling import pool
from dtclaims.harness.store.results import Results
from dtclaims.harness.store.store import StoredRun
from dtclaims.lab.data.scores import score_reference
from dtclaims.lab.design.scales import Scale
from dtclaims.lab.design.tasks import get_task
from dtclaims.lab.identity import PACKAGES
from dtclaims.lab.measurements import MEASUREMENTS
from dtclaims.places import home


@dataclass
class Judge:
    """Judges cells of one plan against one store, or one file of evidence."""

    plan: Plan
    store: Results
    alpha: float
    failures: Mapping[str, str] = field(default_factory=dict)
    """Run or measurement key → what went wrong in this session."""
    _entries: dict[tuple[str, str, str], dict[str, Any]] = field(default_factory=dict)

    def cell(self, cell: Cell) -> dict[str, Any]:
        """The report's entry of one claim under one protocol at one scale."""
        if cell.name not in self._entries:
            self._entries[cell.name] = self._entry(cell)
        return self._entries[cell.name]

    def _entry(self, cell: Cell) -> dict[str, Any]:
        entry = _declared(cell)
        missing = self.plan.unavailable.get(cell.name)
        if missing is not None:
            return {**entry, "verdict": "not_run", "reason": missing.reason, "remedy": missing.remedy}
        own = self._own(cell, entry) if cell.form is not None else None
        if not cell.claim.parts:
            assert own is not None
            return own
        # A part that this protocol cannot test is left out: the composite says what can be said.
        parts = [part for part in cell.parts if cell.protocol.base in part.claim.protocols]
        return _with_parts(cell, own or entry, own is not None, [self.cell(part) for part in parts])

    def _own(self, cell: Cell, entry: dict[str, Any]) -> dict[str, Any]:
        """What a cell's own effect says, its parts aside."""
        keys = self.plan.run_keys(cell)
        failed = [self.failures[key] for key in (*keys, *self.plan.measurement_keys(cell)) if key in self.failures]
        if failed:
            return {**entry, "verdict": "error", "reason": failed[0]}
        runs = {key: self.store.find(key) for key in keys}
        absent = [key for key, run in runs.items() if run is None]
        if absent:
            return {
                **entry,
                "verdict": "not_run",
                "reason": f"{len(absent)} of {len(keys)} runs are not in {self.store.called}",
                "remedy": _remedy(cell, self.plan),
            }
        stored = {key: run for key, run in runs.items() if run is not None}
        entry["runs"] = [self._run_entry(run) for run in stored.values()]
        entry["diagnostics"] = _diagnostics(list(stored.values()))
        entry["provenance"] = self._experiments(cell)
        if stored:
            try:
                entry["provenance"] |= pool([_provenance(cell, run) for run in stored.values()])
            except PoolingError as error:
                return {**entry, "verdict": "error", "reason": str(error)}
        try:
            effects = self._effects(cell, stored)
        except NotMeasured:
            return {
                **entry,
                "verdict": "not_run",
                "reason": f"a measurement is not in {self.store.called}",
                "remedy": _remedy(cell, self.plan),
            }
        except Exception as error:
            return {**entry, "verdict": "error", "reason": _explain(error)}
        return {**entry, **_judged(cell, effects, self.alpha, count_looks(cell.name, self.plan, self.store))}

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

    def _run_entry(self, run: StoredRun) -> dict[str, Any]:
        spec = run.identity["spec"]
        return {
            "key": run.key,
            "arm": spec["arm"],
            "task": spec["task"],
            "context": spec["context"],
            "seed": spec["seed"],
            "cached": self.plan.runs[run.key].cached,
            "seconds": run.result["seconds"],
        }


class NotMeasured(Exception):
    """A run is stored but a measurement of it is not, and this session may not take it."""


def component(part: str, task: str, cell: Cell) -> str:
    """The name of one part on one task, as short as it can be told apart."""
    if len(cell.judged_tasks) == 1:
        return part
    return task if part == SINGLE else f"{part} ({task})"


def _components(cell: Cell, parts: Mapping[str, Any]) -> dict[str, Any]:
    """By component what is declared by part."""
    return {component(part, task, cell): value for task in cell.judged_tasks for part, value in parts.items()}


def _declared(cell: Cell) -> dict[str, Any]:
    """What an entry says before anything is judged."""
    claim, form, base = cell.claim, cell.form, cell.protocol.base
    says = dict.fromkeys(need.measurement for need in form.needs.values()) if form else {}
    measured = [form.doc, *(MEASUREMENTS[name].says[base] for name in says)] if form else []
    if claim.parts:
        measured.append(f"Holds only if its parts do: {', '.join(claim.parts)}.")
    unit = next(iter(form.units.values())) if form else "none of its own"
    return {
        "id": claim.id,
        "section": claim.section,
        "headline": claim.headline,
        "quote": claim.quote,
        "scope": _scope(cell),
        "protocol": cell.protocol.name,
        "scale": cell.scale.name,
        "verdict": "not_run",
        "reason": "",
        "provisional": False,
        "n": 0,
        "effect": {
            "mean": None,
            "low": None,
            "high": None,
            "per_seed": {},
            "unit": unit,
            "name": form.effect if form else "its parts' verdicts",
        },
        "statistics": None,
        "components": {},
        "predicate": _predicate(next(iter(form.predicates.values()))) if form else dict(PARTS_PREDICATE),
        "paper_value": {"text": claim.paper.text, "numbers": _paper_numbers(cell)},
        "deviations": list(claim.deviations),
        "switches": {} if cell.experiments_only else dict(cell.protocol.switches),
        "measured": " ".join(measured),
        "runs": [],
        "remedy": None,
        "provenance": {},
    }


PARTS_PREDICATE = {"kind": "parts", "threshold": None, "null": None, "text": "all parts hold"}


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


def _with_parts(
    cell: Cell, entry: dict[str, Any], has_effect: bool, parts: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """The entry of a claim that holds only if its parts do: refuted if one is, reproduced if all are."""
    verdicts = {part["id"]: part["verdict"] for part in parts}
    untested = [name for name in cell.claim.parts if name not in verdicts]
    if has_effect:
        verdicts = {"its own effect": entry["verdict"], **verdicts}
    order = ("error", "refuted", "not_run", "inconclusive", "reproduced")
    verdict = min(verdicts.values(), key=order.index)
    decisive = [name for name, one in verdicts.items() if one == verdict]
    others = [entry, *parts] if has_effect else list(parts)
    reason = f"{_word(verdict)}: {', '.join(decisive)}" if verdict != "reproduced" else "every part is reproduced"
    if has_effect and entry["reason"]:
        reason = f"{reason}; own effect: {entry['reason']}"
    if untested:
        reason += f"; left out, as this protocol cannot test it: {', '.join(untested)}"
    remedies = [one["remedy"] for one in others if one["verdict"] == verdict and one["remedy"]]
    judged = [one["n"] for one in others if one["verdict"] not in ("error", "not_run")]
    runs = {run["key"]: run for one in others for run in one["runs"]}
    return {
        **entry,
        "verdict": verdict,
        "reason": reason,
        "provisional": any(one["provisional"] for one in others),
        "n": min(judged, default=0),
        "parts": [{"id": part["id"], "verdict": part["verdict"]} for part in parts],
        "runs": list(runs.values()),
        "remedy": remedies[0] if verdict == "not_run" and remedies else None,
        "provenance": entry["provenance"] or next((one["provenance"] for one in others if one["provenance"]), {}),
        "p_value": _largest([one.get("p_value") for one in others]),
    }


def _largest(p_values: Sequence[float | None]) -> float | None:
    """The p of a claim that needs all of several things (statistics rule 8); None if one of them has none."""
    known = [p for p in p_values if p is not None]
    return max(known) if known and len(known) == len(p_values) else None


def _word(verdict: str) -> str:
    return verdict.replace("_", " ")


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


def _judged(cell: Cell, effects: Mapping[str, Mapping[int, float]], alpha: float, looks: int) -> dict[str, Any]:
    form = cell.form
    assert form is not None
    predicates, units = _components(cell, form.predicates), _components(cell, form.units)
    groups = [frozenset(component(part, task, cell) for task in cell.judged_tasks) for part in sorted(form.any_of)]
    combined = judge_components(effects, predicates, any_of=groups, alpha=alpha, looks=looks)
    components = {
        name: {
            "verdict": verdict.outcome,
            "effect": _effect(form.effect, units[name], verdict, effects[name]),
            "predicate": _predicate(predicates[name]),
            "statistics": _statistics(verdict),
        }
        for name, verdict in combined.components.items()
    }
    first = next(iter(components.values()))
    principal = next(iter(combined.components.values()))
    return {
        "verdict": combined.outcome,
        "reason": combined.reason,
        "provisional": combined.provisional,
        "n": principal.n,
        "p_value": combined.p_value,
        "effect": first["effect"],
        "statistics": first["statistics"],
        "components": components if len(components) > 1 else {},
    }


def _predicate(predicate: Predicate) -> dict[str, Any]:
    stated = predicate.to_json()
    return {"kind": stated["kind"], "threshold": stated["value"], "null": stated["null"], "text": str(predicate)}


def _effect(name: str, unit: str, verdict: Verdict, per_seed: Mapping[int, float]) -> dict[str, Any]:
    sound = verdict.outcome != "error"
    return {
        "mean": verdict.mean,
        "low": verdict.low,
        "high": verdict.high,
        "per_seed": {str(seed): value for seed, value in per_seed.items()} if sound else {},
        "unit": unit,
        "name": name,
    }


def _statistics(verdict: Verdict) -> dict[str, Any]:
    fields = (
        "sd",
        "agree",
        "p_value",
        "fresh_seed_bound",
        "superiority",
        "effect_size",
        "seeds_needed",
        "alpha",
        "looks",
    )
    everything = verdict.to_json()
    return {name: everything[name] for name in fields}


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
    entries: Sequence[Mapping[str, Any]],
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
) -> dict[str, Any]:
    """The whole report as plain data (report.json, schema 1).

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
    return {
        "schema": 1,
        "paper": publication.to_json(),
        "provenance": {
            "dtclaims": dtclaims.__version__,
            "created": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "command": " ".join(sys.argv[:1] and [_program(), *sys.argv[1:]]),
            "seeds": list(plan.seeds),
            "scale": scale.name,
            "scale_reason": scale_reason,
            "protocols": list(protocols),
            "device": plan.device,
            "alpha": alpha,
            "store": _home_relative(store),
            "versions": {**versions(*PACKAGES), "python": platform.python_version()},
            "label": publication.label or _label(scale, plan),
        },
        "claims": with_holm(entries, alpha),
        "figures": drawn,
        "tables": listed,
    }


def with_holm(entries: Sequence[Mapping[str, Any]], alpha: float) -> list[dict[str, Any]]:
    """The entries, the reproduced headline ones marked by whether they stand after Holm (statistics rule 9).

    The family is all headline claims that were judged: of those whose numbers are not there, nothing was asked.
    """
    stands: dict[tuple[str, str, str], bool] = {}
    for column in dict.fromkeys((entry["protocol"], entry["scale"]) for entry in entries):
        family = {
            entry["id"]: entry.get("p_value")
            for entry in entries
            if (entry["protocol"], entry["scale"]) == column
            and entry["headline"]
            and entry["verdict"] not in ("not_run", "error")
        }
        stands |= {(name, *column): kept for name, kept in holm(family, alpha).items()}
    marked = []
    for entry in entries:
        name = (entry["id"], entry["protocol"], entry["scale"])
        asked = entry["verdict"] == "reproduced" and name in stands
        marked.append({**entry, "holm": stands[name]} if asked else dict(entry))
    return marked


def _label(scale: Scale, plan: Plan) -> str:
    """What the verdicts are evidence of; the scale's own words speak of collected data."""
    names = sorted({str(run.inputs.data["name"]) for run in plan.runs.values() if "name" in run.inputs.data})
    return scale.label.replace("self-collected data", f"data from {', '.join(names)}") if names else scale.label


def _program() -> str:
    name = Path(sys.argv[0]).name
    return "pytest" if name in ("pytest", "__main__.py", "py.test") else name


def _home_relative(store: Results) -> str:
    """The store's place without the user's name: reports are shared."""
    try:
        return f"DTCLAIMS_HOME/{store.root.resolve().relative_to(home().resolve())}"
    except ValueError:
        return store.root.name
