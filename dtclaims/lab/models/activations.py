"""Activations inside the blocks (protocol §7, header; DEV-16)."""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor

from dtclaims.errors import MeasurementError
from dtclaims.lab.data.windows import Batch
from dtclaims.lab.models.decision_transformer import AttentionForm, DecisionTransformer
from dtclaims.lab.models.policy import Policy, no_blocks
from dtclaims.lab.models.transformer import Block

PUBLISHED_POINTS = (
    "ln_1",
    "attn.c_attn",
    "attn.c_proj",
    "attn.resid_dropout",
    "ln_2",
    "mlp.c_fc",
    "mlp.c_proj",
    "mlp.act",
    "mlp.dropout",
)
"""The paper's "layers" of a block in its order, which is not the order of execution."""

DISTINCT_POINTS = ("ln_1", "attn.c_attn", "attn.c_proj", "ln_2", "mlp.c_fc", "mlp.act", "mlp.c_proj")
"""The published points without the two that dropout makes copies in eval mode, as executed (DEV-16)."""

RESIDUAL_POINTS = ("resid_mid", "resid_out")
"""The residual stream after the attention branch and after the block; the paper does not record it."""


def capture(
    model: Policy,
    batch: Batch,
    points: Sequence[str] = DISTINCT_POINTS + RESIDUAL_POINTS,
    attention: AttentionForm = "boolean",
) -> dict[str, Tensor]:
    """Activations of every block on `batch`, in eval mode; the model's own modes are put back.

    The published measurements read padded positions, so they need `attention="reference"` (DEV-41).

    Args:
        model: on the batch's device.
        batch: B windows of K steps.
        points: names in `PUBLISHED_POINTS` or `RESIDUAL_POINTS`.
        attention: see `DecisionTransformer.forward`.

    Returns:
        "h.{block}.{point}" -> (B, 3K, width of the point), by block, then in the order of `points`. Points
        that are equal in eval mode share their storage.

    Raises:
        MeasurementError: no such point, or a network without blocks.
    """
    if not isinstance(model, DecisionTransformer):
        raise no_blocks(model)
    known = PUBLISHED_POINTS + RESIDUAL_POINTS
    for point in points:
        if point not in known:
            raise MeasurementError("unknown point of a block", given=repr(point), expected=f"one of {', '.join(known)}")
    names = [f"h.{block}.{point}" for block in range(len(model.transformer.h)) for point in points]
    wanted = frozenset(names)
    recorded: dict[str, Tensor] = {}

    def record(name: str, value: Tensor) -> None:
        if name in wanted:
            recorded[name] = value

    training = {module: module.training for module in model.modules()}
    model.eval()
    try:
        with torch.no_grad():
            model(
                batch.states,
                batch.actions,
                batch.returns_to_go,
                batch.timesteps,
                batch.mask,
                attention=attention,
                record=record,
            )
    finally:
        for module, mode in training.items():
            module.training = mode
    return {name: recorded[name] for name in names}


def queries_and_keys(model: DecisionTransformer, activations: dict[str, Tensor], block: int) -> tuple[Tensor, Tensor]:
    """Queries and keys of one block, per head, each (B, heads, 3K, width / heads).

    Args:
        model: the model captured.
        activations: from `capture`, with the point attn.c_attn.
        block: from 0.

    Raises:
        MeasurementError: attn.c_attn of this block was not captured.
    """
    name = f"h.{block}.attn.c_attn"
    if name not in activations:
        raise MeasurementError("queries and keys need attn.c_attn", given=f"no {name} among the activations")
    query, key, _ = cast(Block, model.transformer.h[block]).attn.split(activations[name])
    return query, key
