"""CKA beyond the inputs: properties, agreement with a regression over pairs of samples, and what it leaves."""

from itertools import permutations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from dtclaims.errors import MeasurementError, UndefinedMeasurement
from dtclaims.lab.metrics import (
    InputKernels,
    layerwise_regressed_cka,
    linear_cka,
    permutation_null,
    permutation_sd,
    regressed_cka,
)
from dtclaims.seeding import generator

Matrix = NDArray[np.float64]
modest = settings(max_examples=25, deadline=None)
seeds = st.integers(0, 2**32 - 1)


def draw(seed: int, n: int = 12) -> tuple[Matrix, Matrix, Matrix, Matrix]:
    """Two feature sets that share two inputs and something of their own."""
    rng = generator(seed, "test/regressed")
    z, w, own = rng.normal(size=(n, 3)), rng.normal(size=(n, 1)), rng.normal(size=(n, 4))
    common = np.hstack([z, w, own])
    x, y = (common @ rng.normal(size=(8, 5)) + 0.3 * rng.normal(size=(n, 5)) for _ in range(2))
    return x, y, z, w


def by_entries(x: Matrix, y: Matrix, inputs: list[Matrix]) -> float:
    """The same by ordinary regression over pairs of samples, on row effects and the inputs' kernels."""
    n = len(x)
    first, second = np.triu_indices(n, 1)
    effects = np.eye(n)[first] + np.eye(n)[second]
    kernels = [(z @ z.T)[first, second] for z in inputs]
    columns = np.column_stack([effects, *kernels])

    def left(features: Matrix) -> Matrix:
        kernel: Matrix = (features @ features.T)[first, second]
        return kernel - columns @ np.linalg.lstsq(columns, kernel, rcond=None)[0]

    return float(np.corrcoef(left(x), left(y))[0, 1])


@modest
@given(seed=seeds)
def test_equals_a_regression_over_pairs(seed: int) -> None:
    """Correlation, over all pairs of samples, of what row effects and the inputs' kernels leave of each kernel."""
    x, y, z, w = draw(seed)
    found = regressed_cka(x, y, InputKernels({"z": z, "w": w}))
    assert found == pytest.approx(by_entries(x, y, [z, w]), abs=1e-8)
    assert -1 - 1e-12 <= found <= 1 + 1e-12
    assert found == pytest.approx(regressed_cka(y, x, InputKernels({"w": w, "z": z})), abs=1e-10)


@modest
@given(seed=seeds)
def test_an_input_without_spread_takes_nothing_out(seed: int) -> None:
    """With a constant input it is unbiased CKA; a second copy of an input takes nothing more out."""
    x, y, z, _ = draw(seed)
    constant = InputKernels({"one": np.full((12, 2), 0.1)})
    assert regressed_cka(x, y, constant) == pytest.approx(linear_cka(x, y), abs=1e-9)
    once = regressed_cka(x, y, InputKernels({"z": z}))
    assert regressed_cka(x, y, InputKernels({"z": z, "again": 3 * z + 1})) == pytest.approx(once, abs=1e-7)


@modest
@given(seed=seeds, scale=st.floats(1e-3, 1e3))
def test_invariant_to_rotation_scale_shift(seed: int, scale: float) -> None:
    """Rotating, isotropically scaling and shifting either side or an input changes nothing; with itself it is 1."""
    x, y, z, w = draw(seed)
    rng = generator(seed, "test/regressed/moved")

    def moved(values: Matrix) -> Matrix:
        rotation, _ = np.linalg.qr(rng.normal(size=(values.shape[1],) * 2))
        return scale * values @ rotation + rng.normal(size=values.shape[1])

    value = regressed_cka(x, y, InputKernels({"z": z, "w": w}))
    again = regressed_cka(moved(x), moved(y), InputKernels({"z": moved(z), "w": moved(w)}))
    assert again == pytest.approx(value, abs=1e-7)
    assert regressed_cka(x, moved(x), InputKernels({"z": z, "w": w})) == pytest.approx(1, abs=1e-9)


def test_what_only_the_inputs_share_is_gone() -> None:
    """Maps of one input, each with noise of its own: beyond the input 0, but for what uneven maps share besides."""
    rng = generator(0, "test/regressed/shared")
    z = rng.normal(size=(300, 4))
    even = np.linalg.qr(rng.normal(size=(200, 4)))[0].T * 7
    uneven = rng.normal(size=(4, 200)) * [[1], [0.2], [1], [1]] / 2
    kernels = InputKernels({"z": z})
    for maps, least, most in ((even, -0.05, 0.05), (uneven, 0.3, 0.95)):
        x, y = (z @ maps + 0.7 * rng.normal(size=(300, 200)) for _ in range(2))
        assert linear_cka(x, y) > 0.7
        assert least < regressed_cka(x, y, kernels) < most


@pytest.mark.parametrize("n", [5, 6])
def test_the_permutations_scatter_is_exact(n: int) -> None:
    """Over all n! orders of one side, unbiased CKA has mean 0 and the stated deviation, whatever the features."""
    rng = generator(n, "test/permutations")
    for widths in ((2, 3), (9, 1)):
        x, y = (rng.exponential(size=(n, width)) for width in widths)
        values = [linear_cka(x, y[list(order)]) for order in permutations(range(n))]
        assert np.mean(values) == pytest.approx(0, abs=1e-12)
        assert np.std(values) == pytest.approx(permutation_sd(n), rel=1e-9)


def test_drawn_permutations_scatter_as_stated() -> None:
    """2000 drawn orders of 60 samples agree with the closed form."""
    x, y, _, _ = draw(3, n=60)
    null = permutation_null(x, y, 2000, generator(0, "null"))
    assert null.std() == pytest.approx(permutation_sd(60), rel=0.1)


def test_layers() -> None:
    """Per layer at the token's position; NaN for a layer that is constant or that the inputs make up."""
    rng = generator(5, "test/regressed/layers")
    z = rng.normal(size=(9, 2))
    pre, post = ({"a": rng.normal(size=(9, 6, 4)), "dead": np.ones((9, 6, 4))} for _ in range(2))
    for side in (pre, post):
        side["input"] = np.zeros((9, 6, 3))
        side["input"][:, -2, :2] = 2 * z
    kernels = InputKernels({"z": z})
    found = layerwise_regressed_cka(pre, post, kernels, token="state")
    assert found["a"] == pytest.approx(regressed_cka(pre["a"][:, -2], post["a"][:, -2], kernels), rel=1e-12)
    assert list(found) == list(pre)
    assert np.isnan([found["dead"], found["input"]]).all()
    tensors = {"a": torch.from_numpy(pre["a"])}, {"a": torch.from_numpy(post["a"])}
    again = layerwise_regressed_cka(*tensors, InputKernels({"z": torch.from_numpy(z)}), token="state")
    assert again["a"] == pytest.approx(found["a"], rel=1e-12)


def test_errors() -> None:
    """No input, other samples, too few, constant features: typed errors that name which."""
    x, _, z, _ = draw(0)
    with pytest.raises(MeasurementError, match="no input to regress on"):
        InputKernels({})
    with pytest.raises(MeasurementError, match="12 in z, 11 in w"):
        InputKernels({"z": z, "w": z[:11]})
    with pytest.raises(MeasurementError, match="input z holds NaN"):
        InputKernels({"z": z * np.nan})
    with pytest.raises(MeasurementError, match="12 in z, 11 in x"):
        regressed_cka(x[:11], x[:11], InputKernels({"z": z}))
    with pytest.raises(MeasurementError, match="too few samples"):
        permutation_sd(3)
    with pytest.raises(UndefinedMeasurement, match="CKA of y beyond its inputs is 0/0"):
        regressed_cka(x, 2 * z, InputKernels({"z": z}))
