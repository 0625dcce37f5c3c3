"""The two kinds of jobs of this lab: a run, and a measurement of runs or of the data. Made without torch."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from dtclaims.addresses import key_of
from dtclaims.closure import resolved
from dtclaims.harness.lab import CodeUsed, Job
from dtclaims.lab.costs import measurement_cost, run_cost
from dtclaims.lab.data.simulators import GYM_V2, V4
from dtclaims.lab.design.arms import Arm, get_arm
from dtclaims.lab.design.checkpoints import FIRST, number_in
from dtclaims.lab.design.spec import RunSpec
from dtclaims.lab.design.tasks import get_task
from dtclaims.lab.inputs import Inputs, portable
from dtclaims.lab.measurements.bench import Measurement
from dtclaims.lab.models.choices import network_choices
from dtclaims.lab.train.choices import path_of, run_choices

VERSIONS = ("gymnasium", "mujoco", "numpy", "torch")
RUN_VERSIONS = {V4: VERSIONS, GYM_V2: ("numpy", "torch")}
"""Of a run, by its simulator; what the simulator itself consists of is a resolved value."""
WHAT = ("task", "arm", "context", "seed", "scale", "simulator", "epochs", "clip")
"""Fields of a specification that say what a run is; the others say what the switches make of it."""
TABLES = ("ARMS", "TASKS")
"""Of whose rows a job takes its own, as resolved values."""

RUN_CODE = (
    "dtclaims.lab.train.job:train_runs",
    "dtclaims.lab.design.spec:RunSpec",
    "dtclaims.lab.models.backbones:load_backbone",
    "dtclaims.lab.data.trajectories:Trajectories",
)
"""Where a run's code begins: how it trains, and what it is handed. Data count by content, however they are read."""
BENCH_CODE = (
    "dtclaims.lab.measurements.bench:Bench",
    "dtclaims.lab.models.backbones:load_backbone",
    "dtclaims.lab.data.trajectories:Trajectories",
)
"""What every measurement rests on beside its own function."""


@dataclass(frozen=True)
class RunOrder:
    """A run in this lab's words."""

    spec: RunSpec
    inputs: Inputs
    rehearses: RunSpec | None = None
    """The run that this one is a short rehearsal of."""


@dataclass(frozen=True)
class MeasureOrder:
    """A measurement in this lab's words."""

    quantity: str
    switches: Mapping[str, str]
    parameters: Mapping[str, Any]
    seed: int
    inputs: tuple[Inputs, ...]
    """Of each run; of the data alone, one."""


def run_job(spec: RunSpec, inputs: Inputs, *, device: str, precision: str, rehearses: RunSpec | None = None) -> Job:
    """A training run as a job (protocol §§3-6); of a rehearsal, the run that it stands for is named."""
    said = asdict(spec)
    arm = get_arm(spec.arm)
    return Job(
        kind="run",
        name=" on ".join([spec.name, *_named_checkpoints(arm, inputs)]),
        what={name: said[name] for name in WHAT},
        how={
            **{name: value for name, value in said.items() if name not in WHAT},
            "data": portable(inputs.data),
            "backbones": {source: portable(found) for source, found in inputs.backbones.items()},
        },
        resolved={
            "arm": resolved(arm),
            "task": resolved(get_task(spec.task)),
            "simulator": dict(inputs.simulator),
            "kept_epochs": list(spec.kept_epochs),
            "gradient_clip": spec.gradient_clip,
        },
        code=CodeUsed(RUN_CODE, run_choices(arm, device, spec.simulator), TABLES),
        versions=RUN_VERSIONS[spec.simulator],
        device=device,
        precision=precision,
        keeps_files=True,
        cost=run_cost(spec, inputs, device),
        seed=spec.seed,
        task=spec.task,
        order=RunOrder(spec, inputs, rehearses),
        together=together(spec, inputs, device=device, precision=precision),
        most_together=MOST_TOGETHER[spec.scale]["K1" if spec.context == 1 else "longer"],
    )


MOST_TOGETHER = {
    "mini": {"K1": 8, "longer": 1},
    "small": {"K1": 30, "longer": 10},
    "full": {"K1": 4, "longer": 2},
    "paper": {"K1": 4, "longer": 2},
}
"""Runs in a group. Ours, from the table in docs/engine.md: past them a run-step gains little, and a group is the least
that a GPU can be given. Multiples of five seeds at `small`: most groups are then of few
sizes, each compiled once."""


def together(spec: RunSpec, inputs: Inputs, *, device: str, precision: str) -> str | None:
    """What runs that can train as one program have in common: the same for two runs, or None for a run by itself.

    Seed, clip norm, Adam's eps, weights and data order are each run's own. Where one block is a backbone's with its own
    heads and activation among a random arm's, its place counts too.
    """
    if path_of(device) == "plain":
        return None
    arm = get_arm(spec.arm)
    mixed = arm.block is not None and spec.architecture == "reference"
    # A random arm of the language backbone's configuration computes as the language arms do.
    shape = "language" if arm.shape == "random" and spec.architecture == "matched" else arm.shape
    return key_of(
        {
            "shape": shape,
            "block": arm.block if mixed else None,
            "sizes": [inputs.backbones.get(one, {}).get("config") for one in arm.sources[:1]],
            "task": spec.task,
            "simulator": spec.simulator,
            "context": spec.context,
            "head": spec.head,
            "epochs": spec.epochs,
            "budget": asdict(spec.budget),
            "fresh": spec.fresh_episodes,
            "held_out": spec.held_out,
            "device": device,
            "precision": precision,
        }
    )


def _named_checkpoints(arm: Arm, inputs: Inputs) -> list[str]:
    """The checkpoint that a run starts from, if it is not the first."""
    names = [str(found.get("name", "")) for source, found in inputs.backbones.items() if source == arm.source]
    return [name for name in names if number_in(name) != FIRST]


def measure_job(
    measurement: Measurement,
    runs: tuple[Job, ...],
    inputs: tuple[Inputs, ...],
    *,
    switches: Mapping[str, str],
    parameters: Mapping[str, Any],
    seed: int,
    task: str,
    scale: str,
    device: str,
    precision: str,
) -> Job:
    """A measurement of stored runs, or of the data alone, as a job (protocol §7)."""
    function = measurement.from_networks
    assert function is not None
    alone = {} if runs else {"task": task, "seed": seed, "scale": scale}
    chosen = measuring_choices([get_arm(run.what["arm"]) for run in runs], device)
    of = " and ".join(run.name for run in runs) or task
    return Job(
        kind="measurement",
        name=f"{measurement.name} of {of}",
        what={"quantity": measurement.name, **alone},
        how={
            "switches": dict(switches),
            "parameters": dict(parameters),
            **({"remade": True} if measurement.is_remade(switches) else {}),
            **({} if runs else {"data": portable(inputs[0].data)}),
        },
        resolved={} if runs else {"task": resolved(get_task(task))},
        code=CodeUsed((f"{function.__module__}:{function.__qualname__}", *BENCH_CODE), chosen, TABLES),
        versions=VERSIONS,
        device=device,
        precision=precision,
        needs=runs,
        cost=measurement_cost(measurement.name, scale, inputs, device),
        seed=seed,
        task=task,
        order=MeasureOrder(measurement.name, switches, parameters, seed, inputs),
    )


def measuring_choices(arms: Sequence[Arm], device: str) -> dict[str, tuple[str, ...]]:
    """Table → entries of what builds the networks that are measured: the arms' own, and a fresh random one."""
    chosen: dict[str, tuple[str, ...]] = {}
    # Of the data alone no network is measured, but what lays it out could build one.
    for arm in arms or (get_arm("random_init"),):
        for table, entry in network_choices(arm, device).items():
            chosen[table] = tuple(dict.fromkeys((*chosen.get(table, ()), entry, *ZERO_POINT.get(table, ()))))
    return chosen


ZERO_POINT = {"BUILDERS": ("fresh",), "CHANGES": ("unchanged",)}
"""Entries that any measurement of networks may take beside its arms' own (`Bench.random_network`)."""
