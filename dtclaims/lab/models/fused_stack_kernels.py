"""The Triton kernel of `fused_stack`; imported only where Triton is."""

# mypy: disable-error-code="import-not-found,import-untyped,no-untyped-def,untyped-decorator,unused-ignore"

from collections.abc import Sequence
from typing import Any

import triton
import triton.language as tl
from torch import Tensor

SIZE = 64
"""Tokens of one program: as many whole windows as fit."""
CHUNK = 128
"""Columns of the MLP's hidden layer that a program computes at once."""
WARPS = 8


@triton.jit
def _matrix(base, rows, columns, height, width, stride):
    """A tile of a matrix (height, width), 0 past its end."""
    inside = (rows[:, None] < height) & (columns[None, :] < width)
    return tl.load(base + rows[:, None] * stride + columns[None, :], mask=inside, other=0.0)


@triton.jit
def _vector(base, columns, width):
    """A tile of a vector (1, columns), float32, 0 past its end."""
    return tl.load(base + columns, mask=columns < width, other=0.0).to(tl.float32)[None, :]


@triton.jit
def _norm(x, weight, bias, columns, WIDTH: tl.constexpr, EPS: tl.constexpr, RMS: tl.constexpr):
    """LayerNorm, or ImageGPT's without mean and bias, float32."""
    inside = columns[None, :] < WIDTH
    centred = x
    if not RMS:
        centred = tl.where(inside, x - tl.sum(x, 1)[:, None] / WIDTH, 0.0)
    normed = centred * tl.rsqrt(tl.sum(centred * centred, 1)[:, None] / WIDTH + EPS) * _vector(weight, columns, WIDTH)
    if not RMS:
        normed += _vector(bias, columns, WIDTH)
    return normed


@triton.jit
def _active(x, ACTIVATION: tl.constexpr):
    """0: ReLU; 1: the tanh approximation of GELU; 2: ImageGPT's."""
    if ACTIVATION == 0:
        return tl.maximum(x, 0.0)
    if ACTIVATION == 1:
        # tanh(z) as 2 sigmoid(2 z) - 1.
        return x * tl.sigmoid(1.5957691216057308 * (x + 0.044715 * x * x * x))
    return x * tl.sigmoid(1.702 * x)


@triton.jit
def _stack(
    given,
    out,
    norm_1,
    norm_1_bias,
    attend,
    attend_bias,
    mix,
    mix_bias,
    norm_2,
    norm_2_bias,
    widen,
    widen_bias,
    narrow,
    narrow_bias,
    norm_1_run,
    norm_1_bias_run,
    attend_run,
    attend_bias_run,
    mix_run,
    mix_bias_run,
    norm_2_run,
    norm_2_bias_run,
    widen_run,
    widen_bias_run,
    narrow_run,
    narrow_bias_run,
    norm_block,
    matrix_block,
    blocks,
    count,
    tokens,
    EPS: tl.constexpr,
    WIDTH: tl.constexpr,
    COLUMNS: tl.constexpr,
    HEADS: tl.constexpr,
    HEAD: tl.constexpr,
    HEAD_COLUMNS: tl.constexpr,
    HIDDEN: tl.constexpr,
    CHUNK: tl.constexpr,
    SIZE: tl.constexpr,
    RMS: tl.constexpr,
    ACTIVATION: tl.constexpr,
):
    run = tl.program_id(1).to(tl.int64)
    each = SIZE // tokens * tokens
    place = tl.arange(0, SIZE)
    row = tl.program_id(0) * each + place
    there = (place < each) & (row < count)
    columns, head_columns, chunk = tl.arange(0, COLUMNS), tl.arange(0, HEAD_COLUMNS), tl.arange(0, CHUNK)
    kind = attend.dtype.element_ty
    cells = run * count * WIDTH + row[:, None] * WIDTH + columns[None, :]
    inside = there[:, None] & (columns[None, :] < WIDTH)
    x = tl.load(given + cells, mask=inside, other=0.0).to(tl.float32)
    window = place // tokens
    seen = (window[:, None] == window[None, :]) & (place[None, :] <= place[:, None])
    norm_1 += run * norm_1_run
    norm_1_bias += run * norm_1_bias_run
    attend += run * attend_run
    attend_bias += run * attend_bias_run
    mix += run * mix_run
    mix_bias += run * mix_bias_run
    norm_2 += run * norm_2_run
    norm_2_bias += run * norm_2_bias_run
    widen += run * widen_run
    widen_bias += run * widen_bias_run
    narrow += run * narrow_run
    narrow_bias += run * narrow_bias_run
    for block in range(blocks):
        norms, matrices = block * norm_block, block * matrix_block
        normed = _norm(x, norm_1 + norms, norm_1_bias + norms, columns, WIDTH, EPS, RMS).to(kind)
        branch = tl.zeros((SIZE, COLUMNS), tl.float32)
        for head in range(HEADS):
            own = head * HEAD + head_columns
            ends = (head + 1) * HEAD
            base, bias = attend + matrices, attend_bias + matrices
            query = tl.dot(normed, _matrix(base, columns, own, WIDTH, ends, 3 * WIDTH)) + _vector(bias, own, ends)
            base, bias = base + WIDTH, bias + WIDTH
            key = tl.dot(normed, _matrix(base, columns, own, WIDTH, ends, 3 * WIDTH)) + _vector(bias, own, ends)
            base, bias = base + WIDTH, bias + WIDTH
            value = tl.dot(normed, _matrix(base, columns, own, WIDTH, ends, 3 * WIDTH)) + _vector(bias, own, ends)
            logits = tl.where(seen, tl.dot(query.to(kind), tl.trans(key.to(kind))) * HEAD**-0.5, float("-inf"))
            powers = tl.exp(logits - tl.max(logits, 1)[:, None])
            weights = powers / tl.sum(powers, 1)[:, None]
            mixed = tl.dot(weights.to(kind), value.to(kind)).to(kind)
            branch += tl.dot(mixed, _matrix(mix + matrices, own, columns, ends, WIDTH, WIDTH))
        # Rounded where the products' own kernels round: their outputs are of the weights' kind.
        x += (branch + _vector(mix_bias + matrices, columns, WIDTH)).to(kind).to(tl.float32)
        normed = _norm(x, norm_2 + norms, norm_2_bias + norms, columns, WIDTH, EPS, RMS).to(kind)
        branch = tl.zeros((SIZE, COLUMNS), tl.float32)
        for begin in range(0, HIDDEN, CHUNK):
            own = begin + chunk
            hidden = tl.dot(normed, _matrix(widen + matrices, columns, own, WIDTH, HIDDEN, HIDDEN))
            hidden = (hidden + _vector(widen_bias + matrices, own, HIDDEN)).to(kind).to(tl.float32)
            active = _active(hidden, ACTIVATION).to(kind)
            branch += tl.dot(active, _matrix(narrow + matrices, own, columns, HIDDEN, WIDTH, WIDTH))
        x += (branch + _vector(narrow_bias + matrices, columns, WIDTH)).to(kind).to(tl.float32)
    tl.store(out + cells, x, mask=inside)


def run(
    given: Tensor,
    out: Tensor,
    leaves: Sequence[Tensor],
    strides: tuple[int, int],
    blocks: int,
    shape: dict[str, Any],
) -> None:
    """Fill `out` (R, B, T, width) with what some blocks make of `given`.

    Args:
        given: as `out`, float32, contiguous.
        out: see above.
        leaves: of the first block, (R, ...) each, in the kernel's order.
        strides: from a block's norms to the next one's, and from its matrices to the next one's, in elements.
        blocks: how many.
        shape: of a block, the kernel's constants.
    """
    runs, windows, tokens, _ = given.shape
    programs = -(-windows // (SIZE // tokens))
    own = [leaf.stride(0) for leaf in leaves]
    _stack[(programs, runs)](
        *(given, out, *leaves, *own, *strides, blocks, windows * tokens, tokens),
        **shape,
        CHUNK=CHUNK,
        SIZE=SIZE,
        num_warps=WARPS,
    )
