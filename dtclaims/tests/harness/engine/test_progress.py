"""What is shown while a plan is carried out, and whether its ETA can be believed."""

import io
from collections.abc import Callable

import pytest

from dtclaims.harness.engine.progress import TRAIN, Display

Clock = Callable[[float], None]


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Sets the time."""
    now = [0.0]
    monkeypatch.setattr("dtclaims.harness.engine.progress.time.monotonic", lambda: now[0])

    def at(seconds: float) -> None:
        now[0] = seconds

    at(1000.0)
    return at


def runs(*estimates: float) -> dict[str, tuple[str, str, float]]:
    return {str(number): (f"run {number}", TRAIN, estimate) for number, estimate in enumerate(estimates)}


def test_nothing_is_promised_before_anything_is_known(at: Clock) -> None:
    """No ETA without a pace."""
    display = Display(io.StringIO())
    display.begin(runs(10, 10), slots=2)
    display.start("0")
    assert display.eta() is None


def test_runs_side_by_side(at: Clock) -> None:
    """Four equal runs on two workers take twice what one takes; the pace of those that run replaces all estimates."""
    display = Display(io.StringIO())
    display.begin(runs(10, 10, 10, 10), slots=2)
    for key in ("0", "1"):
        display.start(key)
        display.advance(key, 0, 100)
    at(1010.0)
    for key in ("0", "1"):
        display.advance(key, 50, 100)
    assert display.eta() == pytest.approx(10 + 20)
    at(1020.0)
    for key in ("0", "1"):
        display.finish(key)
    # They took twice their estimate; so will the others.
    assert display.eta() == pytest.approx(20)


def test_the_end_is_as_long_as_its_longest_run(at: Clock) -> None:
    """With more workers than runs left, the time left is not divided among the idle ones."""
    display = Display(io.StringIO())
    display.begin(runs(100, 1, 1, 1), slots=4)
    for key in "0123":
        display.start(key)
        display.advance(key, 0, 100)
    at(1001.0)
    for key in "123":
        display.finish(key)
    display.advance("0", 1, 100)
    assert display.eta() == pytest.approx(99)


def test_a_run_that_was_taken_up_has_its_own_pace(at: Clock) -> None:
    """What an earlier session did does not count as done in no time."""
    display = Display(io.StringIO())
    display.begin(runs(100), slots=1)
    display.start("0")
    display.advance("0", 80, 100)
    at(1010.0)
    display.advance("0", 90, 100)
    assert display.eta() == pytest.approx(10)


def test_measurements_count(at: Clock) -> None:
    """They learn what their kind costs from the first of them."""
    output = io.StringIO()
    display = Display(output)
    display.begin({**runs(10), "a": ("cka of a", "cka", 1.0), "b": ("cka of b", "cka", 1.0)}, slots=1)
    display.start("0")
    at(1010.0)
    display.finish("0")
    display.start("a")
    at(1040.0)
    display.finish("a")
    assert display.eta() == pytest.approx(30)
    assert "1/1 runs, 1/2 measurements, plan eta 0:30 · cka of a done" in output.getvalue()


def test_a_run_that_another_process_makes_waits(at: Clock) -> None:
    """Put off, it counts as not begun."""
    display = Display(io.StringIO())
    display.begin(runs(10, 10), slots=2)
    display.start("0")
    display.start("1")
    display.put_off("1")
    at(1010.0)
    display.finish("0")
    assert display.eta() == pytest.approx(10)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_bars_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """One bar for the whole with the plan's ETA, one for each of a dozen jobs that run."""
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100")
    output = Terminal()
    with Display(output) as display:
        display.begin(runs(*[10.0] * 20), slots=20)
        for key in map(str, range(20)):
            display.start(key)
            display.advance(key, 1, 10)
            display.advance(key, 2, 10)
        display.finish("3")
        display.note("hello")
    text = output.getvalue()
    assert "note: hello" in text
    assert "1/20 runs" in text
    assert "plan eta 0:" in text
    assert "  run 4 " in text
    assert "  run 19 " not in text
