"""What is asked of the paper's figures, and what comes back beside plain values."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dtclaims.harness.lab import NotShown
from dtclaims.lab.design.spec import Budget

MAIN, SECOND = 666, 42
"""The paper's seeds: of the main text, and of the appendix."""
ARMS = {
    "random_init": "random",
    "random_for_image": "random",
    "language_pretrained": "language",
    "image_pretrained": "image",
}
"""The paper's models. It has one random arm: no other has the image model's shape."""
NO_CONTROL = "no such control was published"
CONTEXT = 20


@dataclass(frozen=True)
class Asked:
    """A need, of one run of the paper's (or of one and the next seed's)."""

    arm: str
    """`random`, `language`, `image`, `block_0` to `block_11`; empty for the data alone."""
    task: str
    seed: int
    context: int = CONTEXT
    clip: bool = True
    epochs: int = Budget.PAPER_EPOCHS
    next_seed: bool = False


@dataclass(frozen=True)
class Noted:
    """A number, and what a reader is to be told of it."""

    value: Any
    note: str


class Shown(dict[str, Any]):
    """A mapping some of whose parts the paper does not show: to read one of those is `NotShown`."""

    def __init__(self, parts: Mapping[str, Any], hidden: Mapping[str, str]) -> None:
        super().__init__(parts)
        self.hidden = dict(hidden)

    def __missing__(self, part: str) -> Any:
        if part in self.hidden:
            raise NotShown(self.hidden[part])
        raise KeyError(part)


def asked_of(condition: Mapping[str, Any], task: str, seed: int) -> Asked:
    """The paper's run that a condition means."""
    known = {"arm", "context", "clip", "epochs", "next_seed", "parameters"}
    if set(condition) - known:
        raise NotShown(NO_CONTROL)
    arm = condition.get("arm")
    block = re.fullmatch(r"(block_\d+)_language", arm or "")
    if arm is not None and arm not in ARMS and not block:
        raise NotShown(NO_CONTROL)
    epochs = condition.get("epochs", Budget.PAPER_EPOCHS)
    return Asked(
        arm=block[1] if block else ARMS[arm] if arm else "",
        task=task,
        seed=seed,
        context=condition.get("context", CONTEXT),
        clip=condition.get("clip", True),
        epochs=epochs[task] if isinstance(epochs, Mapping) else epochs,
        next_seed=bool(condition.get("next_seed")),
    )
