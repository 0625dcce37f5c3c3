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

    Where a GPU waits for it, three times the cores that the run may use: the workers that share a machine seldom roll
    out all at once, and those that train leave theirs idle.

    Args:
        device: of the network.
        cores: that the run may use; None for all there are.
    """
    if torch.device(device).type != "cuda":
        return 1
    there = cpu_count()
    return max(1, min(there, 3 * (cores or there)))
