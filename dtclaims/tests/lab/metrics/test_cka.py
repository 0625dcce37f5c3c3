"""Linear CKA: invariances, the bias of the biased form, agreement of all forms, and errors."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from dtclaims.errors import MeasurementError, UndefinedMeasurement, UsageError
from dtclaims.lab.metrics import Estimator, cka, cka_matrix, linear_cka, permutation_null
from dtclaims.places import fixture_dir
from dtclaims.seeding import generator

Matrix = NDArray[np.float64]
ESTIMATORS: list[Estimator] = ["unbiased", "biased"]
modest = settings(max_examples=25, deadline=None)

seeds = st.integers(0, 2**32 - 1)
shapes = st.tuples(st.integers(5, 14), st.integers(2, 20), st.integers(2, 20))


def naive_cka(x: Matrix, y: Matrix, estimator: Estimator) -> float:
    """CKA by its definition: centre each Gram entry by entry, then a cosine."""

    def centred_gram(features: Matrix) -> Matrix:
        n = len(features)
        gram = features @ features.T
        if estimator == "biased":
            centring = np.eye(n) - 1 / n
            return centring @ gram @ centring
        np.fill_diagonal(gram, 0)
        total = gram.sum()
        centred = np.zeros_like(gram)
        for i in range(n):
            for j in range(n):
                if i != j:
                    rows = gram[i].sum() / (n - 2) + gram[:, j].sum() / (n - 2)
                    centred[i, j] = gram[i, j] - rows + total / ((n - 1) * (n - 2))
        return centred

    k, m = centred_gram(x), centred_gram(y)
    return float((k * m).sum() / np.sqrt((k * k).sum() * (m * m).sum()))


def draw(seed: int, shape: tuple[int, int, int]) -> tuple[Matrix, Matrix, np.random.Generator]:
    """Two partly related feature sets of the same samples, with unequal column scales and offsets."""
    rng = generator(seed, "test/cka")
    n, f, g = shape
    x = rng.normal(size=(n, f)) * rng.uniform(0.5, 2, size=f) + rng.normal(size=f)
    y = x @ rng.normal(size=(f, g)) / np.sqrt(f) + rng.normal(size=(n, g))
    return x, y, rng


@pytest.mark.parametrize("estimator", ESTIMATORS)
@modest
@given(seed=seeds, shape=shapes)
def test_equals_definition(estimator: Estimator, seed: int, shape: tuple[int, int, int]) -> None:
    """The closed form equals entry-by-entry centring, whether it goes through features or Grams."""
    x, y, _ = draw(seed, shape)
    assert linear_cka(x, y, estimator=estimator) == pytest.approx(naive_cka(x, y, estimator), abs=1e-9)


@pytest.mark.parametrize("estimator", ESTIMATORS)
@modest
@given(seed=seeds, shape=shapes, scale=st.floats(1e-3, 1e3))
def test_invariant_to_rotation_scale_shift(
    estimator: Estimator, seed: int, shape: tuple[int, int, int], scale: float
) -> None:
    """Rotating, isotropically scaling and shifting one side changes nothing."""
    x, y, rng = draw(seed, shape)
    rotation, _ = np.linalg.qr(rng.normal(size=(x.shape[1], x.shape[1])))
    moved = scale * x @ rotation + rng.normal(size=x.shape[1])
    assert linear_cka(moved, y, estimator=estimator) == pytest.approx(linear_cka(x, y, estimator=estimator), abs=1e-8)


@pytest.mark.parametrize("estimator", ESTIMATORS)
@modest
@given(seed=seeds, shape=shapes)
def test_symmetric_and_bounded(estimator: Estimator, seed: int, shape: tuple[int, int, int]) -> None:
    """CKA(x, y) = CKA(y, x), within [-1, 1] (biased: [0, 1])."""
    x, y, _ = draw(seed, shape)
    value = linear_cka(x, y, estimator=estimator)
    assert value == pytest.approx(linear_cka(y, x, estimator=estimator), abs=1e-12)
    assert (0 if estimator == "biased" else -1) - 1e-12 <= value <= 1 + 1e-12


@pytest.mark.parametrize("estimator", ESTIMATORS)
@modest
@given(seed=seeds, shape=shapes)
def test_self_is_one(estimator: Estimator, seed: int, shape: tuple[int, int, int]) -> None:
    """Features are perfectly aligned with themselves."""
    x, _, _ = draw(seed, shape)
    assert linear_cka(x, x, estimator=estimator) == pytest.approx(1.0, abs=1e-12)


@pytest.mark.parametrize("estimator", ESTIMATORS)
@modest
@given(seed=seeds, shape=shapes)
def test_order_of_samples(estimator: Estimator, seed: int, shape: tuple[int, int, int]) -> None:
    """Re-ordering both sides together changes nothing; rolling one side by one sample breaks self-alignment."""
    x, y, rng = draw(seed, shape)
    order = rng.permutation(len(x))
    joint = linear_cka(x[order], y[order], estimator=estimator)
    assert joint == pytest.approx(linear_cka(x, y, estimator=estimator), abs=1e-10)
    assert linear_cka(x, np.roll(x, 1, axis=0), estimator=estimator) < 0.999


def test_bias_on_independent_data() -> None:
    """At n=100, f=768, independent normal features read 0.885 biased and about 0 unbiased."""
    rng = generator(0, "test/independent")
    x, y = rng.normal(size=(2, 100, 768))
    assert linear_cka(x, y, estimator="biased") == pytest.approx(0.885, abs=0.005)
    assert abs(linear_cka(x, y, estimator="unbiased")) < 0.02


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("shape", [(20, 6, 9), (9, 20, 6), (9, 6, 20)])
def test_forms_and_inputs_agree(estimator: Estimator, shape: tuple[int, int, int]) -> None:
    """Feature form, Gram form, torch, numpy and read-only numpy give one number; inputs are not changed."""
    x, y, _ = draw(3, shape)
    kept = x.copy()
    value = linear_cka(x, y, estimator=estimator)
    assert linear_cka(torch.from_numpy(x), torch.from_numpy(y), estimator=estimator) == value
    assert value == pytest.approx(naive_cka(x, y, estimator), abs=1e-12)
    x.flags.writeable = False
    assert linear_cka(x, y, estimator=estimator) == value
    np.testing.assert_array_equal(x, kept)
    pair = cka._Pair(x, y, estimator)
    assert pair.in_grams is (shape[0] == 9)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_golden(estimator: Estimator) -> None:
    """The reference's feature-space form is matched at 1e-10; its Gram form up to the constant it adds (DEV-33)."""
    golden = np.load(fixture_dir() / "golden" / "cka_random.npz")
    name = {"unbiased": "debiased", "biased": "biased"}[estimator]
    for pair in ("X_Y", "X_Z", "X_shifted"):
        x, y = (golden[f"mat/{side}"] for side in pair.split("_"))
        value = linear_cka(x, y, estimator=estimator)
        assert value == pytest.approx(float(golden[f"feature_space/{pair}/{name}"]), rel=1e-10)
        assert value == pytest.approx(float(golden[f"cka/{pair}/float64/{name}"]), rel=2e-9)


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("scale", [1e-60, 1e-4, 1e60])
def test_scale_leaves_no_trace(estimator: Estimator, scale: float) -> None:
    """No constant hides in the denominator: features may have any size (DEV-33)."""
    x, y, _ = draw(5, (10, 4, 6))
    scaled = linear_cka(x * scale, y * scale, estimator=estimator)
    assert scaled == pytest.approx(linear_cka(x, y, estimator=estimator), rel=1e-9)


def test_accumulates_in_float64() -> None:
    """A large common offset in float32 activations does not reach the result."""
    rng = generator(0, "test/offset")
    x, y = torch.from_numpy(rng.normal(size=(2, 60, 40))).float()
    shifted = (x + 1024).float()
    assert linear_cka(shifted, y) == pytest.approx(naive_cka(shifted.double().numpy(), y.double().numpy(), "unbiased"))
    assert linear_cka(shifted, y) == pytest.approx(linear_cka(x, y), abs=1e-3)


# --- whole matrices ----------------------------------------------------------------------------


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("chunk", [1, 200, 2**23])
def test_matrix_equals_pairs(estimator: Estimator, chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every cell of the one-pass matrix is `linear_cka` of its two layers, in chunks of any size."""
    monkeypatch.setattr(cka, "CHUNK", chunk)
    rng = generator(1, "test/matrix")
    xs = {f"a{i}": rng.normal(size=(12, 3 + 5 * i)) + 3 for i in range(4)}
    ys = {f"b{i}": xs[f"a{i}"][:, :2] + rng.normal(size=(12, 2)) for i in range(3)}
    result = cka_matrix(xs, ys, estimator=estimator)
    expected = [[linear_cka(x, y, estimator=estimator) for y in ys.values()] for x in xs.values()]
    np.testing.assert_allclose(result.values, expected, atol=1e-10)
    assert (result.rows, result.columns, result.undefined) == (tuple(xs), tuple(ys), ())
    own = cka_matrix(xs, xs, estimator=estimator).values
    np.testing.assert_allclose(own, own.T, atol=1e-12)
    np.testing.assert_allclose(np.diag(own), 1, atol=1e-12)


def test_matrix_marks_undefined_layers() -> None:
    """Constant layers give NaN rows or columns and are listed once; the other cells stand."""
    rng = generator(2, "test/matrix")
    xs = {"good": rng.normal(size=(8, 5)), "dead": np.full((8, 4), 0.1)}
    ys = {"dead": np.zeros((8, 4)), "good": rng.normal(size=(8, 3)), "one_sample": np.eye(8)[:, :1]}
    result = cka_matrix(xs, ys)
    assert result.undefined == ("dead", "one_sample")
    assert result.values[0, 1] == pytest.approx(linear_cka(xs["good"], ys["good"]), abs=1e-12)
    assert np.isnan(result.values).sum() == 5


def test_matrix_errors_name_the_layer() -> None:
    """A layer with NaN, or with other samples, is named in the error; so is the absence of layers."""
    rng = generator(3, "test/matrix")
    good, short, broken = rng.normal(size=(8, 5)), rng.normal(size=(7, 5)), np.full((8, 5), np.nan)
    with pytest.raises(MeasurementError, match="layer broken holds NaN"):
        cka_matrix({"fine": good, "broken": broken}, {"fine": good})
    with pytest.raises(MeasurementError, match="8 in fine, 7 in short"):
        cka_matrix({"fine": good}, {"short": short})
    with pytest.raises(MeasurementError, match="no layer"):
        cka_matrix({}, {"fine": good})


# --- chance and streams ------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(12, 4, 5), (12, 30, 5)])
def test_permutation_null_is_cka_of_permuted(shape: tuple[int, int, int]) -> None:
    """Each draw is the CKA of x with re-ordered y, in feature and in Gram form, and depends on the generator only."""
    x, y, _ = draw(7, shape)
    null = permutation_null(x, y, 6, generator(0, "null"))
    replay = generator(0, "null")
    expected = [linear_cka(x, y[replay.permutation(12)]) for _ in range(6)]
    np.testing.assert_allclose(null, expected, atol=1e-12)


def test_permutation_null_is_centred() -> None:
    """Chance alignment of unbiased CKA is around 0, far below that of really related features."""
    x, y, _ = draw(11, (40, 6, 8))
    null = permutation_null(x, y, 200, generator(1, "null"))
    assert abs(null.mean()) < 0.02
    assert linear_cka(x, y) > null.max()


# --- errors ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("x", "y", "problem"),
    [
        (np.ones((3, 2)) * [[0], [1], [2]], np.ones((3, 2)), "too few samples"),
        (np.random.default_rng(0).normal(size=(5, 2)), np.random.default_rng(0).normal(size=(6, 2)), "5 in x, 6 in y"),
        (np.array([[1.0], [2], [np.inf], [3]]), np.ones((4, 1)), "x holds NaN or infinity: got 1 of 4"),
        (np.ones(5), np.ones((5, 1)), "2 non-empty axes"),
        (np.ones((5, 0)), np.ones((5, 1)), "2 non-empty axes"),
        (np.ones((5, 1)) * 1j, np.ones((5, 1)), "real numbers"),
    ],
)
def test_bad_input_is_refused(x: Matrix, y: Matrix, problem: str) -> None:
    """Too few samples, unequal samples, non-finite, wrongly shaped and complex features: one typed error each."""
    with pytest.raises(MeasurementError, match=problem) as caught:
        linear_cka(x, y)
    assert not isinstance(caught.value, UndefinedMeasurement)


@pytest.mark.parametrize("estimator", ESTIMATORS)
@pytest.mark.parametrize("values", [[0.0], [0.1], [-1e8, 0.1, 0.3, 1 / 3, 0.7]])
def test_constant_features_are_undefined(estimator: Estimator, values: list[float]) -> None:
    """Features equal for all samples have no CKA, although means of such numbers round."""
    x, _, _ = draw(0, (7, 3, 3))
    with pytest.raises(UndefinedMeasurement, match="CKA of y is 0/0"):
        linear_cka(x, np.tile(values, (7, 1)), estimator=estimator)
    assert np.isnan(cka_matrix({"x": x}, {"y": np.tile(values, (7, 1))}, estimator=estimator).values).all()


def test_a_unit_active_once_is_undefined_unbiased_only() -> None:
    """Features that differ in one sample only vanish under U-centring; the biased form still has a value."""
    x, _, _ = draw(0, (7, 3, 3))
    once = np.eye(7)[:, 2:3]
    with pytest.raises(UndefinedMeasurement, match="more samples"):
        linear_cka(x, once)
    assert 0 < linear_cka(x, once, estimator="biased") < 1


def test_unknown_estimator() -> None:
    """A name that is no estimator is a usage error that lists the two."""
    x, y, _ = draw(0, (7, 3, 3))
    with pytest.raises(UsageError, match="'unbiased' or 'biased'"):
        linear_cka(x, y, estimator="debiased")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="'unbiased' or 'biased'"):
        cka_matrix({"a": x}, {"b": y}, estimator="debiased")  # type: ignore[arg-type]
