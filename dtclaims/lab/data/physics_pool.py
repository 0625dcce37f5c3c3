"""Processes that share the physics of a training process: slots of many environments, in memory that all of them see.

A process takes every n-th slot of an environment, so that the work stays even as episodes end. A step is one word to
each and one byte from each; actions, states and rewards lie in shared memory.
"""

import atexit
import functools
import itertools
import mmap
import tempfile
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dtclaims.errors import SimulatorError
from dtclaims.lab.data.physics import Array, Mask, Slots
from dtclaims.lab.data.worker_process import WorkerProcess
from dtclaims.lab.design.tasks import Task

MEMORY = Path("/dev/shm")
"""Where files are memory, if there is such a place."""


@dataclass(eq=False)
class Request:
    """Something that some of the processes were asked, and have not all answered yet."""

    processes: Sequence[WorkerProcess]
    over: bool = False


class PhysicsPool:
    """Processes that serve any number of environments, from any thread; it grows and does not shrink.

    Requests queue: each process does them in the order in which they were made, so that one may be made while another
    is under way. What goes wrong in one process ends all of them, as their answers could no longer be told apart.

    Args:
        start: starts a process.
    """

    def __init__(self, start: Callable[[], WorkerProcess] = WorkerProcess) -> None:
        self._start = start
        self._processes: list[WorkerProcess] = []
        self._lock = threading.RLock()
        self._queue: deque[Request] = deque()
        self._dropped: deque[tuple[int, Sequence[WorkerProcess]]] = deque()
        self.numbers = itertools.count()
        """Of the objects that the processes keep."""
        self.closed = False

    def processes(self, count: int) -> list[WorkerProcess]:
        """So many of them, or as many as the machine lets be; those that are missing are started.

        Raises:
            SimulatorError: not even one can be started.
        """
        with self._safely():
            while len(self._processes) < count:
                try:
                    self._processes.append(self._start())
                except SimulatorError:
                    # A limit on processes makes physics slower; nothing else depends on how many there are.
                    if not self._processes:
                        raise
                    break
            return self._processes[:count]

    @property
    def sound(self) -> bool:
        """Whether it can be used: it is not closed, and no process has died."""
        return not self.closed and all(process.alive for process in self._processes)

    def go(self, processes: Sequence[WorkerProcess], number: int, how: int) -> Request:
        """Let the object that each keeps under a number go, and do not wait.

        Raises:
            SimulatorError: one of the processes died.
        """
        with self._safely():
            word = WorkerProcess.word(number, how)
            for process in processes:
                process.go(word)
            request = Request(processes)
            self._queue.append(request)
            return request

    def finish(self, request: Request) -> None:
        """Wait until a request, and so those before it, is done.

        Raises:
            SimulatorError: one of the processes died, or could not do it.
        """
        with self._safely():
            while not request.over:
                first = self._queue.popleft()
                for process in first.processes:
                    process.hear()
                first.over = True

    def ask(self, processes: Sequence[WorkerProcess], tell: Callable[[int, WorkerProcess], None]) -> list[Any]:
        """Make a request of each and wait for their answers.

        Args:
            processes: that are asked.
            tell: given place and process, makes the request.

        Raises:
            SimulatorError: one of the processes died, or could not do it.
        """
        with self._safely():
            if self._queue:
                self.finish(self._queue[-1])
            while self._dropped:
                number, holders = self._dropped.popleft()
                for process in holders:
                    process.drop(number)
                for process in holders:
                    process.hear()
            for place, process in enumerate(processes):
                tell(place, process)
            return [process.hear() for process in processes]

    def drop(self, number: int, processes: Sequence[WorkerProcess]) -> None:
        """Let go of what they keep under a number, when they are next asked: an environment is forgotten at any time,
        by the collector of garbage even in the middle of a request."""
        self._dropped.append((number, processes))

    def close(self) -> None:
        """End the processes, whatever they are at."""
        self.closed = True
        for process in self._processes:
            process.stop()
        for process in self._processes:
            process.wait()
        self._processes.clear()

    @contextmanager
    def _safely(self) -> Iterator[None]:
        with self._lock:
            if self.closed:
                raise SimulatorError(
                    "the physics processes have ended", remedy="One of them died before. Start the run again."
                )
            try:
                yield
            except BaseException:
                # Answers that nobody heard would be taken for those of the next request.
                self.close()
                raise


@functools.cache
def _pools(start: Callable[[], WorkerProcess]) -> list[PhysicsPool]:
    """This process's, of processes that are started so; the one in use last."""
    pools = [PhysicsPool(start)]
    atexit.register(lambda: pools[-1].close())
    return pools


_finding = threading.Lock()
"""Held while this process's pool is looked up: threads that come first at once would make one each."""


def this_pool(start: Callable[[], WorkerProcess] = WorkerProcess) -> PhysicsPool:
    """This process's pool of processes that are started so; another one where a process has died."""
    with _finding:
        pools = _pools(start)
        if not pools[-1].sound:
            pools[-1].close()
            pools[:] = [PhysicsPool(start)]
        return pools[-1]


class SharedSlots:
    """`Slots` whose work some processes share.

    Args:
        task: which environment.
        count: number of slots.
        workers: how many processes, at most one for each slot.

    Raises:
        SimulatorError: a process died or cannot be started, or there is no memory to share.
    """

    def __init__(self, task: Task, count: int, workers: int) -> None:
        self._pool = self._find_pool()
        self._processes = self._pool.processes(min(workers, count))
        self._number = next(self._pool.numbers)
        size = _Memory.size(task, count)
        try:
            with tempfile.NamedTemporaryFile(dir=MEMORY if MEMORY.is_dir() else None, prefix="dtclaims-") as file:
                # Written, not only made so long: memory that is not there shows here and not as a fatal signal later.
                file.write(bytes(size))
                file.flush()
                self._memory = _Memory(task, count, mmap.mmap(file.fileno(), size))
                kind, *shared = self._share(file.name, task, count)
                self._pool.ask(self._processes, lambda place, process: process.make(self._number, kind, *shared, place))
        except OSError as error:
            raise SimulatorError(
                f"no memory that processes can share under {MEMORY}",
                given=error,
                expected=f"{size} bytes",
                remedy="Give the container more of it (docker run --shm-size).",
            ) from None
        self._dropped = weakref.finalize(self, self._pool.drop, self._number, self._processes)
        self._dropped.atexit = False

    def _find_pool(self) -> PhysicsPool:
        return this_pool()

    def _share(self, name: str, task: Task, count: int) -> tuple[Any, ...]:
        """What every process keeps, and what it is made of before its place: memory is a file of some name."""
        return Share, name, task, count, len(self._processes)

    @functools.cached_property
    def record_size(self) -> int:
        """See `Slots.record_size`."""
        found: list[int] = self._pool.ask(self._processes[:1], lambda _, one: one.ask(self._number, "record_size"))
        return found[0]

    def reset_slots(self, slots: Sequence[int], seeds: Sequence[int]) -> Array:
        """See `Slots.reset_slots`."""
        wanted = dict(zip(slots, seeds, strict=True))
        self._ask("reset", [(own, [wanted[slot] for slot in own]) for own in self._shares(slots)])
        return self.states()

    def start(self, actions: npt.NDArray[Any], active: Mask) -> Request:
        """See `Slots.start`."""
        memory, single = self._memory, actions.dtype == np.float32
        (memory.single if single else memory.double)[:] = actions
        memory.active[:] = active
        return self._pool.go(self._processes, self._number, int(single))

    def finish(self, started: Request) -> tuple[Array, Array, Mask]:
        """See `Slots.finish`."""
        self._pool.finish(started)
        memory = self._memory
        return memory.states.copy(), memory.rewards.copy(), memory.terminated.copy()

    def states(self) -> Array:
        """See `Slots.states`."""
        return self._memory.states.copy()

    def save(self) -> Array:
        """See `Slots.save`."""
        records = np.zeros((len(self._memory.rewards), self.record_size))
        for place, rows in enumerate(self._ask("save")):
            records[place :: len(self._processes)] = rows
        return records

    def restore(self, records: Array) -> Array:
        """See `Slots.restore`."""
        workers = len(self._processes)
        self._ask("restore", [(records[place::workers],) for place in range(workers)])
        return self.states()

    def close(self) -> None:
        """Let the processes forget the slots."""
        self._dropped()

    def _shares(self, slots: Sequence[int]) -> list[list[int]]:
        """Of some slots, those that each process steps."""
        workers = len(self._processes)
        return [[slot for slot in slots if slot % workers == place] for place in range(workers)]

    def _ask(self, what: str, given: Sequence[tuple[Any, ...]] | None = None) -> list[Any]:
        def tell(place: int, process: WorkerProcess) -> None:
            process.ask(self._number, what, *(given[place] if given else ()))

        return self._pool.ask(self._processes, tell)


def layout(task: Task, count: int) -> tuple[tuple[str, str, tuple[int, ...]], ...]:
    """Of the memory that processes share: name, kind and shape, those of eight bytes first."""
    return (
        ("double", "float64", (count, task.action_dim)),
        ("states", "float64", (count, task.state_dim)),
        ("rewards", "float64", (count,)),
        ("single", "float32", (count, task.action_dim)),
        ("active", "bool", (count,)),
        ("terminated", "bool", (count,)),
    )


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
        for name, kind, shape in layout(task, count):
            setattr(self, name, np.ndarray(shape, kind, memory, place))
            place += getattr(self, name).nbytes

    @classmethod
    def size(cls, task: Task, count: int) -> int:
        """Bytes."""
        return sum(int(np.prod(shape)) * np.dtype(kind).itemsize for _, kind, shape in layout(task, count))


class Share:
    """What one process steps of an environment.

    Args:
        name: of the file whose memory is shared.
        task: which environment.
        count: slots of all processes.
        workers: processes.
        place: which of them this is.
    """

    def __init__(self, name: str, task: Task, count: int, workers: int, place: int) -> None:
        with open(name, "r+b") as file:
            self._memory = _Memory(task, count, mmap.mmap(file.fileno(), 0))
        self._mine = slice(place, None, workers)
        self._numbers = range(count)[self._mine]
        self._slots = Slots(task, len(self._numbers))
        self._memory.states[self._mine] = self._slots.states()

    def go(self, how: int) -> None:
        """Step the slots that are active, by single (1) or double (0) actions."""
        memory, mine = self._memory, self._mine
        # A copy has its rows side by side, as an environment of one process has.
        actions = (memory.single if how else memory.double)[mine].copy()
        found = self._slots.step(actions, memory.active[mine].copy())
        memory.states[mine], memory.rewards[mine], memory.terminated[mine] = found

    def record_size(self) -> int:
        """See `Slots.record_size`."""
        return self._slots.record_size

    def reset(self, slots: Sequence[int], seeds: Sequence[int]) -> None:
        """Restart slots by their numbers, each with its seed."""
        self._memory.states[self._mine] = self._slots.reset_slots([self._numbers.index(one) for one in slots], seeds)

    def save(self) -> Array:
        """See `Slots.save`."""
        return self._slots.save()

    def restore(self, records: Array) -> None:
        """See `Slots.restore`; records of these slots."""
        self._memory.states[self._mine] = self._slots.restore(records)
