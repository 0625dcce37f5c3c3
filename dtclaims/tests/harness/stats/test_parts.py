"""Edition 2, several parts: what they amount to, who decides, and what it costs."""

import json
import math
from dataclasses import asdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dtclaims.errors import StatisticsError
from dtclaims.harness.stats import judge_parts, judge_trend
from dtclaims.harness.stats.trends import above, below, equivalent, exists, in_most_seeds, level_above

SEEDS = (1, 2, 3, 4, 5)
STEPS = (-1.5, -0.6, 0.0, 0.6, 1.5)


def effects(centre, spread=0.1):
    """Five effects around `centre`, sd about 1.15 * spread."""
    return dict(zip(SEEDS, (centre + spread * step for step in STEPS), strict=True))


GOOD, BAD, OPEN = effects(3), effects(-3), effects(0.05)
WEAK = dict(zip(SEEDS, (-0.2, -0.4, -1.0, -1.5, -2.6), strict=True))
"""Below 0 in every seed, and by t at 0.05 but not at 0.025."""
TRUE, FALSE = dict.fromkeys(SEEDS, 1.0), dict.fromkeys(SEEDS, 0.0)
GRID = st.integers(-256, 256).map(lambda i: i / 64)


def samples(n):
    """Effects of n seeds."""
    return st.lists(GRID, min_size=n, max_size=n).map(lambda values: dict(enumerate(values)))


def parts(*found, trend=None):
    """Named a, b, c, ... with one trend for all."""
    named = dict(zip("abcdefghijkl", found, strict=False))
    return named, dict.fromkeys(named, trend or above())


ANY = [frozenset("abc")]


def test_all_parts_must_be_reproduced():
    """Three reproduced tasks make a reproduced claim, decided by all of them."""
    verdict = judge_parts(*parts(GOOD, effects(2), effects(1)))
    assert (verdict.outcome, verdict.decided_by, verdict.turn) == ("reproduced", ("a", "b", "c"), "")
    assert [part.split(":")[0] for part in verdict.reason.split("; ")] == ["a", "b", "c"]


@pytest.mark.parametrize("count", [2, 3, 4, 6, 12])
def test_five_seeds_refute_a_claim_of_any_number_of_parts(count):
    """One part on the other side decides, whether by a share of alpha or by sign flips; no other is named."""
    verdict = judge_parts(*parts(*[GOOD] * (count - 1), BAD))
    bad = "abcdefghijkl"[count - 1]
    assert (verdict.outcome, verdict.decided_by, verdict.turn) == ("refuted", (bad,), "reversed")
    assert verdict.reason.startswith(f"{bad}: reversed: the ")
    assert verdict.p_against < 0.05
    assert verdict.gate_against


def test_the_word_of_a_refutation_holds_at_the_stricter_level():
    """Reversed alone at 0.05, but of two parts only too small to matter: absent is what is said."""
    found = judge_parts(*parts(WEAK, GOOD, trend=above(interest=2, why="ours")))
    assert (found.components["a"].turn, found.turn) == ("reversed", "absent")
    assert found.reason.startswith("a: absent: the 95% interval")


def test_one_open_part_leaves_the_claim_open():
    """A part that could not be decided makes the whole inconclusive, decided by that part."""
    verdict = judge_parts(*parts(GOOD, OPEN))
    assert (verdict.outcome, verdict.decided_by) == ("inconclusive", ("b",))
    assert verdict.reason == f"b: {verdict.components['b'].reason}"


def test_refutation_pays_for_the_choice_of_part():
    """A part refuted at 0.05 but not at 0.05 / 3, or not among twelve, leaves the claim open and says why."""
    verdict = judge_parts(*parts(GOOD, WEAK, GOOD))
    assert verdict.components["b"].outcome == "refuted"
    assert (verdict.outcome, verdict.decided_by) == ("inconclusive", ("b",))
    assert verdict.reason == "b: the 96.67% interval [-2.513, 0.2327] includes 0"
    many = judge_parts(*parts(WEAK, *[OPEN] * 11))
    assert many.outcome == "inconclusive"
    assert "a: reversed: " in many.reason
    assert "but not so far that it could not be the furthest of 12 by luck" in many.reason


def test_an_error_outranks_everything():
    """A part with a missing run is an error of the claim, even where another refutes it."""
    verdict = judge_parts(*parts({**GOOD, 4: math.nan}, BAD, GOOD, GOOD))
    assert (verdict.outcome, verdict.decided_by) == ("error", ("a",))
    assert verdict.reason == "a: the effect of seed 4 is nan"
    assert (verdict.p_value, verdict.p_against, verdict.gate_against) == (None, None, False)


def test_parts_without_a_say_are_judged_and_reported():
    """Of a primary task alone comes the verdict, at alpha; errors and refutations of the others change nothing."""
    named, trends = parts(GOOD, BAD, {**GOOD, 4: math.nan}, OPEN)
    verdict = judge_parts(named, trends, deciding=frozenset("a"))
    alone = judge_trend(GOOD, above())
    assert (verdict.outcome, verdict.decided_by, verdict.p_value) == ("reproduced", ("a",), alone.p_value)
    assert [part.outcome for part in verdict.components.values()] == ["reproduced", "refuted", "error", "inconclusive"]
    assert verdict.reason == f"a: {alone.reason}"
    turned = judge_parts(named, trends, deciding=frozenset("b"))
    assert (turned.outcome, turned.reason) == ("refuted", f"b: {judge_trend(BAD, above()).reason}")


@given(samples(6))
def test_one_part_says_what_judge_trend_says(sample):
    """A single part changes neither outcome, reason, p's nor any number."""
    alone = judge_trend(sample, above(0.5))
    combined = judge_parts({"effect": sample}, {"effect": above(0.5)})
    for name in ("outcome", "reason", "turn", "p_value", "p_t", "p_free", "p_against", "gate_against", "provisional"):
        assert getattr(combined, name) == getattr(alone, name), name
    assert combined.components["effect"] == alone


@given(samples(6), samples(6), samples(6))
def test_the_claims_p_is_the_largest(a, b, c):
    """Every part has to hold, so the claim's p's are the largest; it is reproduced where all are."""
    verdict = judge_parts(*parts(a, b, c))
    for name in ("p_value", "p_t", "p_free"):
        each = [getattr(part, name) for part in verdict.components.values()]
        assert getattr(verdict, name) == (None if None in each else max(each))
    everywhere = all(part.outcome == "reproduced" for part in verdict.components.values())
    assert (verdict.outcome == "reproduced") == everywhere


@given(st.integers(2, 6), st.data())
def test_a_claim_is_refuted_where_its_p_against_is_small_and_its_seeds_agree(count, data):
    """p_against is paid for the number of parts: refuted means below alpha with the gate, for few and many parts."""
    verdict = judge_parts(*parts(*[data.draw(samples(6)) for _ in range(count)]))
    if verdict.outcome == "refuted":
        assert verdict.p_against < 0.05
        assert verdict.gate_against
        assert set(verdict.decided_by) <= {
            name for name, part in verdict.components.items() if part.outcome == "refuted"
        }
    if count <= 3:
        assert (verdict.outcome == "refuted") == (verdict.p_against < 0.05 and verdict.gate_against)


@given(st.lists(samples(5), min_size=2, max_size=5), st.randoms(use_true_random=False))
def test_neither_the_order_of_parts_nor_of_seeds_matters(found, random):
    """The verdict on the same parts with the same seeds is the same, whatever came first."""
    named, trends = parts(*found)
    seeds = list(found[0])
    random.shuffle(seeds)
    names = list(named)
    random.shuffle(names)
    other = judge_parts({name: {seed: named[name][seed] for seed in seeds} for name in names}, trends)
    this = judge_parts(named, trends)
    assert (other.outcome, other.turn, other.p_value) == (this.outcome, this.turn, this.p_value)
    assert other.p_against == pytest.approx(this.p_against)
    assert set(other.decided_by) == set(this.decided_by)


def test_each_part_has_its_own_trend():
    """Different kinds in one claim, each judged by its own table."""
    verdict = judge_parts(
        {"up": GOOD, "down": BAD, "same": OPEN, "true": TRUE},
        {"up": above(2), "down": below(-2), "same": equivalent(1, why="ours"), "true": in_most_seeds()},
    )
    assert verdict.outcome == "reproduced"
    assert verdict.p_value == 1 / 32


def test_looks_are_spent_in_every_part():
    """What a look may spend is each part's level; p's are paid for it, so that alpha is what to compare them with."""
    verdict = judge_parts(*parts(GOOD, GOOD), alpha=0.05, level=0.035, looks=2)
    assert verdict.components["b"] == judge_trend(GOOD, above(), level=0.035, looks=2)
    assert (verdict.outcome, verdict.alpha, verdict.looks) == ("reproduced", 0.05, 2)
    assert verdict.p_value == pytest.approx(1 / 32 * 0.05 / 0.035)
    assert judge_parts(*parts(GOOD, GOOD), looks=2).outcome == "inconclusive"


# --- one of several suffices ----------------------------------------------------------------------


def test_one_of_a_group_suffices():
    """ "Improves on some": one at alpha / 3 by t, its seeds agreeing at alpha; the others may be refuted."""
    named, trends = parts(effects(10), BAD, BAD)
    verdict = judge_parts(named, trends, any_of=ANY)
    assert (verdict.outcome, verdict.decided_by) == ("reproduced", ("a",))
    assert verdict.p_value == 1 / 32
    assert verdict.p_t == pytest.approx(3 * verdict.components["a"].p_t)
    assert verdict.p_free == pytest.approx(3 / 32)
    assert judge_parts(named, trends).outcome == "refuted"


def test_a_group_is_refuted_if_every_part_of_it_is():
    """All on the other side refute it, at the whole of alpha; one open part leaves it open."""
    found = judge_parts(*parts(BAD, BAD, BAD), any_of=ANY)
    assert (found.outcome, found.decided_by) == ("refuted", ("a", "b", "c"))
    assert found.p_against == max(part.p_against for part in found.components.values())
    assert "the 90% interval" in found.reason
    left = judge_parts(*parts(BAD, BAD, OPEN), any_of=ANY)
    assert (left.outcome, left.decided_by) == ("inconclusive", ("a", "b", "c"))


def test_a_group_beside_other_parts():
    """It is one requirement: with two more alpha is shared by three, and one of the others refutes the whole."""
    named = {"a": GOOD, "b": BAD, "c": BAD, "other": GOOD, "more": GOOD}
    verdict = judge_parts(named, dict.fromkeys(named, above()), any_of=ANY)
    assert verdict.outcome == "reproduced"
    refuted = judge_parts({**named, "other": BAD}, dict.fromkeys(named, above()), any_of=ANY)
    assert (refuted.outcome, refuted.decided_by) == ("refuted", ("other",))
    assert "the 96.67% interval" in refuted.reason


def test_of_a_group_only_parts_with_a_say_count():
    """A group over three tasks is, where one is primary, that one."""
    verdict = judge_parts(*parts(OPEN, GOOD, GOOD), any_of=ANY, deciding=frozenset("a"))
    assert (verdict.outcome, verdict.decided_by) == ("inconclusive", ("a",))


# --- many parts -----------------------------------------------------------------------------------


def test_truth_values_among_many_parts_have_their_share_of_the_level():
    """Four parts, one exact: five of five against it are not enough at a quarter of 0.05, eight of eight are."""
    verdict = judge_parts(
        {"a": GOOD, "b": GOOD, "c": GOOD, "d": FALSE},
        {"a": above(), "b": above(), "c": above(), "d": in_most_seeds()},
    )
    assert verdict.outcome == "inconclusive"
    assert verdict.reason == "d: true in 0 of 5 seeds, a share between 0 and 0.5837: includes one half"
    assert verdict.p_against == pytest.approx(4 / 32)
    eight = {seed: 3 + 0.1 * seed for seed in range(8)}
    refuted = judge_parts(
        {"a": eight, "b": eight, "c": eight, "d": dict.fromkeys(range(8), 0.0)},
        {"a": above(), "b": above(), "c": above(), "d": in_most_seeds()},
    )
    assert (refuted.outcome, refuted.decided_by) == ("refuted", ("d",))
    flipped = judge_parts(
        {"a": eight, "b": eight, "c": {seed: -x for seed, x in eight.items()}, "d": dict.fromkeys(range(8), 1.0)},
        {"a": above(), "b": above(), "c": above(), "d": in_most_seeds()},
    )
    assert (flipped.outcome, flipped.decided_by) == ("refuted", ("c",))
    assert flipped.p_against == pytest.approx(1 / 256 / 0.9 / 0.75)


def test_many_truth_values_share_the_level_exactly():
    """Without a mean among them there is nothing to turn."""
    named = {name: dict.fromkeys(range(9), 1.0) for name in "abcde"} | {"f": dict.fromkeys(range(9), 0.0)}
    verdict = judge_parts(named, dict.fromkeys(named, in_most_seeds()))
    assert (verdict.outcome, verdict.p_against) == ("refuted", pytest.approx(6 / 512))


def test_what_exists_is_not_refuted_by_a_stricter_level():
    """A part that is reproduced at the level refutes nothing where its share of it would not reproduce it."""
    found = {seed: float(seed < 4) for seed in range(20)}
    rare = exists(0.05, why="ours")
    verdict = judge_parts({"a": found, "b": found}, {"a": rare, "b": rare})
    assert verdict.outcome == "reproduced"


@pytest.mark.parametrize("count", [1, 4])
def test_fewer_than_three_seeds_decide_nothing(count):
    """Whatever the number of parts."""
    verdict = judge_parts(*parts(*[{1: -1.0, 2: -1.1}] * count))
    assert (verdict.outcome, verdict.p_against, verdict.gate_against) == ("inconclusive", None, False)


def test_below_five_seeds_a_claim_is_provisional_and_has_no_p():
    """Three seeds refute one of three parts, provisionally, and none of four: eight ways to turn them are too few."""
    good, bad = {1: 1.0, 2: 1.01, 3: 1.02}, {1: -1.0, 2: -1.01, 3: -1.02}
    verdict = judge_parts(*parts(good, good, bad))
    assert (verdict.outcome, verdict.provisional, verdict.p_value) == ("refuted", True, None)
    assert judge_parts(*parts(good, good, good, bad)).outcome == "inconclusive"


def test_json_holds_the_parts():
    """`to_json` is plain JSON and carries every part's verdict."""
    verdict = judge_parts(*parts(GOOD, BAD))
    stored = json.loads(json.dumps(verdict.to_json(), allow_nan=False))
    assert stored["components"]["b"] == asdict(verdict.components["b"])
    assert (stored["outcome"], stored["decided_by"]) == ("refuted", ["b"])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: judge_parts({}, {}), "needs a part"),
        (lambda: judge_parts({"a": GOOD}, {"b": above()}), "trends and effects differ"),
        (lambda: judge_parts({"a": GOOD, "b": {1: 1.0}}, dict.fromkeys("ab", above())), "different seeds"),
        (lambda: judge_parts({"a": [1.0, 2.0]}, {"a": above()}), "not keyed by seed"),
        (lambda: judge_parts(*parts(GOOD), deciding=frozenset("b")), r"not there: got \['b'\], expected \['a'\]"),
        (lambda: judge_parts(*parts(GOOD), deciding=frozenset()), "parts that decide"),
        (lambda: judge_parts(*parts(GOOD), level=0.7), "alpha cannot be used"),
        (lambda: judge_parts(*parts(GOOD, trend=level_above(1, why="ours")), looks=0), "looks cannot be used"),
    ],
)
def test_parts_that_do_not_fit_together_are_refused(call, message):
    """No part, trends or a say of other parts, unequal seeds and unkeyed effects are typed errors."""
    with pytest.raises(StatisticsError, match=message):
        call()
