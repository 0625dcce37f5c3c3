"""Attention distance: how far back a query looks, and how training changes it (paper §5.6.2; protocol §7.6).

Query and key are the first two thirds of a block's c_attn output, (samples, T tokens, width). Two functions
return one distance per sample, but on different scales (DEV-08):

- `fused_attention_distance`, the published one, is Σ_ij |i−j| P_ij / T² with mass on the future cut off, so
  uniform logits give (1 − 1/T²)/6 (0.1666 at T = 60) and the maximum is (T−1)/(2T);
- `causal_attention_distance`, the corrected one, is in tokens: 0 for attention to oneself, (T−1)/4 for
  uniform causal attention.

A distance can stay while attention moves: from the keys on one side of it to those on both. `attention_change`, the
corrected gap, is of attention itself: the share of it that lies on other keys than before.
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

    Each head has its own logits, scaled by √(width / heads); later keys and padded keys are excluded before the
    softmax, as in the network itself.

    Args:
        query: (samples, T, width).
        key: (samples, T, width).
        heads: the network's number of heads; head h holds columns h·width/heads onwards.
        mask: (samples, T), non-zero at real tokens (a step's mask, three times); None if all are real.

    Raises:
        MeasurementError: as `fused_attention_distance`; heads that do not divide the width; a mask of another shape.
        UndefinedMeasurement: a sample without a real token.
    """
    maps, real = _causal_maps(query, key, heads, mask)
    back = (maps * _steps_back(maps.shape[-1], maps)).sum(dim=-1)
    distance: Floats = _over_real_queries(back, real).mean(axis=1)
    return distance


def attention_change(post: tuple[Array, Array], pre: tuple[Array, Array], heads: int, mask: Array | None) -> Floats:
    """Corrected gap of each head, (samples, heads): mean over real queries i of ½ Σ_j |P_ij − P⁰_ij| (DEV-08).

    That is the total variation between both attention maps: 0 where they are equal, 1 where no key is shared. Maps are
    those of `causal_attention_distance`.

    Args:
        post: query and key of the samples after, each (samples, T, width).
        pre: those of the same samples before.
        heads: as of `causal_attention_distance`, of both.
        mask: as of `causal_attention_distance`.

    Raises:
        MeasurementError: as `causal_attention_distance`, or maps of different shapes.
        UndefinedMeasurement: a sample without a real token.
    """
    (after, real), (before, _) = (_causal_maps(*both, heads, mask) for both in (post, pre))
    if after.shape != before.shape:
        raise MeasurementError(
            "attention is compared per sample, head and token",
            given=f"{tuple(before.shape)} before, {tuple(after.shape)} after",
            expected="one shape (samples, heads, tokens, tokens)",
        )
    return _over_real_queries((after - before).abs().sum(dim=-1) / 2, real)


def _causal_maps(query: Array, key: Array, heads: int, mask: Array | None) -> tuple[Tensor, Tensor]:
    """Attention (samples, heads, T, T) as the network computes it, and which tokens are real, (samples, T)."""
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
        raise UndefinedMeasurement("a window of padding only has no attention")
    q, k = (side.view(samples, tokens, heads, width // heads).transpose(1, 2) for side in (q, k))
    # A padded query has no key but itself: it is left out of the mean, and must not be NaN until then.
    itself = torch.eye(tokens, dtype=torch.bool, device=q.device)
    allowed = (real[:, None, :] & torch.ones_like(itself).tril()) | itself
    logits = (q @ k.transpose(2, 3) / math.sqrt(width // heads)).masked_fill(~allowed[:, None], -math.inf)
    return torch.softmax(logits, dim=-1), real


def _over_real_queries(values: Tensor, real: Tensor) -> Floats:
    """Mean of (samples, heads, T) over real queries, (samples, heads)."""
    return ((values * real[:, None]).sum(dim=2) / real.sum(dim=1, keepdim=True)).cpu().numpy()


def attention_gap(post: Array, pre: Array) -> Floats:
    """|post − pre| per sample, (samples,), of distances of the same samples at two epochs (published gap).

    Raises:
        MeasurementError: not one axis each, unequal numbers of samples, NaN or infinity.
    """
    after, before = _distances(post, pre)
    return np.abs(after - before)


def _distances(post: Array, pre: Array) -> tuple[Floats, Floats]:
    after, before = (as_tensor(d, name, ndim=1).cpu().numpy() for d, name in ((post, "post"), (pre, "pre")))
    if len(after) != len(before):
        raise MeasurementError(
            "gaps are taken per sample", given=f"{len(before)} before, {len(after)} after", expected="the same samples"
        )
    if min(after.min(), before.min()) < 0:
        raise MeasurementError("a distance cannot be negative", given=min(after.min(), before.min()))
    return after, before
