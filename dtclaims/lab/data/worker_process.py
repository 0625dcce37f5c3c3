"""A process that works for this one: it keeps objects, does what they are asked, and calls functions.

Threads would wait for the interpreter's lock. A worker imports what it is asked for and no more, notices the death of
its parent within a second, whatever it is at, and leaves. Nobody spins: many of them may share a core.
"""

import contextlib
import multiprocessing
import os
import subprocess
import sys
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Protocol

from dtclaims.errors import SimulatorError
from dtclaims.lab.legacy.worker import DONE, HOWS, MESSAGE, WORD, attend

GRACE = 2.0
"""Seconds that a process gets to leave."""


class Kept(Protocol):
    """An object that a worker keeps."""

    def go(self, how: int) -> None:
        """Do the one thing that is asked again and again."""


class WorkerProcess:
    """One of them. What it is told it does in the order in which it was told, and answers in that order.

    Raises:
        SimulatorError: it cannot be started.
    """

    def __init__(self) -> None:
        self.pipe, theirs = multiprocessing.Pipe()
        self._handle = self.pipe.fileno()
        threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
        try:
            # `multiprocessing` would import the caller's main module, and gives no children to daemons.
            self.process = subprocess.Popen(
                self._command(theirs.fileno(), os.getpid()),
                env={**os.environ, **self._variables(), **threads},
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                # Ctrl-C reaches the whole process group; the parent decides when they leave. No session of their own:
                # Linux gives each session an equal share of a busy core, and theirs would starve the workers'.
                process_group=0,
            )
        except OSError as error:
            self.pipe.close()
            raise SimulatorError("a physics process cannot be started", given=error) from None
        finally:
            theirs.close()

    def _command(self, handle: int, parent: int) -> list[str]:
        """What is run, given its end of the pipe and this process's id."""
        # Python's own first entry is the folder that somebody works in: another version of this package may lie there.
        start = f"import sys; sys.path[:] = sys.argv[3:]; from {serve.__module__} import {serve.__name__} as serve"
        # Wherever this process found its packages they find them too; one thread each, whatever they import.
        places = [place or str(Path.cwd()) for place in sys.path]
        served = f"{start}; serve(int(sys.argv[1]), int(sys.argv[2]))"
        return [sys.executable, "-c", served, str(handle), str(parent), *places]

    def _variables(self) -> dict[str, str]:
        """What its environment has beside this process's."""
        return {}

    def _send(self, message: tuple[Any, ...]) -> None:
        self.pipe.send(message)

    def _receive(self) -> Any:
        return self.pipe.recv()

    @staticmethod
    def word(number: int, how: int = 0) -> bytes:
        """What lets a kept object go.

        Args:
            number: of the object.
            how: below `worker.HOWS`.
        """
        return (number * HOWS + how).to_bytes(WORD, sys.byteorder, signed=True)

    def go(self, word: bytes) -> None:
        """Let a kept object go: one short write.

        Raises:
            SimulatorError: the process died.
        """
        try:
            os.write(self._handle, word)
        except OSError:
            raise self._dead() from None

    def make(self, number: int, kind: Callable[..., Kept] | str, *arguments: Any) -> None:
        """Let it keep what a class makes of some arguments, under a number; a class that it knows has a name."""
        self._tell("make", number, kind, arguments)

    def ask(self, number: int, method: str, *arguments: Any) -> None:
        """Call a method of a kept object."""
        self._tell("ask", number, method, arguments)

    def drop(self, number: int) -> None:
        """Let go of a kept object."""
        self._tell("drop", number)

    def call(self, function: Callable[..., Any], *arguments: Any) -> None:
        """Call a function that a module has."""
        self._tell("call", function, arguments)

    def hear(self) -> Any:
        """The answer to the first request that has not been answered.

        Raises:
            SimulatorError: it could not do what was asked, or died.
        """
        try:
            # The end of the file is the death of the only process that holds the other end.
            kind = os.read(self._handle, 1)
            if kind == DONE:
                return None
            well, answer = self._receive() if kind else (None, None)
        except (EOFError, OSError):
            well = None
        if well is None:
            raise self._dead()
        if not well:
            raise SimulatorError("a physics process could not go on", given=answer)
        return answer

    @property
    def alive(self) -> bool:
        """Whether it is there."""
        return self.process.poll() is None

    def stop(self) -> None:
        """Tell it to end, whatever it is at."""
        self.pipe.close()
        # The number may be another file's soon.
        self._handle = -1
        self.process.terminate()

    def wait(self) -> None:
        """Wait until it has ended, and see to that."""
        try:
            self.process.wait(GRACE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def _tell(self, *message: Any) -> None:
        try:
            os.write(self._handle, MESSAGE.to_bytes(WORD, sys.byteorder, signed=True))
            self._send(message)
        except OSError:
            raise self._dead() from None

    def _dead(self) -> SimulatorError:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(GRACE)
        return SimulatorError(
            "a physics process died",
            given=f"process {self.process.pid}, exit code {self.process.returncode}",
            remedy="It may have run out of memory. The run goes on from its last saved epoch when it is started again.",
        )


def serve(handle: int, parent: int) -> None:
    """A worker's life, until its parent closes the pipe or dies.

    Args:
        handle: of its end of the pipe.
        parent: id of the process that started it.
    """
    pipe = Connection(handle)
    attend(handle, parent, {}, pipe.recv, pipe.send, _do)


def _do(kept: dict[int, Kept], what: str, subject: Any, *rest: Any) -> Any:
    if what == "call":
        return subject(*rest[0])
    if what == "make":
        kind, arguments = rest
        kept[subject] = kind(*arguments)
    elif what == "drop":
        del kept[subject]
    else:
        method, arguments = rest
        return getattr(kept[subject], method)(*arguments)
    return None
