"""Learning curves: the published smoothing and score against the reference, and what replaces them."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dtclaims.errors import MeasurementError, UsageError
from dtclaims.lab.metrics import (
    area,
    best,
    best_epoch,
    epochs_to_threshold,
    last_mean,
    normalized_score,
    published_ema,
    unbiased_ema,
)
from dtclaims.places import fixture_dir

modest = settings(max_examples=50, deadline=None)
curves = st.lists(st.floats(-1e4, 1e4), min_size=1, max_size=40)
weights = st.floats(0, 0.95)


def golden() -> dict[str, np.ndarray]:
    """The reference's smoothing and score, on made-up curves."""
    with np.load(fixture_dir() / "golden" / "smoothing_score.npz") as file:
        return dict(file)


def test_published_ema_golden() -> None:
    """The reference's filter, for both weights, a constant series and a single epoch."""
    data = golden()
    np.testing.assert_allclose(published_ema(data["series"]), data["smoothed_0.8"], rtol=1e-12)
    np.testing.assert_allclose(published_ema(data["series"], 0.5), data["smoothed_0.5"], rtol=1e-12)
    np.testing.assert_allclose(published_ema(data["constant"]), data["constant_smoothed_0.8"], rtol=1e-12)
    np.testing.assert_allclose(published_ema(data["one"]), data["one_smoothed_0.8"], rtol=1e-12)


def test_score_golden() -> None:
    """Best of the curve, its epoch (first in a tie) and its normalised score are the reference's."""
    data = golden()
    rows = zip(*(data[f"score/{k}"] for k in ("curves", "random_expert", "normalized", "best_epoch")), strict=True)
    for curve, (random, expert), score, epoch in rows:
        assert float(normalized_score(best(curve), (random, expert))) == pytest.approx(score, rel=1e-12)
        assert best_epoch(curve) == epoch


@pytest.mark.parametrize(("epoch", "excess"), [(1, 0.20), (3, 0.128), (10, 0.027)])
def test_dev12_published_smoothing_inflates_a_constant(epoch: int, excess: float) -> None:
    """DEV-12: a constant series reads 20 % high at epoch 1, 13 % at 3, 2.7 % at 10; unbiased smoothing leaves it."""
    assert published_ema([7.0] * 10)[epoch - 1] / 7 - 1 == pytest.approx(excess, abs=5e-4)
    assert unbiased_ema([7.0] * 10)[epoch - 1] == pytest.approx(7)


@modest
@given(values=curves, weight=weights)
def test_unbiased_ema_is_a_weighted_mean(values: list[float], weight: float) -> None:
    """y_i is the mean of the values so far with weights w^age; so it starts at x_0 and stays within their range."""
    smoothed = unbiased_ema(values, weight)
    for i in range(len(values)):
        expected = np.average(values[: i + 1], weights=weight ** np.arange(i, -1, -1.0))
        assert smoothed[i] == pytest.approx(expected, abs=1e-7)
    assert smoothed[0] == pytest.approx(values[0])


@modest
@given(values=curves, weight=weights, shift=st.floats(-100, 100))
def test_only_unbiased_smoothing_commutes_with_a_shift(values: list[float], weight: float, shift: float) -> None:
    """Adding a constant to a curve adds it to the unbiased average; the published one adds more at every epoch."""
    moved = np.array(values) + shift
    np.testing.assert_allclose(unbiased_ema(moved, weight), unbiased_ema(values, weight) + shift, atol=1e-7)
    excess = shift * weight ** np.arange(len(values)) * (1 - weight)
    np.testing.assert_allclose(published_ema(moved, weight) - published_ema(values, weight), shift + excess, atol=1e-7)


@modest
@given(values=curves, data=st.data())
def test_means_of_either_end(values: list[float], data: st.DataObject) -> None:
    """Area is the mean of the first n epochs, last_mean of the last n, and both are the plain mean at n = all."""
    n = data.draw(st.integers(1, len(values)))
    assert area(values, n) == pytest.approx(sum(values[:n]) / n, abs=1e-7)
    assert last_mean(values, n) == pytest.approx(sum(values[len(values) - n :]) / n, abs=1e-7)
    assert area(values, len(values)) == last_mean(values, len(values))


@modest
@given(values=curves)
def test_dev10_best_is_never_below_a_mean(values: list[float]) -> None:
    """DEV-10: the best epoch's value bounds every mean of epochs from above, so it can only flatter."""
    assert best(values) == max(values)
    assert values[best_epoch(values) - 1] == best(values)
    assert best(values) >= last_mean(values, max(1, len(values) // 4)) - 1e-9


@modest
@given(values=curves, threshold=st.floats(-1e4, 1e4))
def test_epochs_to_threshold(values: list[float], threshold: float) -> None:
    """All epochs before the answer are below the threshold and the answer's is not; n + 1 if none reaches it."""
    epoch = epochs_to_threshold(values, threshold)
    assert all(value < threshold for value in values[: epoch - 1])
    assert epoch == len(values) + 1 or values[epoch - 1] >= threshold


def test_epochs_to_threshold_examples() -> None:
    """Reached at once, reached by equality, censored, and a falling error by negation."""
    assert epochs_to_threshold([5, 1, 1], 4) == 1
    assert epochs_to_threshold([1, 2, 3], 3) == 3
    assert epochs_to_threshold([1, 2, 3], 3.1) == 4
    assert epochs_to_threshold(-np.array([0.9, 0.5, 0.3]), -0.5) == 2


@modest
@given(random=st.floats(-1e3, 1e3), spread=st.floats(1, 1e4), share=st.floats(-2, 2))
def test_normalized_score_is_linear(random: float, spread: float, share: float) -> None:
    """Random scores 0, expert 100, and everything else in proportion; shapes are kept."""
    reference = (random, random + spread)
    scores = normalized_score([random, random + spread, random + share * spread], reference)
    np.testing.assert_allclose(scores, [0, 100, 100 * share], atol=1e-6)
    assert normalized_score(np.ones((2, 3)), reference).shape == (2, 3)
    assert normalized_score(1.0, reference).shape == ()


def test_dev29_references_change_the_score() -> None:
    """DEV-29: one hopper return of 2796 is 79.5 on the published scale and 86.5 on D4RL's."""
    published, d4rl = (normalized_score(2795.5, r) for r in ((18.40, 3511.36), (-20.272305, 3234.3)))
    assert float(published) == pytest.approx(79.5, abs=0.05)
    assert float(d4rl) == pytest.approx(86.5, abs=0.05)


@pytest.mark.parametrize("values", [[], [1.0, float("nan")], [float("inf")], [[1.0, 2.0]]])
def test_not_a_curve(values: list[float]) -> None:
    """An empty, non-finite or two-dimensional curve is refused by every function with one typed error."""
    for measure in (
        published_ema,
        unbiased_ema,
        best,
        best_epoch,
        lambda v: epochs_to_threshold(v, 0),
        lambda v: area(v, 1),
    ):
        with pytest.raises(MeasurementError, match="one finite value per epoch"):
            measure(values)


def test_errors() -> None:
    """Too few epochs, impossible weights, references out of order and non-finite returns name the given value."""
    for n in (0, 3):
        with pytest.raises(MeasurementError, match=f"got {n} of 2 epochs"):
            area([1, 2], n)
        with pytest.raises(MeasurementError, match=f"got {n} of 2 epochs"):
            last_mean([1, 2], n)
    for weight in (-0.1, 1.0):
        with pytest.raises(UsageError, match=f"got {weight}"):
            published_ema([1, 2], weight)
        with pytest.raises(UsageError, match=f"got {weight}"):
            unbiased_ema([1, 2], weight)
    with pytest.raises(UsageError, match="random < expert"):
        normalized_score(1.0, (100.0, 100.0))
    with pytest.raises(MeasurementError, match="finite returns"):
        normalized_score([1.0, float("nan")], (0.0, 1.0))


@pytest.mark.parametrize("odd", ["abc", [[1.0], [1.0, 2.0]], [object()], ["1", "b"]])
def test_what_is_not_numbers_is_refused(odd: Any) -> None:
    """A curve of anything else is a MeasurementError, in every function that reads one."""
    for read in (best, best_epoch, published_ema, unbiased_ema, lambda curve: normalized_score(curve, (0.0, 1.0))):
        with pytest.raises(MeasurementError, match=f"are not numbers: got {type(odd).__name__}"):
            read(odd)
