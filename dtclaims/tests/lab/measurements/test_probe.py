"""Probes of stored runs: which pairs are read, on what, and what is kept of the readings."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from dtclaims.lab.measurements import MEASUREMENTS, Bench
from dtclaims.lab.measurements.probe import probe_ends, probe_profile, probe_steps
from dtclaims.lab.metrics import Probe, probes
from dtclaims.lab.models import capture
from dtclaims.tests.support.information import STEPS, outputs, run, whole, windows
from dtclaims.tests.support.tiny_benches import CORRECTED, PUBLISHED

FEW = 60
Pairs = Mapping[str, tuple[Tensor, Tensor]]
Asked = list[tuple[Pairs, dict[str, Any]]]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    """What the real probes are asked, on few windows."""
    calls: Asked = []

    def noted(pairs: Pairs, **options: Any) -> dict[str, Probe]:
        calls.append((pairs, options))
        return probes(pairs, **options)

    monkeypatch.setattr("dtclaims.lab.metrics.probes", noted)
    for module in ("information_inputs", "probe"):
        for name in ("CORRECTED_WINDOWS", "MINI_WINDOWS"):
            monkeypatch.setattr(f"dtclaims.lab.measurements.{module}.{name}", FEW)
    return calls


def check_profile(value: Mapping[str, Any], one: Bench, pairs: Pairs, options: Mapping[str, Any], block: str) -> None:
    """All 59 tokens at every scale: data from the output at the last state, the last action from it at each token."""
    shown, output = windows(one, FEW), outputs(one, FEW)[block]
    assert value["tokens"] == list(range(59))
    for token in value["tokens"]:
        kind = ("returns_to_go", "states", "actions")[token % 3]
        data, at_last_state = pairs[f"x/{token}"]
        assert torch.equal(data, whole(shown, kind)[:, token // 3])
        assert torch.equal(at_last_state, output[:, -2])
        label, at_token = pairs[f"y/{token}"]
        assert torch.equal(label, whole(shown, "actions")[:, -1])
        assert torch.equal(at_token, output[:, token])
    expected = probes(pairs, **options)
    for side in ("x", "y"):
        found = [expected[f"{side}/{token}"] for token in range(59)]
        assert value[side] == [one.value for one in found]
        assert value["spread"][side] == [one.spread for one in found]
        assert value["columns"][side] == [one.columns.tolist() for one in found]
        assert value["penalties"][side] == [one.penalties.tolist() for one in found]
    assert [len(value["columns"]["x"][token]) for token in (0, 1, 2)] == [1, 11, 3]
    starts = one.starts(FEW, full=True, per_seed=True)
    assert options["groups"].tolist() == [start // STEPS + 1 for start in starts]
    assert options["seed"] == one.seed
    counts = {"lost": 0, "evaluable": True, "windows": FEW, "trajectories": len(set(options["groups"]))}
    assert {name: value[name] for name in counts} == counts


@pytest.mark.parametrize("scale", ["small", "mini"])
def test_profile(tmp_path: Path, asked: Asked, scale: str) -> None:
    """Of the middle block."""
    one = run(tmp_path, scale=scale)
    value = probe_profile(one, CORRECTED)
    ((pairs, options),) = asked
    check_profile(value, one, pairs, options, "h.1")


def test_ends(tmp_path: Path, asked: Asked) -> None:
    """The same of the first and the last block (App. J.2)."""
    one = run(tmp_path)
    value = probe_ends(one, CORRECTED)
    for name, block, (pairs, options) in zip(("first", "last"), ("h.0", "h.2"), asked, strict=True):
        check_profile(value[name], one, pairs, options, block)


def test_steps(tmp_path: Path, asked: Asked) -> None:
    """Each step's state and action from every block's output at that state; each step's R² and their mean are kept."""
    one = run(tmp_path)
    value = probe_steps(one, CORRECTED)
    ((pairs, options),) = asked
    shown, output = windows(one, FEW), outputs(one, FEW)
    expected = probes(pairs, **options)
    assert len(pairs) == 2 * 3 * 20
    for kind, field in (("state", "states"), ("action", "actions")):
        for block in range(3):
            for step in range(20):
                data, activations = pairs[f"{kind}/{block}/{step}"]
                assert torch.equal(data, whole(shown, field)[:, step])
                assert torch.equal(activations, output[f"h.{block}"][:, 3 * step + 1])
            steps = [expected[f"{kind}/{block}/{step}"].value for step in range(20)]
            assert value["steps"][kind][block] == steps
            assert value[kind][block] == pytest.approx(np.mean(steps))
    assert (value["lost"], value["windows"]) == (0, FEW)


@pytest.mark.parametrize("measure", [probe_profile, probe_ends, probe_steps])
def test_one_form_for_both_protocols(tmp_path: Path, asked: Asked, measure: Callable[..., Any]) -> None:
    """Plain JSON; the switch of MINE changes nothing, that of the windows' seeds which windows are read."""
    one = replace(run(tmp_path, blocks=2), seed=3)
    value = measure(one, CORRECTED)
    assert json.loads(json.dumps(value, allow_nan=False)) == value
    assert measure(one, {**CORRECTED, "mi_estimator": "in_sample"}) == value != measure(one, PUBLISHED)
    declared = MEASUREMENTS[measure.__name__]
    assert declared.switches == ("seeding",)
    assert declared.says["published"] == declared.says["corrected"]


def test_before_training(tmp_path: Path, asked: Asked) -> None:
    """At epoch 0, of the network as it started."""
    one = run(tmp_path)
    probe_profile(one, CORRECTED, epoch=0)
    ((pairs, _),) = asked
    (batch,) = windows(one, FEW)
    assert torch.equal(pairs["y/7"][1], capture(one.network(0), batch, ("resid_out",))["h.1.resid_out"][:, 7])


def test_what_is_constant_is_lost(tmp_path: Path, asked: Asked) -> None:
    """Actions that never change have no R²: None in their place, counted."""
    one = run(tmp_path)
    one.all_data.actions[:] = 0.5
    value = probe_profile(one, CORRECTED)
    assert value["y"] == [None] * 59
    assert value["x"].count(None) == 19
    assert value["lost"] == pytest.approx((59 + 19) / 118)
    assert value["evaluable"] is False
