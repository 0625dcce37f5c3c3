"""Numbers read off a learning curve: one value per epoch, epoch 1 first (paper §§5.5, 5.6.1; protocol §7.5)."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from dtclaims.errors import MeasurementError, UsageError

# Not imported from `inputs`, which needs torch: curves are read where torch is not.
Floats = NDArray[np.float64]

Curve = Sequence[float] | NDArray[np.floating]
"""Values by epoch, one axis."""


def _floats(values: float | Curve, what: str) -> Floats:
    try:
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise MeasurementError(
            f"{what} are not numbers", given=type(values).__name__, expected="real numbers"
        ) from None


def _curve(values: Curve) -> Floats:
    curve = _floats(values, "values of a curve")
    if curve.ndim != 1 or curve.size == 0 or not np.isfinite(curve).all():
        raise MeasurementError(
            "not a learning curve",
            given=f"shape {curve.shape}, {int((~np.isfinite(curve)).sum())} values NaN or infinite",
            expected="one finite value per epoch, at least one epoch",
        )
    return curve


def _first_epochs(values: Curve, n: int) -> Floats:
    curve = _curve(values)
    if not 1 <= n <= len(curve):
        raise MeasurementError(
            "the curve is too short", given=f"{n} of {len(curve)} epochs", expected="1 to all of them"
        )
    return curve


def published_ema(values: Curve, weight: float = 0.8) -> Floats:
    """The reference's smoothing: y_0 = (1 + (1 − w)) x_0, y_i = (1 − w) x_i + w y_{i−1}.

    Its filter starts from x_0 where w·x_0 would be steady, so a constant series reads 20 % too high at epoch 1,
    13 % at epoch 3 and 2.7 % at epoch 10 (DEV-12).

    Raises:
        MeasurementError: not one finite value per epoch.
        UsageError: a weight outside [0, 1).
    """
    curve = _curve(values)
    _check_weight(weight)
    smoothed = np.empty_like(curve)
    carried = curve[0]
    for i, value in enumerate(curve):
        smoothed[i] = (1 - weight) * value + carried
        carried = weight * smoothed[i]
    return smoothed


def unbiased_ema(values: Curve, weight: float = 0.8) -> Floats:
    """y_i = Σ_{k≤i} w^{i−k} x_k / Σ_{k≤i} w^{i−k}: a weighted mean of the values so far (corrected DEV-12).

    Raises:
        MeasurementError: not one finite value per epoch.
        UsageError: a weight outside [0, 1).
    """
    curve = _curve(values)
    _check_weight(weight)
    smoothed = np.empty_like(curve)
    total = mass = 0.0
    for i, value in enumerate(curve):
        total, mass = value + weight * total, 1.0 + weight * mass
        smoothed[i] = total / mass
    return smoothed


def _check_weight(weight: float) -> None:
    if not 0 <= weight < 1:
        raise UsageError("no such smoothing weight", given=weight, expected="0 <= weight < 1")


def area(values: Curve, n: int) -> float:
    """Mean of the first `n` epochs: the area under the early curve, in the curve's own unit.

    Raises:
        MeasurementError: not one finite value per epoch, or fewer than `n` of them.
    """
    return float(_first_epochs(values, n)[:n].mean())


def last_mean(values: Curve, n: int) -> float:
    """Mean of the last `n` epochs: a score that no maximum over noisy epochs inflates (corrected DEV-10).

    Raises:
        MeasurementError: not one finite value per epoch, or fewer than `n` of them.
    """
    return float(_first_epochs(values, n)[-n:].mean())


def best(values: Curve) -> float:
    """Largest value: the published score, chosen on the number it reports (DEV-10).

    Raises:
        MeasurementError: not one finite value per epoch.
    """
    return float(_curve(values).max())


def best_epoch(values: Curve) -> int:
    """Epoch of `best`, counted from 1; the first one in a tie.

    Raises:
        MeasurementError: not one finite value per epoch.
    """
    return int(_curve(values).argmax()) + 1


def epochs_to_threshold(values: Curve, threshold: float) -> int:
    """First epoch, counted from 1, whose value is at least `threshold`; n + 1 if none of the n epochs is.

    n + 1 is a censored value: "not within n". For a curve that falls, such as an error, negate both arguments.

    Raises:
        MeasurementError: not one finite value per epoch.
    """
    reached = _curve(values) >= threshold
    return int(reached.argmax()) + 1 if reached.any() else len(reached) + 1


def normalized_score(returns: float | Curve, reference: tuple[float, float]) -> Floats:
    """100 (return − random) / (expert − random), of the shape of `returns`.

    Args:
        returns: environment returns.
        reference: (random, expert): mean dataset returns (published) or D4RL's constants (corrected, DEV-29).

    Raises:
        MeasurementError: returns that are not numbers, NaN or infinite.
        UsageError: an expert no better than random.
    """
    random, expert = reference
    if not expert > random:
        raise UsageError(
            "score reference out of order", given=reference, expected="(random, expert) with random < expert"
        )
    scores = _floats(returns, "returns")
    if not np.isfinite(scores).all():
        raise MeasurementError("returns hold NaN or infinity", expected="finite returns")
    return np.asarray(100.0 * (scores - random) / (expert - random))
