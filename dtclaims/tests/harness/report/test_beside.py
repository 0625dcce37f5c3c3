"""Behaviour of `dtclaims.harness.report.beside`: which number stands beside a verdict, and what is said of it."""

from dataclasses import replace
from typing import Any

import pytest

from dtclaims.harness.judge.entries import Entry, PaperReading, Reach, TrendShown
from dtclaims.harness.report import beside
from dtclaims.harness.stats.composites import OWN
from dtclaims.harness.stats.trends import above, equivalent, exists, in_most_seeds, level_below, not_below
from dtclaims.tests.support.report_example import component, effect_of, entry, statistics

MEASURED = effect_of(3.0, 2.0, 4.0, [3.0] * 5, "points", "score")


def judged(id_: str, verdict: str = "refuted", **fields: Any) -> Entry:
    """A judged claim."""
    return entry(id_, **{"verdict": verdict, "n": 5, "effect": MEASURED.to_json(), **fields})


def part(verdict: str, id_: str = "part") -> dict[str, str]:
    """A part of a composite."""
    return {"id": id_, "verdict": verdict}


def test_an_effect_of_its_own_that_did_not_decide_is_said_to_be_that() -> None:
    """It stands among the facts, not beside the verdict."""
    whole = judged("whole", parts=[part("refuted")], decided_by=["part"])
    assert ("Its own effect", "3.0 [2.0, 4.0] points, asked: > 0; that did not decide") in beside.facts(whole)
    assert "Its own effect" not in dict(beside.facts(replace(whole, decided_by=(OWN,))))


@pytest.mark.parametrize(
    ("trend", "brief", "said", "ours"),
    [
        (above(), "> 0", "the effect is above 0", ""),
        (
            above(1.0, interest=0.2, why="noise"),
            "> 1, ours from 1.2",
            "the effect is above 1",
            "smallest effect of interest 0.2 is our choice: noise",
        ),
        (
            equivalent(5.0, why="noise"),
            "|effect| < 5 (our margin)",
            "the effect is within 5 of 0",
            "margin 5 is our choice: noise",
        ),
        (
            not_below(60.0, margin=9.0, why="a reader's"),
            "> 51 (our margin)",
            "the effect is not below 60 by 9",
            "margin 9 is our choice: a reader's",
        ),
        (
            level_below(0.3, why="half"),
            "< 0.3 (our threshold)",
            "the effect is below 0.3",
            "threshold 0.3 is our choice: half",
        ),
        (in_most_seeds(), "true in most seeds", "", ""),
        (
            exists(0.05, why="luck"),
            "true in more than 0.05 of the seeds: it exists (our rate)",
            "",
            "rate 0.05 is our choice: luck",
        ),
    ],
)
def test_a_trend_is_told_in_words_and_a_number_of_ours_is_called_so(
    trend: Any, brief: str, said: str, ours: str
) -> None:
    """In a line of a table shortly, on a card with the reason."""
    shown = TrendShown.of(trend)
    assert (beside.brief(shown), beside.said(shown), beside.ours(shown)) == (brief, said, ours)


def reading(seed: int, holds: bool | None, component_: str = "", effect_: float | None = None, note: str = "") -> Any:
    """What a claim's test says of one of the paper's seeds, as JSON."""
    return PaperReading(seed, component_, effect_, holds, note).to_json()


def test_the_papers_own_data_are_told_by_component_and_seed() -> None:
    """Holds, fails or is not shown, with its effect and a note."""
    readings = [
        PaperReading(666, "hopper", 0.057, True),
        PaperReading(666, "walker2d", None, None, "no figure"),
        PaperReading(42, "hopper", 0.006, False, "contradicted by Fig. 8"),
    ]
    assert beside.paper_data(readings) == [
        "hopper: seed 666 holds (0.057); seed 42 fails (0.006): contradicted by Fig. 8",
        "walker2d: seed 666 not shown: no figure",
    ]
    assert beside.paper_data([PaperReading(666, "", 1.0, True)]) == ["seed 666 holds (1)"]


def test_a_refutation_that_the_papers_own_data_share_says_so() -> None:
    """One seed or several; nothing where the paper's data hold, or where nothing was refuted."""
    assert beside.shared(judged("a", paper_data=[reading(666, True), reading(42, False)])) == (
        "The paper's own seed 42 fails this too."
    )
    assert beside.shared(judged("a", paper_data=[reading(666, False), reading(42, False)])) == (
        "The paper's own seeds 666 and 42 fail this too."
    )
    assert beside.shared(judged("a", paper_data=[reading(666, True), reading(42, None)])) == ""
    assert beside.shared(judged("a", "inconclusive", paper_data=[reading(42, False)])) == ""


def test_a_composite_says_through_what_the_papers_data_fail_it() -> None:
    """In what decided here, or elsewhere: it is never refuted without a word of it."""
    parts = [part("refuted", "a"), part("inconclusive", "b")]
    whole = {"parts": parts, "decided_by": ["a"]}
    assert beside.shared(judged("w", **whole, paper_data=[reading(42, False, "a"), reading(42, False, "b")])) == (
        "The paper's own seed 42 fails this too: a."
    )
    assert beside.shared(judged("w", **whole, paper_data=[reading(42, False, "b")])) == (
        "The paper's own seed 42 fails this claim too, though not in what decided here: b."
    )
    own = [reading(42, False, "hopper"), reading(42, True, "a")]
    assert beside.shared(judged("w", **whole, paper_data=own)) == (
        "The paper's own seed 42 fails this claim too, though not in what decided here."
    )
    assert beside.shared(judged("w", parts=parts, decided_by=[OWN], paper_data=own)) == (
        "The paper's own seed 42 fails this too."
    )


def test_a_cell_has_a_word_of_it_too() -> None:
    """Without what it fails: the card has that."""
    parts = {"parts": [part("refuted", "a"), part("inconclusive", "b")], "decided_by": ["a"]}
    for failing in "ab":
        whole = judged("w", **parts, paper_data=[reading(42, False, failing)])
        kind = "this" if failing == "a" else "this claim"
        assert beside.shared_in_short(whole) == f"the paper's own seed 42 fails {kind} too"
    assert beside.shared_in_short(judged("a")) == ""


def test_what_is_only_reported_shares_nothing() -> None:
    """Another task decides, so the paper's failure in this one is none of the claim's."""
    both = {"hopper": component(verdict="refuted").to_json(), "walker2d": component(reported=True).to_json()}
    one = judged("a", components=both, decided_by=["hopper"], paper_data=[reading(42, False, "walker2d")])
    assert beside.shared(one) == ""


@pytest.mark.parametrize(
    ("reach", "text"),
    [
        (Reach(5, True, True, 5, 5), "5 seeds can reproduce or refute this"),
        (Reach(5, True, False, 5, 6), "5 seeds can reproduce this, but cannot refute this; 6 can"),
        (
            Reach(1, False, False, 3, None),
            "1 seed cannot reproduce this; 3 can, but cannot refute this; no number of them can",
        ),
    ],
)
def test_what_so_many_seeds_can_say(reach: Reach, text: str) -> None:
    """Which verdicts are in reach, and from how many seeds the others are."""
    assert beside.reach(reach) == text


def test_holm_is_told_twice_on_a_card() -> None:
    """With the seeds that it would take where there are too few; once for what an older rule judged."""
    one = replace(judged("a", "reproduced"), holm=True, holm_free=False)
    text = "stands after Holm if seeds are normal: yes; without assumptions: no"
    assert beside.standing(one, 10) == f"{text}, needs n ≥ 10"
    assert beside.standing(replace(one, n=12), 10) == text
    assert beside.standing(replace(one, holm_free=None), None) == (
        "after Holm over the headline claims this verdict stands"
    )
    assert beside.standing(judged("a"), None) == ""


def test_p_is_told_only_where_there_is_one() -> None:
    """Of several components there is one of the whole claim; below five seeds there is none at all."""
    both = {name: component().to_json() for name in ("hopper", "walker2d")}
    told = {"components": both, "statistics": statistics(1.0, 5, 0.01, 0.5, 1.0, 1.0, 5)}
    assert ("p", "0.021, one-sided, of the whole claim") in beside.facts(judged("a", **told, p_value=0.021))
    assert "p" not in dict(beside.facts(judged("a", **told, p_value=None)))


def test_an_older_rule_is_named() -> None:
    """Today's goes without saying."""
    assert ("Rule", "judged under rule 1, as declared then") in beside.facts(judged("a", rule="1"))
    assert "Rule" not in dict(beside.facts(judged("a", rule="2")))
