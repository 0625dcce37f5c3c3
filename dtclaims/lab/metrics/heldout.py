"""What held-out measurements share: a split of the windows, and features scaled on the training part.

Windows of one trajectory overlap and are nearly equal. If such windows lie on both sides of a split, what a
critic has memorised counts as information: pass the windows' trajectories as `groups`.
"""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dtclaims.errors import MeasurementError, UndefinedMeasurement
from dtclaims.lab.metrics.inputs import Array, as_tensor

Rows = NDArray[np.int64]

SHARE = 0.2
"""Of the windows (or groups) that validation and test get each."""

NO_SPREAD = 1e-7
"""A column whose std is up to this share of its root mean square is constant: that is float32's rounding."""


class Split(NamedTuple):
    """Row numbers of the three parts, in random order."""

    train: Rows
    validation: Rows
    test: Rows


def split(n: int, generator: np.random.Generator, *, groups: Array | None = None) -> Split:
    """Split n windows 60/20/20 at random; with `groups` (n,), whole groups, so the shares are approximate.

    Raises:
        MeasurementError: fewer than 5 windows or groups, or groups of another length.
    """
    labels = np.arange(n)
    if groups is not None:
        labels = np.unique(as_tensor(groups, "groups", ndim=1).cpu().numpy(), return_inverse=True)[1]
        if len(labels) != n:
            raise MeasurementError("groups do not fit the samples", given=len(labels), expected=n)
    order = generator.permutation(labels.max() + 1)
    if len(order) < 5:
        raise MeasurementError("too few windows or groups to hold any out", given=len(order), expected="at least 5")
    # Cut where the windows of the groups, in random order, pass the shares; each part keeps at least one group.
    filled = np.cumsum(np.bincount(labels)[order]) / n
    first = int(np.clip(np.searchsorted(filled, SHARE) + 1, 1, len(order) - 2))
    second = int(np.clip(np.searchsorted(filled, 2 * SHARE) + 1, first + 1, len(order) - 1))
    part = np.empty(len(order), dtype=np.int64)
    part[order[:first]], part[order[first:second]], part[order[second:]] = 0, 1, 2
    test, validation, train = (generator.permutation(np.flatnonzero(part[labels] == i)) for i in range(3))
    return Split(train, validation, test)


def standardised(values: Tensor, train: Tensor) -> tuple[Tensor, Tensor]:
    """`values` (n, d) with mean 0 and variance 1 per column on the rows `train`, and which columns vary there, (d,).

    Columns that do not vary are 0.
    """
    seen = values[train]
    spread = seen.std(dim=0)
    varying = spread > NO_SPREAD * seen.square().mean(dim=0).sqrt()
    return ((values - seen.mean(dim=0)) / spread).where(varying, 0), varying


def scaled(values: Tensor, train: Tensor, components: int | None, name: str) -> Tensor:
    """Features (n, ≤ d) of `values` (n, d) with mean 0 and variance 1 on the rows `train`.

    Each column is standardised and constant ones are dropped. If more than `components` are left, they become
    their first principal components, again with variance 1: information is unchanged by invertible maps, and the
    estimate then depends on neither the scale nor the units of a column.

    Raises:
        UndefinedMeasurement: all columns are constant on the training rows.
    """
    standard, varying = standardised(values, train)
    if not bool(varying.any()):
        raise UndefinedMeasurement(
            f"{name} is constant",
            given=f"{values.shape[1]} columns without spread over {len(train)} samples",
            expected="at least one that varies",
        )
    standard = standard[:, varying]
    if components is None or standard.shape[1] <= components:
        return standard
    variances, axes = torch.linalg.eigh(torch.cov(standard[train].T))
    # Columns that repeat each other leave axes of rounding noise, which must not be blown up to variance 1.
    kept = (variances > NO_SPREAD * variances[-1]) & (torch.arange(len(variances), 0, -1).to(variances) <= components)
    scores: Tensor = (standard @ axes[:, kept]) / variances[kept].sqrt()
    return scores
