"""The distributions a verdict rests on. scipy loads on first use, so that collecting claims stays quick."""

import math
from numbers import Real

from dtclaims.errors import StatisticsError

FEWEST_SEEDS = 3
"""No verdict on fewer (rule 2)."""

FULL_SEEDS = 5
"""From here on the agreement gate can be passed; with fewer seeds a verdict is provisional (rules 2 and 4)."""

POWER = 0.80
"""Chance of success that "seeds needed" aims at (rule 11)."""

MOST_SEEDS = 1_000_000
"""Beyond this, "seeds needed" answers that no number helps."""


def spent(alpha: float, looks: int = 1) -> float:
    """Error probability each look may spend: alpha / looks (rule 10).

    Raises:
        StatisticsError: alpha outside (0, 0.5), or looks not a whole number from 1 on.
    """
    if not isinstance(alpha, Real) or not 0 < alpha < 0.5:
        raise StatisticsError("alpha cannot be used", given=repr(alpha), expected="0 < alpha < 0.5")
    if not isinstance(looks, int) or looks < 1:
        raise StatisticsError("looks cannot be used", given=repr(looks), expected="a whole number from 1 on")
    return alpha / looks


def t_quantile(probability: float, freedom: float) -> float:
    """The `probability` quantile of Student's t with `freedom` degrees of freedom."""
    from scipy.special import stdtrit

    return float(stdtrit(freedom, probability))


def t_tail(statistic: float, freedom: float) -> float:
    """P(T >= statistic) for Student's t with `freedom` degrees of freedom."""
    from scipy.special import stdtr

    return float(stdtr(freedom, -statistic))


def share_lower_bound(hits: int, n: int, alpha: float) -> float:
    """One-sided Clopper-Pearson lower bound on the share behind `hits` of `n`: Beta^-1(alpha; hits, n - hits + 1)."""
    from scipy.special import betaincinv

    return float(betaincinv(hits, n - hits + 1, alpha)) if hits else 0.0


def wilson_bounds(hits: int, n: int, alpha: float) -> tuple[float, float]:
    """Wilson's lower and upper bound on the share behind `hits` of `n`, each one-sided at `alpha`."""
    from scipy.special import ndtri

    z, share = float(ndtri(1 - alpha)), hits / n
    centre = share + z**2 / (2 * n)
    spread = z * math.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return (centre - spread) / (1 + z**2 / n), (centre + spread) / (1 + z**2 / n)


def majority_tail(hits: int, n: int) -> float:
    """One-sided p of `hits` of `n` against a share of one half, by the score test that Wilson's bound inverts."""
    from scipy.special import ndtr

    return float(ndtr((n - 2 * hits) / math.sqrt(n)))


def seeds_needed(gap: float, sd: float, alpha: float) -> int | None:
    """The smallest n >= 3 with gap >= (t(1 - alpha) + t(0.80)) * sd / sqrt(n) (rule 11).

    Args:
        gap: how far the mean lies inside the claimed side, in the unit of the effect.
        sd: standard deviation of the effect between seeds, same unit, above 0.
        alpha: one-sided error probability.

    Returns:
        None when the gap is not positive, or so small that over a million seeds would be needed.
    """

    def multiplier(n: int) -> float:
        return (t_quantile(1 - alpha, n - 1) + t_quantile(POWER, n - 1)) / math.sqrt(n)

    if gap < multiplier(MOST_SEEDS) * sd or gap <= 0:
        return None
    short, enough = FEWEST_SEEDS - 1, MOST_SEEDS
    while enough - short > 1:
        middle = (short + enough) // 2
        if gap >= multiplier(middle) * sd:
            enough = middle
        else:
            short = middle
    return enough


def seeds_needed_for_majority(share: float, alpha: float) -> int:
    """The smallest n >= 3 at which an observed `share` > 0.5 has its Wilson lower bound above 0.5."""
    from scipy.special import ndtri

    return max(FEWEST_SEEDS, math.floor((float(ndtri(1 - alpha)) / (2 * share - 1)) ** 2) + 1)
