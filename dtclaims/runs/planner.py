"""From claims to the union of the runs and measurements they need."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dtclaims.arms import get_arm
from dtclaims.claim import Claim, Need
from dtclaims.identity import key_of
from dtclaims.measurements import MEASUREMENTS
from dtclaims.protocols import Protocol
from dtclaims.runs.device import device_class
from dtclaims.runs.identity import measurement_identity, run_identity
from dtclaims.runs.inputs import Inputs, Unavailable, find_inputs, portable
from dtclaims.runs.scales import Scale
from dtclaims.runs.spec import RunSpec, resolve
from dtclaims.runs.store import Store

GUESS_SECONDS = {"mini": {1: 10.0, 20: 30.0}, "small": {1: 240.0, 20: 600.0}, "paper": {1: 1800.0, 20: 7200.0}}
"""Cost of a run where none like it was timed yet; only orders the plan and feeds its first estimate."""


@dataclass(frozen=True)
class PlannedRun:
    """A run some claim needs."""

    spec: RunSpec
    identity: Mapping[str, Any]
    key: str
    inputs: Inputs
    cached: bool
    seconds: float
    """Measured if cached, else estimated."""


@dataclass(frozen=True)
class PlannedMeasurement:
    """A measurement some claim needs, of one planned run."""

    name: str
    run: str
    switches: Mapping[str, str]
    identity: Mapping[str, Any]
    key: str


@dataclass(frozen=True)
class Cell:
    """One claim under one protocol at one scale: what is judged as a unit."""

    claim: Claim
    protocol: Protocol
    scale: Scale

    @property
    def name(self) -> tuple[str, str, str]:
        """Claim id, protocol, scale."""
        return (self.claim.id, self.protocol.name, self.scale.name)


@dataclass
class Plan:
    """All runs and measurements of the selected cells, each once."""

    seeds: tuple[int, ...]
    device: str
    data: str | None = None
    """Where the data are, as asked (`--data`)."""
    runs: dict[str, PlannedRun] = field(default_factory=dict)
    measurements: dict[str, PlannedMeasurement] = field(default_factory=dict)
    needs: dict[tuple[str, str, str], dict[int, dict[str, str]]] = field(default_factory=dict)
    """Cell name → seed → need → measurement key."""
    unavailable: dict[tuple[str, str, str], Unavailable] = field(default_factory=dict)

    def missing(self) -> list[PlannedRun]:
        """Runs that have to be trained, longest first: the pool then ends without a straggler."""
        return sorted((run for run in self.runs.values() if not run.cached), key=lambda run: -run.seconds)

    def run_keys(self, cell: Cell) -> list[str]:
        """Keys of the runs that a cell rests on, in a stable order."""
        keys = [
            self.measurements[key].run for by_need in self.needs.get(cell.name, {}).values() for key in by_need.values()
        ]
        return list(dict.fromkeys(keys))


def make_plan(
    cells: Iterable[Cell], *, seeds: Sequence[int], device: str, store: Store, data: str | None = None
) -> Plan:
    """The union of what the cells need, looked up in the store.

    Raises:
        StoreError: a run that is needed lies damaged in the store.
        DataError: the data asked for break their format.
    """
    plan = Plan(tuple(seeds), device, data)
    inputs: dict[tuple[str, str], Inputs | Unavailable] = {}
    timings = Timings(store)
    for cell in cells:
        for task in sorted({need.task for need in cell.claim.needs.values()}):
            where = (task, cell.scale.name)
            if where not in inputs:
                inputs[where] = _available(task, cell.scale, device, data)
            found = inputs[where]
            if isinstance(found, Unavailable):
                plan.unavailable[cell.name] = found
                break
        else:
            for seed in plan.seeds:
                plan.needs.setdefault(cell.name, {})[seed] = {
                    name: _add(plan, need, seed, cell, inputs, store, timings)
                    for name, need in cell.claim.needs.items()
                }
    return plan


def _available(task: str, scale: Scale, device: str, data: str | None) -> Inputs | Unavailable:
    if scale.needs_gpu and device_class(device) != "cuda":
        return Unavailable(
            f"scale {scale.name} needs a CUDA device and this machine has none",
            "Run `pytest claims -m gpu --seeds 5` on a machine with a GPU, or judge a store made there "
            "with `pytest claims -m gpu --judge-only --store DIR`.",
        )
    return find_inputs(task, scale, data)


def _add(
    plan: Plan,
    need: Need,
    seed: int,
    cell: Cell,
    inputs: Mapping[tuple[str, str], Inputs | Unavailable],
    store: Store,
    timings: "Timings",
) -> str:
    source = inputs[(need.task, cell.scale.name)]
    assert isinstance(source, Inputs)
    spec = resolve(
        task=need.task,
        arm=need.arm,
        pretrained=get_arm(need.arm).backbone is not None,
        context=need.context_under(cell.protocol.name),
        seed=seed,
        scale=cell.scale.name,
        budget=cell.scale.budget,
        protocol=cell.protocol,
    )
    identity = run_identity(
        spec, data=portable(source.data), backbone=portable(source.backbone), device=device_class(plan.device)
    )
    key = key_of(identity)
    if key not in plan.runs:
        stored = store.find(key)
        seconds = stored.result["seconds"] if stored else timings.estimate(spec)
        plan.runs[key] = PlannedRun(spec, identity, key, source, stored is not None, seconds)
    measurement = MEASUREMENTS[need.measurement]
    switches = {name: cell.protocol[name] for name in measurement.switches}
    measured = measurement_identity(need.measurement, [key], switches)
    measured_key = key_of(measured)
    plan.measurements.setdefault(
        measured_key, PlannedMeasurement(need.measurement, key, switches, measured, measured_key)
    )
    return measured_key


class Timings:
    """Cost of runs already in the store, by scale and context."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._seen: dict[tuple[str, int], list[float]] | None = None

    def estimate(self, spec: RunSpec) -> float:
        """Median seconds of like runs in the store, else a guess."""
        if self._seen is None:
            self._seen = {}
            for key in self._store.run_keys():
                if (run := self._store.find(key)) is not None:
                    theirs = run.identity["spec"]
                    self._seen.setdefault((theirs["scale"], theirs["context"]), []).append(run.result["seconds"])
        if like := self._seen.get((spec.scale, spec.context)):
            return statistics.median(like)
        guesses = GUESS_SECONDS[spec.scale]
        return guesses[1] if spec.context == 1 else guesses[20]
