"""What is independent of what: seeds that share a level of a factor are one unit, not several."""

from collections.abc import Iterable, Mapping
from statistics import mean

from dtclaims.errors import StatisticsError


def by_unit(effects: Mapping[int, float], unit_of: Mapping[int, str]) -> dict[int, float]:
    """The mean effect of each unit, keyed by its smallest seed: effect_u = sum of its seeds' effects / their count.

    Runs that start from one pre-trained checkpoint share what it learnt. With an effect of
    mu + checkpoint_u + seed_us, an interval over n seeds of m checkpoints takes each checkpoint_u for n/m independent
    draws: it is too narrow, and under the null it is wrong far more often than it says. The means
    mu + checkpoint_u + mean(seed_us) are independent, and where all units have equally many seeds they have one
    variance: the t interval over the m means, m - 1 degrees of freedom, is then the one that a mixed model with a
    random effect per checkpoint gives for mu, as long as its estimate of the checkpoints' variance is not cut off at 0
    (the mean square between units is the standard error's only ingredient). So there is no model to fit, and none to
    fail with three checkpoints. Unequal counts leave the means unbiased and independent, with variances that differ by
    the seeds' part alone; the interval is then nearly right.

    What it costs: n is the number of units. Two checkpoints are too few for a verdict whatever the seeds, three or four
    are provisional, and more seeds of one checkpoint sharpen its mean, never the count.

    Args:
        effects: seed to effect.
        unit_of: seed to the name of its unit; may know more seeds.

    Raises:
        StatisticsError: a seed that no unit is said of.
    """
    if unknown := sorted(effects.keys() - unit_of.keys()):
        raise StatisticsError(
            "seeds without a unit", given=", ".join(map(str, unknown)), expected="the unit of every seed"
        )
    # Not in the order of the seeds: as sums are rounded, a set of seeds has one mean in whatever order it came.
    return {seeds[0]: mean(effects[seed] for seed in seeds) for seeds in _units(sorted(effects), unit_of)}


def most_by_unit(truths: Mapping[int, float], unit_of: Mapping[int, str]) -> dict[int, float]:
    """Whether a statement, 1 or 0 in each seed, is true in most seeds of each unit, keyed as in `by_unit`.

    For a share, which is counted over things that are true or not: then it says "in most checkpoints, in most seeds".
    Exactly half is not most: our choice, the cautious one for a claim. An effect that is no truth value makes its
    unit's mean, for the rule to refuse.

    Raises:
        StatisticsError: as `by_unit`.
    """
    shares = by_unit(truths, unit_of)
    plain = all(value in (0.0, 1.0) for value in truths.values())
    return {seed: float(share > 0.5) for seed, share in shares.items()} if plain else shares


def first_by_unit(truths: Mapping[int, float], unit_of: Mapping[int, str]) -> dict[int, float]:
    """The effect of each unit's smallest seed.

    For a rate or an existence, which says how often a fresh run is so: one seed of each unit is an independent draw of
    checkpoint and seed together, so the exact bounds hold for it. A majority would hide what is rare in every unit,
    and "in any seed" would make it likelier the more seeds there are.

    Raises:
        StatisticsError: as `by_unit`.
    """
    return {seed: truths[seed] for seed in by_unit(truths, unit_of)}


def observations(effects: Mapping[int, float], unit_of: Mapping[int, str], kind: str) -> dict[int, float]:
    """One number per unit, as a predicate or trend of a kind takes it: most of the seeds for a share of seeds, the
    smallest seed for a rate or an existence, the mean for all that is measured.

    Raises:
        StatisticsError: as `by_unit`.
    """
    reduce = {"holds_in": most_by_unit, "share": most_by_unit, "rate": first_by_unit, "existence": first_by_unit}
    return reduce.get(kind, by_unit)(effects, unit_of)


def _units(seeds: Iterable[int], unit_of: Mapping[int, str]) -> list[list[int]]:
    found: dict[str, list[int]] = {}
    for seed in seeds:
        found.setdefault(unit_of[seed], []).append(seed)
    return list(found.values())
