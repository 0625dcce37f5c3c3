"""Behaviour of `dtclaims.harness.judge.builder`: one entry for one state of a claim, wherever its effects are from."""

from dataclasses import replace

import pytest

from dtclaims.errors import StatisticsError
from dtclaims.harness.judge.builder import PARTS, Basis, Declared, failed, judged, not_run, with_parts
from dtclaims.harness.judge.entries import Entry, ErrorProbabilities, PaperValue, Part, RunUsed
from dtclaims.harness.judge.words import Status
from dtclaims.harness.stats.trends import above, below
from dtclaims.tests.support import report_example

WHOLE = Declared(
    id="whole",
    section="1",
    headline=True,
    quote="q",
    scope="everywhere",
    protocol="published",
    scale="mini",
    paper=PaperValue("–"),
    parts=("a", "b"),
)
ONE = replace(
    WHOLE,
    id="one",
    effect="gain",
    trends={"x": above(1.0)},
    units={"x": "points"},
    switches={"head": "tied"},
    parts=(),
)
RUN = RunUsed("key", {"arm": "a"}, 0, cached=True, seconds=1.0)
BASIS = Basis((RUN,), {"clipped": 0.5}, {"data": "ours"})
GOOD = {"x": {0: 2.0, 1: 2.1, 2: 2.2}}


def entry_of(declared: Declared, effects: dict[str, dict[int, float]], looks: int = 1) -> Entry:
    """The entry on some effects."""
    return judged(declared, declared.judge(effects, alpha=0.05, looks=looks), effects, BASIS)


def part(id_: str, verdict: Status, **fields: object) -> Entry:
    """The entry of a part."""
    against = (
        ErrorProbabilities(p_t=1.0, p_free=None, p_against=0.001, gate_against=True) if verdict == "refuted" else None
    )
    said = replace(report_example.entry(id_), verdict=verdict, reason="", remedy=None, tests=against)
    return replace(said, **fields)  # type: ignore[arg-type]


def test_before_anything_is_judged_the_declaration_is_shown() -> None:
    """What is claimed, in which unit, and how it could be run; no number."""
    entry = not_run(ONE, "no runs", "run it")
    assert (entry.verdict, entry.reason, entry.remedy) == ("not_run", "no runs", "run it")
    assert entry.trend.text == "> 1"
    assert (entry.effect.unit, entry.effect.name, entry.effect.mean) == ("points", "gain", None)
    assert entry.diagnostics is None
    assert "p_value" not in entry.to_json()


def test_a_failure_keeps_what_it_rests_on() -> None:
    """The runs that are there stay listed where their results do not belong together."""
    entry = failed(ONE, "two data sets", BASIS)
    assert (entry.verdict, entry.reason, entry.runs) == ("error", "two data sets", (RUN,))
    assert entry.provenance == {"data": "ours"}


def test_one_component_is_the_claim() -> None:
    """Verdict, effect, statistics and p are those of the one component, which is not listed again."""
    entry = entry_of(ONE, GOOD, looks=2)
    assert (entry.verdict, entry.n, entry.provisional) == ("reproduced", 3, True)
    assert entry.components == {}
    assert entry.effect.per_seed == GOOD["x"]
    assert entry.effect.mean == pytest.approx(2.1)
    assert entry.statistics is not None
    assert (entry.statistics.looks, entry.p_value) == (2, entry.statistics.p_value)


def test_components_are_shown_each_with_its_own() -> None:
    """Each has its trend and unit; the claim is refuted by one of them and says which."""
    two = replace(ONE, trends={"x": above(1.0), "y": below(0.0)}, units={"x": "points", "y": "nats"})
    entry = entry_of(two, {**GOOD, "y": {0: 5.0, 1: 5.1, 2: 5.2}})
    assert entry.verdict == "refuted"
    assert entry.reason.startswith("y: ")
    assert {name: (one.verdict, one.effect.unit, one.trend.text) for name, one in entry.components.items()} == {
        "x": ("reproduced", "points", "> 1"),
        "y": ("refuted", "nats", "< 0"),
    }
    with pytest.raises(StatisticsError, match="trends and effects differ"):
        two.judge(GOOD, alpha=0.05, looks=1)


def test_of_a_group_one_is_enough() -> None:
    """Components of which one suffices are judged as a group."""
    either = replace(
        ONE,
        trends={"x": above(1.0), "y": above(9.0)},
        units={"x": "", "y": ""},
        any_of=(frozenset({"x", "y"}),),
    )
    assert entry_of(either, {**GOOD, "y": GOOD["x"]}).verdict == "reproduced"


def test_an_effect_that_is_no_number_is_not_shown() -> None:
    """A nan is an error with its seed in the reason, and no value by seed."""
    entry = entry_of(ONE, {"x": {0: 1.0, 1: float("nan"), 2: 2.0}})
    assert entry.verdict == "error"
    assert "seed 1 is nan" in entry.reason
    assert entry.effect.per_seed == {}


def test_parts_make_the_verdict() -> None:
    """The worst part decides and is named; a part without an entry is left out, and that is said."""
    parts = [part("a", "reproduced", n=5, p_value=0.01, provisional=True), part("b", "reproduced", n=3, p_value=0.02)]
    entry = with_parts(WHOLE, None, parts, alpha=0.05)
    assert (entry.verdict, entry.reason) == ("reproduced", "every part is reproduced")
    assert (entry.n, entry.p_value, entry.provisional) == (3, 0.02, True)
    assert entry.parts == (Part("a", "reproduced"), Part("b", "reproduced"))
    assert (entry.trend, entry.effect.name) == (PARTS, "its parts' verdicts")
    entry = with_parts(WHOLE, None, [part("a", "refuted", n=5)], alpha=0.05)
    assert entry.reason == "refuted through a; left out, as this protocol cannot test it: b"
    assert entry.p_value is None


def test_a_part_that_was_not_run_brings_its_remedy() -> None:
    """The first part that was not run says what would change that; a refuted part outweighs it."""
    missing = replace(part("a", "not_run"), remedy="run a")
    entry = with_parts(WHOLE, None, [missing, part("b", "inconclusive", n=4)], alpha=0.05)
    assert (entry.verdict, entry.reason, entry.remedy, entry.n) == ("not_run", "not run: a", "run a", 4)
    assert with_parts(WHOLE, None, [missing, part("b", "refuted", n=4)], alpha=0.05).remedy is None


def test_an_effect_of_its_own_counts_as_a_part() -> None:
    """It is named and its reason told; runs are listed once, provenance is its own."""
    both = replace(ONE, parts=("a",))
    own = entry_of(both, GOOD)
    entry = with_parts(both, own, [part("a", "reproduced", n=5, p_value=0.04, runs=(RUN,))], alpha=0.05)
    assert entry.verdict == "reproduced"
    assert entry.reason == f"every part is reproduced; own effect: {own.reason}"
    assert (entry.runs, entry.provenance, entry.effect) == ((RUN,), {"data": "ours"}, own.effect)
    assert with_parts(both, failed(both, "lost"), [], alpha=0.05).reason.startswith(
        "error: its own effect; own effect: lost"
    )


def test_a_claim_of_which_nothing_can_be_tested_is_not_run() -> None:
    """Without an effect and without an entry of any part there is no verdict."""
    assert with_parts(WHOLE, None, [], alpha=0.05).verdict == "not_run"


def test_seeds_of_one_unit_are_one_observation() -> None:
    """Nine seeds of three checkpoints are judged as three means, and shown as nine effects; two are too few."""
    effects = {"x": {seed: 2.0 + seed % 3 + 0.1 * seed for seed in range(9)}}
    unit_of = {seed: f"weights@{seed % 3 + 1}" for seed in range(9)}
    entry = judged(ONE, ONE.judge(effects, alpha=0.05, looks=1, unit_of=unit_of), effects, BASIS)
    means = {"x": {0: 2.3, 1: 3.4, 2: 4.5}}
    assert (entry.n, entry.provisional, len(entry.effect.per_seed)) == (3, True, 9)
    assert entry.effect.mean == pytest.approx(3.4)
    assert entry.statistics is not None
    assert entry.statistics.sd == pytest.approx(entry_of(ONE, means).statistics.sd)  # type: ignore[union-attr]
    two = {seed: f"weights@{seed % 2 + 1}" for seed in range(9)}
    assert ONE.judge(effects, alpha=0.05, looks=1, unit_of=two).outcome == "inconclusive"
    with pytest.raises(StatisticsError, match="seeds without a unit"):
        ONE.judge(effects, alpha=0.05, looks=1, unit_of={0: "weights@1"})
