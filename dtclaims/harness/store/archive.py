"""Stores on their way to another machine: one tar file of plain data, read without trust."""

import io
import json
import os
import re
import shutil
import stat
import tarfile
import tempfile
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dtclaims.errors import Damaged, StoreError, StoreLocked
from dtclaims.files import read_json, reading, writing
from dtclaims.harness.store.looks import Look, merged, read_looks, write_looks
from dtclaims.harness.store.store import Store, read_measurement
from dtclaims.harness.store.upkeep import check_run

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
    staging = Path(tempfile.mkdtemp(prefix=".import.", dir=store.folder("work")))
    try:
        arrived = Store(staging / "store")
        _unpack(path, arrived.root)
        for folder in (arrived.root / "runs").iterdir():
            check_run(arrived, folder)
        for file in (arrived.root / "measurements").iterdir():
            read_measurement(file)
        looks = {file.name: _arrived_looks(file) for file in (arrived.root / "looks").iterdir()}
        done = Imported()
        for name in ("runs", "measurements"):
            for one in sorted((arrived.root / name).iterdir()):
                _move(one, store, store.folder(name) / one.name, done)
        for name, (cell, found) in looks.items():
            _merge_looks(store.folder("looks") / name, cell, found)
        return done
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _unpack(path: Path, root: Path) -> None:
    with reading(path):
        # A device would be read for ever.
        if not stat.S_ISREG(path.stat().st_mode):
            raise Damaged(f"{path} is no plain file", expected="a file of `dtclaims store export`")
    try:
        with tarfile.open(path, "r:*") as tar:
            free = shutil.disk_usage(root).free - MARGIN
            headed = False
            for number, member in enumerate(tar):
                if number >= MOST_MEMBERS:
                    raise StoreError(
                        f"{path} holds too many files",
                        expected=f"at most {MOST_MEMBERS}",
                        remedy="Nothing was imported. Export fewer runs at once: --runs PATTERN.",
                    )
                if not member.isreg() or not MEMBER.fullmatch(member.name):
                    raise StoreError(
                        f"{path} holds what no export writes",
                        given=repr(member.name),
                        expected="plain files of runs, measurements and looks",
                        remedy="Nothing was imported.",
                    )
                free -= member.size
                if free < 0:
                    raise StoreError(f"{path} does not fit on the disk", remedy="Nothing was imported.")
                source = tar.extractfile(member)
                assert source is not None
                target = root / member.name
                with writing(target):
                    target.parent.mkdir(exist_ok=True)
                    with target.open("xb") as file:
                        shutil.copyfileobj(source, file)
                headed = headed or member.name == HEADER
    except (tarfile.TarError, zlib.error, EOFError, OSError) as error:
        raise StoreError(
            f"cannot read {path}", given=error, expected="a file of `dtclaims store export`", remedy="Is it complete?"
        ) from None
    header = read_json(root / HEADER) if headed else {}
    if header.get("kind") != "dtclaims-export" or header.get("schema") != SCHEMA:
        raise StoreError(f"{path} is of another kind or version", given=header, expected=f"schema {SCHEMA}")


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


def _arrived_looks(path: Path) -> tuple[list[str], list[Look]]:
    try:
        return read_looks(path)
    except StoreError as error:
        raise StoreError(f"{path.name} is damaged", given=error.given, remedy="Nothing was imported.") from None


def _merge_looks(path: Path, cell: list[str], arrived: Sequence[Look]) -> None:
    here = read_looks(path)[1] if path.is_file() else []
    if (both := merged(here, arrived)) != here:
        write_looks(path, cell, both)
