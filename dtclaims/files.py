"""Files of the store: written whole or not at all, read with their faults named."""

import contextlib
import errno
import hashlib
import json
import os
import secrets
import stat
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from dtclaims.errors import Damaged, NotPermitted, NotThere, StoreError, words_of
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
                # Libraries that write by themselves may make files for their user alone.
                if (mode := stat.S_IMODE(os.fstat(file.fileno()).st_mode)) != (usual := 0o666 & ~_umask()):
                    os.chmod(partial, mode | usual)
                os.fsync(file.fileno())
            os.replace(partial, path)
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)


def _umask() -> int:
    """Permissions that this process gives to nobody."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("Umask:"):
                return int(line.split()[1], 8)
    # Elsewhere it can only be read by setting it.
    found = os.umask(0o077)
    os.umask(found)
    return found


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON object in place of a file or of nothing.

    Raises:
        StoreError: the disk is full, or the folder may not be written.
    """
    text = json.dumps(content, indent=1, sort_keys=True, allow_nan=False)
    with replacing(path) as partial:
        partial.write_text(text, encoding="utf-8")


def try_writing(folder: Path) -> None:
    """Write to a folder, into a file that is gone again: permission bits hold neither for root, nor on a mount that is
    read-only or full, nor under access lists.

    Raises:
        OSError: of the system, where it cannot be done.
    """
    with tempfile.TemporaryFile(dir=folder) as file:
        file.write(b"1")


FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""What the system says where there is no room."""
FORBIDDEN = (errno.EACCES, errno.EPERM, errno.EROFS)
"""And where it is not allowed."""


def is_full(error: BaseException | None) -> bool:
    """Whether an error came of a full disk, directly or as what another was raised from.

    Libraries that write by themselves raise errors of their own kinds: those are told by the system's words in them.
    """
    while error is not None:
        if isinstance(error, OSError) and error.errno in FULL:
            return True
        if any(os.strerror(one) in words_of(error) for one in FULL):
            return True
        error = error.__cause__ or error.__context__
    return False


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn the system's refusals into an error that says what to do.

    Raises:
        NotPermitted: the place may not be written.
        StoreError: the disk is full.
    """
    try:
        yield
    except OSError as error:
        kind = NotPermitted if error.errno in FORBIDDEN else StoreError
        raise kind(
            f"cannot write {path}",
            given=error.strerror or error,
            remedy=f"What is finished is intact; {_what_to_do(error.errno)} and give the same command again.",
        ) from error


def _what_to_do(number: int | None) -> str:
    if number in FULL:
        return "free some space (`dtclaims store gc` says what of a store is not needed)"
    if number in FORBIDDEN:
        return "make the folder writable, or name another (of a store with --store),"
    return "put it right"


LARGEST_JSON = 256 * 2**20
"""Bytes of a JSON file that is read at all: a hundred times the largest that is written."""
AGAIN = "Delete what it belongs to; it is made again."
"""What to do about something damaged, where its reader knows nothing better."""


@contextlib.contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn the system's refusals into errors that tell apart what is not there and what may not be read.

    Raises:
        NotThere: no such file.
        NotPermitted: the user may not read it, or a folder above it.
        StoreError: the system cannot read it, for another reason; whether it is damaged is not known.
    """
    try:
        yield
    except (FileNotFoundError, NotADirectoryError) as error:
        raise NotThere(f"{path} is not there", given=error.strerror) from error
    except PermissionError as error:
        raise NotPermitted(
            f"{path} may not be read",
            given=error.strerror,
            expected="a file that this user can read",
            remedy="Ask its owner for permission (chmod g+r), or name another place; nothing was changed.",
        ) from error
    except OSError as error:
        raise StoreError(
            f"{path} cannot be read", given=error.strerror or error, remedy="Nothing was changed; look at the disk."
        ) from error


def is_there(path: Path) -> bool:
    """Whether there is a plain file.

    Raises:
        NotPermitted: a folder above it may not be looked into.
        StoreError: see `reading`.
    """
    try:
        with reading(path):
            return stat.S_ISREG(path.stat().st_mode)
    except NotThere:
        return False


def read_bytes(path: Path, most: int, remedy: str = AGAIN) -> bytes:
    """The content of a plain file: no device, no pipe (opening one could wait for ever).

    Args:
        path: of the file.
        most: bytes that it may have.
        remedy: what to do where it is damaged.

    Raises:
        NotThere, NotPermitted, StoreError: see `reading`.
        Damaged: it is no plain file, or too large.
    """
    with reading(path):
        found = _read_plain(path, most)
    if found is None:
        raise Damaged(f"{path} is damaged", given="no plain file", remedy=remedy)
    if isinstance(found, int):
        raise Damaged(f"{path} is damaged", given=f"{found} bytes", expected=f"at most {most}", remedy=remedy)
    return found


def plain_bytes(path: Path, most: int = LARGEST_JSON) -> bytes:
    """As `read_bytes`, for readers that name the faults of their files themselves.

    Raises:
        OSError: of the system.
        ValueError: no plain file, or more than `most` bytes.
    """
    found = _read_plain(path, most)
    if found is None:
        raise ValueError("no plain file")
    if isinstance(found, int):
        raise ValueError(f"{found:,} bytes, and at most {most:,} are read")
    return found


def plain_text(path: Path, most: int = LARGEST_JSON) -> str:
    """The same, decoded.

    Raises:
        OSError: of the system.
        ValueError: no plain file, more than `most` bytes, or no UTF-8.
    """
    return plain_bytes(path, most).decode("utf-8")


def _read_plain(path: Path, most: int) -> bytes | int | None:
    """The content of a plain file; how many bytes it has where they are more than `most`, None of what is none."""
    with open(path, "rb", opener=_without_waiting) as file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode):
            return None
        return found.st_size if found.st_size > most else file.read(most + 1)


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def parse_json(text: bytes | str) -> Any:
    """JSON as the standard has it: no NaN, and not nested deeper than Python can follow.

    Raises:
        ValueError: it is none.
    """
    try:
        # Bytes as they are: Python would guess at UTF-16 and pass a mark of byte order over.
        given = text.decode("utf-8") if isinstance(text, bytes) else text
        return json.loads(given, parse_constant=_refuse_constant)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def read_json(path: Path, *, remedy: str = AGAIN, most: int = LARGEST_JSON) -> dict[str, Any]:
    """A JSON object from a file.

    Args:
        path: of the file.
        remedy: what to do where it is damaged.
        most: bytes that it may have.

    Raises:
        NotThere, NotPermitted, StoreError: see `reading`.
        Damaged: not a JSON object, or too large.
    """
    text = read_bytes(path, most, remedy)
    try:
        content = parse_json(text)
    except ValueError as error:
        raise Damaged(f"{path} is damaged", given=error, remedy=remedy) from None
    if not isinstance(content, dict):
        raise Damaged(f"{path} is damaged", given=type(content).__name__, expected="a JSON object", remedy=remedy)
    return content


def checksum(value: Any) -> str:
    """SHA-256 of plain data, as files that hold it beside them state it: 64 hex digits."""
    return hashlib.sha256(json.dumps(value, sort_keys=True, allow_nan=False).encode()).hexdigest()


def describe_file(path: Path) -> dict[str, Any]:
    """What a manifest records of a file."""
    return {"bytes": path.stat().st_size, "sha256": sha256_file(path)}


def check_file(
    folder: Path, name: str, recorded: Mapping[str, Any], *, deep: bool = True, remedy: str | None = None
) -> None:
    """Compare a file with what `describe_file` said of it.

    Raises:
        NotPermitted: it may not be read.
        Damaged: missing, of another size or of another content.
    """
    path = folder / name
    remedy = f"Delete {folder}; the run is trained again." if remedy is None else remedy
    try:
        with reading(path):
            found = path.stat()
            if not stat.S_ISREG(found.st_mode) or found.st_size != recorded["bytes"]:
                size = f"{found.st_size} bytes" if stat.S_ISREG(found.st_mode) else "no plain file"
                raise Damaged(f"{path} is damaged", given=size, expected=f"{recorded['bytes']} bytes", remedy=remedy)
            if deep and sha256_file(path) != recorded["sha256"]:
                raise Damaged(f"{path} is damaged", given="another SHA-256 than was written", remedy=remedy)
    except NotThere:
        raise Damaged(
            f"{path} is damaged", given="no file", expected=f"{recorded['bytes']} bytes", remedy=remedy
        ) from None


def bytes_in(path: Path) -> int:
    """Size of a file, or of all files below a folder; 0 for what is gone."""
    if path.is_file():
        return path.stat().st_size
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
