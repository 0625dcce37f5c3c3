"""Runs that are stopped: killed, out of disk, diverged, damaged; and taken up again."""

import errno
import json
import math
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors import SafetensorError

from dtclaims.errors import RunFailed, StoreError
from dtclaims.harness.engine.engine import Ended, Event
from dtclaims.harness.engine.work import perform, prepare_process
from dtclaims.harness.store.store import STATE, Store
from dtclaims.lab.results import checkpoint
from dtclaims.lab.train import resume
from dtclaims.lab.train.company import Company
from dtclaims.lab.train.loop import Trainer
from dtclaims.lab.train.resume import Pauses, load_state, save_state
from dtclaims.tests.support.killing import SPEC, numbers, tiny_job, train_job


@pytest.fixture(autouse=True)
def saved_after_every_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Epochs of milliseconds would hardly ever be worth saving."""
    monkeypatch.setattr(resume, "PAUSE", 0.0)


def killed_and_resumed(folder: Path, kills: int, seed: int) -> dict[str, float]:
    command = [sys.executable, "-m", "dtclaims.tests.support.killing", "kill", str(folder), str(kills), str(seed)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found: dict[str, float] = json.loads(done.stdout)
    return found


def test_killed_at_ten_random_moments(tmp_path: Path) -> None:
    """SIGKILL loses at most the epochs since the last save, and the resumed run ends bit for bit like an unbroken one.

    Where every epoch is saved, that is at most the epoch it hits.
    """
    found = killed_and_resumed(tmp_path, 10, seed=int.from_bytes(os.urandom(2)))
    assert found["kills"] >= 10
    assert found["resumed"] > 0


@pytest.mark.slow
def test_killed_at_two_hundred_random_moments(tmp_path: Path) -> None:
    """The same, often enough to hit the narrow places."""
    found = killed_and_resumed(tmp_path, 200, seed=int.from_bytes(os.urandom(2)))
    assert found["kills"] >= 200
    assert found["runs"] > 10


class Stopped(Exception):
    pass


def stop_at(step: int) -> Any:
    def report(done: int, total: int) -> None:
        if done == step:
            raise Stopped

    return report


def stop_in_epoch(store: Store, epoch: int) -> None:
    with pytest.raises(Stopped):
        train_job(store, tiny_job(), stop_at((epoch - 1) * SPEC.budget.steps_per_epoch + 1))


def unbroken(tmp_path: Path) -> Any:
    store = Store(tmp_path / "unbroken")
    train_job(store, tiny_job(), lambda *_: None)
    return store.find(tiny_job().key)


def test_a_stopped_run_goes_on_where_it_was(tmp_path: Path) -> None:
    """Finished epochs are not trained again; the result says where it was taken up and what it cost in all."""
    store = Store(tmp_path / "store")
    stop_in_epoch(store, 5)
    stop_in_epoch(store, 8)
    steps: list[int] = []
    notes: list[str] = []
    assert train_job(store, tiny_job(), lambda done, total: steps.append(done), notes.append)
    assert steps[0] == 7 * SPEC.budget.steps_per_epoch + 1
    assert notes == ["goes on after epoch 7 of 10"]
    run = store.find(tiny_job().key)
    assert run is not None
    assert run.result["resumed"] == [4, 7]
    assert numbers(run) == numbers(unbroken(tmp_path))
    assert list((store.root / "work").iterdir()) == []
    assert not train_job(store, tiny_job(), lambda *_: None)


def test_saving_takes_a_twentieth_of_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small networks are saved after the first epoch, then nothing before 20 times as long as the last saves took."""
    now = 100.0
    monkeypatch.setattr(resume, "PAUSE", 20.0)
    monkeypatch.setattr("dtclaims.lab.train.resume.time.monotonic", lambda: now)
    pauses = Pauses(1000)
    times = []
    for _ in range(50):
        now += 1.0
        with pauses.saving() as due:
            if due:
                now += 0.5
        if due:
            times.append(now)
    # 10 s after each end, at the next epoch.
    assert times == [101.5 + 10.5 * i for i in range(len(times))]
    assert len(times) == 5


@given(runs=st.integers(1, 20), megabytes=st.integers(1, 4000), epoch=st.floats(0.5, 500))
def test_the_first_save_waits_for_its_size_too(runs: int, megabytes: int, epoch: float) -> None:
    """Large networks that are soon trained are not saved at all: their first save would cost more than it keeps."""
    with pytest.MonkeyPatch.context() as patch:
        now = 7.0
        patch.setattr(resume, "PAUSE", 20.0)
        patch.setattr("dtclaims.lab.train.resume.time.monotonic", lambda: now)
        pauses, size = Pauses(runs * megabytes * 10**6), runs * megabytes / 1000
        for _ in range(1, 1000):
            now += epoch
            with pauses.saving() as due:
                pass
            # 5 s a GB: a twentieth of the time that is over at the most.
            assert due == (now - 7 >= 20 * 5 * size)
            if due:
                break


def test_a_run_goes_on_from_an_epoch_before_the_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Epochs that were not saved are trained again, kept checkpoints too, and end the same."""
    monkeypatch.setattr(resume, "PAUSE", 1e9)
    monkeypatch.setattr(resume, "RATE", math.inf)
    store = Store(tmp_path / "store")
    stop_in_epoch(store, 8)
    assert any((store.root / "work" / tiny_job().key).glob("epoch_*"))
    notes: list[str] = []
    assert train_job(store, tiny_job(), lambda *_: None, notes.append)
    assert notes == ["goes on after epoch 1 of 10"]
    run = store.find(tiny_job().key)
    assert run is not None
    assert numbers(run) == numbers(unbroken(tmp_path))


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_a_run_uses_the_cores_it_was_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, device: str) -> None:
    """A job's cores are its company's, which steps the physics on them; its device and precision are its trainer's."""
    asked: list[Any] = []
    # What is asked of it does not take a GPU.
    monkeypatch.setattr("dtclaims.lab.perform._free_gpu", lambda: None)

    def company(trainers: Any, cores: int | None, **_: Any) -> Company:
        asked.append(cores)
        raise Stopped

    monkeypatch.setattr("dtclaims.lab.train.job.Trainer", lambda *given: asked.extend(given[3:]))
    monkeypatch.setattr("dtclaims.lab.train.job._take_up", lambda *given: ({}, {}))
    monkeypatch.setattr("dtclaims.lab.train.job.Company", company)
    with pytest.raises(Stopped):
        train_job(Store(tmp_path / "store"), tiny_job(device=device), lambda *_: None, cores=3)
    assert asked == [device, "float32", 3]


def test_a_worker_compiles_in_its_own_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No pool of compilers per worker, unless the user wants one; a thread of torch each, once its lab does a job."""
    monkeypatch.delenv("TORCHINDUCTOR_COMPILE_THREADS", raising=False)
    prepare_process()
    assert os.environ["TORCHINDUCTOR_COMPILE_THREADS"] == "1"
    monkeypatch.setenv("TORCHINDUCTOR_COMPILE_THREADS", "7")
    prepare_process()
    assert os.environ["TORCHINDUCTOR_COMPILE_THREADS"] == "7"
    train_job(Store(tmp_path / "store"), tiny_job())
    assert torch.get_num_threads() == 1


def test_a_whole_run_that_was_not_published_is_published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stopped between its last file and its publication, it is not trained again."""
    store = Store(tmp_path / "store")

    def stopped(*_: object) -> None:
        raise Stopped

    with monkeypatch.context() as patch:
        patch.setattr(Store, "publish", stopped)
        with pytest.raises(Stopped):
            train_job(store, tiny_job(), lambda *_: None)
    monkeypatch.setattr(Trainer, "run_epoch", stopped)
    assert train_job(store, tiny_job(), lambda *_: None)
    run = store.find(tiny_job().key)
    assert run is not None
    assert run.result["resumed"] == []
    assert not (run.folder / STATE).exists()


@pytest.mark.parametrize("damage", ["truncated", "flipped", "emptied", "foreign"])
def test_a_damaged_state_is_not_taken_up(tmp_path: Path, damage: str) -> None:
    """It is told, and the run starts again: slower, and right."""
    store = Store(tmp_path / "store")
    stop_in_epoch(store, 5)
    path = store.root / "work" / tiny_job().key / STATE
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes({"truncated": content[:-5], "flipped": content, "emptied": b"", "foreign": b"x" * 99}[damage])
    notes: list[str] = []
    assert train_job(store, tiny_job(), lambda *_: None, notes.append)
    assert "starts again" in notes[0]
    assert "damaged" in notes[0]
    run = store.find(tiny_job().key)
    assert run is not None
    assert run.result["resumed"] == []
    assert numbers(run) == numbers(unbroken(tmp_path))


@pytest.mark.parametrize(
    ("code", "advice"), [(errno.ENOSPC, "free some space"), (errno.EACCES, "make the folder writable")]
)
def test_a_disk_that_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, advice: str) -> None:
    """One clear error, nothing half-written left; with space again the run goes on from its last epoch."""
    store = Store(tmp_path / "store")
    stop_in_epoch(store, 4)
    before = load_state(store.root / "work" / tiny_job().key)
    told: list[Event] = []
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(code, os.strerror(code))))
        perform(store, (tiny_job(),), told.append)
        (ended,) = [one for one in told if isinstance(one, Ended)]
    assert ended.status == ("full" if code == errno.ENOSPC else "failed")
    assert ended.text.startswith(f"cannot write {store.root}")
    assert advice in ended.text
    after = load_state(store.root / "work" / tiny_job().key)
    assert before is not None
    assert after is not None
    assert after[0]["epoch"] == before[0]["epoch"] == 3
    assert not list(store.root.rglob("*.partial"))
    train_job(store, tiny_job(), lambda *_: None)
    run = store.find(tiny_job().key)
    assert run is not None
    assert numbers(run) == numbers(unbroken(tmp_path))


def test_a_full_disk(tmp_path: Path) -> None:
    """For real: a file may not grow past 20 kB. The old state is intact, and nothing half-written is left."""
    code = (
        "import pathlib, resource, signal, sys, torch; from dtclaims.lab.train.resume import save_state\n"
        "folder = pathlib.Path(sys.argv[1]); save_state(folder, {'epoch': 1, 'model': torch.zeros(9)}, {})\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))\n"
        "save_state(folder, {'epoch': 2, 'model': torch.zeros(9999)}, {})"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True)
    assert "dtclaims.errors.StoreError: cannot write" in done.stderr
    assert "free some space" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == [STATE]
    found = load_state(tmp_path)
    assert found is not None
    assert found[0]["epoch"] == 1


@pytest.mark.parametrize(
    "said",
    [
        "Error while serializing: I/O error: File too large (os error 27)",
        'Error while serializing: IoError(Os { code: 27, kind: FileTooLarge, message: "File too large" })',
    ],
    ids=["new", "0.4"],
)
def test_the_systems_error_is_read_in_every_releases_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str
) -> None:
    """safetensors tells no number but in its text, and its releases word it differently."""

    def refuses(*_: Any) -> None:
        raise SafetensorError(said)

    monkeypatch.setattr("dtclaims.lab.tensor_files.save_file", refuses)
    with pytest.raises(StoreError, match="free some space"):
        save_state(tmp_path, {"epoch": 1}, {})


def test_a_diverged_run_ends_as_an_error(tmp_path: Path) -> None:
    """Non-finite loss: the step and the last sound epoch are named, and nothing is published."""
    store = Store(tmp_path / "store")
    job = tiny_job(replace(SPEC, budget=replace(SPEC.budget, learning_rate=1e30, warmup_steps=1)))
    with pytest.raises(RunFailed, match=r"stopped being finite: got step \d+ of 30\. The last sound epoch is \d+"):
        train_job(store, job, lambda *_: None)
    assert store.run_keys() == []


def test_dropped_checkpoints_come_back_when_needed(tmp_path: Path) -> None:
    """Without a reason a run whose checkpoints were dropped stays as it is; with one it is trained again, whole."""
    store = Store(tmp_path / "store")
    train_job(store, tiny_job(), lambda *_: None)
    whole = store.find(tiny_job().key)
    assert whole is not None
    assert store.drop_checkpoints(whole.key) > 0
    dropped = store.find(whole.key)
    assert dropped is not None
    assert dropped.result == whole.result
    assert dropped.dropped == [f"epoch_{epoch:03d}.safetensors" for epoch in SPEC.kept_epochs]
    with pytest.raises(StoreError, match="was dropped"):
        checkpoint(dropped, SPEC.kept_epochs[0])
    assert store.drop_checkpoints(whole.key) == 0
    assert not train_job(store, tiny_job(), lambda *_: None)
    assert train_job(store, tiny_job(again="needed"), lambda *_: None)
    again = store.find(whole.key)
    assert again is not None
    assert numbers(again) == numbers(whole)
    assert not again.dropped


SCALARS = st.none() | st.booleans() | st.integers(-(2**40), 2**40) | st.floats(allow_nan=False, allow_infinity=False)
NESTS = st.recursive(
    SCALARS | st.text(max_size=3) | st.integers(0, 3).map(lambda size: torch.arange(size, dtype=torch.float64)),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.integers() | st.text(max_size=2), inner, max_size=3),
    max_leaves=8,
)


@given(state=st.dictionaries(st.text(max_size=3), NESTS, max_size=4))
def test_any_state_comes_back(tmp_path_factory: pytest.TempPathFactory, state: dict[str, Any]) -> None:
    """Nests of dicts (with whole numbers as keys too), lists, tensors and plain values, to the bit."""
    folder = tmp_path_factory.mktemp("state")
    save_state(folder, state, {"seconds": math.pi})
    found = load_state(folder)
    assert found is not None
    assert found[1] == {"seconds": math.pi}
    assert same(found[0], state)


def same(one: Any, other: Any) -> bool:
    if isinstance(one, torch.Tensor):
        return isinstance(other, torch.Tensor) and one.dtype == other.dtype and torch.equal(one, other)
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    return type(one) is type(other) and bool(one == other)
