"""Jobs in this process, one after the other: for tests and debuggers."""

from collections.abc import Callable
from types import TracebackType
from typing import Self

from dtclaims.device import cpu_count
from dtclaims.harness.engine.engine import Event
from dtclaims.harness.engine.work import Order, perform, prepare_process
from dtclaims.harness.store.store import Store


class Inline:
    """An engine without workers: a job runs while it is waited for, as in a worker that is alone.

    Args:
        store: where results go.
    """

    slots = 1

    def __init__(self, store: Store) -> None:
        self._store = store
        self._job: Order | None = None

    def start(self, job: Order) -> None:
        """Remember the job; `wait` does it."""
        self._job = job

    def wait(self, timeout: float | None, tell: Callable[[Event], None]) -> None:
        """Do the job, however long it takes."""
        assert self._job is not None
        tell(perform(self._store, self._job, tell, cpu_count()))

    def __enter__(self) -> Self:
        prepare_process()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing to stop."""
