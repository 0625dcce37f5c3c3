"""Edition 1: claims about several components."""

import json
import math
from dataclasses import asdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dtclaims.errors import StatisticsError
from dtclaims.harness.stats.components import judge_components
from dtclaims.harness.stats.predicates import above, below
from dtclaims.harness.stats.verdict import judge

SEEDS = (1, 2, 3, 4, 5, 6)


def effects(centre, spread=0.1):
    """Six effects around `centre`, sd about 1.05 * spread."""
    return dict(zip(SEEDS, (centre + spread * step for step in (-1.5, -0.9, -0.3, 0.3, 0.9, 1.5)), strict=True))


GOOD, BAD, OPEN = effects(3), effects(-3), effects(0.05)
samples = st.lists(st.integers(-256, 256).map(lambda i: i / 64), min_size=6, max_size=6).map(
    lambda values: dict(zip(SEEDS, values, strict=True))
)


def test_all_components_must_be_reproduced():
    """Three reproduced environments make a reproduced claim; the reason names each."""
    verdict = judge_components({"hopper": GOOD, "walker2d": effects(2), "halfcheetah": effects(1)}, above(0))
    assert verdict.outcome == "reproduced"
    assert [part.split(":")[0] for part in verdict.reason.split("; ")] == ["hopper", "walker2d", "halfcheetah"]


def test_one_refuted_component_refutes():
    """The claim is about every component, and the reason names the one that failed only."""
    verdict = judge_components({"hopper": GOOD, "walker2d": BAD, "halfcheetah": OPEN}, above(0))
    assert verdict.outcome == "refuted"
    assert verdict.reason.startswith("walker2d: reversed: the 96.67% interval")
    assert "hopper" not in verdict.reason


def test_one_open_component_leaves_the_claim_open():
    """A component that could not be decided makes the whole inconclusive."""
    verdict = judge_components({"hopper": GOOD, "walker2d": OPEN}, above(0))
    assert verdict.outcome == "inconclusive"
    assert verdict.reason == f"walker2d: {verdict.components['walker2d'].reason}"


def test_refutation_pays_for_the_choice_of_component():
    """A component refuted at 0.05 but not at 0.05 / 3 does not refute the claim of three."""
    # All six are negative, so the gate passes even at 0.05 / 3; the t interval decides (p = 0.02).
    weak = dict(zip(SEEDS, (-0.2, -0.3, -1.0, -1.5, -2.5, -0.4), strict=True))
    verdict = judge_components({"a": GOOD, "b": weak, "c": GOOD}, above(0))
    assert verdict.components["b"].outcome == "refuted"
    assert verdict.outcome == "inconclusive"
    assert verdict.reason == "b: the 96.67% interval [-2.045, 0.07832] includes 0"


def test_five_seeds_cannot_refute_one_of_three():
    """Five of five seeds do not pass the gate at 0.05 / 3, so the component's refutation does not carry over."""
    far = {seed: -3 + 0.01 * seed for seed in range(5)}
    good = {seed: 3 + 0.01 * seed for seed in range(5)}
    verdict = judge_components({"a": good, "b": far, "c": good}, above(0))
    assert verdict.components["b"].outcome == "refuted"
    assert verdict.outcome == "inconclusive"
    assert verdict.reason.startswith("b: ")
    assert "5 of 5 seeds there do not show a majority" in verdict.reason


def test_an_error_outranks_everything():
    """A component with a missing run is an error of the claim, even where another refutes it."""
    broken = {**GOOD, 4: math.nan}
    verdict = judge_components({"hopper": broken, "walker2d": BAD}, above(0))
    assert (verdict.outcome, verdict.reason) == ("error", "hopper: the effect of seed 4 is nan")
    assert verdict.p_value is None
    three = judge_components({"a": {1: 1.0, 2: 1.0, 3: math.nan}, "b": {1: 1.0, 2: 2.0, 3: 3.0}}, above(0))
    assert (three.outcome, three.provisional) == ("error", False)


@given(samples)
def test_one_component_says_what_judge_says(sample):
    """A single component changes neither outcome, reason, p-value nor any number."""
    alone, combined = judge(sample, above(0.5)), judge_components({"hopper": sample}, above(0.5))
    assert (combined.outcome, combined.reason) == (alone.outcome, alone.reason)
    assert (combined.p_value, combined.provisional) == (alone.p_value, alone.provisional)
    assert combined.components["hopper"] == alone


@given(samples, samples, samples)
def test_the_claims_p_value_is_the_largest(a, b, c):
    """p is the maximum over components, so it is below alpha if the claim is reproduced."""
    verdict = judge_components({"a": a, "b": b, "c": c}, above(0))
    assert verdict.p_value == max(part.p_value for part in verdict.components.values())
    everywhere = all(part.outcome == "reproduced" for part in verdict.components.values())
    assert (verdict.outcome == "reproduced") == everywhere
    assert not everywhere or verdict.p_value < 0.05


def test_each_component_may_have_its_own_predicate():
    """A mapping of predicates judges each component by its own threshold."""
    verdict = judge_components({"a": GOOD, "b": BAD}, {"a": above(2), "b": below(-2)})
    assert verdict.outcome == "reproduced"


def test_looks_are_spent_in_every_component():
    """Two looks halve alpha in the components and in the shared refutation, where six seeds then do not suffice."""
    verdict = judge_components({"a": GOOD, "b": BAD}, above(0), looks=2)
    assert verdict.components["b"] == judge(BAD, above(0), looks=2)
    assert (verdict.components["b"].outcome, verdict.outcome) == ("refuted", "inconclusive")
    assert verdict.reason.startswith("b: the 97.5% interval")
    assert (verdict.alpha, verdict.looks) == (0.05, 2)


ANY = [frozenset({"a", "b", "c"})]


def test_one_of_a_group_suffices():
    """ "Improves on some": one member reproduced at alpha / k makes it; the others may be refuted."""
    effects = {"a": {seed: 10.0 + seed for seed in range(1, 7)}, "b": BAD, "c": BAD}
    verdict = judge_components(effects, above(0), any_of=ANY)
    assert verdict.outcome == "reproduced"
    assert verdict.p_value == pytest.approx(min(1.0, 3 * verdict.components["a"].p_value))
    assert judge_components(effects, above(0)).outcome == "refuted"


def test_a_group_is_refuted_if_every_member_is():
    """All members on the other side refute it; one undecided member leaves it open."""
    undecided = {1: 1.0, 2: -1.0, 3: 2.0, 4: -2.0, 5: 0.5, 6: -0.5}
    assert judge_components({"a": BAD, "b": BAD, "c": BAD}, above(0), any_of=ANY).outcome == "refuted"
    assert judge_components({"a": BAD, "b": BAD, "c": undecided}, above(0), any_of=ANY).outcome == "inconclusive"


def test_a_group_beside_other_components():
    """A refuted component outside the group refutes the whole; p is the largest over the requirements."""
    effects = {"a": GOOD, "b": BAD, "other": GOOD}
    verdict = judge_components(effects, above(0), any_of=[frozenset({"a", "b"})])
    assert verdict.outcome == "reproduced"
    refuted = judge_components({**effects, "other": BAD}, above(0), any_of=[frozenset({"a", "b"})])
    assert refuted.outcome == "refuted"
    assert "other" in refuted.reason


def test_json_holds_the_components():
    """`to_json` is plain JSON and carries every component verdict."""
    verdict = judge_components({"a": GOOD, "b": BAD}, above(0))
    stored = json.loads(json.dumps(verdict.to_json(), allow_nan=False))
    assert stored["components"]["b"] == asdict(verdict.components["b"])
    assert stored["outcome"] == "refuted"


@pytest.mark.parametrize(
    ("given_effects", "predicates", "message"),
    [
        ({}, above(0), "needs a component"),
        ({"a": GOOD}, {"b": above(0)}, "predicates and effects differ"),
        ({"a": GOOD, "b": {1: 1.0}}, above(0), "different seeds"),
        ({"a": [1.0, 2.0]}, above(0), "not keyed by seed"),
    ],
)
def test_components_that_do_not_fit_together_are_refused(given_effects, predicates, message):
    """No component, predicates of other components, unequal seeds and unkeyed effects are typed errors."""
    with pytest.raises(StatisticsError, match=message):
        judge_components(given_effects, predicates)
