"""The jobs whose addresses the mutation test guards: each with what it starts from, and a tiny way to do it."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from dtclaims.lab.data import collect
from dtclaims.lab.data.policy import Policy
from dtclaims.lab.design.arms import get_arm
from dtclaims.lab.design.tasks import get_task
from dtclaims.lab.jobs import BENCH_CODE, RUN_CODE, TABLES, measuring_choices
from dtclaims.lab.measurements import MEASUREMENTS
from dtclaims.lab.train.choices import run_choices
from dtclaims.tests.support.examples import TINY_BUDGET, made_up, tiny_spec
from dtclaims.tests.support.mutations import Job
from dtclaims.tests.support.tiny_benches import CORRECTED, PUBLISHED, backbones, bench, redrawn
from dtclaims.tests.support.training import train_run

ELSEWHERE = (
    "dtclaims.harness",
    "dtclaims.lab.figures",
    "dtclaims.lab.pretrain",
    "dtclaims.lab.doctor",
    # Not its worker: the processes that step v4's physics attend to their work by the same function.
    *(f"dtclaims.lab.legacy.{module}" for module in ("environment", "reader", "slots", "system")),
)
"""What no job of the lab in v4 depends on."""
ONE_EPOCH = replace(TINY_BUDGET, epochs=1)
"""Whose end is any of the paper's epochs."""


Prepare = Callable[[Path], Callable[[], object]]


def _train(arm: str) -> Prepare:
    def prepare(folder: Path) -> Callable[[], None]:
        spec = tiny_spec(arm, budget=replace(ONE_EPOCH, steps_per_epoch=2), held_out=True)
        data, sources = made_up([30] * 12), backbones(12)

        def execute() -> None:
            train_run(spec, data, sources, folder)

        return execute

    return prepare


def _measure(name: str) -> Prepare:
    def prepare(folder: Path) -> Callable[[], None]:
        function = MEASUREMENTS[name].from_networks
        assert function is not None
        laid_out = []
        for place, switches in (("published", PUBLISHED), ("corrected", CORRECTED)):
            one, other = (
                bench(folder / place / arm, arm, redrawn("transformer.h."), budget=ONE_EPOCH, epochs=1)
                for arm in ("language_pretrained", "random_init")
            )
            laid_out.append((replace(one, other=other), switches))

        def execute() -> None:
            for one, switches in laid_out:
                function(one, switches)

        return execute

    return prepare


def _collect(_: Path) -> Callable[[], object]:
    task = get_task("hopper")
    random = np.random.default_rng(0)
    shapes = {"hidden.0": (8, task.state_dim), "hidden.1": (8, 8), "mean": (3, 8), "log_std": (3, 8)}
    tensors = {
        f"{layer}.{part}": random.normal(size=shape if part == "weight" else shape[:1]).astype(np.float32)
        for layer, shape in shapes.items()
        for part in ("weight", "bias")
    }

    def execute() -> None:
        # Here, where what is executed is seen, and as waves are made side by side.
        for workers in (1, 2):
            collect.collect(Policy(task, tensors), steps=300, seed=0, workers=workers)

    return execute


def _measurement(name: str) -> Job:
    function = MEASUREMENTS[name].from_networks
    assert function is not None
    start = f"{function.__module__}:{function.__qualname__}"
    foreign = (*ELSEWHERE, "dtclaims.lab.train.loop", "dtclaims.lab.data.physics", "dtclaims.lab.data.collect")
    arms = [get_arm(arm) for arm in ("language_pretrained", "random_init")]
    chosen = measuring_choices(arms, "cpu")
    return Job(name, _measure(name), (start, *BENCH_CODE), chosen=chosen, rows=TABLES, foreign=foreign)


JOBS = (
    *(
        Job(
            f"training of {arm}",
            _train(arm),
            RUN_CODE,
            chosen=run_choices(get_arm(arm), "cpu"),
            rows=TABLES,
            foreign=(*ELSEWHERE, "dtclaims.lab.metrics"),
        )
        for arm in ("random_init", "image_pretrained", "block_1_moments", "mlp")
    ),
    *map(_measurement, ("parameter_change", "cka", "cka_between", "attention_gap", "gradients", "probe_profile")),
    Job(
        "data collection",
        _collect,
        collect.CODE,
        chosen={"WORLDS": "v4"},
        rows=TABLES,
        foreign=(*ELSEWHERE, "dtclaims.lab.metrics", "dtclaims.lab.models", "dtclaims.lab.train"),
    ),
)
