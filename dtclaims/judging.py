"""From stored measurements to the claims of a report. Needs no torch."""

import datetime
import platform
import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import dtclaims
from dtclaims.claim import Claim
from dtclaims.data.scores import score_reference
from dtclaims.data.tasks import get_task
from dtclaims.errors import DtclaimsError, PoolingError
from dtclaims.fixtures import home
from dtclaims.identity import versions
from dtclaims.measurements import MEASUREMENTS
from dtclaims.runs.planner import Cell, Plan
from dtclaims.runs.pooling import pool
from dtclaims.runs.scales import Scale
from dtclaims.runs.store import Store, StoredRun
from dtclaims.stats import Predicate, Verdict, judge_components

PAPER = {
    "title": "On the Effect of Pre-training for Transformer in Different Modality on Offline Reinforcement Learning",
    "authors": "Shiro Takagi",
    "venue": "Advances in Neural Information Processing Systems 35 (NeurIPS)",
    "year": 2022,
    "url": "https://arxiv.org/abs/2211.09817",
}


@dataclass
class Judge:
    """Judges cells of one plan against one store."""

    plan: Plan
    store: Store
    alpha: float
    failures: Mapping[str, str] = field(default_factory=dict)
    """Run or measurement key → what went wrong in this session."""

    def cell(self, cell: Cell) -> dict[str, Any]:
        """The report's entry of one claim under one protocol at one scale."""
        entry = _declared(cell)
        missing = self.plan.unavailable.get(cell.name)
        if missing is not None:
            return {**entry, "verdict": "not_run", "reason": missing.reason, "remedy": missing.remedy}
        keys = self.plan.run_keys(cell)
        needed = {key for by_need in self.plan.needs[cell.name].values() for key in by_need.values()}
        failed = [self.failures[key] for key in (*keys, *sorted(needed)) if key in self.failures]
        if failed:
            return {**entry, "verdict": "error", "reason": failed[0]}
        runs = {key: self.store.find(key) for key in keys}
        absent = [key for key, run in runs.items() if run is None]
        if absent:
            return {
                **entry,
                "verdict": "not_run",
                "reason": f"{len(absent)} of {len(keys)} runs are not in the store",
                "remedy": _remedy(cell, self.plan),
            }
        stored = {key: run for key, run in runs.items() if run is not None}
        entry["runs"] = [self._run_entry(run) for run in stored.values()]
        try:
            entry["provenance"] = pool([_provenance(cell, run) for run in stored.values()])
        except PoolingError as error:
            return {**entry, "verdict": "error", "reason": str(error)}
        try:
            effects = self._effects(cell, stored)
        except NotMeasured:
            return {
                **entry,
                "verdict": "not_run",
                "reason": "the runs are in the store but not yet measured",
                "remedy": _remedy(cell, self.plan),
            }
        except Exception as error:
            return {**entry, "verdict": "error", "reason": _explain(error)}
        return {**entry, **_judged(cell.claim, effects, self.alpha)}

    def _effects(self, cell: Cell, stored: Mapping[str, StoredRun]) -> dict[str, dict[int, float]]:
        """Component → seed → effect."""
        effects: dict[str, dict[int, float]] = {name: {} for name in cell.claim.predicates}
        for seed, by_need in self.plan.needs[cell.name].items():
            values = {name: self._value(key, stored) for name, key in by_need.items()}
            for component, value in cell.claim(**values).items():
                effects[component][seed] = value
        return effects

    def _value(self, key: str, stored: Mapping[str, StoredRun]) -> Any:
        planned = self.plan.measurements[key]
        measurement = MEASUREMENTS[planned.name]
        if measurement.from_curves is not None:
            return measurement.from_curves(stored[planned.run], planned.switches)
        value = self.store.find_measurement(planned.identity)
        if value is None:
            raise NotMeasured(planned.name)
        return value

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


def _declared(cell: Cell) -> dict[str, Any]:
    """What an entry says before anything is judged."""
    claim, protocol = cell.claim, cell.protocol.name
    measurements = dict.fromkeys(need.measurement for need in claim.needs.values())
    component, first = next(iter(claim.predicates.items()))
    return {
        "id": claim.id,
        "section": claim.section,
        "headline": claim.headline,
        "quote": claim.quote,
        "scope": claim.scope,
        "protocol": protocol,
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
            "unit": claim.units[component],
            "name": claim.effect,
        },
        "statistics": None,
        "components": {},
        "predicate": _predicate(first),
        "paper_value": {"text": claim.paper.text, "numbers": list(claim.paper.numbers)},
        "deviations": list(claim.deviations),
        "switches": dict(cell.protocol.switches),
        "measured": " ".join([claim.doc, *(MEASUREMENTS[name].says[protocol] for name in measurements)]),
        "runs": [],
        "remedy": None,
        "provenance": {},
    }


def _judged(claim: Claim, effects: Mapping[str, Mapping[int, float]], alpha: float) -> dict[str, Any]:
    combined = judge_components(effects, claim.predicates, alpha=alpha)
    components = {
        name: {
            "verdict": verdict.outcome,
            "effect": _effect(claim, name, verdict, effects[name]),
            "predicate": _predicate(claim.predicates[name]),
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
        "effect": first["effect"],
        "statistics": first["statistics"],
        "components": components if len(components) > 1 else {},
    }


def _predicate(predicate: Predicate) -> dict[str, Any]:
    stated = predicate.to_json()
    return {"kind": stated["kind"], "threshold": stated["value"], "null": stated["null"], "text": str(predicate)}


def _effect(claim: Claim, component: str, verdict: Verdict, per_seed: Mapping[int, float]) -> dict[str, Any]:
    sound = verdict.outcome != "error"
    return {
        "mean": verdict.mean,
        "low": verdict.low,
        "high": verdict.high,
        "per_seed": {str(seed): value for seed, value in per_seed.items()} if sound else {},
        "unit": claim.units[component],
        "name": claim.effect,
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
    data = f" --data {shlex.quote(plan.data)}" if plan.data else ""
    return f"pytest claims{gpu} --scale {cell.scale.name} --protocol {cell.protocol.name} --seeds {listed},{data}"


def _provenance(cell: Cell, run: StoredRun) -> tuple[str, dict[str, Any]]:
    """A run's task and provenance, with the returns that mean score 0 and 100 where the claim reads scores."""
    task = get_task(run.identity["spec"]["task"])
    provenance = dict(run.result["provenance"])
    if any("score_refs" in MEASUREMENTS[need.measurement].switches for need in cell.claim.needs.values()):
        name = cell.protocol["score_refs"]
        low, high = score_reference(task, name)
        provenance["score_reference"] = {"name": name, "random": low, "expert": high}
    return task.name, provenance


def _explain(error: Exception) -> str:
    return str(error) if isinstance(error, DtclaimsError) else f"{type(error).__name__}: {error}"


def report_document(
    entries: Sequence[Mapping[str, Any]],
    *,
    scale: Scale,
    scale_reason: str,
    protocols: Sequence[str],
    plan: Plan,
    alpha: float,
    store: Store,
) -> dict[str, Any]:
    """The whole report as plain data (report.json, schema 1)."""
    return {
        "schema": 1,
        "paper": dict(PAPER),
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
            "versions": {**versions(), "python": platform.python_version()},
            "label": _label(scale, plan),
        },
        "claims": [dict(entry) for entry in entries],
    }


def _label(scale: Scale, plan: Plan) -> str:
    """What the verdicts are evidence of; the scale's own words speak of collected data."""
    names = sorted({str(run.inputs.data["name"]) for run in plan.runs.values() if "name" in run.inputs.data})
    return scale.label.replace("self-collected data", f"data from {', '.join(names)}") if names else scale.label


def _program() -> str:
    from pathlib import Path

    name = Path(sys.argv[0]).name
    return "pytest" if name in ("pytest", "__main__.py", "py.test") else name


def _home_relative(store: Store) -> str:
    """The store's place without the user's name: reports are shared."""
    try:
        return f"DTCLAIMS_HOME/{store.root.resolve().relative_to(home().resolve())}"
    except ValueError:
        return store.root.name
