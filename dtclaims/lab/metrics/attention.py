"""Attention: how far back a query looks, and how training changes that, and the map (paper §5.6.2; protocol §7.6).

Query and key are the first two thirds of a block's c_attn output, (samples, T tokens, width). Two functions
return one distance per sample, but on different scales (DEV-08):

- `fused_attention_distance`, the published one, is Σ_ij |i−j| P_ij / T² with mass on the future cut off, so
  uniform logits give (1 − 1/T²)/6 (0.1666 at T = 60) and the maximum is (T−1)/(2T);
- `causal_attention_distance`, the corrected one, is in tokens: 0 for attention to oneself, (T−1)/4 for
  uniform causal attention.

A distance is one number of a map: a map may change while it stays. `attention_change` compares the maps themselves.
"""

import math

import numpy as np
import torch
from torch import Tensor

from dtclaims.errors import MeasurementError, UndefinedMeasurement
from dtclaims.lab.metrics.inputs import Array, Floats, as_tensor


def _query_and_key(query: Array, key: Array) -> tuple[Tensor, Tensor]:
    q, k = as_tensor(query, "query", ndim=3), as_tensor(key, "key", ndim=3)
    if q.shape != k.shape or q.device != k.device:
        raise MeasurementError(
            "query and key do not belong together",
            given=f"{tuple(q.shape)} on {q.device} and {tuple(k.shape)} on {k.device}",
            expected="one shape (samples, tokens, width) on one device",
        )
    return q, k


def _steps_back(tokens: int, like: Tensor) -> Tensor:
    """(T, T): i − j for keys j up to the query i, 0 for later keys."""
    position = torch.arange(tokens, dtype=like.dtype, device=like.device)
    return (position[:, None] - position[None, :]).clamp(min=0)


def fused_attention_distance(query: Array, key: Array) -> Floats:
    """Published distance of each sample, (samples,): all heads as one, cut after the softmax (DEV-08).

    P = softmax over **all** T keys of qkᵀ/√width with the full width as one head; entries above the diagonal
    are then set to 0 without renormalising, and padding is not masked. The result is the mean of |i−j| P_ij over
    all T² entries. Mass that a query puts on later keys is lost, so the number falls when only logits of the
    future rise.

    Raises:
        MeasurementError: not (samples, T, width), NaN or infinity, query and key of different shapes.
    """
    q, k = _query_and_key(query, key)
    weights = torch.softmax(q @ k.transpose(1, 2) / math.sqrt(q.shape[2]), dim=-1)
    # Steps back are 0 above the diagonal, which is the cut.
    distance = (weights * _steps_back(q.shape[1], q)).mean(dim=(1, 2))
    return distance.cpu().numpy()


def causal_attention_distance(query: Array, key: Array, heads: int, mask: Array | None) -> Floats:
    """Corrected distance of each sample in tokens, (samples,): mean over heads and real queries of Σ_j (i−j) P_ij.

    The maps are those of the network itself: see `attention_change`.

    Args:
        query: (samples, T, width).
        key: (samples, T, width).
        heads: the network's number of heads; head h holds columns h·width/heads onwards.
        mask: (samples, T), non-zero at real tokens (a step's mask, three times); None if all are real.

    Raises:
        MeasurementError: as `fused_attention_distance`; heads that do not divide the width; a mask of another shape.
        UndefinedMeasurement: a sample without a real token.
    """
    maps, real = _maps(query, key, heads, mask)
    back = (maps * _steps_back(maps.shape[-1], maps)).sum(dim=-1)
    return _over_real(back, real).mean(dim=1).cpu().numpy()


def attention_change(
    pre: tuple[Array, Array], post: tuple[Array, Array], heads: int, mask: Array | None = None
) -> Floats:
    """Change of each head's attention map, (samples, heads): mean over real queries i of ½ Σ_j |P_ij − P⁰_ij| (DEV-08).

    P is the network's own map: each head's logits scaled by √(width / heads), later and padded keys excluded before
    the softmax. The total variation between two rows is the share of a query's attention that has moved to other keys:
    0 where none has, 1 where all has, whatever the map was before, and so comparable between networks.

    Args:
        pre: query and key before, each (samples, T, width).
        post: the same of the same samples after.
        heads: the network's number of heads; head h holds columns h·width/heads onwards.
        mask: (samples, T), non-zero at real tokens (a step's mask, three times); None if all are real.

    Raises:
        MeasurementError: as `causal_attention_distance`; other shapes or another device before and after.
        UndefinedMeasurement: a sample without a real token.
    """
    (before, real), (after, _) = (_maps(*side, heads, mask) for side in (pre, post))
    if before.shape != after.shape or before.device != after.device:
        raise MeasurementError(
            "maps before and after do not belong together",
            given=f"{tuple(before.shape)} on {before.device} and {tuple(after.shape)} on {after.device}",
            expected="one shape (samples, heads, tokens, tokens) on one device",
        )
    moved = (after - before).abs().sum(dim=-1) / 2
    return _over_real(moved, real).cpu().numpy()


def _maps(query: Array, key: Array, heads: int, mask: Array | None) -> tuple[Tensor, Tensor]:
    """The causal attention maps of each head, (samples, heads, T, T), and which tokens are real, (samples, T)."""
    q, k = _query_and_key(query, key)
    samples, tokens, width = q.shape
    if heads < 1 or width % heads:
        raise MeasurementError("heads do not divide the width", given=f"{heads} heads, width {width}")
    real = torch.ones(samples, tokens, dtype=torch.bool, device=q.device)
    if mask is not None:
        real = as_tensor(mask, "mask", ndim=2).to(q.device) != 0
        if real.shape != (samples, tokens):
            raise MeasurementError(
                "mask does not fit the query", given=tuple(real.shape), expected=f"({samples}, {tokens})"
            )
    if not bool(real.any(dim=1).all()):
        raise UndefinedMeasurement("attention in a window of padding only is undefined")
    q, k = (side.view(samples, tokens, heads, width // heads).transpose(1, 2) for side in (q, k))
    # A padded query has no key but itself: it is left out of the mean, and must not be NaN until then.
    itself = torch.eye(tokens, dtype=torch.bool, device=q.device)
    allowed = (real[:, None, :] & torch.ones_like(itself).tril()) | itself
    logits = (q @ k.transpose(2, 3) / math.sqrt(width // heads)).masked_fill(~allowed[:, None], -math.inf)
    return torch.softmax(logits, dim=-1), real


def _over_real(values: Tensor, real: Tensor) -> Tensor:
    """Mean over each sample's real queries, (samples, heads), of values (samples, heads, T)."""
    return (values * real[:, None]).sum(dim=-1) / real.sum(dim=1, keepdim=True)


def attention_gap(post: Array, pre: Array) -> Floats:
    """|post − pre| per sample, (samples,), of distances of the same samples at two epochs (published gap).

    Raises:
        MeasurementError: not one axis each, unequal numbers of samples, NaN or infinity.
    """
    after, before = _distances(post, pre)
    return np.abs(after - before)


def relative_gap(post: Array, pre: Array) -> Floats:
    """|post − pre| / pre per sample, (samples,): the change in units of the distance before training (DEV-08).

    Raises:
        MeasurementError: as `attention_gap`, or a negative distance.
        UndefinedMeasurement: a sample whose distance before training is 0.
    """
    after, before = _distances(post, pre)
    if (before == 0).any():
        raise UndefinedMeasurement(
            "a relative gap has no value where the distance before training is 0",
            given=f"{int((before == 0).sum())} of {len(before)} samples",
            expected="positive distances",
        )
    return np.abs(after - before) / before


def _distances(post: Array, pre: Array) -> tuple[Floats, Floats]:
    after, before = (as_tensor(d, name, ndim=1).cpu().numpy() for d, name in ((post, "post"), (pre, "pre")))
    if len(after) != len(before):
        raise MeasurementError(
            "gaps are taken per sample", given=f"{len(before)} before, {len(after)} after", expected="the same samples"
        )
    if min(after.min(), before.min()) < 0:
        raise MeasurementError("a distance cannot be negative", given=min(after.min(), before.min()))
    return after, before
