"""The regime of a plan's runs: which runs are whole runs of the paper's arms, and the paper's numbers beside them."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import pytest

from dtclaims.harness.judge.regime import read_regime
from dtclaims.lab.design.scales import SCALES
from dtclaims.lab.design.spec import RunSpec, resolve
from dtclaims.lab.design.switches import PROTOCOLS
from dtclaims.lab.regime import DISPLACEMENT, PAPER, regime
from dtclaims.places import fixture_dir

BUDGET = SCALES["mini"].budget


def spec(arm: str, seed: int = 0, context: int = 20, protocol: str = "published", **changes: Any) -> RunSpec:
    """A whole run at mini."""
    found = resolve(
        task="hopper",
        arm=arm,
        context=context,
        seed=seed,
        scale="mini",
        budget=BUDGET,
        protocol=PROTOCOLS[protocol],
    )
    return replace(found, **changes)


@dataclass
class Planned:
    """A plan of runs, by their specification, with results."""

    results: Mapping[RunSpec, Mapping[str, Any] | None]

    def jobs(self) -> Sequence[Any]:
        return [(SimpleNamespace(order=SimpleNamespace(spec=one)), one.name) for one in self.results]

    def stored(self, key: str) -> Any:
        found = {one.name: result for one, result in self.results.items()}[key]
        return found and SimpleNamespace(result=found)


def result(displacement: float | None, saturated: float, clipped: float) -> dict[str, Any]:
    said = {} if displacement is None else {"displacement": displacement}
    return {"curves": {"saturated": [0.9, saturated], "clipped": [1.0, clipped]}, "diagnostics": said}


def test_a_row_is_the_mean_over_the_whole_runs_of_an_arm() -> None:
    """Other arms, shorter runs, other heads and runs that are not stored are not of it; protocols have their own."""
    plan = Planned(
        {
            spec("language_pretrained", 0): result(0.1, 0.2, 0.5),
            spec("language_pretrained", 1): result(0.3, 0.4, 0.7),
            spec("language_pretrained", 2): None,
            spec("language_pretrained", 3, epochs=1): result(9.0, 9.0, 9.0),
            spec("language_pretrained", 4, clip=False): result(9.0, 9.0, 9.0),
            spec("language_permuted", 0): result(9.0, 9.0, 9.0),
            spec("random_init", 0): result(None, 0.0, 0.0),
            spec("random_init", 0, context=1): result(0.5, 0.0, 0.0),
            spec("image_pretrained", 0, protocol="corrected"): result(0.6, 0.0, 0.0),
        }
    )
    rows = read_regime(regime(plan, list(PROTOCOLS.values())))  # type: ignore[arg-type]
    assert [(row.of, row.protocol, row.scale, row.n) for row in rows] == [
        ("language_pretrained, K=20", "published", "mini", 2),
        ("random_init, K=20", "published", "mini", 1),
        ("random_init, K=1", "published", "mini", 1),
        ("image_native, K=20", "corrected", "mini", 1),
    ]
    language, random, alone, _ = ({value.name: value for value in row.values} for row in rows)
    assert [value.ours for value in language.values()] == pytest.approx([BUDGET.learning_rate, 0.2, 0.3, 0.8])
    assert language["learning rate"].paper == "0.0001"
    assert language[DISPLACEMENT].paper == PAPER["language_pretrained"][DISPLACEMENT]
    # Before displacement was recorded, and where the paper draws none.
    assert (random[DISPLACEMENT].ours, alone[DISPLACEMENT].paper) == (None, "")


def test_sizes_are_compared_where_the_regime_is_the_paper_s() -> None:
    """A scale of another rate says why its effects are of another size; one of the paper's rate says nothing."""
    paper = SCALES["paper"].budget.learning_rate
    assert [bool(one.apart) for one in SCALES.values()] == [
        one.budget.learning_rate != paper for one in SCALES.values()
    ]
    assert [name for name, one in SCALES.items() if not one.apart] == ["full", "paper"]


def test_what_is_said_of_the_paper_follows_from_its_figures() -> None:
    """By the distances and cosines that it draws; of the random arm by its distances and N(0, 0.02²)."""
    drawn = json.loads((fixture_dir() / "paper" / "readings.json").read_text(encoding="utf-8"))
    tensors = drawn["tensors"]
    found: dict[str, list[float]] = {name: [] for name in ("language", "image", "random", "matrices")}
    for tasks in drawn["parameters"].values():
        for arms in tasks.values():
            for arm in ("language", "image"):
                found[arm].append(at_right_angles(arms[arm], tensors))
            moved = dict(zip([f"{n} {name}" for n in range(12) for name in tensors], arms["random"]["l2"], strict=True))
            width = 768
            matrices = 12 * 12 * width**2 * 0.02**2
            gains = 12 * 2 * width
            found["random"].append(math.hypot(*moved.values()) / math.sqrt(matrices + gains))
            weights = [value for name, value in moved.items() if name.endswith("weight") and "ln_" not in name]
            found["matrices"].append(math.hypot(*weights) / math.sqrt(matrices))
    assert {round(value, 1) for value in found["random"]} == {1.2}
    assert {round(value, 1) for value in found["matrices"]} == {1.5}
    assert 0.115 < min(found["language"]) < max(found["language"]) < 0.135
    assert max(found["image"]) < 0.03


def at_right_angles(arm: Mapping[str, Sequence[float]], tensors: Sequence[str]) -> float:
    """‖θ − θ0‖ / ‖θ0‖ of the weight tensors, had each moved at right angles to itself."""
    names = list(tensors) * (len(arm["l2"]) // len(tensors))
    moved = start = 0.0
    for name, distance, cosine in zip(names, arm["l2"], arm["cosines"], strict=True):
        # One that reads 1 moved less than can be told; leaving it out makes the whole look larger.
        if name.endswith("weight") and 0 < cosine < 1:
            moved += distance**2
            start += (distance * cosine) ** 2 / (1 - cosine**2)
    return math.sqrt(moved / start)
