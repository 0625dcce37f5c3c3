"""Exact binomial tails and bounds: the seeds' gate, and trends that are true or false in each seed."""

from dtclaims.harness.stats.intervals import share_lower_bound


def at_least(hits: int, n: int, share: float = 0.5) -> float:
    """P(X >= hits) of X ~ Binomial(n, share): the one-sided p of `hits` of `n` against "no more than `share`"."""
    from scipy.special import betainc

    return float(betainc(hits, n - hits + 1, share)) if hits > 0 else 1.0


def at_most(hits: int, n: int, share: float = 0.5) -> float:
    """P(X <= hits) of X ~ Binomial(n, share): the one-sided p of `hits` of `n` against "no less than `share`"."""
    return at_least(n - hits, n, 1 - share)


def extreme(fewer: int, n: int, rate: float) -> float:
    """P(X <= fewer or X >= n - fewer) of X ~ Binomial(n, rate), `fewer` at most n / 2.

    The p of so few hits, or so few misses, against "both have a share of `rate` at least": of the shares from `rate`
    to 1 - `rate` the two ends make it most likely, and by symmetry equally so.
    """
    return min(1.0, at_most(fewer, n, rate) + at_least(n - fewer, n, rate))


def share_bounds(hits: int, n: int, level: float) -> tuple[float, float]:
    """Clopper-Pearson's lower and upper bound on the share behind `hits` of `n`, each one-sided at `level`."""
    return share_lower_bound(hits, n, level), 1 - share_lower_bound(n - hits, n, level)
