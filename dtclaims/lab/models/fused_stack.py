"""The blocks of several small networks without gradients, on a GPU: one program for each few windows, one launch.

A roll-out step of small networks is a hundred launches of microseconds, one waiting for the other; where other
processes keep the GPU busy each launch waits for them as well. Here a program takes a tile of tokens, whole windows of
one run, through all blocks, with the residual stream in its registers.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from dtclaims.lab.models.short_attention import TRITON
from dtclaims.lab.models.transformer import Block, StackConfig

LONGEST = 64
"""Tokens of a window that fit in one tile."""
WIDEST = 128
"""Width that still fits; past it a block's products keep a GPU busy."""
CODES = {"relu": 0, "gelu_new": 1, "quick_gelu": 2}
LEAVES = (
    *("ln_1.weight", "ln_1.bias", "attn.c_attn.weight", "attn.c_attn.bias", "attn.c_proj.weight", "attn.c_proj.bias"),
    *("ln_2.weight", "ln_2.bias", "mlp.c_fc.weight", "mlp.c_fc.bias", "mlp.c_proj.weight", "mlp.c_proj.bias"),
)
"""Of a block, in the kernel's order."""


def offered(config: StackConfig, tokens: int, device: torch.device) -> bool:
    """Whether the kernel takes it: narrow blocks, short windows, a GPU, and Triton there.

    Args:
        config: of the stack.
        tokens: of a window.
        device: where the networks are.
    """
    fits = tokens <= LONGEST and 16 <= config.width <= WIDEST
    return TRITON and fits and device.type == "cuda"


@functools.cache
def _kernel() -> Callable[..., None]:
    from dtclaims.lab.models.fused_stack_kernels import run

    return run


def through(x: Tensor, config: StackConfig, blocks: Sequence[Block], leaves: Mapping[str, Tensor]) -> Tensor:
    """The residual stream after the blocks: `Stack.through` of R networks in eval mode.

    Args:
        x: (R, B, T, width), float32.
        config: of the stack.
        blocks: of the template, for their heads and activations.
        leaves: name in the stack ("h.0.ln_1.weight", …) → (R, ...), each run's own side by side. Products are computed
            in the matrices' kind and accumulated in float32.

    Returns:
        (R, B, T, width), float32.
    """
    parts = [[_leaf(leaves, number, name) for name in LEAVES] for number in range(len(blocks))]
    x = x.contiguous()
    for begin, end in _alike(blocks, parts):
        out = torch.empty_like(x)
        _kernel()(x, out, parts[begin], _strides(parts, begin), end - begin, _shape(config, blocks[begin]))
        x = out
    return x


def _leaf(leaves: Mapping[str, Tensor], number: int, name: str) -> Tensor:
    leaf = leaves.get(f"h.{number}.{name}")
    # ImageGPT's norm has no bias: the kernel does not read what stands in its place.
    return leaves[f"h.{number}.{name.replace('bias', 'weight')}"] if leaf is None else leaf


def _shape(config: StackConfig, block: Block) -> dict[str, Any]:
    width, heads = config.width, block.attn.heads
    return {
        "EPS": config.eps,
        "WIDTH": width,
        "COLUMNS": _power(width),
        "HEADS": heads,
        "HEAD": width // heads,
        "HEAD_COLUMNS": _power(width // heads),
        "HIDDEN": config.hidden,
        "RMS": config.norm == "rms",
        "ACTIVATION": CODES[block.mlp.activation],
    }


def _power(size: int) -> int:
    """Of two, at least 16: what a tile may measure."""
    return max(16, 1 << (size - 1).bit_length())


def _strides(parts: Sequence[Sequence[Tensor]], number: int) -> tuple[int, int]:
    """In elements from a block to the next: of its norms, and of its matrices; 0 for the last one."""
    if number + 1 == len(parts):
        return 0, 0
    norm, matrix = LEAVES.index("ln_1.weight"), LEAVES.index("attn.c_attn.weight")
    return _step(parts[number][norm], parts[number + 1][norm]), _step(parts[number][matrix], parts[number + 1][matrix])


def _step(one: Tensor, other: Tensor) -> int:
    return (other.data_ptr() - one.data_ptr()) // one.element_size()


def _alike(blocks: Sequence[Block], parts: Sequence[Sequence[Tensor]]) -> list[tuple[int, int]]:
    """Blocks that one launch can take: of one kind, and each as far behind the one before it as that is behind its."""
    found = [0]
    for number, (before, block) in enumerate(pairwise(blocks), 1):
        first = found[-1]
        same = (before.attn.heads, before.mlp.activation) == (block.attn.heads, block.mlp.activation)
        norms, matrices = _strides(parts, first)
        steps = [_step(one, other) for one, other in zip(parts[number - 1], parts[number], strict=True)]
        wanted = [norms if name.startswith("ln_") else matrices for name in LEAVES]
        if not same or steps != wanted:
            found.append(number)
    return list(pairwise([*found, len(blocks)]))
