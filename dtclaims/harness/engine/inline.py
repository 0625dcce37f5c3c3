"""Jobs in this process, one after the other: for tests and debuggers."""

from collections.abc import Callable
from types import TracebackType
from typing import Self

from dtclaims.device import cpu_count
from dtclaims.harness.engine.engine import Ended, Event
from dtclaims.harness.engine.work import Group, perform, prepare_process
from dtclaims.harness.store.store import Store


class Inline:
    """An engine without workers: a job runs while it is waited for, as in a worker that is alone.

    Args:
        store: where results go.
    """

    slots = 1

    def __init__(self, store: Store) -> None:
        # A job may leave the folder that the store is named from.
        self._store = Store(store.root.absolute())
        self._group: Group | None = None

    def start(self, group: Group) -> None:
        """Remember the jobs; `wait` does them."""
        self._group = group

    def wait(self, timeout: float | None, tell: Callable[[Event], None]) -> None:
        """Do the jobs, however long it takes."""
        assert self._group is not None
        ended: list[Event] = []
        perform(
            self._store,
            self._group,
            lambda event: (ended.append if isinstance(event, Ended) else tell)(event),
            cpu_count(),
        )
        # Who hears of an end may end the session: that is none of the job's errors.
        for event in ended:
            tell(event)

    def __enter__(self) -> Self:
        prepare_process(cpu_count())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing to stop."""
