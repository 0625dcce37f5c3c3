"""Medium sets made here: a shipped policy rolls out in MuJoCo (design: the self-collected source)."""

import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock

from dtclaims.data.physics import BatchedEnv, simulator_version
from dtclaims.data.policy import Policy
from dtclaims.data.tasks import MAX_EPISODE_STEPS, get_task
from dtclaims.data.trajectories import Trajectories, load_hdf5, save_hdf5
from dtclaims.errors import UsageError
from dtclaims.fixtures import fixture_dir, home, read_card
from dtclaims.identity import code_digests, key_of
from dtclaims.seeding import derive, generator

DATA_CODE = ("data/collect.py", "data/physics.py", "data/policy.py", "data/tasks.py", "seeding.py")

WAVE = 64
"""Episodes in lock step. Fixed: it decides which draws an episode gets, so it is part of the recipe."""


@dataclass(frozen=True)
class Recipe:
    """How a set is collected: two equal recipes give equal sets on one simulator version."""

    task: str
    level: str
    steps: int
    seed: int
    policy_sha256: str

    def identity(self) -> dict[str, Any]:
        """Everything the collected set depends on, as plain data."""
        return {
            "kind": "collected",
            **asdict(self),
            "simulator": simulator_version(),
            "code": code_digests(DATA_CODE),
        }


def policy_folder(task: str, level: str) -> Path:
    """Where the shipped policy of a task and level lies."""
    return fixture_dir() / "policies" / f"{task}-{level}"


def shipped_recipe(task: str, *, level: str = "medium", steps: int, seed: int = 0) -> Recipe:
    """The recipe that rolls out the shipped policy.

    Raises:
        FixtureError: the policy is missing or is not the recorded file.
        UsageError: no such task, or fewer than one step.
    """
    if steps < 1:
        raise UsageError("a set needs at least one step", given=steps)
    card = read_card(policy_folder(get_task(task).name, level))
    return Recipe(task, level, steps, seed, card["files"]["model.safetensors"]["sha256"])


def collect(
    policy: Policy,
    *,
    steps: int,
    seed: int,
    threads: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Trajectories:
    """Whole episodes of the stochastic policy, the fewest in order that hold at least `steps` transitions.

    Episode i starts from its own seed; episodes are kept in the order of i, so short ones are not
    favoured. An episode ends at a terminal or after 1000 steps.

    Args:
        policy: who acts.
        steps: lower bound on the transitions.
        seed: of the initial states and the policy's noise.
        threads: physics threads, all cores by default; does not change the result.
        progress: called with (steps so far, steps wanted).
    """
    task = policy.task
    env = BatchedEnv(task, WAVE, threads=threads or os.cpu_count() or 1)
    observations, actions, rewards, lengths, terminated = [], [], [], [], []
    collected = wave = 0
    while collected < steps:
        rng = generator(seed, f"collect/{task.name}/actions/{wave}")
        states = env.reset(
            [derive(seed, f"collect/{task.name}/episode/{wave * WAVE + i}") % 2**31 for i in range(WAVE)]
        )
        seen = np.zeros((WAVE, MAX_EPISODE_STEPS, task.state_dim), dtype=np.float32)
        done = np.zeros((WAVE, MAX_EPISODE_STEPS, task.action_dim), dtype=np.float32)
        earned = np.zeros((WAVE, MAX_EPISODE_STEPS), dtype=np.float32)
        length = np.zeros(WAVE, dtype=np.int64)
        active = np.ones(WAVE, dtype=bool)
        for step in range(MAX_EPISODE_STEPS):
            seen[active, step] = states[active]
            done[active, step] = policy.act(states[active], rng)
            states, reward, ended = env.step(done[:, step], active)
            earned[active, step] = reward[active]
            length += active
            active &= ~ended
            if progress is not None:
                progress(min(collected + int(length.sum()), steps), steps)
            if not active.any():
                break
        for i in range(WAVE):
            if collected >= steps:
                break
            observations.append(seen[i, : length[i]])
            actions.append(done[i, : length[i]])
            rewards.append(earned[i, : length[i]])
            lengths.append(length[i])
            # A slot still active ran into the time limit; one that stopped was ended by the environment.
            terminated.append(not active[i])
            collected += int(length[i])
        wave += 1
    env.close()
    return Trajectories(
        task,
        np.concatenate(observations),
        np.concatenate(actions),
        np.concatenate(rewards),
        np.array(lengths, dtype=np.int64),
        np.array(terminated),
        provenance={"source": "self-collected", "seed": seed, "simulator": simulator_version()},
    )


def collected_path(recipe: Recipe) -> Path:
    """Where the set of a recipe is cached."""
    return home() / "data" / f"{recipe.task}-{recipe.level}-{key_of(recipe.identity())}.hdf5"


def obtain(recipe: Recipe, progress: Callable[[int, int], None] | None = None) -> Trajectories:
    """The set of a recipe: read from the cache, or collected now and cached.

    Two processes never collect the same set twice: the second waits for the first.
    """
    path = collected_path(recipe)
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_suffix(".lock")):
        if not path.is_file():
            policy = Policy.load(policy_folder(recipe.task, recipe.level), get_task(recipe.task))
            save_hdf5(collect(policy, steps=recipe.steps, seed=recipe.seed, progress=progress), path)
    return load_hdf5(path)
