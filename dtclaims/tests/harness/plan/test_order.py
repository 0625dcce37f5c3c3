"""In which order a plan's jobs start."""

from types import SimpleNamespace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from dtclaims.harness.lab import Cost
from dtclaims.harness.plan.plan import Plan

KEYS = [f"k{number:02}" for number in range(12)]


def planned(seconds: dict[str, float], proofs: dict[str, set[str]]) -> tuple[Plan, list[Any]]:
    """A plan of jobs that take some seconds each, on which some headline cells rest."""
    jobs = [SimpleNamespace(key=key, seconds=took, job=SimpleNamespace(name=key)) for key, took in seconds.items()]
    plan = Plan((0,), "cpu", proofs={(name, "published", "mini"): tuple(sorted(keys)) for name, keys in proofs.items()})
    return plan, jobs


@given(
    st.dictionaries(st.sampled_from(KEYS), st.integers(1, 100).map(float), min_size=1),
    st.dictionaries(st.sampled_from("abcdef"), st.sets(st.sampled_from(KEYS), min_size=1, max_size=6)),
)
def test_shortest_proof_first(seconds: dict[str, float], proofs: dict[str, set[str]]) -> None:
    """Each job once. While a headline cell lacks any, those come next that complete one with least left to do; then the
    others, longest first. What is stored, and so not among the jobs, costs nothing."""
    plan, jobs = planned(seconds, proofs)
    order = [one.key for one in plan.in_order(jobs)]
    assert sorted(order) == sorted(seconds)

    def cost(keys: set[str]) -> float:
        return sum(seconds[key] for key in keys)

    left = [keys & set(seconds) for keys in proofs.values()]
    place = 0
    while left := [keys for keys in left if keys]:
        least = min(map(cost, left))
        # Of two that take equally long either may come first.
        first = next(keys for keys in left if cost(keys) == least and keys == set(order[place : place + len(keys)]))
        taken = [seconds[key] for key in order[place : place + len(first)]]
        assert taken == sorted(taken, reverse=True)
        place += len(first)
        left = [keys - first for keys in left]
    rest = [seconds[key] for key in order[place:]]
    assert rest == sorted(rest, reverse=True)


@given(st.permutations(KEYS))
def test_the_order_is_the_plans_and_not_that_of_asking(keys: list[str]) -> None:
    """Jobs that cost the same come by name."""
    plan, jobs = planned(dict.fromkeys(keys, 1.0), {"a": {"k03", "k01"}})
    others = [key for key in KEYS if key not in ("k01", "k03")]
    assert [one.key for one in plan.in_order(jobs)] == ["k01", "k03", *others]


@given(st.permutations([0.1, 0.2, 0.3, 0.7, 1e-9, 1e9]), st.permutations([0.1, 0.2, 0.3, 0.7, 1e-9, 1e9]))
def test_what_takes_equally_long_comes_by_name(first: list[float], second: list[float]) -> None:
    """In whatever order their jobs are added up: that of a set is another in each process, as a plan's time was."""
    seconds = dict(zip(KEYS, [*second, *first], strict=True))
    plan, jobs = planned(seconds, {"b": set(KEYS[:6]), "a": set(KEYS[6:])})
    assert {one.key for one in plan.in_order(jobs)[:6]} == set(KEYS[6:])


def test_a_claim_of_several_tasks_waits_for_all_of_them() -> None:
    """One task's claims come before what needs three tasks' runs, which then lacks the other two only."""
    seconds = {"hopper": 4.0, "cheetah": 6.0, "walker": 5.0, "other": 9.0}
    proofs = {"all": {"hopper", "cheetah", "walker"}, "one": {"hopper"}, "stored": {"elsewhere"}}
    plan, jobs = planned(seconds, proofs)
    assert [one.key for one in plan.in_order(jobs)] == ["hopper", "cheetah", "walker", "other"]


def test_what_a_job_takes_alone_is_all_that_it_keeps_busy() -> None:
    """The order weighs a GPU's seconds like a core's."""
    assert Cost(seconds=1.0, accelerator=2.0, spread=3.0).whole == 6.0
