"""What an estimate of mutual information says, and when a model has too many without a value (DEV-20)."""

import math
from collections.abc import Collection
from typing import Literal, NamedTuple, Protocol

import numpy as np

from dtclaims.errors import MeasurementError
from dtclaims.lab.metrics.inputs import Floats

Status = Literal["finite", "failed", "infinite", "undefined"]

MOST_LOST = 0.05
"""Share of estimates without a finite value above which a model is not evaluable (DEV-20)."""


class Estimate(Protocol):
    """What may or may not have a value."""

    @property
    def status(self) -> Status:
        """Whether it has."""


class MutualInformation(NamedTuple):
    """One estimate of I(x; z), in nats."""

    value: float
    """Published: the in-sample estimate. Corrected: mean over estimator seeds of bound minus null."""
    bounds: Floats
    """(seeds,): the estimates before anything is subtracted; one seed if published."""
    nulls: Floats
    """(seeds,): the same for permuted pairs; empty if published settings leave it out."""
    spread: float
    """Standard deviation (ddof 1) of bound minus null over seeds; NaN with one seed."""
    status: Status
    """"failed": NaN (the reference's training raised); "infinite": ±inf, kept; "undefined": x or z is constant."""


def unreadable_share(estimates: Collection[Estimate]) -> float:
    """Share of estimates that are NaN or infinite.

    Raises:
        MeasurementError: no estimate.
    """
    if not estimates:
        raise MeasurementError("there is no estimate to count")
    return sum(estimate.status != "finite" for estimate in estimates) / len(estimates)


def evaluable(estimates: Collection[Estimate]) -> bool:
    """Whether at most 5 % of a model's estimates are NaN or infinite (corrected DEV-20).

    Raises:
        MeasurementError: no estimate.
    """
    return unreadable_share(estimates) <= MOST_LOST


def found(value: float, bounds: Floats, nulls: Floats, spread: float = math.nan) -> MutualInformation:
    """The estimate with this value, NaN and infinity named."""
    status: Status = "failed" if math.isnan(value) else "infinite" if math.isinf(value) else "finite"
    return MutualInformation(float(value), bounds, nulls, spread, status)


def above_chance(bounds: Floats, nulls: Floats, seeds: int) -> MutualInformation:
    """The corrected estimate of bounds and nulls (seeds,); undefined if a seed's inputs were constant."""
    if len(bounds) < seeds:
        return MutualInformation(math.nan, bounds, nulls, math.nan, "undefined")
    with np.errstate(invalid="ignore"):
        above = bounds - nulls
        spread = float(above.std(ddof=1)) if seeds > 1 else math.nan
    return found(float(above.mean()), bounds, nulls, spread)
