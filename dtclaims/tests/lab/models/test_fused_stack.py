"""The blocks of several networks in one launch: the same as the blocks one by one."""

import math
import os
import subprocess
import sys

import pytest
import torch
from torch import Tensor

from dtclaims.lab.models import fused_stack
from dtclaims.lab.models.attention import additive, causal, masked
from dtclaims.lab.models.transformer import Block, Stack, StackConfig
from dtclaims.lab.train.flat_adamw import ALIGNMENT
from dtclaims.tests.support.gpu import gpu

SHAPES = [
    pytest.param((128, 4, "gelu_new", "layer", 2, 70), id="language, K=1, more windows than one tile"),
    pytest.param((128, 1, "relu", "layer", 59, 3), id="random, K=20"),
    pytest.param((96, 3, "quick_gelu", "rms", 59, 2), id="image, K=20, a width that is no power of two"),
    pytest.param((32, 4, "gelu_new", "layer", 5, 13), id="heads narrower than a tile"),
]
Shape = tuple[int, int, str, str, int, int]


def stacks_of(shape: Shape, runs: int, blocks: int = 3) -> list[Stack]:
    """Networks that are not near their initialisation, one block of each with another's heads and activation."""
    width, heads, activation, norm, _, _ = shape
    config = StackConfig(blocks=blocks, width=width, heads=heads, activation=activation, norm=norm)  # type: ignore[arg-type]
    foreign = StackConfig(blocks=1, width=width, heads=2, activation="relu", norm=norm)  # type: ignore[arg-type]
    found = []
    for seed in range(runs):
        source = torch.Generator().manual_seed(seed)
        stack, other = Stack(config, source).eval(), Block(foreign).eval()
        other.load_state_dict(stack.h[1].state_dict())
        stack.h[1] = other
        with torch.no_grad():
            for parameter in stack.parameters():
                parameter.add_(0.05 * torch.randn(parameter.shape, generator=source))
        found.append(stack)
    return found


def leaves_of(stacks: list[Stack], matrices: torch.dtype) -> dict[str, Tensor]:
    """As training lays them: norms in one array, what is rounded in another, a row for each run."""
    every = [dict(stack.named_parameters()) for stack in stacks]
    found = {}
    for rounds, kind in ((False, torch.float32), (True, matrices)):
        names = [name for name in every[0] if ("ln_" not in name) is rounds]
        places = [0]
        for name in names:
            places.append(places[-1] + -(-every[0][name].numel() // ALIGNMENT) * ALIGNMENT)
        flat = torch.zeros(len(stacks), places[-1], dtype=kind)
        for name, place in zip(names, places, strict=False):
            size = every[0][name].shape
            found[name] = flat[:, place : place + size.numel()].view(len(stacks), *size)
            found[name].copy_(torch.stack([one[name].detach() for one in every]))
    return found


def compared(shape: Shape, device: str, matrices: torch.dtype) -> tuple[Tensor, Tensor]:
    """Fused, and one block after the other in float64."""
    _, _, _, _, tokens, windows = shape
    stacks = stacks_of(shape, 2)
    leaves = leaves_of(stacks, matrices)
    x = torch.randn(2, windows, tokens, shape[0], generator=torch.Generator().manual_seed(9))
    moved = {}
    for kind in (torch.float32, matrices):
        # Views of one array stay that.
        for name, leaf in leaves.items():
            if leaf.dtype == kind and name not in moved:
                whole = leaf.untyped_storage()
                there = torch.tensor([], dtype=kind).set_(whole).to(device)
                moved[name] = there[leaf.storage_offset() :].as_strided(leaf.shape, leaf.stride())
    with torch.inference_mode():
        fused = fused_stack.through(x.to(device), stacks[0].config, list(stacks[0].h), moved).cpu()  # type: ignore[arg-type]
        attend = masked(additive(causal(tokens, x.device), torch.float64, -math.inf), x.device)
        plain = torch.stack([stack.double().through(x[run].double(), attend) for run, stack in enumerate(stacks)])
    return fused, plain


@gpu
@pytest.mark.parametrize("shape", SHAPES)
def test_fused_is_one_block_after_the_other(shape: Shape) -> None:
    """In bfloat16 to its rounding, whatever the heads, activation, norm and width."""
    fused, plain = compared(shape, "cuda", torch.bfloat16)
    assert fused.dtype == torch.float32
    torch.testing.assert_close(fused.double(), plain, rtol=0.05, atol=0.05)
    assert (fused - plain).square().mean().sqrt() < 0.01 * plain.square().mean().sqrt()


@pytest.mark.skipif(not fused_stack.TRITON, reason="Triton comes with torch's CUDA builds; `pip install triton` does")
def test_the_kernel_as_it_is_written() -> None:
    """Interpreted on a CPU in float32 it is the blocks to rounding: masks, tiles and strides are right."""
    code = (
        "from dtclaims.tests.lab.models.test_fused_stack import SHAPES, compared\n"
        "import torch\n"
        "for one in SHAPES:\n"
        "    fused, plain = compared(one.values[0], 'cpu', torch.float32)\n"
        "    torch.testing.assert_close(fused.double(), plain, rtol=1e-4, atol=1e-4)\n"
    )
    environment = {**os.environ, "TRITON_INTERPRET": "1"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-2000:]


def test_blocks_of_one_kind_go_together() -> None:
    """A launch takes blocks alike that lie evenly; what lies elsewhere, or has other heads, is a launch of its own."""
    (shape,) = SHAPES[0].values
    stacks = stacks_of(shape, 2, blocks=6)
    blocks = list(stacks[0].h)
    leaves = leaves_of(stacks, torch.bfloat16)
    parts = [[fused_stack._leaf(leaves, number, name) for name in fused_stack.LEAVES] for number in range(6)]
    assert fused_stack._alike(blocks, parts) == [(0, 1), (1, 2), (2, 6)]  # type: ignore[arg-type]
    norms, matrices = fused_stack._strides(parts, 2)
    for name, first, other in zip(fused_stack.LEAVES, parts[2], parts[5], strict=True):
        step = 3 * (norms if name.startswith("ln_") else matrices)
        reached = first.as_strided(first.shape, first.stride(), first.storage_offset() + step)
        assert torch.equal(reached, other)
    apart = {name: leaf.clone() for name, leaf in leaves.items()}
    parts = [[fused_stack._leaf(apart, number, name) for name in fused_stack.LEAVES] for number in range(6)]
    assert fused_stack._alike(blocks, parts)[:3] == [(0, 1), (1, 2), (2, 3)]  # type: ignore[arg-type]


def test_only_narrow_networks_on_a_gpu() -> None:
    """Elsewhere the blocks' own products are as good, or there is no such kernel."""
    narrow = StackConfig(blocks=1, width=128, heads=1, activation="relu")
    wide = StackConfig(blocks=1, width=768, heads=12, activation="gelu_new")
    assert not fused_stack.offered(narrow, 2, torch.device("cpu"))
    assert fused_stack.offered(narrow, 59, torch.device("cuda")) == fused_stack.TRITON
    assert not fused_stack.offered(narrow, 65, torch.device("cuda"))
    assert not fused_stack.offered(wide, 2, torch.device("cuda"))
