"""What several jobs share, made in threads while others are already done."""

import queue
import threading
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

from dtclaims.errors import DtclaimsError
from dtclaims.harness.lab import Preparation, Progress


class _Stopped(Exception):
    """The session ends before a preparation does."""


class Background:
    """Preparations, each in a thread, from entering it as a context on; leaving it stops those that are not over.

    Args:
        preparations: to make.
        phase: begins a line of progress.
    """

    def __init__(self, preparations: Sequence[Preparation], phase: Callable[[str], Progress]) -> None:
        self._preparations, self._phase = list(preparations), phase
        self._over: queue.SimpleQueue[tuple[Preparation, str | None]] = queue.SimpleQueue()
        self._left = len(self._preparations)
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []

    @property
    def busy(self) -> bool:
        """Whether something is still to be told of by `over`."""
        return self._left > 0

    def over(self) -> list[tuple[Preparation, str | None]]:
        """Those that are over since the last time, with what went wrong."""
        found = []
        while not self._over.empty():
            found.append(self._over.get())
        self._left -= len(found)
        return found

    def _make(self, preparation: Preparation, progress: Progress) -> None:
        def told(done: int, total: int) -> None:
            if self._stopping.is_set():
                raise _Stopped
            progress(done, total)

        problem = None
        try:
            preparation.make(told)
        except _Stopped:
            return
        except DtclaimsError as error:
            problem = str(error)
        except Exception as error:
            problem = f"{type(error).__name__}: {error}"
        self._over.put((preparation, problem))

    def __enter__(self) -> Self:
        for one in self._preparations:
            # A daemon: one that hangs does not keep the session from ending.
            thread = threading.Thread(target=self._make, args=(one, self._phase(one.name)), daemon=True)
            thread.start()
            self._threads.append(thread)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join(GRACE)


GRACE = 10.0
"""Seconds that preparations get to stop."""
