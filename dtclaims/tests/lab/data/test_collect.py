"""Medium sets made here: whole episodes in order, the same bytes however many workers there are."""

import os
import subprocess
import sys

import numpy as np
import pytest

from dtclaims.errors import UsageError
from dtclaims.lab.data import collect as collecting
from dtclaims.lab.data.collect import collect, policy_folder, shipped_recipe
from dtclaims.lab.data.policy import Policy
from dtclaims.lab.design.tasks import get_task


@pytest.fixture(autouse=True)
def small_waves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collecting, "WAVE", 4)


@pytest.fixture(scope="module")
def policy() -> Policy:
    return Policy.load(policy_folder("hopper", "medium"), get_task("hopper"))


def test_the_fewest_whole_episodes_that_suffice(policy: Policy) -> None:
    """At least the wanted steps, and one episode fewer would not have been enough."""
    data = collect(policy, steps=900, seed=0)
    assert len(data.rewards) >= 900
    assert data.lengths[:-1].sum() < 900
    assert np.abs(data.actions).max() <= 1


def test_a_longer_set_starts_with_the_shorter_one(policy: Policy) -> None:
    """Episodes are kept in the order they were seeded, so short ones are not favoured."""
    short, long = (collect(policy, steps=steps, seed=3) for steps in (500, 2000))
    count = len(short.rewards)
    assert len(short.lengths) < len(long.lengths)
    np.testing.assert_array_equal(short.observations, long.observations[:count])
    np.testing.assert_array_equal(short.lengths, long.lengths[: len(short.lengths)])


def test_workers_do_not_change_the_set(policy: Policy) -> None:
    """Physics workers, and the number of threads BLAS was started with, leave every byte as it is."""
    here = collect(policy, steps=900, seed=1, workers=1).sha256
    assert collect(policy, steps=900, seed=1, workers=2).sha256 == here
    code = (
        "import dtclaims.lab.data.collect as c; from dtclaims.lab.data.policy import Policy; c.WAVE = 4;"
        "policy = Policy.load(c.policy_folder('hopper', 'medium'), c.get_task('hopper'));"
        "print(c.collect(policy, steps=900, seed=1).sha256)"
    )
    many = {**os.environ, "OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "2"}
    there = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], env=many, check=True, capture_output=True, text=True
    )
    assert there.stdout.strip() == here


def test_seeds_give_other_sets(policy: Policy) -> None:
    """The seed moves both the initial states and the noise."""
    first, second = (collect(policy, steps=100, seed=seed) for seed in (0, 1))
    assert not np.array_equal(first.observations[0], second.observations[0])
    assert not np.array_equal(first.actions[0], second.actions[0])


def test_recipes_are_checked() -> None:
    """No steps, no such level: refused before anything is rolled out."""
    with pytest.raises(UsageError, match="at least one step"):
        shipped_recipe("hopper", steps=0)
    with pytest.raises(UsageError, match="no beginner policy"):
        shipped_recipe("hopper", level="beginner", steps=10)
