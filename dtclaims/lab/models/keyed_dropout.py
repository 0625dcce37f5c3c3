"""Dropout whose draws are a function of a key: runs that train together do not share a stream.

An entry's draw depends on the key, the place in the network and the entry's number within its own run. It is the same
whoever trains beside it, whatever the order, and a compiler makes the draw anew where it needs it a second time instead
of keeping it. The mixing is a 32-bit integer hash of two rounds (constants of C. Wellons' `lowbias32`).
"""

import torch
from torch import Tensor

from dtclaims.lab.models.attention import Attend, Drop, joined, split
from dtclaims.lab.models.gpu_attention import FEW_TOKENS, attend_few, attend_wide
from dtclaims.lab.models.short_attention import offered, short_attention

GOLDEN = 0x9E3779B9 - 2**32
"""2^32 over the golden ratio, as a signed number: spreads consecutive numbers."""


def mixed(x: Tensor) -> Tensor:
    """A bijection of int32 that flips every bit with probability near one half where one bit of `x` differs."""
    x = (x ^ _shifted(x, 16)) * 0x7FEB352D
    x = (x ^ _shifted(x, 15)) * (0x846CA68B - 2**32)
    return x ^ _shifted(x, 16)


def _shifted(x: Tensor, bits: int) -> Tensor:
    """Without the sign: int32 shifts copy it."""
    return (x >> bits) & ((1 << (32 - bits)) - 1)


def keys(seeds: Tensor, steps: Tensor, count: int) -> Tensor:
    """Keys of one update, (R, count) int32: one for each part of a network that drops.

    Args:
        seeds: of the runs, (R,) int32.
        steps: of each run's stream, (R,) int32.
        count: how many parts.
    """
    parts = torch.arange(count, dtype=torch.int32, device=seeds.device)
    return mixed(mixed(seeds + steps * GOLDEN)[:, None] + parts * GOLDEN)


def keyed(key: Tensor) -> Drop:
    """Dropout by a key, a scalar int32."""

    def drop(x: Tensor, probability: float, training: bool, place: int = 0) -> Tensor:
        if not (training and probability):
            return x
        entries = torch.arange(x.numel(), dtype=torch.int32, device=x.device).view(x.shape)
        draw = mixed(mixed(entries + mixed(key + place * GOLDEN)) ^ key)
        kept = draw >= round(probability * 2**32) - 2**31
        return torch.where(kept, x * (1 / (1 - probability)), 0.0)

    return drop


def keyed_attention(key: Tensor) -> Attend:
    """Causal attention of short windows without a mask, its weights dropped by a key; for any number of runs."""

    def attend(qkv: Tensor, heads: int, dropout: float) -> Tensor:
        if qkv.shape[1] > FEW_TOKENS and offered(qkv, heads):
            seed = mixed(key).view(1).long() if dropout else None
            kept: Tensor = short_attention(qkv, seed, heads, dropout)
            return kept
        form = attend_few if qkv.shape[1] <= FEW_TOKENS else attend_wide
        return joined(form(*split(qkv, heads), dropout, keyed(key)))

    return attend
