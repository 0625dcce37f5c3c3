"""Holm's rule over many claims."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dtclaims.errors import StatisticsError
from dtclaims.harness.stats import holm

P_VALUES = st.dictionaries(st.text(max_size=3), st.none() | st.floats(0, 1), max_size=6)


def closed_testing(p_values, alpha):
    """Holm as what it is, a closed test: a claim stands if every subset with it has min p <= alpha / size."""
    names = list(p_values)
    numbers = [1.0 if p is None else p for p in p_values.values()]
    subsets = [[i for i in range(len(names)) if mask >> i & 1] for mask in range(1, 2 ** len(names))]
    rejected = [min(numbers[i] for i in subset) <= alpha / len(subset) for subset in subsets]
    return {
        name: all(reject for subset, reject in zip(subsets, rejected, strict=True) if i in subset)
        for i, name in enumerate(names)
    }


@given(P_VALUES, st.floats(0.001, 0.499))
def test_holm_is_the_closed_bonferroni_test(p_values, alpha):
    """The step-down walk gives what brute force over all subsets of claims gives."""
    assert holm(p_values, alpha) == closed_testing(p_values, alpha)


def test_holm_by_hand():
    """Seven claims: thresholds 0.05/7, /6, /5, ...; the walk stops at the first p above its own."""
    p = {"a": 0.007, "b": 0.0083, "c": 0.011, "d": 0.012, "e": 0.04, "f": 0.2, "g": 0.0001}
    # Sorted: g .0001 <= .00714, a .007 <= .00833, b .0083 <= .01, c .011 <= .0125, d .012 <= .0167, e .04 > .025.
    assert holm(p) == {"a": True, "b": True, "c": True, "d": True, "e": False, "f": False, "g": True}


def test_a_p_value_at_its_threshold_stands():
    """The walk stops above the threshold, not at it."""
    assert holm({"a": 0.025, "b": 0.05}) == {"a": True, "b": True}


def test_a_claim_without_a_p_value_makes_the_others_pay():
    """An untested claim never stands, and still counts in the number of claims."""
    assert holm({"a": 0.03}) == {"a": True}
    assert holm({"a": 0.03, "untested": None}) == {"a": False, "untested": False}


def test_no_claims_is_no_error():
    """An empty report has nothing that stands."""
    assert holm({}) == {}


@pytest.mark.parametrize("bad", [{"a": 1.1}, {"a": -0.1}, {"a": float("nan")}])
def test_what_is_no_probability_is_refused(bad):
    """A p-value outside [0, 1] is an error that names the claim."""
    with pytest.raises(StatisticsError, match="p-value of a"):
        holm(bad)


def test_alpha_is_checked():
    """alpha follows the same limits as in judge."""
    with pytest.raises(StatisticsError):
        holm({"a": 0.01}, alpha=0.5)
