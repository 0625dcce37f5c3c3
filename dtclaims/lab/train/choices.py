"""Which entries a run takes of the tables of code (`dtclaims.choice`): known without torch, before it is trained."""

from typing import Literal

from dtclaims.lab.data.simulators import V4, entry_of
from dtclaims.lab.design.arms import Arm
from dtclaims.lab.models.choices import builder_of, network_choices


def path_of(device: str) -> Literal["plain", "stacked"]:
    """How runs train: `plain`, one by one as the reference does; or `stacked`, several of one shape as one program.

    The path is part of a run's address, whoever else trains with it is not.

    Args:
        device: `cpu`, `cuda` or `cuda:i`.
    """
    return "plain" if device.partition(":")[0] == "cpu" else "stacked"


def run_choices(arm: Arm, device: str, simulator: str = V4) -> dict[str, str]:
    """Table → entry of all that trains and evaluates the arm.

    Args:
        arm: which.
        device: `cpu`, `cuda` or `cuda:i`.
        simulator: that evaluates it.
    """
    path, kind = path_of(device), "mlp" if builder_of(arm) == "mlp" else "stack"
    return {
        **network_choices(arm, device),
        "STEPPING": path,
        "ROLLOUTS": path,
        "ALONE": kind,
        "FORWARDS": kind,
        "WORLDS": entry_of(simulator),
    }
