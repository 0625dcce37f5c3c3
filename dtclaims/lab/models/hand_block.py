"""Transformer blocks on a CPU with their gradient derived by hand: `Block`'s formula in a third of its operations.

At the widths of the mini scale it costs more to start an operation, record it for autograd and look its module up than
to compute it. Here a block is one node of autograd, dropout and residual are one operation, masks are factors drawn for
all blocks at once, and the last block's queries are those of the tokens that leave it.

With dropout factors D, norms and activation as in `dtclaims.lab.models.transformer`, (Q, K, V) = ln_1(x) W_a + b_a,

    m = x[rows] + D_1 * (heads(D_0 * softmax(Q[rows] K^T / sqrt(dh) + causal) V) W_o + b_o)
    out = m + D_2 * (act(ln_2(m) W_f + b_f) W_p + b_p)
"""

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dtclaims.lab.models.attention import additive, causal, kept
from dtclaims.lab.models.transformer import Activation, Block, Stack

ALL = slice(None)
Factors = tuple[Tensor, Tensor, Tensor]
"""D_0 (B * heads, rows, T), D_1 and D_2 (B * rows, width): 0 where something is dropped, else what keeps the mean."""


@dataclass(frozen=True)
class HandBlock:
    """What a block computes with. The tensors are the block's own parameters: they may change in place."""

    heads: int
    activation: Activation
    eps: float
    rates: tuple[float, float]
    """Dropout of attention weights and of the two branches."""
    ln_1: tuple[Tensor, ...]
    """Weight, and bias unless it is an RMS norm; so `ln_2`."""
    c_attn: tuple[Tensor, ...]
    """Weight and bias; so the next ones."""
    attn_proj: tuple[Tensor, ...]
    ln_2: tuple[Tensor, ...]
    c_fc: tuple[Tensor, ...]
    mlp_proj: tuple[Tensor, ...]

    @classmethod
    def of(cls, block: nn.Module) -> Self:
        """A block laid out."""
        assert isinstance(block, Block)
        assert isinstance(block.ln_1, nn.LayerNorm | nn.RMSNorm)
        assert block.ln_1.eps is not None
        attn, mlp = block.attn, block.mlp
        parts = (block.ln_1, attn.c_attn, attn.c_proj, block.ln_2, mlp.c_fc, mlp.c_proj)
        of_parts = (tuple(part.parameters()) for part in parts)
        return cls(attn.heads, mlp.activation, block.ln_1.eps, (attn.dropout, block.dropout), *of_parts)


class HandStack:
    """`Stack.through` of causal attention in windows without padding before their steps, on a CPU.

    Its gradient adds to the `grad` of the blocks' parameters, which must be there: to hand so many small tensors to
    autograd costs as much as the arithmetic of a step at K=1.

    Args:
        stack: whose blocks. Its parameters may change in place, not be replaced.
    """

    def __init__(self, stack: Stack) -> None:
        self.blocks = [HandBlock.of(block) for block in stack.h]

    def __call__(self, x: Tensor, rows: slice = ALL, *, training: bool = False) -> Tensor:
        """The residual stream after the blocks.

        Args:
            x: (B, T, width); where gradients are wanted, it must be part of their graph.
            rows: tokens that leave the last block.
            training: whether to drop.

        Returns:
            (B, the rows, width).
        """
        if training or torch.is_grad_enabled():
            factors = self._factors(x, rows, training=training)
            out: Tensor = _Through.apply(x, self.blocks, rows, factors)  # type: ignore[no-untyped-call]
            return out
        for block in self.blocks[:-1]:
            x = _answer(x, block, ALL)
        return _answer(x, self.blocks[-1], rows)

    def _factors(self, x: Tensor, rows: slice, *, training: bool) -> Sequence[Factors | None]:
        if not training:
            return [None] * len(self.blocks)
        batch, tokens, width = x.shape
        leaving = [tokens] * (len(self.blocks) - 1) + [len(range(tokens)[rows])]
        sizes = list(zip(self.blocks, leaving, strict=True))
        # Equal rates side by side: they are compared at once.
        weights = [((batch * block.heads, count, tokens), block.rates[0]) for block, count in sizes]
        branches = [((batch * count, width), block.rates[1]) for block, count in sizes for _ in range(2)]
        drawn = kept(*zip(*weights, *branches, strict=True))
        return list(zip(drawn, drawn[len(sizes) :: 2], drawn[len(sizes) + 1 :: 2], strict=False))


class _Through(torch.autograd.Function):
    """All blocks as one node."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, blocks: Sequence[HandBlock], rows: slice, factors: Sequence[Factors | None]
    ) -> Tensor:
        ctx.steps = []
        for number, (block, of_block) in enumerate(zip(blocks, factors, strict=True), 1):
            leaving = rows if number == len(blocks) else ALL
            x, saved = _forward(x, block, leaving, of_block)
            ctx.steps.append((block, leaving, of_block, saved))
        return x

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        while ctx.steps:
            # What a block kept is let go of with it.
            gradient = _backward(gradient, *ctx.steps.pop())
        return gradient, None, None, None


def _answer(x: Tensor, block: HandBlock, rows: slice) -> Tensor:
    """The block's output where nothing drops and no gradient is wanted."""
    batch, tokens, width = x.shape
    flat = x.reshape(-1, width)
    qkv = _linear(_norm(flat, block.ln_1, block.eps)[0], block.c_attn)
    query, key, value = qkv.view(batch, tokens, 3, block.heads, -1).permute(2, 0, 3, 1, 4).unbind(0)
    bias, stays = None, flat
    if rows != ALL:
        query, bias, stays = query[:, :, rows], _bias(tokens, x.dtype)[rows], x[:, rows].reshape(-1, width)
    mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=bias, is_causal=bias is None)
    middle = _linear(mixed.transpose(1, 2).reshape(-1, width), block.attn_proj).add_(stays)
    hidden = _linear(_norm(middle, block.ln_2, block.eps)[0], block.c_fc)
    out = _linear(_activate(hidden, block.activation)[0], block.mlp_proj).add_(middle)
    return out.view(batch, -1, width)


def _forward(x: Tensor, block: HandBlock, rows: slice, factors: Factors | None) -> tuple[Tensor, Sequence[Any]]:
    """The block's output, and what the gradient needs."""
    batch, tokens, width = x.shape
    flat = x.reshape(-1, width)
    normed, *stats = _norm(flat, block.ln_1, block.eps)
    qkv = _linear(normed, block.c_attn)
    query, key, value = qkv.view(batch, tokens, 3, block.heads, -1).permute(2, 0, 3, 1, 4).flatten(1, 2).unbind(0)
    bias, stays = _bias(tokens, x.dtype), flat
    if rows != ALL:
        query, bias, stays = query[:, rows], bias[rows], x[:, rows].reshape(-1, width)
    leaving = query.shape[1]
    weights = torch.softmax(torch.baddbmm(bias, query, key.transpose(1, 2), alpha=query.shape[2] ** -0.5), dim=-1)
    dropped = weights if factors is None else weights * factors[0]
    mixed = torch.bmm(dropped, value).view(batch, block.heads, leaving, -1).transpose(1, 2).reshape(-1, width)
    branch = _linear(mixed, block.attn_proj)
    middle = branch.add_(stays) if factors is None else torch.addcmul(stays, branch, factors[1])
    normed_2, *stats_2 = _norm(middle, block.ln_2, block.eps)
    hidden = _linear(normed_2, block.c_fc)
    active, gate = _activate(hidden, block.activation)
    branch = _linear(active, block.mlp_proj)
    out = branch.add_(middle) if factors is None else torch.addcmul(middle, branch, factors[2])
    attention = (flat, stats, normed, query, key, value, weights, dropped, mixed)
    return out.view(batch, leaving, width), (*attention, middle, stats_2, normed_2, hidden, active, gate)


def _backward(gradient: Tensor, block: HandBlock, rows: slice, factors: Factors | None, saved: Sequence[Any]) -> Tensor:
    """Gradient of the input; those of the parameters are added to theirs."""
    flat, stats, normed, query, key, value, weights, dropped, mixed, middle, stats_2, normed_2, hidden, active, gate = (
        saved
    )
    batch, leaving, width = gradient.shape
    tokens, heads = key.shape[1], block.heads
    gradient = gradient.reshape(-1, width)

    branch = gradient if factors is None else gradient * factors[2]
    d_active = _linear_backward(branch, active, block.mlp_proj)
    d_hidden = _activate_backward(d_active, hidden, active, gate, block.activation)
    d_normed = _linear_backward(d_hidden, normed_2, block.c_fc)
    d_middle = _norm_backward(d_normed, middle, stats_2, block.ln_2).add_(gradient)

    branch = d_middle if factors is None else d_middle * factors[1]
    d_mixed = _linear_backward(branch, mixed, block.attn_proj)
    d_mixed = d_mixed.view(batch, leaving, heads, -1).transpose(1, 2).reshape(batch * heads, leaving, -1)
    d_weights = torch.bmm(d_mixed, value.transpose(1, 2))
    if factors is not None:
        d_weights.mul_(factors[0])
    d_logits = torch._softmax_backward_data(d_weights, weights, -1, weights.dtype)
    thirds = torch.empty(3, *key.shape, dtype=key.dtype)
    d_query, d_key, d_value = thirds.unbind(0)
    scale = query.shape[2] ** -0.5
    if rows == ALL:
        torch.baddbmm(d_query, d_logits, key, beta=0, alpha=scale, out=d_query)
    else:
        d_query.zero_()[:, rows] = torch.bmm(d_logits, key).mul_(scale)
    torch.baddbmm(d_key, d_logits.transpose(1, 2), query, beta=0, alpha=scale, out=d_key)
    torch.bmm(dropped.transpose(1, 2), d_mixed, out=d_value)
    d_qkv = thirds.view(3, batch, heads, tokens, -1).permute(1, 3, 0, 2, 4).reshape(-1, 3 * width)
    d_normed = _linear_backward(d_qkv, normed, block.c_attn)
    d_x = _norm_backward(d_normed, flat, stats, block.ln_1).view(batch, tokens, width)
    (d_x if rows == ALL else d_x[:, rows]).add_(d_middle.view(batch, leaving, width))
    return d_x


def _linear(x: Tensor, layer: tuple[Tensor, ...]) -> Tensor:
    return torch.addmm(layer[1], x, layer[0])


def _linear_backward(gradient: Tensor, x: Tensor, layer: tuple[Tensor, ...]) -> Tensor:
    """Gradient of what a layer was given."""
    weight, bias = layer
    _grad(weight).addmm_(x.t(), gradient)
    _grad(bias).addmv_(gradient.t(), _ones(len(gradient), gradient.dtype))
    return gradient @ weight.t()


def _grad(parameter: Tensor) -> Tensor:
    assert parameter.grad is not None
    return parameter.grad


def _norm(x: Tensor, norm: tuple[Tensor, ...], eps: float) -> tuple[Tensor, ...]:
    """A norm's output (N, width), and what its gradient needs: mean and 1 / std, or 1 / rms."""
    if len(norm) == 2:
        return torch.native_layer_norm(x, norm[0].shape, *norm, eps)
    scale = x.square().mean(dim=-1, keepdim=True).add_(eps).rsqrt_()
    return (x * scale).mul_(norm[0]), scale


def _norm_backward(gradient: Tensor, x: Tensor, stats: Sequence[Tensor], norm: tuple[Tensor, ...]) -> Tensor:
    """Gradient of a norm's input."""
    d_x: Tensor
    if len(norm) == 2:
        d_x, *of_norm = torch.ops.aten.native_layer_norm_backward.default(
            gradient, x, norm[0].shape, *stats, *norm, [True, True, True]
        )
    else:
        normed, inner = x * stats[0], gradient * norm[0]
        # What changes the length of x alone changes nothing.
        along = (inner * normed).mean(dim=-1, keepdim=True)
        d_x, of_norm = torch.addcmul(inner, normed, along, value=-1).mul_(stats[0]), [(gradient * normed).sum(dim=0)]
    for parameter, found in zip(norm, of_norm, strict=True):
        _grad(parameter).add_(found)
    return d_x


SLOPE = 2 * math.sqrt(2 / math.pi)
"""Of gelu_new's tanh at 0, twice; a tensor is cheaper to add than a number."""
CUBIC = 0.044715
QUICK = 1.702


def _activate(hidden: Tensor, activation: Activation) -> tuple[Tensor, Tensor]:
    """x g(x) and g(x); a ReLU needs no g. tanh is slow on a CPU: (1 + tanh(u / 2)) / 2 is the sigmoid of u."""
    if activation == "relu":
        active = torch.relu(hidden)
        return active, active
    if activation == "quick_gelu":
        gate = (hidden * QUICK).sigmoid_()
    else:
        gate = torch.addcmul(_constant(SLOPE, hidden.dtype), hidden, hidden, value=SLOPE * CUBIC)
        gate = gate.mul_(hidden).sigmoid_()
    return hidden * gate, gate


def _activate_backward(
    gradient: Tensor, hidden: Tensor, active: Tensor, gate: Tensor, activation: Activation
) -> Tensor:
    """With g = σ(u): g + x g (1 - g) u', times the gradient."""
    if activation == "relu":
        return torch.ops.aten.threshold_backward.default(gradient, active, 0.0)  # type: ignore[no-any-return]
    inner = torch.addcmul(active, active, gate, value=-1)
    if activation == "quick_gelu":
        inner.mul_(QUICK)
    else:
        inner.mul_(torch.addcmul(_constant(SLOPE, hidden.dtype), hidden, hidden, value=3 * SLOPE * CUBIC))
    return inner.add_(gate).mul_(gradient)


@functools.cache
def _constant(value: float, dtype: torch.dtype) -> Tensor:
    with torch.inference_mode(False):
        return torch.tensor(value, dtype=dtype)


@functools.cache
def _ones(count: int, dtype: torch.dtype) -> Tensor:
    with torch.inference_mode(False):
        return torch.ones(count, dtype=dtype)


@functools.cache
def _bias(tokens: int, dtype: torch.dtype) -> Tensor:
    """Added to logits: 0 where a query may see a key, (T, T)."""
    with torch.inference_mode(False):
        return additive(causal(tokens, torch.device("cpu")), dtype, -math.inf)[0, 0]
