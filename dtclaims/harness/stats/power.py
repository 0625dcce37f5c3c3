"""How many seeds a trend would take: t and the seeds' gate together, or exact counts."""

from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from dtclaims.harness.stats.intervals import FULL_SEEDS, POWER
from dtclaims.harness.stats.trends import Trend

if TYPE_CHECKING:
    import numpy as np

    Numbers = np.ndarray[Any, np.dtype[Any]]

MOST_NEEDED = 1000
"""Where even so many seeds would not do, "seeds needed" has no answer: nobody would run them."""

SPANS = ((FULL_SEEDS, 64), (65, 256), (257, MOST_NEEDED))
"""Searched in turn: the first nearly always has the answer. Power is no monotone function of n (unanimity of six is
harder than of five), so each n is asked."""


def seeds_for_mean(gaps: Sequence[float], level: float) -> int | None:
    """The smallest n, five or more, at which a claim of the mean has a power of 80 %, gate included.

    With effects ~ N(mean, sd²) a claim may fail by the t test of each side, and by the gate: too few seeds that are,
    alone, as claimed. Each chance is exact (noncentral t, binomial), and their sum bounds the chance that any of them
    fails (Bonferroni). So the power at the n returned is 80 % at least, and no n below 7/8 of it has that much
    (simulated from 0.3 to 2 standard deviations).

    Args:
        gaps: of each side of the claim, how far the mean lies inside it, in standard deviations of the seeds.
        level: one-sided error probability of t and of the gate.

    Returns:
        None if the mean does not lie inside, or if `MOST_NEEDED` seeds would not do.
    """
    import numpy as np
    from scipy.special import bdtr, chdtrc, nctdtr, ndtr, stdtrit

    if min(gaps) <= 0:
        return None
    alone = float(sum(ndtr(gaps)) - (len(gaps) - 1))
    for first, last in SPANS:
        n = np.arange(first, last + 1)
        needed = _hits_needed(0.5, level)[n]
        short = np.where(needed > n, 1.0, bdtr(np.minimum(needed, n + 1) - 1.0, n, alone))
        critical = stdtrit(n - 1, 1 - level)
        for gap in gaps:
            centre = gap * np.sqrt(n)
            # Where the noncentrality is large scipy's series fails, and the numerator's own noise does not matter.
            far = chdtrc(n - 1, (n - 1) * (centre / critical) ** 2)
            short = short + np.where(centre > 30, far, nctdtr(n - 1, np.minimum(centre, 30), critical))
        if (enough := n[short <= 1 - POWER]).size:
            return int(enough[0])
    return None


def seeds_for_share(share: float, trend: Trend, level: float) -> int | None:
    """The smallest n, five or more, at which a claim about truth values has a power of 80 %, were `share` the truth.

    Returns:
        None if `MOST_NEEDED` seeds would not do.
    """
    import numpy as np
    from scipy.special import bdtr

    assert trend.bound is not None
    for first, last in SPANS:
        n = np.arange(first, last + 1)
        needed = _hits_needed(trend.bound, level)[n]
        # Of a rate, as many misses are needed as hits.
        most = n - needed if trend.kind == "rate" else n
        fewer = np.where(needed > 0, bdtr(np.clip(needed - 1.0, 0, n), n, share), 0.0)
        power = np.where(most >= needed, bdtr(np.clip(most, 0, n).astype(float), n, share) - fewer, 0.0)
        if (enough := n[power >= POWER]).size:
            return int(enough[0])
    return None


@lru_cache(maxsize=64)
def _hits_needed(share: float, level: float) -> "Numbers":
    """By n from 0 on, the fewest hits whose P(X >= hits) under `share` is below `level`; n + 1 where not even n are."""
    import numpy as np
    from scipy.special import bdtrc, bdtrik

    n = np.arange(MOST_NEEDED + 1)

    def tail(hits: "Numbers") -> "Numbers":
        beyond = bdtrc(np.clip(hits - 1.0, 0, np.maximum(n - 1, 0)), n, share)
        return np.where(hits <= 0, 1.0, np.where(hits > n, 0.0, np.where(n == 0, 0.0, beyond)))

    hits = np.ceil(np.nan_to_num(bdtrik(1 - level, n, share))) + 1
    hits = np.clip(hits, 1, n + 1)
    # The inverse is exact up to rounding: at most one off.
    hits = np.where((hits > 1) & (tail(hits - 1) < level), hits - 1, hits)
    found: Numbers = np.where(tail(hits) < level, hits, hits + 1).astype(int)
    return found
