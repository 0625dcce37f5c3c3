"""What evaluates models, by path (protocol §5)."""

import torch

from dtclaims.choice import Choice
from dtclaims.device import cpu_count

ROLLOUTS = Choice(
    plain="dtclaims.lab.train.plain_lanes:PlainRollouts", stacked="dtclaims.lab.train.stacked_lanes:StackedRollouts"
)
"""By path: the roll-outs of models, see `LaneRollouts`."""


def physics_workers(device: torch.device | str, cores: int | None = None) -> int:
    """Processes that step the physics of roll-outs: none but the run's own beside other CPU workers.

    Args:
        device: of the network.
        cores: that the run may use beside a GPU; None for all there are.
    """
    return max(1, cores or cpu_count()) if torch.device(device).type == "cuda" else 1
