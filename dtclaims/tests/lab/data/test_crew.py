"""Calls in processes, for several threads on one budget."""

import operator
import os
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from dtclaims.errors import SimulatorError
from dtclaims.lab.data import crew
from dtclaims.lab.data.crew import Crew
from dtclaims.tests.support.processes import children


def slept(seconds: float) -> tuple[float, float, int]:
    """When a call began and ended, and who did it."""
    began = time.monotonic()
    time.sleep(seconds)
    return began, time.monotonic(), os.getpid()


def results(team: Crew, function: Any, calls: Sequence[tuple[Any, ...]], most: int = 9) -> list[tuple[Any, Any]]:
    left: Iterator[tuple[Any, ...]] = iter(calls)
    return list(team.each(function, lambda: next(left, None), most, lambda: None))


@pytest.fixture(autouse=True)
def nobody_is_left() -> Iterator[None]:
    """After each test; the physics of other tests may have processes of its own."""
    before = set(children(os.getpid()))
    yield
    assert set(children(os.getpid())) <= before


def test_calls_get_their_own_values() -> None:
    """Each value comes with the arguments that it is of."""
    calls = [(n, 3) for n in range(7)]
    assert sorted(results(Crew(3), operator.pow, calls)) == [(call, call[0] ** 3) for call in calls]


def test_threads_share_the_budget() -> None:
    """However many ask, no more calls are done at once than the crew has room for, and by no more processes."""
    team, found = Crew(2), []
    ask = lambda: found.extend(results(team, slept, [(0.1,)] * 4))  # noqa: E731
    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 12
    times = [value for _, value in found]
    assert max(sum(began <= moment < ended for began, ended, _ in times) for moment, _, _ in times) <= 2


def test_threads_that_come_first_at_once_find_one_crew(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counting cores takes a moment, in which others ask; they wait, and share the budget."""

    def slow_count() -> int:
        time.sleep(0.2)
        return 2

    monkeypatch.setattr(crew, "cpu_count", slow_count)
    crew._crew.cache_clear()
    found: list[Crew] = []
    threads = [threading.Thread(target=lambda: found.append(crew.this_crew())) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    crew._crew.cache_clear()
    assert len(set(map(id, found))) == 1


def test_one_who_asks_may_want_fewer() -> None:
    """`most` bounds the calls of one."""
    times = [value for _, value in results(Crew(3), slept, [(0.05,)] * 4, most=1)]
    assert len({process for *_, process in times}) == 1


def test_calls_that_are_not_asked_for_yet_are_waited_for() -> None:
    """None now may be a call later, as long as something is under way."""
    team, wanted, seen = Crew(2), iter([(1,), None, (2,), None, (3,), None]), []
    for (number,), value in team.each(operator.neg, lambda: next(wanted, None), 2, lambda: None):
        seen.append((number, value))
    assert sorted(seen) == [(1, -1), (2, -2), (3, -3)]


def test_leaving_early_ends_what_is_under_way() -> None:
    """Who has enough does not wait for the rest, and its places are free again."""
    team = Crew(2)
    left = iter([(0.0,), (100.0,)])
    began = time.monotonic()
    each = team.each(slept, lambda: next(left, None), 2, lambda: None)
    next(each)
    each.close()
    assert time.monotonic() - began < 50
    assert len(results(team, slept, [(0.0,)] * 2)) == 2


@pytest.mark.parametrize(
    ("function", "arguments", "message"),
    [
        (os._exit, (3,), "a physics process died: got process .*, exit code 3"),
        (operator.truediv, (1, 0), "a physics process could not go on: got (?s:.*)ZeroDivisionError"),
    ],
)
def test_calls_that_fail_end_the_rest(function: Any, arguments: tuple[Any, ...], message: str) -> None:
    """A typed error, whether the process died or its function raised; the crew can be used again."""
    team = Crew(2)
    with pytest.raises(SimulatorError, match=message):
        results(team, function, [arguments] * 2)
    assert results(team, operator.neg, [(1,)]) == [((1,), -1)]
