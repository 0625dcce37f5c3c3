"""What evaluates models, by path (protocol §5)."""

import math

import torch

from dtclaims.choice import Choice
from dtclaims.device import cpu_count
from dtclaims.lab.data.simulators import SLOTS_EACH

ROLLOUTS = Choice(
    plain="dtclaims.lab.train.plain_lanes:PlainRollouts", stacked="dtclaims.lab.train.stacked_lanes:StackedRollouts"
)
"""By path: the roll-outs of models, see `LaneRollouts`."""


def physics_workers(device: torch.device | str, slots: int, cores: int | None = None) -> int:
    """Processes that step the physics of roll-outs: none but the run's own beside other CPU workers.

    Args:
        device: of the network.
        slots: of the environment.
        cores: that the run may use beside a GPU; None for all there are.
    """
    if torch.device(device).type != "cuda":
        return 1
    return min(max(1, cores or cpu_count()), math.ceil(slots / SLOTS_EACH))
