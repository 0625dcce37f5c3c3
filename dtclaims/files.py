"""Files of the store: written whole or not at all, read with their faults named."""

import contextlib
import errno
import hashlib
import json
import os
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from dtclaims.errors import StoreError
from dtclaims.places import sha256_file

PARTIAL = ".partial"
"""Ends the name of a file that is being written; what a killed process left is told by it."""


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A new file to write; on leaving without error it takes the place of `path`, even if the power fails then.

    A reader sees the old file or the new one.

    Raises:
        StoreError: the disk is full, or the folder may not be written.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}-{secrets.token_hex(4)}{PARTIAL}")
    try:
        with writing(path):
            yield partial
            with partial.open("rb") as file:
                os.fsync(file.fileno())
            os.replace(partial, path)
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON object in place of a file or of nothing.

    Raises:
        StoreError: the disk is full, or the folder may not be written.
    """
    text = json.dumps(content, indent=1, sort_keys=True, allow_nan=False)
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8")


FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""What the system says where there is no room."""


def is_full(error: BaseException | None) -> bool:
    """Whether an error came of a full disk, directly or as what another was raised from.

    Libraries that write by themselves raise errors of their own kinds: those are told by the system's words in them.
    """
    while error is not None:
        if (isinstance(error, OSError) and error.errno in FULL) or os.strerror(errno.ENOSPC) in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn the system's refusals into an error that says what to do.

    Raises:
        StoreError: the disk is full, or the place may not be written.
    """
    try:
        yield
    except OSError as error:
        remedy = "Finished runs are intact; "
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            remedy += "free some space (`dtclaims store gc` says what is not needed) and give the same command again."
        elif error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            remedy += "make the folder writable, or name another with --store."
        else:
            remedy += "put it right and give the same command again."
        raise StoreError(f"cannot write {path}", given=error.strerror or error, remedy=remedy) from error


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file of the store.

    Raises:
        StoreError: unreadable, or not a JSON object.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise StoreError(
            f"{path} is damaged", given=error, remedy="Delete what it belongs to; it is made again."
        ) from None
    if not isinstance(content, dict):
        raise StoreError(f"{path} is damaged", given=type(content).__name__, expected="a JSON object")
    return content


def checksum(value: Any) -> str:
    """SHA-256 of plain data, as files that hold it beside them state it: 64 hex digits."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, allow_nan=False).encode()).hexdigest()


def describe_file(path: Path) -> dict[str, Any]:
    """What a manifest records of a file."""
    return {"bytes": path.stat().st_size, "sha256": sha256_file(path)}


def check_file(folder: Path, name: str, recorded: Mapping[str, Any], *, deep: bool = True) -> None:
    """Compare a file with its manifest entry.

    Raises:
        StoreError: missing, of another size or of another content.
    """
    path = folder / name
    remedy = f"Delete {folder}; the run is trained again."
    if not path.is_file() or path.stat().st_size != recorded["bytes"]:
        found = f"{path.stat().st_size} bytes" if path.is_file() else "no file"
        raise StoreError(f"{path} is damaged", given=found, expected=f"{recorded['bytes']} bytes", remedy=remedy)
    if deep and sha256_file(path) != recorded["sha256"]:
        raise StoreError(f"{path} is damaged", given="another SHA-256 than was written", remedy=remedy)


def bytes_in(path: Path) -> int:
    """Size of a file, or of all files below a folder; 0 for what is gone."""
    if path.is_file():
        return path.stat().st_size
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
