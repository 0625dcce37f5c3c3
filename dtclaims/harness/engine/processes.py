"""Workers that are processes of this machine: one thread each on a CPU, several to a GPU."""

import contextlib
import multiprocessing
import os
import signal
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import TracebackType
from typing import Self

from dtclaims.device import cores_each, cpu_count
from dtclaims.harness.engine.engine import Ended, Event
from dtclaims.harness.engine.mps import sharing
from dtclaims.harness.engine.work import Group, perform, prepare_process, warm_up
from dtclaims.harness.store.store import Store

# Spawned, because forking a process that has loaded torch or CUDA is not safe.
CONTEXT = multiprocessing.get_context("spawn")
GRACE = 5.0
"""Seconds that a worker gets to leave before it is killed."""


@dataclass
class _Worker:
    process: BaseProcess
    pipe: Connection
    place: str | None
    keys: set[str] = field(default_factory=set)
    """Of the jobs that it is at."""


class Processes:
    """An engine of spawned processes, each pinned to a place and working on one group of jobs at a time.

    A worker that dies takes its own jobs with it and nothing else; the next ones get a fresh one.

    Args:
        root: of the store.
        places: one per process: the GPU it sees, as `CUDA_VISIBLE_DEVICES` names it, or None for none.
        note: told what the user should read.
    """

    def __init__(
        self, root: Path, places: Sequence[str | None], note: Callable[[str], None] = lambda text: None
    ) -> None:
        self._root, self._note = root, note
        self.places = list(places)
        self.cores = cores_each(len(self.places), cpu_count())
        """That each worker may use."""
        self._workers: list[_Worker] = []
        self._environment: dict[str, str] = {}
        """Of the workers, beside this process's: where the daemon is that lets them share a GPU."""
        self.compilers = max(1, cpu_count() // len(self.places))
        """Threads with which each worker compiles: all of them do, at the same time."""
        self._stack = contextlib.ExitStack()

    @property
    def slots(self) -> int:
        """One per place."""
        return len(self.places)

    def start(self, group: Group) -> None:
        """Hand jobs to an idle worker, or to a new one, on the GPU on which fewest are at work."""
        busy = Counter(one.place for one in self._workers if one.keys)
        idle = [one for one in self._workers if not one.keys]
        place = min([one.place for one in idle] + self._free(), key=lambda place: busy[place])
        worker = next((one for one in idle if one.place == place), None) or self._spawn(place)
        worker.keys = {order.key for order in group}
        # One that died while idle is found out by `wait`.
        with contextlib.suppress(OSError):
            worker.pipe.send(group)

    def warm(self, folder: Path, count: int) -> None:
        """Start workers for so many groups before there is something to do: they load the lab of a paper's folder."""
        for place in self._free()[: max(0, min(count, self.slots) - len(self._workers))]:
            self._spawn(place).pipe.send(folder)

    def wait(self, timeout: float | None, tell: Callable[[Event], None]) -> None:
        """Pass on what the workers say, deaths included."""
        for ready in wait([worker.pipe for worker in self._workers], timeout):
            worker = next(one for one in self._workers if one.pipe is ready)
            try:
                event: Event = worker.pipe.recv()
            except (EOFError, OSError):
                self._workers.remove(worker)
                self._end(worker)
                for key in worker.keys:
                    tell(Ended(key, "died", f"the worker process died ({_cause(worker.process.exitcode)})"))
                continue
            if isinstance(event, Ended):
                worker.keys.discard(event.key)
            tell(event)

    def _free(self) -> list[str | None]:
        """Places without a worker."""
        free = list(self.places)
        for other in self._workers:
            free.remove(other.place)
        return free

    def _spawn(self, place: str | None) -> _Worker:
        ours, theirs = CONTEXT.Pipe()
        process = CONTEXT.Process(
            target=_serve, args=(theirs, self._root, place, self.cores, self.compilers, self._environment), daemon=True
        )
        process.start()
        # Else the pipe would stay open in this process after the worker's death.
        theirs.close()
        worker = _Worker(process, ours, place)
        self._workers.append(worker)
        return worker

    def __enter__(self) -> Self:
        shared = [gpu for gpu in self.places if gpu is not None and self.places.count(gpu) > 1]
        if shared:
            self._environment = self._stack.enter_context(sharing(shared[0], self._note))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in self._workers:
            if kind is not None:
                worker.process.terminate()
            worker.pipe.close()
        for worker in self._workers:
            self._end(worker)
        self._workers.clear()
        self._stack.close()

    @staticmethod
    def _end(worker: _Worker) -> None:
        worker.pipe.close()
        worker.process.join(GRACE)
        if worker.process.exitcode is None:
            worker.process.kill()
            worker.process.join()


def _cause(code: int | None) -> str:
    if code == -signal.SIGKILL:
        return "killed: out of memory, or by somebody"
    return f"signal {signal.Signals(-code).name}" if code is not None and code < 0 else f"exit code {code}"


def _serve(
    pipe: Connection, root: Path, place: str | None, cores: int, compilers: int, environment: Mapping[str, str]
) -> None:
    # Ctrl-C reaches the whole process group; the parent decides when workers stop.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.environ.update(environment)
    if place is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = place
    prepare_process(compilers)
    store = Store(root)
    while True:
        try:
            said: Group | Path = pipe.recv()
        except EOFError:
            return
        if isinstance(said, Path):
            warm_up(said)
            continue
        group = said
        if place is not None:
            # The one GPU it sees is its first.
            group = tuple(replace(order, device="cuda") for order in group)
        try:
            perform(store, group, pipe.send, cores)
        except BrokenPipeError:
            # The parent is gone; the run's state is on disk.
            return
