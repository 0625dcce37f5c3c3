"""Attention on a GPU: the kernel that is fastest for the number of tokens and the width of the heads."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from dtclaims.lab.models.attention import Drop, causal, drop

FEW_TOKENS = 4
"""Up to so many tokens attention is computed as sums of products: fused kernels work on tiles of 64."""

WIDEST_FUSED_HEAD = 256
"""Past it there is no fast fused kernel; two matrix products are faster."""


def attend(query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None, dropout: float) -> Tensor:
    """As `dtclaims.lab.models.attention.attend`."""
    if bias is None and query.shape[-2] <= FEW_TOKENS:
        return attend_few(query, key, value, dropout)
    if bias is None and query.shape[-1] > WIDEST_FUSED_HEAD:
        return attend_wide(query, key, value, dropout)
    return F.scaled_dot_product_attention(query, key, value, attn_mask=bias, dropout_p=dropout, is_causal=bias is None)


def attend_few(query: Tensor, key: Tensor, value: Tensor, dropout: float, drop: Drop = drop) -> Tensor:
    """Causal `attend` of a few tokens without matrix products: a compiler makes one kernel of it."""
    logits = (query[..., :, None, :].float() * key[..., None, :, :].float()).sum(dim=-1) * query.shape[-1] ** -0.5
    weights = torch.softmax(logits.masked_fill(~causal(query.shape[-2], query.device), -math.inf), dim=-1)
    mixed = (drop(weights, dropout, True)[..., None] * value[..., None, :, :].float()).sum(dim=-2)
    return mixed.to(query.dtype)


def attend_wide(query: Tensor, key: Tensor, value: Tensor, dropout: float, drop: Drop = drop) -> Tensor:
    """Causal `attend` of wide heads as two matrix products."""
    logits = (query * query.shape[-1] ** -0.5) @ key.transpose(-1, -2)
    masked = logits.float().masked_fill(~causal(query.shape[-2], query.device), -math.inf)
    return drop(torch.softmax(masked, dim=-1), dropout, True).to(value.dtype) @ value
