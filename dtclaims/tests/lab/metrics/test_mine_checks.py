"""The two checks beside MINE: nearest-neighbour mutual information and the linear probe."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.special import digamma

from dtclaims.errors import MeasurementError, UndefinedMeasurement
from dtclaims.lab.metrics import ksg_mutual_information, probe_r2
from dtclaims.seeding import generator

Matrix = NDArray[np.float64]
seeds = st.integers(0, 2**32 - 1)


def naive_ksg(x: Matrix, z: Matrix, k: int) -> float:
    """The first estimator of Kraskov et al. from all pairwise distances."""
    x, z = ((side - side.mean(axis=0)) / side.std(axis=0, ddof=1) for side in (x, z))
    n, total = len(x), 0.0
    for i in range(n):
        in_x, in_z = (np.abs(side - side[i]).max(axis=1) for side in (x, z))
        in_x[i] = in_z[i] = np.inf
        epsilon = np.sort(np.maximum(in_x, in_z))[k - 1]
        total += digamma((in_x < epsilon).sum() + 1) + digamma((in_z < epsilon).sum() + 1)
    return float(digamma(k) + digamma(n) - total / n)


@settings(max_examples=25)
@given(seed=seeds, n=st.integers(6, 40), widths=st.tuples(st.integers(1, 3), st.integers(1, 3)), k=st.integers(1, 5))
def test_ksg_equals_definition(seed: int, n: int, widths: tuple[int, int], k: int) -> None:
    """The trees' counts equal the definition's, neighbours at exactly the k-th distance left out."""
    rng = generator(seed, "test/ksg")
    x = rng.normal(size=(n, widths[0]))
    z = x[:, :1] + rng.normal(size=(n, widths[1]))
    assert ksg_mutual_information(x, z, neighbours=k) == pytest.approx(naive_ksg(x, z, k), abs=1e-9)


@pytest.mark.parametrize("rho", [-0.9, 0.0, 0.3, 0.6, 0.9, 0.99])
def test_ksg_of_gaussians(rho: float) -> None:
    """Within 0.08 nat of −½ log(1 − ρ²) with 3000 samples."""
    rng = generator(0, f"test/ksg/{rho}")
    x, noise = rng.normal(size=(3000, 1)), rng.normal(size=(3000, 1))
    z = rho * x + math.sqrt(1 - rho**2) * noise
    assert ksg_mutual_information(x, z) == pytest.approx(-math.log(1 - rho**2) / 2, abs=0.08)


@settings(max_examples=20)
@given(seed=seeds, scale=st.floats(1e-3, 1e3), shift=st.floats(-10, 10))
def test_ksg_invariances(seed: int, scale: float, shift: float) -> None:
    """Symmetric in x and z; unchanged by scale, offset and the order of samples. Negative values may occur."""
    rng = generator(seed, "test/ksg/invariance")
    x, z = rng.normal(size=(50, 2)), rng.normal(size=(50, 3))
    order = rng.permutation(50)
    value = ksg_mutual_information(x, z)
    assert ksg_mutual_information(z, x) == pytest.approx(value, abs=1e-9)
    assert ksg_mutual_information(scale * x[order] + shift, z[order]) == pytest.approx(value, abs=0.05)


def test_branch_and_residual_stream_differ() -> None:
    """DEV-24: a block's MLP branch, the published z, can be without information that its output carries on."""
    rng = generator(0, "test/ksg/branch")
    stream, branch = rng.normal(size=(1000, 1)), 0.1 * rng.normal(size=(1000, 1))
    assert abs(ksg_mutual_information(stream, branch)) < 0.1
    assert ksg_mutual_information(stream, stream + branch) > 2


def test_ksg_of_coinciding_samples() -> None:
    """Discrete data has no neighbourhoods, and a constant no information to estimate: typed undefined."""
    rng = generator(0, "test/ksg/ties")
    x = rng.normal(size=(50, 1))
    with pytest.raises(UndefinedMeasurement, match="coincide"):
        ksg_mutual_information(np.sign(x), np.sign(x))
    with pytest.raises(UndefinedMeasurement, match="z is constant"):
        ksg_mutual_information(x, np.ones((50, 1)))


@pytest.mark.parametrize("k", [0, 50])
def test_ksg_without_neighbours(k: int) -> None:
    """k must be at least 1 and below the number of samples."""
    x = generator(0, "test/ksg/k").normal(size=(50, 1))
    with pytest.raises(MeasurementError, match="no such neighbour"):
        ksg_mutual_information(x, x, neighbours=k)


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
