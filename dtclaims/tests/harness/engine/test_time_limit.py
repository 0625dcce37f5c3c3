"""Sessions that have a time limit (`--time-limit`): what is started, what is stopped, what is left."""

import io
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from dtclaims.harness.engine import agenda as agendas
from dtclaims.harness.engine import executor
from dtclaims.harness.engine.agenda import Agenda, Outcome
from dtclaims.harness.engine.engine import Advanced, Ended, Event
from dtclaims.harness.engine.executor import execute as carried_out
from dtclaims.harness.engine.limit import counted, forecast
from dtclaims.harness.engine.processes import Processes
from dtclaims.harness.engine.progress import Display, clock
from dtclaims.harness.engine.work import Group
from dtclaims.harness.lab import Cost, Job
from dtclaims.harness.plan.estimate import Machine
from dtclaims.harness.plan.plan import Plan
from dtclaims.harness.store.store import Store
from dtclaims.tests.support.examples import SAMPLE_CLAIMS
from dtclaims.tests.support.killing import carried_out as execute
from dtclaims.tests.support.killing import tiny_plan
from dtclaims.tests.support.made_up import Nothing, job, plan_of

NOTHING: Any = Nothing()


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DTCLAIMS_HOME", str(tmp_path / "home"))


def planned_as(*seconds: float) -> Plan:
    """Tiny runs, each expected to take so long."""
    plan = tiny_plan(len(seconds))
    for one, long in zip(list(plan.jobs.values()), seconds, strict=True):
        cost = replace(one.cost, seconds=long, once=())
        plan.jobs[one.key] = replace(one, job=replace(one.job, cost=cost), cost=cost)
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


class Exact:
    """An engine whose jobs take what is expected of them, or so many seconds each, by a clock of its own."""

    def __init__(self, plan: Plan, slots: int, takes: float | None = None) -> None:
        self.slots, self.now, self.made, self.started = slots, 0.0, list[str](), list[str]()
        self._takes = {key: one.cost.whole if takes is None else takes for key, one in plan.jobs.items()}
        self._ends: list[tuple[float, Group]] = []

    def __enter__(self) -> "Exact":
        return self

    def start(self, group: Group) -> None:
        self.started += [order.key for order in group]
        self._ends.append((self.now + max(self._takes[order.key] for order in group), group))

    def wait(self, timeout: float | None, tell: Callable[[Event], None]) -> None:
        end, group = first = min(self._ends, key=lambda one: one[0])
        over = timeout is None or end <= self.now + timeout
        self.now = end if over or timeout is None else self.now + timeout
        if over:
            self._ends.remove(first)
            self.made += [order.key for order in group]
            for order in group:
                tell(Ended(order.key, "made"))

    def __exit__(self, *_: object) -> None: ...


@given(
    runs=st.lists(st.integers(1, 100), min_size=1, max_size=8),
    values=st.lists(st.tuples(st.integers(1, 30), st.integers(0, 7)), max_size=8),
    limit=st.integers(1, 300),
    slots=st.integers(1, 3),
    taught=st.lists(st.integers(1, 4), min_size=1, max_size=5),
)
@example(runs=[1, 1, 1, 31, 79, 79, 80], values=[(1, 5), (1, 5)], limit=114, slots=3, taught=[1])
@example(runs=[50, 60], values=[], limit=100, slots=2, taught=[3])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_what_is_expected_to_fit_is_what_a_session_makes(
    tmp_path: Path, runs: list[int], values: list[tuple[int, int]], limit: int, slots: int, taught: list[int]
) -> None:
    """Where all jobs take what was expected, exactly what was foretold is made: runs and what is measured on them, the
    short ones too that still fit where long ones do not, and what is tried as only the lab's own figures let it."""

    def lasting(name: str, seconds: float, *needs: Job) -> Job:
        cost = Cost(like=(str(seconds % 2),), seconds=seconds)
        return replace(job(name, needs), keeps_files=not needs, cost=cost)

    trained = [lasting(f"run {number}", seconds) for number, seconds in enumerate(runs)]
    measured = [
        lasting(f"value {number}", seconds, trained[of % len(trained)]) for number, (seconds, of) in enumerate(values)
    ]
    plan, store = plan_of(*trained, *measured), Store(tmp_path / "store")
    for number, (key, one) in enumerate(plan.jobs.items()):
        plan.jobs[key] = replace(one, cost=one.cost.times(taught[number % len(taught)]))
    foretold = forecast(plan, store, Machine(8, slots), limit)
    engine, output = Exact(plan, slots), io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(executor, "make_engine", lambda *_: engine)
        patch.setattr(executor, "cpu_count", lambda: 8)
        patch.setattr("time.monotonic", lambda: engine.now)
        outcome = carried_out(plan, store, Display(output), session=NOTHING, folder=tmp_path, until=limit)
    assert sorted(engine.made) == sorted(one.key for one in foretold.made)
    assert outcome.left == len(foretold.left)
    assert {one.key for one in foretold.tried} == {*engine.started} - {*engine.made}
    # What is foretold is what is said in the end, with the same counts and the same remedy.
    if foretold.nothing_fits:
        assert foretold.told().removeprefix(f"within {clock(limit)}: ") in output.getvalue()
    elif foretold.left:
        assert f"no time for {counted(foretold.left)}; the same command goes on" in output.getvalue()


def test_the_shortest_is_one_that_could_begin(tmp_path: Path) -> None:
    """Where nothing fits, what is only measured on a run that is not there says nothing of a limit that would do."""
    run = replace(job("run"), keeps_files=True, cost=Cost(seconds=60.0))
    plan = plan_of(run, replace(job("value", (run,)), cost=Cost(seconds=1.0)))
    output = io.StringIO()
    until = time.monotonic() + 30
    carried_out(
        plan, Store(tmp_path), Display(output), session=NOTHING, folder=tmp_path, executor="inline", until=until
    )
    told = "no time for 1 run and 1 measurement: the shortest is expected to take 1:00; allow a longer --time-limit"
    assert f"note: {told}" in output.getvalue()
    assert forecast(plan, Store(tmp_path), Machine(2, 2), 30.0).told() == f"within 0:30: {told}"


# --- where only earlier sessions say that nothing ends in time --------------------------------------------------------


class Paced(Exact):
    """The same, whose jobs tell of every twentieth that is done."""

    def __init__(self, plan: Plan, slots: int, takes: float | None = None) -> None:
        super().__init__(plan, slots, takes)
        self._told: list[tuple[float, str, int]] = []
        self.begun: list[tuple[float, str]] = []

    def start(self, group: Group) -> None:
        super().start(group)
        for order in group:
            self.begun.append((self.now, order.key))
            self._told += [(self.now + self._takes[order.key] * done / 20, order.key, done) for done in range(1, 20)]

    def wait(self, timeout: float | None, tell: Callable[[Event], None]) -> None:
        when, key, done = first = min(self._told, default=(math.inf, "", 0))
        until = math.inf if timeout is None else self.now + timeout
        if when > min(until, *(end for end, _ in self._ends)):
            super().wait(timeout, tell)
            return
        self._told.remove(first)
        self.now = when
        tell(Advanced(key, done, 20))


def taught(count: int, *, own: float, factor: float) -> Plan:
    """Runs of one like, of which earlier sessions taught that they take longer by a factor than the lab says."""
    runs = [replace(job(f"run {number}"), keeps_files=True, cost=Cost(seconds=own)) for number in range(count)]
    plan = plan_of(*runs)
    for key, one in plan.jobs.items():
        plan.jobs[key] = replace(one, cost=one.cost.times(factor))
    return plan


def session_of(plan: Plan, engine: Exact, limit: float, folder: Path) -> tuple[Outcome, str]:
    """What becomes of a plan within so many seconds of an engine's clock, and what is said."""
    output = io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(executor, "make_engine", lambda *_: engine)
        patch.setattr(executor, "cpu_count", lambda: 8)
        patch.setattr("time.monotonic", lambda: engine.now)
        outcome = carried_out(plan, Store(folder), Display(output), session=NOTHING, folder=folder, until=limit)
    return outcome, output.getvalue()


TRIED = "1 run is begun all the same, as by the lab's own figures there is time: its pace decides on the rest"


def test_one_group_is_tried_where_earlier_sessions_alone_leave_no_time(tmp_path: Path) -> None:
    """Where every run was taught to take three times what it takes, one is begun; once that has shown that the lab's
    own figures are right, the others begin beside it and all are made."""
    plan = taught(4, own=400.0, factor=3.0)
    assert forecast(plan, Store(tmp_path), Machine(8, 4), 650.0).told() == (
        f"within 10:50: no time for 4 runs by what earlier sessions took; {TRIED}"
    )
    engine = Paced(plan, 4, 400.0)
    outcome, said = session_of(plan, engine, 650.0, tmp_path)
    assert (outcome.trained, outcome.left, outcome.failures) == (4, 0, {})
    assert said.count("note: no time for what is left by what earlier sessions took; " + TRIED) == 1
    (first, _), *others = engine.begun
    assert first == 0.0
    # A tenth of it shows its pace; until then it is the only one.
    assert all(40.0 <= when < 100.0 for when, _ in others)


def test_a_group_that_is_slow_leads_to_no_other(tmp_path: Path) -> None:
    """Where what earlier sessions took is right, the one group that was tried is stopped at the limit and none like it
    is begun."""
    plan = taught(4, own=400.0, factor=3.0)
    engine = Paced(plan, 4, 1200.0)
    outcome, said = session_of(plan, engine, 1000.0, tmp_path)
    assert (len(engine.begun), outcome.trained, outcome.left) == (1, 0, 4)
    assert "note: stopped by the time limit" in said
    assert "note: no time for 4 runs; the same command goes on" in said


def test_what_has_not_shown_its_pace_is_the_only_one_that_is_tried(tmp_path: Path) -> None:
    """However many workers are idle, a second group waits for what the first shows."""
    plan = taught(4, own=400.0, factor=3.0)
    engine = Exact(plan, 4)
    outcome, _ = session_of(plan, engine, 650.0, tmp_path)
    assert (len(engine.started), outcome.left) == (1, 4)


@pytest.mark.parametrize(("own", "factor"), [(700.0, 3.0), (700.0, 1.0), (600.0, 1.0), (900.0, 0.8)])
def test_nothing_is_tried_that_does_not_fit_by_the_labs_own_figures(tmp_path: Path, own: float, factor: float) -> None:
    """There, and where earlier sessions taught nothing or shorter times, a session begins nothing and asks for a longer
    limit, as is foretold."""
    plan = taught(2, own=own, factor=factor)
    foretold = forecast(plan, Store(tmp_path), Machine(8, 2), 650.0)
    assert (foretold.nothing_fits, foretold.tried) == (True, [])
    engine = Paced(plan, 2, own)
    outcome, said = session_of(plan, engine, 650.0, tmp_path)
    assert (engine.begun, outcome.left) == ([], 2)
    assert foretold.told().removeprefix("within 10:50: ") in said


def test_what_ended_as_slowly_as_taught_is_no_reason_to_try(tmp_path: Path) -> None:
    """On a machine that is slower than the lab's figures say, a session that has made what fitted tries no more at its
    end: not even longer runs that are unlike, of the same kind."""
    plan = taught(2, own=50.0, factor=3.0)
    longer = replace(job("longer"), keeps_files=True, cost=Cost(like=("longer",), seconds=300.0))
    plan.jobs["longer"] = replace(plan_of(longer).jobs["longer"], cost=longer.cost.times(3.0))
    engine = Exact(plan, 2)
    outcome, _ = session_of(plan, engine, 650.0, tmp_path)
    assert sorted(engine.started) == sorted(engine.made) == ["run 0", "run 1"]
    assert outcome.left == 1


def test_what_is_measured_is_tried_alike(tmp_path: Path) -> None:
    """Results that are read from runs are covered as runs are: one that shows nothing until its end, then all."""
    plan = taught(3, own=100.0, factor=4.0)
    for key, one in plan.jobs.items():
        plan.jobs[key] = replace(one, job=replace(one.job, keeps_files=False))
    engine = Exact(plan, 3, 100.0)
    outcome, _ = session_of(plan, engine, 350.0, tmp_path)
    assert (outcome.measured, outcome.left, engine.now) == (3, 0, 200.0)
