"""Few groups use all GPUs: near the end of a session one waits a moment for a GPU that is about to have fewer at work,
and no longer; few runs are dealt out to all of them."""

import io
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dtclaims.harness.engine import agenda, executor
from dtclaims.harness.engine.agenda import Agenda, Outcome
from dtclaims.harness.engine.executor import execute
from dtclaims.harness.engine.processes import PATIENCE
from dtclaims.harness.engine.progress import Display
from dtclaims.harness.lab import Cost, Job
from dtclaims.harness.plan.estimate import Machine
from dtclaims.harness.store.store import Store
from dtclaims.tests.support.made_up import Nothing, job, plan_of
from dtclaims.tests.support.sharing import SharedGpus

TWO_EACH: list[str | None] = ["0", "1", "0", "1"]
BEGINS = {"r00": 56.7, "r04": 60.7, "r08": 61.7, "r12": 62.7}
ENDS = {"r00": 22.07, "r04": 25.1, "r08": 23.42, "r12": 23.33}
"""By these the first four groups end as those of a session on two H200 did: on one GPU at 384 and 391 s, on the other
both at 394."""


def runs(count: int) -> list[Job]:
    """So many that may be done four at a time, with what the plan expects of them: too little."""
    cost = Cost(like=("run",), seconds=10.0, accelerator=40.0, shared=((4, 35.0),))
    return [replace(job(f"r{number:02}", (), "a", 4), keeps_files=True, cost=cost) for number in range(count)]


class Session:
    """Carries jobs out on workers that share GPUs, and keeps the agenda."""

    def __init__(self, jobs: list[Job], engine: SharedGpus, folder: Path) -> None:
        self.jobs, self.engine, self.folder = jobs, engine, folder
        self.agenda: Agenda | None = None

    def run(self) -> Outcome:
        def kept(*of: Any) -> Agenda:
            self.agenda = Agenda(*of)
            return self.agenda

        gpus = sorted({place for place in self.engine.places if place is not None})
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(executor, "Agenda", kept)
            patch.setattr(executor, "make_engine", lambda *_: self.engine)
            patch.setattr(executor, "gpus_for", lambda device: gpus)
            patch.setattr(executor, "cpu_count", lambda: 16)
            patch.setattr("time.monotonic", lambda: self.engine.now)
            return execute(
                plan_of(*self.jobs),
                Store(self.folder / "s"),
                Display(io.StringIO()),
                session=Nothing(),  # type: ignore[arg-type]
                folder=self.folder,
            )


def engine_of(folder: Path, **of: Any) -> SharedGpus:
    return SharedGpus(folder, TWO_EACH, begins=BEGINS, **{"ends": ENDS, **of})


def test_the_last_group_goes_to_the_gpu_that_is_about_to_be_free(tmp_path: Path) -> None:
    """A session of 24 runs in groups of four, two to each of two GPUs, as it was: the fifth group starts at 384 s on
    the first GPU, whose other worker is free at 391 s, 3.3 s before the first of the second GPU. The sixth waits for
    that. While it joined the fifth, these workers took 739 s.
    """
    engine = engine_of(tmp_path)
    assert Session(runs(24), engine, tmp_path).run().trained == 24
    assert [(pytest.approx(at, abs=0.01), place) for at, place, _ in engine.began[4:]] == [(384.43, "0"), (394.07, "1")]
    assert engine.now == pytest.approx(604.07, abs=0.01)


def test_a_gpu_that_is_late_is_not_waited_for(tmp_path: Path) -> None:
    """Where the second GPU's groups do not end as expected, the sixth starts beside the fifth, after a tenth of what it
    was expected to take when it began to wait."""
    engine = engine_of(tmp_path, ends={**ENDS, "r04": 200.0, "r12": 200.0})
    expected: list[float] = []

    def look() -> None:
        if engine.now > 390.7 and not expected:
            expected.append(engine.left(["r20", "r21", "r22", "r23"]) or 0.0)

    engine.waiting = look
    Session(runs(24), engine, tmp_path).run()
    assert expected[0] > 100
    assert [(pytest.approx(at, abs=0.01), place) for at, place, _ in engine.began[4:]] == [
        (384.43, "0"),
        (390.78 + PATIENCE / 2 * expected[0], "0"),
    ]


def test_an_interrupted_session_has_taken_nothing_that_it_held(tmp_path: Path) -> None:
    """On Ctrl-C a group that is held back is where it was, and in no timeline."""

    def stop() -> None:
        if engine.now > 390.7 and len(engine._steps) == 3:
            raise KeyboardInterrupt

    engine = engine_of(tmp_path)
    engine.waiting = stop
    session = Session(runs(24), engine, tmp_path)
    with pytest.raises(KeyboardInterrupt):
        session.run()
    assert engine.now == pytest.approx(390.78, abs=0.01)
    assert session.agenda is not None
    assert [order.key for group in session.agenda.coming() for order in group] == ["r20", "r21", "r22", "r23"]
    assert len(engine.began) == 5


def test_a_worker_that_dies_while_a_group_is_held_ends_the_wait(tmp_path: Path) -> None:
    """What it was at comes first, with fewer beside it, and has the place; two groups are left then where one would go
    elsewhere, so both start at once, and nothing is lost or made twice."""
    engine = engine_of(tmp_path, endings={"r07": ["died"]}, ends={**ENDS, "r04": 24.0})
    assert Session(runs(24), engine, tmp_path).run().failures == {}
    assert Counter(engine.made) == Counter(f"r{number:02}" for number in range(24))
    assert [(pytest.approx(at, abs=0.01), place, keys) for at, place, keys in engine.began[5:]] == [
        (392.97, "1", ("r07", "r20")),
        (392.97, "0", ("r21", "r22", "r23")),
    ]


@st.composite
def endings(draw: st.DrawFn) -> tuple[int, list[str | None], dict[str, list[str]], dict[str, float]]:
    """How many runs there are, on which GPUs, what becomes of some before they are made, and how long groups take to
    end."""
    count, gpus = draw(st.integers(1, 24)), draw(st.integers(1, 3))
    places: list[str | None] = [str(number % gpus) for number in range(gpus * draw(st.integers(1, 3)))]
    names = [f"r{number:02}" for number in range(count)]
    some = st.lists(st.sampled_from(["busy", "apart", "died"]), max_size=2)
    ends = {name: draw(st.floats(1.0, 300.0)) for name in names}
    return count, places, {name: draw(some) for name in names}, ends


@given(endings())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_run_is_made_once_however_long_groups_take(
    tmp_path_factory: pytest.TempPathFactory,
    session: tuple[int, list[str | None], dict[str, list[str]], dict[str, float]],
) -> None:
    """Whatever is held back and whatever goes wrong meanwhile; none waits for nobody, which these workers refuse."""
    count, places, endings, ends = session
    folder = tmp_path_factory.mktemp("session")
    engine = SharedGpus(folder, places, ends=ends, endings=endings)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(agenda, "BUSY_WAIT", (0.0, 0.0))
        assert Session(runs(count), engine, folder).run().failures == {}
    assert Counter(engine.made) == Counter(f"r{number:02}" for number in range(count))


def test_few_runs_are_dealt_out_to_all_gpus(tmp_path: Path) -> None:
    """Eight that may be done four at a time are two on each of four GPUs, as `--plan` expects; where they
    are groups enough, or there is but one worker, as many as may be are together."""

    def began(count: int, places: list[str | None]) -> list[tuple[str | None, int]]:
        engine = SharedGpus(tmp_path, places)
        Session(runs(count), engine, tmp_path).run()
        plan = plan_of(*runs(count))
        planned = plan.schedule(plan.to_do(), Machine(16, len(places), len({*places})))
        groups = Counter(one.group for one in planned.jobs.values())
        assert sorted(groups.values()) == sorted(len(keys) for _, _, keys in engine.began)
        return [(place, len(keys)) for _, place, keys in engine.began]

    assert began(8, [*"01230123"]) == [("0", 2), ("1", 2), ("2", 2), ("3", 2)]
    assert began(3, [*"01230123"]) == [("0", 1), ("1", 1), ("2", 1)]
    assert began(16, [*"01230123"]) == [("0", 4), ("1", 4), ("2", 4), ("3", 4)]
    assert began(8, [*"0101"]) == [("0", 4), ("1", 4)]
    assert began(8, ["0"]) == [("0", 4), ("0", 4)]


At = list[tuple[str | None, float | None]]
SOON: At = [("1", 3.0), ("1", 3.0)]
"""Both groups of the second GPU are about to end."""


def held(folder: Path, at_work: At, *waiting: float | None) -> float | None:
    """For how long nothing starts in the place beside the first of those at work.

    Args:
        folder: for the store.
        at_work: of each group its place, and how long it still takes.
        waiting: how long each of the groups that wait takes.
    """
    engine = SharedGpus(folder, [at_work[0][0], *(place for place, _ in at_work)])
    left: dict[str, float | None] = {f"waits {number}": seconds for number, seconds in enumerate(waiting)}
    groups = [(mock.Mock(key=key),) for key in left]
    for number, (place, seconds) in enumerate(at_work):
        engine._spawn(place).keys = {f"at work {number}"}
        left[f"at work {number}"] = seconds
    engine.left = lambda keys: left[next(iter(keys))]
    return engine.hold(iter(groups))


def test_nothing_joins_another_while_a_gpu_is_about_to_be_free(tmp_path: Path) -> None:
    """A tenth of what it takes, where it would be the second on its GPU: half of that is what it would save."""
    assert held(tmp_path, [("0", 100.0), *SOON], 200.0) == pytest.approx(20.0)
    # Of eight that share a GPU each has an eighth.
    many: At = [("0", 100.0)] * 7 + [("1", 3.0)] * 8
    assert held(tmp_path, many, 200.0) == pytest.approx(200.0 * PATIENCE / 8)


def test_nothing_is_held_where_no_gpu_is_about_to_have_fewer(tmp_path: Path) -> None:
    """The other ends too late, or has another that stays, or the one beside it is about to end itself."""
    assert held(tmp_path, [("0", 100.0), ("1", 21.0), ("1", 21.0)], 200.0) is None
    assert held(tmp_path, [("0", 100.0), ("1", 3.0), ("1", 100.0)], 200.0) is None
    assert held(tmp_path, [("0", 19.0), *SOON], 200.0) is None


def test_nothing_is_held_where_all_gpus_fill_up_anyway(tmp_path: Path) -> None:
    """Of three GPUs that are about to be free each takes one before it is no better than this one."""
    others: At = [(gpu, 3.0) for gpu in "112233"]
    assert held(tmp_path, [("0", 100.0), *others], *[200.0] * 3) == pytest.approx(20.0)
    assert held(tmp_path, [("0", 100.0), *others], *[200.0] * 4) is None
    assert held(tmp_path, [("0", 100.0), *others], *[200.0] * 40) is None


def test_nothing_is_held_where_there_is_nowhere_else(tmp_path: Path) -> None:
    """On CPUs, and on one GPU."""
    assert held(tmp_path, [(None, 100.0), (None, 3.0), (None, 3.0)], 200.0) is None
    assert held(tmp_path, [("0", 100.0), ("0", 3.0), ("0", 3.0)], 200.0) is None


def test_nothing_is_held_where_nobody_knows_how_long_it_takes(tmp_path: Path) -> None:
    """The group itself, or those that are to make room for it."""
    assert held(tmp_path, [("0", 100.0), *SOON], None) is None
    assert held(tmp_path, [("0", 100.0), ("1", None), ("1", None)], 200.0) is None
