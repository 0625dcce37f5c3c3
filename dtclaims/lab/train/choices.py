"""Which entries a run takes of the tables of code (`dtclaims.choice`): known without torch, before it is trained."""

from dtclaims.lab.design.arms import Arm
from dtclaims.lab.models.choices import builder_of, network_choices


def run_choices(arm: Arm, device: str) -> dict[str, str]:
    """Table → entry of all that trains and evaluates the arm.

    Args:
        arm: which.
        device: `cpu`, `cuda` or `cuda:i`.
    """
    place = device.partition(":")[0]
    return {
        **network_choices(arm, device),
        "STEPPING": place,
        "ROLLOUTS": place,
        "FORWARDS": "mlp" if builder_of(arm) == "mlp" else "stack",
    }
