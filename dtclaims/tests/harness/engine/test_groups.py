"""Jobs that one worker does together: who is with whom, and that what goes wrong with one stops one."""

import io
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dtclaims.errors import RunFailed
from dtclaims.harness.engine import agenda, executor, timeline, work
from dtclaims.harness.engine.agenda import RETRIES
from dtclaims.harness.engine.background import Background
from dtclaims.harness.engine.engine import Ended, Event
from dtclaims.harness.engine.executor import execute
from dtclaims.harness.engine.progress import Display
from dtclaims.harness.engine.work import Group, Order, perform
from dtclaims.harness.lab import Job, Preparation
from dtclaims.harness.plan.plan import PlannedJob
from dtclaims.harness.store.lines import TIMELINES
from dtclaims.harness.store.store import Store
from dtclaims.tests.support.made_up import Nothing, job, plan_of


class Scripted:
    """Workers that end jobs as a script says, in an order of its own."""

    def __init__(self, slots: int, endings: dict[str, list[str]], turns: list[int]) -> None:
        self.slots, self.endings, self.turns = slots, endings, list(turns)
        self.groups: list[Group] = []
        self.running: list[list[Order]] = []
        self.made: list[str] = []

    def start(self, group: Group) -> None:
        assert len(self.running) < self.slots
        assert all(need in self.made for order in group for need in order.needs)
        self.groups.append(group)
        self.running.append(list(group))

    def wait(self, timeout: float | None, tell: Callable[[Event], None]) -> None:
        group = self.running[(self.turns.pop() if self.turns else 0) % len(self.running)]
        order = group.pop(0)
        status: Any = self.endings[order.key].pop() if self.endings.get(order.key) else "made"
        if status == "made":
            self.made.append(order.key)
        ended = [order, *(group if status == "died" else ())]
        if status == "died":
            group.clear()
        if not group:
            self.running.remove(group)
        for one in ended:
            tell(Ended(one.key, status, "as the script says"))

    def __enter__(self) -> "Scripted":
        return self

    def __exit__(self, *ended: object) -> None:
        assert not self.running


@st.composite
def sessions(draw: Any) -> tuple[list[Job], dict[str, list[str]], int, list[int]]:
    """Jobs of a few kinds, some of which need others, and what becomes of each before it is made."""
    jobs: list[Job] = []
    for number in range(draw(st.integers(1, 14))):
        kind = draw(st.sampled_from([None, "a", "b"]))
        most = {None: 1, "a": 4, "b": 3}[kind]
        needs = draw(st.lists(st.sampled_from(jobs), max_size=2, unique_by=lambda one: one.name)) if jobs else []
        jobs.append(job(f"j{number}", tuple(needs), kind, most))
    ends = st.lists(st.sampled_from(["busy", "apart", "died"]), max_size=2)
    endings = {one.name: draw(ends) for one in jobs}
    return jobs, endings, draw(st.integers(1, 4)), draw(st.lists(st.integers(0, 9), max_size=40))


@given(sessions())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_job_is_done_once_however_groups_end(
    tmp_path_factory: pytest.TempPathFactory,
    session: tuple[list[Job], dict[str, list[str]], int, list[int]],
) -> None:
    """Nothing starts before what it needs; groups hold one kind and no more than it lets; what failed in a group is
    tried in smaller ones, down to alone."""
    jobs, endings, slots, turns = session
    engine = Scripted(slots, endings, turns)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(executor, "make_engine", lambda *_: engine)
        patch.setattr(agenda, "BUSY_WAIT", (0.0, 0.0))
        folder = tmp_path_factory.mktemp("store")
        outcome = execute(
            plan_of(*jobs),
            Store(folder / "s"),
            Display(io.StringIO()),
            session=Nothing(),
            folder=folder,  # type: ignore[arg-type]
        )
    assert outcome.failures == {}
    assert Counter(engine.made) == Counter(one.name for one in jobs)
    for group in engine.groups:
        kinds = {order.job.together for order in group}
        assert len(kinds) == 1
        assert len(group) <= group[0].job.most_together


def test_groups_are_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the order in which jobs start, filled up with those of the same kind from behind others."""
    kinds = ["a", None, "a", "b", "a", "a", "a"]
    jobs = [job(f"j{i}", (), kind, 3 if kind else 1) for i, kind in enumerate(kinds)]
    engine = Scripted(9, {}, [])
    monkeypatch.setattr(executor, "make_engine", lambda *_: engine)
    execute(plan_of(*jobs), Store(tmp_path / "s"), Display(io.StringIO()), session=Nothing(), folder=tmp_path)  # type: ignore[arg-type]
    assert [[order.key for order in group] for group in engine.groups] == [
        ["j0", "j2", "j4"],
        ["j1"],
        ["j3"],
        ["j5", "j6"],
    ]


def test_a_job_that_kills_its_worker_takes_nobody_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A group whose worker dies goes on in halves; the one that does it fails alone, after its own tries."""
    jobs = [job(f"j{i}", (), "a", 8) for i in range(8)]
    engine = Scripted(2, {"j5": ["died"] * 20}, [])

    def wait(timeout: float | None, tell: Callable[[Event], None]) -> None:
        # The bad one ends first, wherever it is.
        for group in engine.running:
            group.sort(key=lambda order: order.key != "j5")
        Scripted.wait(engine, timeout, tell)

    engine.wait = wait  # type: ignore[method-assign]
    monkeypatch.setattr(executor, "make_engine", lambda *_: engine)
    outcome = execute(
        plan_of(*jobs),
        Store(tmp_path / "s"),
        Display(io.StringIO()),
        session=Nothing(),
        folder=tmp_path,  # type: ignore[arg-type]
    )
    assert set(outcome.failures) == {"j5"}
    assert sorted(engine.made) == [one.name for one in jobs if one.name != "j5"]
    sizes = [len(group) for group in engine.groups if any(order.key == "j5" for order in group)]
    assert sizes == sorted(sizes, reverse=True)
    assert sizes.count(1) == RETRIES + 1


class Lab:
    """Does jobs by name: `good` well, `bad` with an error of its own, `torn` takes the whole group down."""

    def __init__(self) -> None:
        self.together: list[list[str]] = []

    def perform(self, one: Job, bench: Any) -> Any:
        if one.name.startswith("bad"):
            raise RunFailed(f"{one.name} is bad")
        return one.name

    def perform_together(self, jobs: list[Job], benches: list[Any], ended: Callable[[int, Any], None]) -> None:
        self.together.append([one.name for one in jobs])
        for index, (one, bench) in enumerate(zip(jobs, benches, strict=True)):
            if one.name.startswith("torn"):
                raise MemoryError("no room for all of them")
            try:
                ended(index, self.perform(one, bench))
            except RunFailed as error:
                ended(index, error)


def done(store: Store, names: list[str], lab: Any, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    monkeypatch.setattr(work, "load_lab", lambda folder: lab)
    orders = tuple(Order(name, job(name), {"name": name}, (), store.root, "cpu") for name in names)
    told: list[Event] = []
    perform(store, orders, told.append)
    return {event.key: event.status for event in told if isinstance(event, Ended)}


def test_one_of_a_group_fails_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The others are stored; one that is there is found, and one that another process has is left to it."""
    store, lab = Store(tmp_path / "store"), Lab()
    assert done(store, ["good 1"], lab, monkeypatch) == {"good 1": "made"}
    with store.lock("good 2"):
        found = done(store, ["good 1", "good 2", "bad 1", "good 3"], lab, monkeypatch)
    assert found == {"good 1": "found", "good 2": "busy", "bad 1": "failed", "good 3": "made"}
    assert lab.together == [["bad 1", "good 3"]]
    assert done(store, ["good 2", "good 3"], lab, monkeypatch) == {"good 2": "made", "good 3": "found"}


def test_what_is_nobodys_own_fault_is_nobodys_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A group that cannot be done together is told apart, but for what had ended; alone it is a failure."""
    store, lab = Store(tmp_path / "store"), Lab()
    names = ["good 1", "torn", "good 2"]
    assert done(store, names, lab, monkeypatch) == {"good 1": "made", "torn": "apart", "good 2": "apart"}
    assert done(store, ["torn"], lab, monkeypatch) == {"torn": "made"}


def test_a_lab_that_does_one_at_a_time_gets_one_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`perform_together` is offered, not asked for."""
    lab = type("Plain", (), {"perform": Lab.perform})()
    found = done(Store(tmp_path / "store"), ["good 1", "bad 1", "good 2"], lab, monkeypatch)
    assert found == {"good 1": "made", "bad 1": "failed", "good 2": "made"}


def test_jobs_wait_for_what_they_share_and_others_do_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A preparation runs beside jobs that need none; one that fails fails those that wait for it, and no others."""
    free, waits, spoilt = job("free"), job("waits"), job("spoilt")
    rests = job("rests", (spoilt,))
    engine = Scripted(4, {}, [])
    seen: list[list[str]] = []

    def make(progress: Callable[[int, int], None]) -> None:
        while "free" not in engine.made:
            time.sleep(0.01)
        seen.append(list(engine.made))
        progress(1, 1)

    def fail(progress: Callable[[int, int], None]) -> None:
        raise RunFailed("no data")

    class Session:
        def preparations(self, jobs: Any) -> tuple[Preparation, ...]:
            return Preparation("good data", (waits,), make), Preparation("no data", (spoilt,), fail)

    monkeypatch.setattr(executor, "make_engine", lambda *_: engine)
    monkeypatch.setattr(executor, "LOOK", 0.01)
    output = io.StringIO()
    outcome = execute(
        plan_of(free, waits, spoilt, rests),
        Store(tmp_path / "s"),
        Display(output),
        session=Session(),
        folder=tmp_path,  # type: ignore[arg-type]
    )
    assert seen == [["free"]]
    assert engine.made == ["free", "waits"]
    assert set(outcome.failures) == {"spoilt", "rests"}
    assert "failed: no data" in output.getvalue()


def test_a_session_that_ends_stops_what_is_made_in_the_background() -> None:
    """At its next report of progress; it can put away what it has half written."""
    tidied = threading.Event()
    begun = threading.Event()

    def make(progress: Callable[[int, int], None]) -> None:
        try:
            while True:
                begun.set()
                progress(0, 1)
                time.sleep(0.01)
        finally:
            tidied.set()

    with Background([Preparation("endless", (), make)], lambda _: lambda *_: None):
        begun.wait(5)
    assert tidied.is_set()


class Making:
    """A session with preparations that end as they are told to."""

    def __init__(self, *preparations: Preparation) -> None:
        self.made = preparations

    def preparations(self, jobs: Any) -> tuple[Preparation, ...]:
        return self.made


def refuse(progress: Callable[[int, int], None]) -> None:
    raise RunFailed("no data")


def carried_out(engine: Scripted, jobs: list[Job], session: Making, folder: Path) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(executor, "make_engine", lambda *_: engine)
        patch.setattr(executor, "LOOK", 0.01)
        plan = plan_of(*jobs)
        return execute(plan, Store(folder / "s"), Display(io.StringIO()), session=session, folder=folder)  # type: ignore[arg-type]


def test_a_job_that_waits_for_two_and_gets_one_is_not_begun(tmp_path: Path) -> None:
    """Whichever is over first."""
    both, one = job("both"), job("one")
    for wait in (0.0, 0.1):
        engine = Scripted(2, {}, [])

        def make(progress: Callable[[int, int], None], wait: float = wait) -> None:
            time.sleep(0.1 - wait)

        def fail(progress: Callable[[int, int], None], wait: float = wait) -> None:
            time.sleep(wait)
            refuse(progress)

        session = Making(Preparation("data", (both, one), make), Preparation("no data", (both,), fail))
        outcome = carried_out(engine, [both, one], session, tmp_path)
        assert (engine.made, outcome.failures) == (["one"], {"both": "no data."})


def test_of_jobs_of_one_name_each_waits_for_its_own(tmp_path: Path) -> None:
    """Names are for people."""
    ours = job("ours")
    theirs = replace(job("theirs"), name="ours")
    plan = plan_of(ours)
    plan.jobs["theirs"] = PlannedJob(theirs, {"name": "theirs"}, "theirs", (), False, theirs.cost)
    engine = Scripted(1, {}, [])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(executor, "make_engine", lambda *_: engine)
        session: Any = Making(Preparation("no data", (theirs,), refuse))
        store = Store(tmp_path / "s")
        outcome = execute(plan, store, Display(io.StringIO()), session=session, folder=tmp_path)
    assert engine.made == ["ours"]
    assert set(outcome.failures) == {"theirs"}


def test_what_becomes_ready_later_starts_as_planned(tmp_path: Path) -> None:
    """A job whose data come late goes before those that are planned after it."""
    jobs = [replace(job(f"j{number}"), keeps_files=True) for number in range(6)]
    # Runs that cost the same start by name.
    ready = threading.Event()
    engine = Scripted(1, {}, [])
    wait = engine.wait

    def held(timeout: float | None, tell: Callable[[Event], None]) -> None:
        wait(timeout, tell)
        ready.set()
        time.sleep(0.05)

    engine.wait = held  # type: ignore[method-assign]

    def make(progress: Callable[[int, int], None]) -> None:
        ready.wait(5)

    carried_out(engine, jobs, Making(Preparation("late data", tuple(jobs[:3]), make)), tmp_path)
    assert engine.made == ["j3", "j0", "j1", "j2", "j4", "j5"]


def test_a_session_leaves_a_timeline(tmp_path: Path) -> None:
    """What began and ended, when all was there that a headline cell rests on, and how the session ended."""
    jobs = [replace(job(f"j{number}", (), "a", 2), keeps_files=True) for number in range(3)]
    plan = plan_of(*jobs)
    plan.proofs[("claim", "corrected", "mini")] = ("j0", "j1")
    engine = Scripted(1, {"j2": ["failed"]}, [])
    store = Store(tmp_path / "s")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(executor, "make_engine", lambda *_: engine)
        execute(plan, store, Display(io.StringIO()), session=Nothing(), folder=tmp_path)  # type: ignore[arg-type]
    (path,) = (store.root / "logs").glob(TIMELINES)
    lines = timeline.read(path)
    assert [{name: of for name, of in one.items() if name != "at"} for one in lines] == [
        {"what": "begin", "device": "cpu", "workers": 1, "jobs": 3},
        {"what": "start", "names": ["j0", "j1"]},
        {"what": "end", "name": "j0", "kind": "run", "status": "made"},
        {"what": "end", "name": "j1", "kind": "run", "status": "made"},
        {"what": "headline", "cell": ["claim", "corrected", "mini"]},
        {"what": "start", "names": ["j2"]},
        {"what": "end", "name": "j2", "kind": "run", "status": "failed"},
        {"what": "over", "how": "done"},
    ]
