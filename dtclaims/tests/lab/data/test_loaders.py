"""Every source through one entry: recognised by content, cut by one rule, refused by one kind of error."""

import os
import resource
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dtclaims.errors import DataError, DtclaimsError, UsageError, WrongTask
from dtclaims.harness.commands.main import main
from dtclaims.lab.data import collect as collecting
from dtclaims.lab.data.collect import collect_to, collected_path, obtain, shipped_recipe
from dtclaims.lab.data.hdf5 import check_room, load_hdf5, save_hdf5
from dtclaims.lab.data.sources import d4rl_root, in_folder, load, search, unlike_d4rl
from dtclaims.lab.design.tasks import TASKS, SetFacts
from dtclaims.tests.support.d4rl import as_d4rl
from dtclaims.tests.support.examples import damaged, made_up

HOPPER, CHEETAH, WALKER = (TASKS[name] for name in ("hopper", "halfcheetah", "walker2d"))


# --- D4RL's files -----------------------------------------------------------------------------------


@pytest.mark.parametrize("flat", [True, False])
def test_d4rls_own_files_are_read(tmp_path: Path, flat: bool) -> None:
    """Extra groups are ignored, float64 is rounded once, (N, 1) columns are flattened, the tail is counted."""
    written = as_d4rl(tmp_path / "hopper_medium-v2.hdf5", [4, 7, 2], tail=5, flat=flat)
    data = load(tmp_path / "hopper_medium-v2.hdf5")
    assert data.task is HOPPER
    assert list(data.lengths) == [4, 7, 2]
    assert list(data.terminated) == [True, False, True]
    assert data.provenance["dropped_tail_steps"] == 5
    np.testing.assert_array_equal(data.observations, written.observations[:13])
    np.testing.assert_array_equal(data.rewards, written.rewards[:13])


def test_a_terminal_on_a_time_out_is_a_terminal(tmp_path: Path) -> None:
    """Where both flags are set the environment ended the episode; it is one end, not two."""
    as_d4rl(tmp_path / "hopper.hdf5", [4, 7])
    with h5py.File(tmp_path / "hopper.hdf5", "r+") as file:
        file["terminals"][10] = True
    data = load(tmp_path / "hopper.hdf5")
    assert list(data.lengths) == [4, 7]
    assert list(data.terminated) == [True, True]


def test_v0_files_are_refused_with_the_reason(tmp_path: Path) -> None:
    """Without time-outs the trajectories of v0 cannot be told apart: only v2 is supported."""
    as_d4rl(tmp_path / "hopper_medium.hdf5", [4, 7])
    with h5py.File(tmp_path / "hopper_medium.hdf5", "r+") as file:
        del file["timeouts"]
    with pytest.raises(DataError, match=r"lacks timeouts, as D4RL's v0.*Only the v2"):
        load(tmp_path / "hopper_medium.hdf5")


def replaced(file: h5py.File, key: str, value: Any) -> None:
    del file[key]
    file[key] = value


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda file: replaced(file, "rewards", np.full(11, np.inf)), "rewards hold NaN or infinity"),
        (lambda file: replaced(file, "rewards", np.full(11, 1e300)), "rewards hold NaN or infinity"),
        (lambda file: replaced(file, "rewards", np.zeros((11, 2))), "rewards of .* wrong shape"),
        (lambda file: replaced(file, "rewards", np.array(["x"] * 11, dtype="S1")), "not an array of numbers"),
        (lambda file: replaced(file, "terminals", np.zeros(10, dtype=bool)), "differ in length"),
        (lambda file: replaced(file, "actions", np.full((11, 3), -1.01)), "actions leave"),
        (lambda file: replaced(file, "observations", np.zeros((11, 12))), "observations of hopper .* wrong shape"),
        (lambda file: file.attrs.update(task="ant", sha256="0" * 64), "unknown task: got ant"),
        (lambda file: file.attrs.update(task="walker2d"), "belongs to another task: got walker2d, expected hopper"),
        (lambda file: file.attrs.update(sha256="0" * 64), "not the file that was written"),
        (lambda file: file.attrs.update(provenance="{", sha256="0" * 64), "cannot read"),
        (lambda file: file.attrs.update(provenance="[]", sha256="0" * 64), "provenance is no JSON object"),
        (lambda file: (file.pop("actions"), file.create_group("actions")), "lacks actions"),
    ],
)
def test_each_fault_is_named(tmp_path: Path, damage: Any, message: str) -> None:
    """One DataError says which array is wrong and how."""
    as_d4rl(tmp_path / "hopper.hdf5", [4, 7])
    with h5py.File(tmp_path / "hopper.hdf5", "r+") as file:
        damage(file)
    with pytest.raises(DataError, match=message):
        load(tmp_path / "hopper.hdf5", "hopper")


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("sound") / "set.hdf5"
    save_hdf5(made_up([30, 40]), path)
    return path.read_bytes()


@settings(max_examples=60)
@given(st.data())
def test_a_damaged_file_is_an_error_or_the_same_content(
    sound: bytes, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Cut anywhere, or with any byte altered: a typed error, or content with the recorded digest; never other data."""
    path = tmp_path_factory.mktemp("damaged") / "hopper.hdf5"
    path.write_bytes(damaged(data, sound))
    try:
        back = load(path)
    except DtclaimsError:
        return
    assert back.sha256 == made_up([30, 40]).sha256


# --- recognising ------------------------------------------------------------------------------------


def test_the_suffix_does_not_matter(tmp_path: Path) -> None:
    """HDF5 is recognised by its first bytes."""
    save_hdf5(made_up([4, 6]), tmp_path / "data.bin")
    assert load(tmp_path / "data.bin").sha256 == made_up([4, 6]).sha256


@pytest.mark.parametrize("content", [b"", b"<html>404", b"PK\x03\x04 zip"])
def test_other_files_are_refused(tmp_path: Path, content: bytes) -> None:
    """A web page saved under a data file's name is named as such."""
    (tmp_path / "hopper_medium-v2.hdf5").write_bytes(content)
    with pytest.raises(DataError, match="no known format"):
        load(tmp_path / "hopper_medium-v2.hdf5")


def test_nothing_there_is_a_usage_error(tmp_path: Path) -> None:
    """A path that does not exist, and a task that does not."""
    with pytest.raises(UsageError, match="no such data"):
        load(tmp_path / "absent.hdf5")
    with pytest.raises(UsageError, match="unknown task"):
        load(tmp_path, "ant")


def test_the_task_is_never_guessed_between_two(tmp_path: Path) -> None:
    """HalfCheetah and Walker2d have equal widths: without a name there is an error, not a guess."""
    for task in (HOPPER, WALKER):
        save_hdf5(made_up([4, 6], task), tmp_path / f"{task.state_dim}.hdf5")
        with h5py.File(tmp_path / f"{task.state_dim}.hdf5", "r+") as file:
            del file.attrs["task"], file.attrs["sha256"]
    assert load(tmp_path / "11.hdf5").task is HOPPER
    with pytest.raises(DataError, match="does not say its task"):
        load(tmp_path / "17.hdf5")
    assert load(tmp_path / "17.hdf5", WALKER).task is WALKER
    os.rename(tmp_path / "17.hdf5", tmp_path / "walker2d_medium.hdf5")
    assert load(tmp_path / "walker2d_medium.hdf5").task is WALKER
    with pytest.raises(WrongTask, match="walker2d, expected halfcheetah"):
        load(tmp_path / "walker2d_medium.hdf5", CHEETAH)


def test_a_folder_holds_one_file_per_task(tmp_path: Path) -> None:
    """The file with the task's name; among several the one called medium-v2; otherwise an error that lists them."""
    save_hdf5(made_up([4, 6]), tmp_path / "hopper_medium-v2.hdf5")
    save_hdf5(made_up([4, 6], WALKER), tmp_path / "walker2d.h5")
    assert load(tmp_path, "walker2d").task is WALKER
    assert in_folder(tmp_path, HOPPER).name == "hopper_medium-v2.hdf5"
    (tmp_path / "hopper_expert-v2.hdf5").touch()
    assert in_folder(tmp_path, HOPPER).name == "hopper_medium-v2.hdf5"
    (tmp_path / "hopper-medium-v2.pkl").touch()
    with pytest.raises(DataError, match=r"no single set of hopper: got hopper-medium-v2.pkl, hopper_medium-v2.hdf5"):
        in_folder(tmp_path, HOPPER)
    with pytest.raises(DataError, match="nothing with the task's name"):
        in_folder(tmp_path, CHEETAH)
    with pytest.raises(UsageError, match="folder of several files"):
        load(tmp_path)


def test_places_are_searched_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """DTCLAIMS_HOME/data, then D4RL's root, then the newest of Minari's."""
    monkeypatch.setenv("DTCLAIMS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("D4RL_DATASET_DIR", str(tmp_path / "d4rl"))
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))
    assert search(HOPPER) == []
    places = [
        tmp_path / "home/data/hopper_medium-v2.hdf5",
        tmp_path / "home/data/hopper-medium-v2.pkl",
        tmp_path / "d4rl/hopper_medium-v2.hdf5",
        tmp_path / "minari/mujoco/hopper/medium-v2/data/main_data.hdf5",
        tmp_path / "minari/mujoco/hopper/medium-v10/data/main_data.hdf5",
    ]
    for place in places:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.touch()
    assert search(HOPPER) == [*places[:3], places[4].parent.parent]
    monkeypatch.delenv("D4RL_DATASET_DIR")
    assert d4rl_root() == Path.home() / ".d4rl" / "datasets"


def test_d4rls_set_is_known_by_its_facts() -> None:
    """Counts are exact, returns to the printed digits; the first difference is named."""
    data = made_up([4, 6])
    facts = data.facts()
    printed = SetFacts(2, 10, *(round(getattr(facts, f"return_{name}"), 2) for name in ("mean", "std", "max", "min")))
    assert unlike_d4rl(replace(data, task=replace(HOPPER, medium=printed))) is None
    assert unlike_d4rl(data) == "trajectories 2 where D4RL's has 2186"
    shifted = replace(printed, return_std=printed.return_std + 0.1)
    assert "return std" in str(unlike_d4rl(replace(data, task=replace(HOPPER, medium=shifted))))


# --- collecting -------------------------------------------------------------------------------------


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A home of its own, and episodes of at most 30 steps."""
    monkeypatch.setenv("DTCLAIMS_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(collecting, "MAX_EPISODE_STEPS", 30)
    monkeypatch.setattr(collecting, "WAVE", 4)


@pytest.mark.usefixtures("short")
def test_collecting_is_deterministic(tmp_path: Path) -> None:
    """Same seed, any workers, cache or file: the same bytes. Another seed: other content. A longer set begins alike."""
    recipe = shipped_recipe("hopper", steps=150, seed=3)
    one = collect_to(tmp_path / "one.hdf5", recipe, workers=1)
    collect_to(tmp_path / "two.hdf5", recipe, workers=2)
    assert (tmp_path / "one.hdf5").read_bytes() == (tmp_path / "two.hdf5").read_bytes()
    cached = obtain(recipe)
    assert cached.sha256 == one.sha256
    assert collected_path(recipe).read_bytes() == (tmp_path / "one.hdf5").read_bytes()
    assert obtain(shipped_recipe("hopper", steps=150, seed=4)).sha256 != one.sha256
    longer = obtain(shipped_recipe("hopper", steps=400, seed=3))
    np.testing.assert_array_equal(longer.actions[: len(one.actions)], one.actions)
    assert 150 <= len(one.rewards) < 150 + 30


@pytest.mark.usefixtures("short")
def test_a_collected_file_says_where_it_comes_from(tmp_path: Path) -> None:
    """Policy, seed, simulator, version and the caveat about MuJoCo 2.1 stand in the file, in D4RL's layout."""
    recipe = shipped_recipe("hopper", steps=100)
    collect_to(tmp_path / "set.hdf5", recipe)
    with h5py.File(tmp_path / "set.hdf5") as file:
        assert set(file) == {"observations", "actions", "rewards", "terminals", "timeouts"}
    provenance = load(tmp_path / "set.hdf5").provenance
    assert provenance["policy_sha256"] == recipe.policy_sha256
    assert provenance["simulator"]["mujoco"] == "3.3.7"
    assert (provenance["seed"], provenance["level"], provenance["steps"]) == (0, "medium", 100)
    assert provenance["dtclaims"]
    assert "MuJoCo 2.1" in provenance["note"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["ant"], "unknown task"),
        (["hopper", "--level", "novice"], "no novice policy for hopper is shipped with this version: expected one of"),
        (["hopper", "--steps", "0"], "at least one step"),
        (["hopper", "--cores", "0"], "at least one core"),
    ],
)
def test_bad_requests_to_collect(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One line, exit code 2, and nothing is written."""
    # A set that is in the cache already is not collected, by however many workers.
    monkeypatch.setenv("DTCLAIMS_HOME", str(tmp_path / "home"))
    assert main(["data", "collect", *arguments, "--out", str(tmp_path / "set.hdf5")]) == 2
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("short")
def test_no_room_is_found_out_before_collecting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Too little space, a folder or an unwritable place: an error before the first step, nothing left behind."""
    monkeypatch.setattr(collecting, "collect", lambda *_, **__: pytest.fail("collected all the same"))
    recipe = shipped_recipe("hopper", steps=100)
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="cannot write"):
        collect_to(tmp_path / "file" / "set.hdf5", recipe)
    (tmp_path / "folder").mkdir()
    with pytest.raises(DataError, match="folder"):
        collect_to(tmp_path / "folder", recipe)
    with pytest.raises(DataError, match=r"too little space.*MB free"):
        check_room(tmp_path / "set.hdf5", 10**18)
    monkeypatch.setenv("DTCLAIMS_HOME", str(tmp_path / "file"))
    with pytest.raises(DataError, match="cannot write"):
        obtain(recipe)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder"]


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from dtclaims.lab.data.hdf5 import save_hdf5
from dtclaims.lab.data.minari import save_minari
from dtclaims.errors import DataError
from dtclaims.tests.support.examples import made_up
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
data = made_up([3000, 2000])
for limit in (0, 1000, 4096, 50_000, 200_000):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    for save, name in ((save_hdf5, "set.hdf5"), (save_minari, "set-v0")):
        try:
            save(data, Path(sys.argv[1]) / name)
        except DataError as error:
            assert "cannot write" in str(error), error
        else:
            raise AssertionError(f"{name} was written within {limit} bytes")
"""


def test_a_full_disk_leaves_nothing(tmp_path: Path) -> None:
    """Whenever the disk fills up: a DataError, no file under the name, no half of one beside it."""
    folder = tmp_path / "out"
    folder.mkdir()
    done = subprocess.run([sys.executable, "-c", FULL_DISK, str(folder)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert list(folder.iterdir()) == []
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY


def test_an_older_file_survives_a_failed_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was there before is untouched when the new content cannot be written."""
    save_hdf5(made_up([4, 6]), tmp_path / "set.hdf5")

    def full(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(h5py.File, "create_dataset", full)
    with pytest.raises(DataError, match="No space left"):
        save_hdf5(made_up([9, 9]), tmp_path / "set.hdf5")
    assert [path.name for path in tmp_path.iterdir()] == ["set.hdf5"]
    assert load_hdf5(tmp_path / "set.hdf5").sha256 == made_up([4, 6]).sha256


def test_info_prints_the_papers_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each set beside D4RL's values of its task, with the dropped tail."""
    as_d4rl(tmp_path / "hopper.hdf5", [4, 7, 2], tail=5)
    save_hdf5(made_up([4, 6], WALKER), tmp_path / "walker2d.hdf5")
    assert main(["data", "info", str(tmp_path / "hopper.hdf5"), str(tmp_path / "walker2d.hdf5")]) == 0
    rows = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    facts = load(tmp_path / "hopper.hdf5").facts()
    row = f"3 13 {facts.return_mean:.2f} ± {facts.return_std:.2f} {facts.return_max:.2f} {facts.return_min:.2f} 5"
    assert f"{tmp_path / 'hopper.hdf5'} {row}" in rows
    assert "D4RL hopper-medium-v2 2,186 999,906 1422.06 ± 378.95 3222.36 315.87" in rows
    assert "D4RL walker2d-medium-v2 1,190 999,995 2852.09 ± 1095.44 4226.94 -6.61" in rows
