"""What reading a checkpoint would cost is found before it is read."""

import json
import os
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dtclaims.errors import BackboneError, DtclaimsError
from dtclaims.lab.design.scales import SCALES
from dtclaims.lab.inputs import Inputs, find_backbone
from dtclaims.lab.models.bounds import check_bounds
from dtclaims.lab.models.layouts import WEIGHTS
from dtclaims.tests.support.checkpoints import GPT2, hub_checkpoint, stack_tensors

MINI = SCALES["mini"]


def stated(**changes: Any) -> Callable[[Path], None]:
    """A configuration that says something else."""

    def change(folder: Path) -> None:
        path = folder / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return change


def written(name: str, content: bytes | str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())

    return change


def header(length: int, text: bytes = b"{}") -> Callable[[Path], None]:
    return written("model.safetensors", struct.pack("<Q", length) + text)


def of_tensors(tensors: dict[str, Any]) -> Callable[[Path], None]:
    text = json.dumps(tensors).encode()
    return written("model.safetensors", struct.pack("<Q", len(text)) + text)


def sparse(name: str, size: int, begin: bytes = b"") -> Callable[[Path], None]:
    """A file that says it is large and takes no room."""

    def change(folder: Path) -> None:
        (folder / name).write_bytes(begin)
        os.truncate(folder / name, size)

    return change


def pickled(write: Callable[[Path], object]) -> Callable[[Path], None]:
    """Weights in a pickle in the place of the safetensors."""

    def change(folder: Path) -> None:
        (folder / "model.safetensors").unlink()
        write(folder / "pytorch_model.bin")

    return change


def archive(members: dict[str, bytes], packed: int = zipfile.ZIP_STORED) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        with zipfile.ZipFile(path, "w", packed) as file:
            for name, content in members.items():
                file.writestr(name, content)

    return pickled(write)


BOMB = b"\x80\x02}K\x00" + b"2\x86" * 70 + b"K\x01s."
"""A dict whose key takes for ever to hash."""


def in_older_form(path: Path) -> None:
    with path.open("wb") as file:
        for one in (0x1950A86A20F9469CFC6C, 1001, {"protocol_version": 1001}):
            pickle.dump(one, file, protocol=2)
        file.write(BOMB)
        pickle.dump([], file, protocol=2)


def pipe(name: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / name).unlink(missing_ok=True)
        os.mkfifo(folder / name)

    return change


def device(name: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        (folder / name).unlink(missing_ok=True)
        (folder / name).symlink_to("/dev/zero")

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (stated(n_layer=10**9), "describes no network: got blocks 1000000000"),
        (stated(n_embd=10**12), "describes no network: got width 1000000000000"),
        (stated(n_inner=10**12), "describes no network: got mlp_width"),
        (stated(n_head=2**70), "describes no network: got heads"),
        (written("config.json", "[" * 100_000), "configuration cannot be read"),
        (written("config.json", '{"n_layer": ' + "9" * 5000 + "}"), "configuration cannot be read"),
        (sparse("config.json", 2**40), r"config.json: 1099511627776 bytes, expected at most"),
        (sparse("model.safetensors.index.json", 2**40), r"index.json: 1099511627776 bytes, expected at most"),
        (header(2**60), "the checkpoint cannot be read"),
        (header(2**64 - 1), "the checkpoint cannot be read"),
        (header(0, b""), "the checkpoint cannot be read"),
        (sparse("model.safetensors", 2**40, struct.pack("<Q", 2**39)), "a header of 549,755,813,888 bytes"),
        (header(100_000, b"[" * 100_000), "the checkpoint cannot be read"),
        (of_tensors({f"t{i}": {} for i in range(100_001)}), "100,001 tensors, expected at most 100,000"),
        (of_tensors({"t": {"dtype": "F32", "shape": [1] * 1000, "data_offsets": [0, 4]}}), "many dimensions"),
        (of_tensors({"t": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}}), "cannot be read"),
        (archive({"a/data.pkl": BOMB}), "cannot be read as tensors only.*more than 1,000,000 parts"),
        (archive({"a/data.pkl": b"\x80\x02}.", "a/data/0": bytes(2**20)}, zipfile.ZIP_DEFLATED), "is packed"),
        (archive({"a/data.pkl": b"\x80\x02}.", "a/data/0": bytes(2**20)}, zipfile.ZIP_LZMA), "is packed"),
        (archive({"a/data.pkl": b""}), "cannot be read as tensors only"),
        (pickled(in_older_form), "cannot be read as tensors only.*more than 1,000,000 parts"),
        *((pipe(name), f"{name}, which is no plain file") for name in ("config.json", "card.json", WEIGHTS[0])),
        *((device(name), f"{name}, which is no plain file") for name in ("config.json", "card.json", WEIGHTS[1])),
        (written("card.json", '{"files": {"/dev/zero": {"sha256": ""}}}'), "names other files than its own"),
        (written("card.json", '{"files": {"../../x": {"sha256": ""}}}'), "names other files than its own"),
    ],
)
def test_what_a_checkpoint_would_cost_is_asked_before_it_is_read(
    tmp_path: Path, change: Callable[[Path], None], message: str
) -> None:
    """Numbers, lengths and counts that no machine has room for, pipes and devices: one BackboneError at once, while
    planning and where a job reads it."""
    folder = hub_checkpoint(tmp_path / "given")
    change(folder)
    with pytest.raises(DtclaimsError, match=message):
        find_backbone("language", MINI, str(folder))
    with pytest.raises(DtclaimsError, match=message):
        Inputs("hopper", {}, {"language": {"kind": "given", "path": str(folder)}}).load_backbones()


@pytest.mark.parametrize("older", [True, False])
def test_sound_pickles_of_both_forms_pass(tmp_path: Path, older: bool) -> None:
    """What torch writes, in its form of before 1.6 and since."""
    folder = hub_checkpoint(tmp_path / "given")
    pickled(lambda path: torch.save(stack_tensors(), path, _use_new_zipfile_serialization=not older))(folder)
    check_bounds(folder)
    found = Inputs("hopper", {}, {"language": {"kind": "given", "path": str(folder)}}).load_backbones()
    assert found["language"].config.width == GPT2.width


@settings(max_examples=60, deadline=None)
@given(
    name=st.sampled_from(["config.json", "model.safetensors", "pytorch_model.bin", "card.json"]),
    content=st.one_of(
        st.binary(max_size=200),
        st.binary(max_size=100).map(lambda text: struct.pack("<Q", len(text)) + text),
        st.recursive(
            st.none() | st.integers() | st.text(max_size=5),
            lambda one: (
                st.lists(one, max_size=3) | st.dictionaries(st.sampled_from(["files", "config", "n_layer"]), one)
            ),
        ).map(lambda value: json.dumps(value).encode()),
    ),
)
@example(name="card.json", content=b'{"files":{}}')
def test_any_content_is_a_typed_error(tmp_path_factory: pytest.TempPathFactory, name: str, content: bytes) -> None:
    """Whatever one of a checkpoint's files holds."""
    folder = hub_checkpoint(tmp_path_factory.mktemp("any"))
    if name.endswith(".bin"):
        (folder / "model.safetensors").unlink()
    (folder / name).write_bytes(content)
    with pytest.raises((BackboneError, DtclaimsError)):
        find_backbone("language", MINI, str(folder))
