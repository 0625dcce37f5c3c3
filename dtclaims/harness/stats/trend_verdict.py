"""Edition 2: from one effect per seed and a declared trend to a verdict."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import mean, stdev

from dtclaims.errors import StatisticsError
from dtclaims.harness.stats.effects import numbers_of, superiority, unusable
from dtclaims.harness.stats.exact import at_least, at_most, extreme, share_bounds
from dtclaims.harness.stats.intervals import FEWEST_SEEDS, FULL_SEEDS, share_lower_bound, spent, t_quantile, t_tail
from dtclaims.harness.stats.power import seeds_for_mean, seeds_for_share
from dtclaims.harness.stats.rules import Outcome, too_few
from dtclaims.harness.stats.tables import Side, against, centre, chances, claimed
from dtclaims.harness.stats.trends import TRUTHS, Trend
from dtclaims.harness.stats.verdict import Turn, Verdict


def judge_trend(
    effects: Mapping[int, float],
    trend: Trend,
    *,
    alpha: float = 0.05,
    looks: int = 1,
    level: float | None = None,
    gate: float | None = None,
) -> Verdict:
    """Judge `trend` on one effect per seed.

    A trend of the mean has an interval, mean -+ t(1 - level, n - 1) * sd / sqrt(n), and a gate: from five seeds on, the
    seeds whose own effect lies on the side in question must be a proven majority (the exact sign test). Interval and
    gate together, *refuted* is asked before *reproduced*; what each kind calls its sides is in `tables`. An equivalence
    can be refuted on two sides, which share the level. A statement that is true or false in each seed is judged by
    exact binomial tails at the share that it declares. Below three seeds nothing is judged, below five a verdict is
    provisional and no p is told.

    Args:
        effects: seed to effect, already reduced to one number.
        trend: what was declared before the runs.
        alpha: probability of a false verdict, on each side, over all looks.
        looks: how many times this claim has been judged on overlapping seeds, this time included.
        level: the share of alpha that this look may spend; default alpha / looks.
        gate: error probability of the gate, if it is another than the level: several parts share the level, not the
            gate.

    Raises:
        StatisticsError: effects that are not numbers keyed by seed, a truth value other than 0 and 1, or an alpha,
            looks, level or gate that cannot be used. A nan or infinite effect is the verdict "error".
    """
    own = spent(alpha, looks) if level is None else spent(level)
    numbers = numbers_of(effects)
    if wrong := unusable(numbers):
        found = Verdict("error", wrong, False, len(numbers))
    elif trend.kind not in TRUTHS:
        found = _judge_mean(list(numbers.values()), _Asked(trend, own, own if gate is None else spent(gate)))
    elif odd := {seed: value for seed, value in numbers.items() if value not in (0, 1)}:
        raise StatisticsError(f"a {trend.kind} is true (1.0) or false (0.0) in each seed", given=odd)
    else:
        found = _judge_truths(list(numbers.values()), trend, own)
    return replace(found, alpha=alpha, looks=looks, level=own)


@dataclass(frozen=True)
class _Asked:
    """The question, and what its answer may spend."""

    trend: Trend
    level: float
    gate: float


@dataclass(frozen=True)
class _Sample:
    """Effects of two seeds or more, and the t statistics of them."""

    values: Sequence[float]
    mean: float
    sd: float

    def ends(self, level: float) -> tuple[float, float]:
        """Of the interval, one-sided at `level`."""
        half = t_quantile(1 - level, len(self.values) - 1) * self.sd / math.sqrt(len(self.values))
        return self.mean - half, self.mean + half

    def told(self, level: float) -> str:
        """The interval in words."""
        low, high = self.ends(level)
        spread = "" if self.sd else "no spread: "
        return f"{spread}the {100 * (1 - 2 * level):.4g}% interval [{low:.4g}, {high:.4g}]"

    def lies(self, side: Side, level: float) -> bool:
        """Whether the whole interval does."""
        low, high = self.ends(level)
        return (low if side.sign > 0 else high) in side

    def count(self, sides: Sequence[Side]) -> int:
        """Seeds whose own effect lies on all of these sides."""
        return sum(all(x in side for side in sides) for x in self.values)

    def agree(self, sides: Sequence[Side], gate: float) -> bool:
        """Whether these seeds are a proven majority; below five seeds, where no count is, nothing is asked of them."""
        n = len(self.values)
        return n < FULL_SEEDS or at_least(self.count(sides), n) < gate

    def gap(self, side: Side) -> float:
        """How far the mean lies there, in standard deviations."""
        gap = side.sign * (self.mean - side.cut)
        return gap / self.sd if self.sd else math.copysign(math.inf, gap) if gap else 0.0

    def p(self, side: Side) -> float:
        """One-sided p by t of the mean lying there; without spread 0 or 1, as the interval is a point."""
        if not self.sd:
            return float(self.mean not in side)
        return t_tail(self.gap(side) * math.sqrt(len(self.values)), len(self.values) - 1)


def _judge_mean(values: Sequence[float], asked: _Asked) -> Verdict:
    trend, n, level = asked.trend, len(values), asked.level
    sides, agree = claimed(trend), sum(map(trend.holds_for, values))
    outcome, reason = too_few(n)
    bound, above = share_lower_bound(agree, n, level) if n else None, superiority(values, trend.null)
    if n < 2:
        one = values[0] if n else None
        return Verdict(outcome, reason, False, n, one, agree=agree, fresh_seed_bound=bound, superiority=above)
    sample = _Sample(values, mean(values), stdev(values))
    low, high = sample.ends(level)
    turn: Turn = ""
    p_against, gate_against = None, False
    if n >= FEWEST_SEEDS:
        outcome, turn, reason = _decide(sample, asked)
        nearest = min(against(trend), key=sample.p)
        p_against = min(1.0, chances(trend) * sample.p(nearest))
        gate_against = sample.agree([nearest], asked.gate)
    full, sd = n >= FULL_SEEDS, sample.sd
    p_t = max(map(sample.p, sides)) if full and sd else None
    p_free = at_least(agree, n) if full else None
    gaps = [sample.gap(side) for side in sides]
    return Verdict(
        outcome,
        reason,
        provisional=FEWEST_SEEDS <= n < FULL_SEEDS,
        n=n,
        mean=sample.mean,
        sd=sd,
        low=low,
        high=high,
        agree=agree,
        p_value=None if p_t is None or p_free is None else max(p_t, p_free),
        fresh_seed_bound=bound,
        superiority=above,
        effect_size=(sample.mean - centre(trend)) / sd if sd else None,
        seeds_needed=seeds_for_mean(gaps, level),
        turn=turn,
        p_t=p_t,
        p_free=p_free,
        p_against=p_against,
        gate_against=gate_against,
        spread=bool(sd),
    )


def _decide(sample: _Sample, asked: _Asked) -> tuple[Outcome, Turn, str]:
    """Outcome, turn and reason on three seeds or more: what refutes first, then what reproduces."""
    trend, level = asked.trend, asked.level
    shared = level / chances(trend)
    beyond = [side for side in against(trend) if sample.lies(side, shared)]
    for side in beyond:
        if sample.agree([side], asked.gate):
            return "refuted", side.turn, f"{side.turn}: {sample.told(shared)} lies {side}"
    sides = claimed(trend)
    holds = all(sample.lies(side, level) for side in sides)
    if holds and not beyond and sample.agree(sides, asked.gate):
        return "reproduced", "", f"{sample.told(level)} lies {_all(sides)}"
    if holds and not beyond:
        return "inconclusive", "", f"{sample.told(level)} lies {_all(sides)}, but {_minority(sample, sides)}"
    if beyond:
        return "inconclusive", "", f"{sample.told(shared)} lies {beyond[0]}, but {_minority(sample, beyond[:1])}"
    for at in (level, shared):
        low, high = sample.ends(at)
        # An end of the interval that is exactly the cut includes it, too.
        if crossed := [f"{side.cut:g}" for side in sides if low <= side.cut <= high]:
            break
    return "inconclusive", "", f"{sample.told(at)} includes {' and '.join(crossed)}"


def _all(sides: Sequence[Side]) -> str:
    return " and ".join(map(str, sides))


def _minority(sample: _Sample, sides: Sequence[Side]) -> str:
    return f"{sample.count(sides)} of {len(sample.values)} seeds there do not show a majority"


def _judge_truths(values: Sequence[float], trend: Trend, level: float) -> Verdict:
    n = len(values)
    outcome, reason = too_few(n)
    if not n:
        return Verdict(outcome, reason, False, n)
    hits = sum(value == 1 for value in values)
    low, high = share_bounds(hits, n, level)
    p, p_against = _tails(hits, n, trend)
    if n >= FEWEST_SEEDS:
        found = f"true in {hits} of {n} seeds, a share between {low:.4g} and {high:.4g}"
        outcome, reason = _decide_truths(found, p < level, p_against < level, trend)
    full = n >= FULL_SEEDS
    return Verdict(
        outcome,
        reason,
        provisional=FEWEST_SEEDS <= n < FULL_SEEDS,
        n=n,
        mean=hits / n,
        low=low,
        high=high,
        agree=hits,
        p_value=p if full else None,
        fresh_seed_bound=low,
        seeds_needed=seeds_for_share(hits / n, trend, level),
        turn="absent" if outcome == "refuted" else "",
        p_t=p if full else None,
        p_free=p if full else None,
        p_against=p_against if n >= FEWEST_SEEDS else None,
        gate_against=n >= FEWEST_SEEDS,
    )


def _tails(hits: int, n: int, trend: Trend) -> tuple[float, float]:
    """Exact one-sided p of the claim, and of what refutes it."""
    assert trend.bound is not None
    if trend.kind == "rate":
        fewer = min(hits, n - hits)
        return at_least(fewer, n, trend.bound), extreme(fewer, n, trend.bound)
    # What is said to exist is absent where most seeds lack it.
    return at_least(hits, n, trend.bound), at_most(hits, n, 0.5 if trend.kind == "existence" else trend.bound)


def _decide_truths(found: str, holds: bool, fails: bool, trend: Trend) -> tuple[Outcome, str]:
    share = "one half" if trend.bound == 0.5 else f"{trend.bound:g}"
    match trend.kind:
        case "share":
            shown, missed, open_ = f"above {share}", f"below {share}", f"includes {share}"
        case "rate":
            shown = f"true and false in more than {share} each"
            missed = f"one of true and false in less than {share}"
            open_ = f"which leaves open whether both reach {share}"
        case _:
            shown = f"more than the {share} that luck explains"
            missed = f"no more than luck explains ({share}), and below one half"
            open_ = f"no more than luck explains ({share}), and not below one half"
    if holds:
        return "reproduced", f"{found}: {shown}"
    if fails:
        return "refuted", f"absent: {found}: {missed}"
    return "inconclusive", f"{found}: {open_}"
