"""Rank correlation, for claims that two orders agree, and what is left of it given a third."""

from collections.abc import Sequence
from math import sqrt
from statistics import StatisticsError, correlation

from dtclaims.errors import UndefinedMeasurement


def rank_correlation(first: Sequence[float], second: Sequence[float]) -> float:
    """Spearman's correlation of two equally long series: Pearson's of their ranks, ties sharing their mean rank.

    Raises:
        UndefinedMeasurement: fewer than two values, unequal lengths, or a constant series.
    """
    try:
        return correlation(_ranks(first), _ranks(second))
    except StatisticsError as error:
        raise UndefinedMeasurement(
            "no rank correlation",
            given=f"{len(first)} and {len(second)} values, {len(set(first))} and {len(set(second))} different ones",
            expected="two series of one length that both vary",
        ) from error


def partial_rank_correlation(first: Sequence[float], second: Sequence[float], given: Sequence[float]) -> float:
    """Spearman's partial correlation of two series given a third: (r₁₂ - r₁₃ r₂₃) / √((1 - r₁₃²)(1 - r₂₃²)).

    A constant third series explains nothing: the correlation is then that of the two.

    Raises:
        UndefinedMeasurement: as `rank_correlation`, or a series that the third orders completely.
    """
    whole = rank_correlation(first, second)
    if len(given) == len(first) and len(set(given)) == 1:
        return whole
    one, other = rank_correlation(first, given), rank_correlation(second, given)
    left = (1 - one**2) * (1 - other**2)
    # Below this what is left is rounding.
    if left < 1e-12:
        raise UndefinedMeasurement(
            "no partial rank correlation",
            given=f"correlations of {one:g} and {other:g} with the third series",
            expected="a third series that does not explain either of the two",
        )
    return (whole - one * other) / sqrt(left)


def _ranks(values: Sequence[float]) -> list[float]:
    return [sum(other < value for other in values) + sum(other == value for other in values) / 2 for value in values]
