"""What a verdict says, and edition 1 of how one is made of one effect per seed (its rules 1 to 7, 10 and 11)."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import mean, stdev
from typing import Literal

from dtclaims.errors import StatisticsError
from dtclaims.harness.stats.effects import numbers_of, superiority, unusable
from dtclaims.harness.stats.intervals import (
    FEWEST_SEEDS,
    FULL_SEEDS,
    majority_tail,
    seeds_needed,
    seeds_needed_for_majority,
    share_lower_bound,
    spent,
    t_quantile,
    t_tail,
    wilson_bounds,
)
from dtclaims.harness.stats.predicates import Predicate
from dtclaims.harness.stats.rules import Outcome, decide_mean, decide_set, too_few

Turn = Literal["reversed", "absent", ""]
"""Why a trend is refuted: the opposite of its sentence is shown, or what it says of is shown not to be there."""


@dataclass(frozen=True)
class Verdict:
    """What a sample of effects says about a predicate or a trend, and every number a reader needs to doubt it.

    A number is None where it has no value: no seeds, one seed (`sd` and all that follows from it), a truth value.
    """

    outcome: Outcome
    reason: str
    provisional: bool
    """Judged on 3 or 4 seeds, where no distribution-free test can reach 0.05."""
    n: int
    mean: float | None = None
    sd: float | None = None
    """Between seeds."""
    low: float | None = None
    high: float | None = None
    """Ends of the interval, the look's share of alpha on each side: t; Wilson for a set claim, exact for a trend."""
    agree: int = 0
    """Seeds whose own effect is on the claimed side."""
    p_value: float | None = None
    """One-sided p of the claim. Of a trend the larger of `p_t` and `p_free`; None below five seeds, and without spread.

    Edition 1: by t; None below three seeds.
    """
    fresh_seed_bound: float | None = None
    """Lower bound on the probability that a fresh seed's own effect is on the claimed side (Clopper-Pearson)."""
    superiority: float | None = None
    """P(A > B): share of seeds with an effect above the null, ties half."""
    effect_size: float | None = None
    """d = (mean - null) / sd, of a level about its bound. Edition 1: mean / sd."""
    seeds_needed: int | None = None
    """Seeds that would reproduce the claim with 80% power, were these effects the truth; None when no number would.

    Edition 1 asks for t alone; for a set claim it gives the seeds at which the observed share would do.
    """
    alpha: float = 0.05
    looks: int = 1
    level: float | None = None
    """Share of alpha that this look spends; None in edition 1, where it is alpha / looks."""
    turn: Turn = ""
    """Why it is refuted; empty where it is not, and in edition 1."""
    p_t: float | None = None
    """p by t, "if seeds are normal"; of a truth value exact. None as `p_value`."""
    p_free: float | None = None
    """p that assumes no distribution: the sign test, or exact. None below five seeds."""
    p_against: float | None = None
    """One-sided p of what would refute it, by t or exact; from three seeds on. Several parts and composites read it."""
    gate_against: bool = False
    """Whether the seeds on that side are a proven majority, or fewer than five, or exact counts need none."""
    spread: bool = True
    """False where all seeds have one and the same effect, so that no t test exists."""

    def to_json(self) -> dict[str, object]:
        """All fields as JSON types."""
        return asdict(self)


def judge(effects: Mapping[int, float], predicate: Predicate, *, alpha: float = 0.05, looks: int = 1) -> Verdict:
    """Judge `predicate` on one effect per seed: a level, a set statement, or a difference of paired arms.

    The interval is mean -+ t(1 - alpha, n - 1) * sd / sqrt(n). A directional claim is reproduced if the interval
    lies on the claimed side, refuted if it lies on the other, and from five seeds on only if the seeds on that side
    are a proven majority (the exact sign test at alpha). An equivalence is reproduced if the interval lies within
    the margin (TOST), refuted if it lies outside. A set claim is reproduced if enough seeds hold and Wilson's lower
    bound is above one half, refuted if the upper bound is below. All else is inconclusive.

    Args:
        effects: seed to effect, already reduced to one number.
        predicate: what was declared before the runs.
        alpha: probability of a false verdict, on each side, over all looks.
        looks: how many times this claim has been judged on a growing sample, this one included; each look
            spends alpha / looks.

    Raises:
        StatisticsError: effects that are not numbers keyed by seed, a set effect other than 0 and 1, or an alpha
            or looks that cannot be used. A nan or infinite effect is the verdict "error".
    """
    level = spent(alpha, looks)
    numbers = numbers_of(effects)
    if wrong := unusable(numbers):
        return Verdict("error", wrong, False, len(numbers), alpha=alpha, looks=looks)
    values = list(numbers.values())
    if predicate.kind == "holds_in":
        return _judge_set(numbers, predicate, level, alpha, looks)
    return _judge_mean(values, predicate, level, alpha, looks)


def _judge_mean(values: Sequence[float], predicate: Predicate, level: float, alpha: float, looks: int) -> Verdict:
    n = len(values)
    sd = stdev(values) if n > 1 else None
    centre = mean(values) if n else None
    agree = sum(map(predicate.holds_for, values))
    low = high = p_value = needed = None
    outcome, reason = too_few(n)
    if centre is not None and sd is not None:
        error = sd / math.sqrt(n)
        half = t_quantile(1 - level, n - 1) * error
        low, high = centre - half, centre + half
        gap = min(sign * (centre - cut) for sign, cut in predicate.sides)
        if sd:
            needed = seeds_needed(gap, sd, level)
        elif gap > 0:
            needed = max(n, FEWEST_SEEDS)
        if n >= FEWEST_SEEDS:
            # The statement with the smallest gap has the largest p, and all of them must hold.
            p_value = t_tail(gap / error, n - 1) if error else float(gap <= 0)
            outcome, reason = decide_mean(low, high, values, predicate, level)
    return Verdict(
        outcome,
        reason,
        provisional=FEWEST_SEEDS <= n < FULL_SEEDS,
        n=n,
        mean=centre,
        sd=sd,
        low=low,
        high=high,
        agree=agree,
        p_value=p_value,
        fresh_seed_bound=share_lower_bound(agree, n, level) if n else None,
        superiority=superiority(values, predicate.null),
        effect_size=centre / sd if centre is not None and sd else None,
        seeds_needed=needed,
        alpha=alpha,
        looks=looks,
    )


def _judge_set(effects: Mapping[int, float], predicate: Predicate, level: float, alpha: float, looks: int) -> Verdict:
    if odd := {seed: value for seed, value in effects.items() if value not in (0, 1)}:
        raise StatisticsError("a set claim is true (1.0) or false (0.0) in each seed", given=odd)
    n, hits = len(effects), sum(effect == 1 for effect in effects.values())
    if not n:
        return Verdict(*too_few(n), False, n, alpha=alpha, looks=looks)
    share = hits / n
    low, high = wilson_bounds(hits, n, level)
    outcome, reason = decide_set(low, high, hits, n, predicate)
    return Verdict(
        outcome,
        reason,
        provisional=FEWEST_SEEDS <= n < FULL_SEEDS,
        n=n,
        mean=share,
        low=low,
        high=high,
        agree=hits,
        p_value=majority_tail(hits, n) if n >= FEWEST_SEEDS else None,
        fresh_seed_bound=share_lower_bound(hits, n, level),
        seeds_needed=seeds_needed_for_majority(share, level) if share >= predicate.value else None,
        alpha=alpha,
        looks=looks,
    )
