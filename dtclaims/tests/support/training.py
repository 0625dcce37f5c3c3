"""Runs trained in memory, and a network with windows to train on."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from dtclaims.lab.data.trajectories import Trajectories
from dtclaims.lab.data.windows import Batch, WindowSampler
from dtclaims.lab.design.spec import RunSpec
from dtclaims.lab.models import Backbone, DecisionTransformer, StackConfig
from dtclaims.lab.train.job import Asked, train_runs
from dtclaims.lab.train.loop import Trainer
from dtclaims.lab.train.precision import TrainPrecision
from dtclaims.tests.support.examples import made_up


@dataclass
class Finished:
    """What a run leaves."""

    curves: dict[str, list[float]]
    checkpoints: dict[int, dict[str, Tensor]] = field(default_factory=dict)
    """Parameters at the kept epochs."""


def finished(spec: RunSpec, data: Trajectories, backbones: Mapping[str, Backbone]) -> Finished:
    """The run, trained on a CPU."""
    trainer = Trainer(spec, data, backbones)
    left = Finished(trainer.curves)
    while trainer.epoch < spec.epochs:
        trainer.run_epoch()
        if trainer.epoch in spec.kept_epochs:
            left.checkpoints[trainer.epoch] = trainer.parameters()
    return left


@dataclass
class Desk:
    """Where a test makes a run."""

    folder: Path
    report: Callable[[int, int], None] = lambda done, total: None
    note: Callable[[str], None] = lambda text: None
    spent: Callable[[Mapping[str, float]], None] = lambda seconds: None
    tell: Callable[[int, Mapping[str, float]], None] = lambda epoch, values: None
    check: Callable[[], None] = lambda: None


def train_run(
    spec: RunSpec,
    data: Trajectories,
    backbones: Mapping[str, Backbone],
    folder: Path,
    *,
    device: str = "cpu",
    precision: TrainPrecision = "float32",
    **desk: Any,
) -> dict[str, Any]:
    """The result of a run that trains alone; what ended it is raised."""
    found: list[Any] = []
    asked = [Asked(spec, data, backbones, Desk(folder, **desk))]
    train_runs(asked, lambda index, what: found.append(what), device=device, precision=precision)
    (result,) = found
    if isinstance(result, BaseException):
        raise result
    return result


def small_case(seed: int, context: int, head: str) -> tuple[DecisionTransformer, Batch]:
    """An untrained network of two blocks in eval mode, and four windows, some of them padded."""
    sampler = WindowSampler(made_up([2, 3, 9, 4], seed=seed), context)
    config = StackConfig(blocks=2, width=8, heads=2, activation="gelu_new")
    model = DecisionTransformer(config, 11, 3, head, seed=seed).eval()
    return model, sampler.gather(sampler.draw(4, np.random.default_rng(seed)))
