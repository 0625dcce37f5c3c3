"""The numbers of the rule's table, against scipy.stats and the printed rows."""

import math

import numpy as np
import pytest
from scipy import stats as oracle

from dtclaims.errors import StatisticsError
from dtclaims.harness.stats.intervals import (
    majority_tail,
    seeds_needed,
    seeds_needed_for_majority,
    share_lower_bound,
    spent,
    t_quantile,
    t_tail,
    wilson_bounds,
)


@pytest.mark.parametrize(
    ("n", "alone", "after_holm"),
    [(3, 1.69, 4.78), (4, 1.18, 2.57), (5, 0.95, 1.85), (7, 0.73, 1.29), (8, 0.67, 1.14), (10, 0.58, 0.96)],
)
def test_t_multipliers_are_the_tables(n, alone, after_holm):
    """The half-width in standard deviations, at 0.05 and at 0.05 / 7, is the one the rule's table prints."""
    assert round(t_quantile(0.95, n - 1) / math.sqrt(n), 2) == alone
    assert round(t_quantile(1 - 0.05 / 7, n - 1) / math.sqrt(n), 2) == after_holm


@pytest.mark.parametrize(
    ("hits", "n", "bound"),
    [
        (3, 3, 0.368),
        (4, 4, 0.473),
        (5, 5, 0.549),
        (7, 7, 0.652),
        (6, 7, 0.479),
        (8, 8, 0.688),
        (7, 8, 0.529),
        (10, 10, 0.741),
        (9, 10, 0.606),
    ],
)
def test_fresh_seed_bounds_are_the_tables(hits, n, bound):
    """With all seeds or all but one on the claimed side, the Clopper-Pearson bound is the printed one."""
    assert round(share_lower_bound(hits, n, 0.05), 3) == bound


def test_bounds_and_tails_agree_with_scipy_stats():
    """Quantile, tail, Clopper-Pearson and Wilson equal scipy.stats for every k of n up to 12."""
    for n in range(1, 13):
        assert t_quantile(0.95, n) == pytest.approx(oracle.t.ppf(0.95, n))
        assert t_tail(2.5, n) == pytest.approx(oracle.t.sf(2.5, n))
        for hits in range(n + 1):
            test = oracle.binomtest(hits, n, 0.5, alternative="greater")
            assert share_lower_bound(hits, n, 0.05) == pytest.approx(test.proportion_ci(0.95, "exact").low)
            both = oracle.binomtest(hits, n).proportion_ci(0.9, "wilson")
            assert wilson_bounds(hits, n, 0.05) == pytest.approx((both.low, both.high), abs=1e-12)


@pytest.mark.parametrize("alpha", [0.05, 0.025, 0.05 / 3])
def test_the_gate_is_the_exact_sign_test(alpha):
    """The Clopper-Pearson bound exceeds one half exactly where the sign test's p is below alpha."""
    for n in range(1, 15):
        for hits in range(n + 1):
            sign_test = oracle.binomtest(hits, n, 0.5, alternative="greater").pvalue
            assert (share_lower_bound(hits, n, alpha) > 0.5) == (sign_test < alpha)


def test_the_set_claims_p_value_goes_with_its_bound():
    """A Wilson lower bound above one half and a p below alpha are the same event."""
    for n in range(1, 30):
        for hits in range(n + 1):
            assert (wilson_bounds(hits, n, 0.05)[0] > 0.5) == (majority_tail(hits, n) < 0.05)


@pytest.mark.parametrize("standardised", [0.3, 0.5, 1.0, 1.5, 2.0, 5.0])
@pytest.mark.parametrize("alpha", [0.05, 0.025])
def test_seeds_needed_is_the_first_n_that_satisfies_rule_11(standardised, alpha):
    """The bisection finds what walking up from three seeds finds."""
    first = next(
        n
        for n in range(3, 1000)
        if standardised >= (oracle.t.ppf(1 - alpha, n - 1) + oracle.t.ppf(0.8, n - 1)) / math.sqrt(n)
    )
    assert seeds_needed(standardised, 1.0, alpha) == first


def test_seeds_needed_at_one_standard_deviation_is_eight():
    """The table's advice, 8 seeds for the published report, is rule 11 at one sd above the cut."""
    assert seeds_needed(1.0, 1.0, 0.05) == 8
    assert oracle.nct.sf(t_quantile(0.95, 7), 7, math.sqrt(8)) > 0.8


@pytest.mark.parametrize("gap", [-1.0, 0.0, 1e-9])
def test_seeds_needed_is_none_where_no_number_helps(gap):
    """On the wrong side of the cut, at it, or within a millionth of a standard deviation, there is no answer."""
    assert seeds_needed(gap, 1.0, 0.05) is None


@pytest.mark.parametrize(("share", "n"), [(1.0, 3), (0.9, 5), (0.8, 8)])
def test_seeds_needed_for_a_share_is_where_wilson_passes(share, n):
    """At n the Wilson bound of that share exceeds one half, at n - 1 it does not (three at least)."""
    assert seeds_needed_for_majority(share, 0.05) == n
    assert wilson_bounds(share * n, n, 0.05)[0] > 0.5
    assert n == 3 or wilson_bounds(share * (n - 1), n - 1, 0.05)[0] <= 0.5


@pytest.mark.parametrize(("n", "power"), [(3, (0.32, 0.72, 0.93)), (4, (0.46, 0.91, 1.00))])
def test_provisional_power_is_the_tables(n, power):
    """With 3 or 4 seeds, where only t decides, the printed (simulated) power is the noncentral t's."""
    # scipy 1.13 divides by zero on its way to the right values.
    with np.errstate(divide="ignore"):
        exact = oracle.nct.sf(t_quantile(0.95, n - 1), n - 1, np.array([1, 2, 3]) * math.sqrt(n))
    assert exact == pytest.approx(power, abs=0.01)


@pytest.mark.parametrize(("alpha", "looks"), [(0, 1), (0.5, 1), (math.nan, 1), ("5%", 1), (0.05, 0), (0.05, 1.5)])
def test_error_probabilities_that_cannot_be_spent_are_refused(alpha, looks):
    """alpha must be in (0, 0.5) and looks a whole number from 1 on."""
    with pytest.raises(StatisticsError):
        spent(alpha, looks)
