"""Rank correlation."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.stats import rankdata, spearmanr

from dtclaims.errors import UndefinedMeasurement
from dtclaims.harness.stats.ranks import partial_rank_correlation, rank_correlation

few_values = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=2, max_size=12)


@given(pairs=few_values)
def test_ties_share_their_mean_rank(pairs: list[tuple[int, int]]) -> None:
    """Spearman's coefficient as scipy has it, with many ties."""
    first, second = ([float(value) for value in side] for side in zip(*pairs, strict=True))
    assume(len(set(first)) > 1 and len(set(second)) > 1)
    assert rank_correlation(first, second) == pytest.approx(float(spearmanr(first, second).statistic))


def test_only_order_counts() -> None:
    """A monotone map of either side changes nothing; a decreasing one flips the sign."""
    values = np.random.default_rng(0).normal(size=9).tolist()
    assert rank_correlation(values, np.exp(values).tolist()) == pytest.approx(1)
    assert rank_correlation(values, [-value for value in values]) == pytest.approx(-1)


@pytest.mark.parametrize(("first", "second"), [([1.0, 1.0], [1.0, 2.0]), ([1.0], [1.0]), ([1.0, 2.0], [1.0]), ([], [])])
def test_no_order_no_correlation(first: list[float], second: list[float]) -> None:
    """A constant series, fewer than two values and unequal lengths have none."""
    with pytest.raises(UndefinedMeasurement, match="no rank correlation"):
        rank_correlation(first, second)


triples = st.lists(st.tuples(*[st.integers(0, 5)] * 3), min_size=4, max_size=12)


@given(values=triples)
def test_partial_correlation_is_that_of_residuals(values: list[tuple[int, int, int]]) -> None:
    """As of what least squares on the third series' ranks leave of the two, ties and a constant third included."""
    sides = np.array(values, dtype=float).T
    design = np.stack([np.ones(len(values)), rankdata(sides[2])], axis=1)
    left = [ranks - design @ np.linalg.lstsq(design, ranks)[0] for ranks in (rankdata(sides[0]), rankdata(sides[1]))]
    assume(min(np.linalg.norm(rest) for rest in left) > 1e-6)
    expected = left[0] @ left[1] / (np.linalg.norm(left[0]) * np.linalg.norm(left[1]))
    assert partial_rank_correlation(*sides.tolist()) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("third", [[1.0, 2.0, 4.0], [1.0, 3.0, 2.0]])
def test_nothing_is_left_where_the_third_explains_a_series(third: list[float]) -> None:
    """Equal order with either series leaves 0/0."""
    with pytest.raises(UndefinedMeasurement, match="no partial rank correlation"):
        partial_rank_correlation([1.0, 2.0, 3.0], [1.0, 3.0, 2.0], third)
