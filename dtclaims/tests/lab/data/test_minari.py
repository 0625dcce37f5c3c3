"""Minari's layout, read and written without Minari."""

import json
import sys
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dtclaims.errors import DataError, MissingDependency, UsageError, WrongTask
from dtclaims.harness.commands.main import main
from dtclaims.lab.data.hdf5 import save_hdf5
from dtclaims.lab.data.minari import load_minari, save_minari
from dtclaims.lab.data.sources import load
from dtclaims.lab.design.scales import SCALES
from dtclaims.lab.design.tasks import TASKS
from dtclaims.lab.inputs import find_data
from dtclaims.tests.support.examples import made_up


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A Minari root of the test's own."""
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "minari"))
    return tmp_path / "minari"


def as_minari(folder: Path, lengths: list[int], *, task: str = "hopper", unfinished: bool = False) -> Any:
    """A data set as Minari's own collector writes it: float64 observations and rewards, T + 1 observations, infos."""
    data = made_up(lengths, TASKS[task])
    (folder / "data").mkdir(parents=True)
    with h5py.File(folder / "data" / "main_data.hdf5", "w", track_order=True) as file:
        for index, one in enumerate(data.slices()):
            group = file.create_group(f"episode_{index}")
            last = index == len(lengths) - 1 and unfinished
            ends = np.arange(one.start, one.stop) == one.stop - 1
            group["observations"] = np.concatenate([data.observations[one], np.ones((1, data.task.state_dim))])
            group["actions"] = data.actions[one]
            group["rewards"] = data.rewards[one].astype(np.float64)
            group["terminations"] = ends & data.terminated[index] & (not last)
            group["truncations"] = ends & ~data.terminated[index] & (not last)
            group.create_group("infos")["x_position"] = np.zeros(one.stop - one.start + 1)
    metadata = {
        "total_episodes": len(lengths),
        "data_format": "hdf5",
        "dataset_id": f"mujoco/{task}/medium-v0",
        "minari_version": "0.5.4",
        "env_spec": json.dumps({"id": TASKS[task].gym_id.replace("v4", "v5")}),
    }
    (folder / "data" / "metadata.json").write_text(json.dumps(metadata))
    return data


def test_minaris_own_layout_is_read(root: Path) -> None:
    """By id, by folder, by its data folder and by its main file: the same content, without the last observations."""
    folder = root / "mujoco" / "hopper" / "medium-v0"
    # Twelve episodes: episode_10 comes after episode_9, not after episode_1.
    data = as_minari(folder, [3, 4, 2, 5, 1, 2, 3, 4, 5, 6, 7, 8])
    for source in ("mujoco/hopper/medium-v0", folder, folder / "data", folder / "data" / "main_data.hdf5"):
        back = load(source)
        assert back.sha256 == data.sha256
        assert back.task is TASKS["hopper"]
        assert back.provenance["environment"] == "Hopper-v5"


def as_minari_04(folder: Path, lengths: list[int], **attributes: Any) -> Any:
    """The same set as Minari 0.4.3 writes it: its metadata are attributes of the file."""
    data = as_minari(folder, lengths)
    path = folder / "data" / "metadata.json"
    metadata = json.loads(path.read_text())
    path.unlink()
    with h5py.File(folder / "data" / "main_data.hdf5", "r+") as file:
        del metadata["data_format"]
        stated = (
            metadata | {"minari_version": "~=0.4", "total_steps": sum(lengths), "algorithm_name": "SAC"} | attributes
        )
        file.attrs.update({name: value for name, value in stated.items() if value is not None})
        for index, length in enumerate(lengths):
            file[f"episode_{index}"].attrs.update(id=index, total_steps=length, seed=index, rewards_max=1.0)
    return data


def test_the_layout_of_minari_04_is_read(root: Path) -> None:
    """Attributes in the place of metadata.json: the same content and the same provenance; an attribute that is missing
    says nothing, and the folder's name serves as the set's."""
    lengths = [3, 4, 2, 5, 1, 2, 3, 4, 5, 6, 7, 8]
    as_minari(root / "new" / "hopper-v0", lengths)
    data = as_minari_04(root / "old" / "hopper-v0", lengths)
    new, old = load("new/hopper-v0"), load("old/hopper-v0")
    assert new.sha256 == old.sha256 == data.sha256
    assert new.provenance == old.provenance
    as_minari_04(root / "bare" / "hopper-v0", lengths, dataset_id=None, env_spec=None, total_episodes=None)
    assert load("bare/hopper-v0").provenance["dataset"] == "hopper-v0"


def test_episodes_of_minari_04_may_lie_in_further_files(root: Path) -> None:
    """Up to 0.4.2, collecting in turns made links to `additional_data_0.hdf5`; without that file it is named."""
    folder = root / "hopper-v0" / "data"
    data = as_minari_04(root / "hopper-v0", [3, 4, 5])
    with h5py.File(folder / "main_data.hdf5", "r+") as file:
        with h5py.File(folder / "additional_data_0.hdf5", "w") as other:
            file.copy("episode_2", other, "episode_0")
        del file["episode_2"]
        file["episode_2"] = h5py.ExternalLink("additional_data_0.hdf5", "/episode_0")
    assert load("hopper-v0").sha256 == data.sha256
    (folder / "additional_data_0.hdf5").unlink()
    with pytest.raises(DataError, match=r"lie in files that are not here: got 1 missing: .*/additional_data_0\.hdf5"):
        load("hopper-v0")


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({"total_episodes": 7}, "episodes that its metadata counts: got 2, expected 7"),
        ({"total_episodes": [2, 2]}, "cannot read|metadata counts"),
        ({"total_episodes": "two"}, "episodes that its metadata counts"),
        ({"env_spec": b"\xff", "dataset_id": "x"}, "does not say its task"),
        ({"env_spec": 3, "dataset_id": 4}, "does not say its task"),
    ],
)
def test_attributes_of_another_kind_are_refused(root: Path, attributes: dict[str, Any], message: str) -> None:
    """Whatever an attribute holds, it is one DataError or says nothing."""
    folder = root / "mine-v0"
    as_minari(folder, [3, 4], task="walker2d")
    (folder / "data" / "metadata.json").unlink()
    with h5py.File(folder / "data" / "main_data.hdf5", "r+") as file:
        file.attrs.update({"minari_version": "~=0.4"} | attributes)
    with pytest.raises(DataError, match=message):
        load("mine-v0")


@pytest.mark.parametrize("storage", ["arrow", "parquet"])
def test_other_storages_are_refused_by_name(root: Path, storage: str) -> None:
    """A folder per episode, as Minari 0.5 lays arrow and parquet out: what it is, and what converts it; by id, by
    folder and in a folder of several sets."""
    folder = root / "hopper" / "medium-v0" / "data"
    (folder / "0").mkdir(parents=True)
    (folder / "0" / f"part-0.{storage}").write_bytes(b"ARROW1")
    (folder / "metadata.json").write_text(json.dumps({"data_format": storage, "total_episodes": 1}))
    for source in ("hopper/medium-v0", folder, folder.parent):
        with pytest.raises(DataError, match=rf"not stored as HDF5: got .*'{storage}'.*update_from_storage"):
            load(source, "hopper")
    (root / "hopper").rename(root / "sets")
    (root / "sets" / "medium-v0").rename(root / "sets" / "hopper-medium-v0")
    with pytest.raises(DataError, match="not stored as HDF5"):
        load(root / "sets", "hopper")


def test_a_set_of_another_version_of_the_task_says_so(root: Path) -> None:
    """Minari's own sets are of v5, which is neither our v4 nor gym's v2: the provenance says it, and so does the name
    that a report calls the data by. Sets of ours and of v2 say nothing."""
    as_minari(root / "mujoco" / "hopper" / "medium-v0", [3, 4])
    data = load("mujoco/hopper/medium-v0")
    assert data.provenance["collected_in"] == "Hopper-v5"
    assert data.provenance["note"] == "Hopper-v5 is another simulator than Hopper-v4, and than gym's v2"
    found = find_data("hopper", SCALES["mini"], str(root / "mujoco" / "hopper" / "medium-v0"))
    assert isinstance(found, dict)
    assert found["name"] == "medium-v0 (collected in Hopper-v5)"
    path = root / "mujoco" / "hopper" / "medium-v0" / "data" / "metadata.json"
    for version in ("v4", "v2"):
        path.write_text(
            path.read_text().replace("Hopper-v5", f"Hopper-{version}").replace("Hopper-v4", f"Hopper-{version}")
        )
        assert "collected_in" not in load("mujoco/hopper/medium-v0").provenance
    save_minari(data, root / "again-v0")
    assert load("again-v0").provenance == data.provenance


@pytest.mark.parametrize("environment", ["Ant-v5", "InvertedPendulum-v5", "HumanoidStandup-v4"])
def test_sets_of_other_mujoco_tasks_are_named(root: Path, environment: str) -> None:
    """Of none of the three tasks, also where the task is asked for and the widths happen to fit."""
    as_minari(root / "mujoco" / "other" / "expert-v0", [3, 4])
    path = root / "mujoco" / "other" / "expert-v0" / "data" / "metadata.json"
    path.write_text(path.read_text().replace("Hopper-v5", environment).replace("hopper", "other"))
    for task in ("hopper", None):
        with pytest.raises(WrongTask, match=f"none of the paper's tasks: got {environment}, expected one of hopper"):
            load("mujoco/other/expert-v0", task)


def test_an_unfinished_episode_is_dropped_and_counted(root: Path) -> None:
    """An episode that neither ended nor was cut off is no whole trajectory."""
    as_minari(root / "hopper-v0", [3, 4, 5], unfinished=True)
    data = load(root / "hopper-v0")
    assert list(data.lengths) == [3, 4]
    assert data.provenance["dropped_tail_steps"] == 5


@settings(max_examples=15)
@given(st.lists(st.integers(1, 12), min_size=1, max_size=14), st.sampled_from(sorted(TASKS)))
def test_there_and_back_to_the_bit(tmp_path_factory: pytest.TempPathFactory, lengths: list[int], task: str) -> None:
    """HDF5 → Minari → HDF5 gives the same file, byte for byte."""
    folder = tmp_path_factory.mktemp("set")
    save_hdf5(made_up(lengths, TASKS[task]), folder / "first.hdf5")
    save_minari(load(folder / "first.hdf5"), folder / "set-v0")
    save_hdf5(load(folder / "set-v0"), folder / "second.hdf5")
    assert (folder / "first.hdf5").read_bytes() == (folder / "second.hdf5").read_bytes()


def test_there_and_back_on_the_command_line(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`dtclaims data export` in both directions; under Minari's root the id finds the set again."""
    save_hdf5(made_up([4, 6]), tmp_path / "hopper.hdf5")
    to = str(root / "mine" / "hopper-medium-v0")
    assert main(["data", "export", str(tmp_path / "hopper.hdf5"), "--to", "minari", "--out", to]) == 0
    assert "Minari id mine/hopper-medium-v0" in capsys.readouterr().out
    back = tmp_path / "back.hdf5"
    assert main(["data", "export", "mine/hopper-medium-v0", "--to", "hdf5", "--out", str(back)]) == 0
    assert back.read_bytes() == (tmp_path / "hopper.hdf5").read_bytes()


def test_the_export_is_what_minari_asks_for(tmp_path: Path) -> None:
    """T + 1 observations, the last one a copy and said to be; the metadata that Minari's reader looks up."""
    data = made_up([4, 6])
    assert save_minari(data, tmp_path / "hopper-medium-v0") == "hopper-medium-v0"
    folder = tmp_path / "hopper-medium-v0" / "data"
    with h5py.File(folder / "main_data.hdf5") as file:
        observations = file["episode_1/observations"][:]
        np.testing.assert_array_equal(observations[:-1], data.observations[4:])
        np.testing.assert_array_equal(observations[-1], observations[-2])
        assert (file["episode_1"].attrs["id"], file["episode_1"].attrs["total_steps"]) == (1, 6)
        assert list(file["episode_1/truncations"]) == [False] * 5 + [True]
    metadata = json.loads((folder / "metadata.json").read_text())
    assert metadata["dataset_id"] == "hopper-medium-v0"
    assert (metadata["total_episodes"], metadata["total_steps"], metadata["data_format"]) == (2, 10, "hdf5")
    assert json.loads(metadata["observation_space"])["shape"] == [11]
    assert json.loads(metadata["env_spec"])["id"] == "Hopper-v4"
    assert "not recorded" in metadata["description"]


def test_names_minari_would_refuse(tmp_path: Path) -> None:
    """A folder without a version, or one that is taken, is refused before anything is written."""
    with pytest.raises(UsageError, match="NAME-v0"):
        save_minari(made_up([4]), tmp_path / "set")
    (tmp_path / "set-v0").mkdir()
    with pytest.raises(UsageError, match="exists"):
        save_minari(made_up([4]), tmp_path / "set-v0")
    assert [path.name for path in tmp_path.iterdir()] == ["set-v0"]


def replaced(group: h5py.Group, key: str, value: Any) -> None:
    del group[key]
    group[key] = value


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda group: group.pop("rewards"), "episode 1 of .* lacks rewards"),
        (lambda group: replaced(group, "observations", np.zeros((4, 11))), r"observations of episode 1 .* expected 5"),
        (lambda group: replaced(group, "actions", np.zeros((3, 3))), "differ in length"),
        (lambda group: replaced(group, "actions", np.full((4, 3), 1.5)), "actions leave"),
        (lambda group: replaced(group, "rewards", np.full(4, -np.inf)), "rewards hold NaN or infinity"),
        (lambda group: replaced(group, "terminations", np.ones(4, bool)), "goes on after its end"),
        (lambda group: group.parent.move("episode_1", "other"), "episodes that its metadata counts: got 2, expected 3"),
        (lambda group: (group.pop("observations"), group.create_group("observations")), "lacks observations"),
    ],
)
def test_each_fault_is_named(root: Path, damage: Any, message: str) -> None:
    """One DataError says which episode is wrong and how."""
    as_minari(root / "hopper-v0", [3, 4, 5])
    with h5py.File(root / "hopper-v0" / "data" / "main_data.hdf5", "r+") as file:
        damage(file["episode_1"])
    with pytest.raises(DataError, match=message):
        load(root / "hopper-v0")


def test_an_empty_episode_is_refused(root: Path) -> None:
    """Zero steps and one observation: nothing to sample from."""
    as_minari(root / "hopper-v0", [3, 4])
    with h5py.File(root / "hopper-v0" / "data" / "main_data.hdf5", "r+") as file:
        for key in file["episode_1"]:
            if key != "infos":
                replaced(file["episode_1"], key, file["episode_1"][key][: int(key == "observations")])
    with pytest.raises(DataError, match=r"episode 1 of .* is empty"):
        load(root / "hopper-v0")


def test_truncated_and_altered_sets_are_refused(root: Path, tmp_path: Path) -> None:
    """Half a file, no metadata, another storage, or content that is not the recorded one."""
    main_file = tmp_path / "hopper-v0" / "data" / "main_data.hdf5"
    save_minari(made_up([4, 6]), tmp_path / "hopper-v0")
    with h5py.File(main_file, "r+") as file:
        file["episode_0/rewards"][0] += 1
    with pytest.raises(DataError, match="not the file that was written"):
        load(tmp_path / "hopper-v0")
    main_file.write_bytes(main_file.read_bytes()[:2000])
    with pytest.raises(DataError, match="cannot read"):
        load(tmp_path / "hopper-v0")
    metadata = tmp_path / "hopper-v0" / "data" / "metadata.json"
    for text, message in (
        ('{"data_format": "arrow"}', "not stored as HDF5: got Minari's storage 'arrow'"),
        ("[" * 100_000, "cannot read"),
        ("[]", "no Minari metadata"),
        ('{"dtclaims": {"provenance": 1}}', "no Minari metadata"),
        ("{", "cannot read"),
    ):
        metadata.write_text(text)
        with pytest.raises(DataError, match=message):
            load(tmp_path / "hopper-v0")
    metadata.unlink()
    save_minari(made_up([4, 6]), tmp_path / "walker-v0")
    (tmp_path / "walker-v0" / "data" / "metadata.json").unlink()
    with pytest.raises(DataError, match=r"no Minari metadata: got neither metadata\.json nor attributes.*Minari 0\.4"):
        load(tmp_path / "walker-v0")
    with pytest.raises(DataError, match="no Minari data set"):
        load_minari(tmp_path)


def test_the_environment_tells_the_task(root: Path) -> None:
    """A set that names no task is known by its environment; another task is refused."""
    as_minari(root / "mine-v0", [3, 4], task="walker2d")
    path = root / "mine-v0" / "data" / "metadata.json"
    path.write_text(path.read_text().replace("mujoco/walker2d/medium-v0", "mine-v0"))
    assert load("mine-v0").task is TASKS["walker2d"]
    with pytest.raises(WrongTask, match="expected halfcheetah"):
        load("mine-v0", "halfcheetah")


MINARI = """
import shutil, os
def download_dataset(name):
    if name == "mujoco/hopper/absent-v0":
        raise ValueError("doesn't exist in the remote Farama server")
    shutil.copytree(SOURCE, os.path.join(os.environ["MINARI_DATASETS_PATH"], name))
"""


def test_remote_ids_are_left_to_minari(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without Minari: which package is missing. With it: its own download, its own reason if that fails."""
    monkeypatch.setitem(sys.modules, "minari", None)
    with pytest.raises(MissingDependency, match=r"Minari is not installed.*pip install minari"):
        load("mujoco/hopper/medium-v0")
    monkeypatch.delitem(sys.modules, "minari")
    monkeypatch.syspath_prepend(tmp_path)
    data = as_minari(tmp_path / "remote", [3, 4])
    (tmp_path / "minari.py").write_text(f"SOURCE = {str(tmp_path / 'remote')!r}\n{MINARI}")
    try:
        assert load("mujoco/hopper/medium-v0").sha256 == data.sha256
        with pytest.raises(DataError, match=r"could not download.*remote Farama server"):
            load("mujoco/hopper/absent-v0")
    finally:
        sys.modules.pop("minari", None)
