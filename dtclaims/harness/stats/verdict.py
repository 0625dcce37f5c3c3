"""From one effect per seed to a verdict (statistics rules 1 to 7, 10 and 11)."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from numbers import Integral
from statistics import mean, stdev, variance

from dtclaims.errors import StatisticsError
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

LARGEST_EFFECT = 1e150
"""A larger effect is no measurement: its square would overflow."""


@dataclass(frozen=True)
class Verdict:
    """What a sample of effects says about a predicate, and every number a reader needs to doubt it (rule 11).

    A number is None where it has no value: no seeds, one seed (`sd` and all that follows from it), a set claim.
    """

    outcome: Outcome
    reason: str
    provisional: bool
    """Judged on 3 or 4 seeds, where no distribution-free test can reach 0.05."""
    n: int
    mean: float | None = None
    sd: float | None = None
    """Between seeds. Unpaired: of the difference of two independent runs, sqrt(var_a + var_b)."""
    low: float | None = None
    high: float | None = None
    """Ends of the interval, alpha / looks on each side: t or Welch, and Wilson for a set claim."""
    agree: int = 0
    """Seeds whose own effect is on the claimed side."""
    p_value: float | None = None
    """One-sided p of the claim; None below three seeds, where nothing is tested."""
    fresh_seed_bound: float | None = None
    """Lower bound on the probability that a fresh seed's own effect is on the claimed side (Clopper-Pearson)."""
    superiority: float | None = None
    """P(A > B): share of seeds (unpaired: of all pairs) with an effect above the predicate's null, ties half."""
    effect_size: float | None = None
    """d = mean / sd."""
    seeds_needed: int | None = None
    """Seeds that would reproduce the claim with 80% power, were mean and sd the truth; None when no number would.

    For a set claim: seeds at which the observed share would do.
    """
    alpha: float = 0.05
    looks: int = 1

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
    numbers = _numbers(effects)
    if unusable := _unusable("effect", numbers):
        return Verdict("error", unusable, False, len(numbers), alpha=alpha, looks=looks)
    values = list(numbers.values())
    if predicate.kind == "holds_in":
        return _judge_set(numbers, predicate, level, alpha, looks)
    sd = stdev(values) if len(values) > 1 else None
    return _judge_mean(_Sample(values, values, sd), predicate, level, alpha, looks)


def judge_unpaired(
    a: Mapping[int, float], b: Mapping[int, float], predicate: Predicate, *, alpha: float = 0.05, looks: int = 1
) -> Verdict:
    """Judge the difference a - b of two arms whose runs share a seed's name but none of its randomness.

    As `judge`, with Welch's standard error and Satterthwaite's degrees of freedom. The agreement gate matches runs
    by seed, a pairing fixed before the results are known.

    Raises:
        StatisticsError: as `judge`; also arms with different seeds, or a set claim.
    """
    level = spent(alpha, looks)
    if predicate.kind == "holds_in":
        raise StatisticsError("a set claim has no unpaired form", remedy="Use judge on one truth value per seed.")
    first, second = _numbers(a), _numbers(b)
    if first.keys() != second.keys():
        raise StatisticsError(
            "the two arms have different seeds",
            given=f"{sorted(first)} and {sorted(second)}",
            remedy="Run the missing ones, or give nan for a run that failed.",
        )
    if unusable := "; ".join(filter(None, (_unusable("first arm", first), _unusable("second arm", second)))):
        return Verdict("error", unusable, False, len(first), alpha=alpha, looks=looks)
    by_seed = [first[seed] - second[seed] for seed in first]
    pairs = [x - y for x in first.values() for y in second.values()]
    sd, ratio = None, 1.0
    if len(first) > 1:
        var_a, var_b = variance(first.values()), variance(second.values())
        sd = math.sqrt(var_a + var_b)
        if sd:
            share = var_a / (var_a + var_b)
            ratio = 1 / (share**2 + (1 - share) ** 2)
    return _judge_mean(_Sample(by_seed, pairs, sd, ratio), predicate, level, alpha, looks)


@dataclass(frozen=True)
class _Sample:
    """Effects by seed, the differences P(A > B) counts, and the spread that the t interval needs."""

    values: Sequence[float]
    pairs: Sequence[float]
    sd: float | None
    ratio: float = 1.0
    """Degrees of freedom over n - 1."""


def _judge_mean(sample: _Sample, predicate: Predicate, level: float, alpha: float, looks: int) -> Verdict:
    n, sd = len(sample.values), sample.sd
    centre = mean(sample.values) if n else None
    agree = sum(map(predicate.holds_for, sample.values))
    low = high = p_value = needed = None
    outcome, reason = too_few(n)
    if centre is not None and sd is not None:
        error, freedom = sd / math.sqrt(n), sample.ratio * (n - 1)
        half = t_quantile(1 - level, freedom) * error
        low, high = centre - half, centre + half
        gap = min(sign * (centre - cut) for sign, cut in predicate.sides)
        if sd:
            needed = seeds_needed(gap, sd, level, sample.ratio)
        elif gap > 0:
            needed = max(n, FEWEST_SEEDS)
        if n >= FEWEST_SEEDS:
            # The statement with the smallest gap has the largest p, and all of them must hold.
            p_value = t_tail(gap / error, freedom) if error else float(gap <= 0)
            outcome, reason = decide_mean(low, high, sample.values, predicate, level)
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
        superiority=_superiority(sample.pairs, predicate.null),
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


def _superiority(effects: Sequence[float], null: float | None) -> float | None:
    if null is None or not effects:
        return None
    return sum((x > null) + 0.5 * (x == null) for x in effects) / len(effects)


def _numbers(effects: Mapping[int, float]) -> dict[int, float]:
    if not isinstance(effects, Mapping):
        raise StatisticsError("effects are not keyed by seed", given=type(effects).__name__, expected="{seed: effect}")
    numbers: dict[int, float] = {}
    for seed, effect in effects.items():
        if not isinstance(seed, Integral):
            raise StatisticsError("effects are not keyed by seed", given=repr(seed), expected="whole numbers as keys")
        try:
            numbers[seed] = float(effect)
        except (TypeError, ValueError):
            raise StatisticsError(f"the effect of seed {seed} is not one number", given=repr(effect)) from None
    return numbers


def _unusable(name: str, numbers: Mapping[int, float]) -> str:
    """A sentence naming every seed without a usable number, or nothing."""
    bad = [seed for seed, value in numbers.items() if not abs(value) <= LARGEST_EFFECT]
    return "; ".join(f"the {name} of seed {seed} is {numbers[seed]:g}" for seed in sorted(bad))
