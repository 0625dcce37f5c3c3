"""From claims to the union of the runs and measurements they need."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from dtclaims.addresses import key_of
from dtclaims.errors import UsageError
from dtclaims.harness.declare.claim import ALL_TASKS, ANY_TASK, Claim, Form, Need
from dtclaims.harness.declare.experiments import Experiment
from dtclaims.harness.declare.registry import parts_of
from dtclaims.harness.engine.device import device_class
from dtclaims.harness.store.recorded import Recorded
from dtclaims.harness.store.results import Results
from dtclaims.lab.design.arms import get_arm
from dtclaims.lab.design.scales import Scale
from dtclaims.lab.design.spec import RunSpec, resolve
from dtclaims.lab.design.switches import Protocol
from dtclaims.lab.identity import measurement_identity, run_identity
from dtclaims.lab.inputs import Inputs, Sources, Unavailable, find_backbone, find_data, portable, sizes_of
from dtclaims.lab.measurements import MEASUREMENTS

GUESS_SECONDS = {
    "mini": {1: 8.0, 20: 25.0},
    "small": {1: 40.0, 20: 120.0},
    "full": {1: 400.0, 20: 1200.0},
    "paper": {1: 400.0, 20: 1200.0},
}
"""Cost of a whole run where none like it was timed yet; only orders the plan and feeds its first estimate."""

WHOLE = ""
"""Stands for the task of a claim that compares tasks."""


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
    headline: bool = False
    """Whether a headline claim rests on it, itself or by one of its parts."""


def in_order(runs: Iterable[PlannedRun]) -> list[PlannedRun]:
    """Runs as they are to start: a session that is cut short then has what headline claims rest on.

    Of those, and then of the others, the longest first: the pool ends without a straggler.
    """
    return sorted(runs, key=lambda run: (not run.headline, -run.seconds))


@dataclass(frozen=True)
class PlannedMeasurement:
    """A measurement some claim needs: of one planned run, of two, of the data alone, or an experiment."""

    name: str
    runs: tuple[str, ...]
    switches: Mapping[str, str]
    parameters: Mapping[str, Any]
    seed: int
    task: str
    identity: Mapping[str, Any]
    key: str
    inputs: tuple[Inputs, ...]


@dataclass(frozen=True)
class Cell:
    """One claim under one protocol at one scale: what is judged as a unit."""

    claim: Claim
    protocol: Protocol
    scale: Scale
    tasks: tuple[str, ...] = ALL_TASKS
    """Tasks of the session; a claim is judged on those of them it speaks of."""

    @property
    def name(self) -> tuple[str, str, str]:
        """Claim id, protocol, scale."""
        return (self.claim.id, self.protocol.name, self.scale.name)

    @property
    def form(self) -> Form | None:
        """How the claim is tested here; None if by its parts alone."""
        return self.claim.under(self.protocol)

    @property
    def judged_tasks(self) -> tuple[str, ...]:
        """Tasks it is tested on, each alone; the one empty name if it compares tasks."""
        if not self.claim.tasks:
            return (WHOLE,)
        return tuple(task for task in self.claim.tasks if task in (*self.tasks, ANY_TASK))

    @property
    def experiments_only(self) -> bool:
        """Whether it and its parts read no runs and no data: then no task and no switch concerns it."""
        needs = self.form.needs.values() if self.form is not None else ()
        return all(need.task == ANY_TASK for need in needs) and all(part.experiments_only for part in self.parts)

    @property
    def parts(self) -> "list[Cell]":
        """The cells of the claim's parts."""
        return [Cell(part, self.protocol, self.scale, self.tasks) for part in parts_of(self.claim)]


@dataclass
class Plan:
    """All runs and measurements of the selected cells, each once."""

    seeds: tuple[int, ...]
    device: str
    sources: Sources = field(default_factory=Sources)
    precision: str = "float32"
    runs: dict[str, PlannedRun] = field(default_factory=dict)
    measurements: dict[str, PlannedMeasurement] = field(default_factory=dict)
    needs: dict[tuple[str, str, str], dict[int, dict[str, dict[str, str]]]] = field(default_factory=dict)
    """Cell name → seed → task → need → measurement key."""
    unavailable: dict[tuple[str, str, str], Unavailable] = field(default_factory=dict)

    def missing(self) -> list[PlannedRun]:
        """Runs that have to be trained, in the order in which they are to start."""
        return in_order(run for run in self.runs.values() if not run.cached)

    def measurement_keys(self, cell: Cell) -> list[str]:
        """Keys of the measurements that a cell rests on, in a stable order."""
        by_seed = self.needs.get(cell.name, {})
        return list(
            dict.fromkeys(key for by_task in by_seed.values() for needs in by_task.values() for key in needs.values())
        )

    def run_keys(self, cell: Cell) -> list[str]:
        """Keys of the runs that a cell rests on, in a stable order."""
        return list(dict.fromkeys(run for key in self.measurement_keys(cell) for run in self.measurements[key].runs))


def make_plan(
    cells: Iterable[Cell],
    *,
    seeds: Sequence[int],
    device: str,
    store: Results,
    sources: Sources | None = None,
    precision: str = "float32",
    recorded: Recorded | None = None,
) -> Plan:
    """The union of what the cells and their parts need, looked up in the store.

    With `recorded`, results are those that it knows, under the code and on the data and backbones that they were made
    with; nothing of that is looked for here.

    Raises:
        StoreError: a run that is needed lies damaged in the store.
        DataError: the data asked for break their format.
        BackboneError: the backbone asked for is not there.
        UsageError: a need names no arm or measurement, or a part is no claim.
    """
    planner = _Planner(Plan(tuple(seeds), device, sources or Sources(), precision), store, recorded)
    cells = list(cells)
    for cell in cells:
        planner.add(cell)
    for cell in cells:
        # A variant of some switches explains a verdict; the verdict comes first.
        if cell.claim.headline and cell.protocol.name == cell.protocol.base:
            planner.put_first(cell)
    return planner.plan


class _Planner:
    def __init__(self, plan: Plan, store: Results, recorded: Recorded | None) -> None:
        self.plan = plan
        self._store = store
        self._recorded = recorded
        self._timings = Timings(store)
        self._data: dict[tuple[str, str], dict[str, Any] | Unavailable] = {}
        self._backbones: dict[tuple[str, str, bool], dict[str, Any] | Unavailable] = {}

    def add(self, cell: Cell) -> None:
        """Plan a cell and its parts; one that cannot be tested here is noted with the reason."""
        if cell.name in self.plan.needs or cell.name in self.plan.unavailable:
            return
        for part in cell.parts:
            self.add(part)
        form = cell.form
        missing = self._unsupported(cell, form)
        if missing is not None:
            self.plan.unavailable[cell.name] = missing
            return
        if form is None:
            self.plan.needs[cell.name] = {}
            return
        jobs = [
            (seed, task, name, need)
            for seed in self.plan.seeds
            for task in cell.judged_tasks
            for name, need in form.needs.items()
        ]
        inputs: dict[tuple[str | None, str], Inputs] = {}
        for _, task, _, need in jobs:
            for arm in self._arms(need, cell):
                found = self._inputs(arm, need.task or task, cell.scale)
                if isinstance(found, Unavailable):
                    self.plan.unavailable[cell.name] = found
                    return
                inputs[(arm, need.task or task)] = found
        needs: dict[int, dict[str, dict[str, str]]] = {}
        for seed, task, name, need in jobs:
            needs.setdefault(seed, {}).setdefault(task, {})[name] = self._measurement(
                need, need.task or task, seed, cell, inputs
            )
        self.plan.needs[cell.name] = needs

    def put_first(self, cell: Cell) -> None:
        """Mark what a planned cell and its parts rest on as needed by a headline claim."""
        for part in cell.parts:
            self.put_first(part)
        for key in self.plan.run_keys(cell):
            self.plan.runs[key] = replace(self.plan.runs[key], headline=True)

    def _unsupported(self, cell: Cell, form: Form | None) -> Unavailable | None:
        claim = cell.claim
        if not claim.protocols:
            return Unavailable("a limitation that the paper states, not a claim", "Nothing is to be run.")
        if cell.protocol.base not in claim.protocols:
            only = claim.protocols[0]
            return Unavailable(f"only the {only} protocol can test it", f"Run it with --protocol {only}.")
        if form is None:
            return None
        if unknown := [need.measurement for need in form.needs.values() if need.measurement not in MEASUREMENTS]:
            raise UsageError(
                f"claim {claim.id} needs unknown measurements",
                given=", ".join(unknown),
                expected="names in `dtclaims.lab.measurements.MEASUREMENTS`",
            )
        named = claim.tasks or tuple(dict.fromkeys(need.task for need in form.needs.values() if need.task))
        absent = [task for task in named if task not in (*cell.tasks, ANY_TASK)]
        if absent and (not claim.tasks or len(absent) == len(named)):
            return Unavailable(f"it needs {' and '.join(absent)} too, and --task leaves them out", "Add --task all.")
        for need in form.needs.values():
            offered = MEASUREMENTS[need.measurement].scales
            if cell.scale.name not in offered:
                return Unavailable(
                    f"{need.measurement} is not measured at scale {cell.scale.name}: it needs {' or '.join(offered)}",
                    f"pytest claims -m gpu --scale {offered[0]} --claim {claim.id}",
                )
            if need.next_seed and len(self.plan.seeds) < 2:
                return Unavailable("it compares runs of two seeds", "Ask for --seeds 2 or more.")
        if cell.scale.needs_gpu and not cell.experiments_only and device_class(self.plan.device) != "cuda":
            return Unavailable(
                f"scale {cell.scale.name} needs a CUDA device and this machine has none",
                "Run `pytest claims -m gpu --seeds 5` on a machine with a GPU, or judge a store made there "
                "with `pytest claims -m gpu --judge-only --store DIR`.",
            )
        return None

    def _arms(self, need: Need, cell: Cell) -> list[str | None]:
        """Arms whose runs a need reads; None for the data alone. An experiment reads neither."""
        if isinstance(MEASUREMENTS[need.measurement], Experiment):
            return []
        names = [need.arm] if need.versus is None else [need.arm, need.versus]
        return [
            None
            if name is None
            else self._spec(name, need, need.task or cell.judged_tasks[0], self.plan.seeds[0], cell).arm
            for name in names
        ]

    def _inputs(self, arm: str | None, task: str, scale: Scale) -> Inputs | Unavailable:
        sources = self.plan.sources
        if (task, scale.name) not in self._data:
            known = self._recorded
            self._data[(task, scale.name)] = known.data(task) if known else find_data(task, scale, sources.data)
        data = self._data[(task, scale.name)]
        if isinstance(data, Unavailable):
            return data
        if arm is None:
            return Inputs(task, data, {})
        backbones: dict[str, dict[str, Any]] = {}
        for source in get_arm(arm).sources:
            found = self._backbone(source, scale, sizes_only=get_arm(arm).source != source)
            if isinstance(found, Unavailable):
                return found
            backbones[source] = found
        return Inputs(task, data, backbones)

    def _backbone(self, source: str, scale: Scale, *, sizes_only: bool) -> dict[str, Any] | Unavailable:
        key = (source, scale.name, sizes_only)
        if key not in self._backbones:
            given = self.plan.sources.backbones.get(source)
            if sizes_only and given is None and source in scale.sizes:
                recorded = self._recorded.sizes(source) if self._recorded else None
                self._backbones[key] = recorded or sizes_of(source, scale)
            elif self._recorded:
                self._backbones[key] = self._recorded.backbone(source)
            else:
                self._backbones[key] = find_backbone(source, scale, given)
        return self._backbones[key]

    def _spec(self, arm: str, need: Need, task: str, seed: int, cell: Cell) -> RunSpec:
        return resolve(
            task=task,
            arm=arm,
            context=need.context_under(cell.protocol),
            seed=seed,
            scale=cell.scale.name,
            budget=cell.scale.budget,
            protocol=cell.protocol,
            paper_epochs=need.epochs_on(task),
            clip=need.clip,
            head=need.head,
            adam_eps=need.adam_eps,
        )

    def _measurement(
        self, need: Need, task: str, seed: int, cell: Cell, inputs: Mapping[tuple[str | None, str], Inputs]
    ) -> str:
        measurement = MEASUREMENTS[need.measurement]
        if isinstance(measurement, Experiment):
            return self._experiment(measurement, need, seed, cell)
        switches = {name: cell.protocol[name] for name in measurement.switches}
        parameters: dict[str, Any] = dict(need.parameters)
        used: list[Inputs] = []
        runs: list[str] = []
        if need.arm is None:
            only = inputs[(None, task)]
            used.append(only)
            about = {"data": portable(only.data), "seed": seed, "scale": cell.scale.name}
        else:
            about = {}
            for arm, of_seed in self._pair(need, seed):
                spec = self._spec(arm, need, task, of_seed, cell)
                used.append(inputs[(spec.arm, task)])
                runs.append(self._run(spec, used[-1]))
        stated = {**switches, **parameters, **about}
        identity = self._known(measurement_identity(need.measurement, runs, stated))
        key = key_of(identity)
        self.plan.measurements.setdefault(
            key,
            PlannedMeasurement(
                need.measurement, tuple(runs), switches, parameters, seed, task, identity, key, tuple(used)
            ),
        )
        return key

    def _experiment(self, experiment: Experiment, need: Need, seed: int, cell: Cell) -> str:
        parameters, protocol = dict(need.parameters), cell.protocol.base
        identity = self._known(experiment.identity(seed=seed, protocol=protocol, parameters=parameters))
        key = key_of(identity)
        planned = PlannedMeasurement(experiment.name, (), {}, parameters, seed, ANY_TASK, identity, key, ())
        self.plan.measurements.setdefault(key, planned)
        return key

    def _pair(self, need: Need, seed: int) -> list[tuple[str, int]]:
        assert need.arm is not None
        if need.versus is None and not need.next_seed:
            return [(need.arm, seed)]
        seeds = self.plan.seeds
        other = seeds[(seeds.index(seed) + 1) % len(seeds)] if need.next_seed else seed
        return [(need.arm, seed), (need.versus or need.arm, other)]

    def _run(self, spec: RunSpec, inputs: Inputs) -> str:
        identity = self._known(
            run_identity(
                spec,
                data=portable(inputs.data),
                backbones={source: portable(found) for source, found in inputs.backbones.items()},
                device=device_class(self.plan.device),
                precision=self.plan.precision,
            )
        )
        key = key_of(identity)
        if key not in self.plan.runs:
            stored = self._store.find(key)
            seconds = stored.result["seconds"] if stored else self._timings.estimate(spec)
            self.plan.runs[key] = PlannedRun(spec, identity, key, inputs, stored is not None, seconds)
        return key

    def _known(self, identity: Mapping[str, Any]) -> Mapping[str, Any]:
        """The identity under which the same thing was recorded, where only recorded results count."""
        return self._recorded.match(identity) if self._recorded else identity


class Timings:
    """Cost of runs already in the store, per epoch, by what makes runs cost alike."""

    def __init__(self, store: Results) -> None:
        self._store = store
        self._seen: dict[tuple[str, int, bool], list[float]] | None = None

    def estimate(self, spec: RunSpec) -> float:
        """Median seconds of like runs in the store, else a guess."""
        if self._seen is None:
            self._seen = {}
            for key in self._store.run_keys():
                if (run := self._store.find(key)) is not None:
                    theirs = run.identity["spec"]
                    like = (theirs["scale"], theirs["context"], _deep(theirs["arm"]))
                    self._seen.setdefault(like, []).append(
                        run.result["seconds"] / max(1, len(run.result["curves"]["return_mean"]))
                    )
        if seen := self._seen.get((spec.scale, spec.context, _deep(spec.arm))):
            return statistics.median(seen) * spec.epochs
        guesses = GUESS_SECONDS[spec.scale]
        whole = guesses[1] if spec.context == 1 else guesses[20]
        return whole * (2 if _deep(spec.arm) else 1) * spec.epochs / spec.budget.epochs


def _deep(arm: str) -> bool:
    """Whether an arm has the image backbone's 24 blocks."""
    return "image" in arm
