"""Causal attention of short sequences on a GPU: one program per window and head, all of it in registers.

Fused kernels of the libraries are made for long sequences; at the 59 tokens of K=20 they take several times as long.
Queries, keys and values are read where c_attn left them, and the gradient is written the same way, so nothing is
copied on either side.
"""

import functools
import importlib.util
from typing import Any

import torch
from torch import Tensor

LONGEST = 64
"""Tokens that fit in one tile."""

WIDEST = 128
"""Width of a head that still fits."""

TRITON = importlib.util.find_spec("triton") is not None
"""It comes with torch's CUDA builds for Linux only. A constant, because a compiled caller cannot look for it."""


def offered(qkv: Tensor, heads: int) -> bool:
    """Whether the kernel takes this: bfloat16 on a GPU, short, heads as wide as a power of two, and Triton there."""
    width = qkv.shape[-1] // (3 * heads)
    fits = qkv.shape[1] <= LONGEST and 16 <= width <= WIDEST and width & (width - 1) == 0
    return TRITON and fits and qkv.dtype == torch.bfloat16 and qkv.device.type == "cuda"


@functools.cache
def _kernels() -> Any:
    from dtclaims.lab.models import short_attention_kernels

    return short_attention_kernels


@torch.library.custom_op(
    "dtclaims::short_attention",
    mutates_args=(),
    schema="(Tensor qkv, Tensor? seed, int heads, float dropout) -> Tensor",
)
def short_attention(qkv: Tensor, seed: Tensor | None, heads: int, dropout: float) -> Tensor:
    """drop(softmax(q k^T / sqrt(dh) + causal)) v.

    Args:
        qkv: (B, T, 3 * width), contiguous: c_attn's output.
        seed: (G,) int32 on the device, of the dropout, one for each G-th part of the windows in turn; None without.
            What a part loses depends on its own seed alone.
        heads: how many.
        dropout: probability to drop an attention weight.

    Returns:
        (B, T, width): what c_proj takes.
    """
    out = qkv.new_empty(*qkv.shape[:2], qkv.shape[2] // 3)
    _kernels().forward(qkv, seed, out, heads, dropout)
    return out


@torch.library.custom_op(
    "dtclaims::short_attention_backward",
    mutates_args=(),
    schema="(Tensor gradient, Tensor qkv, Tensor? seed, int heads, float dropout) -> Tensor",
)
def short_attention_backward(gradient: Tensor, qkv: Tensor, seed: Tensor | None, heads: int, dropout: float) -> Tensor:
    """The gradient of `qkv` from the gradient (B, T, width) of `short_attention`'s output."""
    out = torch.empty_like(qkv)
    _kernels().backward(gradient, qkv, seed, out, heads, dropout)
    return out


@short_attention.register_fake
def _(qkv: Tensor, seed: Tensor | None, heads: int, dropout: float) -> Tensor:
    return qkv.new_empty(*qkv.shape[:2], qkv.shape[2] // 3)


@short_attention_backward.register_fake
def _(gradient: Tensor, qkv: Tensor, seed: Tensor | None, heads: int, dropout: float) -> Tensor:
    return torch.empty_like(qkv)


def _setup(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    qkv, seed, ctx.heads, ctx.dropout = inputs
    ctx.save_for_backward(qkv, seed)


def _backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
    qkv, seed = ctx.saved_tensors
    return short_attention_backward(gradient.contiguous(), qkv, seed, ctx.heads, ctx.dropout), None, None, None


short_attention.register_autograd(_backward, setup_context=_setup)


@short_attention.register_vmap
def _(
    info: Any, axes: tuple[int | None, ...], qkv: Tensor, seed: Tensor | None, heads: int, dropout: float
) -> tuple[Tensor, int]:
    """Several runs at once: their windows one after the other."""
    runs = info.batch_size
    qkv = qkv.movedim(axes[0], 0) if axes[0] is not None else qkv.expand(runs, *qkv.shape)
    if seed is not None:
        seed = (seed.movedim(axes[1], 0) if axes[1] is not None else seed.expand(runs, *seed.shape)).flatten()
    mixed = short_attention(qkv.flatten(0, 1).contiguous(), seed, heads, dropout)
    return mixed.unflatten(0, (runs, -1)), 0
