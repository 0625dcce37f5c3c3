"""Behaviour of `dtclaims.harness.judge.attribution`: a set of switches is enough where its own difference is shown."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import NormalDist, fmean, stdev

import pytest

from dtclaims.harness.judge.attribution import explained, moved
from dtclaims.harness.judge.entries import Component, Effect, Entry, Moved, Over
from dtclaims.harness.judge.words import Status
from dtclaims.harness.report import parse
from dtclaims.harness.stats.intervals import t_quantile
from dtclaims.tests.support import report_example

BASE = next(one for one in parse(report_example.content()).claims if one.id.startswith("S5.1") and not one.components)
UNDER: tuple[float, ...] = (0.05, -0.02, 0.03, 0.01, -0.04)


def entry(values: Sequence[float], verdict: Status = "inconclusive", **fields: object) -> Entry:
    """The example's claim with these effects, by seed."""
    effect = replace(BASE.effect, mean=fmean(values), per_seed=dict(enumerate(values)))
    return replace(BASE, effect=effect, verdict=verdict, **fields)  # type: ignore[arg-type]


def of(**others: Entry) -> Mapping[tuple[str, ...], Entry]:
    return {(): entry(UNDER), **{tuple(name.split("_")): one for name, one in others.items()}}


def shifted(by: float, noise: float = 0.0) -> list[float]:
    return [value + by + noise * (-1) ** place for place, value in enumerate(UNDER)]


def test_the_difference_is_paired_by_seed() -> None:
    """Its interval is the t interval of what each seed moves, at the entry's own level: seeds that differ among
    themselves do not hide a switch that moves all of them alike."""
    found = moved(entry(UNDER), entry(shifted(0.01, noise=0.002)))
    differences = [0.012, 0.008, 0.012, 0.008, 0.012]
    assert BASE.statistics is not None
    half = t_quantile(1 - BASE.statistics.level, 4) * stdev(differences) / 5**0.5
    assert (found.mean, found.low, found.high) == pytest.approx((fmean(differences), 0.0104 - half, 0.0104 + half))
    assert found.shown
    # Unpaired, the spread of the seeds would be far larger than the difference.
    assert NormalDist().inv_cdf(0.95) * stdev(UNDER) * (2 / 5) ** 0.5 > 0.0104


def test_a_base_that_straddles_makes_nothing_enough() -> None:
    """Where every switch changes the verdict because the interval straddles what was claimed, and none moves the
    effect, a set is named with a difference that is not shown."""
    under = of(a=entry(shifted(0.0, noise=0.05), "refuted"), b=entry(shifted(0.001, noise=0.05), "reproduced"))
    found = explained(["a", "b"], lambda switches: under[tuple(switches)], tried=1)
    assert len(found.smallest or ()) == 1
    assert found.moved is not None
    assert not found.moved.shown


def test_a_shown_difference_comes_before_one_that_is_not() -> None:
    """The switch whose difference is shown is named, though another that changes the verdict moves the mean further."""
    under = of(loud=entry(shifted(0.2, noise=0.9), "refuted"), sure=entry(shifted(0.1), "reproduced"))
    found = explained(["loud", "sure"], lambda switches: under[tuple(switches)], tried=1)
    assert list(found.variants) == ["loud", "sure"]
    assert found.smallest == ("sure",)
    assert found.moved == found.variants["sure"].moved
    assert found.moved is not None
    assert found.moved.shown


def test_a_larger_set_has_its_own_difference() -> None:
    """Where no single switch changes the verdict, it is the set's difference that counts."""
    under = of(a=entry(shifted(0.1)), b=entry(shifted(0.05)), a_b=entry(shifted(0.3), "reproduced"))
    found = explained(["a", "b"], lambda switches: under[tuple(switches)], tried=2)
    assert found.smallest == ("a", "b")
    assert found.moved is not None
    assert found.moved.mean == pytest.approx(0.3)


def test_where_there_is_no_difference_none_is_made_up() -> None:
    """Another quantity, no shared seed, or a verdict that came from parts: no mean. Two seeds, or seeds that are not
    independent: no interval."""
    other = entry(shifted(0.1))
    renamed = replace(other, effect=replace(other.effect, unit="another"))
    elsewhere = replace(other, effect=replace(other.effect, per_seed={9: 0.1}))
    for against in (renamed, elsewhere, replace(other, effect=Effect.none("", ""))):
        assert moved(entry(UNDER), against) == Moved(None, None, None)
    parts = replace(entry(UNDER), parts=report_example_parts(), decided_by=("some part",))
    assert moved(parts, other) == Moved(None, None, None)
    assert moved(entry(UNDER[:2]), other).low is None
    spread = replace(other, over=Over("3 checkpoints", "checkpoint"))
    assert moved(entry(UNDER), spread).mean == pytest.approx(0.1)
    assert moved(entry(UNDER), spread).low is None


def test_the_component_that_decided_is_compared() -> None:
    """Of a claim on several tasks the difference is that of the task which decided, in both."""

    def component(values: Sequence[float]) -> Component:
        effect = replace(BASE.effect, mean=fmean(values), per_seed=dict(enumerate(values)))
        return Component("refuted", effect, BASE.trend, BASE.statistics)

    base = replace(
        entry(UNDER), components={"x": component(UNDER), "y": component(UNDER)}, decided_by=("y",), verdict="refuted"
    )
    other = replace(base, components={"x": component(shifted(5.0)), "y": component(shifted(0.1))}, decided_by=("x",))
    assert moved(base, other).mean == pytest.approx(0.1)


def report_example_parts() -> tuple[object, ...]:
    return next(one.parts for one in parse(report_example.content()).claims if one.parts)
