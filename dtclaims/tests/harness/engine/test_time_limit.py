"""Sessions that have a time limit (`--time-limit`): what is started, what is stopped, what is left."""

import io
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from dtclaims.harness.engine import agenda as agendas
from dtclaims.harness.engine.agenda import Agenda
from dtclaims.harness.engine.processes import Processes
from dtclaims.harness.engine.progress import Display
from dtclaims.harness.engine.work import Group
from dtclaims.harness.plan.plan import Plan
from dtclaims.harness.store.store import Store
from dtclaims.tests.support.examples import SAMPLE_CLAIMS
from dtclaims.tests.support.killing import carried_out as execute
from dtclaims.tests.support.killing import tiny_plan


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DTCLAIMS_HOME", str(tmp_path / "home"))


def planned_as(*seconds: float) -> Plan:
    """Tiny runs, each expected to take so long."""
    plan = tiny_plan(len(seconds))
    for one, long in zip(list(plan.jobs.values()), seconds, strict=True):
        plan.jobs[one.key] = replace(one, cost=replace(one.cost, seconds=long, once=()))
    return plan


def test_what_would_not_end_in_time_is_not_started(tmp_path: Path) -> None:
    """Nothing failed, what is left is counted, and the same plan without a limit makes it."""
    store, output = Store(tmp_path / "store"), io.StringIO()
    plan = planned_as(1.0, 36_000.0, 36_000.0)
    outcome = execute(plan, store, Display(output), executor="inline", until=time.monotonic() + 120)
    assert (outcome.trained, outcome.failures) == (1, {})
    assert "note: no time for 2 runs; the same command goes on" in output.getvalue()
    left = Plan(plan.seeds, "cpu", jobs={key: one for key, one in plan.jobs.items() if store.find(key) is None})
    outcome = execute(left, store, Display(output), executor="inline", until=time.monotonic() + 36_000 * 3)
    assert (outcome.trained, outcome.failures) == (2, {})
    assert output.getvalue().count("no time for") == 1


def test_a_tenth_of_its_time_is_to_spare(tmp_path: Path) -> None:
    """A run that is expected to end just before the limit is not started: estimates are not exact (ours)."""
    for limit, made in ((1050.0, 0), (1200.0, 1)):
        output = io.StringIO()
        until = time.monotonic() + limit
        outcome = execute(planned_as(1000.0), Store(tmp_path), Display(output), executor="inline", until=until)
        assert (outcome.trained, outcome.left) == (made, 1 - made)


def test_where_nothing_fits_a_longer_limit_is_asked_for(tmp_path: Path) -> None:
    """The same command would make nothing again."""
    output = io.StringIO()
    outcome = execute(
        planned_as(90.0, 60.0), Store(tmp_path), Display(output), executor="inline", until=time.monotonic()
    )
    assert (outcome.trained, outcome.left, outcome.failures) == (0, 2, {})
    text = "note: no time for 2 runs: the shortest is expected to take 1:00; allow a longer --time-limit"
    assert text in output.getvalue()
    assert "goes on" not in output.getvalue()


class Slow:
    """An engine that never ends what it was given."""

    slots = 1

    def __init__(self) -> None:
        self.started: list[str] = []
        self.left_with: list[object] = []

    def __enter__(self) -> "Slow":
        return self

    def start(self, group: Group) -> None:
        self.started += [order.key for order in group]

    def wait(self, timeout: float | None, tell: object) -> None:
        assert timeout is not None
        time.sleep(timeout)

    def __exit__(self, kind: object, *_: object) -> None:
        self.left_with.append(kind)


def test_what_takes_longer_than_expected_is_stopped_at_the_limit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its workers are ended as by Ctrl-C, but the session goes on: what there is can be judged."""
    monkeypatch.setattr("dtclaims.harness.engine.executor.LOOK", 0.01)
    engine, output = Slow(), io.StringIO()
    monkeypatch.setattr("dtclaims.harness.engine.executor.make_engine", lambda *_: engine)
    outcome = execute(planned_as(0.01, 0.01), Store(tmp_path), Display(output), until=time.monotonic() + 2.0)
    assert len(engine.started) == 1
    assert engine.left_with not in ([], [None])
    assert (outcome.trained, outcome.left, outcome.failures) == (0, 2, {})
    assert "note: stopped by the time limit" in output.getvalue()
    assert "note: no time for 2 runs; the same command goes on" in output.getvalue()


def test_none_is_held_back_until_it_is_too_late(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A group waits for a freer GPU only where it still ends in time after that."""

    def hold(self: Processes, coming: Iterator[Group]) -> float | None:
        return None if next(coming, None) is None else 100.0

    monkeypatch.setattr(Processes, "hold", hold)
    began = time.monotonic()
    outcome = execute(planned_as(1.0), Store(tmp_path), Display(io.StringIO()), workers=1, until=began + 101)
    assert outcome.trained == 1
    assert time.monotonic() - began < 100


def test_what_was_put_off_comes_where_nothing_else_fits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that another process makes is looked at again though others are ready for which there is no time."""
    monkeypatch.setattr(agendas, "BUSY_WAIT", (0.0, 0.0))
    agenda = Agenda(planned_as(1.0, 1.0, 1.0), Store(tmp_path), SAMPLE_CLAIMS, ())
    agenda.begin([])
    (busy, *_) = group = next(agenda.coming())
    agenda.take(group)
    assert agenda.put_off(busy)
    assert [one.key for group in agenda.coming(lambda group: group[0].key == busy.key) for one in group] == [busy.key]
    assert agenda.seconds_to_wait() is None
