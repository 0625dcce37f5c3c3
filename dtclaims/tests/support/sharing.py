"""Workers that share GPUs, on a clock of their own: the engine's choices are real, what is done there takes no time."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from unittest import mock

from dtclaims.harness.engine.engine import Advanced, Ended, Event
from dtclaims.harness.engine.processes import Processes, _Worker
from dtclaims.harness.engine.work import Group

ALONE, SHARED = 16.6, 31.0
"""Seconds of an epoch of four runs of 12 × 768 at K = 1 on one H200, by itself and where two such groups share it."""
EPOCHS = 10


@dataclass
class _Step:
    seconds: float
    """Where nobody else is on the GPU."""
    gpu: bool
    events: tuple[Event, ...]


class SharedGpus(Processes):
    """An engine whose workers begin by themselves, share their GPU for ten epochs, and end one run after the other.

    Args:
        root: of the store.
        places: one per worker.
        begins: seconds before the first epoch, by the key of a group's first job; 24 of those that are not named.
        ends: seconds from the last epoch to the end of the last job, by the same; 20 of those that are not named.
        endings: by key, how a job ends before it is made, the last first.
        paces: whether epochs are reported.
    """

    def __init__(
        self,
        root: Path,
        places: list[str | None],
        *,
        begins: Mapping[str, float] | None = None,
        ends: Mapping[str, float] | None = None,
        endings: Mapping[str, list[Any]] | None = None,
        paces: bool = True,
    ) -> None:
        super().__init__(root, places)
        self.now = 0.0
        self.began: list[tuple[float, str | None, tuple[str, ...]]] = []
        """When which jobs were started where."""
        self.made: list[str] = []
        self.waiting: Callable[[], object] = lambda: None
        """Called whenever the session waits."""
        self._begins, self._ends, self._endings, self._paces = begins or {}, ends or {}, endings or {}, paces
        self._steps: dict[int, list[_Step]] = {}
        """By the identity of a worker, what it has before it."""

    def _spawn(self, place: str | None) -> _Worker:
        pipe: Any = mock.Mock()
        worker = _Worker(mock.Mock(), pipe, place)
        pipe.send = lambda group: self._begin(worker, group)
        self._workers.append(worker)
        return worker

    def _begin(self, worker: _Worker, group: Group) -> None:
        assert id(worker) not in self._steps
        first = group[0].key
        self.began.append((self.now, worker.place, tuple(order.key for order in group)))
        steps = [_Step(self._begins.get(first, 24.0), False, ())]
        for epoch in range(1, EPOCHS + 1):
            told = tuple(Advanced(order.key, epoch, EPOCHS) for order in group) if self._paces else ()
            steps.append(_Step(ALONE * len(group) / 4, True, told))
        for order in group:
            status: Any = self._endings[order.key].pop() if self._endings.get(order.key) else "made"
            ended = (Ended(order.key, status, "as the script says"),)
            steps.append(_Step(self._ends.get(first, 20.0) / len(group), False, ended))
        self._steps[id(worker)] = steps

    def wait(self, timeout: float | None, tell: Callable[[Event], None]) -> None:
        """On to the next thing that happens, or by `timeout`."""
        self.waiting()
        assert self._steps
        at = {id(one): one.place for one in self._workers}
        sharing = Counter(at[worker] for worker, steps in self._steps.items() if steps[0].gpu)

        def slower(worker: int) -> float:
            others = sharing[at[worker]] - 1 if self._steps[worker][0].gpu and at[worker] is not None else 0
            return 1 + others * (SHARED / ALONE - 1)

        next_one = min(self._steps, key=lambda worker: self._steps[worker][0].seconds * slower(worker))
        passed = self._steps[next_one][0].seconds * slower(next_one)
        over = timeout is None or passed <= timeout
        if not over:
            assert timeout is not None
            passed = timeout
        paces = {worker: slower(worker) for worker in self._steps}
        for worker, pace in paces.items():
            self._steps[worker][0].seconds -= passed / pace
        self.now += passed
        if over:
            (worker,) = (one for one in self._workers if id(one) == next_one)
            for event in self._steps[next_one].pop(0).events:
                self._tell(worker, event, tell)
            if not self._steps[next_one]:
                del self._steps[next_one]

    def _tell(self, worker: _Worker, event: Event, tell: Callable[[Event], None]) -> None:
        ended = [event]
        if isinstance(event, Ended):
            if event.status == "made":
                self.made.append(event.key)
            worker.keys.discard(event.key)
            if event.status == "died":
                ended += [Ended(key, "died", event.text) for key in sorted(worker.keys)]
                self._workers.remove(worker)
                self._steps[id(worker)].clear()
        for one in ended:
            tell(one)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *ended: object) -> None:
        self._workers.clear()
