"""Behaviour of `dtclaims.harness.report.decided`: what decided a verdict is said with the numbers that decided."""

from dataclasses import replace
from typing import Any

import pytest

from dtclaims.harness.judge.entries import Entry, Key, TrendShown
from dtclaims.harness.report import decided
from dtclaims.harness.stats.composites import OWN
from dtclaims.harness.stats.trends import Trend, above, equivalent, in_most_seeds, level_below, not_below
from dtclaims.tests.support.report_example import CHECK, component, effect, effect_of, entry

MEASURED = effect_of(0.347, 0.312, 0.382, [0.35] * 5, "", "share")
BELOW_HALF = "the 90% interval [0.312, 0.382] lies below 0.5"


def judged(id_: str, verdict: str = "refuted", **fields: Any) -> Entry:
    """A claim that was judged on five seeds."""
    return entry(id_, **{"verdict": verdict, "n": 5, "effect": MEASURED.to_json(), **fields})


def told(one: Entry, *others: Entry) -> str:
    """What decided, behind the verdict's word."""
    return decided.decided(one, {other.key: other for other in (one, *others)}).text


def part(verdict: str, id_: str) -> dict[str, str]:
    """A part of a composite."""
    return {"id": id_, "verdict": verdict}


def alone(trend: Trend, reason: str, verdict: str = "refuted", **fields: Any) -> str:
    """The same of a claim of one effect."""
    return told(judged("a", verdict, trend=TrendShown.of(trend).to_json(), reason=reason, **fields))


def test_a_claim_that_a_part_refuted_never_shows_its_own_number() -> None:
    """Its own effect is as claimed, in every seed; what refuted it is the part's, and that is what stands there."""
    whole = judged(
        "whole",
        parts=[part("refuted", "S5.1-cka-low")],
        decided_by=["S5.1-cka-low"],
        reason=f"refuted through S5.1-cka-low: absent; own effect: {BELOW_HALF}",
    )
    theirs = judged(
        "S5.1-cka-low",
        effect=effect(0.524, 0.484, 0.564, [0.5] * 5, "", "CKA"),
        trend=TrendShown.of(level_below(0.4, why="our line")).to_json(),
        reason="absent: the 90% interval [0.484, 0.564] lies above 0.4",
    )
    assert told(whole, theirs) == " by S5.1-cka-low: 0.524 [0.484, 0.564] lies above 0.4 (our threshold)"
    assert told(whole) == " by S5.1-cka-low: refuted"


def test_a_claim_refuted_for_its_size_says_beside_which_number() -> None:
    """An effect on the claimed side in every seed can be refuted: it is smaller than any of interest, which is ours."""
    reason = "absent: the 90% interval [0.312, 0.382] lies below 0.4, the smallest effect of interest"
    assert alone(above(0.0, interest=0.4, why="noise"), reason, turn="absent") == (
        ": 0.347 [0.312, 0.382] lies below 0.4, our smallest effect of interest"
    )


@pytest.mark.parametrize(
    ("trend", "reason", "text"),
    [
        (above(), "the 90% interval [0.312, 0.382] lies above 0", ": 0.347 [0.312, 0.382] lies above 0"),
        (above(), "the 90% interval [-0.1, 0.7] includes 0", ": 0.35 [−0.10, 0.70] includes 0"),
        (
            equivalent(0.4, why="noise"),
            "the 90% interval [0.312, 0.382] lies above -0.4 and below 0.4",
            ": 0.347 [0.312, 0.382] lies above −0.4 and below 0.4 (our margin)",
        ),
        (
            not_below(1.0, margin=0.1, why="noise"),
            "the 90% interval [0.312, 0.382] lies above 0.3, but 3 of 5 seeds there do not show a majority",
            ": 0.347 [0.312, 0.382] lies above 0.3 (our margin), but 3 of 5 seeds there do not show a majority",
        ),
        (
            in_most_seeds(),
            "true in 5 of 5 seeds, a share between 0.5493 and 1: above one half",
            ": true in 5 of 5 seeds: above one half",
        ),
        (above(), "too few seeds: 2 of at least 3", ": too few seeds: 2 of at least 3"),
        (above(), "something from elsewhere", ": 0.347 [0.312, 0.382]: something from elsewhere"),
    ],
)
def test_each_way_to_a_verdict_has_its_words(trend: Trend, reason: str, text: str) -> None:
    """Interval beside null, margin or threshold; sign test; counts; too few seeds. A number of ours is called ours."""
    assert alone(trend, reason, "inconclusive") == text


def test_no_end_is_rounded_onto_what_it_is_compared_with() -> None:
    """`[0.4, 1.2499]` lies below 1.25, and is not printed as `1.25`."""
    found = alone(above(1.0, interest=0.25, why="noise"), "absent: the 90% interval [-8, 1.249] lies below 1.25")
    assert found == ": 0.347 [−8.000, 1.249] lies below 1.25"


def test_several_components_are_told_apart() -> None:
    """Which refuted and which did too, at the level it was refuted at; of what is open none stands for all."""
    both = {name: component(verdict="refuted").to_json() for name in ("hopper", "walker2d")}
    first, second = "[1, 2] lies below 5", "[-2, -1] lies below 0"
    reason = f"hopper: absent: the 95% interval {first}; walker2d: reversed: the 95% interval {second}"
    one = judged("a", components=both, reason=reason, turn="reversed", decided_by=["hopper", "walker2d"])
    assert told(one).startswith(" by walker2d: ")
    assert told(one).endswith(" [−2.00, −1.00] lies below 0 (our threshold) (also hopper)")
    reason = "hopper: the 90% interval [-1, 2] includes 0; walker2d: the 90% interval [-1, 1] includes 0"
    assert told(judged("a", "inconclusive", components=both, reason=reason)) == (
        ": 0 of 2 hold; open: hopper, walker2d"
    )


def test_a_composite_says_how_many_hold_and_which_are_open() -> None:
    """Reproduced by all of them, or open because of several: no one number is that verdict's."""
    parts = [part("reproduced", "a"), part("inconclusive", "b"), part("inconclusive", "c")]
    assert told(judged("w", "inconclusive", parts=parts, decided_by=["b", "c"])) == (": 1 of 3 parts hold; open: b, c")
    assert told(judged("w", "reproduced", parts=parts[:1] * 3, decided_by=["a", "a", "a"])) == ": all 3 parts hold"


def test_a_part_that_is_refuted_alone_is_not_said_to_have_refuted() -> None:
    """Its share of alpha was too small: the composite is open, and says why."""
    whole = judged(
        "w",
        "inconclusive",
        parts=[part("refuted", "a"), part("reproduced", "b")],
        decided_by=["a"],
        reason="inconclusive: a; refuted alone, but not at 0.025, the share of one of 2 parts: a",
    )
    a = judged("a", reason="reversed: the 90% interval [-2, -1] lies below 0")
    assert told(whole, a) == (
        " through a: refuted alone, but not at 0.025, the share of one of 2 parts: "
        "reversed: the 90% interval [−2, −1] lies below 0"
    )


def test_checks_failures_and_own_effects_have_their_names() -> None:
    """Which check was not shown with its number; what failed; and that it was the composite's own effect."""
    unmet = judged("a", "not_evaluable", checks=[CHECK], reason="random-fails: the 90% interval [-2, 18] includes 10")
    assert told(unmet) == ": not shown: random-fails; 8.0 [−2.0, 18.0] includes 10 (our threshold)"
    assert told(judged("a", "error", reason="run 12 has no returns")) == ": run 12 has no returns"
    reason = f"refuted through its own effect: absent; own effect: {BELOW_HALF}"
    reason += "; left out, as this protocol cannot test it: b"
    own = judged("w", parts=[part("reproduced", "b")], decided_by=[OWN], reason=reason)
    assert told(own) == " by its own effect: 0.347 [0.312, 0.382] lies below 0.5"


def through(one: Entry, *others: Entry) -> str | None:
    """What the number beside an entry's verdict is of; None where it has none."""
    entries: dict[Key, Entry] = {other.key: other for other in (one, *others)}
    found = decided.shown(one, entries)
    return None if found is None else found.name


def test_a_claim_of_one_effect_shows_it() -> None:
    """Whatever the verdict; without a mean there is nothing to show."""
    assert through(judged("a")) == ""
    assert through(judged("a", "inconclusive")) == ""
    assert through(entry("a")) is None


def test_a_composite_refuted_through_a_part_shows_that_parts_number() -> None:
    """Its own number, which did not decide, never stands beside the verdict."""
    whole = judged("whole", parts=[part("refuted", "part")], decided_by=["part"])
    theirs = judged("part", effect=effect(-1.0, -2.0, -0.5, [-1.0] * 5, "points", "theirs"))
    found = decided.shown(whole, {one.key: one for one in (whole, theirs)})
    assert found is not None
    assert found.effect.name == "theirs"
    assert through(whole) is None
    assert not decided.decided_alone(whole)


def test_the_way_to_the_number_is_told() -> None:
    """A part may itself be refuted through a part, and that one through a component."""
    leaf = judged("leaf", components={"walker2d": component(verdict="refuted").to_json()}, decided_by=["walker2d"])
    middle = judged("middle", parts=[part("refuted", "leaf")], decided_by=["leaf"])
    top = judged("top", parts=[part("refuted", "middle")], decided_by=["middle"])
    assert through(top, middle, leaf) == "middle, leaf, walker2d"
    # A report from elsewhere may hold a claim that is a part of itself.
    assert through(judged("a", parts=[part("refuted", "a")], decided_by=["a"])) is None


def test_own_effect_is_shown_where_it_decided() -> None:
    """So it is if parts decided with it."""
    whole = judged("whole", parts=[part("refuted", "part")], decided_by=[OWN, "part"])
    assert through(whole) == ""
    assert decided.decided_alone(whole)


def test_of_several_that_decided_none_stands_for_all() -> None:
    """Reproduced by every component, or open because of several: no one number is that verdict's. One refutes."""
    both = {name: component().to_json() for name in ("hopper", "walker2d")}
    assert through(judged("a", "reproduced", components=both, decided_by=["hopper", "walker2d"])) is None
    assert through(judged("a", "inconclusive", components=both, decided_by=["walker2d"])) == "walker2d"
    assert through(judged("a", "refuted", components=both, decided_by=["walker2d", "hopper"])) == "walker2d"
    parts = [part("inconclusive", "a"), part("inconclusive", "b")]
    assert through(judged("w", "inconclusive", parts=parts, decided_by=["a", "b"]), judged("a", "inconclusive")) is None


def test_where_a_report_does_not_say_what_decided_it_is_what_has_the_verdict() -> None:
    """Reports of schema 1."""
    parts = [part("reproduced", "a"), part("refuted", "b")]
    assert decided.deciders(judged("w", parts=parts)) == ("b",)
    assert decided.deciders(judged("w", "inconclusive", parts=parts)) == (OWN,)
    assert decided.deciders(judged("w")) == ()


def test_the_papers_number_goes_with_its_component() -> None:
    """One number each, in their order; where their numbers differ in count, none can be told."""
    both = {name: component().to_json() for name in ("hopper", "walker2d")}
    one = judged("a", components=both, decided_by=["walker2d"], paper_value={"text": "", "numbers": [1.0, 2.0]})
    found = decided.shown(one, {})
    assert found is not None
    assert found.paper == (2.0,)
    assert decided.papers(replace(one, paper_value=replace(one.paper_value, numbers=(1.0,))))["walker2d"] == ()


def test_the_papers_number_stands_on_an_axis_of_its_own_quantity_only() -> None:
    """Of another measure, or where rule 1 kept no record of which, it is told and not drawn."""
    paper = {"text": "0.5", "numbers": [0.5]}
    for fields, drawn in (
        ({"paper_value": paper, "rule": "2"}, (0.5,)),
        ({"paper_value": paper, "rule": "1"}, (0.5,)),
        ({"paper_value": {**paper, "otherwise": "measured otherwise"}, "rule": "2"}, ()),
    ):
        one = judged("a", reason=BELOW_HALF, **fields)
        found = decided.shown(one, {})
        assert found is not None
        assert found.paper == drawn
        assert bool(decided.another_measure(one)) == (not drawn)
    early = replace(judged("a", reason=BELOW_HALF, paper_value=paper, rule="1"), protocol="corrected")
    assert decided.another_measure(early).startswith("rule 1, which judged this, kept no record")
