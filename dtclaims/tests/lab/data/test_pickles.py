"""Decision Transformer pickles: read as data, never run as programs."""

import os
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dtclaims.errors import DataError, DtclaimsError, WrongTask
from dtclaims.lab import pickle_bounds
from dtclaims.lab.data import pickles
from dtclaims.lab.data.hdf5 import save_hdf5
from dtclaims.lab.data.pickles import load_pickle
from dtclaims.lab.data.sources import load
from dtclaims.lab.design.tasks import TASKS
from dtclaims.tests.support.examples import damaged, made_up, paths

LENGTHS = [4, 7, 2]


def write(path: Path, content: Any, protocol: int = 4) -> Path:
    path.write_bytes(pickle.dumps(content, protocol=protocol))
    return path


@pytest.mark.parametrize("protocol", range(6))
def test_every_protocol_is_read(tmp_path: Path, protocol: int) -> None:
    """All of pickle's protocols give the content that the HDF5 of the same set gives, ends included."""
    data = made_up(LENGTHS)
    save_hdf5(data, tmp_path / "hopper.hdf5")
    back = load(write(tmp_path / "hopper-medium-v2.pkl", paths(data), protocol))
    assert back.sha256 == data.sha256 == load(tmp_path / "hopper.hdf5").sha256
    assert back.task is TASKS["hopper"]
    assert back.provenance == {"source": "Decision Transformer pickle"}


def test_names_of_numpy_1_are_read(tmp_path: Path) -> None:
    """The published files were made with numpy 1.20, whose constructors lived in numpy.core."""
    content = pickle.dumps(paths(made_up(LENGTHS)), protocol=4)
    old = content.replace(b"\x8c\x16numpy._core.multiarray", b"\x8c\x15numpy.core.multiarray")
    assert old != content
    # Frames state their length; without them the shorter name fits.
    (tmp_path / "hopper.pkl").write_bytes(b"\x80\x04" + old[11:])
    assert load(tmp_path / "hopper.pkl").sha256 == made_up(LENGTHS).sha256


def test_other_numbers_are_converted(tmp_path: Path) -> None:
    """float64, big-endian, Fortran order, 0/1 terminals and numpy scalars beside the arrays."""
    data = made_up(LENGTHS)
    content = paths(data)
    for one in content:
        one["observations"] = np.asfortranarray(one["observations"].astype(np.float64))
        one["rewards"] = one["rewards"].astype(">f4")[:, None]
        one["terminals"] = one["terminals"].astype(np.int64)
        one["score"] = np.float64(1.0)
    assert load_pickle(write(tmp_path / "hopper.pkl", content)).sha256 == data.sha256


class Harmful:
    """Its pickle would create a file when read."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return (os.mkdir, (str(self.path),))


@pytest.mark.parametrize("protocol", range(6))
def test_code_in_a_pickle_is_named_and_not_run(tmp_path: Path, protocol: int) -> None:
    """A DataError names the function; what it would have done has not happened."""
    content = [*paths(made_up(LENGTHS)), Harmful(tmp_path / "run")]
    path = write(tmp_path / "hopper.pkl", content, protocol)
    with pytest.raises(DataError, match=r"posix\.mkdir"):
        load(path)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("builtins", "eval"),
        ("builtins", "getattr"),
        ("builtins", "__import__"),
        ("os", "system"),
        ("numpy", "load"),
        ("numpy.core.multiarray", "fromfile"),
        ("numpy", "ndarray.tofile"),
        ("collections", "OrderedDict"),
    ],
)
def test_everything_unneeded_is_refused(tmp_path: Path, module: str, name: str) -> None:
    """Not a list of the dangerous, but a list of the needed."""
    (tmp_path / "hopper.pkl").write_bytes(
        b"\x80\x04" + b"".join(b"\x8c" + bytes([len(one)]) + one.encode() for one in (module, name)) + b"\x93."
    )
    with pytest.raises(DataError, match=f"names something.*{module}.{name}".replace(".", r"\.").replace(r"\.*", ".*")):
        load(tmp_path / "hopper.pkl")


def without(key: str) -> Any:
    def damage(content: list[dict[str, Any]]) -> Any:
        del content[1][key]
        return content

    return damage


def with_value(key: str, value: Any) -> Any:
    def damage(content: list[dict[str, Any]]) -> Any:
        content[1][key] = value
        return content

    return damage


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (without("rewards"), "trajectory 1 of .* lacks rewards"),
        (with_value("rewards", np.zeros(6)), "arrays of episode 1 of .* differ in length"),
        (with_value("rewards", np.full(7, np.nan)), "rewards hold NaN"),
        (with_value("actions", np.full((7, 3), 2.0)), "actions leave"),
        (with_value("observations", np.zeros((7, 17))), "observations of episode 1 of .* wrong shape"),
        (with_value("observations", np.array([None] * 7)), "arrays that are not numbers"),
        (with_value("observations", "text"), "observations of episode 1 of .* are not an array of numbers"),
        (with_value("terminals", np.ones(7)), "goes on after its end"),
        (lambda content: [*content, {key: value[:0] for key, value in content[0].items()}], "episode 3 of .* is empty"),
        (lambda content: [], "holds no trajectories"),
        (lambda content: {"a": 1}, "holds no trajectories"),
        (lambda content: [1, 2], "holds no trajectories"),
    ],
)
def test_each_fault_is_named(tmp_path: Path, damage: Any, message: str) -> None:
    """One DataError says which trajectory is wrong and how."""
    path = write(tmp_path / "hopper.pkl", damage(paths(made_up(LENGTHS))))
    with pytest.raises(DataError, match=message):
        load(path, "hopper")


def test_another_task_is_refused(tmp_path: Path) -> None:
    """The file's name counts: walker2d's widths are halfcheetah's."""
    path = write(tmp_path / "walker2d-medium-v2.pkl", paths(made_up(LENGTHS, TASKS["walker2d"])))
    assert load(path).task is TASKS["walker2d"]
    with pytest.raises(WrongTask, match="walker2d"):
        load(path, "halfcheetah")


def test_an_array_that_lies_about_its_size_is_refused(tmp_path: Path) -> None:
    """A shape of 10^12 steps asks for no memory."""
    content = pickle.dumps([{"observations": np.zeros(200)}], protocol=2).replace(b"K\xc8", b"J\xff\xff\xff\x7f")
    (tmp_path / "hopper.pkl").write_bytes(content)
    with pytest.raises(DataError, match="another size than it says"):
        load(tmp_path / "hopper.pkl")


SOUND = pickle.dumps(paths(made_up(LENGTHS)), protocol=4)


@settings(max_examples=80)
@given(st.data())
def test_damage_is_a_typed_error_or_numbers(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    """Cut anywhere or with any byte altered, reading ends in a DtclaimsError or in a sound set."""
    path = tmp_path_factory.mktemp("damaged") / "hopper.pkl"
    path.write_bytes(damaged(data, SOUND, first=2))
    try:
        back = load(path)
    except DtclaimsError:
        return
    assert np.isfinite(back.rewards).all()
    assert np.abs(back.actions).max() <= 1


def operations(*parts: bytes) -> bytes:
    return b"\x80\x04" + b"".join(parts) + b"."


def nested(depth: int) -> bytes:
    """(((0, 0), (0, 0)), …): a few bytes, and 2^depth parts when it is hashed."""
    return b"K\x00" + b"2\x86" * depth


@pytest.mark.parametrize(
    ("content", "message"),
    [
        # A dict whose key takes until the end of the world to hash.
        (operations(b"]}", nested(70), b"K\x01sa"), "an object of more than 1,000,000 parts"),
        (operations(b"]}(", nested(70), b"K\x01ua"), "an object of more than 1,000,000 parts"),
        (operations(b"]}", b"K\x00" + b"\x94h\x00\x86" * 1, b"0a"), "pickle"),
        # A table of the memo for two thousand million entries.
        (operations(b"]r\xff\xff\xff\x7f"), "a memo of 2,147,483,647 entries after"),
        (b"(lp2147483647\n.", "a memo of 2,147,483,647 entries after"),
        (operations(b"\x8e" + (2**50).to_bytes(8, "little"), b"x"), "pickle"),
        (operations(b"]\x96" + (2**40).to_bytes(8, "little"), b"xa"), "pickle"),
        (operations(b"]h\x07a"), "pickle"),
        (operations(b"00000"), "pickle"),
        # The default of a function of ours, set by a pickle.
        (operations(b"]cnumpy.core.multiarray\nscalar\n}b", b"a"), "changes what it calls"),
        (operations(b"]cbuiltins\nint\n}X\x01\x00\x00\x00aK\x01sba"), "pickle"),
    ],
)
def test_what_a_pickle_would_cost_is_read_before_it_is_run(tmp_path: Path, content: bytes, message: str) -> None:
    """Operations that cost more than the file holds: a DataError at once."""
    (tmp_path / "hopper.pkl").write_bytes(content)
    with pytest.raises(DataError, match=message):
        load_pickle(tmp_path / "hopper.pkl")


def doubled(depth: int) -> Any:
    found: Any = [0.0, 0.0]
    for _ in range(depth):
        found = [found, found]
    return found


def test_lists_that_are_one_list_are_not_followed(tmp_path: Path) -> None:
    """A kilobyte that stands for 2^40 numbers, in the place of an array, of its type and of its shape."""
    content = paths(made_up(LENGTHS))
    content[1]["observations"] = doubled(40)
    with pytest.raises(DataError, match=r"observations of episode 1 of .* are not an array of numbers: got list"):
        load_pickle(write(tmp_path / "hopper.pkl", content))
    bomb = pickle.dumps(doubled(40), protocol=2)[2:-1]
    dtype, array = b"cnumpy\ndtype\n", b"cnumpy.core.numeric\n_frombuffer\n"
    for parts in (
        (b"]", dtype, bomb, b"\x85Ra"),
        (b"]", array, b"(C\x04aaaa", dtype, b"X\x02\x00\x00\x00f4\x85R", b"(", bomb, b"K\xfft", b"tRa"),
        (b"]", array, b"(C\x04aaaa", dtype, b"X\x02\x00\x00\x00f4\x85R", bomb, b"tRa"),
        (b"]", array, b"(C\x04aaaa", dtype, b"X\x02\x00\x00\x00f4\x85R", b"(" + b"K\x01" * 99, b"ttRa"),
    ):
        (tmp_path / "hopper.pkl").write_bytes(operations(*parts))
        with pytest.raises(DataError, match=r"arrays that are not numbers: got list|has no shape|size than it says"):
            load_pickle(tmp_path / "hopper.pkl")


def test_a_pickle_with_more_operations_than_any_set_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are counted, and a file that is too large is not read."""
    path = write(tmp_path / "hopper.pkl", paths(made_up(LENGTHS)))
    monkeypatch.setattr(pickle_bounds, "MOST_OPERATIONS", 50)
    with pytest.raises(DataError, match="more than 50 operations"):
        load_pickle(path)
    monkeypatch.setattr(pickles, "LARGEST", 100)
    with pytest.raises(DataError, match=r"got \d+ bytes, expected at most 100"):
        load_pickle(path)


@settings(max_examples=150, deadline=1000)
@given(st.lists(st.sampled_from([bytes([code]) for code in range(256)] + [b"2\x86", b"(", b"K\x01", b"]", b"}"])))
def test_any_operations_are_a_typed_error(tmp_path_factory: pytest.TempPathFactory, parts: list[bytes]) -> None:
    """Whatever is put together of operations, reading ends at once, and in a DtclaimsError."""
    path = tmp_path_factory.mktemp("operations") / "hopper.pkl"
    path.write_bytes(operations(*parts))
    with pytest.raises(DtclaimsError):
        load_pickle(path)
