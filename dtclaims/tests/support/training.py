"""A run trained to its end in memory."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor

from dtclaims.lab.data.trajectories import Trajectories
from dtclaims.lab.design.spec import RunSpec
from dtclaims.lab.models import Backbone
from dtclaims.lab.train.loop import Trainer


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
