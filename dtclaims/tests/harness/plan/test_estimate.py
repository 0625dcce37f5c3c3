"""How long jobs take on a machine: what any schedule has to keep, and cases that can be worked out by hand."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dtclaims.harness.lab import Cost, Once
from dtclaims.harness.plan.estimate import Machine, Work, schedule, spread, steady, wall
from dtclaims.harness.plan.planner import expected_of
from dtclaims.harness.store.timings import Timing

SECONDS = st.floats(0.0, 100.0)
COSTS = st.builds(Cost, seconds=st.floats(0.1, 100.0), accelerator=SECONDS, spread=SECONDS)
MACHINES = st.builds(
    lambda cores, gpus, workers: Machine(cores, max(1, gpus) * workers, gpus),
    st.integers(1, 16),
    st.integers(0, 3),
    st.integers(1, 4),
)


@st.composite
def works(draw: st.DrawFn) -> list[Work]:
    """Some jobs, each of which may wait for earlier ones, some of which may be done together."""
    found: list[Work] = []
    for number, cost in enumerate(draw(st.lists(COSTS, min_size=1, max_size=12))):
        needs = draw(st.sets(st.integers(0, number - 1), max_size=2)) if number else set()
        together = draw(st.sampled_from([None, "a", "b"]))
        found.append(Work(str(number), cost, tuple(map(str, needs)), together, draw(st.integers(1, 4))))
    return found


@given(works(), MACHINES)
def test_nothing_takes_less_than_what_there_is_least_of(jobs: list[Work], machine: Machine) -> None:
    """Every job is done once and after what it needs; no worker does two groups at once.

    The whole takes as long as the cores, the GPUs and the longest job must, and no longer than one job after the other,
    each slowed down by all workers.
    """
    found = schedule(jobs, machine)
    assert set(found.jobs) == {one.key for one in jobs}
    for one in jobs:
        assert all(found.jobs[key].end <= found.jobs[one.key].begin + 1e-6 for key in one.needs)
    for moment in {one.begin for one in found.jobs.values()}:
        groups = {one.group for one in found.jobs.values() if one.begin <= moment < one.end - 1e-9}
        assert len(groups) <= machine.workers
    costs = [one.cost for one in jobs]
    least = max(
        sum(one.seconds + one.spread for one in costs) / machine.cores,
        sum(one.accelerator for one in costs) / machine.gpus if machine.gpus else 0.0,
        *(one.seconds for one in costs),
    )
    slowest = sum(wall([one], machine.cores_each)[0] for one in costs) * machine.workers
    assert least - 1e-6 <= found.seconds <= slowest + 1e-6


@given(st.lists(st.floats(0.1, 100.0), min_size=1, max_size=30), st.integers(1, 8))
def test_jobs_of_one_core_are_dealt_out(seconds: list[float], cores: int) -> None:
    """With a core for each worker it is list scheduling: within one longest job of the even share."""
    jobs = [Work(str(i), Cost(seconds=one)) for i, one in enumerate(seconds)]
    took = schedule(jobs, Machine(cores, cores)).seconds
    assert sum(seconds) / cores - 1e-6 <= took <= sum(seconds) / cores + max(seconds) + 1e-6


@pytest.mark.parametrize(
    ("workers", "gpus", "took", "each"), [(1, 1, 80, 20), (2, 1, 40, 20), (4, 1, 40, 40), (4, 4, 15, 15)]
)
def test_training_and_physics_of_workers_overlap(workers: int, gpus: int, took: float, each: float) -> None:
    """Each job is half GPU, half physics: two at once take as long as one; four wait for the GPU, or have one each."""
    cost, machine = Cost(seconds=0.0, accelerator=10.0, spread=40.0), Machine(4 * workers, workers, gpus)
    assert schedule([Work(str(i), cost) for i in range(4)], machine).seconds == pytest.approx(took)
    assert steady(cost, 1, machine) == pytest.approx(each)


@given(st.lists(st.tuples(COSTS, st.integers(1, 4)), min_size=1, max_size=8), MACHINES)
def test_a_session_that_takes_what_its_plan_says_corrects_nothing(
    groups: list[tuple[Cost, int]], machine: Machine
) -> None:
    """Whatever shares the machine meanwhile: what jobs took is compared with what their own company made of it."""
    jobs = [
        Work(f"{group}/{number}", cost, together=str(group), most=size)
        for group, (cost, size) in enumerate(groups)
        for number in range(size)
    ]
    planned, costs = schedule(jobs, machine).jobs, {one.key: one.cost for one in jobs}
    for key, at in planned.items():
        assert at.slowed >= 1 - 1e-9
        company = (at.size, machine.workers, machine.gpus, machine.cores)
        timing = Timing("run", (), "cuda", 1.0, at.seconds, *company, at.slowed)
        assert expected_of(costs[key], timing) == pytest.approx(at.seconds, rel=1e-6)
        assert expected_of(costs[key].times(2), timing) > at.seconds
        assert expected_of(costs[key], replace(timing, slowed=None)) == steady(costs[key], at.size, machine)


def test_what_a_group_waits_for_at_its_start_does_not_slow_it() -> None:
    """A worker compiles first: what a job takes is told from its first step on."""
    once = Once("kernels", 30.0, "worker")
    found = schedule([Work("a", Cost(seconds=10.0, once=(once,)))], Machine(1, 1)).jobs["a"]
    assert (found.seconds, found.slowed) == (pytest.approx(40), pytest.approx(1))


@pytest.mark.parametrize(("size", "took"), [(1, 40), (5, 5 * 10), (20, 20 * 40 / 16)])
def test_physics_of_few_runs_is_on_few_cores(size: int, took: float) -> None:
    """However many cores a worker has: each run keeps 0.8 of one busy, and one is always there."""
    assert wall([Cost(seconds=0.0, spread=40.0, cores=0.8)] * size, 16)[0] == pytest.approx(took)


def test_a_group_costs_less_than_its_jobs() -> None:
    """Between two measured sizes a part is each job's own and a part the group's; beyond them nothing more is gained.

    Groups are as large as leaves every worker something, and no larger than the jobs allow.
    """
    cost = Cost(seconds=0.0, accelerator=1.0, shared=((32, 0.225),))
    assert cost.accelerator_of(1) == 1.0
    assert [cost.accelerator_of(size) for size in (2, 4, 32, 64)] == pytest.approx([0.6, 0.4, 0.225, 0.225])
    jobs = [Work(str(i), cost, together="a", most=32) for i in range(64)]
    found = schedule(jobs, Machine(16, 2, 1))
    assert {one.size for one in found.jobs.values()} == {32}
    assert found.seconds == pytest.approx(64 * 0.225)
    few = [replace(one, most=2) for one in jobs]
    assert schedule(few, Machine(16, 2, 1)).seconds == pytest.approx(64 * 0.6)
    assert schedule(few, Machine(16, 2, 2)).seconds == pytest.approx(32 * 0.6)


def test_what_is_made_once_is_waited_for_once() -> None:
    """By the session on all cores, while jobs that do not need it are done; by each worker; by the first of all."""
    with_data, without = Cost(seconds=5.0, once=(Once("data", 40.0, "session"),)), Cost(seconds=4.0)
    found = schedule([Work("a", with_data), Work("b", without), Work("c", without)], Machine(4, 1)).jobs
    assert (found["b"].end, found["c"].end) == (4.0, 8.0)
    assert (found["a"].begin, found["a"].end) == (10.0, 15.0)
    start, compiled = Once("start", 3.0, "worker"), Once("compile", 7.0, "machine")
    both, alone = Cost(seconds=1.0, once=(start, compiled)), Cost(seconds=1.0, once=(start,))
    for cost, waited in ((both, 10.0), (alone, 3.0)):
        jobs = [Work(str(i), cost) for i in range(4)]
        assert schedule(jobs, Machine(2, 2)).seconds == pytest.approx(waited + 2.0)


@given(COSTS, MACHINES)
def test_a_steady_session_is_as_fast_as_its_schedule(cost: Cost, machine: Machine) -> None:
    """With all workers at like jobs all the time, a job takes in the schedule what the formula says."""
    jobs = [Work(str(i), cost) for i in range(3 * machine.workers)]
    assert schedule(jobs, machine).seconds == pytest.approx(3 * steady(cost, 1, machine), rel=1e-6)


KINDS = st.dictionaries(st.sampled_from("abcd"), st.tuples(st.integers(1, 40), st.integers(1, 30)), max_size=4)


def groups_of(kinds: dict[str, tuple[int, int]], most: dict[str, int]) -> int:
    return sum(math.ceil(count / most[kind]) for kind, (count, _) in kinds.items())


@given(KINDS, st.integers(0, 9))
def test_no_gpu_is_left_out(kinds: dict[str, tuple[int, int]], gpus: int) -> None:
    """Groups are smaller only where some GPUs would get none, and never so small that there are more than GPUs."""
    full = {kind: most for kind, (_, most) in kinds.items()}
    found = spread(kinds, gpus)
    assert found.keys() == kinds.keys()
    if groups_of(kinds, full) >= gpus:
        assert found == full
        return
    assert all(1 <= found[kind] <= full[kind] for kind in kinds)
    assert groups_of(kinds, full) <= groups_of(kinds, found) <= gpus


def test_the_largest_groups_are_made_smaller() -> None:
    """Eight runs are two on each of four GPUs; of two kinds the one that has more together gives way."""
    assert spread({"a": (8, 4)}, 4) == {"a": 2}
    assert spread({"a": (12, 20), "b": (3, 4)}, 4) == {"a": 4, "b": 3}
    assert spread({"a": (2, 4)}, 8) == {"a": 1}
