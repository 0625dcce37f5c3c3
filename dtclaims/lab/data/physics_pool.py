"""Processes that share physics: the slots of many environments in shared memory, and calls of functions.

A process takes every n-th slot, so that the work stays even as episodes end. A request is a word on a pipe; actions,
states and rewards lie in memory that all of them see. Nobody spins: pools of several training processes share cores.
A worker imports MuJoCo and numpy and no more, notices the death of its parent by its pipe, and leaves.
"""

import atexit
import contextlib
import functools
import importlib
import mmap
import multiprocessing
import os
import pickle
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dtclaims.errors import SimulatorError
from dtclaims.lab.data.physics import Array, Mask, Slots
from dtclaims.lab.design.tasks import Task, get_task

MEMORY = Path("/dev/shm")
"""Where files are memory, if there is such a place."""
START = (
    "import sys; sys.path[:] = sys.argv[2:]; from dtclaims.lab.data.physics_pool import serve; serve(int(sys.argv[1]))"
)
"""Python's own first entry is the folder that somebody works in: another version of this package may lie there."""
GRACE = 2.0
"""Seconds that a process gets to leave."""


class PhysicsPool:
    """Worker processes; see the module.

    Args:
        workers: how many.
    """

    def __init__(self, workers: int) -> None:
        self._pipes: list[Connection] = []
        self._processes: list[subprocess.Popen[bytes]] = []
        # Wherever this process found its packages they find them too; one thread each, whatever they import.
        places = [place or str(Path.cwd()) for place in sys.path]
        threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        # `multiprocessing` would import the caller's main module, and gives no children to daemons.
        for _ in range(workers):
            ours, theirs = multiprocessing.Pipe()
            self._processes.append(
                subprocess.Popen(
                    [sys.executable, "-c", START, str(theirs.fileno()), *places],
                    env={**os.environ, **threads},
                    pass_fds=[theirs.fileno()],
                    stdin=subprocess.DEVNULL,
                    # Ctrl-C reaches the whole process group; the parent decides when they leave.
                    start_new_session=True,
                )
            )
            theirs.close()
            self._pipes.append(ours)

    def __len__(self) -> int:
        return len(self._pipes)

    def ask(self, *said: Any, numbered: bool = False) -> list[Any]:
        """Say the same to all, and to each which of them it is, if that is wanted; their answers.

        Raises:
            SimulatorError: one of them died, or could not do it.
        """
        # Said once and written once for all: a step of the physics is not much longer than what it takes to ask for it.
        words = None if numbered else pickle.dumps(said)
        for number, pipe in enumerate(self._pipes):
            self._send(pipe, pickle.dumps((*said, number)) if words is None else words)
        return [self._answer(pipe) for pipe in self._pipes]

    def each(self, function: str, wanted: Iterator[tuple[Any, ...] | None]) -> Iterator[tuple[tuple[Any, ...], Any]]:
        """Calls of a function `module:name` by idle workers: its arguments and value, in the order in which calls end.

        Args:
            function: what.
            wanted: of the next call, its arguments, or None if there is none to start now; asked whenever a worker is
                idle and a call has ended since.

        Raises:
            SimulatorError: a worker died, or could not do it.
        """
        busy: dict[Connection, tuple[Any, ...]] = {}
        while True:
            for pipe in self._pipes:
                if pipe not in busy and (arguments := next(wanted, None)) is not None:
                    self._send(pipe, pickle.dumps(("call", function, arguments)))
                    busy[pipe] = arguments
            if not busy:
                return
            for pipe in wait(list(busy)):
                assert isinstance(pipe, Connection)
                value = self._answer(pipe)
                yield busy.pop(pipe), value

    def close(self) -> None:
        """End the processes, whatever they are at."""
        for pipe in self._pipes:
            pipe.close()
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            try:
                process.wait(GRACE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._pipes.clear()

    @property
    def sound(self) -> bool:
        """Whether all of them are there."""
        return bool(self._pipes) and all(process.poll() is None for process in self._processes)

    def _send(self, pipe: Connection, words: bytes) -> None:
        try:
            pipe.send_bytes(words)
        except OSError:
            raise self._dead(pipe) from None

    def _answer(self, pipe: Connection) -> Any:
        try:
            well, answer = pipe.recv()
        except (EOFError, OSError):
            raise self._dead(pipe) from None
        if not well:
            raise SimulatorError("a physics process could not go on", given=answer)
        return answer

    def _dead(self, pipe: Connection) -> SimulatorError:
        process = self._processes[self._pipes.index(pipe)]
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(GRACE)
        return SimulatorError(
            "a physics process died",
            given=f"process {process.pid}, exit code {process.returncode}",
            remedy="It may have run out of memory. The run goes on from its last saved epoch when it is started again.",
        )


@functools.cache
def _pools() -> dict[int, PhysicsPool]:
    """Of this process, by size."""
    pools: dict[int, PhysicsPool] = {}
    atexit.register(lambda: [pool.close() for pool in pools.values()])
    return pools


def pool_of(workers: int) -> PhysicsPool:
    """This process's pool of so many workers: started once, and anew if one of them is gone."""
    pools = _pools()
    if workers not in pools or not pools[workers].sound:
        if workers in pools:
            pools[workers].close()
        pools[workers] = PhysicsPool(workers)
    return pools[workers]


class SharedSlots:
    """`Slots` whose work a pool shares.

    Args:
        pool: who.
        task: which environment.
        count: number of slots.

    Raises:
        SimulatorError: a worker died.
    """

    def __init__(self, pool: PhysicsPool, task: Task, count: int) -> None:
        self._pool = pool
        size = _Memory.size(task, count)
        with tempfile.NamedTemporaryFile(dir=MEMORY if MEMORY.is_dir() else None, prefix="dtclaims-physics-") as file:
            file.truncate(size)
            self._memory = _Memory(task, count, mmap.mmap(file.fileno(), size))
            self._name = file.name
            self.record_size = int(pool.ask("open", file.name, task.name, count, len(pool), numbered=True)[0])

    def _ask(self, what: str, *rest: Any) -> list[Any]:
        return self._pool.ask(what, self._name, *rest)

    def reset_slots(self, slots: Sequence[int], seeds: Sequence[int]) -> Array:
        """See `Slots.reset_slots`."""
        self._ask("reset", dict(zip(slots, seeds, strict=True)))
        return self.states()

    def step(self, actions: npt.NDArray[Any], active: Mask) -> tuple[Array, Array, Mask]:
        """See `Slots.step`."""
        memory, single = self._memory, actions.dtype == np.float32
        (memory.single if single else memory.double)[:] = actions
        memory.active[:] = active
        self._ask("step", single)
        return memory.states.copy(), memory.rewards.copy(), memory.terminated.copy()

    def states(self) -> Array:
        """See `Slots.states`."""
        return self._memory.states.copy()

    def save(self) -> Array:
        """See `Slots.save`."""
        records = np.zeros((len(self._memory.rewards), self.record_size))
        for worker, rows in enumerate(self._ask("save")):
            records[worker :: len(self._pool)] = rows
        return records

    def restore(self, records: Array) -> Array:
        """See `Slots.restore`."""
        self._ask("restore", records)
        return self.states()

    def close(self) -> None:
        """Let the workers forget the slots."""
        with contextlib.suppress(SimulatorError):
            self._ask("close")


class _Memory:
    """Arrays of one environment, (count, …) each, in memory that is shared."""

    def __init__(self, task: Task, count: int, memory: mmap.mmap) -> None:
        place = 0
        self.double: Array
        self.states: Array
        self.rewards: Array
        self.single: npt.NDArray[np.float32]
        self.active: Mask
        self.terminated: Mask
        for name, kind, width in self._layout(task):
            shape = (count, width) if width else (count,)
            setattr(self, name, np.ndarray(shape, kind, memory, place))
            place += getattr(self, name).nbytes

    @staticmethod
    def _layout(task: Task) -> tuple[tuple[str, Any, int], ...]:
        """Name, kind and width, those of eight bytes first."""
        return (
            ("double", np.float64, task.action_dim),
            ("states", np.float64, task.state_dim),
            ("rewards", np.float64, 0),
            ("single", np.float32, task.action_dim),
            ("active", np.bool_, 0),
            ("terminated", np.bool_, 0),
        )

    @classmethod
    def size(cls, task: Task, count: int) -> int:
        """Bytes."""
        return sum(count * max(1, width) * np.dtype(kind).itemsize for _, kind, width in cls._layout(task))


class _Share:
    """What one worker steps of an environment."""

    def __init__(self, task: Task, count: int, memory: mmap.mmap, worker: int, workers: int) -> None:
        self.mine = slice(worker, None, workers)
        self.memory = _Memory(task, count, memory)
        self.numbers = range(count)[self.mine]
        self.slots = Slots(task, len(self.numbers))

    def reset(self, seeds: dict[int, int]) -> None:
        chosen = [place for place, slot in enumerate(self.numbers) if slot in seeds]
        self.memory.states[self.mine] = self.slots.reset_slots(chosen, [seeds[self.numbers[one]] for one in chosen])

    def step(self, single: bool) -> None:
        memory, mine = self.memory, self.mine
        # A copy has its rows side by side, as an environment of one process has.
        actions = (memory.single if single else memory.double)[mine].copy()
        found = self.slots.step(actions, memory.active[mine].copy())
        memory.states[mine], memory.rewards[mine], memory.terminated[mine] = found

    def save(self) -> Array:
        return self.slots.save()

    def restore(self, records: Array) -> None:
        self.memory.states[self.mine] = self.slots.restore(records[self.mine])


def serve(handle: int) -> None:
    """A worker, until its parent closes the pipe or dies."""
    pipe = Connection(handle)
    open_: dict[str, _Share] = {}
    while True:
        try:
            what, name, *rest = pipe.recv()
        except (EOFError, OSError):
            return
        try:
            answer: Any = _do(open_, what, name, rest)
        except Exception:
            answer = traceback.format_exc(limit=3)
            well = False
        else:
            well = True
        try:
            pipe.send((well, answer))
        except OSError:
            return


def _do(open_: dict[str, _Share], what: str, name: str, rest: list[Any]) -> Any:
    if what == "call":
        module, _, function = name.partition(":")
        called: Callable[..., Any] = getattr(importlib.import_module(module), function)
        return called(*rest[0])
    if what == "open":
        task, count, workers, worker = rest
        with open(name, "r+b") as file:
            memory = mmap.mmap(file.fileno(), 0)
        open_[name] = _Share(get_task(task), count, memory, worker, workers)
        return open_[name].slots.record_size
    if what == "close":
        del open_[name]
        return None
    return getattr(open_[name], what)(*rest)
