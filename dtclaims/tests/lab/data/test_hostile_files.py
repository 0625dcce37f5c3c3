"""Files that ask for more than they hold, or lead out of themselves: one typed error, at once, whoever made them."""

import os
import pickle
import socket
import subprocess
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dtclaims.errors import DataError, DtclaimsError, UsageError
from dtclaims.lab.data import hdf5_reading
from dtclaims.lab.data.sources import load
from dtclaims.tests.support.d4rl import as_d4rl
from dtclaims.tests.support.examples import made_up, paths

LENGTHS = [4, 7]
LARGE = 2**40
"""Numbers that no machine has room for."""


def edited(folder: Path, change: Callable[[h5py.File], object]) -> Path:
    """A sound file in D4RL's layout, changed."""
    path = folder / "hopper.hdf5"
    as_d4rl(path, LENGTHS)
    with h5py.File(path, "r+") as file:
        change(file)
    return path


def in_place_of(file: h5py.File, name: str, **how: Any) -> None:
    del file[name]
    file.create_dataset(name, **how)


def external_storage(file: h5py.File) -> None:
    in_place_of(file, "rewards", shape=(11,), dtype="f4", external=[("/dev/zero", 0, 44)])


def virtual(file: h5py.File) -> None:
    layout = h5py.VirtualLayout(shape=(11,), dtype="f4")
    layout[:] = h5py.VirtualSource("/etc/hostname", "x", shape=(11,))
    del file["rewards"]
    file.create_virtual_dataset("rewards", layout)


def virtual_without_end(file: h5py.File) -> None:
    """To tell its size HDF5 looks for `block-0`, `block-1`, … until one is missing."""
    layout = h5py.VirtualLayout(shape=(1,), maxshape=(None,), dtype="f4")
    layout[0 : h5py.h5s.UNLIMITED : 1] = h5py.VirtualSource("block-%b.h5", "x", shape=(1,))
    del file["rewards"]
    file.create_virtual_dataset("rewards", layout)


def linked(link: Any, name: str = "rewards") -> Callable[[h5py.File], None]:
    def change(file: h5py.File) -> None:
        if name in file:
            del file[name]
        file[name] = link

    return change


def packed_by_a_stranger(file: h5py.File) -> None:
    made = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    made.set_chunk((11,))
    made.set_filter(32001, h5py.h5z.FLAG_OPTIONAL, (1, 2))
    del file["rewards"]
    h5py.h5d.create(file.id, b"rewards", h5py.h5t.IEEE_F32LE, h5py.h5s.create_simple((11,)), made)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (external_storage, r"rewards of .* kept in other files: got external storage"),
        (virtual, r"rewards of .* kept in other files: got a virtual data set"),
        (linked(h5py.ExternalLink("other.hdf5", "/rewards")), "rewards of .* is a link to somewhere else"),
        (linked(h5py.SoftLink("/actions")), "rewards of .* is a link to somewhere else"),
        (linked(h5py.SoftLink("/rewards")), "rewards of .* is a link to somewhere else"),
        (linked(h5py.ExternalLink("other.hdf5", "/"), "infos"), "infos of .* is a link to somewhere else"),
        (lambda file: in_place_of(file, "rewards", shape=(LARGE,), chunks=(8,), dtype="f8"), "rewards of .* too large"),
        (
            lambda file: in_place_of(file, "observations", shape=(11, LARGE), chunks=(8, 8), dtype="f8", compression=9),
            "observations of .* too large: got 1[0-9,]+ numbers in all, expected at most 268,435,456",
        ),
        (
            lambda file: in_place_of(file, "rewards", shape=(11,), maxshape=(None,), chunks=(2**29,), dtype="f4"),
            "rewards of .* too large",
        ),
        (lambda file: in_place_of(file, "rewards", data=[b"x"] * 11, dtype=h5py.string_dtype()), "not an array of num"),
        (
            lambda file: in_place_of(file, "rewards", shape=(11,), dtype=h5py.vlen_dtype(np.float32)),
            "rewards of .* not an array of numbers",
        ),
        (
            lambda file: in_place_of(file, "rewards", shape=(11,), dtype=np.dtype([("a", "f4"), ("b", "f4", (99,))])),
            "rewards of .* not an array of numbers",
        ),
        (lambda file: in_place_of(file, "rewards", shape=(11,), dtype=h5py.ref_dtype), "not an array of numbers"),
        (lambda file: in_place_of(file, "rewards", data=h5py.Empty("f4")), "rewards of .* not an array of numbers"),
        (packed_by_a_stranger, r"rewards of .* filter that is not installed here: got filter 32001 .*HDF5_PLUGIN_PATH"),
    ],
)
def test_what_a_file_claims_is_asked_before_it_is_believed(
    tmp_path: Path, change: Callable[[h5py.File], object], message: str
) -> None:
    """Storage elsewhere, links, declared giants, other things than numbers, unknown filters: named, and nothing of the
    size that the file claims is allocated."""
    path = edited(tmp_path, change)
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match=message):
            load(path, "hopper")
        assert tracemalloc.get_traced_memory()[1] < 64 * 2**20
    finally:
        tracemalloc.stop()


def test_a_link_to_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    """HDF5 opens the file that a link names as soon as it is asked whether the member is there."""
    os.mkfifo(tmp_path / "pipe")
    for name in ("rewards", "observations", "episode_0", "infos", "metadata"):
        path = edited(tmp_path, linked(h5py.ExternalLink(str(tmp_path / "pipe"), "/x"), name))
        if name == "episode_0":
            # What is not read is not followed.
            assert list(load(path, "hopper").lengths) == LENGTHS
            continue
        with pytest.raises(DataError, match="link to somewhere else"):
            load(path, "hopper")


def test_a_virtual_set_without_end_is_refused(tmp_path: Path) -> None:
    """Before its size is asked for."""
    with pytest.raises(DataError, match="virtual data set"):
        load(edited(tmp_path, virtual_without_end), "hopper")


def places(folder: Path) -> dict[str, Path]:
    """Paths that are no plain files."""
    os.mkfifo(folder / "pipe.hdf5")
    bound = socket.socket(socket.AF_UNIX)
    bound.bind(str(folder / "s.hdf5"))
    bound.close()
    (folder / "to-a-pipe.hdf5").symlink_to(folder / "pipe.hdf5")
    return {
        "a pipe": folder / "pipe.hdf5",
        "a socket": folder / "s.hdf5",
        "a device": Path("/dev/zero"),
        "a pipe ": folder / "to-a-pipe.hdf5",
    }


def test_what_is_no_plain_file_is_named(tmp_path: Path) -> None:
    """Pipes, sockets and devices are neither opened nor waited for, behind a symbolic link neither."""
    for kind, path in places(tmp_path).items():
        with pytest.raises(DataError, match=f"{path.name} is no plain file: got {kind.strip()}"):
            load(path, "hopper")
    with pytest.raises(DtclaimsError, match="no such data"):
        load("x" * 5000, "hopper")
    with pytest.raises(UsageError, match="no such data"):
        load("~nobody-of-that-name/set.hdf5", "hopper")
    (tmp_path / "set-v0" / "data").mkdir(parents=True)
    for name in ("main_data.hdf5", "metadata.json"):
        as_d4rl(tmp_path / "set-v0" / "data" / "main_data.hdf5", LENGTHS)
        (tmp_path / "set-v0" / "data" / name).unlink(missing_ok=True)
        os.mkfifo(tmp_path / "set-v0" / "data" / name)
        with pytest.raises(DataError):
            load(tmp_path / "set-v0", "hopper")
        (tmp_path / "set-v0" / "data" / name).unlink()


WRITER = """
import h5py, sys, time
file = h5py.File(sys.argv[1], "r+")
print("open", flush=True)
sys.stdin.read()
"""
CRASHED = """
import h5py, os, sys
file = h5py.File(sys.argv[1], "r+", libver="latest")
os._exit(0)
"""


def test_a_file_that_is_being_written_is_named(tmp_path: Path) -> None:
    """Another process has it open: that, and not a download that is incomplete; once it is closed it is read."""
    path = edited(tmp_path, lambda file: None)
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert writer.stdout is not None
    assert writer.stdout.readline() == "open\n"
    with pytest.raises(DataError, match=r"is locked: got another process has it open for writing"):
        load(path)
    writer.communicate("")
    assert list(load(path).lengths) == LENGTHS


def test_a_file_whose_writer_died_is_named(tmp_path: Path) -> None:
    """HDF5 leaves a mark in files of its newest layout; the remedy is the tool that takes it off."""
    path = tmp_path / "hopper.hdf5"
    as_d4rl(tmp_path / "old.hdf5", LENGTHS)
    with h5py.File(tmp_path / "old.hdf5") as old, h5py.File(path, "w", libver="latest") as file:
        for name in old:
            old.copy(name, file)
    subprocess.run([sys.executable, "-c", CRASHED, str(path)], check=True)
    with pytest.raises(DataError, match=r"was not closed by what wrote it.*h5clear"):
        load(path)


@pytest.mark.parametrize(
    "attributes",
    [
        {"task": "offline reinforcement learning"},
        {"task": np.arange(5)},
        {"task": np.zeros((50, 50)), "sha256": 7, "provenance": np.float32(1)},
        {"provenance": "by hand"},
        {"provenance": "[1, 2]"},
        {"sha256": "of something else"},
        {"provenance": "[" * 30_000},
        {"task": h5py.Empty("f4"), "author": "somebody", "units": np.array([b"m", b"s"])},
    ],
)
def test_attributes_of_others_are_left_alone(tmp_path: Path, attributes: dict[str, Any]) -> None:
    """Attributes that have our names and do not say what ours say mean something else: the set is read without them."""
    plain = load(edited(tmp_path, lambda file: None), "hopper")
    found = load(edited(tmp_path, lambda file: file.attrs.update(attributes)), "hopper")
    assert (found.sha256, found.provenance) == (plain.sha256, plain.provenance)


def test_groups_are_not_walked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However deep they are or however many there are; a group with too many episodes is refused by their number."""

    def deep(file: h5py.File) -> None:
        group = file
        for _ in range(2000):
            group = group.create_group("g")
        group["loop"] = file

    assert list(load(edited(tmp_path, deep), "hopper").lengths) == LENGTHS
    monkeypatch.setattr(hdf5_reading, "MOST_MEMBERS", 10)
    folder = tmp_path / "set-v0" / "data"
    folder.mkdir(parents=True)
    with h5py.File(folder / "main_data.hdf5", "w") as file:
        file.attrs["minari_version"] = "0.4"
        for index in range(11):
            file.create_group(f"episode_{index}")
    with pytest.raises(DataError, match="too many members in one group: got 11, expected at most 10"):
        load(tmp_path / "set-v0", "hopper")


def minari(folder: Path, change: Callable[[h5py.File], object], episodes: int = 3) -> Path:
    """A set in the layout of Minari 0.4, changed."""
    data = made_up([4] * episodes)
    (folder / "hopper-v0" / "data").mkdir(parents=True)
    with h5py.File(folder / "hopper-v0" / "data" / "main_data.hdf5", "w") as file:
        file.attrs["minari_version"] = "0.4"
        for index, one in enumerate(data.slices()):
            group = file.create_group(f"episode_{index}")
            group["observations"] = np.concatenate([data.observations[one], np.ones((1, 11))])
            group["actions"], group["rewards"] = data.actions[one], data.rewards[one]
            group["terminations"], group["truncations"] = np.arange(4) == 3, np.zeros(4, bool)
        change(file)
    return folder / "hopper-v0"


def test_episodes_are_taken_from_files_of_the_set_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Minari's sets may be spread over files beside them or in Minari's root; links to others, to pipes, and links of
    links are refused by name."""
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "root"))
    with h5py.File(tmp_path / "secret.hdf5", "w") as file:
        file["rewards"] = np.zeros(4)
    for number, place in enumerate(("../../../secret.hdf5", str(tmp_path / "secret.hdf5"))):
        link = linked(h5py.ExternalLink(place, "/episode_0"), "episode_1")
        with pytest.raises(DataError, match=r"links to a file outside of it: got .*secret\.hdf5"):
            load(minari(tmp_path / f"{number}", link), "hopper")
    folder = minari(tmp_path / "pipe", linked(h5py.ExternalLink("further.hdf5", "/episode_0"), "episode_1"))
    os.mkfifo(folder / "data" / "further.hdf5")
    with pytest.raises(DataError, match=r"further.hdf5 is no plain file: got a pipe"):
        load(folder, "hopper")
    (folder / "data" / "further.hdf5").unlink()
    with h5py.File(folder / "data" / "further.hdf5", "w") as file:
        file["episode_0"] = h5py.ExternalLink("main_data.hdf5", "/episode_0")
    with pytest.raises(DataError, match="link to somewhere else"):
        load(folder, "hopper")
    change = linked(h5py.ExternalLink("main_data.hdf5", "/episode_0/rewards"), "episode_1/rewards")
    folder = minari(tmp_path / "within", change)
    with pytest.raises(DataError, match=r"rewards of .* link to somewhere else"):
        load(folder, "hopper")


def test_one_array_in_many_episodes_counts_each_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name costs a few bytes in the file and an array in memory."""

    def again(file: h5py.File) -> None:
        for index in range(3, 60):
            file[f"episode_{index}"] = file["episode_0"]

    folder = minari(tmp_path, again)
    assert len(load(folder, "hopper").lengths) == 60
    monkeypatch.setattr(hdf5_reading.Room.__init__, "__defaults__", (4 * 17 * 30,))
    with pytest.raises(DataError, match="too large"):
        load(folder, "hopper")


kinds = st.sampled_from(["f2", "f4", "f8", "i1", "u8", "?", "S3", "c8", "V4"])
sizes = st.lists(st.sampled_from([0, 1, 3, 11, 2**20, 2**31, 2**62]), min_size=0, max_size=4)


@settings(max_examples=60, deadline=None)
@given(name=st.sampled_from(["observations", "actions", "rewards", "terminals", "timeouts"]), kind=kinds, size=sizes)
def test_any_declared_shape_and_type_is_a_set_or_a_typed_error(
    tmp_path_factory: pytest.TempPathFactory, name: str, kind: str, size: list[int]
) -> None:
    """Whatever an array of the file declares to be."""

    def change(file: h5py.File) -> None:
        del file[name]
        chunks = tuple(min(one, 4) or 1 for one in size) or None
        try:
            file.create_dataset(
                name, shape=tuple(size), dtype=kind, chunks=chunks, maxshape=(None,) * len(size) or None
            )
        except (ValueError, TypeError, OverflowError):
            # HDF5 itself does not write it.
            file.create_dataset(name, shape=(1,), dtype="f4")

    try:
        found = load(edited(tmp_path_factory.mktemp("any"), change), "hopper")
    except DtclaimsError:
        return
    assert len(found.rewards) == len(found.observations) <= 11


@pytest.mark.parametrize("value", [np.nan, np.inf, -1.0, 0.5, 2.0, 1.0000001])
@pytest.mark.parametrize("name", ["terminals", "timeouts"])
def test_flags_that_are_no_flags_are_refused(tmp_path: Path, name: str, value: float) -> None:
    """All but 0 and 1 are true to numpy, and would end episodes: in D4RL's layout, in Minari's and in pickles."""

    def change(file: h5py.File) -> None:
        flags = file[name][:].astype(np.float64)
        flags[2] = value
        del file[name]
        file[name] = flags

    with pytest.raises(DataError, match=rf"{name} of .* are no flags: got .* at step 2, 1 such in all"):
        load(edited(tmp_path, change), "hopper")

    def within(file: h5py.File) -> None:
        theirs = {"terminals": "terminations", "timeouts": "truncations"}[name]
        del file[f"episode_1/{theirs}"]
        file[f"episode_1/{theirs}"] = np.array([0, value, 0, 1])

    folder = minari(tmp_path, within)
    with pytest.raises(DataError, match=rf"{name} of episode 1 of .* are no flags: got .* at step 1"):
        load(folder, "hopper")
    content = paths(made_up(LENGTHS))
    content[1]["terminals"] = np.array([0, value, 0, 0, 0, 0, 1])
    (tmp_path / "hopper.pkl").write_bytes(pickle.dumps(content))
    with pytest.raises(DataError, match=r"terminals of episode 1 of .* are no flags"):
        load(tmp_path / "hopper.pkl", "hopper")
