"""Mutual information of stored runs: which pairs are estimated, how, and what is kept of the estimates."""

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from dtclaims.lab.data.windows import Batch
from dtclaims.lab.measurements import Bench
from dtclaims.lab.measurements import information_inputs as inputs
from dtclaims.lab.measurements.information import (
    data_information,
    information_ends,
    information_profile,
    information_steps,
)
from dtclaims.lab.metrics import HeldOutMine, MutualInformation, PublishedMine
from dtclaims.tests.support.examples import made_up
from dtclaims.tests.support.information import outputs, run, whole, windows
from dtclaims.tests.support.tiny_benches import CORRECTED, PUBLISHED

FEW = 24
Pairs = Mapping[str, tuple[Tensor, Tensor]]


class Estimator:
    """Stands for `mutual_informations`: notes what it is given, and answers with numbers in order."""

    def __init__(self, lost: int = 0) -> None:
        self.lost = lost
        self.bounds, self.nulls = np.zeros(1), np.zeros(1)
        self.pairs: Pairs = {}
        self.options: dict[str, Any] = {}

    def __call__(self, pairs: Pairs, **options: Any) -> dict[str, MutualInformation]:
        self.pairs, self.options = pairs, options
        return {name: self.estimate(math.nan if i < self.lost else float(i)) for i, name in enumerate(pairs)}

    def estimate(self, value: float) -> MutualInformation:
        """An estimate with this value."""
        return MutualInformation(
            value, self.bounds, self.nulls, math.nan, "finite" if math.isfinite(value) else "failed"
        )


@pytest.fixture
def estimator(monkeypatch: pytest.MonkeyPatch) -> Estimator:
    """In the place of the real one."""
    stand_in = Estimator()
    monkeypatch.setattr("dtclaims.lab.metrics.mutual_informations", stand_in)
    monkeypatch.setattr(inputs, "CORRECTED_WINDOWS", FEW)
    monkeypatch.setattr(inputs, "MINI_WINDOWS", FEW)
    return stand_in


def check_profile(value: Mapping[str, Any], pairs: Pairs, shown: list[Batch], output: Tensor) -> None:
    """Pairs are each token with the output at the last state, and the last action with it at each token."""
    assert len(pairs) == 2 * len(value["tokens"])
    for token in value["tokens"]:
        kind = ("returns_to_go", "states", "actions")[token % 3]
        x, at_last_state = pairs[f"x/{token}"]
        assert torch.equal(x, whole(shown, kind)[:, token // 3])
        assert torch.equal(at_last_state, output[:, -2])
        label, at_token = pairs[f"y/{token}"]
        assert torch.equal(label, whole(shown, "actions")[:, -1])
        assert torch.equal(at_token, output[:, token])
    names = list(pairs)
    for side in ("x", "y"):
        assert value[side] == [float(names.index(f"{side}/{token}")) for token in value["tokens"]]
    assert (value["lost"], value["evaluable"]) == (0, True)


def test_corrected_estimates_keep_what_they_are_the_difference_of(tmp_path: Path, estimator: Estimator) -> None:
    """Means over the estimators of bound and null, side by side with the value; as published there is nothing more."""
    one = run(tmp_path)
    estimator.bounds, estimator.nulls = np.array([3.0, 4.0]), np.array([1.0, math.nan])
    profile, steps = information_profile(one, CORRECTED), information_steps(one, CORRECTED)
    assert profile["bound"] == {"x": [3.5] * 59, "y": [3.5] * 59}
    assert profile["null"] == {"x": [None] * 59, "y": [None] * 59}
    assert steps["bound"] == {"state": [[3.5] * 20] * 3, "action": [[3.5] * 20] * 3}
    assert steps["null"] == {"state": [[None] * 20] * 3, "action": [[None] * 20] * 3}
    data = data_information(Bench(None, made_up([30] * 8), {}, "cpu", 3), CORRECTED)
    assert data["bound"] == {"state": [3.5] * 20, "return": [3.5] * 20}
    estimator.bounds = np.empty(0)
    assert information_profile(one, CORRECTED)["bound"]["x"] == [None] * 59
    for value in (information_profile(one, PUBLISHED), information_steps(one, PUBLISHED)):
        assert set(value).isdisjoint({"bound", "null"})


@pytest.mark.parametrize("corrected", [False, True])
@pytest.mark.parametrize(
    ("scale", "tokens"), [("small", list(range(59))), ("mini", [12, 13, 14, 27, 28, 29, 42, 43, 44, 57, 58])]
)
def test_profile(tmp_path: Path, estimator: Estimator, scale: str, tokens: list[int], corrected: bool) -> None:
    """Of the middle block, over all tokens but the last action; over those of four steps at the mini scale."""
    one = run(tmp_path, scale=scale)
    value = information_profile(one, CORRECTED if corrected else PUBLISHED)
    assert value["tokens"] == tokens
    output = outputs(one, FEW, corrected=corrected)["h.1"]
    check_profile(value, estimator.pairs, windows(one, FEW, corrected=corrected), output)


@pytest.mark.parametrize("corrected", [False, True])
def test_ends(tmp_path: Path, estimator: Estimator, corrected: bool) -> None:
    """The same of the first and the last block (App. J.2)."""
    one = run(tmp_path)
    value = information_ends(one, CORRECTED if corrected else PUBLISHED)
    shown, output = windows(one, FEW, corrected=corrected), outputs(one, FEW, corrected=corrected)["h.2"]
    # The stand-in remembers the last call.
    check_profile(value["last"], estimator.pairs, shown, output)
    assert value["first"] == value["last"]
    assert set(value) == {"first", "last"}


@pytest.mark.parametrize("corrected", [False, True])
def test_step_pairs(tmp_path: Path, estimator: Estimator, corrected: bool) -> None:
    """Each step's state and action with every block's output at that state; means over steps are kept, by block."""
    one = run(tmp_path)
    value = information_steps(one, CORRECTED if corrected else PUBLISHED)
    shown, output = windows(one, FEW, corrected=corrected), outputs(one, FEW, corrected=corrected)
    assert len(estimator.pairs) == 2 * 3 * 20
    for block in range(3):
        for step in range(20):
            for kind, field in (("state", "states"), ("action", "actions")):
                x, z = estimator.pairs[f"{kind}/{block}/{step}"]
                assert torch.equal(x, whole(shown, field)[:, step])
                assert torch.equal(z, output[f"h.{block}"][:, 3 * step + 1])
    names = list(estimator.pairs)
    for kind in ("state", "action"):
        expected = [np.mean([names.index(f"{kind}/{block}/{step}") for step in range(20)]) for block in range(3)]
        assert value[kind] == pytest.approx(expected)


@pytest.mark.parametrize("corrected", [False, True])
def test_data_pairs(estimator: Estimator, corrected: bool) -> None:
    """State and return-to-go of each step with its action, without a run."""
    alone = Bench(None, made_up([30] * 8), {}, "cpu", 3)
    value = data_information(alone, CORRECTED if corrected else PUBLISHED)
    shown = windows(alone, FEW, corrected=corrected)
    assert len(estimator.pairs) == 40
    for step in range(20):
        for kind, field in (("state", "states"), ("return", "returns_to_go")):
            x, action = estimator.pairs[f"{kind}/{step}"]
            assert torch.equal(x, whole(shown, field)[:, step])
            assert torch.equal(action, whole(shown, "actions")[:, step])
    assert len(value["state"]) == len(value["return"]) == 20
    assert estimator.options["seed"] == 3


def test_estimators(tmp_path: Path, estimator: Estimator) -> None:
    """Published: the released fit, without a null. Corrected: whole trajectories on one side of a split (DEV-02)."""
    one = run(tmp_path)
    information_profile(one, PUBLISHED)
    assert estimator.options == {"protocol": "published", "seed": 0, "settings": PublishedMine(null=False)}
    information_profile(one, CORRECTED)
    groups = estimator.options.pop("groups")
    assert estimator.options == {"protocol": "corrected", "seed": 0, "settings": HeldOutMine()}
    starts = one.starts(FEW, full=True, per_seed=True)
    # Trajectories of 30 steps each.
    assert len(set(groups)) > 3
    assert [group - groups[0] for group in groups] == [start // 30 - starts[0] // 30 for start in starts]


def test_estimators_at_the_mini_scale(tmp_path: Path, estimator: Estimator) -> None:
    """As published still in-sample, with a smaller critic; as corrected still held out, with one smaller estimator."""
    one = run(tmp_path, scale="mini")
    information_profile(one, PUBLISHED)
    assert estimator.options["settings"] == PublishedMine(passes=200, hidden=64, lr=1e-3, null=False)
    information_profile(one, CORRECTED)
    settings = estimator.options["settings"]
    assert (settings.seeds, settings.least, settings.components) == (1, FEW, 16)


def test_the_middle_of_deeper_networks(tmp_path: Path, estimator: Estimator) -> None:
    """Block 2 of 0 to 3 for an image arm of four blocks, as 12 of 0 to 23 in the paper (DEV-25)."""
    one = run(tmp_path, arm="image_native")
    information_profile(one, CORRECTED)
    assert torch.equal(estimator.pairs["x/0"][1], outputs(one, FEW, corrected=True)["h.2"][:, -2])


@pytest.mark.parametrize(("lost", "published", "corrected"), [(0, True, True), (5, True, True), (6, True, False)])
def test_lost_estimates_are_counted(
    tmp_path: Path, estimator: Estimator, lost: int, published: bool, corrected: bool
) -> None:
    """None in their place; more than 5 % of 118 make an arm not evaluable under corrected only (DEV-20)."""
    estimator.lost = lost
    one = run(tmp_path)
    for switches, usable in ((PUBLISHED, published), (CORRECTED, corrected)):
        value = information_profile(one, switches)
        assert [*value["x"], *value["y"]].count(None) == lost
        assert value["lost"] == pytest.approx(lost / 118)
        assert value["evaluable"] is usable


def test_nothing_left_is_not_evaluable(tmp_path: Path, estimator: Estimator) -> None:
    """Not even as published, which drops what failed; a block without any estimate has no mean."""
    estimator.lost = 10_000
    one = run(tmp_path)
    assert not information_profile(one, PUBLISHED)["evaluable"]
    assert information_steps(one, PUBLISHED) == {
        "state": [None] * 3,
        "action": [None] * 3,
        "lost": 1.0,
        "evaluable": False,
    }


@pytest.mark.parametrize("switches", [PUBLISHED, CORRECTED], ids=["published", "corrected"])
def test_real_estimates_are_plain_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, switches: Mapping[str, str]
) -> None:
    """With tiny estimators, every measurement gives JSON without NaN, twice the same."""
    quick = PublishedMine(passes=4, batch=50, hidden=4, layers=1, null=False)
    held_out = HeldOutMine(seeds=1, least=FEW, steps=2, batch=8, hidden=4, layers=1, shuffles=1)
    monkeypatch.setattr(inputs, "in_sample_settings", lambda mini: quick)
    monkeypatch.setattr(inputs, "held_out_settings", lambda mini: held_out)
    monkeypatch.setattr(inputs, "CORRECTED_WINDOWS", FEW)
    one = run(tmp_path, blocks=2)
    for measure in (information_profile, information_ends, information_steps, data_information):
        value = measure(one, switches)
        assert json.loads(json.dumps(value, allow_nan=False)) == value == measure(one, switches)
