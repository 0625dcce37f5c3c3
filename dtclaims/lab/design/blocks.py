"""Block replacement as claims speak of it: a run per block, compared with the random arm or sham blocks (§5.6.1).

A claim over blocks takes its values as `**values`: `language_0` … `language_11` for the real blocks, and for what they
are compared with either `random` or, where a sham is subtracted (DEV-13), `permuted_0` … `permuted_11`.
"""

from collections.abc import Mapping
from typing import TypeVar

from dtclaims.harness.lab import Need
from dtclaims.lab.design.arms import BLOCKS

Value = TypeVar("Value")

RB_EPOCHS = {"hopper": 10, "halfcheetah": 5, "walker2d": 5}
"""How long block replacement runs train, in the paper's epochs (DEV-31)."""

SHAM = "permuted"
"""The primary sham: the language block's own values, moved. `block_B_moments` and `block_B_random` are others."""

MIDDLE = tuple(range(3, 11))
"""The blocks that the paper calls middle to deep (§5.6.2)."""
EDGES = tuple(block for block in range(BLOCKS) if block not in MIDDLE)
OTHERS = tuple(block for block in range(BLOCKS) if block != 1)
"""All blocks but the one the paper excepts."""


def replaced(measurement: str, *kinds: str, task: str | None = None) -> dict[str, Need]:
    """One need per block and kind of replacement, named `KIND_BLOCK`; with a task, `KIND_BLOCK_TASK`."""
    return {
        f"{kind}_{block}" + (f"_{task}" if task else ""): Need(
            measurement, arm=f"block_{block}_{kind}", context=1, epochs=RB_EPOCHS, task=task
        )
        for kind in kinds
        for block in range(BLOCKS)
    }


def against_random(measurement: str) -> dict[str, Need]:
    """The real blocks and the random arm they are compared with."""
    return {"random": Need(measurement, arm="random_init", context=1), **replaced(measurement, "language")}


def against_sham(measurement: str) -> dict[str, Need]:
    """The real blocks and a sham in the place of each (DEV-13)."""
    return replaced(measurement, "language", SHAM)


def by_block(values: Mapping[str, Value], kind: str = "language", task: str | None = None) -> list[Value]:
    """The values of one kind of replacement, by block."""
    return [values[f"{kind}_{block}" + (f"_{task}" if task else "")] for block in range(BLOCKS)]


def gains(values: Mapping[str, float]) -> list[float]:
    """By block, the real block less its sham; less the random arm where no sham was asked for."""
    base = [values["random"]] * BLOCKS if "random" in values else by_block(values, SHAM)
    return [real - theirs for real, theirs in zip(by_block(values), base, strict=True)]
