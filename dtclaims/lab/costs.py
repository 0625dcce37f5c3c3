"""What runs and measurements cost, from the table that ships (`fixtures/costs.json`): no result depends on it.

Rows were measured on the machines that the table names, by device class and by what makes runs cost alike; a store
corrects them by what jobs took there (`dtclaims.harness.plan.planner.Timings`).
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any

from dtclaims.device import device_class
from dtclaims.errors import FixtureError
from dtclaims.harness.lab import Cost, Once
from dtclaims.lab.data.simulators import SLOTS_EACH, V4, missing, simulator_of_data
from dtclaims.lab.design.kinds import network
from dtclaims.lab.design.spec import RunSpec
from dtclaims.lab.inputs import Inputs
from dtclaims.places import fixture_dir

SCHEMA = 1
LIKE_PAPER = {"full": "paper"}
"""Scales whose runs cost what another's do."""
ANY = "any"
"""Row of a measurement that the table does not name."""
RESULT_BYTES = 60_000
"""Of a run's files beside its checkpoints."""


@cache
def table() -> Mapping[str, Any]:
    """The table.

    Raises:
        FixtureError: it is not there, or not one of this version.
    """
    path = fixture_dir() / "costs.json"
    try:
        content: dict[str, Any] = json.loads(path.read_text("utf-8"))
        if content["schema"] == SCHEMA:
            return content
        given: object = f"schema {content['schema']}"
    except (OSError, ValueError, KeyError, TypeError) as error:
        given = repr(error)
    raise FixtureError(
        f"{path} is no table of costs",
        given=given,
        expected=f"schema {SCHEMA}",
        remedy=f"Restore it: `git checkout -- {path}`.",
    )


def shape_of(spec: RunSpec) -> str:
    """The row of a run: runs of one row cost alike per epoch."""
    return f"{LIKE_PAPER.get(spec.scale, spec.scale)} {network(spec.arm)} K={spec.context}"


def run_cost(spec: RunSpec, inputs: Inputs, device: str) -> Cost:
    """What a run takes: its updates, its roll-outs, their physics.

    On a CPU all of it is its worker's one core's. Beside a GPU, updates and the networks of roll-outs are the GPU's,
    and less for each of several runs that are done together; physics is spread over the worker's cores.

    Args:
        spec: the run.
        inputs: its data and backbones.
        device: where.

    Raises:
        FixtureError: the table cannot be read.
    """
    kind = device_class(device)
    found = table()["devices"][kind]
    row = found["runs"].get(shape_of(spec)) or _nearest(kind, shape_of(spec))
    mean, longest = table()["episodes"][spec.scale][spec.task]
    budget, fresh = spec.budget, 2 * bool(spec.fresh_episodes)
    updates, steps = spec.epochs * budget.steps_per_epoch, (spec.epochs + fresh) * longest
    physics = (spec.epochs * budget.evaluation_episodes + fresh * spec.fresh_episodes) * mean
    rates = table()["physics"]
    physics /= rates["steps_per_core_second"][spec.task]

    def computing(together: str) -> float:
        return float(updates * row["update_ms"][together] + steps * row["forward_ms"][together]) / 1000

    sizes = sorted(map(int, row["update_ms"]))
    alone, *others = [(size, computing(str(size))) for size in sizes]
    cost = Cost(
        like=(shape_of(spec), spec.task),
        steps=spec.epochs,
        unit="epochs",
        nbytes=RESULT_BYTES + 4.0 * len(spec.kept_epochs) * _parameters(inputs),
    )
    once = (*_collected(inputs), Once("worker", found["worker_start_s"], "worker"))
    if kind == "cpu":
        return replace(cost, seconds=row["begin_s"] + alone[1] + physics, once=once)
    compiled = Once(f"compile {shape_of(spec)}", row.get("compile_s", 0.0), "machine")
    return replace(
        cost,
        seconds=row["begin_s"],
        accelerator=alone[1],
        shared=tuple(others),
        spread=physics / rates["share_of_cores"],
        cores=budget.evaluation_episodes / SLOTS_EACH,
        once=(*once, compiled),
    )


def measurement_cost(quantity: str, scale: str, inputs: tuple[Inputs, ...], device: str) -> Cost:
    """What a measurement takes: seconds of its worker, as they were timed, and of a GPU where it fills one.

    Args:
        quantity: what is measured.
        scale: of the runs.
        inputs: of each run; of the data alone, one.
        device: where.

    Raises:
        FixtureError: the table cannot be read.
    """
    found = table()["devices"][device_class(device)]
    rows = found["measurements"].get(LIKE_PAPER.get(scale, scale), {})
    once = (*(one for of in inputs for one in _collected(of)), Once("worker", found["worker_start_s"], "worker"))
    row = rows.get(quantity, rows.get(ANY, 1.0))
    seconds, accelerator = (row["seconds"], row["accelerator"]) if isinstance(row, Mapping) else (row, 0.0)
    return Cost((quantity, scale), seconds=seconds, accelerator=accelerator, once=tuple(dict.fromkeys(once)))


def _nearest(kind: str, shape: str) -> Mapping[str, Any]:
    """A row for what was never measured on such a device: that of the nearest shape that was, by its words."""
    rows: Mapping[str, Mapping[str, Any]] = table()["devices"][kind]["runs"]
    _, _, rest = shape.partition(" ")
    alike = [name for name in rows if name.partition(" ")[2] == rest]
    return rows[alike[-1] if alike else next(iter(rows))]


def _parameters(inputs: Inputs) -> float:
    """Of the Transformer blocks, which are nearly all of them: twelve squares of the width in each."""
    configs = [one.get("config", {}) for one in inputs.backbones.values()]
    return max((12.0 * one.get("blocks", 0) * one.get("width", 0) ** 2 for one in configs), default=0.0)


def _collected(inputs: Inputs) -> tuple[Once, ...]:
    """The data, if they are still to be collected."""
    data = inputs.data
    if data.get("kind") != "collected":
        return ()
    simulator = simulator_of_data(data) or V4
    if _is_there(inputs.task, str(data["level"]), data["steps"], data["seed"], simulator):
        return ()
    rate = table()["physics"]["collected_steps_per_core_second"][inputs.task]
    seconds = data["steps"] / rate / table()["physics"]["share_of_cores"]
    return (Once(f"{inputs.task} data", seconds, "session"),)


@cache
def _is_there(task: str, level: str, steps: int, seed: int, simulator: str) -> bool:
    from dtclaims.lab.data.collect import collected_path, shipped_recipe

    recipe = shipped_recipe(task, level=level, steps=steps, seed=seed, simulator=simulator)
    return missing(simulator) is None and collected_path(recipe).is_file()
