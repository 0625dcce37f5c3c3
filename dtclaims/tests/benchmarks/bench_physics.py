"""Speed of the physics, in environment steps a second, from one process, on what the shipped policies do.

Beside ours: gymnasium's `SyncVectorEnv`, and one environment stepped alone as the reference evaluates. Every way takes
the same recorded actions from the same states. `python -m dtclaims.tests.benchmarks.bench_physics` prints the table for
this machine's cores, and what collecting takes; `--quick` leaves the long sets out.
"""

import sys
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import gymnasium
import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from dtclaims.device import cpu_count
from dtclaims.lab.data.collect import collect
from dtclaims.lab.data.physics import BatchedEnv
from dtclaims.lab.design.tasks import TASKS, Task
from dtclaims.tests.support.recorded import medium, recorded

ALONE, STEPS = 64, 200
"""Slots that one core steps, and steps of each in the table."""
SLOTS = (320, 640)
"""Of the table: 16 and 32 runs of 20 episodes."""


def replay(env: BatchedEnv, actions: np.ndarray, going: np.ndarray) -> int:
    """Steps of the episodes that go on; how many there were."""
    for action, active in zip(actions, going, strict=True):
        env.step(action, active)
    return int(going.sum())


def replay_sync(env: gymnasium.vector.VectorEnv, actions: np.ndarray) -> int:
    for action in actions:
        env.step(action)
    return int(actions.shape[0] * actions.shape[1])


def replay_alone(env: gymnasium.Env, actions: np.ndarray, going: np.ndarray) -> int:
    """One episode after the other; each is reset, as an evaluation does."""
    for slot in range(actions.shape[1]):
        env.reset(seed=slot)
        for action, active in zip(actions[:, slot], going[:, slot], strict=True):
            if not active:
                break
            env.step(action)
    return int(going.sum())


@pytest.fixture(params=list(TASKS))
def task(request: pytest.FixtureRequest) -> Task:
    return TASKS[request.param]


@pytest.fixture
def quick(benchmark: BenchmarkFixture, task: Task) -> tuple[np.ndarray, np.ndarray]:
    benchmark.group = f"physics {task.name}, 100 slots x 20 steps"
    return recorded(task, 100, 20, 1)


Quick = tuple[np.ndarray, np.ndarray]


@pytest.mark.parametrize("workers", [1, 2])
def test_batched_env(benchmark: BenchmarkFixture, task: Task, quick: Quick, workers: int) -> None:
    """Ours, in this process and in two."""
    env = BatchedEnv(task, 100, workers)
    setup = lambda: (env.reset(range(100)), None)[1]  # noqa: E731
    benchmark.pedantic(replay, (env, *quick), setup=setup, rounds=4, warmup_rounds=1)
    env.close()


def test_sync_vector_env(benchmark: BenchmarkFixture, task: Task, quick: Quick) -> None:
    """gymnasium's own, in this process."""
    env = gymnasium.make_vec(task.gym_id, num_envs=100, vectorization_mode="sync")
    setup = lambda: (env.reset(seed=list(range(100))), None)[1]  # noqa: E731
    benchmark.pedantic(replay_sync, (env, quick[0]), setup=setup, rounds=4, warmup_rounds=1)
    env.close()


def test_one_environment(benchmark: BenchmarkFixture, task: Task, quick: Quick) -> None:
    """As the reference evaluates: one environment, one episode after the other."""
    env = gymnasium.make(task.gym_id)
    benchmark.pedantic(replay_alone, (env, *quick), rounds=4, warmup_rounds=1)
    env.close()


@pytest.mark.parametrize("workers", [1, 2])
def test_collecting(benchmark: BenchmarkFixture, workers: int) -> None:
    """Two waves of Hopper, one after the other or side by side."""
    benchmark.group = "collecting 50,000 Hopper steps"
    data = benchmark.pedantic(
        partial(collect, medium(TASKS["hopper"]), steps=50_000, seed=0, workers=workers), rounds=1
    )
    assert len(data.rewards) >= 50_000


def timed(work: partial[int]) -> float:
    """Steps a second of the better of two rounds: other work on the machine only takes away."""

    def once() -> float:
        began = time.perf_counter()
        return work() / (time.perf_counter() - began)

    return max(once(), once())


def fresh(env: BatchedEnv, actions: np.ndarray, going: np.ndarray) -> int:
    env.reset(range(env.count))
    return replay(env, actions, going)


def fresh_sync(env: gymnasium.vector.VectorEnv, actions: np.ndarray) -> int:
    env.reset(seed=list(range(env.num_envs)))
    return replay_sync(env, actions)


def sizes(cores: int) -> list[int]:
    """Numbers of workers: powers of two up to the cores, the cores, twice and three times as many."""
    return sorted({2**power for power in range(1, cores.bit_length())} | {cores, 2 * cores, 3 * cores} - {1})


def table() -> None:
    """Rates by task and number of workers, each as a share of what so many cores could do."""
    cores = cpu_count()
    print(f"{cores} cores; environment steps a second; share of cores x one core's rate")
    print(f"{'task':12} {'way':40} {'slots':>5} {'steps/s':>9} {'share':>6}")
    for task in TASKS.values():
        one = 0.0

        def line(way: str, slots: int, rate: float, used: int = 1, *, task: Task = task) -> float:
            print(f"{task.name:12} {way:40} {slots:5} {rate:9,.0f} {rate / (used * (one or rate)):6.0%}", flush=True)  # noqa: B023
            return rate

        took = recorded(task, max(SLOTS), STEPS, cores)
        narrow = tuple(part[:, :ALONE] for part in took)
        one = line("ours, this process", ALONE, timed(partial(fresh, BatchedEnv(task, ALONE), *narrow)))
        single = tuple(part[:, :16] for part in took)
        line(
            "one gymnasium environment (reference)",
            1,
            timed(partial(replay_alone, gymnasium.make(task.gym_id), *single)),
        )
        sync = gymnasium.make_vec(task.gym_id, num_envs=ALONE, vectorization_mode="sync")
        line("gymnasium.vector.SyncVectorEnv", ALONE, timed(partial(fresh_sync, sync, narrow[0])))
        for slots in SLOTS:
            for workers in sizes(cores):
                env = BatchedEnv(task, slots, workers)
                wide = tuple(part[:, :slots] for part in took)
                line(f"ours, {workers} processes", slots, timed(partial(fresh, env, *wide)), min(workers, cores))
                env.close()


def collecting(steps: int) -> None:
    """Seconds that sets take, one alone and three at once."""
    for names in (("hopper",), tuple(TASKS)):
        began = time.perf_counter()
        with ThreadPoolExecutor() as threads:
            sets = list(threads.map(lambda name: collect(medium(TASKS[name]), steps=steps, seed=0), names))
        took = time.perf_counter() - began
        rate = sum(len(one.rewards) for one in sets) / took
        print(f"collecting {steps:,} steps of {', '.join(names)}: {took:.1f} s, {rate:,.0f} steps/s", flush=True)


if __name__ == "__main__":
    table()
    collecting(60_000 if "--quick" in sys.argv else 1_000_000)
