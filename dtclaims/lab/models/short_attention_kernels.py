"""The Triton kernels of `short_attention`; imported only where Triton is."""

# mypy: disable-error-code="import-not-found,import-untyped,no-untyped-def,untyped-decorator,unused-ignore"

from typing import Any

import triton
import triton.language as tl
from torch import Tensor

WARPS = 4


@triton.jit
def _tile(base, rows, columns, stride, tokens):
    """A (tokens, width) matrix, rows past its end as 0."""
    return tl.load(base + rows[:, None] * stride + columns[None, :], mask=rows[:, None] < tokens, other=0.0)


@triton.jit
def _weights(query, key, rows, tokens, scale):
    """softmax(q k^T * scale) over the keys that a query may see, float32."""
    seen = (rows[None, :] <= rows[:, None]) & (rows[None, :] < tokens)
    logits = tl.where(seen, tl.dot(query, tl.trans(key)) * scale, float("-inf"))
    powers = tl.exp(logits - tl.max(logits, 1)[:, None])
    return powers / tl.sum(powers, 1)[:, None]


@triton.jit
def _kept(seed, program, each, rows, SIZE: tl.constexpr, DROPOUT: tl.constexpr):
    """What each attention weight is multiplied with: 0, or 1 / (1 - dropout). `each` programs share a seed."""
    place = (program % each) * SIZE * SIZE + rows[:, None] * SIZE + rows[None, :]
    return tl.where(tl.rand(tl.load(seed + program // each), place) >= DROPOUT, 1.0 / (1.0 - DROPOUT), 0.0)


@triton.jit(do_not_specialize=["tokens", "each"])
def _forward(
    qkv,
    seed,
    out,
    tokens,
    each,
    scale,
    HEADS: tl.constexpr,
    WIDTH: tl.constexpr,
    SIZE: tl.constexpr,
    DROPOUT: tl.constexpr,
):
    program = tl.program_id(0)
    batch, head = program // HEADS, program % HEADS
    rows, columns = tl.arange(0, SIZE), tl.arange(0, WIDTH)
    whole = HEADS * WIDTH
    base = qkv + batch * tokens * 3 * whole + head * WIDTH
    query = _tile(base, rows, columns, 3 * whole, tokens)
    key = _tile(base + whole, rows, columns, 3 * whole, tokens)
    value = _tile(base + 2 * whole, rows, columns, 3 * whole, tokens)
    weights = _weights(query, key, rows, tokens, scale)
    if DROPOUT > 0.0:
        weights *= _kept(seed, program, each, rows, SIZE, DROPOUT)
    mixed = tl.dot(weights.to(value.dtype), value)
    place = out + batch * tokens * whole + head * WIDTH + rows[:, None] * whole + columns[None, :]
    tl.store(place, mixed.to(value.dtype), mask=rows[:, None] < tokens)


@triton.jit(do_not_specialize=["tokens", "each"])
def _backward(
    gradient,
    qkv,
    seed,
    out,
    tokens,
    each,
    scale,
    HEADS: tl.constexpr,
    WIDTH: tl.constexpr,
    SIZE: tl.constexpr,
    DROPOUT: tl.constexpr,
):
    program = tl.program_id(0)
    batch, head = program // HEADS, program % HEADS
    rows, columns = tl.arange(0, SIZE), tl.arange(0, WIDTH)
    whole = HEADS * WIDTH
    first = batch * tokens * 3 * whole + head * WIDTH
    query = _tile(qkv + first, rows, columns, 3 * whole, tokens)
    key = _tile(qkv + first + whole, rows, columns, 3 * whole, tokens)
    value = _tile(qkv + first + 2 * whole, rows, columns, 3 * whole, tokens)
    above = _tile(gradient + batch * tokens * whole + head * WIDTH, rows, columns, whole, tokens)
    kind = value.dtype
    weights = _weights(query, key, rows, tokens, scale)
    of_weights = tl.dot(above, tl.trans(value))
    used = weights
    if DROPOUT > 0.0:
        kept = _kept(seed, program, each, rows, SIZE, DROPOUT)
        of_weights *= kept
        used = weights * kept
    of_value = tl.dot(tl.trans(used.to(kind)), above)
    of_logits = weights * (of_weights - tl.sum(weights * of_weights, 1)[:, None]) * scale
    of_query = tl.dot(of_logits.to(kind), key)
    of_key = tl.dot(tl.trans(of_logits.to(kind)), query)
    place = out + first + rows[:, None] * 3 * whole + columns[None, :]
    inside = rows[:, None] < tokens
    tl.store(place, of_query.to(kind), mask=inside)
    tl.store(place + whole, of_key.to(kind), mask=inside)
    tl.store(place + 2 * whole, of_value.to(kind), mask=inside)


def _arguments(qkv: Tensor, seed: Tensor | None, heads: int, dropout: float) -> dict[str, Any]:
    tokens, width = qkv.shape[1], qkv.shape[2] // (3 * heads)
    return {
        "tokens": tokens,
        "each": len(qkv) * heads // (1 if seed is None else len(seed)),
        "scale": width**-0.5,
        "HEADS": heads,
        "WIDTH": width,
        # Few sizes, because each is compiled.
        "SIZE": 16 if tokens <= 16 else 64,
        "DROPOUT": dropout,
        "num_warps": WARPS,
    }


def forward(qkv: Tensor, seed: Tensor | None, out: Tensor, heads: int, dropout: float) -> None:
    """Fill `out`."""
    _forward[(len(qkv) * heads,)](qkv, seed, out, **_arguments(qkv, seed, heads, dropout))


def backward(gradient: Tensor, qkv: Tensor, seed: Tensor | None, out: Tensor, heads: int, dropout: float) -> None:
    """Fill `out`, the gradient of `qkv`."""
    _backward[(len(qkv) * heads,)](gradient, qkv, seed, out, **_arguments(qkv, seed, heads, dropout))
