"""Functions called in worker processes, for all threads of this process that ask, on one budget of cores."""

import functools
import threading
from collections.abc import Callable, Generator
from multiprocessing.connection import wait
from typing import Any

from dtclaims.device import cpu_count
from dtclaims.lab.data.worker_process import WorkerProcess

PULSE = 0.2
"""Seconds after which one who waits looks whether to go on waiting."""


class Crew:
    """Processes that do calls, started when they are needed and ended when nobody needs them.

    Args:
        most: calls at once, whoever asks.
    """

    def __init__(self, most: int) -> None:
        self._places = threading.Semaphore(most)
        self._lock = threading.Lock()
        self._users = 0
        self._idle: list[WorkerProcess] = []

    def each(
        self,
        function: Callable[..., Any],
        wanted: Callable[[], tuple[Any, ...] | None],
        most: int,
        pulse: Callable[[], None],
    ) -> Generator[tuple[tuple[Any, ...], Any], None, None]:
        """Arguments and value of each call, in the order in which calls end.

        Leaving it (`close`, or an error, its own or one that `pulse` raises) ends what is still being done.

        Args:
            function: that a module has.
            wanted: gives the arguments of the next call, or None if there is none to start now; asked whenever there is
                room for one.
            most: calls at once.
            pulse: called at least every `PULSE` seconds.

        Raises:
            SimulatorError: a process died, or could not do it.
        """
        busy: dict[Any, tuple[WorkerProcess, tuple[Any, ...]]] = {}
        with self._lock:
            self._users += 1
        try:
            while True:
                # One who has nothing under way has nothing else to wait for.
                while len(busy) < most and self._places.acquire(timeout=None if busy else PULSE, blocking=not busy):
                    arguments = wanted()
                    if arguments is None:
                        self._places.release()
                        if not busy:
                            return
                        break
                    process = self._process()
                    busy[process.pipe] = process, arguments
                    process.call(function, *arguments)
                for pipe in wait(list(busy), PULSE):
                    process, arguments = busy[pipe]
                    value = process.hear()
                    del busy[pipe]
                    with self._lock:
                        self._idle.append(process)
                    self._places.release()
                    yield arguments, value
                pulse()
        finally:
            self._leave([process for process, _ in busy.values()])

    def _process(self) -> WorkerProcess:
        with self._lock:
            while self._idle:
                if (process := self._idle.pop()).alive:
                    return process
        try:
            return WorkerProcess()
        except BaseException:
            self._places.release()
            raise

    def _leave(self, unfinished: list[WorkerProcess]) -> None:
        with self._lock:
            self._users -= 1
            ending = list(unfinished)
            if not self._users:
                ending += self._idle
                self._idle.clear()
        for process in ending:
            process.stop()
        for process in ending:
            process.wait()
        for _ in unfinished:
            self._places.release()


_finding = threading.Lock()
"""Held while this process's crew is looked up: threads that come first at once would make one each."""


def this_crew() -> Crew:
    """This process's, on all cores that it may use."""
    with _finding:
        return _crew()


@functools.cache
def _crew() -> Crew:
    return Crew(cpu_count())
