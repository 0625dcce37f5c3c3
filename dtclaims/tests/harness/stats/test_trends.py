"""Trends: what can be declared, how it reads, and how it is stored."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dtclaims.errors import StatisticsError
from dtclaims.harness.stats.trends import (
    Trend,
    above,
    below,
    equivalent,
    exists,
    in_most_seeds,
    in_some_seeds,
    level_above,
    level_below,
    not_above,
    not_below,
)

WHY = "two seeds of one arm differ by as much"
NUMBERS = st.floats(-1e6, 1e6)
POSITIVE = st.floats(1e-6, 1e6)
SHARES = st.floats(0.01, 0.99)
TRENDS = st.one_of(
    st.builds(above, NUMBERS, interest=POSITIVE, why=st.just(WHY)),
    st.builds(below, NUMBERS),
    st.builds(equivalent, POSITIVE, to=NUMBERS, why=st.just(WHY)),
    st.builds(not_below, NUMBERS, margin=POSITIVE, why=st.just(WHY)),
    st.builds(not_above, NUMBERS, margin=POSITIVE, why=st.just(WHY)),
    st.builds(level_above, NUMBERS, why=st.just(WHY)),
    st.builds(level_below, NUMBERS, why=st.just(WHY)),
    st.builds(in_most_seeds, SHARES),
    st.builds(in_some_seeds, st.floats(0.01, 0.49), why=st.just(WHY)),
    st.builds(exists, SHARES, why=st.just(WHY)),
)


@pytest.mark.parametrize(
    ("trend", "text", "on", "off"),
    [
        (above(), "> 0", [0.1], [0, -1]),
        (above(1, interest=0.25, why=WHY), "> 1, of interest from 1.25", [1.1, 2], [1, 0.9]),
        (below(1, interest=0.25, why=WHY), "< 1, of interest from 0.75", [0.9], [1, 1.1]),
        (equivalent(5, why=WHY), "|effect| < 5", [-4.9, 0, 4.9], [-5, 5]),
        (equivalent(0.5, to=1, why=WHY), "|effect - 1| < 0.5", [0.6, 1.4], [0.5, 1.5]),
        (equivalent(0.5, to=-1, why=WHY), "|effect + 1| < 0.5", [-1.4], [-1.5]),
        (not_below(0, margin=5, why=WHY), "> -5", [-4.9, 9], [-5, -6]),
        (not_above(1, margin=0.1, why=WHY), "< 1.1", [1.09, 0], [1.1, 2]),
        (level_above(0.5, why=WHY), "> 0.5", [0.6], [0.5]),
        (level_below(0.5, why=WHY), "< 0.5", [0.4], [0.5]),
        (in_most_seeds(), "true in most seeds", [1], [0]),
        (in_most_seeds(0.75), "true in more than 0.75 of the seeds", [1], [0]),
        (in_some_seeds(0.05, why=WHY), "true in more than 0.05 of the seeds, and false in more than 0.05", [1], [0]),
        (exists(0.05, why=WHY), "true in more than 0.05 of the seeds: it exists", [1], [0]),
    ],
)
def test_a_trend_reads_as_it_is_meant_and_holds_strictly(trend, text, on, off):
    """`str` gives what a reader of the report sees; one effect exactly at the cut is not on the claimed side."""
    assert str(trend) == text
    assert all(map(trend.holds_for, on))
    assert not any(map(trend.holds_for, off))


@given(TRENDS)
def test_storing_and_reading_gives_the_same_trend(trend):
    """`from_json` undoes `to_json`, through real JSON text."""
    assert Trend.from_json(json.loads(json.dumps(trend.to_json()))) == trend


@pytest.mark.parametrize(
    ("declare", "message"),
    [
        (
            lambda: Trend("contrast", 1, None, None),
            "a trend of the kind contrast needs null: got None, expected the eff",
        ),
        (lambda: Trend("contrast", 1, 0.0, 1.0), "a trend of the kind contrast has no bound"),
        (lambda: Trend("level", 1, 0.0, 1.0, why=WHY), "a trend of the kind level has no null"),
        (lambda: Trend("near", 1, 0.0, None), "unknown trend"),
        (lambda: Trend("contrast", 0, 0.0, None), "a trend has a direction: got 0, expected 1 or -1"),
        (lambda: above(math.nan), "the null of a trend must be finite"),
        (lambda: above("much"), "the null of a trend must be finite"),
        (lambda: above(interest=-1, why=WHY), "smallest effect of interest cannot be used: got -1"),
        (
            lambda: Trend("level", 1, None, 1.0, 0.5, WHY),
            "smallest effect of interest cannot be used: got 0.5 of a level",
        ),
        (lambda: equivalent(0, why=WHY), "a margin must be positive"),
        (lambda: not_below(margin=-1, why=WHY), "a margin must be positive"),
        (lambda: in_most_seeds(1), "a share of seeds lies between none and all"),
        (lambda: exists(0, why=WHY), "a share of seeds lies between none and all"),
        (lambda: in_some_seeds(0.5, why=WHY), "true and false cannot both have such a rate: got 0.5, expected < 0.5"),
        (lambda: above(interest=1), "a number of ours without its reason"),
        (lambda: equivalent(1, why=" "), "a number of ours without its reason"),
        (lambda: Trend.from_json({"kind": "contrast"}), "not a stored trend"),
    ],
)
def test_what_cannot_be_judged_cannot_be_declared(declare, message):
    """Missing or surplus numbers, numbers out of range, and choices of ours without a reason are typed errors."""
    with pytest.raises(StatisticsError, match=message):
        declare()


def test_a_trend_begins_at_one_number_or_says_that_it_does_not():
    """`cut` is where the claimed side begins; an equivalence and a rate begin at two numbers."""
    assert not_above(1, margin=0.1, why=WHY).cut == 1.1
    assert exists(0.05, why=WHY).cut == 0.05
    for trend in (equivalent(1, why=WHY), in_some_seeds(0.1, why=WHY)):
        with pytest.raises(StatisticsError, match="begins at two numbers"):
            _ = trend.cut
