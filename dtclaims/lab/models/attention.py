"""Attention in the two forms that are needed, and the dropout and masks it uses."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

FEW_TOKENS = 4
"""Up to so many tokens, a GPU computes attention as sums of products: fused kernels work on tiles of 64."""

WIDEST_FUSED_HEAD = 256
"""Past it, a GPU has no fast fused kernel; two matrix products are faster."""

MASKED_LOGIT = -1e4
"""What the reference gives a future key, and adds to a padded one (DEV-41)."""


def attend(query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None, dropout: float) -> Tensor:
    """drop(softmax(q k^T / sqrt(dh) + bias)) v, (B, heads, T, dh).

    Args:
        query: (B, heads, T, dh), as `key` and `value`.
        key: see `query`.
        value: see `query`.
        bias: added to the logits, (B or 1, 1, T, T); None means causal.
        dropout: probability to drop an attention weight.
    """
    if bias is None and query.device.type != "cpu" and query.shape[-2] <= FEW_TOKENS:
        return attend_few(query, key, value, dropout)
    if bias is None and query.device.type != "cpu" and query.shape[-1] > WIDEST_FUSED_HEAD:
        return attend_wide(query, key, value, dropout)
    if not dropout or bias is None or query.device.type != "cpu":
        return F.scaled_dot_product_attention(
            query, key, value, attn_mask=bias, dropout_p=dropout, is_causal=bias is None
        )
    # scaled_dot_product_attention has no fused CPU kernel with dropout; its fallback takes half as long again.
    logits = (query * query.shape[-1] ** -0.5) @ key.transpose(-1, -2)
    return drop(torch.softmax(logits.add_(bias), dim=-1), dropout, True) @ value


def attend_few(query: Tensor, key: Tensor, value: Tensor, dropout: float) -> Tensor:
    """Causal `attend` of a few tokens without matrix products: a compiler makes one kernel of it."""
    logits = (query[..., :, None, :].float() * key[..., None, :, :].float()).sum(dim=-1) * query.shape[-1] ** -0.5
    weights = torch.softmax(logits.masked_fill(~causal(query.shape[-2], query.device), -math.inf), dim=-1)
    mixed = (drop(weights, dropout, True)[..., None] * value[..., None, :, :].float()).sum(dim=-2)
    return mixed.to(query.dtype)


def attend_wide(query: Tensor, key: Tensor, value: Tensor, dropout: float) -> Tensor:
    """Causal `attend` of wide heads as two matrix products."""
    logits = (query * query.shape[-1] ** -0.5) @ key.transpose(-1, -2)
    masked = logits.float().masked_fill(~causal(query.shape[-2], query.device), -math.inf)
    return drop(torch.softmax(masked, dim=-1), dropout, True).to(value.dtype) @ value


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


def drop(x: Tensor, probability: float, training: bool) -> Tensor:
    """Dropout from torch's global generator; on the CPU the probability is rounded to 1/65536."""
    if not (training and probability):
        return x
    if x.device.type != "cpu" or torch.compiler.is_compiling():
        return F.dropout(x, probability)
    # torch's CPU dropout takes longer than a block's matrix products at the mini scale. Comparing 16 random
    # bits per element is three times as fast.
    count = x.numel()
    bits = torch.empty((count + 3) // 4, dtype=torch.int64).random_(-(2**63), None).view(torch.int16)[:count]
    dropped = round(probability * 65536)
    kept = bits.ge(dropped - 32768).to(x.dtype).mul_(65536 / (65536 - dropped))
    return x * kept.view(x.shape)


def causal(tokens: int, device: torch.device) -> Tensor:
    """Bool (1, 1, T, T), True where a query may see a key: itself and what is before it."""
    return torch.ones(1, 1, tokens, tokens, dtype=torch.bool, device=device).tril()


def additive(allowed: Tensor, dtype: torch.dtype, masked: float) -> Tensor:
    """0 where `allowed`, `masked` elsewhere."""
    return torch.zeros_like(allowed, dtype=dtype).masked_fill_(~allowed, masked)
