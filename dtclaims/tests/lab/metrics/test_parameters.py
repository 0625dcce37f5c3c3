"""Parameter similarity: the reference's per-tensor numbers, and the corrected ones without zero-start tensors."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dtclaims.errors import MeasurementError, UndefinedMeasurement
from dtclaims.lab.metrics import parameter_similarity
from dtclaims.places import fixture_dir
from dtclaims.seeding import generator

modest = settings(max_examples=25, deadline=None)
seeds = st.integers(0, 2**32 - 1)


@pytest.mark.parametrize("model", ["dt", "gpt2"])
def test_golden(model: str) -> None:
    """Distances and published cosines equal the reference's between steps 0 and 5 of its own training run."""
    folder = fixture_dir() / "golden"
    settings_ = json.loads((folder / f"param_similarity_{model}.json").read_text())["settings"]
    expected = np.load(folder / f"param_similarity_{model}.npz")
    run = np.load(folder / f"train_{model}.npz")
    pre, post = (
        {name: run[f"{step}/transformer.h.{name}"] for name in settings_["names"]} for step in ("step0", "step5")
    )
    result = parameter_similarity(pre, post)
    assert result.names == tuple(settings_["names"])
    assert result.undefined == tuple(settings_["zero_at_start"])
    np.testing.assert_allclose(result.l2, expected["distance"], rtol=1e-4)
    np.testing.assert_allclose(result.published_cosine, expected["cosine"], rtol=1e-4, atol=1e-6)


@modest
@given(seed=seeds)
def test_equals_concatenated_vector(seed: int) -> None:
    """The whole-network numbers are those of all parameters laid end to end."""
    rng = generator(seed, "test/parameters")
    shapes = {"a": (3, 4), "b": (5,), "c": (2, 2, 2)}
    pre, post = ({name: rng.normal(size=shape) for name, shape in shapes.items()} for _ in range(2))
    whole, moved = (np.concatenate([v.ravel() for v in side.values()]) for side in (pre, post))
    result = parameter_similarity(pre, {name: torch.from_numpy(post[name]) for name in reversed(post)})
    assert result.total_l2 == pytest.approx(np.linalg.norm(moved - whole))
    assert result.rms_displacement == pytest.approx(np.sqrt(np.mean((moved - whole) ** 2)))
    assert result.rms_initial == pytest.approx(np.sqrt(np.mean(whole**2)))
    assert result.relative_displacement == pytest.approx(np.linalg.norm(moved - whole) / np.linalg.norm(whole))
    for i, name in enumerate(shapes):
        before, after = pre[name].ravel(), post[name].ravel()
        assert result.cosine[i] == pytest.approx(before @ after / np.linalg.norm(before) / np.linalg.norm(after))
    np.testing.assert_allclose(result.published_cosine, result.cosine, atol=1e-5)
    assert result.mean_cosine == pytest.approx(result.cosine.mean())


@modest
@given(seed=seeds, scale=st.floats(0.01, 100))
def test_scaling_a_network(seed: int, scale: float) -> None:
    """θ -> c θ0 has cosine 1 and relative displacement |c − 1|, whatever the size of θ0."""
    weight = generator(seed, "test/scaling").normal(size=(6, 6))
    result = parameter_similarity({"w": weight}, {"w": scale * weight})
    assert result.mean_cosine == pytest.approx(1)
    assert result.relative_displacement == pytest.approx(abs(scale - 1), abs=1e-12)


def test_unchanged_network() -> None:
    """A network that training did not touch has displacement exactly 0 and cosine 1."""
    weight = generator(0, "test/same").normal(size=(6, 6))
    result = parameter_similarity({"w": weight}, {"w": weight.copy()})
    assert result.total_l2 == result.relative_displacement == 0
    assert result.mean_cosine == pytest.approx(1)


def test_dev19_tensors_that_start_at_zero() -> None:
    """DEV-19: a bias that starts at 0 drags the published mean cosine to half; corrected, it has none and is listed."""
    weight = generator(0, "test/dev19").normal(size=(6, 6))
    pre, post = {"w": weight, "b": np.zeros(6)}, {"w": weight, "b": np.full(6, 0.1)}
    result = parameter_similarity(pre, post)
    assert result.published_cosine[1] == 0.0
    assert result.mean_published_cosine == pytest.approx(0.5)
    assert np.isnan(result.cosine[1])
    assert result.undefined == ("b",)
    assert result.mean_cosine == pytest.approx(1.0)
    assert result.relative_displacement == pytest.approx(np.sqrt(6 * 0.01) / np.linalg.norm(weight))


def test_dev19_published_cosine_depends_on_size() -> None:
    """DEV-19: the +1e-6 pulls the cosine of a small tensor to 0, although its direction did not change."""
    result = parameter_similarity({"b": np.full(4, 1e-4)}, {"b": np.full(4, 1e-4)})
    assert result.published_cosine[0] == pytest.approx(4e-8 / (4e-8 + 1e-6))
    assert result.cosine[0] == pytest.approx(1)


def test_sums_are_float64() -> None:
    """A float32 tensor of a million ones that moves by 1e-3 has the distance a float64 sum gives."""
    pre = torch.ones(1_000_000)
    result = parameter_similarity({"w": pre}, {"w": pre + 1e-3})
    step = float((pre[0] + 1e-3).double() - 1)
    assert result.total_l2 == pytest.approx(step * 1000, rel=1e-12)


def test_errors_name_the_parameter() -> None:
    """Other names, other shapes, NaN and all-zero starts are refused, each naming what is wrong."""
    good = {"w": np.ones((2, 3))}
    with pytest.raises(MeasurementError, match=r"only before: \['w'\], only after: \['v'\]"):
        parameter_similarity(good, {"v": good["w"]})
    with pytest.raises(MeasurementError, match="same parameters"):
        parameter_similarity({}, {})
    with pytest.raises(MeasurementError, match=r"parameter w changed its shape: got \(3, 2\) after"):
        parameter_similarity(good, {"w": np.ones((3, 2))})
    with pytest.raises(MeasurementError, match="parameter w holds NaN"):
        parameter_similarity(good, {"w": np.full((2, 3), np.nan)})
    zero = parameter_similarity({"w": np.zeros(3)}, {"w": np.ones(3)})
    with pytest.raises(UndefinedMeasurement, match="0/0"):
        _ = zero.relative_displacement
    with pytest.raises(UndefinedMeasurement, match="no tensor has a cosine"):
        _ = zero.mean_cosine
