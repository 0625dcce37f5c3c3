"""Speed of the physics: `BatchedEnv` beside gymnasium's `SyncVectorEnv`, 100 slots, random actions."""

import gymnasium
import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from dtclaims.lab.data.physics import BatchedEnv
from dtclaims.lab.design.tasks import TASKS, Task
from dtclaims.seeding import generator

SLOTS, STEPS = 100, 20


@pytest.fixture(params=list(TASKS))
def task(request: pytest.FixtureRequest) -> Task:
    return TASKS[request.param]


def actions(task: Task) -> np.ndarray:
    shape = (STEPS, SLOTS, task.action_dim)
    return generator(0, "bench/physics").uniform(-1, 1, shape).astype(np.float32)


@pytest.mark.parametrize("workers", [1, 2])
def test_batched_env(benchmark: BenchmarkFixture, task: Task, workers: int) -> None:
    """Ours, restarting ended slots as the other does."""
    benchmark.group = f"physics {task.name}, {SLOTS} slots x {STEPS} steps"
    env = BatchedEnv(task, SLOTS, workers)

    def run() -> None:
        for action in actions(task):
            _, _, ended = env.step(action)
            if ended.any():
                env.reset_where(ended, range(int(ended.sum())))

    benchmark.pedantic(run, setup=lambda: (env.reset(range(SLOTS)), None)[1], rounds=4, warmup_rounds=1)
    env.close()


def test_sync_vector_env(benchmark: BenchmarkFixture, task: Task) -> None:
    """gymnasium's own, in this process."""
    benchmark.group = f"physics {task.name}, {SLOTS} slots x {STEPS} steps"
    env = gymnasium.make_vec(task.gym_id, num_envs=SLOTS, vectorization_mode="sync")

    def run() -> None:
        for action in actions(task):
            env.step(action)

    benchmark.pedantic(run, setup=lambda: (env.reset(seed=0), None)[1], rounds=4, warmup_rounds=1)
    env.close()
