"""Blocks whose gradient is derived by hand, against autograd through the blocks themselves."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from dtclaims.lab.models import Block, Stack, StackConfig
from dtclaims.lab.models.attention import masked
from dtclaims.lab.models.hand_block import ALL, HandStack
from dtclaims.seeding import derive

KINDS = [(activation, norm) for activation in ("relu", "gelu_new", "quick_gelu") for norm in ("layer", "rms")]


def stack_of(activation: str, norm: str, *, mixed: bool = False, seed: int = 0) -> Stack:
    """Three blocks in float64, every parameter far from its start; one with other heads and activation if mixed."""
    config = StackConfig(blocks=3, width=8, heads=2, activation=activation, norm=norm)
    stack = Stack(config)
    if mixed:
        stack.h[1] = Block(replace(config, heads=4, activation="gelu_new"))
    source = torch.Generator().manual_seed(seed)
    for parameter in stack.parameters():
        nn.init.normal_(parameter, std=0.5, generator=source)
    return stack.double().eval()


@settings(max_examples=30)
@given(
    st.sampled_from(KINDS),
    st.booleans(),
    st.integers(1, 3),
    st.integers(2, 7),
    st.sampled_from([ALL, slice(1, None, 3), slice(0, 1), slice(-1, None)]),
    st.integers(0, 1000),
)
def test_it_is_the_blocks(kind: tuple[str, str], mixed: bool, batch: int, tokens: int, rows: slice, seed: int) -> None:
    """Output and all gradients, for every activation, norm and choice of tokens that leave."""
    stack = stack_of(*kind, mixed=mixed, seed=seed)
    source = torch.Generator().manual_seed(derive(seed, "input"))
    x = torch.randn(batch, tokens, 8, generator=source, dtype=torch.float64, requires_grad=True)
    expected = stack.through(x, masked(None, x.device), rows=rows)
    gradient = torch.randn(expected.shape, generator=source, dtype=torch.float64)
    parameters = [one for block in stack.h for one in block.parameters()]
    wanted = torch.autograd.grad(expected, [x, *parameters], gradient)
    for parameter in parameters:
        parameter.grad = torch.ones_like(parameter)
    found = HandStack(stack)(x, rows)
    torch.testing.assert_close(found, expected)
    (of_x,) = torch.autograd.grad(found, x, gradient)
    torch.testing.assert_close(of_x, wanted[0])
    for parameter, one in zip(parameters, wanted[1:], strict=True):
        # It adds to what is there.
        torch.testing.assert_close(parameter.grad, one + 1)
    with torch.inference_mode():
        torch.testing.assert_close(HandStack(stack)(x.detach(), rows), expected.detach())


@pytest.mark.parametrize("rows", [ALL, slice(1, None, 3)])
def test_its_gradient_with_dropout_is_that_of_its_own_function(rows: slice) -> None:
    """With the draws held fast, the derivative along a direction is the gradient's."""
    stack = stack_of("gelu_new", "layer").train()
    blocks, source = HandStack(stack), torch.Generator().manual_seed(1)
    x, along = (torch.randn(2, 7, 8, generator=source, dtype=torch.float64) for _ in range(2))
    parameters = [one for block in stack.h for one in block.parameters()]
    moved = [torch.randn(one.shape, generator=source, dtype=torch.float64) for one in parameters]

    def value(step: float) -> Tensor:
        torch.manual_seed(3)
        with torch.no_grad():
            for parameter, direction in zip(parameters, moved, strict=True):
                parameter.add_(step * direction)
        out = blocks((x + step * along).requires_grad_(), rows, training=True).sin().sum()
        with torch.no_grad():
            for parameter, direction in zip(parameters, moved, strict=True):
                parameter.sub_(step * direction)
        return out

    for parameter in parameters:
        parameter.grad = torch.zeros_like(parameter)
    torch.manual_seed(3)
    leaf = x.clone().requires_grad_()
    (of_x,) = torch.autograd.grad(blocks(leaf, rows, training=True).sin().sum(), leaf)
    slope = (of_x * along).sum() + sum((one.grad * by).sum() for one, by in zip(parameters, moved, strict=True))
    torch.testing.assert_close((value(1e-6) - value(-1e-6)) / 2e-6, slope, rtol=1e-6, atol=1e-6)


def test_it_drops_as_often_as_the_block_says() -> None:
    """Attention weights and branches with the block's rates, and the mean stays; in eval mode nothing is drawn."""
    stack = stack_of("relu", "layer")
    drawn = HandStack(stack)._factors(torch.zeros(40, 30, 8), ALL, training=True)
    for of_block in drawn:
        assert of_block is not None
        for factor, rate in zip(of_block, (0.1, 0.2, 0.2), strict=True):
            assert factor.unique().tolist() == [0.0, pytest.approx(1 / (1 - rate), rel=1e-4)]
            assert float((factor == 0).float().mean()) == pytest.approx(rate, abs=0.02)
    before = torch.get_rng_state()
    HandStack(stack)(torch.zeros(1, 2, 8, dtype=torch.float64, requires_grad=True))
    assert torch.equal(torch.get_rng_state(), before)
