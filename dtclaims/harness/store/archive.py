"""Stores on their way to another machine: one tar file of plain data, read without trust."""

import contextlib
import functools
import gzip
import io
import json
import os
import re
import shutil
import stat
import tarfile
import tempfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, TypeVar, cast

from dtclaims.errors import Damaged, StoreError, StoreLocked
from dtclaims.files import LARGEST_JSON, read_json, reading, writing
from dtclaims.harness.store.looks import merged, read_looks
from dtclaims.harness.store.store import Store, read_measurement
from dtclaims.harness.store.upkeep import check_run

T = TypeVar("T")

HEADER = "dtclaims-export.json"
SCHEMA = 1
KEY = "[0-9a-f]{20}"
MEMBER = re.compile(
    rf"{HEADER}"
    rf"|runs/{KEY}/(identity\.json|name\.json|result\.json|manifest\.json|epoch_[0-9]{{3}}\.safetensors)"
    rf"|(measurements|looks)/{KEY}\.json"
)
"""The only names that an archive may hold; nothing else is written anywhere."""
MOST_MEMBERS = 1_000_000
"""Files of an archive: more than a hundred thousand runs have."""
LARGEST_CHECKPOINT = 8 * 2**30
"""Bytes of one: of a network twelve times the paper's."""
MOST_UNPACKED = 100
"""Bytes in an archive for each of its own: gzip makes a tenth of curves, and a thousandth of zeros."""
PIECE = 2**20
"""Bytes that are read at once."""
GZIP = b"\x1f\x8b"
MARGIN = 100 * 2**20
"""Bytes that must stay free on the disk."""


@dataclass
class Imported:
    """What an import did."""

    added: int = 0
    present: int = 0
    """Already there, left as they were."""
    busy: list[str] = field(default_factory=list)
    """Keys that another process was making."""


def export_store(store: Store, path: Path, *, runs: Iterable[str], checkpoints: bool) -> int:
    """Write finished runs, what was measured on them alone, and the looks at them, to a tar file; how many bytes.

    Args:
        store: where they are.
        path: `.tar`, or `.tar.gz`.
        runs: keys.
        checkpoints: whether they travel too; without them curves and measurements serve as before.

    Raises:
        StoreError: a run is damaged, the file exists, or it cannot be written.
    """
    keys = sorted(set(runs))
    if path.exists():
        raise StoreError("the file exists", given=str(path), remedy="Name another, or delete it.")
    partial = path.with_name(f".{path.name}.partial")
    try:
        with writing(path), tarfile.open(partial, "w:gz" if path.suffix in (".gz", ".tgz") else "w") as tar:
            _add_json(tar, HEADER, {"kind": "dtclaims-export", "schema": SCHEMA, "checkpoints": checkpoints})
            for key in keys:
                _add_run(tar, store, key, checkpoints)
            for folder, reads in (("measurements", _measured_runs), ("looks", lambda _: set())):
                for file in sorted((store.root / folder).glob("*.json")):
                    if not file.name.startswith(".") and reads(file) <= set(keys):
                        _add_file(tar, f"{folder}/{file.name}", file)
        with writing(path):
            os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
    return path.stat().st_size


def _measured_runs(path: Path) -> set[str]:
    return set(read_measurement(path)["identity"]["needs"])


def _add_run(tar: tarfile.TarFile, store: Store, key: str, checkpoints: bool) -> None:
    folder = store.root / "runs" / key
    check_run(store, folder)
    manifest = read_json(folder / "manifest.json")
    for name in sorted(manifest):
        if name.startswith("epoch_") and not checkpoints:
            manifest[name] = {**manifest[name], "dropped": True}
        if not manifest[name].get("dropped"):
            _add_file(tar, f"runs/{key}/{name}", folder / name)
    _add_json(tar, f"runs/{key}/manifest.json", manifest)


def _add_json(tar: tarfile.TarFile, name: str, content: Mapping[str, Any]) -> None:
    text = json.dumps(content, indent=1, sort_keys=True).encode()
    tar.addfile(_member(name, len(text)), io.BytesIO(text))


def _add_file(tar: tarfile.TarFile, name: str, path: Path) -> None:
    with path.open("rb") as file:
        tar.addfile(_member(name, path.stat().st_size), file)


def _member(name: str, size: int) -> tarfile.TarInfo:
    # No owner, no time: the same results make the same file.
    member = tarfile.TarInfo(name)
    member.size = size
    return member


def import_store(store: Store, path: Path) -> Imported:
    """Take over what an archive holds and the store does not; nothing that is there is changed.

    Everything is unpacked aside and checked first: names, checksums, identities. One fault, and nothing is taken.

    Raises:
        StoreError: the file is no archive of ours, or is damaged.
    """
    work = store.folder("work")
    with writing(work):
        staging = Path(tempfile.mkdtemp(prefix=".import.", dir=work))
    try:
        arrived = Store(staging / "store")
        _unpack(path, arrived.root)
        for folder in (arrived.root / "runs").iterdir():
            _arrived(folder, lambda path: check_run(arrived, path))
        for file in (arrived.root / "measurements").iterdir():
            _arrived(file, read_measurement)
        looks = [_arrived(file, read_looks) for file in (arrived.root / "looks").iterdir()]
        done = Imported()
        for name in ("runs", "measurements"):
            for one in sorted((arrived.root / name).iterdir()):
                _move(one, store, store.folder(name) / one.name, done)
        for cell, found in looks:
            store.merge_looks(cell, functools.partial(merged, arrived=found))
        return done
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _unpack(path: Path, root: Path) -> None:
    with reading(path):
        # A device would be read for ever.
        if not stat.S_ISREG(path.stat().st_mode):
            raise Damaged(f"{path} is no plain file", expected="a file of `dtclaims store export`")
        size = path.stat().st_size
    room = _Room(path, min(shutil.disk_usage(root).free - MARGIN, MOST_UNPACKED * size + LARGEST_JSON))
    headed = False
    try:
        with _opened(path) as tar:
            number = 0
            while (member := tar.next()) is not None:
                # It would keep them all.
                cast(Any, tar).members.clear()
                number += 1
                if number > MOST_MEMBERS:
                    raise StoreError(
                        f"{path} holds too many files",
                        expected=f"at most {MOST_MEMBERS}",
                        remedy="Nothing was imported. Export fewer runs at once: --runs PATTERN.",
                    )
                # A sparse file is as large as it likes, and takes no room in the archive.
                if not member.isreg() or member.issparse() or not MEMBER.fullmatch(member.name):
                    raise StoreError(
                        f"{path} holds what no export writes",
                        given=repr(member.name[:200]),
                        expected="plain files of runs, measurements and looks",
                        remedy="Nothing was imported.",
                    )
                room.take(member)
                source = tar.extractfile(member)
                assert source is not None
                target = root / member.name
                with writing(target):
                    target.parent.mkdir(exist_ok=True)
                    with target.open("xb") as file:
                        shutil.copyfileobj(source, file, PIECE)
                headed = headed or member.name == HEADER
    # Numbers in a header that are none, and headers of headers of headers, end in the last three.
    except (tarfile.TarError, zlib.error, EOFError, OSError, ValueError, OverflowError, RecursionError) as error:
        raise StoreError(
            f"cannot read {path}", given=error, expected="a file of `dtclaims store export`", remedy="Is it complete?"
        ) from None
    header = read_json(root / HEADER) if headed else {}
    if header.get("kind") != "dtclaims-export" or header.get("schema") != SCHEMA:
        raise StoreError(f"{path} is of another kind or version", given=header, expected=f"schema {SCHEMA}")


class _Room:
    """What may still be unpacked.

    Args:
        path: of the archive, for messages.
        most: bytes.
    """

    def __init__(self, path: Path, most: int) -> None:
        self._path = path
        self._left = most

    def take(self, member: tarfile.TarInfo) -> None:
        """Use some of it up, before it is written.

        Raises:
            StoreError: there is not so much left.
        """
        if not 0 <= member.size <= (LARGEST_JSON if member.name.endswith(".json") else LARGEST_CHECKPOINT):
            raise StoreError(
                f"{self._path} holds a file that is too large",
                given=f"{member.name} of {member.size:,} bytes",
                remedy="Nothing was imported.",
            )
        self._left -= member.size
        if self._left < 0:
            raise StoreError(
                f"{self._path} does not fit on the disk, or unpacks to far more than it holds",
                remedy="Nothing was imported.",
            )


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[tarfile.TarFile]:
    """An archive as `export_store` writes it: plain, or packed by gzip."""
    with path.open("rb") as file:
        packed = file.read(len(GZIP)) == GZIP
        file.seek(0)
        with contextlib.ExitStack() as closing:
            inner = closing.enter_context(gzip.GzipFile(fileobj=file)) if packed else file
            yield closing.enter_context(tarfile.open(fileobj=cast(IO[bytes], _InPieces(inner)), mode="r:"))


class _InPieces:
    """A file that nobody reads much of at once, or again from before.

    tarfile believes a header that says how long the next header is, and reads it whole; it follows a length below zero
    back to where it has been.
    """

    def __init__(self, file: IO[bytes] | gzip.GzipFile) -> None:
        self._file = file

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= PIECE:
            raise tarfile.ReadError(f"a header of {size:,} bytes")
        return self._file.read(size)

    def seek(self, place: int, whence: int = os.SEEK_SET) -> int:
        # The last byte of a block is read to see whether it is there.
        if whence != os.SEEK_SET or place < self._file.tell() - tarfile.BLOCKSIZE:
            raise tarfile.ReadError("a member that lies before its header")
        return self._file.seek(place)

    def tell(self) -> int:
        return self._file.tell()


def _move(source: Path, store: Store, target: Path, done: Imported) -> None:
    try:
        with store.lock(target.stem), writing(target):
            if target.exists():
                done.present += 1
            else:
                os.replace(source, target)
                done.added += 1
    except StoreLocked:
        done.busy.append(target.stem)


def _arrived(path: Path, read: Callable[[Path], T]) -> T:
    """What was unpacked, which is no part of a store yet: nothing there can be mended."""
    try:
        return read(path)
    except StoreError as error:
        said = error.problem if error.given is None else f"{error.problem}: {error.given}"
        raise StoreError(
            f"{path.parent.name}/{path.name} of the archive is damaged",
            given=said.replace(f"{path.parent.parent}{os.sep}", ""),
            remedy="Nothing was imported. Export it again where it is sound.",
        ) from None
