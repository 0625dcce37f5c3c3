"""Linear probes: closed forms, agreement with a plain regression, what they see that MINE does not, and errors."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from dtclaims.errors import MeasurementError, UsageError
from dtclaims.lab.metrics import HeldOutMine, Probe, evaluable, mutual_information, probe, probes
from dtclaims.lab.metrics.heldout import split
from dtclaims.lab.metrics.probe import PENALTIES
from dtclaims.seeding import generator

Matrix = NDArray[np.float64]
seeds = st.integers(0, 2**32 - 1)


def read(data: Matrix, activations: Matrix, seed: int = 0, groups: Matrix | None = None) -> Probe:
    """One pair."""
    return probes({"": (data, activations)}, seed=seed, groups=groups)[""]


def plain(data: Matrix, activations: Matrix, seed: int, number: int, groups: Matrix | None) -> tuple[float, float]:
    """R² and penalty on one split by least squares on rows that stand for the penalty."""
    parts = split(len(data), generator(seed, f"probe/{number}/split"), groups=groups)

    def scaled(values: Matrix) -> Matrix:
        kept = values[:, values[parts.train].std(axis=0) > 1e-9]
        standard: Matrix = (kept - kept[parts.train].mean(axis=0)) / kept[parts.train].std(axis=0, ddof=1)
        return standard

    x, y = scaled(activations), scaled(data)
    m, width = len(parts.train), x.shape[1]
    found = []
    for penalty in PENALTIES:
        rows = np.vstack([x[parts.train], np.sqrt(m * penalty) * np.eye(width)])
        weights = np.linalg.lstsq(rows, np.vstack([y[parts.train], np.zeros((width, y.shape[1]))]), rcond=None)[0]
        scores = [1 - np.sum((y[p] - x[p] @ weights) ** 2) / np.sum(y[p] ** 2) for p in (parts.validation, parts.test)]
        found.append((*scores, penalty))
    _, r2, penalty = max(found)
    return float(r2), penalty


@settings(max_examples=15, deadline=None)
@given(seed=seeds, grouped=st.booleans(), width=st.sampled_from([1, 6, 80]))
def test_equals_a_plain_ridge_regression(seed: int, grouped: bool, width: int) -> None:
    """Each split's R² and penalty are those of a regression written out; the value is their mean, at most 1."""
    rng = generator(seed, "test/probe/plain")
    x = rng.normal(size=(90, width)) * rng.uniform(0.1, 10, size=width) + 3
    y = x @ rng.normal(size=(width, 3)) + rng.normal(size=(90, 3))
    groups = np.repeat(np.arange(15), 6) if grouped else None
    found = read(np.hstack([y, np.ones((90, 1))]), np.hstack([x, np.full((90, 1), 0.3)]), seed, groups)
    expected = [plain(y, x, seed, number, groups) for number in range(3)]
    np.testing.assert_allclose(found.r2, [r2 for r2, _ in expected], atol=1e-6)
    np.testing.assert_allclose(found.penalties, [penalty for _, penalty in expected])
    assert found.value == pytest.approx(found.r2.mean())
    assert found.value <= 1
    assert found.spread == pytest.approx(found.r2.std(ddof=1))
    assert np.isnan(found.columns).tolist() == [False, False, False, True]


@pytest.mark.parametrize("noise", [0.0, 0.5, 2.0])
def test_linear_targets(noise: float) -> None:
    """R² of y = xw + noise is 1 / (1 + noise²) for unit signal variance, whatever the columns' scales."""
    rng = generator(0, "test/probe")
    x = rng.normal(size=(4000, 8))
    weights = rng.normal(size=(8, 3))
    y = x @ weights / np.linalg.norm(weights, axis=0) + noise * rng.normal(size=(4000, 3))
    found = read(y * [1, 100, 0.01], x * [1e-3, 1, 1, 1, 1, 1, 1, 1e3])
    assert found.value == pytest.approx(1 / (1 + noise**2), abs=0.03)
    np.testing.assert_allclose(found.columns, 1 / (1 + noise**2), atol=0.05)


def test_independent_targets_with_many_features() -> None:
    """More features than samples fit any training targets; held out, independent ones score about 0 or below."""
    rng = generator(0, "test/probe/independent")
    assert -0.5 < read(rng.normal(size=(200, 2)), rng.normal(size=(200, 400))).value < 0.1


@settings(max_examples=15, deadline=None)
@given(seed=seeds, scale=st.floats(1e-2, 1e2))
def test_scale_leaves_no_trace(seed: int, scale: float) -> None:
    """Unchanged by the scale of features and targets."""
    rng = generator(seed, "test/probe/properties")
    x = rng.normal(size=(60, 4))
    y = x[:, :2] + rng.normal(size=(60, 2))
    assert read(y / scale - 5, scale * x, seed).value == pytest.approx(read(y, x, seed).value, abs=1e-6)


def test_low_variance_directions_are_seen_where_principal_components_are_blind() -> None:
    """6 nats about 11 numbers, in directions below 24 louder ones: the probe reads R² .66, MINE's 16 components 0."""
    rng = generator(0, "test/probe/quiet")
    n, width, true = 5000, 128, 0.664
    data = rng.normal(size=(n, 11))
    seen = math.sqrt(true) * data + math.sqrt(1 - true) * rng.normal(size=(n, 11))
    quiet = 0.05 * seen @ np.linalg.qr(rng.normal(size=(width, 11)))[0].T
    activations = rng.normal(size=(n, 24)) @ rng.normal(size=(24, width)) + quiet
    assert -11 / 2 * math.log(1 - true) == pytest.approx(6, abs=0.01)
    assert read(data, activations).value == pytest.approx(true, abs=0.01)
    few = HeldOutMine(seeds=1, steps=200)
    blind, shown = (
        mutual_information(data, side, protocol="corrected", seed=0, settings=few).value for side in (activations, seen)
    )
    assert abs(blind) < 0.05
    assert shown > 2.5


@pytest.mark.parametrize("chunk", [1, 2**26])
def test_each_pair_is_what_it_is_alone(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither pairs of other widths beside it, nor shared activations or data, nor the chunk change a reading."""
    monkeypatch.setattr(probe, "CHUNK", chunk)
    rng = generator(1, "test/probe/together")
    shared, label = rng.normal(size=(80, 7)), rng.normal(size=(80, 3))
    pairs = {f"x/{i}": (shared[:, : 1 + i] + rng.normal(size=(80, 1 + i)), shared) for i in range(3)}
    pairs |= {f"y/{i}": (label, label @ rng.normal(size=(3, 5)) + rng.normal(size=(80, 5))) for i in range(3)}
    together = probes(pairs, seed=4)
    assert list(together) == list(pairs)
    for name, pair in pairs.items():
        alone = probes({name: pair}, seed=4)[name]
        np.testing.assert_allclose(together[name].r2, alone.r2, atol=1e-9)
        np.testing.assert_allclose(together[name].columns, alone.columns, atol=1e-9)
        np.testing.assert_array_equal(together[name].penalties, alone.penalties)
    tensors = {name: (torch.from_numpy(x), torch.from_numpy(z)) for name, (x, z) in pairs.items()}
    for name, found in probes(tensors, seed=4).items():
        assert found.value == pytest.approx(together[name].value, abs=1e-9)


def test_trajectories_are_held_out() -> None:
    """Targets that name the trajectory are read from memorised windows, and not when trajectories are held out."""
    rng = generator(0, "test/probe/groups")
    trajectory = np.repeat(np.arange(40), 10)
    x = rng.normal(size=(40, 60))[trajectory] + 0.01 * rng.normal(size=(400, 60))
    y = rng.normal(size=(40, 1))[trajectory]
    assert read(y, x).value > 0.9
    assert read(y, x, groups=trajectory).value < 0.5


def test_constants_have_no_value() -> None:
    """Constant data or activations are undefined, beside others that are not, and are counted."""
    x = generator(0, "test/probe/bad").normal(size=(30, 2))
    found = probes({"data": (np.ones((30, 1)), x), "activations": (x, np.ones((30, 4))), "fine": (x, x)}, seed=0)
    assert [one.status for one in found.values()] == ["undefined", "undefined", "finite"]
    assert math.isnan(found["data"].value)
    assert np.isnan(found["activations"].columns).all()
    assert found["fine"].value == pytest.approx(1, abs=1e-4)
    assert not evaluable(found.values())
    assert evaluable([found["fine"]])


def test_errors() -> None:
    """No pair, few samples, unequal ones, NaN, no split: typed errors that name the side."""
    x = generator(0, "test/probe/bad").normal(size=(30, 2))
    with pytest.raises(MeasurementError, match="no pair"):
        probes({}, seed=0)
    with pytest.raises(MeasurementError, match="too few samples"):
        read(x[:19], x[:19])
    with pytest.raises(MeasurementError, match="30 in activations of a, 29 in data of a"):
        probes({"a": (x[:29], x)}, seed=0)
    with pytest.raises(MeasurementError, match="30 in activations of a, 29 in activations of b"):
        probes({"a": (x, x), "b": (x[:29], x[:29])}, seed=0)
    with pytest.raises(MeasurementError, match="activations of a holds NaN"):
        probes({"a": (x, x * np.nan)}, seed=0)
    with pytest.raises(UsageError, match="at least one split"):
        probes({"a": (x, x)}, seed=0, splits=0)
