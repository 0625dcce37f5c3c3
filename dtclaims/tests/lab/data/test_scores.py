"""Score references: the three kinds, and the measured ones that ship."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dtclaims.errors import FixtureError, UsageError
from dtclaims.lab.data import references, scores
from dtclaims.lab.data.collect import policy_folder
from dtclaims.lab.data.physics import simulator_version
from dtclaims.lab.data.references import RandomPolicy, measure_references
from dtclaims.lab.data.scores import measured_references, score_reference
from dtclaims.lab.data.simulators import GYM_V2, V4
from dtclaims.lab.design.tasks import TASKS
from dtclaims.places import read_card


@pytest.mark.parametrize("name", list(TASKS))
def test_three_references(name: str) -> None:
    """D4RL's constants, the paper's dataset means, and our own measurement."""
    task = TASKS[name]
    assert score_reference(task, "d4rl") == task.d4rl_reference
    assert score_reference(task, "dataset_means") == task.dataset_mean_reference
    measured = measured_references()["tasks"][name]
    assert score_reference(task, "own_simulator") == (measured["random"]["mean"], measured["expert"]["mean"])


@pytest.mark.parametrize("name", list(TASKS))
def test_measured_references_belong_to_the_shipped_experts(name: str) -> None:
    """Measured on the expert that ships and the pinned simulator; random near D4RL's, the expert well above it."""
    shipped = measured_references()
    measured = shipped["tasks"][name]
    card = read_card(policy_folder(name, "expert"))
    assert measured["expert"]["sha256"] == card["files"]["model.safetensors"]["sha256"]
    assert {name: shipped["versions"][name] for name in ("mujoco", "semantics")} == {
        name: simulator_version()[name] for name in ("mujoco", "semantics")
    }
    low, high = TASKS[name].d4rl_reference
    assert abs(measured["random"]["mean"] - low) < 0.05 * (high - low)
    assert measured["expert"]["mean"] > low + 0.75 * (high - low)
    # The card's own fresh episodes are other ones of the same policy.
    fresh: Mapping[str, Any] = card["results"]["fresh_episodes"]
    error = np.hypot(measured["expert"]["std"], fresh["std"]) / np.sqrt(100)
    assert abs(measured["expert"]["mean"] - fresh["mean"]) < 5 * error
    assert measured["expert"]["seed"] != fresh["seed"]


@pytest.mark.parametrize("name", list(TASKS))
def test_measured_references_of_gym_v2_are_of_the_same_experts(name: str) -> None:
    """Another simulator's own numbers, of the same policies on the same starts, and near D4RL's at random."""
    shipped, here = measured_references(GYM_V2), measured_references(V4)
    assert (shipped["simulator"], shipped["versions"]["mujoco"]) == (GYM_V2, "2.1.0")
    one, other = shipped["tasks"][name], here["tasks"][name]
    for policy in ("random", "expert"):
        same = ("policy", "sha256", "seed", "episodes")
        assert [one[policy].get(key) for key in same] == [other[policy].get(key) for key in same]
        assert one[policy]["mean"] != other[policy]["mean"]
    low, high = TASKS[name].d4rl_reference
    assert abs(one["random"]["mean"] - low) < 0.05 * (high - low)
    assert score_reference(TASKS[name], "own_simulator", GYM_V2) == (one["random"]["mean"], one["expert"]["mean"])


def test_measured_references_say_where_they_come_from() -> None:
    """Command, versions, seeds and the policy's digest; the same seed repeats the numbers."""
    hopper = TASKS["hopper"]
    lines: list[str] = []
    found = measure_references([hopper], episodes=2, seed=3, progress=lines.append)
    assert found == measure_references([hopper], episodes=2, seed=3)
    assert found["made_with"] == "dtclaims data references hopper --episodes 2 --seed 3"
    assert found["versions"]["mujoco"] == simulator_version()["mujoco"]
    assert found["tasks"]["hopper"]["random"]["policy"] == "uniform actions in [-1, 1]"
    assert found["tasks"]["hopper"]["expert"]["policy"] == "hopper-expert"
    assert [line.split(":")[0] for line in lines] == ["hopper random", "hopper expert"]


def test_random_policy_is_uniform() -> None:
    """Actions fill [−1, 1] evenly: mean 0 and variance 1/3, within 5 sigma."""
    actions = RandomPolicy(TASKS["hopper"]).act(np.zeros((20_000, 11)), np.random.default_rng(0)).astype(np.float64)
    assert actions.shape == (20_000, 3)
    assert np.abs(actions).max() <= 1
    assert (np.abs(actions.mean(axis=0)) < 5 * np.sqrt(1 / 3 / 20_000)).all()
    assert (np.abs(actions.var(axis=0) - 1 / 3) < 5 * np.sqrt(4 / 45 / 20_000)).all()


def test_unusable_requests_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An unknown reference, no episode, a missing file and a task that was not measured: a typed error each."""
    with pytest.raises(UsageError, match="expected one of dataset_means, d4rl, own_simulator"):
        score_reference(TASKS["hopper"], "best")
    with pytest.raises(UsageError, match="at least one episode"):
        references.measure_references([TASKS["hopper"]], episodes=0)
    monkeypatch.setattr(scores, "fixture_dir", lambda: tmp_path)
    with pytest.raises(FixtureError, match="of v4 were not measured"):
        score_reference(TASKS["hopper"], "own_simulator")
    (tmp_path / "references.json").write_text('{"tasks": {}}')
    with pytest.raises(FixtureError, match="no score references of hopper in v4"):
        score_reference(TASKS["hopper"], "own_simulator")
