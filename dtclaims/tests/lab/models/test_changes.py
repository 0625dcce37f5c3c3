"""What controls do to a backbone's weights, and what they leave alone."""

from collections import Counter
from typing import get_args

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from dtclaims.lab.design.arms import Change
from dtclaims.lab.models import Stack, StackConfig
from dtclaims.lab.models.changes import (
    CHANGES,
    blocks_3_11_redrawn,
    moment_matched,
    permuted,
    qk_3_10_redrawn,
    redrawn,
)

CONFIG = StackConfig(blocks=12, width=8, heads=2, activation="gelu_new")
WIDTH = CONFIG.width


def weights(seed: int = 0) -> dict[str, Tensor]:
    """Tensors unlike any fresh stack's: no two entries equal, means and scales of their own."""
    source = torch.Generator().manual_seed(seed)
    shapes = {name: value.shape for name, value in Stack(CONFIG).state_dict().items()}
    return {
        name: torch.randn(shape, generator=source) * (1 + index) + index
        for index, (name, shape) in enumerate(shapes.items())
    }


@pytest.fixture(scope="module")
def tensors() -> dict[str, Tensor]:
    """The tensors that are changed."""
    return weights()


@pytest.mark.parametrize("change", sorted(get_args(Change)))
def test_a_change_keeps_names_shapes_and_its_input(change: str, tensors: dict[str, Tensor]) -> None:
    """It returns new tensors of the same names and shapes, leaves the given ones alone, and repeats itself."""
    before = {name: tensor.clone() for name, tensor in tensors.items()}
    function = CHANGES[change]
    changed, again, other = (function(tensors, CONFIG, seed) for seed in (1, 1, 2))
    assert {name: tensor.shape for name, tensor in changed.items()} == {n: t.shape for n, t in tensors.items()}
    assert all(torch.equal(before[name], tensors[name]) for name in tensors)
    assert all(torch.equal(changed[name], again[name]) for name in tensors)
    assert any(not torch.equal(changed[name], other[name]) for name in tensors)


@settings(max_examples=25)
@given(
    values=st.lists(st.floats(-1e3, 1e3, width=32), min_size=1, max_size=40),
    seed=st.integers(0, 2**40),
)
def test_permuting_keeps_the_values_of_each_tensor(values: list[float], seed: int) -> None:
    """The multiset of entries stays, tensor by tensor."""
    tensor = torch.tensor(values)
    (found,) = permuted({"h.0.ln_1.weight": tensor}, CONFIG, seed).values()
    assert Counter(found.tolist()) == Counter(tensor.tolist())


def test_permuting_moves_entries_between_rows_and_columns(tensors: dict[str, Tensor]) -> None:
    """A matrix is permuted as a whole: no row or column keeps its set of values."""
    found = permuted(tensors, CONFIG, 1)
    name = "h.2.mlp.c_fc.weight"
    for ours, theirs in ((found[name], tensors[name]), (found[name].t(), tensors[name].t())):
        assert all(set(new.tolist()) != set(old.tolist()) for new, old in zip(ours, theirs, strict=True))


def test_moment_matching_keeps_mean_and_standard_deviation() -> None:
    """Entries are Gaussian with the tensor's own moments: means and deviations agree within six standard errors."""
    source = torch.Generator().manual_seed(5)
    # Exponential, so that a Gaussian of equal moments is told from a permutation by its sign and skewness.
    tensor = torch.empty(20_000).exponential_(generator=source) * 3 + 1
    (found,) = moment_matched({"h.0.mlp.c_fc.weight": tensor}, CONFIG, 1).values()
    mean, std, count = float(tensor.double().mean()), float(tensor.double().std(correction=0)), tensor.numel()
    assert abs(float(found.double().mean()) - mean) < 6 * std / count**0.5
    assert abs(float(found.double().std()) / std - 1) < 6 / (2 * count) ** 0.5
    standard = (found.double() - mean) / std
    assert abs(float(standard.pow(3).mean())) < 6 * (6 / count) ** 0.5
    assert not torch.isin(found, tensor).all()


@settings(max_examples=15)
@given(value=st.floats(-10, 10, width=32), count=st.integers(1, 9))
def test_a_constant_tensor_stays_under_moment_matching(value: float, count: int) -> None:
    """A tensor without spread, such as ImageGPT's zero biases, is unchanged to the bit."""
    tensor = torch.full((count,), value)
    (found,) = moment_matched({"h.0.attn.c_attn.bias": tensor}, CONFIG, 0).values()
    assert torch.equal(found, tensor)


def test_redrawing_is_a_fresh_stack_s_distribution(tensors: dict[str, Tensor]) -> None:
    """Biases are zero, norms one, matrices small: nothing of the pre-trained values is left (protocol §3.3)."""
    found = redrawn(tensors, CONFIG, 1)
    for name, tensor in found.items():
        if name.endswith("bias"):
            assert not tensor.any(), name
        elif "ln_" in name:
            assert (tensor == 1).all(), name
        else:
            std = 0.02 / 24**0.5 if "c_proj" in name else 0.02
            assert abs(float(tensor.std()) / std - 1) < 6 / (2 * tensor.numel()) ** 0.5, name


def test_a_part_is_changed_as_in_the_whole(tensors: dict[str, Tensor]) -> None:
    """Changing one block's tensors gives what changing all gives there: streams are per tensor."""
    block = {name: tensor for name, tensor in tensors.items() if name.startswith("h.5.")}
    for function in (permuted, moment_matched, redrawn):
        whole, part = function(tensors, CONFIG, 1), function(block, CONFIG, 1)
        assert part.keys() == block.keys()
        assert all(torch.equal(part[name], whole[name]) for name in part)


def test_blocks_3_to_11_are_redrawn_and_the_rest_stays(tensors: dict[str, Tensor]) -> None:
    """Nine blocks are fresh, norms and biases included; blocks 0 to 2 and the final norm are the backbone's."""
    found, fresh = blocks_3_11_redrawn(tensors, CONFIG, 1), redrawn(tensors, CONFIG, 1)
    new = {name for name in tensors if not torch.equal(found[name], tensors[name])}
    assert new == {name for name in tensors if name.startswith("h.") and int(name.split(".")[1]) >= 3}
    assert len(new) == 9 * 12
    assert all(torch.equal(found[name], fresh[name]) for name in new)


def test_queries_and_keys_of_blocks_3_to_10_are_redrawn(tensors: dict[str, Tensor]) -> None:
    """The first two thirds of c_attn, weight and bias, are fresh in eight blocks; values and all else stay."""
    found, fresh = qk_3_10_redrawn(tensors, CONFIG, 1), redrawn(tensors, CONFIG, 1)
    new = {name for name in tensors if not torch.equal(found[name], tensors[name])}
    assert new == {f"h.{block}.attn.c_attn.{kind}" for block in range(3, 11) for kind in ("weight", "bias")}
    for name in new:
        assert torch.equal(found[name][..., 2 * WIDTH :], tensors[name][..., 2 * WIDTH :])
        assert torch.equal(found[name][..., : 2 * WIDTH], fresh[name][..., : 2 * WIDTH])
