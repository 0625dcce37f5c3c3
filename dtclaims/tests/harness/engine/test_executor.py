"""Plans carried out for real: tiny runs in worker processes, straight into a store."""

import errno
import io
import json
import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import pytest

from dtclaims.errors import StoreError, UsageError
from dtclaims.files import writing
from dtclaims.harness.engine.engine import Advanced, Ended, Event, Noted, Spent
from dtclaims.harness.engine.executor import LOOK, make_engine
from dtclaims.harness.engine.inline import Inline
from dtclaims.harness.engine.loggers import LOGGERS, telling
from dtclaims.harness.engine.processes import Processes
from dtclaims.harness.engine.progress import Display, clock
from dtclaims.harness.engine.timeline import read
from dtclaims.harness.engine.work import Order, ended_by
from dtclaims.harness.lab import STATE, Wish
from dtclaims.harness.plan.explain import explain
from dtclaims.harness.plan.plan import Plan
from dtclaims.harness.plan.planner import make_plan
from dtclaims.harness.store.store import Store
from dtclaims.harness.store.timings import Timing, add_timing, read_timings
from dtclaims.lab import LAB
from dtclaims.lab.design.scales import SCALES
from dtclaims.lab.train.resume import load_state
from dtclaims.tests.support.examples import SAMPLE_CLAIMS, fill_store, store_run
from dtclaims.tests.support.killing import carried_out as execute
from dtclaims.tests.support.killing import tiny_job, tiny_plan, train_job
from dtclaims.tests.support.plans import IDS, cells, plan_for
from dtclaims.tests.support.processes import until


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DTCLAIMS_HOME", str(tmp_path / "home"))


def test_a_plan_is_carried_out_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs are trained in workers and measured; the next plan finds everything and starts no process.

    Progress carries an ETA for the run and for the plan; the timeline says what each epoch's time went into.
    """
    monkeypatch.setattr("dtclaims.harness.engine.progress.LINE_EVERY", 0.0)
    store = Store(tmp_path / "store")
    output = io.StringIO()
    outcome = execute(plan_for(store, *IDS), store, Display(output), workers=2)
    assert outcome.failures == {}
    assert (outcome.trained, outcome.measured) == (2, 2)
    assert "plan eta" in output.getvalue()
    (log,) = (store.root / "logs").glob("timeline-*.jsonl")
    spent = [line for line in read(log) if line["what"] == "spent"]
    assert {line["name"] for line in spent} == {run.job.name for run in plan_for(store, *IDS).runs.values()}
    for line in spent:
        seconds = line["seconds"]
        parts = [seconds[name] for name in ("updates", "networks", "physics")]
        assert min(parts) >= 0
        assert sum(parts) > 0
        assert sum(parts) <= seconds["all"] + 0.01
    again = plan_for(store, *IDS)
    assert again.missing() == []
    silent = io.StringIO()
    assert execute(again, store, Display(silent), workers=2).trained == 0
    assert silent.getvalue() == ""
    run = store.find(next(iter(again.runs)))
    assert run is not None
    assert run.result["provenance"]["of"]["data"]["hopper"]["sha256"]
    assert run.result["provenance"]["shared"]["versions"]["torch"]
    # A run in this process, on its own, gives the same numbers as the worker did.
    planned = again.runs[run.key]
    alone = Store(tmp_path / "alone")
    train_job(alone, Order(run.key, planned.job, planned.identity, (), SAMPLE_CLAIMS, "cpu"))
    theirs = alone.find(run.key)
    assert theirs is not None
    assert theirs.result["curves"] == run.result["curves"]
    assert theirs.manifest["epoch_004.safetensors"] == run.manifest["epoch_004.safetensors"]


def test_a_failure_spoils_only_what_rests_on_it(tmp_path: Path) -> None:
    """A run that fails in its worker is recorded with its reason, its measurements too; the others finish."""
    store = Store(tmp_path / "store")
    plan = plan_for(store, *IDS)
    bad = next(key for key, run in plan.runs.items() if run.job.order.spec.arm == "language_pretrained")
    order = plan.jobs[bad].job.order
    moved = {source: {**found, "path": str(tmp_path)} for source, found in order.inputs.backbones.items()}
    job = replace(plan.jobs[bad].job, order=replace(order, inputs=replace(order.inputs, backbones=moved)))
    plan.jobs[bad] = replace(plan.jobs[bad], job=job)
    output = io.StringIO()
    outcome = execute(plan, store, Display(output), executor="inline")
    assert set(outcome.failures) & set(plan.runs) == {bad}
    assert "the folder is no checkpoint" in outcome.failures[bad]
    measurement = next(key for key, one in plan.values.items() if bad in one.needs)
    assert outcome.failures[measurement] == outcome.failures[bad]
    assert "failed: " in output.getvalue()
    assert outcome.trained == 1


def test_dropped_checkpoints_are_made_again_where_they_are_needed(tmp_path: Path) -> None:
    """Curves are judged without them; a measurement of the networks that is not stored has the run trained again."""
    store = Store(tmp_path / "store")
    plan = plan_for(store, IDS[1])
    fill_store(plan, store, {"random_init": 1.0, "language_pretrained": 2.0}, [1.0, 2.0])
    (first, second) = plan.runs
    for key in (first, second):
        store.drop_checkpoints(key)
    assert execute(plan_for(store, IDS[1]), store, Display(io.StringIO())).trained == 0
    next(store.root.glob("measurements/*.json")).unlink()
    output = io.StringIO()
    outcome = execute(plan_for(store, IDS[1]), store, Display(output), executor="inline")
    assert outcome.failures == {}
    assert (outcome.trained, outcome.measured) == (1, 1)
    (why,) = (line for line in " ".join(output.getvalue().split()).split("note: ") if "is trained again" in line)
    assert "trained again: its checkpoints were dropped and attention_gap of " in why
    assert " needs them" in why
    runs = [store.find(key) for key in (first, second)]
    assert sorted(bool(run.dropped) for run in runs if run is not None) == [False, True]


def test_a_run_that_another_process_makes_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rest is done first; then it is looked at again, and found."""
    monkeypatch.setattr("dtclaims.harness.engine.agenda.BUSY_WAIT", (0.01, 0.05))
    store = Store(tmp_path / "store")
    plan = tiny_plan(2)
    theirs, ours = plan.runs
    held = store.lock(theirs)
    held.__enter__()
    looked = 0
    pause = time.sleep

    def sleep(seconds: float) -> None:
        nonlocal looked
        if seconds == LOOK:
            # The data, for which both wait, are still being made.
            pause(0.01)
            return
        looked += 1
        if looked == 3:
            assert store.find(ours) is not None
            store_run(store, plan.runs[theirs].identity, {})
            held.__exit__(None, None, None)

    monkeypatch.setattr("dtclaims.harness.engine.executor.time.sleep", sleep)
    output = io.StringIO()
    outcome = execute(plan, store, Display(output), executor="inline")
    assert (outcome.trained, outcome.failures) == (1, {})
    assert looked >= 3
    assert output.getvalue().count("is making it") == 1


@pytest.mark.slow
def test_processes_on_one_store_train_nothing_twice(tmp_path: Path) -> None:
    """Three processes with the same plan share its runs out between them."""
    command = [sys.executable, "-m", "dtclaims.tests.support.killing", "race", str(tmp_path), "3"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert sum(json.loads(done.stdout)) == 5
    assert len(Store(tmp_path / "store").run_keys()) == 5


def test_a_worker_that_dies_takes_nothing_with_it(tmp_path: Path) -> None:
    """Its job is reported; in a new worker it goes on from its last epoch."""
    store = Store(tmp_path / "store")
    job = tiny_job()
    events: list[Event] = []

    def wait_for(kind: type[Event], engine: Processes) -> Any:
        while not any(isinstance(event, kind) for event in events):
            engine.wait(None, events.append)
        return next(event for event in events if isinstance(event, kind))

    with Processes(store.root, [None]) as engine:
        engine.start((job,))
        while not (store.root / "work" / job.key / STATE).exists():
            engine.wait(0.01, events.append)
        (worker,) = multiprocessing.active_children()
        os.kill(worker.pid or 0, signal.SIGKILL)
        assert wait_for(Ended, engine).text == "the worker process died (killed: out of memory, or by somebody)"
        events.clear()
        engine.start((job,))
        assert "goes on after epoch" in wait_for(Noted, engine).text
        assert wait_for(Ended, engine).status == "made"
    assert multiprocessing.active_children() == []


def gone(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return True
    return False


def ctrl_c(session: int) -> None:
    os.killpg(session, signal.SIGINT)


def timeout(session: int) -> None:
    """As coreutils' `timeout` does: the process, then its whole group."""
    os.kill(session, signal.SIGTERM)
    os.killpg(session, signal.SIGTERM)


def kill(session: int) -> None:
    os.kill(session, signal.SIGKILL)


@pytest.mark.parametrize("stop", [ctrl_c, timeout, pytest.param(kill, marks=pytest.mark.slow)])
def test_a_stopped_session_leaves_no_process_and_keeps_its_epochs(tmp_path: Path, stop: Callable[[int], None]) -> None:
    """Ctrl-C and SIGTERM stop the workers and say how to go on; if the session itself is killed, they end too."""
    command = [sys.executable, "-m", "dtclaims.tests.support.killing", "plan", str(tmp_path)]
    session = subprocess.Popen(command, start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    until(lambda: bool(list(tmp_path.glob(f"store/work/*/{STATE}"))), 120.0)
    stop(session.pid)
    output, _ = session.communicate(timeout=60)
    until(lambda: gone(session.pid), 120.0)
    if stop is not kill:
        assert b"stopped; the same command goes on" in output
    store = Store(tmp_path / "store")
    (state,) = (load_state(folder) for folder in (store.root / "work").iterdir())
    assert state is not None
    assert state[0]["epoch"] >= 1
    with store.lock(next(iter(tiny_plan(1, epochs=1000).runs))):
        pass


def test_sigterm_is_ctrl_c_while_runs_are_made_and_no_longer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tidying up is not cut short by another one; before and after, and where somebody handles it, all is as it was."""
    tidied: list[str] = []

    def terminate() -> None:
        # It would end the tests.
        assert signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL
        signal.raise_signal(signal.SIGTERM)

    class Stopped:
        slots = 1

        def __enter__(self) -> "Stopped":
            return self

        def start(self, job: Any) -> None:
            terminate()

        def wait(self, *_: object) -> None:
            raise InterruptedError

        def __exit__(self, *_: object) -> None:
            terminate()
            tidied.append("all")

    monkeypatch.setattr("dtclaims.harness.engine.executor.make_engine", lambda *_: Stopped())
    output = io.StringIO()
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    with pytest.raises(KeyboardInterrupt):
        execute(tiny_plan(1), Store(tmp_path / "store"), Display(output))
    assert tidied == ["all"]
    assert "stopped; the same command goes on" in output.getvalue()
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    theirs: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: theirs.append(number))
    try:
        with pytest.raises(InterruptedError):
            execute(tiny_plan(1), Store(tmp_path / "store"), Display(output))
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
    assert theirs == [signal.SIGTERM] * 2


def test_protocols_share_runs_where_their_switches_agree(tmp_path: Path) -> None:
    """A plan holds each run once: equal specifications, equal keys, and no name twice."""
    store = Store(tmp_path / "store")
    both = plan_for(store, *IDS, protocols=("published", "corrected"), scale=SCALES["mini"])
    one = plan_for(store, *IDS, scale=SCALES["mini"])
    assert set(one.runs) < set(both.runs)
    names = [run.job.name for run in both.runs.values()]
    assert len(set(names)) == len(names)


def test_a_changed_seed_switch_or_protocol_reruns_only_what_it_must(tmp_path: Path) -> None:
    """With two seeds stored, a third needs only its own runs; the other protocol only its own."""
    store = Store(tmp_path / "store")
    first = plan_for(store, IDS[0], seeds=(0, 1), scale=SCALES["mini"])
    fill_store(first, store, {"random_init": 1.0})
    more = plan_for(store, IDS[0], seeds=(0, 1, 2), scale=SCALES["mini"])
    assert [run.job.order.spec.seed for run in more.missing()] == [2]
    other = plan_for(store, IDS[0], seeds=(0, 1), protocols=("published", "corrected"), scale=SCALES["mini"])
    assert {(run.job.order.spec.head, run.job.order.spec.architecture) for run in other.missing()} == {
        ("untied", "matched")
    }


def test_explain_names_what_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hit says so; a miss names each differing field with both values; unknown runs are refused."""
    store = Store(tmp_path / "store")
    plan = plan_for(store, IDS[0], scale=SCALES["mini"])
    fill_store(plan, store, {"random_init": 1.0})
    key, run = next(iter(plan.runs.items()))
    assert "hit" in explain(plan, store, key)[1]
    monkeypatch.setattr("dtclaims.harness.plan.planner.versions", lambda *_: {"torch": "9.9"})
    changed = plan_for(store, IDS[0], scale=SCALES["mini"])
    text = "\n".join(explain(changed, store, run.job.name))
    assert "versions.torch: stored 2." in text
    assert "now 9.9" in text
    # A stored key stands for the run that would take its place now.
    assert explain(changed, store, key) == explain(changed, store, run.job.name)
    with pytest.raises(UsageError, match="no job matches"):
        explain(plan, store, "nonsense")


def order(plan: Plan) -> list[tuple[bool, int, str]]:
    first = {key for keys in plan.proofs.values() for key in keys}
    return [(run.key in first, run.job.order.spec.context, run.job.order.spec.arm) for run in plan.missing()]


@pytest.mark.parametrize("ids", [("SAMPLE-fails", "SAMPLE-ratio"), ("SAMPLE-ratio", "SAMPLE-fails")])
def test_what_headline_claims_rest_on_starts_first(tmp_path: Path, ids: tuple[str, ...]) -> None:
    """Runs of headline claims come first, also those that another claim needs too; a variant's wait.

    Under `published` SAMPLE-fails, a headline, needs one of the two runs of SAMPLE-ratio, which is none; under
    `corrected`, whose runs are longer, SAMPLE-fails needs a run of its own.
    """
    store, mini = Store(tmp_path / "store"), SCALES["mini"]
    published = order(plan_for(store, *ids, scale=mini))
    assert published == [(True, 1, "random_init"), (False, 1, "language_pretrained")]
    both = order(plan_for(store, *ids, scale=mini, protocols=("published", "corrected")))
    # The others longest first.
    assert [one[:2] for one in both] == [(True, 1), (True, 1), (False, 20), (False, 20), (False, 1)]
    (fails,) = cells("SAMPLE-fails", scale=mini)
    variant = replace(fails, protocol=fails.protocol.flipped("head"))
    session = LAB.session(Wish("mini", ("hopper",), False, {}))
    other = make_plan(
        [variant, *cells("SAMPLE-ratio", scale=mini)],
        lab=LAB,
        session=session,
        seeds=(0,),
        device="cpu",
        store=store,
    )
    assert not any(headline for headline, *_ in order(other))


def test_parts_of_a_headline_claim_start_first(tmp_path: Path) -> None:
    """What a claim rests on by its parts counts as its own, whichever of them is planned first."""
    store, mini = Store(tmp_path / "store"), SCALES["mini"]
    for ids in (("SAMPLE-whole", "SAMPLE-ratio"), ("SAMPLE-ratio", "SAMPLE-whole")):
        assert {headline for headline, *_ in order(plan_for(store, *ids, scale=mini))} == {True}


def test_costs_are_learned(tmp_path: Path) -> None:
    """What jobs took here, on a machine whose workers have a core each, replaces the lab's figures for like ones."""
    store = Store(tmp_path / "store")

    def expected() -> float:
        (seconds,) = {run.seconds for run in plan_for(store, IDS[0], seeds=(5,), scale=SCALES["mini"]).missing()}
        return seconds

    (run,) = plan_for(store, IDS[0], scale=SCALES["mini"]).missing()
    assert expected() == run.seconds
    for seconds in (1.0, 2.0, 400.0):
        company = {"together": 1, "workers": 2, "gpus": 0, "cores": 2}
        timing = Timing("run", run.cost.like, "cpu", run.cost.steps / 2, seconds, **company)
        add_timing(store.root, timing)
    add_timing(store.root, Timing("run", run.cost.like, "cuda", 1.0, 5000.0, 1, 1, 1, 1))
    with (store.root / "timings.jsonl").open("a") as file:
        file.write('{"kind": "run", "li\n')
    assert expected() == pytest.approx(4.0)


def test_what_is_made_is_timed(tmp_path: Path) -> None:
    """Each job that was made leaves a line in its store: what it was, how long it took, in what company."""
    store = Store(tmp_path / "store")
    outcome = execute(plan_for(store, *IDS), store, Display(io.StringIO()), executor="inline")
    timings = list(read_timings(store.root))
    assert len(timings) == outcome.trained + outcome.measured == 4
    assert {one.kind for one in timings} == {"run", "measurement"}
    assert all(0 < one.seconds < 60 and (one.workers, one.together, one.gpus) == (1, 1, 0) for one in timings)
    assert all(one.slowed == pytest.approx(1) for one in timings)


def test_a_word_of_a_job_that_is_over_is_no_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A group speaks through its first job, also after that one failed alone; the others go on."""
    hear = Inline.wait

    def wait(self: Inline, timeout: float | None, listen: Callable[[Event], None]) -> None:
        def twice(event: Event) -> None:
            listen(event)
            if isinstance(event, Ended):
                listen(Spent(event.key, {"all": 1.0}))
                listen(Noted(event.key, "late"))
                listen(Advanced(event.key, 1, 2))

        hear(self, timeout, twice)

    monkeypatch.setattr(Inline, "wait", wait)
    store, plan = Store(tmp_path / "store"), tiny_plan(2)
    assert execute(plan, store, Display(io.StringIO()), executor="inline").trained == 2


def test_a_full_disk_ends_the_session_at_the_first_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One job meets it and no other is begun; the error says what is needed, what is free and where."""
    begun: list[str] = []

    def complete(self: Store, folder: Path, identity: object) -> None:
        begun.append(folder.name)
        with writing(folder):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Store, "complete", complete)
    monkeypatch.setattr(Store, "free", lambda self: 1234)
    store, plan = Store(tmp_path / "store"), tiny_plan(5)
    for key, one in plan.jobs.items():
        plan.jobs[key] = replace(one, job=replace(one.job, cost=replace(one.job.cost, nbytes=2e6)))
    with pytest.raises(StoreError) as error:
        execute(plan, store, Display(io.StringIO()), executor="inline")
    assert len(begun) == 1
    said = str(error.value)
    assert f"the disk is full, so the session ends here: got 1.2 kB free in {store.root}" in said
    assert "expected about 10.0 MB for the 5 jobs that are left" in said
    assert "dtclaims store gc" in said


def test_a_full_disk_is_told_by_whatever_meets_it(tmp_path: Path) -> None:
    """The store's error, a library's own, and a logger's; others fail alone."""
    full = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def raised(error: Exception, cause: Exception | None = None) -> Exception:
        try:
            raise error from cause
        except Exception as found:
            return found

    ends = {
        error: ended_by("key", raised(error, cause)).status
        for error, cause in (
            (full, None),
            (StoreError("cannot write"), full),
            (RuntimeError("I/O error: No space left on device (os error 28)"), None),
            (StoreError("cannot write"), OSError(errno.EACCES, "no")),
            (ValueError("no"), None),
        )
    }
    assert list(ends.values()) == ["full", "full", "full", "failed", "failed"]

    class Writer:
        def __init__(self, *_: object) -> None:
            raise full

    notes: list[str] = []
    with (
        mock.patch.dict(LOGGERS, {"tensorboard": Writer}),
        pytest.raises(OSError, match="No space left"),
        telling(("tensorboard",), tmp_path, "key", "name", {}, 0, notes.append),
    ):
        pass


@pytest.mark.parametrize(
    ("device", "scale", "workers", "machine", "places", "cores"),
    [
        ("cpu", "mini", 3, 8, [None] * 3, 6),
        ("cuda", "mini", None, 64, ["4", "7"] * 16, 16),
        ("cuda", "mini", None, 20, ["4", "7"] * 10, 5),
        ("cuda", "paper", None, 64, ["4", "7"] * 2, 32),
        ("cuda:1", "paper", None, 64, ["7"] * 2, 64),
        ("cuda", "paper", None, 1, ["4", "7"], 1),
        ("cuda", "mini", 3, 2, ["4", "7", "4"], 2),
    ],
)
def test_workers_are_packed_on_every_gpu(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    device: str,
    scale: str,
    workers: int | None,
    machine: int,
    places: list[str | None],
    cores: int,
) -> None:
    """As many processes per GPU as scale and cores let, each pinned to one GPU that this process sees, with its cores.

    A number that the user gives is of all workers, and taken as it is.
    """
    monkeypatch.setattr("dtclaims.device.cuda_devices", lambda: 2)
    for module in ("executor", "processes"):
        monkeypatch.setattr(f"dtclaims.harness.engine.{module}.cpu_count", lambda: machine)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,7")
    store = Store(tmp_path / "store")
    plan = plan_for(store, IDS[0])
    plan.device = device
    plan.per_gpu = SCALES[scale].per_gpu
    engine = make_engine(plan, store, "processes", workers, None)
    assert isinstance(engine, Processes)
    assert engine.places == places
    assert engine.cores == cores
    # All compile at the same time.
    assert engine.compilers == max(1, machine // len(places))


def test_groups_go_where_fewest_are_at_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Near the end, when few are left, no GPU has two while another has none."""
    engine = Processes(tmp_path, ["0", "1", "0", "1"])
    workers: list[Any] = []

    def spawn(place: str | None) -> Any:
        worker = mock.Mock(place=place, keys=set())
        workers.append(worker)
        engine._workers.append(worker)
        return worker

    monkeypatch.setattr(engine, "_spawn", spawn)

    def start(key: str) -> str:
        engine.start((mock.Mock(key=key),))
        (worker,) = (one for one in workers if one.keys == {key})
        return str(worker.place)

    assert [start(key) for key in "abcd"] == ["0", "1", "0", "1"]
    for worker in workers:
        worker.keys -= {"a", "b", "d"}
    assert [start(key) for key in "ef"] == ["1", "0"]
    assert len(workers) == 4


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (59.6, "1:00"), (754, "12:34"), (3723, "1:02:03")])
def test_clock(seconds: float, text: str) -> None:
    """Durations as people read them."""
    assert clock(seconds) == text
