"""How often the rule is wrong: the fast forms are the rule, and the page's tables are what they give."""

import math

import numpy as np
import pytest

from dtclaims.harness.stats import holm, judge_parts, judge_trend, judge_whole
from dtclaims.harness.stats.composites import Said
from dtclaims.harness.stats.trends import above, equivalent
from dtclaims.seeding import generator
from dtclaims.tests.support import rates

SAMPLES = 60


def drawn(name, *shape, law=rates.normal):
    """Samples that are often near a cut: a third of them around 0, and others around 1 and -1."""
    shift = generator(0, f"test rates/shift/{name}").integers(-1, 2, size=(shape[0],) + (1,) * (len(shape) - 1))
    return law(generator(0, f"test rates/{name}"), shape) + shift


def by_seed(sample):
    return dict(enumerate(sample.tolist()))


@pytest.mark.parametrize("law", rates.LAWS.values(), ids=lambda law: law.__name__)
@pytest.mark.parametrize("n", [3, 5, 8])
@pytest.mark.parametrize("interest", [0.0, 1.0])
def test_the_fast_form_of_one_part_is_the_rule(law, n, interest):
    """On each sample, at a level of its own, with and without a smallest effect of interest."""
    x = drawn(f"one/{law.__name__}/{n}", SAMPLES, n, law=law)
    fast = rates.contrast(x, 0.035, interest=interest)
    found = [judge_trend(by_seed(one), above(interest=interest, why="ours"), level=0.035) for one in x]
    assert fast.reproduced.tolist() == [verdict.outcome == "reproduced" for verdict in found]
    assert fast.refuted.tolist() == [verdict.outcome == "refuted" for verdict in found]


@pytest.mark.parametrize("margin", [0.25, 1.0])
def test_the_fast_form_of_an_equivalence_is_the_rule(margin):
    """Within by both tests and gate, outside on either side."""
    x = 0.6 * drawn("equivalence", 4 * SAMPLES, 8)
    fast = rates.equivalence(x, margin)
    found = [judge_trend(by_seed(one), equivalent(margin, why="ours")).outcome for one in x]
    assert fast.reproduced.tolist() == [outcome == "reproduced" for outcome in found]
    assert fast.refuted.tolist() == [outcome == "refuted" for outcome in found]


@pytest.mark.parametrize(("count", "n"), [(1, 5), (3, 5), (5, 5), (5, 8)])
def test_the_fast_form_of_several_parts_is_the_rule(count, n):
    """Few by their share of alpha, many by turning seeds; p included."""
    x = drawn(f"several/{count}/{n}", SAMPLES, count, n)
    x[::2, 0] -= 3
    fast = rates.several(x)
    found = [judge_parts(dict(enumerate(map(by_seed, one))), dict.fromkeys(range(count), above())) for one in x]
    assert fast.reproduced.tolist() == [verdict.outcome == "reproduced" for verdict in found]
    assert fast.refuted.tolist() == [verdict.outcome == "refuted" for verdict in found]
    known = fast.refuted
    assert fast.p_against[known] == pytest.approx(np.array([verdict.p_against for verdict in found])[known])


def test_the_fast_form_of_a_composite_is_the_rule():
    """Each part's verdict, then `judge_whole`."""
    x = drawn("whole", SAMPLES, 3, 5)
    x[::2, 0] -= 2
    found = []
    for one in x:
        parts = {str(place): judge_trend(by_seed(values), above()) for place, values in enumerate(one)}
        said = {
            name: Said(part.outcome, p_against=part.p_against, gate_against=part.gate_against)
            for name, part in parts.items()
        }
        found.append(judge_whole(said).outcome)
    fast = rates.whole(x)
    assert fast.reproduced.tolist() == [outcome == "reproduced" for outcome in found]
    assert fast.refuted.tolist() == [outcome == "refuted" for outcome in found]


def test_the_fast_form_of_holm_is_the_rule():
    """On thirty families of six."""
    p = generator(0, "test rates/holm").random((30, 6)) ** 4
    assert rates.holm(p).tolist() == [list(holm(dict(enumerate(one))).values()) for one in p.tolist()]


@pytest.mark.parametrize("law", [rates.normal, rates.heavy])
@pytest.mark.parametrize(("count", "n"), [(1, 3), (1, 5), (2, 5), (3, 5), (5, 5), (12, 5)])
def test_false_verdicts_stay_below_alpha(law, count, n):
    """With every part at the null at most alpha of the samples are reproduced, and refuted."""
    draws = 2000
    found = rates.several(law(generator(0, f"test rates/{law.__name__}/{count}/{n}"), (draws, count, n)))
    most = rates.ALPHA + 3 * math.sqrt(rates.ALPHA * (1 - rates.ALPHA) / draws)
    assert found.reproduced.mean() <= most
    assert found.refuted.mean() <= most


@pytest.mark.slow
def test_the_pages_tables_are_what_the_rule_gives():
    """Fresh samples give every number of the page, but for what so many draws leave open."""
    for table, told in zip(rates.simulated("test"), rates.written(), strict=True):
        assert len(told) == len(table.numbers)
        for before, now in zip(told, table.numbers, strict=True):
            middle = (before + now) / 2
            error = math.sqrt(2 * middle * (1 - middle) / table.draws)
            assert abs(before - now) <= 4.5 * error + 0.001, f"{table.title}: {before} told, {now} now"
