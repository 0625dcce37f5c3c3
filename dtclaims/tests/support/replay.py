"""A real session, recorded: what was planned, and what was done when; what a display would have said meanwhile."""

import io
import json
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from dtclaims.harness.engine.agenda import Agenda
from dtclaims.harness.engine.progress import Display, Expected
from dtclaims.harness.lab import CodeUsed, Cost, Job, Once
from dtclaims.harness.plan.estimate import Machine
from dtclaims.harness.plan.plan import Plan, PlannedJob
from dtclaims.harness.store.store import Store

TWO_GPUS = Path(__file__).with_name("session_on_two_gpus.json")
THREE_TASKS = Path(__file__).with_name("session_of_three_tasks.json")
"""Both say themselves what they are."""
REPORTS = 5
"""Of an epoch's updates, evenly spaced."""
ASKED = 1.0
"""Seconds between two looks at the estimate, at least."""

Costs = Callable[[Job], Cost]


class _InOrder(Plan):
    """Its jobs start in the order in which they stand."""

    def in_order(self, jobs: Any) -> list[PlannedJob]:
        return list(jobs)


class Replay:
    """A recorded session.

    Args:
        path: of the recording.
        costs: of each job, where they are not to be the recorded ones.
    """

    def __init__(self, path: Path, costs: Costs = lambda job: job.cost) -> None:
        content = json.loads(path.read_text(encoding="utf-8"))
        self.machine = Machine(**content["machine"])
        self._groups = content["groups"]
        self.plan = _InOrder((0,), "cuda" if self.machine.gpus else "cpu")
        of = [_cost(one) for one in content["costs"]]
        for number, (cost, *rest) in enumerate(content["jobs"]):
            row, keeps = content["costs"][cost], content["costs"][cost]["keeps_files"]
            needs = () if keeps else tuple(map(str, rest))
            together, most = (str(rest[0]), rest[1]) if keeps else (None, 1)
            job = _job(row["kind"], number, of[cost], together, most, keeps_files=keeps)
            self.plan.jobs[str(number)] = PlannedJob(job, {"number": number}, str(number), needs, False, costs(job))

    def expected(self, folder: Path) -> dict[str, Expected]:
        """What the agenda of such a session says, on such a machine.

        Args:
            folder: for a store with nothing in it.
        """
        return Agenda(self.plan, Store(folder), folder, ()).expected(self.machine)

    def run(self, expected: Mapping[str, Expected], at: Callable[[float], None]) -> list[tuple[float, float, float]]:
        """Moments: seconds since the session began, share of the jobs' time that is over, estimated seconds of it all.

        Args:
            expected: of its jobs.
            at: sets the time.
        """
        at(0.0)
        display = Display(io.StringIO())
        display.begin(dict(expected), self.machine.workers)
        work = sum(end - began for began, _, ends, _ in self._groups for end in ends)
        running, done, now, asked, told = 0, 0.0, 0.0, 0.0, []
        for then, change, of in sorted(self._events(), key=lambda event: event[0]):
            done += running * (then - now)
            now = then
            at(now)
            running += change
            of(display)
            if now - asked >= ASKED and (eta := display.eta()) is not None:
                asked = now
                told.append((now, done / work, now + eta))
        return told

    def _events(self) -> Iterator[tuple[float, int, Callable[[Display], object]]]:
        """When something happened, how many jobs more were at work from then on, and how to tell it."""
        for began, numbers, ends, epochs in self._groups:
            keys = [str(number) for number in numbers]
            yield began, len(keys), lambda display, keys=keys: display.start(*keys)
            for epoch, (since, until) in enumerate(epochs):
                for report in range(1, REPORTS + 1):
                    share = epoch * REPORTS + report, len(epochs) * REPORTS
                    for key in keys:
                        when = since + (until - since) * report / REPORTS
                        yield when, 0, lambda display, key=key, share=share: display.advance(key, *share)
            for key, end in zip(keys, ends, strict=True):
                yield end, -1, lambda display, key=key: display.finish(key)


def _cost(row: Mapping[str, Any]) -> Cost:
    said = {name: value for name, value in row.items() if name not in ("kind", "keeps_files")}
    cost = Cost(**said)
    return replace(
        cost,
        like=tuple(cost.like),
        shared=tuple((size, seconds) for size, seconds in cost.shared),
        cores=math.inf if cost.cores is None else cost.cores,
        once=tuple(Once(*one) for one in row["once"]),
    )


def _job(kind: str, number: int, cost: Cost, together: str | None, most: int, *, keeps_files: bool) -> Job:
    return Job(
        kind=kind,
        name=f"{' '.join(cost.like)} {number}",
        what={"number": number},
        how={},
        resolved={},
        code=CodeUsed(()),
        versions=(),
        device="cuda",
        precision="bfloat16",
        keeps_files=keeps_files,
        cost=cost,
        together=together,
        most_together=most,
    )
