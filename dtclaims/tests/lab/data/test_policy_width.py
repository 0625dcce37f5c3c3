"""A medium policy fitted to a simulator by the width of its noise."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dtclaims.errors import UsageError
from dtclaims.lab.data import policy_width
from dtclaims.lab.data.collect import policy_folder, shipped_recipe
from dtclaims.lab.data.policy import Policy
from dtclaims.lab.data.policy_selection import FRESH_EPISODES, Measured
from dtclaims.lab.data.policy_width import choose_width, fit_policy, widened
from dtclaims.lab.data.simulators import GYM_V2, V4
from dtclaims.lab.design.tasks import TASKS, Task
from dtclaims.places import read_card
from dtclaims.tests.support.policies import moments, random_tensors

HOPPER = TASKS["hopper"]
FITTED = ("hopper",)
"""Those that ship. HalfCheetah's trained policy is at its level in gym-v2; no width brings Walker2d's there."""


def test_the_noise_is_as_much_wider_and_the_mean_stays() -> None:
    """σ(s) is multiplied by the width in every coordinate, below the clip of log σ; μ(s) is the same."""
    tensors, state = random_tensors(1), np.linspace(-1, 1, 11)
    tensors["log_std.bias"] -= 1.5
    policy = Policy(HOPPER, tensors)
    mean, std = moments(policy.tensors, state)
    wider_mean, wider_std = moments(widened(policy, 1.5).tensors, state)
    np.testing.assert_array_equal(wider_mean, mean)
    # The bias is float32: its last bit is a few parts in ten million of σ.
    np.testing.assert_allclose(wider_std, 1.5 * std, rtol=1e-5)


@pytest.mark.parametrize("width", [0.0, -1.0, float("inf"), float("nan")])
def test_a_width_is_a_positive_number(width: float) -> None:
    """Anything else is an error."""
    with pytest.raises(UsageError, match="a width is a positive number"):
        widened(Policy(HOPPER, random_tensors()), width)


class World:
    """Stands for a simulator: the return falls with the width of the noise, 400 for each that it is wider."""

    def __init__(self, trained: Policy) -> None:
        self.trained, self.asked = trained, []

    def __call__(self, policy: Policy, episodes: int, *, seed: int, workers: int = 1, simulator: str = V4) -> Measured:
        wider = policy.tensors["log_std.bias"] - self.trained.tensors["log_std.bias"]
        width = float(np.exp(wider.mean()))
        self.asked.append((round(width, 3), episodes, seed, simulator))
        return Measured(episodes, 2222.06 - 400 * width, 379.0, 0.0, 3000.0, 500.0, 0.3)


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> World:
    found = World(Policy.load(policy_folder("hopper", "medium"), HOPPER))
    monkeypatch.setattr(policy_width, "measure_policy", found)
    return found


def test_the_width_nearest_to_d4rls_mean_is_chosen(measured: World) -> None:
    """Of equal spread and shape the mean decides; three finalists are measured once more, on starts of their own."""
    width, rows = choose_width(measured.trained, simulator=GYM_V2, seed=4)
    assert width == 2.0
    assert [row[0] for row in rows] == [*policy_width.WIDTHS, 1.9, 2.0, 2.1]
    first, last = measured.asked[:-3], measured.asked[-3:]
    assert {episodes for _, episodes, *_ in first} == {policy_width.EPISODES[0]}
    assert {episodes for _, episodes, *_ in last} == {policy_width.EPISODES[1]}
    assert {simulator for *_, simulator in measured.asked} == {GYM_V2}
    seeds = [{seed for _, _, seed, _ in some} for some in (first, last)]
    assert [len(some) for some in seeds] == [1, 1]
    assert seeds[0] != seeds[1]


def test_no_candidate_is_an_error(measured: World) -> None:
    """There is nothing to choose from."""
    with pytest.raises(UsageError, match="no width to choose from"):
        choose_width(measured.trained, simulator=V4, seed=0, widths=())


def test_a_fitted_policy_is_written_with_its_card(measured: World, tmp_path: Path) -> None:
    """Weights that load, and a card: what it was made of, how, all that was measured, and fresh episodes."""
    lines: list[str] = []
    card = fit_policy(HOPPER, simulator=V4, seed=4, out=tmp_path, progress=lines.append)
    assert card == read_card(tmp_path)
    assert card["made_with"] == "dtclaims data fit-policy hopper --simulator v4 --seed 4"
    assert (card["origin"]["policy"], card["origin"]["width"]) == ("hopper-medium", 2.0)
    assert len(card["results"]["candidates"]["rows"]) == len(lines) == len(policy_width.WIDTHS) + 3
    assert card["results"]["fresh_episodes"]["episodes"] == FRESH_EPISODES["medium"]
    assert card["results"]["fresh_episodes"]["seed"] not in {seed for _, _, seed, _ in measured.asked[:-1]}
    loaded = Policy.load(tmp_path, HOPPER)
    chosen = widened(measured.trained, 2.0)
    for name, value in loaded.tensors.items():
        np.testing.assert_array_equal(value, chosen.tensors[name])


@pytest.mark.parametrize("task", TASKS.values(), ids=list(TASKS))
def test_a_set_is_collected_with_the_policy_of_its_simulator(task: Task) -> None:
    """In gym-v2 the policy that was fitted to it, where there is one; in v4 the trained one."""
    trained = read_card(policy_folder(task.name, "medium"))["files"]["model.safetensors"]["sha256"]
    recipes = {name: shipped_recipe(task.name, steps=1, simulator=name) for name in (V4, GYM_V2)}
    assert recipes[V4].policy_sha256 == trained
    assert (recipes[GYM_V2].policy_sha256 == trained) == (task.name not in FITTED)
    assert replace(recipes[V4], simulator=GYM_V2, policy_sha256=recipes[GYM_V2].policy_sha256) == recipes[GYM_V2]


@pytest.mark.parametrize("name", FITTED)
def test_fitted_policies_are_at_d4rls_medium_level(name: str) -> None:
    """In gym-v2, on episodes that the choice did not see, the mean is within 10 % of the set's."""
    task = TASKS[name]
    card: dict[str, Any] = read_card(policy_folder(name, "medium", GYM_V2))
    assert abs(card["results"]["fresh_episodes"]["mean"] / task.medium_return - 1) < 0.1
    assert card["versions"]["mujoco"] == "2.1.0"
