"""Linear probe: how well held-out targets are predicted from activations (DEV-02's third reading)."""

import torch

from dtclaims.errors import MeasurementError, UndefinedMeasurement
from dtclaims.lab.metrics.heldout import scaled, split
from dtclaims.lab.metrics.inputs import Array, as_tensor, check_same_samples
from dtclaims.seeding import generator

PENALTIES = tuple(10.0**power for power in range(-6, 4))
"""Ridge penalties tried, in units of the number of training samples (features have variance 1)."""

LEAST = 20
"""Samples below which the test part would hold fewer than four."""


def probe_r2(features: Array, targets: Array, *, seed: int, groups: Array | None = None) -> float:
    """Held-out R² of a ridge regression from features (n, f) to targets (n, d).

    With both scaled on the training part (60 %), W = argmin ‖Y − XW‖² / m + λ‖W‖² for m training samples; λ is the
    best on the validation part (20 %), and on the test part (20 %)

        R² = 1 − Σ (y − xW)² / Σ y²

    over samples and all target columns, each in units of its training variance and counted from its training mean.
    1: predicted exactly; 0: no better than the training mean; negative: worse. Constant columns are left out.

    Args:
        features: (n, f), all columns used.
        targets: (n, d).
        seed: of the split.
        groups: (n,) trajectory of each window; windows of one are never split.

    Raises:
        MeasurementError: not (n, width), unequal n, NaN or infinity, fewer than 20 samples or 5 groups.
        UndefinedMeasurement: all features or all targets are constant.
    """
    x, y = as_tensor(features, "features", ndim=2), as_tensor(targets, "targets", ndim=2)
    check_same_samples([("features", x), ("targets", y)])
    if len(x) < LEAST:
        raise MeasurementError("too few samples to hold some out", given=len(x), expected=f"at least {LEAST}")
    parts = split(len(x), generator(seed, "probe/split"), groups=groups)
    train, validation, test = (torch.from_numpy(part).to(x.device) for part in parts)
    x, y = scaled(x, train, None, "features"), scaled(y, train, None, "targets")
    if not bool(y[test].any()):
        raise UndefinedMeasurement("the targets of the test part do not vary")
    left, values, right = torch.linalg.svd(x[train], full_matrices=False)
    projected = left.T @ y[train]

    def r2(penalty: float, rows: torch.Tensor) -> float:
        weights = right.T @ (projected * (values / (values.square() + penalty * len(train)))[:, None])
        return 1 - float((y[rows] - x[rows] @ weights).square().sum() / y[rows].square().sum())

    best = max(PENALTIES, key=lambda penalty: r2(penalty, validation))
    return r2(best, test)
