"""CKA of more samples than fit in memory: exact sums over batches, not an average of the batches' CKAs."""

import math

import torch
from torch import Tensor

from dtclaims.errors import MeasurementError
from dtclaims.lab.metrics.cka import Estimator, check_samples, check_spread, hsic
from dtclaims.lab.metrics.inputs import Array, as_tensor, check_same_samples


class StreamingCka:
    """`linear_cka` of batches fed one after another, in memory (f + 2)² + (g + 2)² + (f + 2)(g + 2).

    With u = [x, ‖x‖², 1] and v = [y, ‖y‖², 1], the sum of uvᵀ over samples holds every moment that h needs,
    whatever the mean turns out to be at the end: for the mean m, x's centred length is ‖x‖² − 2mᵀx + ‖m‖².
    x and y are counted from their first sample, which keeps large offsets out of the squares.
    """

    def __init__(self) -> None:
        self._origin: tuple[Tensor, Tensor] | None = None
        self._moments: tuple[Tensor, Tensor, Tensor]

    def update(self, x: Array, y: Array) -> None:
        """Add the samples x (batch, f) and y (batch, g).

        Raises:
            MeasurementError: as `linear_cka`, or widths other than those of the first batch.
        """
        left, right = as_tensor(x, "x", ndim=2), as_tensor(y, "y", ndim=2)
        check_same_samples([("x", left), ("y", right)])
        if self._origin is None:
            self._origin = (left[0], right[0])
            size, other = left.shape[1] + 2, right.shape[1] + 2
            self._moments = left.new_zeros(size, other), left.new_zeros(size, size), left.new_zeros(other, other)
        widths = (left.shape[1], right.shape[1])
        if widths != (len(self._origin[0]), len(self._origin[1])):
            expected = (len(self._origin[0]), len(self._origin[1]))
            raise MeasurementError("a batch of other widths", given=widths, expected=expected)
        u, v = _augmented(left - self._origin[0]), _augmented(right - self._origin[1])
        for moment, (p, q) in zip(self._moments, ((u, v), (u, u), (v, v)), strict=True):
            moment += p.T @ q

    def result(self, *, estimator: Estimator = "unbiased") -> float:
        """CKA of all samples so far; more may be added afterwards.

        Raises:
            MeasurementError, UndefinedMeasurement, UsageError: as `linear_cka`.
        """
        n = 0 if self._origin is None else int(self._moments[0][-1, -1])
        check_samples(n, estimator)
        xy, xx, yy = (_products(moment) for moment in self._moments)
        spread_x, spread_y = (hsic(*products, n, estimator) for products in (xx, yy))
        check_spread(spread_x, xx[0], "x")
        check_spread(spread_y, yy[0], "y")
        return hsic(*xy, n, estimator) / math.sqrt(spread_x * spread_y)


def _augmented(x: Tensor) -> Tensor:
    return torch.cat([x, x.square().sum(dim=1, keepdim=True), x.new_ones(len(x), 1)], dim=1)


def _products(moment: Tensor) -> tuple[float, float, float]:
    """‖XᵀY‖², Σ a_i b_i and (Σ a_i)(Σ b_i) of centred features, from the sum of uvᵀ."""
    n = moment[-1, -1]
    mean_x, mean_y = moment[:-2, -1] / n, moment[-1, :-2] / n
    centred = moment[:-2, :-2] - n * torch.outer(mean_x, mean_y)
    # a_i = length_x · u_i, so sums over samples are products with the moments.
    length_x = torch.cat([-2 * mean_x, n.new_ones(1), mean_x.square().sum().reshape(1)])
    length_y = torch.cat([-2 * mean_y, n.new_ones(1), mean_y.square().sum().reshape(1)])
    sums = (length_x @ moment[:, -1]) * (moment[-1] @ length_y)
    return float(centred.square().sum()), float(length_x @ moment @ length_y), float(sums)
