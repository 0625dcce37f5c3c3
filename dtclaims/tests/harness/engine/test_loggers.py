"""Loggers: named, optional, and never the end of a run."""

import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from dtclaims.errors import MissingDependency, UsageError
from dtclaims.harness.engine.loggers import LOGGERS, check_loggers, telling
from dtclaims.harness.store.store import Store
from dtclaims.lab.train import resume
from dtclaims.tests.support.killing import EPOCHS, SPEC, tiny_job, train_job

KEY = "0123456789abcdef0123"


class Calls(ModuleType):
    """Stands for a package: its calls, in order. `wandb.init` returns the run, `trackio` logs by itself."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.calls: list[tuple[str, Any, Any]] = []
        self.__spec__ = SimpleNamespace(name=name)  # type: ignore[assignment]

    def init(self, **options: Any) -> "Calls":
        self.calls.append(("init", options["name"], options["config"]["arm"]))
        return self

    def log(self, values: dict[str, float], step: int) -> None:
        self.calls.append(("log", step, values))

    def finish(self) -> None:
        self.calls.append(("finish", None, None))


def test_none_is_asked_for_by_default() -> None:
    """And an unknown name is refused with those that exist."""
    assert check_loggers(()) == ()
    with pytest.raises(UsageError, match="unknown logger: got 'mlfow', expected some of tensorboard, wandb, trackio"):
        check_loggers(["mlfow"])


@pytest.mark.parametrize("name", LOGGERS)
def test_a_missing_package_is_named_with_its_remedy(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is trained."""
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(MissingDependency, match=rf"{name} is not installed\. `pip install {name}`"):
        check_loggers([name])


@pytest.mark.parametrize("name", ["wandb", "trackio"])
def test_every_epoch_is_told(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run of the logger's own for each of ours: begun with the specification, one row an epoch, finished."""
    package = Calls(name)
    monkeypatch.setitem(sys.modules, name, package)
    assert check_loggers([name]) == (name,)
    with telling([name], tmp_path, KEY, SPEC.name, SPEC.to_json(), 3, pytest.fail) as tell:
        tell(4, {"loss_mean": 0.5})
    assert [call[0] for call in package.calls] == ["init", "log", "finish"]
    assert package.calls[0][1].startswith(SPEC.name)
    assert package.calls[0][2] == SPEC.arm
    assert package.calls[1][1:] == (4, {"loss_mean": 0.5})


def test_tensorboard_files(tmp_path: Path) -> None:
    """Scalars by curve and epoch; a resumed run takes back what it logged of epochs that were lost."""
    event_accumulator = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator", reason="tensorboard is not installed (extra `test`)"
    )
    for done, values in ((0, [1.0, 2.0, 3.0]), (1, [4.0])):
        with telling(["tensorboard"], tmp_path, KEY, SPEC.name, SPEC.to_json(), done, pytest.fail) as tell:
            for epoch, value in enumerate(values, start=done + 1):
                tell(epoch, {"loss_mean": value})
    (folder,) = {file.parent for file in tmp_path.rglob("events.*")}
    assert str(folder.relative_to(tmp_path / "tensorboard")) == f"{SPEC.name}-{KEY[:8]}"
    events = event_accumulator.EventAccumulator(str(folder)).Reload()
    assert [(event.step, event.value) for event in events.Scalars("loss_mean")] == [(1, 1.0), (2, 4.0)]


@pytest.mark.parametrize("at", ["init", "log", "finish"])
def test_a_logger_that_fails_is_left_out(at: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run goes on, the others are still told, and the failure is said once."""
    broken, sound = Calls("wandb"), Calls("trackio")
    monkeypatch.setitem(sys.modules, "wandb", broken)
    monkeypatch.setitem(sys.modules, "trackio", sound)

    def fails(*_: object, **__: object) -> None:
        raise ConnectionError("no network")

    monkeypatch.setattr(broken, at, fails)
    notes: list[str] = []
    with telling(["wandb", "trackio"], tmp_path, KEY, SPEC.name, SPEC.to_json(), 0, notes.append) as tell:
        tell(1, {"loss_mean": 0.5})
        tell(2, {"loss_mean": 0.4})
    assert notes == ["logger wandb failed and is told no more: ConnectionError: no network"]
    assert [call[0] for call in sound.calls] == ["init", "log", "log", "finish"]


class Killed(BaseException):
    pass


def test_a_run_tells_its_loggers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All its curves after every epoch, once each; a worker that takes it up begins anew, after the epochs it has."""
    monkeypatch.setattr(resume, "PAUSE", 0.0)
    package = Calls("trackio")
    monkeypatch.setitem(sys.modules, "trackio", package)
    store, job = Store(tmp_path / "store"), replace(tiny_job(), loggers=("trackio",))

    def kill_in_fifth(done: int, total: int) -> None:
        if done > 4 * SPEC.budget.steps_per_epoch:
            raise Killed

    with pytest.raises(Killed):
        train_job(store, job, kill_in_fifth)
    train_job(store, job)
    begun = ("init", f"{SPEC.name}-{job.key[:8]}", SPEC.arm)
    assert [call for call in package.calls if call[0] != "log"] == [begun, ("finish", None, None)] * 2
    told = [call[1:] for call in package.calls if call[0] == "log"]
    assert [epoch for epoch, _ in told] == list(range(1, EPOCHS + 1))
    run = store.find(job.key)
    assert run is not None
    assert [values for _, values in told] == [
        {name: values[epoch] for name, values in run.result["curves"].items()} for epoch in range(EPOCHS)
    ]
