"""Seeds that share a checkpoint are one observation (dtclaims/harness/stats/units.py)."""

from statistics import mean

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dtclaims.errors import StatisticsError
from dtclaims.harness.stats.intervals import t_tail
from dtclaims.harness.stats.units import by_unit, first_by_unit, most_by_unit, observations
from dtclaims.seeding import generator

EFFECTS = st.dictionaries(st.integers(0, 99), st.floats(-1e6, 1e6), min_size=1, max_size=20)
UNITS = st.lists(st.sampled_from("abcd"), min_size=100, max_size=100).map(lambda names: dict(enumerate(names)))


@given(EFFECTS, UNITS)
def test_each_unit_is_the_mean_of_its_seeds(effects: dict[int, float], unit_of: dict[int, str]) -> None:
    """One number per unit that has seeds, under its smallest seed, by a plain count of its own."""
    found = by_unit(effects, unit_of)
    assert {unit_of[seed] for seed in found} == {unit_of[seed] for seed in effects}
    assert len(found) == len({unit_of[seed] for seed in effects})
    for seed, value in found.items():
        own = [effects[other] for other in effects if unit_of[other] == unit_of[seed]]
        assert seed == min(other for other in effects if unit_of[other] == unit_of[seed])
        assert value == pytest.approx(sum(own) / len(own), rel=1e-9, abs=1e-6)
        assert min(own) <= value <= max(own)


@given(EFFECTS)
def test_units_of_one_seed_change_nothing(effects: dict[int, float]) -> None:
    """Where every seed is a unit of its own, the effects are what they were."""
    unit_of = {seed: str(seed) for seed in effects}
    assert by_unit(effects, unit_of) == first_by_unit(effects, unit_of) == effects


@given(EFFECTS, UNITS, st.randoms())
def test_neither_order_nor_names_count(effects: dict[int, float], unit_of: dict[int, str], draws) -> None:
    """The same numbers, to the last bit, whatever the units are called and in whatever order the seeds come."""
    shuffled = list(effects.items())
    draws.shuffle(shuffled)
    renamed = {seed: f"another {unit}" for seed, unit in unit_of.items()}
    assert by_unit(dict(shuffled), renamed) == by_unit(effects, unit_of)


@given(st.lists(st.lists(st.floats(-1e3, 1e3), min_size=3, max_size=3), min_size=2, max_size=6))
def test_balanced_means_have_the_overall_mean(units: list[list[float]]) -> None:
    """With equally many seeds in each, the mean of the means is the mean of all: the design changes no estimate."""
    effects = {unit * 3 + seed: value for unit, values in enumerate(units) for seed, value in enumerate(values)}
    found = by_unit(effects, {seed: str(seed // 3) for seed in effects})
    assert mean(found.values()) == pytest.approx(mean(effects.values()), abs=1e-9)


def test_a_seed_without_a_unit_is_an_error() -> None:
    """It could be of any."""
    with pytest.raises(StatisticsError, match="seeds without a unit: got 3, 5"):
        by_unit({1: 0.0, 3: 1.0, 5: 2.0}, {1: "a"})


def test_a_statement_holds_in_a_unit_if_it_does_in_most_of_its_seeds() -> None:
    """Exactly half is not most; what is no truth value is left for the rule to refuse."""
    unit_of = dict(enumerate("aaabbbcc"))
    truths = dict(enumerate([1.0, 1.0, 0.0, 1.0, 0.0, 0.0, 1.0, 0.0]))
    assert most_by_unit(truths, unit_of) == {0: 1.0, 3: 0.0, 6: 0.0}
    assert most_by_unit({0: 0.5, 1: 1.0}, unit_of) == {0: 0.75}


def test_each_kind_is_reduced_as_it_is_counted() -> None:
    """Means of what is measured, most seeds for a share, one seed of each unit for a rate and an existence."""
    unit_of, truths = dict(enumerate("aaab")), {0: 0.0, 1: 1.0, 2: 1.0, 3: 1.0}
    for kind in ("above", "contrast", "equivalent", "level"):
        assert observations(truths, unit_of, kind) == {0: pytest.approx(2 / 3), 3: 1.0}
    assert observations(truths, unit_of, "share") == observations(truths, unit_of, "holds_in") == {0: 1.0, 3: 1.0}
    assert observations(truths, unit_of, "rate") == observations(truths, unit_of, "existence") == {0: 0.0, 3: 1.0}


def false_rates(checkpoints: int, seeds: int, ratio: float, draws: int = 4000) -> tuple[float, float]:
    """How often the one-sided t test at .05 shows an effect that is not there: over seeds, and over checkpoint means.

    Args:
        checkpoints: how many.
        seeds: of each.
        ratio: standard deviation between checkpoints over that between seeds.
        draws: how many samples.
    """
    stream = generator(checkpoints, f"units/{seeds}/{ratio}")
    shared = ratio * stream.normal(size=(draws, checkpoints, 1))
    samples = (shared + stream.normal(size=(draws, checkpoints, seeds))).reshape(draws, -1)
    unit_of = {seed: str(seed // seeds) for seed in range(checkpoints * seeds)}

    def shown(values: list[float]) -> bool:
        error = np.std(values, ddof=1) / np.sqrt(len(values))
        return t_tail(float(np.mean(values) / error), len(values) - 1) < 0.05

    naive = [shown(sample) for sample in samples.tolist()]
    means = [shown(list(by_unit(dict(enumerate(sample)), unit_of).values())) for sample in samples.tolist()]
    return sum(naive) / draws, sum(means) / draws


@pytest.mark.slow
@pytest.mark.parametrize(("checkpoints", "seeds"), [(3, 4), (4, 3), (5, 2)])
def test_checkpoint_means_hold_the_level_that_seeds_do_not(checkpoints: int, seeds: int) -> None:
    """Where checkpoints differ as much as seeds do, a t over seeds finds what is not there two to three times as often
    as it says; over the checkpoints' means it holds .05 (4,000 draws, standard error .0034)."""
    naive, means = false_rates(checkpoints, seeds, ratio=1.0)
    assert naive > 0.085
    assert means == pytest.approx(0.05, abs=0.012)


@pytest.mark.slow
def test_more_seeds_of_the_same_checkpoints_make_it_worse() -> None:
    """Twelve seeds of each of three checkpoints: .05 has become .2 and more; the means still hold it."""
    naive, means = false_rates(3, 12, ratio=1.0)
    assert naive > 0.2
    assert means == pytest.approx(0.05, abs=0.012)


@pytest.mark.slow
def test_without_checkpoint_variance_both_hold_the_level() -> None:
    """What the means cost is power, never the level."""
    naive, means = false_rates(4, 3, ratio=0.0)
    assert naive == pytest.approx(0.05, abs=0.012)
    assert means == pytest.approx(0.05, abs=0.012)
