"""Effects beside the paper's values."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as oracle

from dtclaims.errors import StatisticsError
from dtclaims.harness.stats.sizes import compare
from dtclaims.harness.stats.trends import above, below, equivalent, exists, in_most_seeds, level_below
from dtclaims.seeding import generator

OURS = {1: 1.0, 2: 2.0, 3: 3.0, 4: 0.0, 5: 4.0}
"""Mean 2, sd 1.58: a 90% interval of 2 -+ 1.507."""
GRID = st.integers(-256, 256).map(lambda i: i / 64)
SAMPLES = st.lists(GRID, min_size=3, max_size=8).map(lambda values: dict(enumerate(values)))


@pytest.mark.parametrize(
    ("trend", "paper", "word"),
    [
        (above(), [2.1], "as large as reported"),
        (above(), [5.0], "smaller"),
        (above(), [0.1], "larger"),
        (above(), [-9.0], "larger"),
        (below(), [5.0], "larger"),
        (below(), [0.1], "smaller"),
        (level_below(3, why="ours"), [0.1], "smaller"),
        (equivalent(9, why="ours"), [5.0], "smaller"),
        (equivalent(9, why="ours"), [-1.0], "smaller"),
        (equivalent(9, why="ours"), [0.1], "larger"),
        (above(), [3.6], "smaller"),
        (above(), [3.0, 4.2], "as large as reported"),
        (above(), [6.0, 5.0], "smaller"),
        (above(), [-1.0, -3.0], "larger"),
    ],
)
def test_sizes_are_told_in_the_direction_claimed(trend, paper, word):
    """Of one number by our interval, of two by the wider prediction interval; an equivalence from its null."""
    found = compare(OURS, trend, paper)
    assert (found.word, found.paper) == (word, pytest.approx(np.mean(paper)))
    assert found.how == ("prediction" if len(paper) > 1 else "ours")


@given(SAMPLES, st.lists(GRID, min_size=1, max_size=3))
def test_the_interval_is_the_one_it_says(sample, paper):
    """Against scipy: of the mean, or of a difference of means of n and k with our standard deviation for both."""
    values = list(sample.values())
    found = compare(sample, above(), paper)
    width = np.std(values, ddof=1) * math.sqrt(1 / len(values) + (1 / len(paper) if len(paper) > 1 else 0))
    low, high = np.mean(values) + width * oracle.t.ppf([0.05, 0.95], len(values) - 1)
    assert (found.low, found.high) == pytest.approx((low, high), abs=1e-12)
    assert found.to_json()["low"] == found.low


@given(SAMPLES, st.lists(GRID, min_size=1, max_size=3))
def test_a_claim_of_the_opposite_has_the_same_size(sample, paper):
    """Everything turned: the same word."""
    turned = compare({seed: -x for seed, x in sample.items()}, below(), [-x for x in paper])
    assert turned.word == compare(sample, above(), paper).word


def test_two_more_seeds_of_the_same_law_lie_in_the_prediction_interval():
    """Nine times of ten, which is what the interval says of itself."""
    draws = generator(1, "sizes/prediction").normal(size=(2000, 7))
    words = [compare(dict(enumerate(draw[:5])), above(), draw[5:]).word for draw in draws.tolist()]
    assert words.count("as large as reported") / 2000 == pytest.approx(0.9, abs=0.02)
    assert words.count("smaller") / 2000 == pytest.approx(0.05, abs=0.015)


@pytest.mark.parametrize(
    ("hits", "paper", "word"),
    [
        (8, [0.5], "larger"),
        (8, [0.9], "as large as reported"),
        (2, [1.0, 0.0], "as large as reported"),
        (0, [0.5], "smaller"),
    ],
)
@pytest.mark.parametrize("trend", [in_most_seeds(), exists(0.05, why="ours")], ids=lambda one: one.kind)
def test_shares_are_compared_exactly(trend, hits, paper, word):
    """By the exact interval of the share of our seeds; the paper's two seeds are a share of two."""
    found = compare(dict(enumerate([1.0] * hits + [0.0] * (8 - hits))), trend, paper)
    both = oracle.binomtest(hits, 8).proportion_ci(0.9, "exact")
    assert (found.word, found.how) == (word, "exact")
    assert (found.low, found.high) == pytest.approx((both.low, both.high), abs=1e-12)


@pytest.mark.parametrize(
    ("effects", "paper"), [({1: 1.0, 2: 2.0}, [1.0]), (OURS, []), ({**OURS, 3: math.nan}, [1.0]), ({}, [1.0, 2.0])]
)
def test_where_nothing_can_be_said_nothing_is(effects, paper):
    """Fewer than three seeds, no value of the paper, or an effect that is no number."""
    assert compare(effects, above(), paper) is None


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: compare(OURS, above(), [math.nan]), "a value of the paper that is no number"),
        (lambda: compare([1.0], above(), [1.0]), "not keyed by seed"),
        (lambda: compare(OURS, above(), [1.0], level=0.5), "alpha cannot be used"),
    ],
)
def test_what_cannot_be_compared_is_refused(call, message):
    """A paper's value that is not finite, unkeyed effects, and a level that is none are typed errors."""
    with pytest.raises(StatisticsError, match=message):
        call()
