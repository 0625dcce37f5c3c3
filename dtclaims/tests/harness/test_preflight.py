"""Preflight: what is tried, what is said of it, and how it ends."""

import dataclasses
import io
import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

# pytester forgets modules that are first imported inside it, and numpy's refuse to be loaded twice.
import scipy.stats  # noqa: F401
from hypothesis import given
from hypothesis import strategies as st

from dtclaims.device import cpu_count
from dtclaims.errors import StoreError
from dtclaims.harness import preflight as module
from dtclaims.harness.engine.agenda import Outcome
from dtclaims.harness.engine.memory import Watch, gpu_memory, memory_there, process_memory
from dtclaims.harness.lab import CodeUsed, Cost, Job
from dtclaims.harness.plan.estimate import Machine
from dtclaims.harness.plan.plan import Plan, PlannedJob
from dtclaims.harness.preflight import Findings, chosen, kind_of, kinds_of, preflight, rehearsal_of
from dtclaims.harness.store.store import Store
from dtclaims.lab.data.hdf5 import save_hdf5
from dtclaims.tests.support.examples import SAMPLE_CLAIMS, made_up
from dtclaims.tests.support.gpu import gpu
from dtclaims.tests.support.lookalikes import in_cache, like_d4rl, like_gpt2
from dtclaims.tests.support.studies import study

EXIT_OK, EXIT_FAILED, EXIT_USAGE = 0, 1, 4
LINE = 'pytest_plugins = ["dtclaims.harness.plugin"]'
TINY = SAMPLE_CLAIMS.with_name("tiny_paper")
MACHINE = Machine(2, 2)


def job(number: int, **fields: Any) -> Job:
    """A job of a lab that there is not."""
    given: dict[str, Any] = {"kind": "run", "keeps_files": True, "how": {}, "task": "a task", **fields}
    code = CodeUsed(("dtclaims.harness.times:now",))
    return Job(
        name=f"job {number}", what={"seed": number}, resolved={}, code=code, versions=(), device="cpu",
        precision="float32", **given,
    )  # fmt: skip


def plan_of(*jobs: Job, cached: frozenset[int] = frozenset()) -> Plan:
    """A plan of jobs; keys are their places."""
    places = {id(one): str(place) for place, one in enumerate(jobs)}
    plan = Plan((0,), "cpu")
    for place, one in enumerate(jobs):
        needs = tuple(places[id(need)] for need in one.needs)
        plan.jobs[str(place)] = PlannedJob(one, {}, str(place), needs, place in cached, Cost())
    return plan


# --- what is tried ----------------------------------------------------------------------------------------------------


def test_jobs_of_one_kind() -> None:
    """Seeds make no kind; switches, lengths and, of what keeps files, tasks do. What is stored counts for nothing."""
    jobs = [
        job(0),
        job(1),
        job(2, how={"head": "tied"}),
        job(3, cost=Cost(steps=2.0)),
        job(4, task="another"),
        job(5, keeps_files=False, kind="value"),
        job(6, keeps_files=False, kind="value", task="another"),
        job(7, how={"head": "of its own"}),
    ]
    plan = plan_of(*jobs, cached=frozenset({7}))
    assert [[one.key for one in kind.jobs] for kind in kinds_of(plan)] == [["0", "1"], ["2"], ["3"], ["4"], ["5", "6"]]
    assert kind_of(jobs[0]) == kind_of(jobs[1]) != kind_of(jobs[7])


RUNS = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2)), min_size=1, max_size=20)
"""Of each run: its switch, and with whom it can be done together."""


@given(RUNS, st.lists(st.sets(st.integers(0, 19), max_size=2), max_size=8), st.integers(1, 5))
def test_what_is_tried(runs: list[tuple[int, int]], reads: list[set[int]], most: int) -> None:
    """A job of every kind, all that it reads, and full groups wherever there are runs to fill them."""
    made = [
        job(number, how={"switch": switch}, together=f"group {group}" if group else None, most_together=most)
        for number, (switch, group) in enumerate(runs)
    ]
    values = [
        job(100 + number, kind="value", keeps_files=False, how={"of": number % 3}, needs=tuple(made[i] for i in found))
        for number, read in enumerate(reads)
        if (found := sorted(i for i in read if i < len(made))) or True
    ]
    plan = plan_of(*made, *values)
    kinds = kinds_of(plan)
    keys = chosen(plan, kinds)
    assert keys == sorted(keys, key=int)
    assert all(any(one.key in keys for one in kind.jobs) for kind in kinds)
    assert {need for key in keys for need in plan.jobs[key].needs} <= set(keys)
    there = Counter(one.job.together for one in plan.jobs.values())
    tried = Counter(plan.jobs[key].job.together for key in keys)
    assert all(not count % most or count == there[group] for group, count in tried.items() if group is not None)


def test_what_reads_tried_results_is_preferred() -> None:
    """A value that needs another run is not taken where one of its kind reads a run that is tried anyway."""
    first, second = job(0), job(1)
    values = [job(2 + i, kind="value", keeps_files=False, needs=(one,)) for i, one in enumerate((second, first))]
    plan = plan_of(first, second, *values)
    assert chosen(plan, kinds_of(plan)) == ["0", "3"]


def test_a_lab_that_cannot_shorten(tmp_path: Path) -> None:
    """Its jobs are tried as they are, each reading the one that it read."""
    run = job(0)
    plan = plan_of(run, job(1, kind="value", keeps_files=False, needs=(run,)))
    short, short_of = rehearsal_of(plan, ["0", "1"], SimpleNamespace())  # type: ignore[arg-type]
    made = [short.jobs[short_of[key]] for key in "01"]
    assert [one.job.name for one in made] == ["job 0", "job 1"]
    assert made[1].needs == (made[0].key,)
    assert made[1].job.needs[0] is made[0].job


# --- what is said -----------------------------------------------------------------------------------------------------


def tried(
    tmp_path: Path,
    failures: Mapping[str, str] | None = None,
    demands: Mapping[str, int] | None = None,
    workers: int = 2,
    limit: float | None = None,
    seconds: float = 0.0,
    taught: float = 1.0,
) -> Findings:
    """What is found where every job is made at once, or fails, and says what it takes."""
    plan = plan_of(*(job(number, together="all", most_together=2, how={"n": number % 2}) for number in range(6)))
    for key, one in plan.jobs.items():
        made = dataclasses.replace(one.job, cost=Cost(seconds=seconds))
        plan.jobs[key] = dataclasses.replace(one, job=made, cost=made.cost.times(taught))

    def execute(short: Plan, store: Store, display: Any) -> Outcome:
        lost = {}
        for key, one in short.jobs.items():
            display._jobs[key] = SimpleNamespace(cost=0.5, name=one.job.name, end=lambda now: None)
            if one.job.name in (failures or {}):
                lost[key] = (failures or {})[one.job.name]
                continue
            folder = store.workspace(key)
            (folder / "result.json").write_text(json.dumps({"rehearsal": demands or {}}))
            (folder / "name.json").write_text("{}")
            store.complete(folder, one.identity)
            store.publish(folder)
            display.seconds[key] = 0.5
        return Outcome(failures=lost)

    return preflight(
        plan,
        [],
        Store(tmp_path / "store"),
        session=SimpleNamespace(),  # type: ignore[arg-type]
        execute=execute,
        stream=io.StringIO(),
        machine=Machine(2, workers),
        limit=limit,
    )


def test_ready(tmp_path: Path) -> None:
    """Each kind has a line with how many it stands for; the disk's takes all; nothing is left in the store."""
    found = tried(tmp_path, demands={"kept": 10**6, "at_work": 10**5})
    assert (found.ready, found.verdict) == (True, "preflight: ready")
    assert found.lines[0] == "2 jobs of 2 kinds tried, for 6 that are missing"
    assert sum("2 together, for 3" in line for line in found.lines) == 2
    # Six results, and the states of the three of one kind, which four places could take.
    assert any(line.startswith("disk: 6.0 MB for results and at most 300.0 kB while") for line in found.lines)
    assert not list((tmp_path / "store").glob("preflight-*"))


@pytest.mark.parametrize(
    ("limit", "said"),
    [
        (None, None),
        (1000.0, "within 16:40: all of it"),
        (250.0, "within 4:10: about 4 runs, no time for 2 runs; the same command goes on"),
        (105.0, "within 1:45: no time for 6 runs: the shortest is expected to take 3:20; allow a longer --time-limit"),
    ],
)
def test_what_fits_in_a_limit(tmp_path: Path, limit: float | None, said: str | None) -> None:
    """By the session's own judgement, a tenth to spare included; where it would begin nothing, that is to be mended."""
    found = tried(tmp_path, limit=limit, seconds=100.0)
    assert [line for line in found.lines if line.startswith("within ")] == ([] if said is None else [said])
    nothing = said is not None and "allow a longer" in said
    assert found.verdict == (f"preflight: not ready: {said}" if nothing else "preflight: ready")


def test_what_would_be_tried_is_ready(tmp_path: Path) -> None:
    """Where only by what earlier sessions took there is no time for anything, the session begins one group to see, and
    the check says so and is ready; not where there is none by the lab's own figures either."""
    found = tried(tmp_path, limit=250.0, seconds=100.0, taught=3.0)
    assert (
        "within 4:10: no time for 6 runs by what earlier sessions took; 2 runs are begun all the same, as by the lab's "
        "own figures there is time: their pace decides on the rest"
    ) in found.lines
    assert found.verdict == "preflight: ready"
    found = tried(tmp_path, limit=105.0, seconds=100.0, taught=3.0)
    told = "no time for 6 runs: the shortest is expected to take 10:00; allow a longer --time-limit"
    assert found.verdict == f"preflight: not ready: within 1:45: {told}"


def test_what_failed_is_named_first(tmp_path: Path) -> None:
    """The first line of what went wrong is the verdict's; what was made stays, and is said to."""
    found = tried(tmp_path, failures={"job 1": "the weights are gone\nand more"})
    assert found.verdict == "preflight: not ready: job 1: the weights are gone"
    (left,) = (tmp_path / "store").glob("preflight-*")
    assert any(str(left) in line for line in found.lines)


def test_too_small_a_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All results beside what is free, though no job that was tried met the end of it."""
    monkeypatch.setattr(Store, "free", lambda self: 5 * 10**6)
    found = tried(tmp_path, demands={"kept": 10**6})
    assert not found.ready
    assert "6.0 MB of disk are needed and 5.0 MB are free" in found.verdict
    assert "--store" in found.verdict


class Looked:
    """A watch that saw what it is told."""

    gpus, process, there = 1, 1e9, 8e9
    gpu = (30e9, 80e9)

    def __init__(self, device: str) -> None: ...

    def __enter__(self) -> "Looked":
        return self

    def __exit__(self, *ended: object) -> None: ...


def test_too_small_a_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The dearest groups may meet on one GPU, though they did not meet now; fewer workers are the remedy."""
    monkeypatch.setattr(module, "Watch", Looked)
    monkeypatch.setattr(Plan, "schedule", lambda *_: SimpleNamespace(seconds=60.0))
    # Two of three workers share the group: the third has none.
    assert tried(tmp_path / "one", demands={"gpu": 50 * 10**9}).ready
    found = tried(tmp_path / "two", demands={"gpu": 81 * 10**9})
    assert found.verdict == (
        "preflight: not ready: 81.8 GB of a GPU's memory may be needed and it has 80.0 GB. "
        "Let fewer share one: --workers 1."
    )


def test_a_full_disk_is_what_is_to_be_mended(tmp_path: Path) -> None:
    """What ends the whole session is said as the session would say it, and nothing is left."""
    store = Store(tmp_path / "store")

    def execute(short: Plan, store: Store, display: Any) -> Outcome:
        raise StoreError("the disk is full", remedy="Make room.")

    found = preflight(
        plan_of(job(0)),
        [],
        store,
        session=SimpleNamespace(),  # type: ignore[arg-type]
        execute=execute,
        stream=io.StringIO(),
        machine=MACHINE,
    )
    assert found.verdict == "preflight: not ready: the disk is full. Make room."
    assert not list(store.root.glob("preflight-*"))


def test_the_memory_of_what_was_started() -> None:
    """A child's memory is counted with its parent's, and there is more than both hold."""
    before = process_memory()
    code = "x = bytearray(200_000_000); print(flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=-1, stdout=-1, text=True) as child:
        assert child.stdout is not None
        child.stdout.readline()
        with Watch("cpu") as watch:
            pass
        child.communicate("\n")
    assert before + 150e6 < watch.process < memory_there() == watch.there
    assert (watch.gpu, watch.gpus) == (None, 0)


def test_the_memory_of_gpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the driver's tool; what it cannot say is not made up."""
    tool = tmp_path / "nvidia-smi"
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    for text, expected in (
        ("1024, 81559\\n2, 81559\\n", [(2**30, 81559 * 2**20), (2 * 2**20, 81559 * 2**20)]),
        ("N/A", []),
    ):
        tool.write_text(f"#!/bin/sh\nprintf '{text}'\n")
        tool.chmod(0o755)
        assert gpu_memory(["0", "1"]) == expected
    assert gpu_memory([]) == []


# --- as a user meets it -----------------------------------------------------------------------------------------------


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs `pytest claims --preflight` on a copy of some claims, in a home of its own."""
    monkeypatch.setenv("DTCLAIMS_HOME", str(pytester.path / "home"))

    def run(claims: Path, *arguments: str, apart: bool = False) -> pytest.RunResult:
        shutil.copytree(claims, pytester.path / "claims", ignore=shutil.ignore_patterns("__pycache__"))
        pytester.makeconftest(LINE)
        words = ("claims", "-p", "no:cacheprovider", "--preflight", *arguments)
        return pytester.runpytest_subprocess(*words) if apart else pytester.runpytest(*words)

    return run


def results(store: Path) -> list[Path]:
    """What a store holds, beside its own folders and mark."""
    return [path for path in store.rglob("*") if path.is_file() and path.name != "dtclaims-store.json"]


def test_a_lab_of_functions(run: Any, pytester: pytest.Pytester) -> None:
    """One call of each function stands for all; nothing is stored, judged or reported, and it ends well."""
    result = run(TINY)
    assert result.ret == EXIT_OK
    result.stdout.fnmatch_lines(["1 job of 1 kind tried, for 10 that are missing", "preflight: ready"])
    assert not results(pytester.path / "home" / "store")
    assert not (pytester.path / "claims-report").exists()


def test_a_function_that_fails(run: Any, pytester: pytest.Pytester) -> None:
    """The session would have ended with errors: so does this, and says why in its last line."""
    lab = (TINY / "tiny_lab.py").read_text()
    broken = pytester.path / "broken"
    shutil.copytree(TINY, broken)
    (broken / "tiny_lab.py").write_text(
        lab.replace("    return (40.0", '    raise ValueError("no gauge")\n    return (40.0')
    )
    result = run(broken, apart=True)
    assert result.ret == EXIT_FAILED
    result.stdout.fnmatch_lines(["FAILED*", "preflight: not ready: reading*ValueError*no gauge"])


def test_what_is_stored_is_not_tried(tmp_path: Path) -> None:
    """A session that would only judge is ready at once."""
    one = study(tmp_path, ["SAMPLE-fails"])
    for key, planned in one.plan.jobs.items():
        one.plan.jobs[key] = dataclasses.replace(planned, cached=True)
    said: list[str] = []
    assert one.preflight(io.StringIO(), said.append)
    assert said[0].endswith("are stored: nothing is left but to judge")


def test_in_this_process_one_job_is_done_at_a_time(tmp_path: Path) -> None:
    """So plans and forecasts of `--executor inline` are of one process, however many cores there are."""
    assert study(tmp_path, ["SAMPLE-fails"], executor="inline", cores="2").machine == Machine(2, 1)
    assert study(tmp_path, ["SAMPLE-fails"], cores="2").machine == Machine(2, 2)


def test_claims_that_cannot_be_tested_here(run: Any) -> None:
    """Where nothing could be done the reason and the remedy are the message, and it ends badly."""
    result = run(SAMPLE_CLAIMS, "-m", "gpu", "--device", "cpu")
    assert result.ret == EXIT_USAGE
    result.stderr.fnmatch_lines(["*none of the claims can be tested here: scale small needs a CUDA device*"])


def test_runs_and_measurements(run: Any, pytester: pytest.Pytester) -> None:
    """At mini, on weights as the hub has them and a set of one's own: workers train, roll out and measure for real."""
    language = like_gpt2(pytester.path / "gpt2", blocks=12, width=16, heads=2)
    save_hdf5(made_up([60] * 40), pytester.path / "mine.hdf5")
    words = ("--claim", "SAMPLE-ratio", "--data", "mine.hdf5", "--language-model", str(language))
    result = run(SAMPLE_CLAIMS, *words, "--workers", str(min(2, cpu_count())), apart=True)
    assert result.ret == EXIT_OK, result.stdout.str()
    result.stdout.fnmatch_lines(
        [
            "made *hopper/K1/language_pretrained/*, for 3",
            "made *kinds of values*",
            "disk: *",
            "time: *",
            "preflight: ready",
        ]
    )
    assert not results(pytester.path / "home" / "store")


@gpu
def test_the_papers_scale_on_look_alikes(run: Any, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hub checkpoints and D4RL's set are found by themselves, and what they make is tried as the session would."""
    like_gpt2(in_cache(pytester.path / "hub", "gpt2"), blocks=12, width=64, heads=4)
    save_hdf5(like_d4rl(made_up([1]).task), pytester.path / "hopper_medium-v2.hdf5")
    monkeypatch.setenv("HF_HUB_CACHE", str(pytester.path / "hub"))
    monkeypatch.setenv("D4RL_DATASET_DIR", str(pytester.path))
    words = ("-m", "gpu", "--scale", "paper", "--task", "hopper", "--seeds", "2", "--claim", "SAMPLE-ratio")
    # The paper's own simulator is an environment of its own, which need not be where a GPU is.
    result = run(SAMPLE_CLAIMS, *words, "--simulator", "v4", apart=True)
    assert result.ret == EXIT_OK, result.stdout.str()
    result.stdout.fnmatch_lines(
        ["made *K1/language_pretrained/*together*of a GPU*", "GPU memory: *", "preflight: ready"]
    )
