"""What is shown while a plan is carried out, and whether its ETA can be believed."""

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from dtclaims.harness.engine.progress import TRAIN, Display, Expected
from dtclaims.harness.lab import Cost, Job
from dtclaims.tests.support.replay import THREE_TASKS, TWO_GPUS, Replay

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


def runs(*estimates: float) -> dict[str, Expected]:
    return {str(number): Expected(f"run {number}", TRAIN, estimate) for number, estimate in enumerate(estimates)}


def test_nothing_is_promised_before_anything_is_known(at: Clock) -> None:
    """No ETA without a pace."""
    display = Display(io.StringIO())
    display.begin(runs(10, 10), slots=2)
    display.start("0")
    assert display.eta() is None


@pytest.mark.parametrize("encoding", ["ascii", "cp437", "utf-8"])
def test_a_log_that_lacks_a_sign_gets_another(at: Clock, encoding: str) -> None:
    """Progress on a stream that is not in UTF-8 ends nothing: what it cannot write is replaced."""
    log = io.BytesIO()
    display = Display(io.TextIOWrapper(log, encoding=encoding, write_through=True))
    display.begin(runs(10), slots=1)
    display.note("\N{SQUARE ROOT}\N{GREEK SMALL LETTER BETA}\N{MINUS SIGN}1")
    display.start("0")
    display.finish("0")
    assert "1/1 runs" in log.getvalue().decode(encoding)
    assert log.getvalue().decode(encoding).count("1\n") == 1


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


def test_the_last_epoch_of_a_run_says_nothing_of_the_whole(at: Clock) -> None:
    """A run taken up near its end loads, ends and saves like a whole one: forty times that is not what forty epochs
    take, and neither the machine's timings nor the estimates of others are led by it."""
    display = Display(io.StringIO())
    display.begin(runs(400, 400, 400), slots=2)
    for key, done in (("0", 39), ("1", 10)):
        display.start(key)
        display.advance(key, done, 40)
    at(1100.0)
    display.advance("0", 40, 40)
    assert display.finish("0") == 0
    display.advance("1", 20, 40)
    assert display.eta() == pytest.approx(400)
    at(1300.0)
    assert display.finish("1") == pytest.approx(300 / 0.75)


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
    display.begin({**runs(10), "a": Expected("cka of a", "cka", 1.0), "b": Expected("cka of b", "cka", 1.0)}, slots=1)
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


@dataclass
class Simulated:
    """A session on a clock of its own: groups of jobs on workers, each job at its true pace."""

    jobs: dict[str, Expected]
    true: dict[str, float]
    """Key → seconds that it takes."""
    slots: int

    def run(self, at: Clock) -> list[tuple[float, float, float]]:
        """Moments: seconds since the start, share of the work done, estimated seconds of the whole."""
        at(0.0)
        display = Display(io.StringIO())
        display.begin(self.jobs, self.slots)
        groups: dict[object, list[str]] = {}
        for key, one in self.jobs.items():
            groups.setdefault(key if one.group is None else one.group, []).append(key)
        waiting, busy = list(groups.values()), list[list[str]]()
        running: dict[str, float] = {}
        work, done, now = sum(self.true.values()), 0.0, 0.0
        told = []
        while waiting or running:
            while waiting and len(busy) < self.slots:
                busy.append(waiting.pop(0))
                running |= dict.fromkeys(busy[-1], now)
                display.start(*busy[-1])
            # Until something ends, or a part of the way there: jobs report several times.
            ends = {key: begun + self.true[key] for key, begun in running.items()}
            then = min(min(ends.values()), now + min(self.true[key] for key in running) / 8)
            done += (then - now) * len(running)
            now = then
            at(now)
            for key, end in ends.items():
                if end <= now + 1e-9:
                    display.finish(key)
                    del running[key]
                else:
                    display.advance(key, int(1000 * (1 - (end - now) / self.true[key])), 1000)
            busy = [group for group in busy if any(key in running for key in group)]
            if (eta := display.eta()) is not None:
                told.append((now, done / work, now + eta))
        return told


def worst(told: list[tuple[float, float, float]]) -> float:
    """By what share of the session's time its end was misjudged at worst, once a tenth of the work was done."""
    end = told[-1][0]
    return max(abs(estimate - end) / end for _, done, estimate in told if done >= 0.1)


@st.composite
def sessions(draw: st.DrawFn, *, by_kind: bool) -> Simulated:
    """Jobs of a few kinds whose estimates are off by up to 3: all by one factor, or each kind by its own.

    Within a kind jobs are off by a tenth more or less. Where kinds have factors of their own they come in turns, so
    that a tenth of the work has jobs of each; else one after the other, the longest first, as plans have them.
    """
    kinds = draw(st.integers(1, 3))
    off = [draw(st.floats(1 / 3, 3.0)) for _ in range(kinds if by_kind else 1)] * (1 if by_kind else kinds)
    base = [draw(st.floats(5.0, 60.0)) for _ in range(kinds)]
    size, slots = draw(st.sampled_from([1, 3])), draw(st.integers(1, 5))
    # More than ten of each: the first ones of all kinds are over before a tenth of the work is.
    order = list(range(kinds)) * (slots * draw(st.integers(14, 18) if by_kind else st.integers(8, 12)))
    if not by_kind:
        order.sort(key=lambda kind: -base[kind])
    noise = draw(st.randoms(use_true_random=False))
    jobs, true = dict[str, Expected](), dict[str, float]()
    for group, kind in enumerate(order):
        took = base[kind] * off[kind] * noise.uniform(0.9, 1.1)
        for member in range(size):
            key = f"{group}/{member}"
            jobs[key] = Expected(key, TRAIN, base[kind], f"like {kind}", group if size > 1 else None)
            true[key] = took
    return Simulated(jobs, true, slots)


SIMULATING = settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    # A session that fails is not made smaller: each takes a moment.
    phases=(Phase.explicit, Phase.reuse, Phase.generate),
)


@SIMULATING
@given(session=sessions(by_kind=False))
def test_the_end_is_known_from_a_tenth_of_the_work_on(at: Clock, session: Simulated) -> None:
    """Where the machine is up to three times as slow or fast as estimated, within a quarter of the session's time.

    Kinds of jobs come one after the other here: those of which none was begun are off by what the others are.
    """
    assert worst(session.run(at)) <= 0.25


@SIMULATING
@given(session=sessions(by_kind=True))
def test_each_kind_teaches_its_own_factor(at: Clock, session: Simulated) -> None:
    """Where each kind is off by a factor of its own and some of each were begun, within a quarter too."""
    assert worst(session.run(at)) <= 0.25


def test_what_jobs_that_are_done_together_still_need(at: Clock) -> None:
    """As long as the slowest of them, at the pace that was seen, also of those that wait; nothing before any was."""
    display = Display(io.StringIO())
    display.begin(runs(50, 50, 50, 50), slots=1)
    display.start("0", "1")
    assert display.left(["0", "1"]) is None
    for key in "01":
        display.advance(key, 0, 100)
    at(1050.0)
    display.advance("0", 50, 100)
    display.advance("1", 25, 100)
    assert display.left(["0"]) == pytest.approx(50)
    assert display.left(["0", "1"]) == pytest.approx(150)
    display.finish("0")
    # What like ones missed their estimates by: once and four times.
    assert display.left(["2", "3"]) == pytest.approx(50 * (1 + 4) / 2)


def test_what_fills_a_gpu_delays_everybody_else(at: Clock) -> None:
    """Of two GPUs: its share of all of them is added to what the longest run needs, which is no slower for it after."""
    display = Display(io.StringIO())
    filling = {key: Expected(f"information of {key}", "measurement", 40.0, fills=0.5) for key in ("a", "b")}
    display.begin({**runs(100), **filling}, slots=3)
    display.start("0")
    display.advance("0", 0, 100)
    at(1020.0)
    display.advance("0", 20, 100)
    assert display.eta() == pytest.approx(80 + 2 * 20)
    # On each GPU one beside the run, which shares it: both half as fast, until 40 s of work are done.
    display.start("a", "b")
    at(1060.0)
    display.advance("0", 40, 100)
    assert display.eta() == pytest.approx(60 + 2 * 10)
    at(1100.0)
    display.advance("0", 60, 100)
    # What people and the machine's timings are told is what the clock on the wall said.
    assert display.finish("a") == 80
    assert display.finish("b") == 80
    assert display.eta() == pytest.approx(40)
    at(1140.0)
    assert display.finish("0") == pytest.approx(140)


def test_what_fills_gpus_among_itself(at: Clock) -> None:
    """With nobody else there, what is left takes its sum over the GPUs, however many are at it, and at least as long as
    the longest."""
    display = Display(io.StringIO())
    jobs = {str(number): Expected(f"{number}", "measurement", 10.0, fills=0.5) for number in range(8)}
    display.begin(jobs, slots=4)
    display.start("0")
    at(1020.0)
    display.finish("0")
    # It had a GPU to itself and took twice what was expected.
    assert display.eta() == pytest.approx(7 * 20 / 2)
    display.start("1", "2", "3", "4")
    at(1060.0)
    for key in ("1", "2", "3", "4"):
        display.finish(key)
    display.start("5", "6")
    at(1080.0)
    for key in ("5", "6"):
        display.finish(key)
    assert display.eta() == pytest.approx(20)


def test_a_moment_of_a_core_says_nothing_of_minutes_of_a_gpu(at: Clock) -> None:
    """Of a kind of jobs those that fill a GPU and those that do not are off their estimates by factors of their own."""
    display = Display(io.StringIO())
    jobs = {
        "small": Expected("distance", "measurement", 0.5, "distance"),
        "large": Expected("information", "measurement", 100.0, "information", fills=1.0),
    }
    display.begin({**runs(10), **jobs}, slots=1)
    display.start("0")
    at(1010.0)
    display.finish("0")
    display.start("small")
    at(1012.0)
    display.finish("small")
    # Not four times a hundred, nor two and a half, the median of the run and the small one: that is of ten seconds.
    assert display.eta() == pytest.approx(10 * (1 + 4) / 2 + 90)


def test_short_jobs_say_little_of_long_ones(at: Clock) -> None:
    """What was seen of other jobs tells of as many seconds; half of a like one tells of all of it."""
    display = Display(io.StringIO())
    long = {key: Expected(key, TRAIN, 100.0, "long") for key in ("a", "b")}
    display.begin({"short": Expected("short", TRAIN, 10.0, "short"), **long}, slots=1)
    display.start("short")
    at(1005.0)
    display.finish("short")
    assert display.eta() == pytest.approx(2 * (0.5 * 10 + 90))
    display.start("a")
    display.advance("a", 0, 100)
    at(1055.0)
    display.advance("a", 50, 100)
    assert display.eta() == pytest.approx(50 + 100)


INFORMATION = "information"


@pytest.mark.parametrize("factor", [1.0, 2.0, 0.5])
def test_a_session_on_two_gpus(at: Clock, tmp_path: Path, factor: float) -> None:
    """A session of 776 s, in a quarter of which networks of mutual information kept the GPUs from all others.

    From a tenth of its work on its end is known within a quarter, by costs that are of this very session; where these
    measurements are planned with twice what they took, or with half of it, within a quarter too. While they were like
    any other job, it was 35 % at a tenth of the work, and 20 to 28 % for the next five minutes.
    """

    def cost(job: Job) -> Cost:
        return job.cost.times(factor) if INFORMATION in job.cost.like[0] else job.cost

    replay = Replay(TWO_GPUS, cost)
    assert worst(replay.run(replay.expected(tmp_path), at)) <= 0.25


def test_a_session_of_three_tasks(at: Clock, tmp_path: Path) -> None:
    """A session of 1057 s, planned with costs that it was no part of: 15 % too long.

    From a tenth of its work on its end is known within a quarter, in whose first minute there is nothing but short
    measurements, and then runs that take half of what was planned. While these spoke for all others it was 39 %.
    """
    replay = Replay(THREE_TASKS)
    assert worst(replay.run(replay.expected(tmp_path), at)) <= 0.25


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
