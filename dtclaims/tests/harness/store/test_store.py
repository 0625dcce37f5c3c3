"""The store: whole or absent, ours or refused, damage named."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from dtclaims.addresses import key_of
from dtclaims.errors import OtherVersion, StoreError
from dtclaims.files import PARTIAL, read_json
from dtclaims.harness.store.store import MadeAt, Store, write_json
from dtclaims.lab.results import checkpoint

IDENTITY: dict[str, Any] = {"schema": 1, "spec": {"seed": 0}}


def put(store: Store, identity: dict[str, Any] = IDENTITY) -> Path:
    folder = store.workspace(key_of(identity))
    save_file({"weight": torch.arange(3.0)}, folder / "epoch_000.safetensors")
    write_json(folder / "name.json", {"name": "a run"})
    write_json(folder / "result.json", {"curves": {}, "seconds": 1.0, "provenance": {}})
    store.complete(folder, identity)
    store.publish(folder)
    return store.root / "runs" / key_of(identity)


def test_a_run_comes_back_as_written(tmp_path: Path) -> None:
    """Identity, result and checkpoints, found by key."""
    store = Store(tmp_path / "store")
    put(store)
    run = Store(tmp_path / "store").find(key_of(IDENTITY))
    assert run is not None
    assert run.identity == IDENTITY
    assert torch.equal(checkpoint(run, 0)["weight"], torch.arange(3.0))
    assert store.run_keys() == [key_of(IDENTITY)]


def test_an_unfinished_run_is_absent(tmp_path: Path) -> None:
    """A run that stops while it is written leaves nothing that a reader could find: it grows beside the others."""
    store = Store(tmp_path / "store")
    (store.workspace(key_of(IDENTITY)) / "epoch_000.safetensors").write_bytes(b"half")
    assert store.find(key_of(IDENTITY)) is None
    assert store.run_keys() == []
    assert list((store.root / "runs").iterdir()) == []


def test_what_a_killed_worker_left_is_removed(tmp_path: Path) -> None:
    """The next to write the run, holding its lock, clears what was written half; finished files are the lab's."""
    store = Store(tmp_path / "store")
    left = store.root / "work" / key_of(IDENTITY)
    left.mkdir()
    (left / f".epoch_009.safetensors{PARTIAL}").write_bytes(b"half")
    run = put(store)
    assert sorted(path.name for path in run.iterdir()) == [
        "epoch_000.safetensors",
        "identity.json",
        "manifest.json",
        "name.json",
        "result.json",
    ]
    assert list((store.root / "work").iterdir()) == []


def test_a_foreign_folder_is_refused_and_untouched(tmp_path: Path) -> None:
    """A folder with other content is never written to."""
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(StoreError, match="not a dtclaims store"):
        Store(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_a_store_of_another_version_is_refused(tmp_path: Path) -> None:
    """A later schema is not guessed at."""
    (tmp_path / "dtclaims-store.json").write_text(json.dumps({"kind": "dtclaims-store", "schema": 99}))
    with pytest.raises(OtherVersion, match="schema 99, expected schema 1"):
        Store(tmp_path)


def test_a_file_in_the_way_is_an_error(tmp_path: Path) -> None:
    """A store cannot be made inside a file."""
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError):
        Store(tmp_path / "file" / "store")


@pytest.mark.parametrize("name", ["result.json", "identity.json", "epoch_000.safetensors", "manifest.json"])
@pytest.mark.parametrize("damage", ["truncated", "removed"])
def test_damage_is_found_before_anything_is_judged(tmp_path: Path, name: str, damage: str) -> None:
    """A truncated or missing file of a run is named; a run without its manifest was never finished."""
    store = Store(tmp_path / "store")
    file = put(store) / name
    if damage == "removed":
        file.unlink()
        if name == "manifest.json":
            assert store.find(key_of(IDENTITY)) is None
            return
    else:
        file.write_bytes(file.read_bytes()[:-3])
    with pytest.raises(StoreError, match="damaged"):
        store.find(key_of(IDENTITY))


def test_a_flipped_byte_in_a_checkpoint_is_found_when_read(tmp_path: Path) -> None:
    """Same size, other content: caught by its SHA-256 before a network is built from it."""
    store = Store(tmp_path / "store")
    file = put(store) / "epoch_000.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    run = store.find(key_of(IDENTITY))
    assert run is not None
    with pytest.raises(StoreError, match="damaged"):
        checkpoint(run, 0)


def test_a_swapped_run_is_found(tmp_path: Path) -> None:
    """A sound run under another run's name is refused."""
    store = Store(tmp_path / "store")
    folder = put(store)
    other = store.root / "runs" / ("0" * 20)
    folder.rename(other)
    with pytest.raises(StoreError, match="does not hold what its name says"):
        store.find("0" * 20)


def test_a_missing_epoch_is_named(tmp_path: Path) -> None:
    """Asking for an epoch that was not kept says which were."""
    store = Store(tmp_path / "store")
    put(store)
    run = store.find(key_of(IDENTITY))
    assert run is not None
    with pytest.raises(StoreError, match=r"no file epoch_007\.safetensors"):
        checkpoint(run, 7)


def test_measurements_round_trip_and_refuse_nan(tmp_path: Path) -> None:
    """Values come back by identity; a NaN cannot get in."""
    store = Store(tmp_path / "store")
    assert store.find_measurement(IDENTITY) is None
    store.put_measurement(IDENTITY, {"h.0": 0.5})
    assert store.find_measurement(IDENTITY) == {"h.0": 0.5}
    with pytest.raises(ValueError, match="Out of range"):
        store.put_measurement({**IDENTITY, "x": 1}, float("nan"))
    assert store.find_measurement({**IDENTITY, "x": 1}) is None


def test_a_damaged_measurement_is_named(tmp_path: Path) -> None:
    """A measurement file with other content is not believed."""
    store = Store(tmp_path / "store")
    store.put_measurement(IDENTITY, 1.0)
    path = store.root / "measurements" / f"{key_of(IDENTITY)}.json"
    path.write_text('{"value": 2.0}')
    with pytest.raises(StoreError, match="not as it was written"):
        store.find_measurement(IDENTITY)


def test_when_a_result_was_made_is_known_or_guessed_from_its_file(tmp_path: Path) -> None:
    """What made it writes the time, outside of what the key is the hash of; of older results there is the file's."""
    store = Store(tmp_path / "store")
    identity = {"kind": "value", "what": {"x": 1}}
    store.put_measurement(identity, 1.0)
    key = key_of(identity)
    found = store.made_at(key)
    assert found is not None
    assert found.recorded
    assert found.at.endswith("+00:00")
    assert store.find_measurement(identity) == 1.0
    path = store.root / "measurements" / f"{key}.json"
    content = read_json(path)
    del content["made"], content["told"]
    write_json(path, content)
    os.utime(path, (0, 0))
    assert store.made_at(key) == MadeAt("1970-01-01T00:00:00+00:00", False)
    assert store.find_measurement(identity) == 1.0
    assert store.made_at("0" * 20) is None
