"""What reading a checkpoint of anybody's would cost, found before it is read. Needs no torch."""

import contextlib
import os
import stat
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from dtclaims.errors import BackboneError, StoreError
from dtclaims.files import parse_json, read_bytes
from dtclaims.lab.models.descriptions import CONFIG
from dtclaims.lab.models.layouts import CARD, INDEX, LFS, PLAIN, WEIGHTS, find_weights
from dtclaims.lab.pickle_bounds import check_pickle

LARGEST_JSON = 32 * 2**20
"""Bytes of a card, a configuration or an index; that of the largest public model has two million."""
LARGEST_HEADER = 32 * 2**20
"""Bytes of the header of a safetensors file, which may have a hundred by its own rules."""
LARGEST_PICKLE = 64 * 2**20
"""Bytes of what a checkpoint of torch says beside its numbers."""
MOST_PARTS = 100_000
"""Tensors of a file, shards, members of an archive, files of a card."""
MOST_DIMENSIONS = 8
LENGTH = 8
"""Bytes before a safetensors header, which say how long it is."""
PICKLES = 5
"""In a row in a checkpoint of torch's older form, before its numbers."""


def check_bounds(folder: Path) -> None:
    """Make sure that reading the checkpoint in a folder takes no more than its files hold.

    Whether it is a sound one is for its readers to say.

    Raises:
        BackboneError: something in it is a pipe, a device or a folder; a description that is too large; a header,
            archive or pickle that would cost more than it holds.
    """
    for name in (CARD, CONFIG, *WEIGHTS):
        path = folder / name
        if not os.path.lexists(path):
            continue
        _check_plain(path)
        if name in (CARD, CONFIG) or name.endswith(INDEX):
            _check_json(path)
    if (folder / CARD).is_file() or not (folder / CONFIG).is_file():
        found = find_weights(folder, WEIGHTS[:1])
    else:
        found = find_weights(folder)
    for path in found.files if found else ():
        _check_plain(path)
        with path.open("rb") as file:
            if file.read(len(LFS)) == LFS:
                continue
            file.seek(0)
            _check_pickled(path, file) if path.suffix == ".bin" else _check_header(path, file)


def _check_plain(path: Path) -> None:
    try:
        plain = stat.S_ISREG(path.stat().st_mode)
    except OSError as error:
        raise BackboneError("the checkpoint cannot be read", given=f"{path}: {error.strerror}") from None
    if not plain:
        raise BackboneError("the checkpoint cannot be read", given=f"{path}, which is no plain file")


def _check_json(path: Path) -> None:
    try:
        stated = parse_json(read_bytes(path, LARGEST_JSON))
    except StoreError as error:
        raise BackboneError(
            "the checkpoint cannot be read", given=f"{path}: {error.given}", expected=error.expected
        ) from None
    except ValueError:
        # Its reader says what is wrong with it.
        return
    listed = stated.get("files") if path.name == CARD and isinstance(stated, Mapping) else {}
    if isinstance(listed, Mapping) and (
        len(listed) > MOST_PARTS or not all(PLAIN.fullmatch(name) for name in listed if isinstance(name, str))
    ):
        raise BackboneError(
            "the card names other files than its own", given=str(path), expected="names of files beside it"
        )


def _too_much(path: Path, given: object, expected: object = None) -> BackboneError:
    return BackboneError(
        "the checkpoint would cost more to read than it holds",
        given=f"{path}: {given}",
        expected=expected,
        remedy="Do not trust this file; fetch the checkpoint from where it was published.",
    )


def _check_header(path: Path, file: BinaryIO) -> None:
    size = os.fstat(file.fileno()).st_size
    length = int.from_bytes(file.read(LENGTH), "little")
    if length > size - LENGTH:
        # Cut short: its reader says so, and allocates nothing.
        return
    if length > LARGEST_HEADER:
        raise _too_much(path, f"a header of {length:,} bytes", f"at most {LARGEST_HEADER:,}")
    try:
        header = parse_json(file.read(length))
    except ValueError:
        return
    if not isinstance(header, dict):
        return
    if len(header) > MOST_PARTS:
        raise _too_much(path, f"{len(header):,} tensors", f"at most {MOST_PARTS:,}")
    shapes: Iterable[Any] = (one.get("shape") for one in header.values() if isinstance(one, dict))
    if any(isinstance(shape, list) and len(shape) > MOST_DIMENSIONS for shape in shapes):
        raise _too_much(path, "a tensor of many dimensions", f"at most {MOST_DIMENSIONS}")


def _check_pickled(path: Path, file: BinaryIO) -> None:
    try:
        if zipfile.is_zipfile(file):
            _check_archive(path, file)
            return
        file.seek(0)
        for _ in range(PICKLES):
            check_pickle(file)
    except (ValueError, zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, OSError) as error:
        raise BackboneError(
            "the pickled checkpoint cannot be read as tensors only",
            given=f"{path}: {str(error).strip() or type(error).__name__}",
            remedy="Nothing in it was run. Use a checkpoint in safetensors, or convert this one where you trust it.",
        ) from None


def _check_archive(path: Path, file: BinaryIO) -> None:
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        if len(members) > MOST_PARTS:
            raise _too_much(path, f"{len(members):,} members", f"at most {MOST_PARTS:,}")
        # Torch stores numbers as they are: what is packed unpacks to a thousand times its size.
        if packed := [one.filename for one in members if one.compress_type != zipfile.ZIP_STORED]:
            raise _too_much(path, f"{packed[0][:100]} is packed", "numbers as they are")
        held = sum(one.file_size for one in members)
        if held > (size := os.fstat(file.fileno()).st_size):
            raise _too_much(path, f"members of {held:,} bytes in {size:,}")
        for one in members:
            if not one.filename.endswith(".pkl"):
                continue
            if one.file_size > LARGEST_PICKLE:
                raise _too_much(path, f"{one.filename[:100]} of {one.file_size:,} bytes", f"at most {LARGEST_PICKLE:,}")
            with contextlib.closing(archive.open(one)) as inner:
                check_pickle(inner.read(LARGEST_PICKLE))
