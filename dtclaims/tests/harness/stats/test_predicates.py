"""Predicates: what can be declared, how it reads, and how it is stored."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dtclaims.errors import StatisticsError
from dtclaims.harness.stats.predicates import Predicate, above, below, equivalent, holds_in

NUMBERS = st.floats(-1e6, 1e6)
PREDICATES = st.one_of(
    st.builds(above, NUMBERS, st.none() | NUMBERS),
    st.builds(below, NUMBERS, st.none() | NUMBERS),
    st.builds(equivalent, st.floats(1e-6, 1e6), NUMBERS),
    st.builds(holds_in, st.floats(0.5, 1, exclude_min=True)),
)


@pytest.mark.parametrize(
    ("predicate", "text"),
    [
        (above(5), "> 5"),
        (below(10), "< 10"),
        (above(-0.05), "> -0.05"),
        (equivalent(5), "|effect| < 5"),
        (equivalent(0.25, to=1), "|effect - 1| < 0.25"),
        (equivalent(0.25, to=-1), "|effect + 1| < 0.25"),
        (holds_in(), "true in at least 0.8 of the seeds"),
    ],
)
def test_a_predicate_reads_as_it_is_meant(predicate, text):
    """`str` gives the inequality a reader of the report sees."""
    assert str(predicate) == text


@given(PREDICATES)
def test_storing_and_reading_gives_the_same_predicate(predicate):
    """`from_json` undoes `to_json`, through real JSON text."""
    assert Predicate.from_json(json.loads(json.dumps(predicate.to_json()))) == predicate


@pytest.mark.parametrize(
    ("predicate", "on", "off"),
    [
        (above(5), [5.1], [5, 4.9]),
        (below(5), [4.9], [5, 5.1]),
        (equivalent(5), [-4.9, 0, 4.9], [-5, 5, 6]),
        (equivalent(0.5, to=1), [0.6, 1.4], [0.5, 1.5, 0]),
        (holds_in(), [1.0], [0.0]),
    ],
)
def test_one_effect_is_on_the_claimed_side_only_strictly(predicate, on, off):
    """An effect exactly at the threshold or the margin does not count for the claim."""
    assert all(predicate.holds_for(effect) for effect in on)
    assert not any(predicate.holds_for(effect) for effect in off)


@pytest.mark.parametrize(
    "declare",
    [
        lambda: equivalent(-1),
        lambda: equivalent(0),
        lambda: above(math.nan),
        lambda: below(math.inf),
        lambda: above("much"),
        lambda: above(1, null=math.nan),
        lambda: equivalent(1, to=math.inf),
        lambda: holds_in(0.5),
        lambda: holds_in(1.01),
        lambda: Predicate("near", 1.0, 0.0),
        lambda: Predicate.from_json({"kind": "above", "value": 1.0}),
        lambda: Predicate.from_json({"kind": "above", "value": None, "null": 0.0}),
        lambda: Predicate.from_json({"kind": "above", "value": 1.0, "null": 0.0, "margin": 1.0}),
    ],
)
def test_what_cannot_be_judged_cannot_be_declared(declare):
    """Margins that are not positive, shares that are no majority and numbers that are not finite are refused."""
    with pytest.raises(StatisticsError):
        declare()


def test_the_error_says_what_was_given_and_what_was_expected():
    """A refused share names itself and the range."""
    with pytest.raises(StatisticsError, match=r"majority: got 0\.4, expected 0\.5 < share <= 1\."):
        holds_in(0.4)
