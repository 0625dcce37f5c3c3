"""Which runs cost alike: what `dtclaims costs` says of a kind of run."""

from dtclaims.harness.lab import Ran
from dtclaims.lab.design.arms import BLOCKS, get_arm

COLUMNS = ("scale", "K", "network", "device", "updates per run")


def kind_of(run: Ran) -> tuple[str | int, ...]:
    """What is said of a run under `COLUMNS`.

    Raises:
        UsageError: a run of an arm that there is not.
    """
    spec = run.spec
    updates = spec["epochs"] * spec["budget"]["steps_per_epoch"]
    return spec["scale"], spec["context"], network(spec["arm"]), run.provenance["device"], updates


def network(arm: str) -> str:
    """The family of networks that cost alike: the MLP, stacks of the image model's depth, and all others.

    Raises:
        UsageError: no such arm.
    """
    match get_arm(arm).shape:
        case "mlp":
            return "MLP"
        case "image" | "image_layer_norm":
            return "image stack"
        case _:
            return f"stack of {BLOCKS} blocks"
