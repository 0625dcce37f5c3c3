"""Binomial tails and bounds against scipy.stats."""

import pytest
from scipy import stats as oracle

from dtclaims.harness.stats.exact import at_least, at_most, extreme, share_bounds


@pytest.mark.parametrize("share", [0.5, 0.05, 0.8])
def test_tails_and_bounds_are_the_librarys(share):
    """For every count of n up to 12: both tails, and Clopper-Pearson's interval."""
    for n in range(1, 13):
        for hits in range(n + 1):
            assert at_least(hits, n, share) == pytest.approx(oracle.binom.sf(hits - 1, n, share))
            assert at_most(hits, n, share) == pytest.approx(oracle.binom.cdf(hits, n, share))
            both = oracle.binomtest(hits, n).proportion_ci(0.9, "exact")
            assert share_bounds(hits, n, 0.05) == pytest.approx((both.low, both.high), abs=1e-12)


@pytest.mark.parametrize("rate", [0.05, 0.2, 0.4])
def test_so_few_of_one_kind_are_likeliest_at_the_rate_itself(rate):
    """The p of a refuted rate is the largest over all shares that the claim allows."""
    for n in (5, 8, 13):
        for fewer in range((n - 1) // 2 + 1):
            shares = [rate + (1 - 2 * rate) * step / 50 for step in range(51)]
            worst = max(oracle.binom.cdf(fewer, n, p) + oracle.binom.sf(n - fewer - 1, n, p) for p in shares)
            assert extreme(fewer, n, rate) == pytest.approx(min(1, worst))
