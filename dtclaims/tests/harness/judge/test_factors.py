"""Over what an interval runs (dtclaims/harness/judge/factors.py)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast

from dtclaims.harness.judge.factors import Factors, factors_of
from dtclaims.harness.lab import Reading
from dtclaims.harness.plan.cells import Cell
from dtclaims.harness.plan.plan import Plan, PlannedReading

NAME = ("C-1", "published", "mini")


@dataclass(frozen=True)
class Named:
    """Of a cell, what a plan knows it by."""

    name: tuple[str, str, str] = NAME


CELL = cast("Cell", Named())


def found(count: int, *needs: Callable[[int], Mapping[str, str]], tasks: tuple[str, ...] = ("hopper",)) -> Factors:
    """The factors of a cell whose needs are read with some factors, by seed."""
    plan = Plan(tuple(range(count)), "cpu")
    of: dict[int, dict[str, dict[str, str]]] = {}
    for seed in plan.seeds:
        for task in tasks:
            for place, factors in enumerate(needs):
                key = f"{seed}/{task}/{place}"
                said = {name: level.format(task=task) for name, level in factors(seed).items()}
                plan.readings[key] = PlannedReading(Reading("q", (), factors=said), (), key)
                of.setdefault(seed, {}).setdefault(task, {})[str(place)] = key
    plan.needs[NAME] = of
    return factors_of(plan, CELL)


def language(numbers: int) -> Callable[[int], Mapping[str, str]]:
    """A reading of runs that start from one of several checkpoints, on one data set."""
    return lambda seed: {"language checkpoint": f"language-small@{seed % numbers + 1}", "data set": "{task}-medium"}


def random(seed: int) -> Mapping[str, str]:
    """A reading of runs that draw their own weights."""
    return {"data set": "{task}-medium"}


def test_one_checkpoint_says_this_checkpoint() -> None:
    """However many seeds: each is an observation, and the sentence says of what."""
    one = found(5, random, language(1))
    assert one.levels == {"language checkpoint": ("language-small@1",), "data set": ("hopper-medium",)}
    assert list(one.levels) == ["language checkpoint", "data set"]
    assert one.unit_of == {}
    assert one.sentence() == (
        "5 seeds, one language checkpoint (language-small@1), one data set (hopper-medium): "
        "says this language checkpoint, this data set"
    )
    assert found(1, random).sentence() == "1 seed, one data set (hopper-medium): says this data set"


def test_several_checkpoints_are_the_units() -> None:
    """Seeds of one checkpoint are one observation; what stays one is still said."""
    three = found(12, language(3), random)
    assert three.varying == ("language checkpoint",)
    assert three.unit_of == {seed: f"language-small@{seed % 3 + 1}" for seed in range(12)}
    assert three.sentence() == (
        "12 seeds over 3 language checkpoints (language-small@1, language-small@2, language-small@3), "
        "one data set (hopper-medium): the unit is the language checkpoint; says this data set"
    )


def test_a_claim_about_two_checkpoints_has_pairs_of_them() -> None:
    """A seed's arms start from one number each: the unit is both together."""
    image = {"image checkpoint": "image-small@{}"}
    both = found(4, language(2), lambda seed: {name: at.format(seed % 2 + 1) for name, at in image.items()})
    assert both.by_seed[1] == both.by_seed[3] == "language-small@2 and image-small@2"
    assert len(set(both.unit_of.values())) == 2
    assert "the unit is the language checkpoint with the image checkpoint" in both.sentence()


def test_tasks_of_one_seed_are_one_level() -> None:
    """A claim on three tasks rests on three data sets in every seed, which varies nothing."""
    three = found(3, random, tasks=("hopper", "walker2d"))
    assert three.levels == {"data set": ("hopper-medium and walker2d-medium",)}
    assert three.unit_of == {}


def test_a_lab_that_names_nothing_has_seeds_alone() -> None:
    """And so has a cell that is made of its parts."""
    nothing: Any = found(3, lambda seed: {})
    assert (nothing.levels, nothing.unit_of, nothing.sentence()) == ({}, {}, "3 seeds")
    assert factors_of(Plan((0, 1), "cpu"), CELL) == Factors()
