"""The arms of the experiment: where a Decision Transformer's stack gets its weights from."""

from dataclasses import dataclass
from typing import Literal

from dtclaims.errors import UsageError


@dataclass(frozen=True)
class Arm:
    """One way to start a Decision Transformer."""

    name: str
    backbone: Literal["language", "image"] | None
    """Kind of the pre-trained weights the stack starts from; None for fresh ones."""
    description: str


ARMS: dict[str, Arm] = {
    arm.name: arm
    for arm in (
        Arm("random_init", None, "every weight drawn afresh (the paper's randomly initialised model)"),
        Arm("language_pretrained", "language", "blocks and final norm of a language model (the paper's GPT-2)"),
    )
}


def get_arm(name: str) -> Arm:
    """The arm called `name`.

    Raises:
        UsageError: no such arm.
    """
    try:
        return ARMS[name]
    except KeyError:
        raise UsageError("unknown arm", given=repr(name), expected=f"one of {', '.join(ARMS)}") from None
