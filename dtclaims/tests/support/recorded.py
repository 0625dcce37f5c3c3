"""What a shipped policy does on v4, kept so that every way of stepping takes the same actions."""

from functools import lru_cache

import numpy as np

from dtclaims.lab.data.collect import policy_folder
from dtclaims.lab.data.physics import BatchedEnv
from dtclaims.lab.data.policy import Policy
from dtclaims.lab.design.tasks import Task
from dtclaims.seeding import generator


def medium(task: Task) -> Policy:
    return Policy.load(policy_folder(task.name, "medium"), task)


@lru_cache(maxsize=1)
def recorded(task: Task, slots: int, steps: int, workers: int) -> tuple[np.ndarray, np.ndarray]:
    """Actions (steps, slots, A) of the shipped policy, and which episodes had not ended (steps, slots)."""
    policy, rng = medium(task), generator(0, "bench/physics")
    env = BatchedEnv(task, slots, workers)
    states, active = env.reset(range(slots)), np.ones(slots, dtype=bool)
    actions, going = [], []
    for _ in range(steps):
        actions.append(policy.act(states, rng))
        going.append(active.copy())
        states, _, ended = env.step(actions[-1], active)
        active &= ~ended
    env.close()
    return np.stack(actions), np.stack(going)
