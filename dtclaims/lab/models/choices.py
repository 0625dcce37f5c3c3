"""Which entries a network takes of the tables of code (`dtclaims.choice`): known without torch, before it is built."""

from typing import Literal

from dtclaims.lab.design.arms import Arm


def builder_of(arm: Arm) -> Literal["fresh", "whole", "block", "mlp"]:
    """What builds the arm's network: no weights of a backbone, its whole stack, one block of it, or an MLP."""
    if arm.shape == "mlp":
        return "mlp"
    if arm.source is None:
        return "fresh"
    return "whole" if arm.block is None else "block"


def network_choices(arm: Arm, device: str) -> dict[str, str]:
    """Table → entry of what builds the arm's network and computes with it.

    Args:
        arm: which.
        device: `cpu`, `cuda` or `cuda:i`.
    """
    place = device.partition(":")[0]
    return {
        "BUILDERS": builder_of(arm),
        "CHANGES": arm.change or "unchanged",
        "ATTENTION": place,
    }
