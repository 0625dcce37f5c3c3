"""Trajectories in memory and on disk."""

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from dtclaims.errors import DataError
from dtclaims.lab.data.hdf5 import KEYS, load_hdf5, save_hdf5
from dtclaims.lab.data.trajectories import Trajectories, return_to_go
from dtclaims.lab.design.tasks import get_task
from dtclaims.tests.support.examples import made_up

rewards = arrays(np.float32, st.integers(1, 60), elements=st.floats(-100, 100, width=32))


@given(rewards)
def test_return_to_go_rolls_forward(values: np.ndarray) -> None:
    """R_t = r_t + R_{t+1} at every step, and the last one is the last reward: what a roll-out subtracts."""
    to_go = return_to_go(values)
    assert to_go[-1] == values[-1]
    np.testing.assert_allclose(to_go[:-1] - values[:-1], to_go[1:], atol=2e-3)


@given(rewards, st.data())
def test_return_to_go_of_a_slice_is_the_slice(values: np.ndarray, data: st.DataObject) -> None:
    """Return-to-go seen from a later start equals the tail of the whole trajectory's, exactly."""
    start = data.draw(st.integers(0, len(values) - 1))
    np.testing.assert_array_equal(return_to_go(values[start:]), return_to_go(values)[start:])


def test_returns_and_slices_belong_to_trajectories() -> None:
    """Returns, slices and return-to-go respect the trajectories' borders."""
    data = made_up([3, 1, 5])
    parts = [data.rewards[one] for one in data.slices()]
    assert [len(part) for part in parts] == [3, 1, 5]
    np.testing.assert_allclose(data.returns, [part.sum() for part in parts], rtol=1e-5)
    np.testing.assert_allclose(data.returns_to_go[data.starts] * 1000, data.returns, rtol=1e-5)


def test_hdf5_round_trip(tmp_path: Path) -> None:
    """Writing and reading gives the same content, ends and provenance."""
    data = made_up([4, 2, 7])
    save_hdf5(data, tmp_path / "set.hdf5")
    back = load_hdf5(tmp_path / "set.hdf5")
    assert back.sha256 == data.sha256
    assert back.task is data.task
    np.testing.assert_array_equal(back.terminated, data.terminated)
    assert [path.name for path in tmp_path.iterdir()] == ["set.hdf5"]


def test_unfinished_tail_is_dropped_and_counted(tmp_path: Path) -> None:
    """Steps after the last end belong to no whole trajectory (protocol §1)."""
    path = tmp_path / "set.hdf5"
    save_hdf5(made_up([4, 6]), path)
    with h5py.File(path, "r+") as file:
        del file.attrs["sha256"]
        for key in ("terminals", "timeouts"):
            file[key][4:] = False
    data = load_hdf5(path)
    assert list(data.lengths) == [4]
    assert data.provenance["dropped_tail_steps"] == 6


def without_rewards(file: h5py.File) -> None:
    del file["rewards"]


def shorter_rewards(file: h5py.File) -> None:
    values = file["rewards"][:-1]
    del file["rewards"]
    file["rewards"] = values


def nan_reward(file: h5py.File) -> None:
    file["rewards"][0] = np.nan


def large_action(file: h5py.File) -> None:
    file["actions"][0, 0] = 1.5


def no_end(file: h5py.File) -> None:
    file["terminals"][:] = False
    file["timeouts"][:] = False


def other_width(file: h5py.File) -> None:
    values = file["observations"][:, :-1]
    del file["observations"]
    file["observations"] = values


def other_content(file: h5py.File) -> None:
    file["rewards"][0] = file["rewards"][0] + 1


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (without_rewards, "lacks rewards"),
        (shorter_rewards, "differ in length"),
        (nan_reward, "NaN or infinity"),
        (large_action, "leave"),
        (no_end, "no complete trajectory"),
        (other_width, "wrong shape"),
        (other_content, "not the file that was written"),
    ],
)
def test_damaged_files_are_named(tmp_path: Path, damage: Any, message: str) -> None:
    """Each way a file can be wrong is one DataError that says which."""
    path = tmp_path / "set.hdf5"
    save_hdf5(made_up([4, 6]), path)
    with h5py.File(path, "r+") as file:
        damage(file)
    with pytest.raises(DataError, match=message):
        load_hdf5(path)


def test_truncated_file_is_a_data_error(tmp_path: Path) -> None:
    """A download that stopped half-way is named as such."""
    path = tmp_path / "set.hdf5"
    save_hdf5(made_up([400, 600]), path)
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(DataError, match="cannot read"):
        load_hdf5(path)


def test_unwritable_place_leaves_nothing(tmp_path: Path) -> None:
    """A set that cannot be written is a DataError and leaves no partial file."""
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot write"):
        save_hdf5(made_up([4, 6]), tmp_path / "file" / "set.hdf5")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_keys_are_d4rls() -> None:
    """The layout is D4RL's, so its own tools read our files."""
    assert KEYS == ("observations", "actions", "rewards", "terminals", "timeouts")


def test_empty_trajectory_is_refused() -> None:
    """An episode without steps cannot be sampled from."""
    good = made_up([4])
    with pytest.raises(DataError, match="lengths"):
        Trajectories(
            get_task("hopper"),
            good.observations,
            good.actions,
            good.rewards,
            np.array([4, 0]),
            np.array([True, True]),
        )
