"""Seeds needed: exact parts, and a simulation of the whole."""

import numpy as np
import pytest
from scipy import stats as oracle

from dtclaims.harness.stats.power import MOST_NEEDED, _hits_needed, seeds_for_mean, seeds_for_share
from dtclaims.harness.stats.trends import exists, in_most_seeds, in_some_seeds
from dtclaims.seeding import generator


def simulated_power(gap, n, level, draws=20_000):
    """Share of normal samples that pass t and gate."""
    x = generator(n, f"power/{gap}/{level}").normal(size=(draws, n)) + gap
    t = x.mean(1) / (x.std(1, ddof=1) / np.sqrt(n))
    hits = (x > 0).sum(1)
    return ((oracle.t.sf(t, n - 1) < level) & (oracle.binom.sf(hits - 1, n, 0.5) < level)).mean()


@pytest.mark.parametrize("level", [0.05, 0.015])
@pytest.mark.parametrize("gap", [0.7, 1.0, 2.0])
def test_so_many_seeds_have_the_power(gap, level):
    """At the n returned t and gate together pass four times of five; below 7/8 of it they never do."""
    n = seeds_for_mean([gap], level)
    assert simulated_power(gap, n, level) > 0.8
    assert all(simulated_power(gap, m, level) < 0.8 for m in range(5, -(-7 * n // 8)))


def test_power_goes_by_the_tables():
    """Two standard deviations are seen by five seeds, one by more than ten: the gate costs what t does not."""
    assert seeds_for_mean([2.0], 0.05) == 5
    assert [seeds_for_mean([gap], 0.05) for gap in (1.5, 1.0, 0.5)] == [8, 13, 49]


@pytest.mark.parametrize("gaps", [[0.0], [-1.0], [1.0, -0.1], [0.01]])
def test_there_is_no_answer_on_the_wrong_side(gaps):
    """More seeds of the same do not help there; nor would a thousand at a hundredth of a standard deviation."""
    assert seeds_for_mean(gaps, 0.05) is None


@pytest.mark.parametrize("level", [0.05, 0.05 / 3, 0.001])
@pytest.mark.parametrize("share", [0.5, 0.75, 0.05, 0.9])
def test_the_fewest_hits_are_the_fewest(share, level):
    """Against the binomial tail for every n up to 200: so many hits pass, one less does not; n + 1 says none do."""
    found = _hits_needed(share, level)
    for n in range(1, 201):
        hits = found[n]
        assert 1 <= hits <= n + 1
        assert hits == n + 1 or oracle.binom.sf(hits - 1, n, share) < level
        assert oracle.binom.sf(hits - 2, n, share) >= level


@pytest.mark.parametrize(
    ("share", "trend", "n"),
    [
        (1.0, in_most_seeds(), 5),
        (1.0, in_most_seeds(0.9), 29),
        (0.5, in_most_seeds(), None),
        (0.3, in_most_seeds(), None),
        (1.0, in_some_seeds(0.05, why="ours"), None),
        (1.0, exists(0.05, why="ours"), 5),
    ],
)
def test_seeds_for_a_share(share, trend, n):
    """Unanimity needs as many as the tables say; what is not so has no answer."""
    assert seeds_for_share(share, trend, 0.05) == n


@pytest.mark.parametrize("share", [0.8, 0.9, 0.6])
def test_a_share_has_its_power_there_first(share):
    """By the binomial distribution: at that n, and at no smaller one from five on."""
    n = seeds_for_share(share, in_most_seeds(), 0.05)

    def power(n):
        hits = next(k for k in range(n + 2) if oracle.binom.sf(k - 1, n, 0.5) < 0.05)
        return oracle.binom.sf(hits - 1, n, share)

    assert power(n) >= 0.8
    assert all(power(m) < 0.8 for m in range(5, n))
    assert n <= MOST_NEEDED


def test_a_rate_needs_hits_and_misses():
    """The exact chance of as many of both as are needed, first at that n."""
    trend = in_some_seeds(0.1, why="ours")
    n = seeds_for_share(0.5, trend, 0.05)

    def power(n):
        hits = next(k for k in range(n + 2) if oracle.binom.sf(k - 1, n, 0.1) < 0.05)
        return sum(oracle.binom.pmf(k, n, 0.5) for k in range(hits, n - hits + 1))

    assert power(n) >= 0.8
    assert all(power(m) < 0.8 for m in range(5, n))
