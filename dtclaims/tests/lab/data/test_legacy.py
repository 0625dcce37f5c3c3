"""What d4rl has downloaded, read by its own loader in the legacy environment; and each fault with its reason."""

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from dtclaims.errors import DataError, MissingDependency, UsageError
from dtclaims.harness.commands.main import main
from dtclaims.lab.data import legacy
from dtclaims.lab.data.sources import load
from dtclaims.lab.design.scales import SCALES
from dtclaims.lab.design.tasks import TASKS
from dtclaims.lab.inputs import Inputs, find_data
from dtclaims.lab.legacy import environment, reader
from dtclaims.tests.support.d4rl import as_d4rl

real = pytest.mark.legacy
"""Tests with gym, d4rl and mujoco-py themselves."""


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """D4RL's folder, the test's own."""
    monkeypatch.setenv("D4RL_DATASET_DIR", str(tmp_path / "datasets"))
    (tmp_path / "datasets").mkdir()
    return tmp_path / "datasets"


# --- D4RL itself ------------------------------------------------------------------------------------


@real
@pytest.mark.parametrize(("task", "flat"), [("hopper", True), ("halfcheetah", True), ("walker2d", False)])
def test_d4rls_own_loader_and_ours_read_the_same(cache: Path, task: str, flat: bool) -> None:
    """The file in D4RL's cache through D4RL's code, and read by us: equal to the bit, with the unfinished tail dropped;
    the provenance says which packages read it."""
    path = cache / f"{task}_medium-v2.hdf5"
    as_d4rl(path, [4, 7, 2], TASKS[task], tail=5, flat=flat)
    theirs, ours = load("legacy", task), load(path, task)
    assert theirs.sha256 == ours.sha256
    assert theirs.provenance == {
        "source": "D4RL",
        "dataset": f"{task}-medium-v2",
        "file": str(path),
        "d4rl": environment.VERSIONS["d4rl"],
        "gym": environment.VERSIONS["gym"],
        "dropped_tail_steps": 5,
    }


@real
def test_d4rls_cache_is_found_in_its_users_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`~/.d4rl/datasets`, where D4RL_DATASET_DIR does not say another folder; the command line reads it too."""
    monkeypatch.delenv("D4RL_DATASET_DIR")
    monkeypatch.setenv("DTCLAIMS_LEGACY", str(environment.folder()))
    monkeypatch.setenv("HOME", str(tmp_path))
    folder = tmp_path / ".d4rl" / "datasets"
    folder.mkdir(parents=True)
    as_d4rl(folder / "hopper_medium-v2.hdf5", [4, 7])
    assert list(load("legacy", "hopper").lengths) == [4, 7]
    assert (
        main(["data", "export", "legacy", "--task", "hopper", "--to", "hdf5", "--out", str(tmp_path / "a.hdf5")]) == 0
    )
    assert load(tmp_path / "a.hdf5").sha256 == load("legacy", "hopper").sha256


@real
def test_runs_take_what_d4rl_has(cache: Path) -> None:
    """`--data legacy` while planning and while running: the identity of its content, which is looked at anew where the
    file changed, and refused where it changed under a plan."""
    path = cache / "hopper_medium-v2.hdf5"
    as_d4rl(path, [4, 7])
    found = find_data("hopper", SCALES["mini"], "legacy")
    assert isinstance(found, dict)
    assert found["sha256"] == load(path).sha256
    assert Inputs("hopper", found, {}).load_data().sha256 == found["sha256"]
    as_d4rl(path, [4, 7, 3])
    again = find_data("hopper", SCALES["mini"], "legacy")
    assert isinstance(again, dict)
    assert again["sha256"] == load(path).sha256 != found["sha256"]
    with pytest.raises(DataError, match="changed after the runs were planned"):
        Inputs("hopper", found, {}).load_data()


def cut(path: Path) -> None:
    """Half of it, as D4RL leaves it where a download is cut short."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def without(key: str) -> Callable[[Path], None]:
    def remove(path: Path) -> None:
        with h5py.File(path, "r+") as file:
            del file[key]

    return remove


def with_(key: str, value: Any) -> Callable[[Path], None]:
    def put(path: Path) -> None:
        with h5py.File(path, "r+") as file:
            del file[key]
            file[key] = value

    return put


DAMAGES: dict[str, tuple[Callable[[Path], Any], str]] = {
    "cut short": (
        cut,
        r"cut short, or another file: got .*medium-v2\.hdf5, [\d,]+ bytes: OSError.*Delete it, and fetch http",
    ),
    "empty": (lambda path: path.write_bytes(b""), r"cut short, or another file: got .*medium-v2\.hdf5, 0 bytes"),
    "a web page": (lambda path: path.write_text("<html>"), "cut short, or another file.*expected a whole HDF5 file"),
    "another task's": (
        lambda path: as_d4rl(path, [4, 7], TASKS["walker2d"]),
        r"D4RL's loader refuses its file of hopper-medium-v2: got .*Observation shape does not match env",
    ),
    "v0": (without("timeouts"), "lacks timeouts, as D4RL's v0 files do.*Only the v2 sets are supported"),
    "no rewards": (without("rewards"), "refuses its file.*missing key rewards"),
    "no numbers": (with_("rewards", np.full(11, b"x")), "holds other things than numbers: got rewards of"),
    "not finite": (with_("rewards", np.full(11, np.nan)), "rewards hold NaN or infinity"),
    "another length": (with_("timeouts", np.zeros(3, bool)), "differ in length"),
    "no end": (with_("timeouts", np.zeros((11, 2), bool)), "timeouts of .* have the wrong shape"),
}


@real
@pytest.mark.parametrize("case", DAMAGES)
def test_each_fault_of_a_file_is_named(cache: Path, case: str) -> None:
    """One DataError with D4RL's own reason, and what helps."""
    damage, message = DAMAGES[case]
    path = cache / "hopper_medium-v2.hdf5"
    as_d4rl(path, [4, 7])
    damage(path)
    with pytest.raises(DataError, match=message):
        load("legacy", "hopper")


@real
def test_nothing_is_downloaded(cache: Path) -> None:
    """Where D4RL has no file, it would fetch it, for as long as that takes and straight to its place: it is not asked.
    The message has the place and D4RL's address; a v0 file is not taken for it."""
    as_d4rl(cache / "hopper_medium.hdf5", [4, 7])
    with pytest.raises(DataError) as caught:
        load("legacy", "hopper")
    assert f"D4RL has not downloaded hopper-medium-v2: got no {cache / 'hopper_medium-v2.hdf5'}" in str(caught.value)
    assert "gym_mujoco_v2/hopper_medium-v2.hdf5" in str(caught.value)
    assert [path.name for path in cache.iterdir()] == ["hopper_medium.hdf5"]


# --- without it -------------------------------------------------------------------------------------


def test_a_task_has_to_be_named() -> None:
    """D4RL's loader has one set for each."""
    with pytest.raises(UsageError, match="--task"):
        load("legacy")


def test_without_the_environment_its_installation_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One MissingDependency, in whatever place the data are asked for."""
    monkeypatch.setenv("DTCLAIMS_LEGACY", str(tmp_path / "absent"))
    for ask in (lambda: load("legacy", "hopper"), lambda: find_data("hopper", SCALES["mini"], "legacy")):
        with pytest.raises(MissingDependency, match=r"no legacy environment is installed.*dtclaims legacy install"):
            ask()


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The reader run here, with packages that the test writes in the places of gym and d4rl, and numpy called 1.26."""
    packages = tmp_path / "packages"
    (packages / "d4rl").mkdir(parents=True)
    (packages / "gym.py").write_text("def make(name):\n    raise KeyError(name)\n")
    (packages / "d4rl" / "__init__.py").touch()
    (packages / "d4rl" / "gym_mujoco.py").touch()
    monkeypatch.syspath_prepend(packages)
    for name in ("gym", "d4rl", "d4rl.gym_mujoco", *reader.OTHERS):
        # Set and taken away, so that what the reader puts there is taken away in the end.
        monkeypatch.setitem(sys.modules, name, sys)
        del sys.modules[name]
    monkeypatch.setattr(np, "__version__", "1.26.4")
    monkeypatch.setattr(environment, "ready", lambda: tmp_path)

    def asked(_: Path, name: str, folder: Path) -> Any:
        reader.main(name, str(folder))
        return reader.json.loads((folder / "said.json").read_text())

    monkeypatch.setattr(legacy, "_asked", asked)
    return packages


IMPORTS = {
    "no d4rl": ("d4rl/__init__.py", "raise ModuleNotFoundError(\"No module named 'tqdm'\")", "No module named 'tqdm'"),
    "no MuJoCo": (
        "d4rl/gym_mujoco.py",
        'raise Exception("\\nYou appear to be missing MuJoCo.\\nWe expected it in ~/.mujoco")',
        "Exception: You appear to be missing MuJoCo. We expected",
    ),
    "gym on numpy 2": ("gym.py", "import numpy; numpy.bool8x", "AttributeError: module 'numpy' has no attribute"),
}


@pytest.mark.parametrize("case", IMPORTS)
def test_packages_that_fail_are_named(stand_in: Path, case: str) -> None:
    """Whatever kind of error a package's import raises: one MissingDependency with its words and the way to mend it."""
    file, text, words = IMPORTS[case]
    (stand_in / file).write_text(text)
    with pytest.raises(MissingDependency) as caught:
        load("legacy", "hopper")
    assert caught.value.problem == "d4rl cannot be imported in the legacy environment"
    assert words in str(caught.value)
    assert caught.value.remedy == environment.ANEW


def test_packages_of_other_tasks_are_not_asked_for(stand_in: Path) -> None:
    """mjrl, dm_control and pybullet, which d4rl imports where they are: broken ones do not matter, and absent ones hide
    the paper's tasks from `import d4rl`, but not from the reader."""
    for name in reader.OTHERS:
        (stand_in / f"{name}.py").write_text("raise AttributeError('broken')")
    lines = [f"try:\n    import {name}\nexcept ImportError:\n    pass\n" for name in reader.OTHERS]
    (stand_in / "d4rl" / "__init__.py").write_text("".join(lines))
    with pytest.raises(MissingDependency, match=r"gym does not make hopper-medium-v2.*KeyError: 'hopper-medium-v2'"):
        load("legacy", "hopper")


@pytest.mark.usefixtures("stand_in")
def test_numpy_2_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is imported that fails with it."""
    monkeypatch.setattr(np, "__version__", "2.4.6")
    with pytest.raises(MissingDependency, match=r"has numpy 2, which .*: got numpy 2\.4\.6, expected numpy 1\.26"):
        load("legacy", "hopper")


PROGRAMS = {
    "killed": ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "status -9: no word"),
    "failing": ("import sys; sys.exit('No space left')", "status 1: No space left"),
    "silent": ("", "status 0: no word"),
    "hanging": ("import time; time.sleep(60)", r"no answer in 0\.5 s"),
    "not there": (None, "No such file or directory"),
}


@pytest.mark.parametrize("case", PROGRAMS)
def test_a_reader_that_does_not_answer_is_one_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: str) -> None:
    """Killed, failing, silent, hanging, or no Python at all; nothing is left in the folder of temporary files."""
    program, message = PROGRAMS[case]
    python = [sys.executable, "-c", program] if program is not None else [str(tmp_path / "absent")]
    monkeypatch.setattr(environment, "ready", lambda: tmp_path)
    monkeypatch.setattr(environment, "python", lambda _: python)
    monkeypatch.setattr(legacy, "TIMEOUT", 0.5 if case == "hanging" else 60.0)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    before, started = sorted(os.listdir(tmp_path)), time.monotonic()
    with pytest.raises(MissingDependency, match=rf"does not run in the legacy environment: got .*{message}"):
        load("legacy", "hopper")
    assert time.monotonic() - started < 30
    assert sorted(os.listdir(tmp_path)) == before
