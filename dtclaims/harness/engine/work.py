"""What a worker does: carry one job out, straight into the store."""

import json
import os
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from dtclaims.errors import DtclaimsError, MeasurementError, RunFailed, StoreLocked
from dtclaims.files import is_full, write_json
from dtclaims.harness.declare.registry import load_lab
from dtclaims.harness.engine.engine import Advanced, Ended, Event, Noted
from dtclaims.harness.engine.loggers import telling
from dtclaims.harness.lab import Job, Stored
from dtclaims.harness.store.locks import Lock
from dtclaims.harness.store.store import NAME, Store
from dtclaims.harness.times import now

REPORT_EVERY = 0.2
"""Seconds between two reports of one job's progress."""


@dataclass(frozen=True)
class Order:
    """A job as it is handed to a worker."""

    key: str
    job: Job
    identity: Mapping[str, Any]
    needs: tuple[str, ...]
    """Keys of the results that it reads."""
    folder: Path
    """Of the paper, whose lab does it."""
    device: str
    again: str | None = None
    """Why it is done although its result is stored: files of it were dropped."""
    loggers: tuple[str, ...] = ()
    """Names of those that are told of every epoch."""


def prepare_process() -> None:
    """Settle a worker before its lab is loaded: one thread each, and no network for model hubs."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    # Two processes of one thread each beat one process of two by far at the sizes of most jobs.
    for name in ("OMP_NUM_THREADS", "TORCHINDUCTOR_COMPILE_THREADS"):
        os.environ.setdefault(name, "1")


def perform(store: Store, order: Order, send: Callable[[Event], None], cores: int = 1) -> Ended:
    """Carry a job out and say how it ended; only the loss of whom `send` talks to is raised.

    Args:
        store: where results go.
        order: what to do.
        send: is told how it goes.
        cores: that the job may use beside a GPU; no result depends on them.
    """
    try:
        made = make(store, order, send, cores)
        return Ended(order.key, "made" if made else "found")
    except BrokenPipeError:
        raise
    except Exception as error:
        return ended_by(order.key, error)


def ended_by(key: str, error: Exception) -> Ended:
    """How a job ended that an error ended."""
    if isinstance(error, StoreLocked):
        return Ended(key, "busy", str(error))
    status: Literal["full", "failed"] = "full" if is_full(error) else "failed"
    if isinstance(error, DtclaimsError):
        return Ended(key, status, str(error))
    where = traceback.extract_tb(error.__traceback__)[-1]
    place = f"{Path(where.filename).name}:{where.lineno}"
    return Ended(key, status, f"{type(error).__name__} at {place}: {error}")


def make(store: Store, order: Order, send: Callable[[Event], None], cores: int = 1) -> bool:
    """Do the job, from where an earlier worker was stopped; False if somebody else has finished it meanwhile.

    Args:
        store: where the result goes.
        order: what to do.
        send: is told how it goes.
        cores: that it may use beside a GPU.

    Raises:
        StoreLocked: another process is doing it.
        StoreError: the store cannot be read or written.
        DtclaimsError: it cannot be done.
    """
    lab = load_lab(order.folder)
    with store.lock(order.key) as lock, ExitStack() as stack:
        if _is_stored(store, order):
            return False
        folder = store.workspace(order.key) if order.job.keeps_files else None
        bench = Bench(store, order, lock, send, cores, folder, stack)
        if folder is None:
            value = plain(lab.perform(order.job, bench), order.job)
            lock.check()
            store.put_measurement(order.identity, value, order.job.name)
            bench.report(1, 1)
            return True
        # With a manifest it was whole when its worker was stopped.
        if not (folder / "manifest.json").is_file():
            # Says what the folder is, should the job never be finished.
            write_json(folder / "identity.json", order.identity)
            write_json(folder / NAME, {"name": order.job.name})
            result = plain(lab.perform(order.job, bench), order.job)
            # Not in the result: the same run again would be another.
            write_json(folder / NAME, {"name": order.job.name, "finished": now()})
            write_json(folder / "result.json", result)
            store.complete(folder, order.identity)
        lock.check()
        store.publish(folder)
    return True


def _is_stored(store: Store, order: Order) -> bool:
    if not order.job.keeps_files:
        return store.find_measurement(order.identity) is not None
    found = store.find(order.key)
    return found is not None and not (order.again and found.dropped)


@dataclass
class Bench:
    """The workbench of one job (`dtclaims.harness.lab.Workbench`)."""

    store: Store
    order: Order
    lock: Lock
    send: Callable[[Event], None]
    cores: int
    folder: Path | None
    stack: ExitStack
    """Closed when the job ends, well or not."""
    _reported: float = 0.0
    _tell: Callable[[int, Mapping[str, float]], None] | None = field(default=None, repr=False)

    @property
    def device(self) -> str:
        """Where the job is done."""
        return self.order.device

    def report(self, done: int, total: int) -> None:
        """Pass on how far it is, not too often."""
        if done == total or time.monotonic() - self._reported >= REPORT_EVERY:
            self._reported = time.monotonic()
            self.send(Advanced(self.order.key, done, total))

    def note(self, text: str) -> None:
        """Pass on what the user should read."""
        self.send(Noted(self.order.key, text))

    def tell(self, epoch: int, values: Mapping[str, float]) -> None:
        """Tell the loggers, which begin with the first epoch of this worker."""
        if self._tell is None:
            job, logs = self.order.job, self.store.root / "logs"
            config = {"kind": job.kind, **job.what, **job.how}
            begin = telling(self.order.loggers, logs, self.order.key, job.name, config, epoch - 1, self.note)
            self._tell = self.stack.enter_context(begin)
        self._tell(epoch, values)

    def check(self) -> None:
        """Make sure that the job is still this worker's.

        Raises:
            StoreLocked: somebody else has taken it over.
        """
        self.lock.check()

    def stored(self, job: Job) -> Stored:
        """The result of a job that this one needs.

        Raises:
            RunFailed: it is gone.
        """
        key = self.order.needs[self.order.job.needs.index(job)]
        found = self.store.find(key)
        if found is None:
            raise RunFailed(f"run {key} is not in the store", remedy="It failed, or was removed meanwhile.")
        return found


def plain(value: Any, job: Job) -> Any:
    """The value, if it is plain data with finite numbers.

    Raises:
        MeasurementError: it is not, or it is nothing.
    """
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise _no_data(job, f"{value!r:.200} ({error})") from None
    if value is None:
        raise _no_data(job, "None")
    return value


def _no_data(job: Job, given: str) -> MeasurementError:
    return MeasurementError(
        f"{job.name} did not give plain data",
        given=given,
        expected="finite numbers, text, true or false, and lists and dicts of them",
        remedy="`float(x)` and `array.tolist()` turn numpy's into plain ones.",
    )
