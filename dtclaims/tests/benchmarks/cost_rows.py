"""Rows of `fixtures/costs.json` for the machine that this runs on, with runs done alone.

    python -m dtclaims.tests.benchmarks.cost_rows --device cpu --scale mini

Prints what an update and a roll-out step of each kind of run take, the physics of each task on one core, and what it
costs to start a worker, as JSON in the table's own form. What several runs take together, and what measurements take,
is read from a store that was filled on the machine: `dtclaims costs --table`.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any, cast

import numpy as np

from dtclaims.device import device_class
from dtclaims.harness.lab import protocols_of
from dtclaims.lab.costs import shape_of
from dtclaims.lab.data.physics import BatchedEnv
from dtclaims.lab.design.scales import get_scale
from dtclaims.lab.design.spec import RunSpec, resolve
from dtclaims.lab.design.switches import SWITCHES
from dtclaims.lab.design.tasks import ALL_TASKS, get_task
from dtclaims.lab.inputs import Inputs, backbones_for, find_data

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
    roll = cast(Any, trainer)._roll_out
    start = time.perf_counter()
    roll(0)
    first += time.perf_counter() - start
    start, done, lock, epoch = time.perf_counter(), 0, 0, 0
    while time.perf_counter() - start < 2.0:
        epoch += 1
        lengths = roll(epoch).lengths
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


def main() -> None:
    """Print the rows."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--scale", default="mini")
    options = parser.parse_args()
    import torch

    torch.set_num_threads(1)
    rates = {task: physics(task) for task in ALL_TASKS}
    scale, protocol = get_scale(options.scale), protocols_of(SWITCHES)["corrected"]
    runs = {}
    for arm, context in KINDS:
        spec = resolve(
            task="hopper", arm=arm, context=context, seed=0, scale=scale.name, budget=scale.budget, protocol=protocol
        )
        runs[shape_of(spec)] = kind(spec, options.device, rates["hopper"])
        print(shape_of(spec), runs[shape_of(spec)], file=sys.stderr)
    rows = {
        "physics_steps_per_core_second": {task: round(rate) for task, rate in rates.items()},
        device_class(options.device): {"worker_start_s": round(worker_start(), 1), "runs": runs},
    }
    print(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
