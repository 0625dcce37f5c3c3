"""What a worker does: carry one job out, straight into the store."""

import json
import os
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dtclaims.errors import STOPS, DtclaimsError, MeasurementError, ReportError, RunFailed, StoreLocked, words_of
from dtclaims.files import is_full, write_json
from dtclaims.harness.declare.registry import load_lab
from dtclaims.harness.engine.engine import Advanced, Ended, Event, Noted, Spent, Status
from dtclaims.harness.engine.loggers import telling
from dtclaims.harness.lab import Job, Lab, Stored
from dtclaims.harness.schema import check_json
from dtclaims.harness.store.locks import Lock
from dtclaims.harness.store.store import NAME, Store
from dtclaims.harness.times import now
from dtclaims.places import home

REPORT_EVERY = 0.2
"""Seconds between two reports of one job's progress."""


class Unheard(BaseException):
    """Whoever a worker tells of its jobs is gone. No error of a job, whose own pipes may break too."""


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


def prepare_process(compilers: int = 1) -> None:
    """Settle a worker before its lab is loaded: one thread each, no network for model hubs, and compiled code kept.

    Args:
        compilers: threads with which it may compile.
    """
    kept = home() / "compiled"
    settings = {
        "HF_HUB_OFFLINE": "1",
        # Two processes of one thread each beat one process of two by far at the sizes of most jobs.
        "OMP_NUM_THREADS": "1",
        # A kernel is compiled once on a machine, for all workers and sessions; by default that ends with the boot.
        "TORCHINDUCTOR_CACHE_DIR": str(kept / "inductor"),
        "TRITON_CACHE_DIR": str(kept / "triton"),
        "TORCHINDUCTOR_COMPILE_THREADS": str(compilers),
    }
    for name, value in settings.items():
        os.environ.setdefault(name, value)


def warm_up(folder: Path) -> None:
    """Load what the jobs of a paper's lab will need; what goes wrong shows in the jobs."""
    with suppress(Exception):
        warm = getattr(load_lab(folder), "warm", None)
        if warm is not None:
            warm()


Group = tuple[Order, ...]
"""Jobs that a worker is handed at once: one, or several of one `Job.together`."""


def perform(
    store: Store,
    group: Group,
    send: Callable[[Event], None],
    cores: int = 1,
    stops: tuple[type[BaseException], ...] = STOPS,
) -> None:
    """Carry jobs out and say how each ended; only the loss of whom `send` talks to (`Unheard`) is raised.

    Each has its own lock, folder and end. What goes wrong with one is its own; where doing them together fails as a
    whole, none has failed yet: they end as `apart`, to be done in smaller groups.

    Args:
        store: where results go.
        group: what to do.
        send: is told how it goes.
        cores: that the jobs may use beside a GPU; no result depends on them.
        stops: what is raised from outside, and ends all.
    """
    doing = [one for order in group if (one := _begun(store, order, send, cores)) is not None]
    if not doing:
        return
    try:
        lab = load_lab(group[0].folder)
        together = getattr(lab, "perform_together", None)
        if len(doing) == 1 or together is None:
            for one in doing:
                one.end(_outcome(lab, one, stops))
        else:
            together(
                [one.order.job for one in doing],
                [one.bench for one in doing],
                lambda index, what: doing[index].end(what),
            )
            for one in doing:
                one.end(RuntimeError("the lab forgot it"))
    except Exception as error:
        for one in doing:
            one.end(error, "apart" if len(doing) > 1 else "failed")
    finally:
        for one in doing:
            one.close()


def _outcome(lab: Lab, doing: "_Doing", stops: tuple[type[BaseException], ...]) -> Any:
    """What the lab makes of a job, or the exception that it raises."""
    ours, here = os.getpid(), "."
    with suppress(OSError):
        here = os.getcwd()
    try:
        return lab.perform(doing.order.job, doing.bench)
    except BaseException as error:
        if isinstance(error, (Unheard, *stops)):
            raise
        # `sys.exit` and `pytest.fail` too: what the code of one job raises is the end of that job alone.
        return error
    finally:
        if os.getpid() != ours:
            # It would go on as a second worker, or as the session itself, and end the job once more.
            with suppress(OSError):
                os.write(2, f"{doing.order.job.name}: a process that it forked came back, and was ended\n".encode())
            os._exit(1)
        # What the next job reads may be named from here.
        with suppress(OSError):
            os.chdir(here)


def _begun(store: Store, order: Order, send: Callable[[Event], None], cores: int) -> "_Doing | None":
    """A job, locked and with its folder; None if it is over before it began, which is told."""
    with ExitStack() as stack:
        try:
            lock = stack.enter_context(store.lock(order.key))
            if _is_stored(store, order):
                send(Ended(order.key, "found"))
                return None
            folder = store.workspace(order.key) if order.job.keeps_files else None
            if folder is not None and (folder / "manifest.json").is_file():
                # With a manifest it was whole when its worker was stopped.
                lock.check()
                store.publish(folder)
                send(Ended(order.key, "made"))
                return None
            if folder is not None:
                # Says what the folder is, should the job never be finished.
                write_json(folder / "identity.json", order.identity)
                write_json(folder / NAME, {"name": order.job.name})
        except Exception as error:
            send(ended_by(order.key, error))
            return None
        bench = Bench(store, order, lock, send, cores, folder, stack)
        bench.stack = stack.pop_all()
    return _Doing(store, order, bench, send)


@dataclass
class _Doing:
    """A job that a worker is at."""

    store: Store
    order: Order
    bench: "Bench"
    send: Callable[[Event], None]
    ended: bool = False

    def end(self, what: Any, failed: Status = "failed") -> None:
        """Store a result, or tell of an exception; what comes after the first is not heard."""
        if self.ended:
            return
        self.ended = True
        key = self.order.key
        if not isinstance(what, BaseException):
            try:
                self._keep(what)
            except Exception as error:
                what = error
        # Before it is told: who hears of it may want the lock.
        self.close()
        self.send(ended_by(key, what, failed) if isinstance(what, BaseException) else Ended(key, "made"))

    def _keep(self, what: Any) -> None:
        store, order, bench = self.store, self.order, self.bench
        value = plain(what, order.job)
        if bench.folder is None:
            bench.lock.check()
            store.put_measurement(order.identity, value, order.job.name)
            bench.report(1, 1)
            return
        # Not in the result: the same run again would be another.
        write_json(bench.folder / NAME, {"name": order.job.name, "finished": now()})
        write_json(bench.folder / "result.json", value)
        store.complete(bench.folder, order.identity)
        bench.lock.check()
        store.publish(bench.folder)

    def close(self) -> None:
        """Give the lock back and end what the job opened."""
        self.bench.stack.close()


def ended_by(key: str, error: BaseException, failed: Status = "failed") -> Ended:
    """How a job ended that an error ended."""
    if isinstance(error, StoreLocked):
        return Ended(key, "busy", str(error))
    if is_full(error):
        failed = "full"
    if isinstance(error, DtclaimsError):
        return Ended(key, failed, str(error))
    where = traceback.extract_tb(error.__traceback__)
    kind, colon, text = words_of(error).partition(": ")
    place = f" at {Path(where[-1].filename).name}:{where[-1].lineno}" if where else ""
    return Ended(key, failed, f"{kind}{place}{colon}{text}")


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

    def spent(self, seconds: Mapping[str, float]) -> None:
        """Pass on what the time went into, for the session's timeline."""
        self.send(Spent(self.order.key, dict(seconds)))

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


WITHIN = 5
"""Levels of a file of evidence that a value lies in."""


def plain(value: Any, job: Job) -> Any:
    """The value, if it is plain data with finite numbers, which come back from the store and from evidence as they are.

    Raises:
        MeasurementError: it is not, or it is nothing.
    """
    try:
        check_json(json.loads(json.dumps(value, allow_nan=False)), "the value", WITHIN)
    except (TypeError, ValueError, RecursionError, ReportError) as error:
        raise _no_data(job, f"{_start(value)} ({error})") from None
    if odd := [key for key in _keys(value) if not isinstance(key, str)]:
        # JSON makes text of them, which a claim would look for in vain.
        raise _no_data(job, f"{_start(value)} ({odd[0]!r} is a key, and no text)")
    if value is None:
        raise _no_data(job, "None")
    return value


def _keys(value: Any) -> Iterator[Any]:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    yield from value if isinstance(value, dict) else ()
    for one in inner:
        yield from _keys(one)


def _start(value: Any) -> str:
    try:
        return f"{value!r:.200}"
    except (ValueError, RecursionError):
        return type(value).__name__


def _no_data(job: Job, given: str) -> MeasurementError:
    return MeasurementError(
        f"{job.name} did not give plain data",
        given=given,
        expected="finite numbers, text, true or false, and lists and dicts of them by text",
        remedy="`float(x)` and `array.tolist()` turn numpy's into plain ones.",
    )
