"""Medium sets made here: whole episodes in order, the same bytes however many workers there are."""

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from dtclaims.errors import SimulatorError, UsageError
from dtclaims.lab.data import collect as collecting
from dtclaims.lab.data.collect import collect, policy_folder, shipped_recipe
from dtclaims.lab.data.crew import Crew
from dtclaims.lab.data.policy import Policy
from dtclaims.lab.design.tasks import get_task
from dtclaims.tests.support.processes import children


@pytest.fixture(autouse=True)
def small_waves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(collecting, "WAVE", 4)


@pytest.fixture(autouse=True)
def nobody_is_left() -> Iterator[None]:
    """After each test; the physics of other tests may have processes of its own."""
    before = set(children(os.getpid()))
    yield
    assert set(children(os.getpid())) <= before


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


@pytest.fixture
def crew(monkeypatch: pytest.MonkeyPatch) -> Crew:
    """Of two processes, on any machine."""
    crew = Crew(2)
    monkeypatch.setattr("dtclaims.lab.data.crew.this_crew", lambda: crew)
    return crew


@pytest.mark.usefixtures("crew")
def test_sets_of_several_tasks_are_collected_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """From threads, on the same processes: each set is what it is alone, and progress never goes back."""
    monkeypatch.setattr(collecting, "MAX_EPISODE_STEPS", 60)
    policies = {task: Policy.load(policy_folder(task, "medium"), get_task(task)) for task in ("hopper", "halfcheetah")}
    made: dict[str, str] = {}
    told: dict[str, list[int]] = {task: [] for task in policies}

    def one(task: str) -> None:
        progress = lambda done, total: told[task].append(done)  # noqa: E731
        made[task] = collect(policies[task], steps=700, seed=2, workers=2, progress=progress).sha256

    threads = [threading.Thread(target=one, args=(task,)) for task in policies]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == {task: collect(policy, steps=700, seed=2, workers=1).sha256 for task, policy in policies.items()}
    assert all(seen == sorted(seen) and seen[-1] == 700 for seen in told.values())


@pytest.mark.parametrize(
    ("task", "steps", "most"), [("halfcheetah", 960, 4), ("halfcheetah", 1, 1), ("hopper", 900, 6)]
)
def test_few_more_waves_are_begun_than_are_needed(
    monkeypatch: pytest.MonkeyPatch, crew: Crew, task: str, steps: int, most: int
) -> None:
    """With whole episodes as many as hold the steps; with episodes of any length one or two more."""
    monkeypatch.setattr(collecting, "MAX_EPISODE_STEPS", 60)
    begun: list[Any] = []
    each = crew.each

    def counted(function: Any, wanted: Any, *rest: Any) -> Any:
        def noted() -> Any:
            begun.append(wanted())
            return begun[-1]

        return each(function, noted, *rest)

    monkeypatch.setattr(crew, "each", counted)
    data = collect(Policy.load(policy_folder(task, "medium"), get_task(task)), steps=steps, seed=0, workers=2)
    waves = [arguments[2] for arguments in begun if arguments is not None]
    assert waves == list(range(len(waves)))
    assert -(-len(data.lengths) // 4) <= len(waves) <= most


def test_a_stopped_collection_leaves_no_process(policy: Policy, crew: Crew) -> None:
    """What the progress function raises comes out, and the processes are gone; the crew works on."""

    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        collect(policy, steps=10**6, seed=0, workers=2, progress=stop)
    assert len(collect(policy, steps=10, seed=0, workers=2).lengths) == 1


@pytest.mark.usefixtures("crew")
def test_a_process_that_dies_while_it_collects_is_told_of(policy: Policy, monkeypatch: pytest.MonkeyPatch) -> None:
    """One typed error; nobody waits for what it would have made."""
    monkeypatch.setattr(collecting, "wave_alone", os._exit)
    monkeypatch.setattr(Policy, "__reduce__", lambda self: (int, ()))
    with pytest.raises(SimulatorError, match="a physics process"):
        collect(policy, steps=900, seed=0, workers=2)


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
