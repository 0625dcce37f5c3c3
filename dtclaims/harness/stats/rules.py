"""From interval and seeds to outcome and reason (statistics rules 2 and 4 to 6)."""

from collections.abc import Sequence
from typing import Literal

from dtclaims.harness.stats.intervals import FEWEST_SEEDS, FULL_SEEDS, share_lower_bound
from dtclaims.harness.stats.predicates import Predicate

Outcome = Literal["reproduced", "refuted", "inconclusive", "error"]


def too_few(n: int) -> tuple[Outcome, str]:
    """The outcome on fewer than three seeds."""
    return "inconclusive", f"too few seeds: {n} of at least {FEWEST_SEEDS}"


def decide_mean(
    low: float, high: float, values: Sequence[float], predicate: Predicate, level: float
) -> tuple[Outcome, str]:
    """Outcome and reason of a directional or equivalence claim on three seeds or more.

    Args:
        low: lower end of the interval of the mean, one-sided at `level`.
        high: upper end.
        values: the effect of each seed.
        predicate: the claim.
        level: one-sided error probability of the interval and of the agreement gate.
    """
    interval = f"the {100 * (1 - 2 * level):.4g}% interval [{low:.4g}, {high:.4g}]"
    against = tuple((-sign, cut) for sign, cut in predicate.sides if _beyond(low, high, -sign, cut))
    holds = all(_beyond(low, high, sign, cut) for sign, cut in predicate.sides)
    if not holds and not against:
        crossed = " and ".join(f"{cut:g}" for _, cut in predicate.sides if low <= cut <= high)
        return "inconclusive", f"{interval} includes {crossed}"
    sides = predicate.sides if holds else against
    where = " and ".join(f"{'above' if sign > 0 else 'below'} {cut:g}" for sign, cut in sides)
    n, there = len(values), sum(all(sign * x > sign * cut for sign, cut in sides) for x in values)
    if predicate.kind != "equivalent" and n >= FULL_SEEDS and share_lower_bound(there, n, level) <= 0.5:
        return "inconclusive", f"{interval} lies {where}, but {there} of {n} seeds there do not show a majority"
    if holds:
        return "reproduced", f"{interval} lies {where}"
    if predicate.kind == "equivalent" or predicate.null is None:
        return "refuted", f"{interval} lies {where}"
    return "refuted", _shortfall(interval, low, high, predicate, predicate.null)


def decide_set(low: float, high: float, hits: int, n: int, predicate: Predicate) -> tuple[Outcome, str]:
    """Outcome and reason of a set claim that is true in `hits` of `n` seeds, with Wilson's bounds on the share."""
    if n < FEWEST_SEEDS:
        return too_few(n)
    found = f"true in {hits} of {n} seeds, a share between {low:.4g} and {high:.4g}"
    if high < 0.5:
        return "refuted", f"{found}: below one half"
    if low <= 0.5:
        return "inconclusive", f"{found}: includes one half"
    if hits / n < predicate.value:
        return "inconclusive", f"{found}: above one half, but fewer than {predicate.value:.4g} of the seeds"
    return "reproduced", f"{found}: above one half"


def _beyond(low: float, high: float, sign: int, cut: float) -> bool:
    return low > cut if sign > 0 else high < cut


def _shortfall(interval: str, low: float, high: float, predicate: Predicate, null: float) -> str:
    """Why a directional claim is refuted, by its word: reversed, negligible or smaller than declared (rule 5)."""
    ((sign, cut),) = predicate.sides
    side = "below" if sign > 0 else "above"
    if _beyond(low, high, -sign, null):
        return f"reversed: {interval} lies {side} {min(cut, null, key=lambda x: sign * x):g}"
    # As far from the null as the threshold, on its other side.
    mirrored = 2 * null - cut
    if _beyond(low, high, sign, mirrored):
        return f"negligible: {interval} lies between {min(cut, mirrored):g} and {max(cut, mirrored):g}"
    return f"smaller than declared: {interval} lies {side} {cut:g}"
