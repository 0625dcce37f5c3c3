"""Edition 2, claims made of claims: what their parts amount to."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dtclaims.errors import StatisticsError
from dtclaims.harness.stats import judge_whole
from dtclaims.harness.stats.composites import OWN, Said, Told

OUTCOMES: tuple[Told, ...] = ("error", "refuted", "not_run", "not_evaluable", "inconclusive", "reproduced")
PROBABILITY = st.none() | st.floats(0, 1)
said = st.builds(
    Said,
    st.sampled_from(OUTCOMES),
    st.sampled_from(["", "a reason"]),
    st.booleans(),
    st.integers(0, 9),
    PROBABILITY,
    st.sampled_from(["reversed", "absent", ""]),
    PROBABILITY,
    PROBABILITY,
    PROBABILITY | st.floats(0, 0.03),
    st.booleans(),
)
parts = st.dictionaries(st.sampled_from("abcdef"), said, min_size=1)


def refuted(p, turn="reversed", gate=True):
    return Said("refuted", "a reason", n=5, p_value=0.9, turn=turn, p_against=p, gate_against=gate)


def held(p=0.03):
    return Said("reproduced", n=5, p_value=p, p_t=p / 10, p_free=p, p_against=0.99)


@given(parts)
def test_the_worst_part_decides(parts):
    """Error, refuted, not run, not evaluable, inconclusive, reproduced; a refutation counts if it is paid for."""
    found = judge_whole(parts)
    share = 0.05 / len(parts)

    def counted(part):
        paid = part.p_against is not None and part.p_against <= share and part.gate_against
        return "inconclusive" if part.outcome == "refuted" and not paid else part.outcome

    outcomes = {name: counted(part) for name, part in parts.items()}
    assert found.outcome == next(outcome for outcome in OUTCOMES if outcome in outcomes.values())
    assert set(found.decided_by) == {name for name, outcome in outcomes.items() if outcome == found.outcome}
    assert found.outcome == "refuted" or found.turn == ""


@given(parts)
def test_the_largest_p_counts(parts):
    """All parts have to hold, so the claim's p's are the largest; without one of them there is none."""
    found = judge_whole(parts)
    for name in ("p_value", "p_t", "p_free"):
        values = [getattr(part, name) for part in parts.values()]
        assert getattr(found, name) == (None if None in values else max(values))


@given(parts, said)
def test_an_own_effect_is_one_more_part(parts, own):
    """Its verdict counts and pays as a part's does, and its reason is told."""
    found = judge_whole(parts, own=own)
    as_part = judge_whole({OWN: own, **parts})
    assert (found.outcome, found.p_against, found.decided_by) == (
        as_part.outcome,
        as_part.p_against,
        as_part.decided_by,
    )
    assert (f"; own effect: {own.reason}" in found.reason) == bool(own.reason)


def test_what_decided_is_named_with_its_word():
    """Every part that refutes, and reversed where one of them is."""
    found = judge_whole({"a": refuted(0.001, "absent"), "b": held(), "c": refuted(0.01)})
    assert (found.outcome, found.turn, found.decided_by) == ("refuted", "reversed", ("a", "c"))
    assert found.reason == "refuted through a: absent, c: reversed"
    assert judge_whole({"a": held(), "b": held(0.04)}).reason == "every part is reproduced"
    only = judge_whole({"a": refuted(0.001, "absent"), "b": Said("not_run")})
    assert (only.outcome, only.turn, only.reason) == ("refuted", "absent", "refuted through a: absent")


def test_a_part_that_is_refuted_alone_pays_for_being_one_of_several():
    """At 0.05 but not at 0.05 / 2 it leaves the composite open, and the reason says so."""
    found = judge_whole({"a": refuted(0.03), "b": held()})
    assert (found.outcome, found.decided_by, found.turn) == ("inconclusive", ("a",), "")
    assert found.reason == "inconclusive: a; refuted alone, but not at 0.025, the share of one of 2 parts: a"
    assert judge_whole({"a": refuted(0.03)}).outcome == "refuted"
    assert judge_whole({"a": refuted(0.001, gate=False), "b": held()}).outcome == "inconclusive"


def test_a_composite_in_a_composite_has_paid_for_its_own_parts():
    """Its p against is the smallest of its parts' times their number, so nesting is as strict as counting all."""
    inner = judge_whole({"a": refuted(0.01), "b": held(), "c": held()})
    assert (inner.outcome, inner.p_against, inner.gate_against) == ("refuted", pytest.approx(0.03), True)
    outer = Said(inner.outcome, inner.reason, n=inner.n, turn=inner.turn, p_against=inner.p_against, gate_against=True)
    assert judge_whole({"inner": outer, "d": held()}).outcome == "inconclusive"
    assert judge_whole({"inner": outer}).reason == "refuted through inner: reversed"


def test_a_part_that_exists_although_its_p_against_is_small_is_not_refuted():
    """What is reproduced does not refute, and does not lend its p to a part that is refuted."""
    found = judge_whole({"a": Said("reproduced", p_against=0.001, gate_against=True), "b": refuted(0.02)})
    assert (found.outcome, found.decided_by, found.p_against) == ("refuted", ("b",), 0.04)


def test_the_fewest_seeds_of_what_was_judged_count():
    """Parts that were not run have no seeds to count; with nothing judged there are none."""
    assert judge_whole({"a": held(), "b": Said("inconclusive", n=3), "c": Said("not_run")}).n == 3
    assert judge_whole({"c": Said("not_run")}).n == 0


def test_parts_that_cannot_be_tested_are_named():
    """They have no say, and do not pay."""
    found = judge_whole({"a": refuted(0.04)}, left_out=["b", "c"])
    assert found.reason == "refuted through a: reversed; left out, as this protocol cannot test it: b, c"


def test_alpha_is_checked():
    """It follows the same limits as in a verdict."""
    with pytest.raises(StatisticsError, match="alpha cannot be used"):
        judge_whole({"a": held()}, alpha=0.7)
    assert judge_whole({"a": refuted(0.03)}, alpha=0.01).outcome == "inconclusive"
