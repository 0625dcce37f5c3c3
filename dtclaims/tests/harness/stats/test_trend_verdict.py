"""Edition 2, one part: an oracle from library tests for every kind, the tables, properties, and the words."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats as oracle

from dtclaims.errors import StatisticsError
from dtclaims.harness.stats import Trend, judge_trend
from dtclaims.harness.stats.trends import (
    TRUTHS,
    above,
    below,
    equivalent,
    exists,
    in_most_seeds,
    in_some_seeds,
    level_above,
    level_below,
    not_above,
    not_below,
)

WHY = "ours, for these tests"
# Multiples of 1/64 of moderate size: sums, shifts and scalings by powers of two are exact, so properties are too.
GRID = st.integers(-512, 512).map(lambda i: i / 64)
POSITIVE = st.integers(1, 512).map(lambda i: i / 64)
SAMPLES = st.lists(GRID, min_size=0, max_size=10).map(lambda values: dict(enumerate(values, start=666)))
FULL = st.lists(GRID, min_size=3, max_size=10).map(lambda values: dict(enumerate(values)))
FLAGS = st.lists(st.sampled_from([0.0, 1.0]), min_size=3, max_size=12).map(lambda values: dict(enumerate(values)))
LEVELS = st.sampled_from([0.05, 0.035, 0.025, 0.01, 0.2])
ORDER = {"refuted": 0, "inconclusive": 1, "reproduced": 2}
DIRECTED = st.one_of(
    st.builds(above, GRID),
    st.builds(above, GRID, interest=POSITIVE, why=st.just(WHY)),
    st.builds(not_below, GRID, margin=POSITIVE, why=st.just(WHY)),
    st.builds(level_above, GRID, why=st.just(WHY)),
)
"""Trends of the mean that claim "above"."""
OF_MEANS = DIRECTED | st.builds(equivalent, POSITIVE, to=GRID, why=st.just(WHY))
OF_TRUTHS = st.one_of(
    st.builds(in_most_seeds, st.sampled_from([0.5, 0.6, 0.75, 0.2])),
    st.builds(in_some_seeds, st.sampled_from([0.05, 0.2]), why=st.just(WHY)),
    st.builds(exists, st.sampled_from([0.05, 0.2]), why=st.just(WHY)),
)


def by_seed(*values):
    """Effects of seeds 1, 2, 3, ..."""
    return dict(enumerate(values, start=1))


def mirrored(trend):
    """The claim of the opposite of each effect."""
    null, bound = (None if value is None else -value for value in (trend.null, trend.bound))
    if trend.kind in ("equivalence", "non-inferiority"):
        bound = trend.bound
    return Trend(trend.kind, 1 if trend.kind == "equivalence" else -1, null, bound, trend.interest, trend.why)


def spread_out(values):
    """Whether a t test exists and no rounding decides it."""
    return np.std(values) > 1e-3


def t_p(values, cut, side):
    return oracle.ttest_1samp(values, cut, alternative=side).pvalue


def sign_p(hits, n):
    return oracle.binomtest(hits, n, 0.5, alternative="greater").pvalue


def shows(values, cut, side, level, gate=None):
    """One side by library tests alone: the t test, then from five seeds on the exact sign test."""
    hits = sum(x > cut if side == "greater" else x < cut for x in values)
    return t_p(values, cut, side) < level and (len(values) < 5 or sign_p(hits, len(values)) < (gate or level))


def expected_of_mean(values, trend, level):
    """Outcome and turn, written out kind by kind from the tables of the docs."""
    up, down = ("greater", "less") if trend.direction > 0 else ("less", "greater")
    if trend.kind == "equivalence":
        low, high = trend.null - trend.bound, trend.null + trend.bound
        if shows(values, high, "greater", level / 2, level) or shows(values, low, "less", level / 2, level):
            return "refuted", "reversed"
        within = sum(low < x < high for x in values)
        both = t_p(values, low, "greater") < level and t_p(values, high, "less") < level
        gated = len(values) < 5 or sign_p(within, len(values)) < level
        return ("reproduced", "") if both and gated else ("inconclusive", "")
    if trend.kind == "contrast":
        least = trend.null + trend.direction * trend.interest
        if shows(values, trend.null, down, level):
            return "refuted", "reversed"
        if shows(values, least, down, level):
            return "refuted", "absent"
        small = t_p(values, least, down) < level
        return ("reproduced", "") if shows(values, trend.null, up, level) and not small else ("inconclusive", "")
    cut = trend.bound if trend.kind == "level" else trend.null - trend.direction * trend.bound
    if shows(values, cut, down, level):
        return "refuted", "absent" if trend.kind == "level" else "reversed"
    return ("reproduced", "") if shows(values, cut, up, level) else ("inconclusive", "")


# --- against the oracle --------------------------------------------------------------------------


@given(FULL, OF_MEANS, LEVELS, st.booleans())
def test_a_verdict_on_a_mean_is_t_tests_and_sign_tests_together(sample, trend, level, turned):
    """Outcome, turn and interval of every kind equal what scipy's tests give, claimed in either direction."""
    if turned:
        sample, trend = {seed: -x for seed, x in sample.items()}, mirrored(trend)
    values = list(sample.values())
    assume(spread_out(values))
    verdict = judge_trend(sample, trend, level=level)
    assert (verdict.outcome, verdict.turn) == expected_of_mean(values, trend, level)
    interval = oracle.ttest_1samp(values, 0).confidence_interval(1 - 2 * level)
    assert (verdict.low, verdict.high) == pytest.approx((interval.low, interval.high))
    exact = oracle.binomtest(verdict.agree, len(values), alternative="greater")
    assert verdict.fresh_seed_bound == pytest.approx(exact.proportion_ci(1 - level, "exact").low)
    centre = trend.bound if trend.null is None else trend.null
    assert verdict.effect_size == pytest.approx((np.mean(values) - centre) / np.std(values, ddof=1))
    assert (verdict.level, verdict.alpha, verdict.spread) == (level, 0.05, True)


@given(FULL, OF_MEANS)
def test_p_is_the_larger_of_t_and_sign_test(sample, trend):
    """Each against the library; together they say reproduced exactly where p is below the level, from five seeds on."""
    values, n = list(sample.values()), len(sample)
    assume(spread_out(values))
    verdict = judge_trend(sample, trend)
    if n < 5:
        assert (verdict.p_value, verdict.p_t, verdict.p_free) == (None, None, None)
        return
    if trend.kind == "equivalence":
        p_t = max(t_p(values, trend.null - trend.bound, "greater"), t_p(values, trend.null + trend.bound, "less"))
    else:
        p_t = t_p(values, trend.cut, "greater")
    assert verdict.p_t == pytest.approx(p_t, rel=1e-9)
    assert verdict.p_free == pytest.approx(sign_p(sum(map(trend.holds_for, values)), n))
    assert verdict.p_value == max(verdict.p_t, verdict.p_free)
    if verdict.turn != "absent" and not (trend.interest and verdict.p_against < 0.05):
        assert (verdict.outcome == "reproduced") == (verdict.p_value < 0.05)


@given(FULL, OF_MEANS)
def test_the_p_against_goes_with_the_refutation(sample, trend):
    """A claim is refuted exactly where the p of what refutes it is below the level and its seeds agree."""
    assume(spread_out(list(sample.values())))
    verdict = judge_trend(sample, trend)
    assert (verdict.outcome == "refuted") == (verdict.p_against < 0.05 and verdict.gate_against)
    if trend.kind == "contrast":
        assert verdict.p_against == pytest.approx(t_p(list(sample.values()), trend.least, "less"), rel=1e-9)
    assert verdict.gate_against or len(sample) >= 5


@given(FLAGS, OF_TRUTHS, LEVELS)
def test_a_verdict_on_truth_values_is_exact_binomial_tests(sample, trend, level):
    """Share, rate and existence against scipy's binomial test and its exact interval, on both sides."""
    n, hits = len(sample), int(sum(sample.values()))
    verdict = judge_trend(sample, trend, level=level)

    def p(count, share, side):
        return oracle.binomtest(count, n, share, alternative=side).pvalue

    if trend.kind == "share":
        holds, fails = p(hits, trend.bound, "greater"), p(hits, trend.bound, "less")
    elif trend.kind == "existence":
        holds, fails = p(hits, trend.bound, "greater"), p(hits, 0.5, "less")
    else:
        fewer = min(hits, n - hits)
        holds = max(p(hits, trend.bound, "greater"), p(n - hits, trend.bound, "greater"))
        fails = min(1, p(fewer, trend.bound, "less") + p(n - fewer, trend.bound, "greater"))
    expected = "reproduced" if holds < level else "refuted" if fails < level else "inconclusive"
    assert (verdict.outcome, verdict.turn) == (expected, "absent" if expected == "refuted" else "")
    assert verdict.p_against == pytest.approx(fails)
    both = oracle.binomtest(hits, n).proportion_ci(1 - 2 * level, "exact")
    assert (verdict.low, verdict.high) == pytest.approx((both.low, both.high), abs=1e-12)
    assert (verdict.mean, verdict.agree, verdict.sd) == (hits / n, hits, None)
    if n >= 5:
        assert verdict.p_value == verdict.p_t == verdict.p_free == pytest.approx(holds)


# --- the tables ----------------------------------------------------------------------------------


def around(centre):
    """Five effects with a 90% interval of centre -+ 0.1507."""
    return by_seed(*(centre + 0.1 * step for step in (-2, -1, 0, 1, 2)))


@pytest.mark.parametrize(
    ("centre", "trend", "outcome", "reason"),
    [
        (1, above(), "reproduced", "the 90% interval [0.8493, 1.151] lies above 0"),
        (0, above(), "inconclusive", "the 90% interval [-0.1507, 0.1507] includes 0"),
        (-1, above(), "refuted", "reversed: the 90% interval [-1.151, -0.8493] lies below 0"),
        (2, above(interest=1, why=WHY), "reproduced", "the 90% interval [1.849, 2.151] lies above 0"),
        (1, above(interest=1, why=WHY), "reproduced", "the 90% interval [0.8493, 1.151] lies above 0"),
        (
            0.5,
            above(interest=1, why=WHY),
            "refuted",
            "absent: the 90% interval [0.3493, 0.6507] lies below 1, the smallest effect of interest",
        ),
        (
            0,
            above(interest=1, why=WHY),
            "refuted",
            "absent: the 90% interval [-0.1507, 0.1507] lies below 1, the smallest effect of interest",
        ),
        (-1, above(interest=1, why=WHY), "refuted", "reversed: the 90% interval [-1.151, -0.8493] lies below 0"),
        (0.1, above(interest=0.2, why=WHY), "inconclusive", "the 90% interval [-0.05074, 0.2507] includes 0"),
        (0.5, below(1, interest=0.25, why=WHY), "reproduced", "the 90% interval [0.3493, 0.6507] lies below 1"),
        (
            0.9,
            below(1, interest=0.5, why=WHY),
            "refuted",
            "absent: the 90% interval [0.7493, 1.051] lies above 0.5, the smallest effect of interest",
        ),
        (2, below(1, interest=0.5, why=WHY), "refuted", "reversed: the 90% interval [1.849, 2.151] lies above 1"),
        (0.1, equivalent(1, why=WHY), "reproduced", "the 90% interval [-0.05074, 0.2507] lies above -1 and below 1"),
        (1, equivalent(1, why=WHY), "inconclusive", "the 90% interval [0.8493, 1.151] includes 1"),
        (0, equivalent(0.1, why=WHY), "inconclusive", "the 90% interval [-0.1507, 0.1507] includes -0.1 and 0.1"),
        (2, equivalent(1, why=WHY), "refuted", "reversed: the 95% interval [1.804, 2.196] lies above 1"),
        (-2, equivalent(1, why=WHY), "refuted", "reversed: the 95% interval [-2.196, -1.804] lies below -1"),
        (1.17, equivalent(1, why=WHY), "inconclusive", "the 95% interval [0.9737, 1.366] includes 1"),
        (0, not_below(margin=1, why=WHY), "reproduced", "the 90% interval [-0.1507, 0.1507] lies above -1"),
        (-1, not_below(margin=1, why=WHY), "inconclusive", "the 90% interval [-1.151, -0.8493] includes -1"),
        (-2, not_below(margin=1, why=WHY), "refuted", "reversed: the 90% interval [-2.151, -1.849] lies below -1"),
        (2, not_above(margin=1, why=WHY), "refuted", "reversed: the 90% interval [1.849, 2.151] lies above 1"),
        (5, level_above(4, why=WHY), "reproduced", "the 90% interval [4.849, 5.151] lies above 4"),
        (4, level_above(4, why=WHY), "inconclusive", "the 90% interval [3.849, 4.151] includes 4"),
        (3, level_above(4, why=WHY), "refuted", "absent: the 90% interval [2.849, 3.151] lies below 4"),
        (5, level_below(4, why=WHY), "refuted", "absent: the 90% interval [4.849, 5.151] lies above 4"),
    ],
)
def test_the_tables_of_the_mean(centre, trend, outcome, reason):
    """Every row of the docs' tables, with the one sentence that says what decided."""
    verdict = judge_trend(around(centre), trend)
    assert (verdict.outcome, verdict.reason) == (outcome, reason)
    assert verdict.turn == (reason.split(":")[0] if outcome == "refuted" else "")


SOME, EXISTS = in_some_seeds(0.05, why=WHY), exists(0.05, why=WHY)


@pytest.mark.parametrize(
    ("hits", "n", "trend", "outcome", "words"),
    [
        (5, 5, in_most_seeds(), "reproduced", "a share between 0.5493 and 1: above one half"),
        (4, 5, in_most_seeds(), "inconclusive", "includes one half"),
        (7, 8, in_most_seeds(), "reproduced", "above one half"),
        (
            0,
            5,
            in_most_seeds(),
            "refuted",
            "absent: true in 0 of 5 seeds, a share between 0 and 0.4507: below one half",
        ),
        (4, 4, in_most_seeds(), "inconclusive", "includes one half"),
        (11, 11, in_most_seeds(0.75), "reproduced", "above 0.75"),
        (10, 10, in_most_seeds(0.75), "inconclusive", "includes 0.75"),
        (4, 10, in_most_seeds(0.75), "refuted", "below 0.75"),
        (3, 8, SOME, "reproduced", "true and false in more than 0.05 each"),
        (1, 8, SOME, "inconclusive", "which leaves open whether both reach 0.05"),
        (8, 8, SOME, "inconclusive", "which leaves open whether both reach 0.05"),
        (0, 60, SOME, "refuted", "one of true and false in less than 0.05"),
        (60, 60, SOME, "refuted", "one of true and false in less than 0.05"),
        (2, 5, EXISTS, "reproduced", "more than the 0.05 that luck explains"),
        (1, 5, EXISTS, "inconclusive", "no more than luck explains (0.05), and not below one half"),
        (0, 5, EXISTS, "refuted", "no more than luck explains (0.05), and below one half"),
        (1, 20, EXISTS, "refuted", "below one half"),
    ],
)
def test_the_tables_of_truth_values(hits, n, trend, outcome, words):
    """Every row of the docs' tables for what is true or false in each seed."""
    verdict = judge_trend(by_seed(*[1.0] * hits, *[0.0] * (n - hits)), trend)
    assert verdict.outcome == outcome
    assert verdict.reason.removeprefix("absent: ").startswith(f"true in {hits} of {n} seeds, a share between ")
    assert verdict.reason.endswith(words)


@pytest.mark.parametrize(("share", "n"), [(0.5, 5), (0.6, 6), (0.75, 11), (0.8, 14), (0.9, 29)])
def test_unanimity_shows_a_share_from_so_many_seeds_on(share, n):
    """The smallest n at which all seeds show more than the declared share at 95 %."""
    assert judge_trend(by_seed(*[1.0] * n), in_most_seeds(share)).outcome == "reproduced"
    assert judge_trend(by_seed(*[1.0] * (n - 1)), in_most_seeds(share)).outcome == "inconclusive"


def test_the_gate_is_asked_of_what_refutes_too():
    """A mean below the null, or outside a margin, that few seeds share refutes nothing, and the reason counts them."""
    values = by_seed(-1.0, -1.01, -1.02, -1.03, 0.05)
    assert judge_trend(values, above()).reason == (
        "the 90% interval [-1.256, -0.3478] lies below 0, but 4 of 5 seeds there do not show a majority"
    )
    values = by_seed(2.0, 2.01, 2.02, 2.03, 0.9)
    verdict = judge_trend(values, equivalent(1, why=WHY))
    assert verdict.outcome == "inconclusive"
    assert verdict.reason.endswith("lies above 1, but 4 of 5 seeds there do not show a majority")


def test_the_gate_is_asked_of_an_equivalence():
    """An interval within the margin, but one of five seeds outside: no proven majority is as claimed."""
    verdict = judge_trend(by_seed(0.0, 0.01, 0.02, 0.0, 0.5), equivalent(0.45, why=WHY))
    assert verdict.high < 0.45
    assert verdict.outcome == "inconclusive"
    assert "but 4 of 5 seeds there do not show a majority" in verdict.reason


def test_beyond_the_null_and_below_the_interest_without_a_majority_is_open():
    """Shown above the null and too small to matter by t, yet not by the seeds: neither word is said."""
    values = by_seed(0.30, 0.31, 0.32, 0.33, 0.55)
    verdict = judge_trend(values, above(interest=0.5, why=WHY))
    assert (verdict.low > 0, verdict.high < 0.5) == (True, True)
    assert verdict.outcome == "inconclusive"
    assert verdict.reason.endswith(
        "below 0.5, the smallest effect of interest, but 4 of 5 seeds there do not show a majority"
    )


def test_parts_share_the_level_and_not_the_gate():
    """With a gate of its own the interval is the stricter one, and five of five seeds still are a majority at 0.05."""
    values = around(-1)
    assert judge_trend(values, above(), level=0.05 / 3).outcome == "inconclusive"
    verdict = judge_trend(values, above(), level=0.05 / 3, gate=0.05)
    assert (verdict.outcome, verdict.level) == ("refuted", 0.05 / 3)
    assert "the 96.67% interval" in verdict.reason


# --- properties ----------------------------------------------------------------------------------


@given(SAMPLES, DIRECTED, POSITIVE, LEVELS)
def test_better_effects_never_make_a_lower_verdict(sample, trend, gain, level):
    """Adding a positive constant to every effect keeps or raises the verdict, lowers p, and raises the p against."""
    before = judge_trend(sample, trend, level=level)
    after = judge_trend({seed: x + gain for seed, x in sample.items()}, trend, level=level)
    assert ORDER[after.outcome] >= ORDER[before.outcome]
    assert before.p_value is None or after.p_value <= before.p_value
    assert before.p_against is None or after.p_against >= before.p_against


@given(FLAGS, st.sampled_from([in_most_seeds(), in_most_seeds(0.75), EXISTS]), st.integers(0, 11))
def test_one_more_hit_never_makes_a_lower_verdict(sample, trend, seed):
    """The same of shares and existence."""
    more = {**sample, seed % len(sample): 1.0}
    before, after = judge_trend(sample, trend), judge_trend(more, trend)
    assert ORDER[after.outcome] >= ORDER[before.outcome]
    assert after.p_against >= before.p_against


@given(SAMPLES, OF_MEANS, LEVELS)
def test_a_claim_of_the_opposite_is_its_mirror_image(sample, trend, level):
    """Effects, null, bound and direction turned give the same verdict with mirrored numbers."""
    up = judge_trend(sample, trend, level=level)
    down = judge_trend({seed: -x for seed, x in sample.items()}, mirrored(trend), level=level)
    same = ("outcome", "turn", "n", "sd", "agree", "p_value", "p_t", "p_free", "fresh_seed_bound", "seeds_needed")
    same += ("gate_against", "provisional", "spread", "p_against")
    assert [getattr(down, name) for name in same] == [getattr(up, name) for name in same]
    assert down.reason.split(" interval")[0] == up.reason.split(" interval")[0]
    if up.low is not None:
        assert (down.low, down.high) == (-up.high, -up.low)
    if up.effect_size is not None:
        assert down.effect_size == -up.effect_size
    if up.superiority is not None:
        assert down.superiority == pytest.approx(1 - up.superiority)


@given(SAMPLES, OF_MEANS, st.sampled_from([0.25, 2.0, 1024.0]))
def test_units_do_not_matter(sample, trend, factor):
    """Effects and every number of the trend in another unit give the same verdict, p's, d and seeds needed."""
    original = judge_trend(sample, trend)
    null, bound = (None if value is None else factor * value for value in (trend.null, trend.bound))
    other = replace(trend, null=null, bound=bound, interest=factor * trend.interest)
    scaled = judge_trend({seed: factor * x for seed, x in sample.items()}, other)
    for name in ("outcome", "turn", "p_value", "p_against", "effect_size", "seeds_needed", "agree", "superiority"):
        assert getattr(scaled, name) == getattr(original, name)


@given(SAMPLES, OF_MEANS, st.randoms(use_true_random=False))
def test_the_order_of_seeds_does_not_matter(sample, trend, random):
    """A verdict is a function of the set of (seed, effect) pairs, to the last bit."""
    shuffled = list(sample.items())
    random.shuffle(shuffled)
    assert judge_trend(dict(shuffled), trend) == judge_trend(sample, trend)


@given(FULL, OF_MEANS, st.integers(2, 6))
def test_a_further_look_never_decides_more(sample, trend, looks):
    """Spending alpha over several looks only turns verdicts into inconclusive, and equals judging at that level.

    But for what is shown of a contrast by both sides: at the stricter level only the one may be left.
    """
    once, again = judge_trend(sample, trend), judge_trend(sample, trend, looks=looks)
    assert replace(again, looks=1) == judge_trend(sample, trend, level=0.05 / looks)
    assert again.level == 0.05 / looks
    if again.outcome != once.outcome and again.outcome != "inconclusive":
        assert (trend.interest > 0, once.low > trend.null, once.high < trend.least) == (True, True, True)


@given(FULL | FLAGS, st.data())
def test_every_verdict_is_plain_json(sample, data):
    """`to_json` has no nan and nothing JSON cannot hold, also without seeds or with a broken one."""
    truths = set(sample.values()) <= {0.0, 1.0}
    trend = data.draw(OF_TRUTHS if truths else OF_MEANS)
    for effects in (sample, {}, {1: math.nan}):
        verdict = judge_trend(effects, trend)
        assert json.loads(json.dumps(verdict.to_json(), allow_nan=False))["outcome"] == verdict.outcome


# --- few seeds, no spread, broken effects --------------------------------------------------------

ONE_OF_EACH = [above(), equivalent(2, why=WHY), not_below(margin=1, why=WHY), level_above(0.5, why=WHY)]
TRUE_OR_FALSE = [in_most_seeds(), SOME, EXISTS]


@pytest.mark.parametrize("trend", ONE_OF_EACH + TRUE_OR_FALSE, ids=lambda one: one.kind)
@pytest.mark.parametrize("n", [0, 1, 2])
def test_fewer_than_three_seeds_decide_nothing(trend, n):
    """However clear the effects: inconclusive, no p, not provisional, nothing against."""
    verdict = judge_trend(by_seed(*[1.0] * n), trend)
    assert (verdict.outcome, verdict.reason) == ("inconclusive", f"too few seeds: {n} of at least 3")
    assert (verdict.n, verdict.p_value, verdict.provisional) == (n, None, False)
    assert (verdict.p_against, verdict.gate_against, verdict.turn) == (None, False, "")


@pytest.mark.parametrize(("n", "provisional"), [(3, True), (4, True), (5, False)])
def test_below_five_seeds_verdicts_are_provisional_and_have_no_p(n, provisional):
    """A verdict on 3 or 4 seeds is given and marked; the p against is for several parts to read."""
    verdict = judge_trend(by_seed(*(1 + 0.1 * i for i in range(n))), above())
    assert (verdict.outcome, verdict.provisional) == ("reproduced", provisional)
    assert (verdict.p_value is None, verdict.p_t is None, verdict.p_free is None) == (provisional,) * 3
    against = judge_trend(by_seed(*(-1 - 0.1 * i for i in range(n))), above())
    assert (against.outcome, against.gate_against) == ("refuted", True)
    assert 0 < against.p_against < 0.05


def test_without_spread_there_is_no_p_by_t():
    """The interval is the point, the reason says so, and only the sign test has a p."""
    verdict = judge_trend(by_seed(*[0.25] * 5), above())
    assert (verdict.outcome, verdict.low, verdict.high, verdict.spread) == ("reproduced", 0.25, 0.25, False)
    assert verdict.reason == "no spread: the 90% interval [0.25, 0.25] lies above 0"
    assert (verdict.p_value, verdict.p_t, verdict.p_free) == (None, None, 1 / 32)
    assert (verdict.effect_size, verdict.seeds_needed, verdict.p_against) == (None, 5, 1.0)
    turned = judge_trend(by_seed(*[-0.25] * 5), above())
    assert (turned.outcome, turned.p_against, turned.gate_against) == ("refuted", 0.0, True)
    at = judge_trend(by_seed(*[0.0] * 5), above())
    assert (at.outcome, at.seeds_needed) == ("inconclusive", None)


@pytest.mark.parametrize("trend", ONE_OF_EACH + TRUE_OR_FALSE, ids=lambda one: one.kind)
@pytest.mark.parametrize(
    ("value", "name"), [(math.nan, "nan"), (math.inf, "inf"), (-math.inf, "-inf"), (1e200, "1e+200")]
)
def test_a_broken_effect_is_an_error_that_names_its_seed(trend, value, name):
    """One effect that is no usable number makes the verdict an error; no seed is dropped."""
    verdict = judge_trend({3: 1.0, 8: value, 5: 1.0, 7: 1.0}, trend)
    assert (verdict.outcome, verdict.reason, verdict.n) == ("error", f"the effect of seed 8 is {name}", 4)
    assert (verdict.mean, verdict.level) == (None, 0.05)


@pytest.mark.parametrize("scale", [6e149, 1e-160])
def test_very_large_and_very_small_effects_do_not_overflow(scale):
    """Up to 1e150 every number stays finite; a subnormal spread is still a spread."""
    verdict = judge_trend(by_seed(scale, 1.5 * scale, 1.2 * scale, 1.1 * scale, 1.3 * scale), above())
    assert (verdict.outcome, math.isfinite(verdict.p_value), verdict.seeds_needed) == ("reproduced", True, 5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: judge_trend([1.0, 2.0, 3.0], above()), "not keyed by seed: got list"),
        (lambda: judge_trend({"hopper": 1.0}, above()), "not keyed by seed: got 'hopper'"),
        (lambda: judge_trend({1: None}, above()), "seed 1 is not one number: got None"),
        (lambda: judge_trend({1: 0.0, 2: 0.5}, in_most_seeds()), r"a share is true \(1.0\) or false .* got {2: 0.5}"),
        (lambda: judge_trend({}, above(), alpha=0.5), "0 < alpha < 0.5"),
        (lambda: judge_trend({}, above(), looks=0), "from 1 on"),
        (lambda: judge_trend({}, above(), level=0.0), "0 < alpha < 0.5"),
        (lambda: judge_trend({}, above(), gate=0.6), "0 < alpha < 0.5"),
    ],
)
def test_input_that_is_not_a_sample_is_a_typed_error(call, message):
    """Unkeyed or non-numeric effects, truth values that are none, and levels that cannot be spent say what is wrong."""
    with pytest.raises(StatisticsError, match=message):
        call()


def test_numpy_numbers_are_numbers():
    """Seeds and effects straight from numpy arrays, and numpy truth values, are taken as they are."""
    seeds, effects = np.array([1, 2, 3]), np.array([1.0, 2.0, 3.0], np.float32)
    assert judge_trend(dict(zip(seeds, effects, strict=True)), above()) == judge_trend(by_seed(1.0, 2.0, 3.0), above())
    assert judge_trend(dict(zip(seeds, effects > 0, strict=True)), in_most_seeds()).agree == 3


# --- what is printed beside the verdict ----------------------------------------------------------


def test_the_numbers_beside_the_verdict():
    """A worked example, by hand: d and P(A > B) are about the null, not about the smallest effect of interest."""
    verdict = judge_trend(by_seed(1.0, 2.0, 3.0, 0.0, 4.0), above(1.0, interest=0.5, why=WHY))
    assert (verdict.n, verdict.mean, verdict.agree, verdict.superiority) == (5, 2.0, 3, 0.7)
    assert verdict.sd == pytest.approx(math.sqrt(2.5))
    assert verdict.effect_size == pytest.approx(1 / math.sqrt(2.5))
    assert verdict.p_free == 0.5
    # d = 0.632: t alone would do with 17 seeds, the seeds' gate takes nearly twice as many.
    assert verdict.seeds_needed == 30
    assert (verdict.alpha, verdict.looks, verdict.level) == (0.05, 1, 0.05)


def test_a_level_has_no_null_to_be_superior_to():
    """P(A > B) is None; d is counted from the bound."""
    verdict = judge_trend(by_seed(1.0, 2.0, 3.0), level_above(1, why=WHY))
    assert (verdict.superiority, verdict.effect_size) == (None, 1.0)
    assert judge_trend(by_seed(1.0, 0.0, 1.0), in_most_seeds()).superiority is None


def test_truth_values_have_no_gate():
    """Exact counts are the gate."""
    assert judge_trend(by_seed(*[1.0] * 5), in_most_seeds()).gate_against
    assert {"share", "rate", "existence"} == TRUTHS
