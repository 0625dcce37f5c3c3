"""Edition 1 of the verdict rule: properties, a naive oracle, and the words of its reasons."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats as oracle

from dtclaims.errors import StatisticsError
from dtclaims.harness.stats.predicates import above, below, equivalent, holds_in
from dtclaims.harness.stats.verdict import judge

# Multiples of 1/64 of moderate size: sums, shifts and scalings by powers of two are exact, so properties are too.
GRID = st.integers(-512, 512).map(lambda i: i / 64)
SAMPLES = st.lists(GRID, min_size=0, max_size=10).map(lambda values: dict(enumerate(values, start=666)))
FULL = st.lists(GRID, min_size=3, max_size=10).map(lambda values: dict(enumerate(values)))
ALPHAS = st.sampled_from([0.05, 0.025, 0.01, 0.2])
ORDER = {"refuted": 0, "inconclusive": 1, "reproduced": 2}


def by_seed(*values):
    """Effects of seeds 1, 2, 3, ..."""
    return dict(enumerate(values, start=1))


def naive_directional(values, cut, alpha):
    """Rules 2 to 5 by library tests alone: one-sample t in both directions, then the exact sign test."""
    n = len(values)
    if n < 3:
        return "inconclusive"
    for outcome, side, hits in (
        ("reproduced", "greater", sum(x > cut for x in values)),
        ("refuted", "less", sum(x < cut for x in values)),
    ):
        passes_t = oracle.ttest_1samp(values, cut, alternative=side).pvalue < alpha
        passes_sign = n < 5 or oracle.binomtest(hits, n, 0.5, alternative="greater").pvalue < alpha
        if passes_t and passes_sign:
            return outcome
    return "inconclusive"


def spread_out(values):
    """Whether a t test exists and no rounding decides it."""
    return len(values) < 2 or np.std(values) > 1e-3


# --- against the oracle --------------------------------------------------------------------------


@given(SAMPLES, GRID, ALPHAS)
def test_a_directional_verdict_is_t_test_and_sign_test_together(sample, cut, alpha):
    """Outcome and numbers equal scipy's ttest_1samp, binomtest and their intervals."""
    values = list(sample.values())
    assume(spread_out(values))
    verdict = judge(sample, above(cut), alpha=alpha)
    assert verdict.outcome == naive_directional(values, cut, alpha)
    assert verdict.agree == sum(x > cut for x in values)
    if len(values) >= 3:
        test = oracle.ttest_1samp(values, cut, alternative="greater")
        interval = oracle.ttest_1samp(values, cut).confidence_interval(1 - 2 * alpha)
        assert verdict.p_value == pytest.approx(test.pvalue, rel=1e-9)
        assert (verdict.low, verdict.high) == pytest.approx((interval.low, interval.high))
        exact = oracle.binomtest(verdict.agree, len(values), alternative="greater")
        assert verdict.fresh_seed_bound == pytest.approx(exact.proportion_ci(1 - alpha, "exact").low)
        assert verdict.effect_size == pytest.approx(np.mean(values) / np.std(values, ddof=1))


@given(FULL, st.sampled_from([0.5, 1.0, 4.0]), GRID, ALPHAS)
def test_an_equivalence_verdict_is_two_one_sided_tests(sample, margin, centre, alpha):
    """Reproduced if both t tests reject, refuted if one rejects the other way; no gate; p is the larger."""
    values = list(sample.values())
    assume(spread_out(values))
    verdict = judge(sample, equivalent(margin, to=centre), alpha=alpha)

    def p(cut, side):
        return oracle.ttest_1samp(values, cut, alternative=side).pvalue

    larger = max(p(centre - margin, "greater"), p(centre + margin, "less"))
    assert verdict.p_value == pytest.approx(larger, rel=1e-9)
    if larger < alpha:
        assert verdict.outcome == "reproduced"
    elif min(p(centre - margin, "less"), p(centre + margin, "greater")) < alpha:
        assert verdict.outcome == "refuted"
    else:
        assert verdict.outcome == "inconclusive"


# --- properties ----------------------------------------------------------------------------------


@given(SAMPLES, GRID, st.integers(1, 512).map(lambda i: i / 64), ALPHAS)
def test_better_effects_never_make_a_lower_verdict(sample, cut, gain, alpha):
    """Adding a positive constant to every effect keeps or raises the verdict on `above`, and lowers p."""
    before = judge(sample, above(cut), alpha=alpha)
    after = judge({seed: x + gain for seed, x in sample.items()}, above(cut), alpha=alpha)
    assert ORDER[after.outcome] >= ORDER[before.outcome]
    assert before.p_value is None or after.p_value <= before.p_value


@given(SAMPLES, GRID, st.none() | GRID, ALPHAS)
def test_below_is_the_mirror_image_of_above(sample, cut, null, alpha):
    """Effects, threshold and null with the other sign give the same verdict with mirrored numbers."""
    up = judge(sample, above(cut, null=null), alpha=alpha)
    mirrored = {seed: -x for seed, x in sample.items()}
    down = judge(mirrored, below(-cut, null=None if null is None else -null), alpha=alpha)
    assert down.outcome == up.outcome
    assert down.reason.split(" interval")[0] == up.reason.split(" interval")[0]
    if up.mean is not None:
        assert down.mean == -up.mean
    if up.low is not None:
        assert (down.low, down.high) == (-up.high, -up.low)
    if up.superiority is not None:
        assert down.superiority == pytest.approx(1 - up.superiority)
    same = ("n", "sd", "agree", "p_value", "fresh_seed_bound", "seeds_needed", "provisional")
    assert [getattr(down, name) for name in same] == [getattr(up, name) for name in same]


@given(SAMPLES, GRID, st.sampled_from([0.25, 2.0, 1024.0]))
def test_units_do_not_matter(sample, cut, factor):
    """Effects and threshold in another unit give the same outcome, p, d and seeds needed."""
    original = judge(sample, above(cut))
    scaled = judge({seed: factor * x for seed, x in sample.items()}, above(factor * cut))
    for name in ("outcome", "p_value", "effect_size", "seeds_needed", "agree", "superiority"):
        assert getattr(scaled, name) == getattr(original, name)


@given(SAMPLES, st.sampled_from([above(1), below(1), equivalent(1)]), st.randoms(use_true_random=False))
def test_the_order_of_seeds_does_not_matter(sample, predicate, random):
    """A verdict is a function of the set of (seed, effect) pairs, to the last bit."""
    shuffled = list(sample.items())
    random.shuffle(shuffled)
    assert judge(dict(shuffled), predicate) == judge(sample, predicate)


@given(FULL, GRID, st.integers(2, 6))
def test_a_further_look_never_decides_more(sample, cut, looks):
    """Spending alpha over several looks only widens the interval and equals judging at alpha / looks."""
    once, again = judge(sample, above(cut)), judge(sample, above(cut), looks=looks)
    assert again.outcome in (once.outcome, "inconclusive")
    assert replace(again, alpha=0.05 / looks, looks=1) == judge(sample, above(cut), alpha=0.05 / looks)


@given(FULL, GRID)
def test_reproduced_means_the_printed_numbers_say_so(sample, cut):
    """The interval is above the cut, p is below alpha, and from five seeds on the bound exceeds one half."""
    verdict = judge(sample, above(cut))
    decided = verdict.low > cut and (verdict.n < 5 or verdict.fresh_seed_bound > 0.5)
    assert (verdict.outcome == "reproduced") == decided
    assert not decided or verdict.p_value < 0.05


@given(FULL)
def test_every_verdict_is_plain_json(sample):
    """`to_json` has no nan and nothing JSON cannot hold, also without seeds."""
    for verdict in (judge(sample, above(0)), judge({}, above(0)), judge({1: math.nan}, above(0))):
        assert json.loads(json.dumps(verdict.to_json(), allow_nan=False))["outcome"] == verdict.outcome


# --- few seeds, no spread, broken effects --------------------------------------------------------


@pytest.mark.parametrize("predicate", [above(0), below(9), equivalent(9), holds_in()])
@pytest.mark.parametrize("n", [0, 1, 2])
def test_fewer_than_three_seeds_decide_nothing(predicate, n):
    """However clear the effects: inconclusive, no p-value, not provisional."""
    verdict = judge(by_seed(*[1.0] * n), predicate)
    assert (verdict.outcome, verdict.reason) == ("inconclusive", f"too few seeds: {n} of at least 3")
    assert (verdict.n, verdict.p_value, verdict.provisional) == (n, None, False)


@pytest.mark.parametrize(("n", "provisional"), [(3, True), (4, True), (5, False)])
def test_three_and_four_seeds_are_provisional(n, provisional):
    """A verdict on 3 or 4 seeds is given and marked."""
    verdict = judge(by_seed(*(1 + 0.1 * i for i in range(n))), above(0))
    assert (verdict.outcome, verdict.provisional) == ("reproduced", provisional)


def test_equal_effects_make_the_interval_a_point():
    """Without spread the interval is the mean itself, exactly: three times 0.1 is not above 0.1."""
    verdict = judge(by_seed(0.1, 0.1, 0.1), above(0.1))
    assert (verdict.outcome, verdict.low, verdict.high, verdict.sd) == ("inconclusive", 0.1, 0.1, 0.0)
    assert (verdict.p_value, verdict.effect_size, verdict.seeds_needed) == (1.0, None, None)
    clear = judge(by_seed(0.1, 0.1, 0.1, 0.1), above(0.0))
    assert (clear.outcome, clear.p_value, clear.seeds_needed) == ("reproduced", 0.0, 4)
    assert judge(by_seed(0.1, 0.1, 0.1), above(0.2)).outcome == "refuted"


@pytest.mark.parametrize("predicate", [above(0), equivalent(1), holds_in()])
@pytest.mark.parametrize(
    ("value", "name"), [(math.nan, "nan"), (math.inf, "inf"), (-math.inf, "-inf"), (1e200, "1e+200")]
)
def test_a_broken_effect_is_an_error_that_names_its_seed(predicate, value, name):
    """One effect that is no usable number makes the verdict an error; no seed is dropped."""
    verdict = judge({3: 1.0, 8: value, 5: 1.0, 7: 1.0}, predicate)
    assert (verdict.outcome, verdict.reason, verdict.n) == ("error", f"the effect of seed 8 is {name}", 4)
    assert verdict.mean is None


def test_very_large_and_very_small_effects_do_not_overflow():
    """Up to 1e150 every number stays finite; a subnormal spread is still a spread."""
    for scale in (6e149, 1e-160):
        verdict = judge(by_seed(scale, 1.5 * scale, 1.2 * scale), above(0))
        assert verdict.outcome == "reproduced"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: judge([1.0, 2.0, 3.0], above(0)), "not keyed by seed: got list"),
        (lambda: judge({"hopper": 1.0}, above(0)), "not keyed by seed: got 'hopper'"),
        (lambda: judge({1: None}, above(0)), "seed 1 is not one number: got None"),
        (lambda: judge({1: [1.0, 2.0]}, above(0)), "seed 1 is not one number"),
        (lambda: judge({1: 0.0, 2: 0.5}, holds_in()), r"true \(1.0\) or false \(0.0\).* got {2: 0.5}"),
        (lambda: judge({}, above(0), alpha=0.5), "0 < alpha < 0.5"),
        (lambda: judge({}, above(0), looks=0), "from 1 on"),
    ],
)
def test_input_that_is_not_a_sample_is_a_typed_error(call, message):
    """Unkeyed or non-numeric effects, and bad alpha or looks, say what is wrong."""
    with pytest.raises(StatisticsError, match=message):
        call()


def test_numpy_numbers_are_numbers():
    """Seeds and effects straight from numpy arrays, and numpy truth values, are taken as they are."""
    seeds, effects = np.array([1, 2, 3]), np.array([1.0, 2.0, 3.0], np.float32)
    verdict = judge(dict(zip(seeds, effects, strict=True)), above(0))
    assert verdict == judge(by_seed(1.0, 2.0, 3.0), above(0))
    assert judge(dict(zip(seeds, effects > 0, strict=True)), holds_in()).agree == 3


# --- the agreement gate --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("n", "misses", "outcome"),
    [(5, 0, "reproduced"), (5, 1, "inconclusive"), (7, 1, "inconclusive"), (8, 1, "reproduced"), (10, 1, "reproduced")],
)
def test_one_miss_passes_the_gate_from_eight_seeds_on(n, misses, outcome):
    """The table's k of n, where the t interval alone would decide for the claim."""
    values = [1.0 + 0.01 * i for i in range(n - misses)] + [0.45] * misses
    verdict = judge(by_seed(*values), above(0.5))
    assert verdict.low > 0.5
    assert (verdict.outcome, verdict.agree) == (outcome, n - misses)


def test_a_failed_gate_says_so():
    """The reason names the interval, the side and k of n, in both directions."""
    values = (1.0, 1.01, 1.02, 1.03, 0.45)
    up = judge(by_seed(*values), above(0.5))
    assert up.reason == (
        "the 90% interval [0.6609, 1.143] lies above 0.5, but 4 of 5 seeds there do not show a majority"
    )
    down = judge(by_seed(*(-x for x in values)), above(-0.5))
    assert down.outcome == "inconclusive"
    assert down.reason.endswith("lies below -0.5, but 4 of 5 seeds there do not show a majority")


def test_the_gate_spends_alpha_per_look_too():
    """Five of five seeds are a majority at 0.05 and not at 0.025."""
    sample = by_seed(1.0, 1.01, 1.02, 1.03, 1.04)
    assert judge(sample, above(0)).outcome == "reproduced"
    assert judge(sample, above(0), looks=2).outcome == "inconclusive"


# --- the words -----------------------------------------------------------------------------------


def around(centre):
    """Five effects with a 90% interval of centre -+ 0.1507."""
    return by_seed(*(centre + 0.1 * step for step in (-2, -1, 0, 1, 2)))


@pytest.mark.parametrize(
    ("centre", "predicate", "outcome", "reason"),
    [
        (6, above(5), "reproduced", "the 90% interval [5.849, 6.151] lies above 5"),
        (5, above(5), "inconclusive", "the 90% interval [4.849, 5.151] includes 5"),
        (1, above(5), "refuted", "negligible: the 90% interval [0.8493, 1.151] lies between -5 and 5"),
        (0, above(5), "refuted", "negligible: the 90% interval [-0.1507, 0.1507] lies between -5 and 5"),
        (-1, above(5), "refuted", "reversed: the 90% interval [-1.151, -0.8493] lies below 0"),
        (-6, above(-5), "refuted", "reversed: the 90% interval [-6.151, -5.849] lies below -5"),
        (-6, above(0), "refuted", "reversed: the 90% interval [-6.151, -5.849] lies below 0"),
        (
            0.95,
            above(1.25, null=1),
            "refuted",
            "negligible: the 90% interval [0.7993, 1.101] lies between 0.75 and 1.25",
        ),
        (0.8, above(1.25, null=1), "refuted", "reversed: the 90% interval [0.6493, 0.9507] lies below 1"),
        (30, above(47, null=None), "refuted", "the 90% interval [29.85, 30.15] lies below 47"),
        (-6, below(-5), "reproduced", "the 90% interval [-6.151, -5.849] lies below -5"),
        (-1, below(-5), "refuted", "negligible: the 90% interval [-1.151, -0.8493] lies between -5 and 5"),
        (1, below(-5), "refuted", "reversed: the 90% interval [0.8493, 1.151] lies above 0"),
        (12, below(10, null=None), "refuted", "the 90% interval [11.85, 12.15] lies above 10"),
        (1, equivalent(5), "reproduced", "the 90% interval [0.8493, 1.151] lies above -5 and below 5"),
        (6, equivalent(5), "refuted", "the 90% interval [5.849, 6.151] lies above 5"),
        (-6, equivalent(5), "refuted", "the 90% interval [-6.151, -5.849] lies below -5"),
        (5, equivalent(5), "inconclusive", "the 90% interval [4.849, 5.151] includes 5"),
        (0, equivalent(0.1), "inconclusive", "the 90% interval [-0.1507, 0.1507] includes -0.1 and 0.1"),
    ],
)
def test_the_reason_says_what_decided(centre, predicate, outcome, reason):
    """Every outcome has one plain sentence with the interval and the number it was compared with."""
    verdict = judge(around(centre), predicate)
    assert (verdict.outcome, verdict.reason) == (outcome, reason)


def test_smaller_than_declared_is_neither_reversed_nor_negligible():
    """A wide interval below the threshold that reaches past both the null and the mirrored threshold."""
    effects = (0.1, -1.2, -0.9, 0.15, -0.5)
    verdict = judge(by_seed(*effects), above(0.2))
    assert verdict.outcome == "refuted"
    assert verdict.reason == "smaller than declared: the 90% interval [-1.04, 0.09965] lies below 0.2"
    mirrored = judge(by_seed(*(-x for x in effects)), below(-0.2))
    assert mirrored.reason == "smaller than declared: the 90% interval [-0.09965, 1.04] lies above -0.2"


# --- what is printed beside the verdict ----------------------------------------------------------


def test_the_numbers_beside_the_verdict():
    """A worked example: every field of rule 11, by hand."""
    verdict = judge(by_seed(1.0, 2.0, 3.0, 0.0, 4.0), above(1.0))
    assert (verdict.n, verdict.mean, verdict.agree, verdict.superiority) == (5, 2.0, 3, 0.9)
    assert verdict.sd == pytest.approx(math.sqrt(2.5))
    assert verdict.effect_size == pytest.approx(2 / math.sqrt(2.5))
    # d above the cut is 0.632: (t(.95) + t(.80)) / sqrt(n) is 0.640 at 17 seeds and 0.620 at 18.
    assert verdict.seeds_needed == 18
    assert (verdict.alpha, verdict.looks) == (0.05, 1)


def test_seeds_needed_is_none_on_the_wrong_side():
    """More seeds of the same do not help a mean below the threshold or outside the margin."""
    sample = by_seed(1.0, 2.0, 3.0)
    assert judge(sample, above(2.5)).seeds_needed is None
    assert judge(sample, equivalent(1.5)).seeds_needed is None
    assert judge(sample, equivalent(3)).seeds_needed == judge(sample, above(1)).seeds_needed == 8


def test_superiority_counts_against_the_null_not_the_threshold():
    """P(A > B) is about no difference, whatever margin was declared."""
    sample = by_seed(1.2, 0.9, 1.0, 1.1)
    assert judge(sample, above(1.25, null=1)).superiority == 0.625
    assert judge(sample, above(47, null=None)).superiority is None


# --- set claims ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hits", "n", "outcome", "provisional"),
    [
        (3, 3, "reproduced", True),
        (4, 4, "reproduced", True),
        (3, 4, "inconclusive", True),
        (5, 5, "reproduced", False),
        (4, 5, "inconclusive", False),
        (7, 8, "reproduced", False),
        (6, 8, "inconclusive", False),
        (8, 10, "reproduced", False),
        (15, 20, "inconclusive", False),
        (1, 8, "refuted", False),
        (0, 3, "refuted", True),
        (2, 8, "inconclusive", False),
    ],
)
def test_a_set_claim_needs_the_share_and_wilsons_bound(hits, n, outcome, provisional):
    """Reproduced from 80% of the seeds with a lower bound above one half, refuted with an upper bound below."""
    verdict = judge(by_seed(*[1.0] * hits, *[0.0] * (n - hits)), holds_in())
    assert (verdict.outcome, verdict.agree, verdict.provisional) == (outcome, hits, provisional)
    interval = oracle.binomtest(hits, n).proportion_ci(0.9, "wilson")
    assert (verdict.low, verdict.high) == pytest.approx((interval.low, interval.high), abs=1e-12)
    assert (verdict.mean, verdict.sd, verdict.superiority) == (hits / n, None, None)


def test_set_claims_spend_alpha_per_look_too():
    """Three of three are enough at 0.05 and not at 0.025, where four are needed."""
    once, again = (judge(by_seed(1.0, 1.0, 1.0), holds_in(), looks=looks) for looks in (1, 2))
    assert (once.outcome, once.seeds_needed) == ("reproduced", 3)
    assert (again.outcome, again.seeds_needed) == ("inconclusive", 4)
    assert again.low < 0.5 < once.low


def test_set_claims_give_their_reason():
    """k of n, the bounds, and the comparison that decided."""
    reasons = [judge(by_seed(*[1.0] * hits, *[0.0] * (20 - hits)), holds_in()).reason for hits in (18, 15, 11, 4)]
    assert reasons == [
        "true in 18 of 20 seeds, a share between 0.7383 and 0.9663: above one half",
        "true in 15 of 20 seeds, a share between 0.5678 and 0.8726: above one half, but fewer than 0.8 of the seeds",
        "true in 11 of 20 seeds, a share between 0.3722 and 0.7159: includes one half",
        "true in 4 of 20 seeds, a share between 0.09312 and 0.3784: below one half",
    ]


@given(st.lists(st.sampled_from([0.0, 1.0]), min_size=3, max_size=12))
def test_the_opposite_set_claim_has_the_opposite_bounds(truths):
    """A statement and its negation are never both reproduced, and their bounds mirror at one half."""
    yes = judge(by_seed(*truths), holds_in())
    no = judge(by_seed(*(1 - truth for truth in truths)), holds_in())
    assert (yes.low, yes.high) == pytest.approx((1 - no.high, 1 - no.low), abs=1e-12)
    assert {yes.outcome, no.outcome} != {"reproduced"}
    assert yes.outcome != "reproduced" or no.outcome == "refuted"
