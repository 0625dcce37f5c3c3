"""The processes behind the physics: started once, ended with their parent, and never waited for in vain."""

import gc
import os
import signal
import threading
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from dtclaims.errors import SimulatorError
from dtclaims.lab.data import physics_pool
from dtclaims.lab.data.physics import BatchedEnv
from dtclaims.lab.data.physics_pool import PhysicsPool, this_pool
from dtclaims.lab.data.worker_process import WorkerProcess
from dtclaims.lab.design.tasks import TASKS
from dtclaims.tests.support.processes import check_workers_end

HOPPER = TASKS["hopper"]
STILL = np.zeros((4, 3))


@pytest.fixture(autouse=True)
def pool(monkeypatch: pytest.MonkeyPatch) -> Iterator[PhysicsPool]:
    """A pool of the test's own."""
    pools = [PhysicsPool()]
    monkeypatch.setattr(physics_pool, "_pools", lambda start: pools)
    yield pools[0]
    pools[-1].close()


def pids(pool: PhysicsPool) -> list[int]:
    return [process.process.pid for process in pool._processes]


def test_other_batches_start_no_process(pool: PhysicsPool) -> None:
    """Batches of any task and size share the processes that there are; only more of them start some."""
    BatchedEnv(HOPPER, 4, 2)
    before = pids(pool)
    assert len(before) == 2
    for task, count in (("walker2d", 4), ("halfcheetah", 7), ("hopper", 2)):
        env = BatchedEnv(TASKS[task], count, 2)
        env.step(np.zeros((count, TASKS[task].action_dim)))
        env.close()
    assert pids(pool) == before
    # More workers than slots are not needed.
    BatchedEnv(HOPPER, 3, 8)
    assert pids(pool)[:2] == before
    assert len(pids(pool)) == 3


def test_batches_of_several_threads_share_the_processes(pool: PhysicsPool) -> None:
    """What threads ask at once is answered to each: every batch does what it does alone."""
    seen: dict[int, list[np.ndarray]] = {}

    def roll(seed: int, workers: int) -> list[np.ndarray]:
        rng = np.random.default_rng(seed)
        env = BatchedEnv(HOPPER, 4, workers)
        env.reset([seed] * 4)
        return [env.step(rng.uniform(-1, 1, (4, 3)))[0] for _ in range(40)]

    threads = [threading.Thread(target=lambda one=seed: seen.update({one: roll(one, 2)})) for seed in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(pids(pool)) == 2
    for seed in range(3):
        np.testing.assert_array_equal(seen[seed], roll(seed, 1))


def test_a_worker_imports_what_physics_needs(pool: PhysicsPool) -> None:
    """Neither torch nor what reads files of data: a worker is there in a second, and small."""
    BatchedEnv(HOPPER, 4, 2)
    (process,) = pool.processes(1)
    heavy = "[one for one in ('torch', 'transformers', 'h5py', 'mujoco') if one in __import__('sys').modules]"
    assert pool.ask([process], lambda _, one: one.call(eval, heavy)) == [["mujoco"]]


@pytest.mark.parametrize("closed", [True, False])
def test_forgotten_batches_are_let_go(pool: PhysicsPool, closed: bool) -> None:
    """A batch that is closed, or that nobody refers to any more, takes no memory in the processes: nothing is there."""
    env, other = BatchedEnv(HOPPER, 4, 2), BatchedEnv(HOPPER, 4, 2)
    number, processes = env._slots._number, env._slots._processes
    if closed:
        env.close()
    del env
    gc.collect()
    other.reset(range(4))
    with pytest.raises(SimulatorError, match=f"KeyError: {number}"):
        pool.ask(processes, lambda _, one: one.ask(number, "record_size"))


def killed_before(env: BatchedEnv, process: WorkerProcess) -> None:
    process.process.kill()
    process.process.wait()
    env.step(STILL)


def killed_meanwhile(env: BatchedEnv, process: WorkerProcess) -> None:
    os.kill(process.process.pid, signal.SIGSTOP)
    env.send(STILL)
    process.process.kill()
    env.receive()


def killed_before_a_reset(env: BatchedEnv, process: WorkerProcess) -> None:
    process.process.kill()
    process.process.wait()
    env.reset(range(4))


@pytest.mark.parametrize("killed", [killed_before, killed_meanwhile, killed_before_a_reset])
@pytest.mark.parametrize("place", [0, 1])
def test_a_worker_that_dies_is_told_of(
    pool: PhysicsPool, killed: Callable[[BatchedEnv, WorkerProcess], None], place: int
) -> None:
    """One typed error names it, nobody waits for it, no answer of the others is mistaken for another, and the next
    batch gets processes that are there."""
    env, beside = BatchedEnv(HOPPER, 4, 2), BatchedEnv(HOPPER, 4, 2)
    process = pool.processes(2)[place]
    with pytest.raises(SimulatorError, match=rf"process died: got process {process.process.pid}, exit code -9"):
        killed(env, process)
    assert all(one.process.poll() is not None for one in env._slots._processes)
    for one in (env, beside):
        with pytest.raises(SimulatorError, match="the physics processes have ended"):
            one.reset(range(4))
    again = BatchedEnv(HOPPER, 4, 2)
    alone = BatchedEnv(HOPPER, 4)
    assert np.array_equal(again.reset(range(4)), alone.reset(range(4)))
    assert this_pool() is not pool


def test_what_a_worker_cannot_do_is_told_of(pool: PhysicsPool) -> None:
    """Its own error is in the message."""
    env = BatchedEnv(HOPPER, 4, 2)
    with pytest.raises(SimulatorError, match=r"could not go on: got (?s:.*)KeyError: 12345"):
        pool.ask(env._slots._processes, lambda _, one: one.ask(12345, "save"))
    with pytest.raises(SimulatorError, match="the physics processes have ended"):
        env.step(STILL)


def test_interrupted_waiting_ends_the_processes(pool: PhysicsPool, monkeypatch: pytest.MonkeyPatch) -> None:
    """After Ctrl-C between question and answer nobody may take the old answer for a new one."""
    env = BatchedEnv(HOPPER, 4, 2)
    with monkeypatch.context() as patched:
        patched.setattr(WorkerProcess, "hear", lambda self: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            env.step(STILL)
    with pytest.raises(SimulatorError, match="the physics processes have ended"):
        env.step(STILL)


def test_workers_share_the_cores_fairly() -> None:
    """A session of their own would give each physics process as much of a core as all others together; Ctrl-C is not
    theirs, though."""
    worker = WorkerProcess()
    try:
        assert os.getsid(worker.process.pid) == os.getsid(0)
        assert os.getpgid(worker.process.pid) != os.getpgid(0)
    finally:
        worker.stop()
        worker.wait()


def test_a_machine_without_room_for_more_steps_with_fewer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a limit on processes is met, those that are there do it all, to the same bits; without any, an error."""
    room = 2

    def start() -> WorkerProcess:
        if len(pool._processes) == room:
            raise SimulatorError("a physics process cannot be started", given="Resource temporarily unavailable")
        return WorkerProcess()

    pool = PhysicsPool(start)
    monkeypatch.setattr(physics_pool, "_pools", lambda start: [pool])
    env, alone = BatchedEnv(HOPPER, 4, 3), BatchedEnv(HOPPER, 4, 1)
    assert len(pool._processes) == 2
    np.testing.assert_array_equal(env.reset([1, 2, 3, 4]), alone.reset([1, 2, 3, 4]))
    np.testing.assert_array_equal(env.step(STILL)[0], alone.step(STILL)[0])
    pool.close()
    room, pool = 0, PhysicsPool(start)
    with pytest.raises(SimulatorError, match="cannot be started"):
        BatchedEnv(HOPPER, 4, 3)


def test_memory_that_is_not_there_is_told_of(pool: PhysicsPool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A container whose shared memory is full ends in a message, not in a fatal signal."""

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tempfile.NamedTemporaryFile", full)
    with pytest.raises(SimulatorError, match=r"no memory that processes can share .*No space left.*--shm-size"):
        BatchedEnv(HOPPER, 4, 2)


SESSIONS = {
    "idle": "import time; from dtclaims.lab.data.physics import BatchedEnv;"
    "from dtclaims.lab.design.tasks import get_task;"
    "env = BatchedEnv(get_task('hopper'), 4, 2); print('there', flush=True); time.sleep(100)",
    "at work": "import time; from dtclaims.lab.data.crew import Crew; calls = iter([(100,), (100,)]);"
    "told = []; list(Crew(2).each(time.sleep, lambda: next(calls, None), 2,"
    "lambda: told or told.append(print('there', flush=True))))",
}


@pytest.mark.parametrize("session", list(SESSIONS))
@pytest.mark.parametrize("stop", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_workers_end_with_their_parent(session: str, stop: signal.Signals) -> None:
    """Killed, terminated or interrupted: the processes are gone within seconds, busy ones too."""
    check_workers_end(SESSIONS[session], stop)
