"""What evaluates models, by path (protocol §5)."""

import os

import torch

from dtclaims.choice import Choice

ROLLOUTS = Choice(
    plain="dtclaims.lab.train.lanes:LaneRollouts", stacked="dtclaims.lab.train.stacked_lanes:StackedRollouts"
)
"""By path: the roll-outs of models, see `LaneRollouts`."""


def physics_threads(device: torch.device | str, cores: int | None = None) -> int:
    """Threads that step the physics of a roll-out: one beside other CPU workers, up to 8 where a GPU waits for it.

    Args:
        device: of the network.
        cores: that the run may use; None for all there are.
    """
    return max(1, min(8, cores or os.cpu_count() or 1)) if torch.device(device).type == "cuda" else 1
