"""Workers that are processes of this machine: one thread each on a CPU, several to a GPU."""

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Self

from dtclaims.device import cores_each, cpu_count
from dtclaims.harness.engine.engine import Ended, Event
from dtclaims.harness.engine.mps import sharing
from dtclaims.harness.engine.work import Group, Unheard, perform, prepare_process, warm_up
from dtclaims.harness.store.store import Store

# Spawned, because forking a process that has loaded torch or CUDA is not safe.
CONTEXT = multiprocessing.get_context("spawn")
STARTING = threading.Lock()
"""Held while a process is started: sessions in several threads of one script have one main module."""
GRACE = 5.0
"""Seconds that workers get to leave before they are killed."""
PATIENCE = 0.2
"""Share of what a group would save with one fewer beside it on its GPU that it waits for that, at most: where two share
a GPU, a tenth of what it is expected to take. Ours."""


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
        self._held: dict[str, float] = {}
        """By the key of its first job, until when a group is held back."""
        self.left: Callable[[Iterable[str]], float | None] = lambda keys: None
        """Seconds that jobs done together are expected to need still; None where nobody knows. Whoever does sets it."""

    @property
    def slots(self) -> int:
        """One per place."""
        return len(self.places)

    def start(self, group: Group) -> None:
        """Hand jobs to an idle worker, or to a new one, on the GPU on which fewest will be at work in a moment."""
        place, _, _ = self._look(group)
        idle = (one for one in self._workers if not one.keys and one.place == place)
        worker = next(idle, None) or self._spawn(place)
        worker.keys = {order.key for order in group}
        # One that died while idle is found out by `wait`.
        with contextlib.suppress(OSError):
            worker.pipe.send(group)

    def hold(self, coming: Iterator[Group]) -> float | None:
        """Seconds for which no group is to start, at most; None if the first may.

        Of two groups that share a GPU each takes nearly twice as long. So where few are left, none joins another while
        a GPU is about to have fewer at work: 3.5 s too early, the last two groups of a session shared one of two GPUs
        until it was stopped three minutes later, and the other had nothing to do. Where many are left every worker
        gets one anyway.

        Args:
            coming: the groups that could start now, in their order.
        """
        first = next(coming, None)
        if first is None:
            return None
        place, lasting, seconds = self._look(first)
        # So many go elsewhere before a place there is no better than this one.
        better = sum(max(0, lasting[place] - lasting[other]) for other in set(self.places))
        if not seconds or len(list(islice(coming, better))) >= better:
            return None
        self._held.setdefault(first[0].key, time.monotonic() + seconds)
        return seconds

    def _look(self, group: Group) -> tuple[str | None, Counter[str | None], float]:
        """Where a group would go now; how many of those at work will be so in a moment, by place; how long that is."""
        busy = Counter(one.place for one in self._workers if one.keys)
        idle = [one.place for one in self._workers if not one.keys] + self._free()
        if (until := self._held.get(group[0].key)) is None:
            takes = self.left([order.key for order in group]) or 0.0
            seconds = PATIENCE * takes / (1 + min(busy[place] for place in idle))
        else:
            seconds = max(0.0, until - time.monotonic())
        lasting: Counter[str | None] = Counter()
        for one in self._workers:
            if one.keys and ((left := self.left(one.keys)) is None or left > seconds):
                lasting[one.place] += 1
        return min(idle, key=lambda place: (lasting[place], busy[place])), lasting, seconds

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
                self._end([worker])
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
        with _apart():
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
        with self._stack:
            self._end(self._workers, stopped=kind is not None)
            self._workers.clear()

    @staticmethod
    def _end(workers: Sequence[_Worker], *, stopped: bool = False) -> None:
        """Wait until they have left. Those that do not in time are killed, and on another Ctrl-C all: a job may be deaf
        to being stopped, and Python would wait for its worker without end."""
        until = time.monotonic() + GRACE
        try:
            for worker in workers:
                if stopped:
                    worker.process.terminate()
                worker.pipe.close()
            for worker in workers:
                worker.process.join(max(0.0, until - time.monotonic()))
        finally:
            for worker in workers:
                if worker.process.exitcode is None:
                    worker.process.kill()
            for worker in workers:
                worker.process.join()


@contextlib.contextmanager
def _apart() -> Iterator[None]:
    """Let processes start without this one's main module, and deaf to Ctrl-C.

    `multiprocessing` imports a script that calls us in each of them, where it would begin the session once more. Ctrl-C
    reaches the whole process group, and whoever is still being imported would end in a traceback.
    """
    # That of `multiprocessing`: started within, it would lift the mask.
    resource_tracker.ensure_running()
    with STARTING:
        main = sys.modules["__main__"]
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            sys.modules["__main__"] = ModuleType("__main__")
            yield
        finally:
            sys.modules["__main__"] = main
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _cause(code: int | None) -> str:
    if code == -signal.SIGKILL:
        return "killed: out of memory, or by somebody"
    return f"signal {signal.Signals(-code).name}" if code is not None and code < 0 else f"exit code {code}"


def _serve(
    pipe: Connection, root: Path, place: str | None, cores: int, compilers: int, environment: Mapping[str, str]
) -> None:
    # Ctrl-C reaches the whole process group; the parent decides when workers stop.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    os.environ.update(environment)
    if place is not None:
        os.environ["CUDA_VISIBLE_DEVICES"] = place
    prepare_process(compilers)
    # A job may leave the folder that the store is named from.
    store = Store(root.absolute())

    def send(event: Event) -> None:
        try:
            pipe.send(event)
        except ConnectionError:
            raise Unheard from None

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
            # Deaf to Ctrl-C, it is stopped by nothing that could be raised.
            perform(store, group, send, cores, stops=())
        except Unheard:
            # The parent is gone; the run's state is on disk.
            return
