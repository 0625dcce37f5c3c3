"""Behaviour of `dtclaims.harness.report.wording`: numbers and statistics as people read them."""

import math
import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dtclaims.harness.judge.entries import Attribution, Component, Effect, Moved, Part, RunUsed
from dtclaims.harness.judge.exhibits import Cell
from dtclaims.harness.judge.words import Status, Words
from dtclaims.harness.report import wording
from dtclaims.tests.support.report_example import NOTHING, WORDS, component, effect_of, entry, run, statistics


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (0, "0"),
        (-0.0, "0"),
        (65.12, "65.1"),
        (-0.3, "−0.3"),
        (999.7, "1000"),
        (4770.33, "4770"),
        (12345678.0, "1.23e+07"),
        (0.00012, "0.00012"),
        (2.5e-9, "2.5e−09"),
    ],
)
def test_number_has_three_digits_and_a_real_minus(value: float | None, text: str) -> None:
    """One number alone is shown with up to three digits, whole thousands in full."""
    assert wording.number(value) == text


@given(st.floats(allow_nan=False, allow_infinity=False), st.none() | st.integers(0, 6))
def test_number_is_close_to_its_value(value: float, places: int | None) -> None:
    """What is printed is the value to its last printed digit, and is never "-0"."""
    text = wording.number(value, places)
    shown = float(text.replace(wording.MINUS, "-"))
    assert shown == pytest.approx(value, rel=0.006, abs=0.5) or math.isinf(shown)
    assert not re.fullmatch(r"−[0.]+", text)


@pytest.mark.parametrize(
    ("triple", "text"),
    [
        ((65.12, 60.2, 70.0), "65.1 [60.2, 70.0]"),
        ((0.054, 0.0369, 0.0711), "0.054 [0.037, 0.071]"),
        ((31.7, 8.9, 54.5), "31.7 [8.9, 54.5]"),
        ((1487.2, 900.0, 2074.4), "1487 [900, 2074]"),
        ((-0.3, -0.41, -0.19), "−0.30 [−0.41, −0.19]"),
        ((1.0, 1.0, 1.0), "1 [1, 1]"),
    ],
)
def test_interval_shares_its_decimals(triple: tuple[float, float, float], text: str) -> None:
    """Mean and ends have the same decimals, about two digits of the interval's width."""
    assert wording.interval(effect_of(*triple, [], "", "")) == text


def test_mean_without_interval_stands_alone() -> None:
    """One seed has a mean and no interval."""
    assert wording.interval(Effect.from_json({**NOTHING, "mean": 12.34})) == "12.3"


@given(st.floats(0, 1))
def test_lower_bound_is_never_rounded_up(share: float) -> None:
    """ "At least X%" stays true: X is not above the bound, and less than 0.1 below it."""
    shown = float(wording.at_least(share).rstrip("%"))
    assert 100 * share - 0.1 - 1e-9 < shown <= 100 * share + 1e-9


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0.0 s"), (9.94, "9.9 s"), (42, "42 s"), (250, "4 min 10 s"), (3599.6, "1 h 00 min"), (7500, "2 h 05 min")],
)
def test_duration_in_units_that_matter(seconds: float, text: str) -> None:
    """Seconds, minutes or hours, whichever a reader would use."""
    assert wording.duration(seconds) == text


@pytest.mark.parametrize(
    ("numbers", "text"),
    [
        ([], ""),
        ([3], "3"),
        ([0, 1], "0, 1"),
        ([4, 0, 1, 2, 3, 7, 8], "0–4, 7, 8"),
        ([1, 1, 2, 3], "1–3"),
        ([-2, -1, 0], "-2–0"),
    ],
)
def test_ranges_join_three_or_more(numbers: list[int], text: str) -> None:
    """Stretches of three or more are joined, shorter ones are listed, doubles count once."""
    assert wording.ranges(numbers) == text


def judged(**changes: Any) -> Component:
    """A component with statistics, some of them replaced."""
    return component(statistics={**statistics(4.0, 5, 0.0004, 0.5493, 1.0, 16.3, 3), **changes})


BARE = component(verdict="not_run", effect=NOTHING)


def test_statistics_say_everything_that_must_stand_beside_a_verdict() -> None:
    """k of n, the fresh-seed bound, spread, p, P(A > B), d and seeds needed, each in words."""
    assert wording.statistics(judged(), 5) == [
        ("Seeds agreeing", "5 of 5 on the claimed side"),
        ("Fresh seeds", "the claim holds on at least 54.9% of them (95% confidence)"),
        ("Spread", "sd 4 between seeds"),
        ("p", "0.0004, one-sided; level 0.05"),
        ("P(A > B)", "1"),
        ("Effect size", "d = 16.3"),
        ("Seeds needed", "3 for 80% power"),
    ]
    assert wording.basis(judged(), 5) == "5 seeds, 90% interval"


def test_looks_are_printed_and_divide_the_level() -> None:
    """A second look halves the level of every statement, and says so."""
    facts = dict(wording.statistics(judged(looks=2, fresh_seed_bound=0.0, seeds_needed=None, p_value=1e-9), 5))
    assert facts["Looks"] == "judged 2 times on overlapping seeds, each at level 0.025"
    assert facts["Fresh seeds"] == "the claim may hold on none of them (97.5% confidence)"
    assert facts["Seeds needed"] == "no number would show the claim at this mean and spread"
    assert facts["p"] == "< 0.0001, one-sided; level 0.025"
    assert wording.basis(judged(looks=2), 1) == "1 seed, 95% interval"


def test_declared_looks_say_what_they_may_spend() -> None:
    """The first of two declared looks is one too: its share of alpha stands beside the verdict."""
    facts = dict(wording.statistics(judged(spent=0.035), 5))
    assert facts["Looks"] == "declared beforehand; this one may spend 0.035 of 0.05, after 0 on some of the same seeds"
    assert facts["p"].endswith("level 0.035")


def test_a_quantity_without_a_value_is_left_out() -> None:
    """One seed has no spread, so nothing is said of it, and why more seeds cannot be counted is."""
    one = judged(sd=None, p_value=None, superiority=None, effect_size=None, seeds_needed=None)
    assert [name for name, _ in wording.statistics(one, 1)] == ["Seeds agreeing", "Fresh seeds", "Seeds needed"]
    assert dict(wording.statistics(one, 1))["Seeds needed"] == "unknown: one seed has no spread"
    assert wording.statistics(replace(one, statistics=None), 1) == []


def test_components_are_compared_in_one_table() -> None:
    """One row per statistic and one cell per component; a component without statistics has dashes."""
    table = dict(wording.statistics_table({"hopper": judged(seeds_needed=None), "walker2d": BARE}))
    assert table["Seeds agreeing"] == ["5 of 5", "–"]
    assert table["Fresh seeds"] == ["≥ 54.9%", "–"]
    assert table["Seeds needed"] == ["none helps", "–"]
    assert wording.statistics_table({"walker2d": BARE}) == []


def test_gist_of_a_claim_made_of_parts_counts_them() -> None:
    """A claim with no number of its own says how many of its parts hold."""
    verdicts: dict[str, Status] = {"a": "reproduced", "b": "refuted", "c": "error"}
    parts = {name: replace(BARE, verdict=verdict) for name, verdict in verdicts.items()}
    whole = replace(entry("whole"), verdict="refuted")
    measured = replace(whole, effect=judged().effect)
    assert wording.gist(replace(whole, components=parts)) == "1 of 3 parts hold"
    assert wording.gist(whole) == ""
    assert wording.gist(replace(measured, components=parts)) == "1 of 3 parts hold"
    assert wording.gist(replace(measured, components={**parts, "b": replace(parts["b"], reported=True)})) == (
        "1 of 2 parts hold"
    )
    assert wording.gist(measured) == ""
    assert wording.gist(replace(whole, parts=(Part("a", "reproduced"),))) == "1 of 1 parts hold"
    assert wording.gist(replace(whole, verdict="not_run", components=parts)) == ""


def test_runs_are_grouped_and_their_cost_is_what_was_spent_now() -> None:
    """Runs of one arm, task and context share a line; stored runs cost nothing."""
    found = [run(f"r{seed}", "gpt2", seed) for seed in range(3)] + [run("d0", "dt", 0, cached=False, context=1)]
    runs = list(map(RunUsed.from_json, found))
    assert wording.runs(runs, Words.from_json(WORDS)) == [
        "gpt2 · hopper · K=20 · seeds 0–2",
        "dt · hopper · K=1 · seed 0",
    ]
    assert wording.cost(runs) == "4 runs: 3 from the store, 1 made now in 42 s"
    assert wording.cost([]) == "no runs"


def test_free_form_records_are_flattened_in_order() -> None:
    """Nested keys are joined by dots, lists of values by commas, and nothing is dropped."""
    record = {"data": {"sha256": "ab", "seeds": [0, 1]}, "ok": True, "none": None, "parts": [{"a": 1}, []], "empty": {}}
    assert wording.flat(record) == [
        ("data.sha256", "ab"),
        ("data.seeds", "0, 1"),
        ("ok", "true"),
        ("none", "none"),
        ("parts[0].a", "1"),
        ("parts[1]", "none"),
        ("empty", "none"),
    ]
    assert wording.flat({}) == []


SHOWN, STRADDLING = Moved(0.12, 0.08, 0.16), Moved(-0.01, -0.05, 0.03)


@pytest.mark.parametrize(
    ("smallest", "moved", "text"),
    [
        (None, None, "The verdict with one switch set as the other protocol sets it."),
        ((), None, "No set of switches that was tried changes the verdict."),
        (
            ("head",),
            SHOWN,
            "One switch is enough to change the verdict: head, which moves the effect by +0.120 [0.080, 0.160].",
        ),
        (
            ("head",),
            STRADDLING,
            "The verdict changes with one switch, head, but the difference that makes is not shown: "
            "−0.010 [−0.050, 0.030].",
        ),
        (
            ("head", "adam_eps"),
            SHOWN,
            "The smallest set of switches that is enough to change the verdict: head, adam_eps, which moves the effect "
            "by +0.120 [0.080, 0.160].",
        ),
        (
            ("head",),
            Moved(None, None, None),
            "The verdict changes with one switch, head, under which something else decides: "
            "no difference can be shown.",
        ),
        (("head",), None, "The verdict changes with one switch, head; whether the effect does was not asked."),
    ],
)
def test_attribution_is_a_sentence(smallest: tuple[str, ...] | None, moved: Moved | None, text: str) -> None:
    """Enough is said only of a set whose own difference is shown, whatever the verdict does."""
    assert wording.attribution(Attribution({}, smallest, moved)) == text


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (None, "–"),
        ({"protocol": None, "value": 79.5, "plus_minus": 1.3}, "79.5 ± 1.3"),
        ({"protocol": None, "value": 71.0, "plus_minus": 0.5}, "71.0 ± 0.5"),
        ({"protocol": None, "value": -0.24}, "−0.24"),
        ({"protocol": "published", "value": 65.13, "low": 60.2, "high": 70.0, "n": 5}, "65.1 [60.2, 70.0], n=5"),
        ({"protocol": "published", "value": 65.13}, "65.1"),
        ({"protocol": "corrected", "value": None}, "–"),
    ],
)
def test_a_tables_numbers_are_the_papers_or_ours(cell: dict[str, Any] | None, text: str) -> None:
    """The paper's as printed, ours with interval and seeds."""
    assert wording.cell_text(cell and Cell.from_json({"row": "", "column": "", **cell})) == text


def test_figures_and_tables_have_names() -> None:
    """Known ids are read out, others stay."""
    assert [wording.figure_name(id_) for id_ in ("fig10", "table1", "own", "fig")] == [
        "Figure 10",
        "Table 1",
        "own",
        "fig",
    ]


def test_diagnostics_are_readable() -> None:
    """Names lose their underscores, a missing value is a dash."""
    assert wording.diagnostics({"saturated_actions": 0.62, "x": None}) == [("saturated actions", "0.62"), ("x", "–")]


@pytest.mark.parametrize(
    ("section", "heading"),
    [("5.6.1", "Section 5.6.1"), ("L", "Appendix L"), ("J.6.1", "Appendix J.6.1"), ("Abstract", "Abstract"), ("", "")],
)
def test_sections_of_the_paper_are_told_from_its_appendices(section: str, heading: str) -> None:
    """Numbers are sections, a capital letter, with or without numbers, an appendix, and names stay."""
    assert wording.section_name(section) == heading
