"""The saved state of unfinished work: one safetensors file that says what it and its neighbours hold.

    header: {"__metadata__": {"content": JSON {"schema", "state", "past", "kept": {file: {bytes, sha256}}},
                              "sha256": of the content, and of name, kind, shape and bytes of every tensor}}

It can be checked without whatever wrote it: nothing here needs more than the standard library.
"""

import hashlib
import json
import mmap
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from dtclaims.errors import Damaged, NotThere, OtherVersion
from dtclaims.files import check_file, is_there, parse_json, reading

SCHEMA = 2
"""Of the content. 1 had a checksum of the tensors alone, and said nothing of the files beside it."""
LARGEST_HEADER = 100 * 2**20
"""Bytes, as safetensors itself has it."""
LENGTH = 8
"""Bytes before the header, which say how long it is."""
STARTS_AGAIN = "The run starts again."

Part = tuple[str, str, tuple[int, ...], Any]
"""A tensor: name, kind in safetensors' words, shape, bytes."""


def digest(content: str, tensors: Iterable[Part]) -> str:
    """SHA-256 of all that a state says, whatever order a file has it in: 64 hex digits."""
    found = hashlib.sha256(content.encode())
    for name, kind, shape, data in sorted(tensors, key=lambda one: one[0]):
        found.update(json.dumps([name, kind, list(shape)]).encode())
        found.update(data)
    return found.hexdigest()


def check_state(folder: Path, name: str) -> dict[str, Any]:
    """What a state says beside its tensors, once it and all that it says was kept are known to be as written.

    Args:
        folder: of the work.
        name: of the state's file.

    Raises:
        NotThere: there is no state.
        NotPermitted: it, or what was kept, may not be read.
        OtherVersion: another version wrote it.
        Damaged: it is not as it was written, or something that was kept is not.
    """
    path = folder / name
    if not is_there(path):
        raise NotThere(f"{path} is not there")
    content = _checked(path)
    for kept, recorded in content["kept"].items():
        if Path(kept).name != kept:
            raise Damaged(f"{path} is damaged", given=f"it kept {kept!r}", remedy=STARTS_AGAIN)
        check_file(folder, kept, recorded, remedy=STARTS_AGAIN)
    return content


def _checked(path: Path) -> dict[str, Any]:
    with reading(path), path.open("rb") as file:
        length = path.stat().st_size
        if length <= LENGTH:
            raise Damaged(f"{path} is damaged", given=f"{length} bytes", remedy=STARTS_AGAIN)
        try:
            # Closed with the last part of it that somebody holds.
            return _read(memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            # Whatever a damaged header makes of the rest.
            raise Damaged(f"{path} is damaged", given=error, remedy=STARTS_AGAIN) from None
        except OtherVersion as error:
            raise OtherVersion(
                f"{path} is of another version", given=error.given, expected=error.expected, remedy=STARTS_AGAIN
            ) from None


def _read(view: memoryview) -> dict[str, Any]:
    size = int.from_bytes(view[:LENGTH], "little")
    if size > min(LARGEST_HEADER, len(view) - LENGTH):
        raise ValueError("a header longer than the file, or than any that was meant")
    header: dict[str, Any] = parse_json(bytes(view[LENGTH : LENGTH + size]))
    told = header.pop("__metadata__")
    data = view[LENGTH + size :]
    content: dict[str, Any] = parse_json(told["content"])
    if content["schema"] != SCHEMA:
        raise OtherVersion("", given=f"schema {content['schema']}", expected=f"schema {SCHEMA}")
    held = 0
    tensors: list[Part] = []
    for name, one in header.items():
        begin, end = one["data_offsets"]
        held += end - begin
        tensors.append((name, one["dtype"], tuple(one["shape"]), data[begin:end]))
    if held != len(data) or digest(told["content"], tensors) != told["sha256"]:
        raise ValueError("another SHA-256 than was written")
    if set(content) != {"schema", "state", "past", "kept"} or not _are_described(content["kept"]):
        raise ValueError("not what a state says")
    return content


def _are_described(kept: object) -> bool:
    return isinstance(kept, Mapping) and all(
        isinstance(one, Mapping) and type(one.get("bytes")) is int and isinstance(one.get("sha256"), str)
        for one in kept.values()
    )
