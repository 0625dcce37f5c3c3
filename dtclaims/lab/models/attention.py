"""Attention in the forms that are needed, and the dropout and masks it uses.

A block is told how to attend by a function of this type (`Attend`): from c_attn's output to what c_proj takes. There
are two here, `masked` and `as_the_reference`, and one of several runs (`keyed_dropout.keyed_attention`).
"""

import math
from collections.abc import Callable, Sequence
from itertools import groupby

import torch
import torch.nn.functional as F
from torch import Tensor

from dtclaims.choice import Choice

Attend = Callable[[Tensor, int, float], Tensor]
"""(c_attn's output (B, T, 3 * width), heads, dropout of the weights) to (B, T, width)."""

Drop = Callable[..., Tensor]
"""(x, probability, training, place) to x with some entries set to 0 and the others scaled up: `drop`, or a stream of
one run's own (`dtclaims.lab.models.keyed_dropout`). `place` tells the uses of one block apart."""

ATTENTION = Choice(cpu="dtclaims.lab.models.attention:attend", cuda="dtclaims.lab.models.gpu_attention:attend")
"""By device: drop(softmax(q k^T / sqrt(dh) + bias)) v; called as `attend`."""

MASKED_LOGIT = -1e4
"""What the reference gives a future key, and adds to a padded one (DEV-41)."""


def split(qkv: Tensor, heads: int) -> tuple[Tensor, Tensor, Tensor]:
    """c_attn's output (B, T, 3 * width) -> queries, keys, values, each (B, heads, T, width / heads)."""
    batch, tokens, _ = qkv.shape
    query, key, value = qkv.view(batch, tokens, 3, heads, -1).permute(2, 0, 3, 1, 4).unbind(0)
    return query, key, value


def joined(mixed: Tensor) -> Tensor:
    """The heads' outputs (B, heads, T, dh) side by side, (B, T, heads * dh)."""
    return mixed.transpose(1, 2).flatten(2)


def masked(bias: Tensor | None, device: torch.device) -> Attend:
    """Attention with `bias` added to the logits; see `attend`."""
    form = ATTENTION[device.type]
    return lambda qkv, heads, dropout: joined(form(*split(qkv, heads), bias, dropout))


def as_the_reference(real_keys: Tensor) -> Attend:
    """Attention as the released code computes it; see `reference_attention`."""
    return lambda qkv, heads, dropout: joined(reference_attention(*split(qkv, heads), real_keys, dropout))


def attend(query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None, dropout: float) -> Tensor:
    """drop(softmax(q k^T / sqrt(dh) + bias)) v, (B, heads, T, dh).

    Args:
        query: (B, heads, T, dh), as `key` and `value`.
        key: see `query`.
        value: see `query`.
        bias: added to the logits, (B or 1, 1, T, T); None means causal.
        dropout: probability to drop an attention weight.
    """
    if not dropout or bias is None:
        return F.scaled_dot_product_attention(
            query, key, value, attn_mask=bias, dropout_p=dropout, is_causal=bias is None
        )
    # scaled_dot_product_attention has no fused CPU kernel with dropout; its fallback takes half as long again.
    logits = (query * query.shape[-1] ** -0.5) @ key.transpose(-1, -2)
    return drop(torch.softmax(logits.add_(bias), dim=-1), dropout, True) @ value


def reference_attention(query: Tensor, key: Tensor, value: Tensor, real_keys: Tensor, dropout: float) -> Tensor:
    """Attention with the reference's additive masks (DEV-41).

    logits = where(causal, q k^T / sqrt(dh), -1e4) + (-1e4 at padded keys). A real query sees what a boolean
    mask shows it. A padded query spreads over its padded past *and later real tokens*, whose logits are
    all near -1e4: the published activations at padded positions contain the future.

    Args:
        query: (B, heads, T, dh), as `key` and `value`.
        key: see `query`.
        value: see `query`.
        real_keys: bool, (B, T), False at padding.
        dropout: probability to drop an attention weight.
    """
    logits = query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1])
    logits = torch.where(causal(query.shape[-2], query.device), logits, MASKED_LOGIT)
    padding = additive(real_keys, logits.dtype, MASKED_LOGIT)
    return drop(torch.softmax(logits + padding[:, None, None, :], dim=-1), dropout, True) @ value


def drop(x: Tensor, probability: float, training: bool, place: int = 0) -> Tensor:
    """Dropout from torch's global generator; on the CPU the probability is rounded to 1/65536. One stream for all."""
    if not (training and probability):
        return x
    if x.device.type != "cpu" or torch.compiler.is_compiling():
        return F.dropout(x, probability)
    (factor,) = kept((x.shape,), (probability,))
    return x * factor


def kept(shapes: Sequence[Sequence[int]], probabilities: Sequence[float]) -> list[Tensor]:
    """Factors of dropout on the CPU: 0 with a probability rounded to 1/65536, else what keeps the mean; float32.

    torch's CPU dropout takes longer than a block's matrix products at the mini scale. Comparing 16 random bits per
    element is many times as fast, as floats: a mask of bools is slow to make and to multiply with.
    """
    counts = [math.prod(shape) for shape in shapes]
    bits = torch.empty((sum(counts) + 3) // 4, dtype=torch.int64).random_(-(2**63), None)
    factors = bits.view(torch.int16)[: sum(counts)].to(torch.float32)
    begin = 0
    for probability, equal in groupby(zip(probabilities, counts, strict=True), lambda one: one[0]):
        end, dropped = begin + sum(count for _, count in equal), round(probability * 65536)
        factors[begin:end].ge_(dropped - 32768).mul_(65536 / (65536 - dropped))
        begin = end
    return [part.view(*shape) for part, shape in zip(torch.split(factors, counts), shapes, strict=True)]


def causal(tokens: int, device: torch.device) -> Tensor:
    """Bool (1, 1, T, T), True where a query may see a key: itself and what is before it."""
    return torch.ones(1, 1, tokens, tokens, dtype=torch.bool, device=device).tril()


def additive(allowed: Tensor, dtype: torch.dtype, masked: float) -> Tensor:
    """0 where `allowed`, `masked` elsewhere."""
    return torch.zeros_like(allowed, dtype=dtype).masked_fill_(~allowed, masked)
