"""Rows of `fixtures/costs.json`, measured.

    python -m dtclaims.tests.support.cost_rows --device cpu --scale mini       times runs that are done alone here
    python -m dtclaims.tests.support.cost_rows --store DIR [--device cuda]     reads what jobs took in a store

The first prints what an update and a roll-out step of each kind of run take, the physics of each task on one core, and
what it takes to start a worker. The second takes the rows that there are and scales those of each kind of run, for each
number that were done together, by what such runs missed them by, and those of measurements likewise. Where physics or
the GPU is what a session waits for, only the sum is seen: look whether the rows make sense. `--write` changes the file.
"""

import argparse
import copy
import json
import math
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from dtclaims.device import device_class
from dtclaims.harness.lab import Cost, protocols_of
from dtclaims.harness.plan.planner import expected_of
from dtclaims.harness.store.timings import read_timings
from dtclaims.lab.costs import LIKE_PAPER, measurement_cost, run_cost, shape_of, table
from dtclaims.lab.data.physics import BatchedEnv
from dtclaims.lab.design.scales import get_scale
from dtclaims.lab.design.spec import RunSpec, resolve
from dtclaims.lab.design.switches import SWITCHES
from dtclaims.lab.design.tasks import ALL_TASKS, get_task
from dtclaims.lab.inputs import Inputs, backbones_for, find_data
from dtclaims.places import fixture_dir

REPEATS = 3
KINDS = (("random_init", 1), ("random_init", 20), ("image_native", 1), ("image_native", 20), ("mlp", 1))


def timed(call: Callable[[], object]) -> float:
    """Seconds of a call, the best of a few: what else the machine does only adds."""
    found = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        call()
        found.append(time.perf_counter() - start)
    return min(found)


def physics(task: str) -> float:
    """Environment steps per second of one core, random actions."""
    env = BatchedEnv(get_task(task), 16, 1)
    draw = np.random.default_rng(0)
    steps = 0

    def some() -> None:
        nonlocal steps
        env.reset(list(range(16)))
        active, steps = np.ones(16, dtype=bool), 0
        for _ in range(100):
            actions = draw.uniform(-1, 1, (16, get_task(task).action_dim)).astype(np.float32)
            steps += int(active.sum())
            active &= ~env.step(actions, active)[2]
            if not active.any():
                break

    seconds = timed(some)
    env.close()
    return steps / seconds


def kind(spec: RunSpec, device: str, rate: float) -> dict[str, float]:
    """Milliseconds of one update and of one roll-out step beside its physics, and seconds that a run begins with."""
    from dtclaims.lab.train.loop import Trainer

    scale = get_scale(spec.scale)
    found = backbones_for(spec.arm, scale)
    data = find_data(spec.task, scale)
    assert isinstance(data, dict)
    inputs = Inputs(spec.task, data, found)
    trajectories = inputs.load_data()
    start = time.perf_counter()
    backbones = inputs.load_backbones()
    trainer = Trainer(
        spec, trajectories, backbones, device, "bfloat16" if device_class(device) == "cuda" else "float32"
    )
    begun = time.perf_counter() - start
    start = time.perf_counter()
    trainer.train_epoch()
    first = time.perf_counter() - start
    update = timed(trainer.train_epoch)
    start = time.perf_counter()
    trainer.roll_out()
    first += time.perf_counter() - start
    start, done, lock = time.perf_counter(), 0, 0
    while time.perf_counter() - start < 2.0:
        lengths = trainer.roll_out().lengths
        done, lock = done + int(lengths.sum()), lock + int(lengths.max())
    waited = time.perf_counter() - start - done / rate
    return {
        "update_ms": round(1000 * update / spec.budget.steps_per_epoch, 3),
        "forward_ms": round(max(0.0, 1000 * waited / lock), 3),
        "begin_s": round(begun, 2),
        "compile_s": round(max(0.0, first - update), 1),
    }


def worker_start() -> float:
    """Seconds until a new process has imported what trains."""
    code = "import dtclaims.lab.train.job, dtclaims.lab.train.loop"
    return timed(lambda: subprocess.run([sys.executable, "-c", code], check=True))


def alone(device: str, scale_name: str) -> dict[str, Any]:
    """The table with rows of runs that are done alone here."""
    import torch

    torch.set_num_threads(1)
    rates = {task: physics(task) for task in ALL_TASKS}
    found = copy.deepcopy(dict(table()))
    found["physics"]["steps_per_core_second"] = {task: round(rate) for task, rate in rates.items()}
    rows = found["devices"][device_class(device)]
    rows["worker_start_s"] = round(worker_start(), 1)
    for arm, context in KINDS:
        spec = spec_of(scale_name, arm, context, "hopper")
        timed_row = kind(spec, device, rates["hopper"])
        print(shape_of(spec), timed_row, file=sys.stderr)
        row = rows["runs"].setdefault(shape_of(spec), {"update_ms": {}, "forward_ms": {}})
        for name in ("update_ms", "forward_ms"):
            row[name]["1"] = timed_row[name]
        row["begin_s"] = timed_row["begin_s"]
        if device_class(device) == "cuda":
            row["compile_s"] = timed_row["compile_s"]
        row.pop("guess", None)
    return found


def spec_of(scale_name: str, arm: str, context: int, task: str) -> RunSpec:
    """A run of a kind."""
    scale, protocol = get_scale(scale_name), protocols_of(SWITCHES)["corrected"]
    return resolve(
        task=task, arm=arm, context=context, seed=0, scale=scale_name, budget=scale.budget, protocol=protocol
    )


def from_store(store: Path, device: str) -> dict[str, Any]:
    """The table with rows as jobs of a store took them."""
    found = copy.deepcopy(dict(table()))
    rows = found["devices"][device_class(device)]
    missed: dict[tuple[str, int], list[float]] = defaultdict(list)
    values: dict[tuple[str, str], list[float]] = defaultdict(list)
    for one in read_timings(store):
        if one.device != device_class(device):
            continue
        if one.kind == "measurement":
            quantity, scale = one.like
            cost = measurement_cost(quantity, scale, (), device)
            values[LIKE_PAPER.get(scale, scale), quantity].append(one.seconds / expected_of(cost, one))
            continue
        shape, task = one.like
        for arm, context in KINDS:
            spec = spec_of(shape.partition(" ")[0], arm, context, task)
            if shape_of(spec) == shape:
                cost = run_cost(spec, Inputs(task, {}, {}), device)
                missed[shape, one.together].append(one.seconds / expected_of(cost, one))
    for (shape, together), factors in sorted(missed.items()):
        row, factor = rows["runs"][shape], median(factors)
        print(f"{shape}, {together} together: {len(factors)} runs, {factor:.2f} of the table", file=sys.stderr)
        for name in ("update_ms", "forward_ms"):
            sizes = sorted(map(int, row[name]))
            known = Cost(accelerator=row[name]["1"], shared=tuple((size, row[name][str(size)]) for size in sizes[1:]))
            row[name][str(together)] = round(known.accelerator_of(together) * factor, 3)
        row.pop("guess", None)
    for shape in {shape for shape, _ in missed}:
        for name in ("update_ms", "forward_ms"):
            rows["runs"][shape][name] = sensible(rows["runs"][shape][name])
    for (scale, quantity), factors in sorted(values.items()):
        cost = measurement_cost(quantity, scale, (), device).times(median(factors))
        seconds, gpu = round(cost.seconds, 2), round(cost.accelerator, 2)
        row = {"seconds": seconds, "accelerator": gpu} if gpu else seconds
        rows["measurements"].setdefault(scale, {})[quantity] = row
    return found


def sensible(by_size: Mapping[str, float]) -> dict[str, float]:
    """Milliseconds of one run by how many are done together, as they can be: in a larger group one takes no longer, and
    the group no less. What one session says of each size alone is noisier than that."""
    found: dict[str, float] = {}
    before, least = math.inf, 0.0
    for size in sorted(by_size, key=int):
        before = max(min(by_size[size], before), math.ceil(1000 * least / int(size)) / 1000)
        least = before * int(size)
        found[size] = before
    return found


def main() -> None:
    """Print the table, or write it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--scale", default="mini")
    parser.add_argument("--store", type=Path)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    found = alone(options.device, options.scale) if options.store is None else from_store(options.store, options.device)
    text = json.dumps(found, indent=1) + "\n"
    if options.write:
        (fixture_dir() / "costs.json").write_text(text, "utf-8")
    else:
        print(text, end="")


if __name__ == "__main__":
    main()
