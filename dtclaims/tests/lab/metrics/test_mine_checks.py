"""The check beside MINE: the linear probe."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from dtclaims.errors import MeasurementError, UndefinedMeasurement
from dtclaims.lab.metrics import probe_r2
from dtclaims.seeding import generator

Matrix = NDArray[np.float64]
seeds = st.integers(0, 2**32 - 1)


@pytest.mark.parametrize("noise", [0.0, 0.5, 2.0])
def test_probe_of_linear_targets(noise: float) -> None:
    """R² of y = xw + noise is 1 / (1 + noise²) for unit signal variance, whatever the columns' scales."""
    rng = generator(0, "test/probe")
    x = rng.normal(size=(4000, 8))
    weights = rng.normal(size=(8, 3))
    y = x @ weights / np.linalg.norm(weights, axis=0) + noise * rng.normal(size=(4000, 3))
    r2 = probe_r2(x * [1e-3, 1, 1, 1, 1, 1, 1, 1e3], y * [1, 100, 0.01], seed=0)
    assert r2 == pytest.approx(1 / (1 + noise**2), abs=0.03)


def test_probe_of_independent_targets_with_many_features() -> None:
    """More features than samples fit any training targets; held out, independent ones score about 0 or below."""
    rng = generator(0, "test/probe/independent")
    r2 = probe_r2(rng.normal(size=(200, 400)), rng.normal(size=(200, 2)), seed=0)
    assert -0.5 < r2 < 0.1


@settings(max_examples=15)
@given(seed=seeds, scale=st.floats(1e-2, 1e2))
def test_probe_properties(seed: int, scale: float) -> None:
    """At most 1; unchanged by the scale of features and targets and by constant columns in either."""
    rng = generator(seed, "test/probe/properties")
    x = rng.normal(size=(60, 4))
    y = x[:, :2] + rng.normal(size=(60, 2))
    value = probe_r2(x, y, seed=seed)
    constant = np.full((60, 1), 0.3)
    assert value <= 1
    again = probe_r2(np.hstack([scale * x, constant]), np.hstack([y / scale - 5, constant]), seed=seed)
    assert again == pytest.approx(value, abs=1e-6)


def test_probe_holds_out_trajectories() -> None:
    """Targets that name the trajectory are read from memorised windows, and not when trajectories are held out."""
    rng = generator(0, "test/probe/groups")
    trajectory = np.repeat(np.arange(40), 10)
    x = rng.normal(size=(40, 60))[trajectory] + 0.01 * rng.normal(size=(400, 60))
    y = rng.normal(size=(40, 1))[trajectory]
    assert probe_r2(x, y, seed=0) > 0.9
    assert probe_r2(x, y, seed=0, groups=trajectory) < 0.5


def test_probe_without_an_answer() -> None:
    """Constant targets are undefined, a handful of samples an error."""
    x = generator(0, "test/probe/bad").normal(size=(30, 2))
    with pytest.raises(UndefinedMeasurement, match="targets is constant"):
        probe_r2(x, np.ones((30, 1)), seed=0)
    with pytest.raises(MeasurementError, match="too few samples"):
        probe_r2(x[:19], x[:19], seed=0)
