"""A run whose information is measured, and what its blocks put out for the windows of either protocol."""

from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from dtclaims.lab.data.windows import Batch
from dtclaims.lab.measurements import Bench
from dtclaims.lab.models import capture
from dtclaims.tests.support.examples import made_up
from dtclaims.tests.support.tiny_benches import backbones, bench, redrawn

STEPS = 30
"""Of each of its eight trajectories."""


def run(folder: Path, blocks: int = 3, arm: str = "language_pretrained", scale: str = "small") -> Bench:
    """A run whose blocks ended elsewhere than they started."""
    sources = backbones(blocks, image_blocks=4)
    one = bench(folder, arm, redrawn("transformer.h.", seed=5), sources=sources, scale=scale)
    return replace(one, all_data=made_up([STEPS] * 8))


def whole(batches: list[Batch], name: str) -> Tensor:
    """One field of all windows."""
    return torch.cat([getattr(batch, name) for batch in batches])


def windows(one: Bench, few: int, *, corrected: bool = True) -> list[Batch]:
    """The windows that the protocol asks for; `few` as corrected."""
    return one.windows(few if corrected else 100, full=corrected, per_seed=corrected)


def outputs(one: Bench, few: int, *, corrected: bool = True) -> dict[str, Tensor]:
    """What the blocks put out at the end of the run, for the protocol's windows."""
    point = "resid_out" if corrected else "mlp.dropout"
    attention = "boolean" if corrected else "reference"
    model = one.network(40)
    found = [capture(model, batch, (point,), attention) for batch in windows(one, few, corrected=corrected)]  # type: ignore[arg-type]
    return {name.removesuffix(f".{point}"): torch.cat([part[name] for part in found]) for name in found[0]}
