"""What a verdict could be: made-up effects through the rule itself, and counts by hand."""

import pytest

from dtclaims.harness.stats import judge_parts
from dtclaims.harness.stats.reach import MOST_ASKED, Reach, reach, reach_whole
from dtclaims.harness.stats.trends import (
    above,
    below,
    equivalent,
    exists,
    in_most_seeds,
    in_some_seeds,
    level_below,
    not_below,
)
from dtclaims.tests.support import rates

WHY = "ours, for these tests"


def of(count, trend):
    return {f"part {place}": trend for place in range(count)}


@pytest.mark.parametrize(
    "trend",
    [
        above(),
        below(1, interest=0.25, why=WHY),
        equivalent(0.1, to=1, why=WHY),
        not_below(100, margin=1, why=WHY),
        level_below(3, why=WHY),
    ],
    ids=lambda one: one.kind,
)
@pytest.mark.parametrize("count", [1, 2, 3])
def test_few_parts_of_the_mean_can_be_both_with_three_seeds(trend, count):
    """Provisionally from three on; what is not provisional from five on."""
    assert reach(of(count, trend), 3) == Reach(3, True, True, 5, 5)
    assert reach(of(count, trend), 2) == Reach(2, False, False, 5, 5)


@pytest.mark.parametrize("count", [4, 12])
def test_many_parts_cannot_be_refuted_below_five_seeds(count):
    """Three seeds can be turned in eight ways, five in thirty-two: 1/32 is below nine tenths of 0.05."""
    assert reach(of(count, above()), 3) == Reach(3, True, False, 5, 5)
    assert reach(of(count, above()), 5) == Reach(5, True, True, 5, 5)
    assert reach(of(count, equivalent(1, why=WHY)), 5).refuted_from == 6


@pytest.mark.parametrize(
    ("trend", "count", "reproduced_from", "refuted_from"),
    [
        (in_most_seeds(), 1, 5, 5),
        (in_most_seeds(), 3, 5, 6),
        (in_most_seeds(0.75), 1, 11, 5),
        (in_most_seeds(0.8), 1, 14, 5),
        (in_most_seeds(0.97), 1, 99, 5),
        (in_most_seeds(0.975), 1, None, 5),
        (in_some_seeds(0.05, why=WHY), 1, 5, 59),
        (in_some_seeds(0.01, why=WHY), 1, 5, None),
        (exists(0.05, why=WHY), 1, 5, 5),
        (exists(0.05, why=WHY), 3, 5, 6),
    ],
)
def test_truth_values_by_counting(trend, count, reproduced_from, refuted_from):
    """The first n whose most extreme count has an exact p below its share of 0.05; None beyond a hundred."""
    found = reach(of(count, trend), 5)
    assert (found.reproduced_from, found.refuted_from) == (reproduced_from, refuted_from)
    assert found.reproduced == (reproduced_from == 5)
    assert MOST_ASKED == 100


def test_the_pages_table_is_what_the_rule_gives():
    """Seeds by kind and number of parts, to the letter."""
    page = rates.PAGE.read_text(encoding="utf-8")
    assert rates.between(page, rates.REACH_MARKS).strip() == rates.reach_table()


def test_groups_primary_tasks_and_looks_count():
    """A group is one requirement, parts without a say cost nothing, and a stricter level asks for more seeds."""
    three = of(3, in_most_seeds())
    assert reach(three, 5, any_of=[frozenset(three)]).refuted
    assert not reach(three, 5, any_of=[frozenset(three)]).reproduced
    assert reach(three, 5, deciding=frozenset({"part 0"})) == Reach(5, True, True, 5, 5)
    assert reach(of(1, above()), 5, level=0.015) == Reach(5, False, False, 7, 7)


def test_what_is_said_to_be_out_of_reach_is():
    """Whatever five truth values are: three of three parts cannot be refuted. Of all 8^5 data by their counts."""
    trends = of(3, in_most_seeds())
    assert not reach(trends, 5).refuted
    counts = [(a, b, c) for a in range(6) for b in range(6) for c in range(6)]
    found = set()
    for each in counts:
        effects = {
            name: {seed: float(seed < hits) for seed in range(5)} for name, hits in zip(trends, each, strict=True)
        }
        found.add(judge_parts(effects, trends).outcome)
    assert found == {"reproduced", "inconclusive"}


def test_a_composite_is_reached_through_its_parts():
    """Reproduced where all can be; refuted where one can at its share of alpha."""
    mean, share = reach(of(1, above()), 5, sharing=2), reach(of(1, in_most_seeds()), 5, sharing=2)
    assert (mean.refuted, share.refuted, share.refuted_from) == (True, False, 6)
    assert reach_whole([mean, share], 5) == Reach(5, True, True, 5, 5)
    assert reach_whole([share, share], 5) == Reach(5, True, False, 5, 6)
    never = reach(of(1, in_most_seeds(0.99)), 5, sharing=2)
    assert reach_whole([mean, never], 5) == Reach(5, False, True, None, 5)
    assert reach_whole([], 5) == Reach(5, False, False, None, None)
    assert reach_whole([mean], 5).to_json()["refuted_from"] == 5
