"""The content-addressed store of runs and measurements.

    STORE/dtclaims-store.json         says that the folder is ours
    STORE/runs/KEY/identity.json      what the run depends on (its hash is KEY)
    STORE/runs/KEY/name.json          what people call it, and when it was finished
    STORE/runs/KEY/result.json        curves, provenance, cost
    STORE/runs/KEY/…                  files of the lab's, such as checkpoints
    STORE/runs/KEY/manifest.json      size and SHA-256 of every file; written last
    STORE/measurements/KEY.json       identity, value and its SHA-256
    STORE/looks/KEY.json              on which seeds a claim was judged, when, as declared how (`store.looks`)
    STORE/work/KEY/                   a run that is being trained until it is whole
    STORE/locks/KEY.lock, KEY.owner   who makes KEY (`dtclaims.harness.store.locks`)

A run appears by one rename, so it is whole or absent; a reader never sees half of one. Its checkpoints may be dropped
later: the manifest then says so, and curves and stored measurements serve as before.
"""

import contextlib
import datetime
import os
import shlex
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dtclaims.addresses import key_of
from dtclaims.errors import Damaged, NotPermitted, NotThere, OtherVersion, StoreError
from dtclaims.files import (
    PARTIAL,
    check_file,
    checksum,
    describe_file,
    is_there,
    read_json,
    reading,
    write_json,
    writing,
)
from dtclaims.harness.lab import STATE
from dtclaims.harness.store.locks import Lock, hold, hold_next
from dtclaims.harness.store.looks import Look, read_looks, write_looks
from dtclaims.harness.times import now

__all__ = ["MadeAt", "Store", "StoredRun", "read_json", "write_json"]

MARKER = "dtclaims-store.json"
OWN = (STATE, "manifest.json")
"""Files that a manifest does not list."""
NAME = "name.json"
"""What people call the run, and when it was finished."""
MEASUREMENT = {"identity", "value", "sha256", "name", "made", "told"}
"""Fields of a measurement's file; `told` is the checksum of name and date."""
RESULT = ("identity.json", "result.json", NAME)
"""What every run has; the other files are the lab's, and may be dropped."""
SCHEMA = 1
"""Of the folder's layout."""
FOLDERS = ("runs", "measurements", "looks", "work", "locks")


def repair_of(result: Path) -> str:
    """What to do about a damaged result: the folder of a run, or the file of a measurement."""
    store = shlex.quote(str(result.parent.parent))
    return f"`dtclaims store verify --repair --store {store}` drops it, and it is made again."


@dataclass(frozen=True)
class MadeAt:
    """When a result was made."""

    at: str
    """ISO 8601, UTC."""
    recorded: bool
    """Whether by what made it, in no address; else it is the file's time, which a copy has later."""


@dataclass(frozen=True)
class StoredRun:
    """A finished run on disk; its JSON is read and checked at once, checkpoints when asked for."""

    folder: Path
    identity: Mapping[str, Any]
    result: Mapping[str, Any]
    manifest: Mapping[str, Any]

    @property
    def key(self) -> str:
        """The content address."""
        return self.folder.name

    @property
    def dropped(self) -> list[str]:
        """Names of the checkpoints that were dropped to save space."""
        return sorted(name for name, recorded in self.manifest.items() if recorded.get("dropped"))

    def file(self, name: str) -> Path:
        """A kept file, after checking it.

        Raises:
            StoreError: it was not kept, was dropped, or is not the one that was written.
        """
        if name not in self.manifest:
            kept = sorted(file for file in self.manifest if file not in RESULT)
            raise StoreError(f"run {self.key} has no file {name}", given=kept)
        if name in self.dropped:
            raise StoreError(
                f"{name} of run {self.key} was dropped",
                remedy="`pytest claims` makes the run again where something needs it.",
            )
        check_file(self.folder, name, self.manifest[name])
        return self.folder / name


class Store:
    """A folder of runs and measurements, created on first use.

    Raises:
        NotPermitted: the folder may not be read, or not be made.
        OtherVersion: it is of another version of dtclaims.
        StoreError: it holds something else, or cannot be written.
    """

    called = "the store"
    """How a reason names it."""

    def __init__(self, root: Path, *, create: bool = True) -> None:
        self.root = root
        marker = root / MARKER
        if is_there(marker):
            self._check_marker(marker)
            return
        if root.exists() and (not root.is_dir() or not _may_become_store(root)):
            raise StoreError(
                "not a dtclaims store",
                given=str(root),
                expected=f"an empty or absent folder, or one with {MARKER}",
                remedy="Name another folder with --store; nothing was changed.",
            )
        if not create:
            raise StoreError(
                "no store there", given=str(root), remedy="Run `pytest claims` first, or name it with --store."
            )
        with writing(root):
            for folder in FOLDERS:
                (root / folder).mkdir(parents=True, exist_ok=True)
            write_json(marker, {"kind": "dtclaims-store", "schema": SCHEMA})

    def forget(self) -> None:
        """Take away what making it left, where nothing came of it; what another process has put there stays."""
        folders = [self.root / name for name in FOLDERS]
        with contextlib.suppress(OSError):
            if not any(any(folder.iterdir()) for folder in folders):
                for folder in folders:
                    folder.rmdir()
                (self.root / MARKER).unlink()
                self.root.rmdir()

    @staticmethod
    def _check_marker(marker: Path) -> None:
        content = read_json(marker, remedy="Restore it from another store: all have the same.")
        kind, schema = content.get("kind"), content.get("schema")
        if kind != "dtclaims-store" or type(schema) is not int or set(content) != {"kind", "schema"}:
            raise Damaged(
                f"{marker} is damaged",
                given=str(content)[:200],
                expected=f"kind dtclaims-store, schema {SCHEMA}",
                remedy="Restore it from another store: all have the same.",
            )
        if schema != SCHEMA:
            raise OtherVersion(
                f"{marker} is of another version",
                given=f"schema {schema}",
                expected=f"schema {SCHEMA}",
                remedy="Name another folder with --store, or use the dtclaims that made it.",
            )

    def lock(self, key: str) -> AbstractContextManager[Lock]:
        """The lock to hold while making `key`, as a context.

        Raises:
            StoreLocked: on entering, if another process holds it.
        """
        return hold(self.folder("locks"), key)

    def free(self) -> int:
        """Bytes that are free on its disk."""
        return shutil.disk_usage(self.root).free

    def folder(self, name: str) -> Path:
        """One of `FOLDERS`, made if an older version left it out.

        Raises:
            StoreError: the store may not be written.
        """
        folder = self.root / name
        with writing(folder):
            folder.mkdir(exist_ok=True)
        return folder

    def run_keys(self) -> list[str]:
        """Keys of all finished runs.

        Raises:
            NotPermitted: the folder may not be read.
        """
        with reading(self.root / "runs"):
            found = list((self.root / "runs").iterdir())
        return sorted(entry.name for entry in found if is_there(entry / "manifest.json"))

    def find(self, key: str) -> StoredRun | None:
        """The run with this key, or None if it was never finished.

        Raises:
            Damaged: the run is there but not as it was written.
            NotPermitted: it may not be read.
        """
        folder = self.root / "runs" / key
        try:
            return _read_run(folder, key)
        except NotThere:
            return None
        except Damaged:
            # Somebody may be putting it away at this moment: then it is gone, not damaged.
            if not is_there(folder / "manifest.json"):
                return None
            raise

    def workspace(self, key: str) -> Path:
        """The folder in which run `key` grows, with what an earlier owner left. Call it under the key's lock."""
        folder = self.folder("work") / key
        with writing(folder):
            folder.mkdir(exist_ok=True)
            for partial in folder.glob(f".*{PARTIAL}"):
                partial.unlink()
        return folder

    def complete(self, folder: Path, identity: Mapping[str, Any]) -> None:
        """Write what makes a workspace a whole run: from now on only `publish` is left to do.

        Raises:
            StoreError: the disk is full, or the store may not be written.
        """
        write_json(folder / "identity.json", identity)
        names = sorted(file.name for file in folder.iterdir() if file.name not in OWN)
        write_json(folder / "manifest.json", {name: describe_file(folder / name) for name in names})

    def publish(self, folder: Path) -> None:
        """Move a complete workspace to the finished runs. Call it under the key's lock.

        A run of that key whose checkpoints were dropped is replaced.

        Raises:
            StoreError: the store may not be written.
        """
        target, old = self.root / "runs" / folder.name, folder.with_name(f".{folder.name}.old")
        with writing(target):
            (folder / STATE).unlink(missing_ok=True)
            shutil.rmtree(old, ignore_errors=True)
            if target.exists():
                os.replace(target, old)
            os.replace(folder, target)
            shutil.rmtree(old, ignore_errors=True)

    def drop_checkpoints(self, key: str) -> int:
        """Delete a run's checkpoints and keep the rest; how many bytes that freed. Call it under the key's lock.

        Raises:
            StoreError: the run is damaged, or the store may not be written.
        """
        run = self.find(key)
        if run is None:
            return 0
        names = [name for name in run.manifest if name not in RESULT]
        # First the manifest: what it calls dropped is not missed.
        marked = {name: {**entry, "dropped": True} if name in names else entry for name, entry in run.manifest.items()}
        if marked != run.manifest:
            write_json(run.folder / "manifest.json", marked)
        files = [run.folder / name for name in names if (run.folder / name).is_file()]
        freed = sum(file.stat().st_size for file in files)
        with writing(run.folder):
            for file in files:
                file.unlink()
        return freed

    def find_measurement(self, identity: Mapping[str, Any]) -> Any | None:
        """The stored value of a measurement, or None if it was not taken yet.

        Raises:
            Damaged: the file is not as it was written.
            NotPermitted: it may not be read.
        """
        try:
            return read_measurement(self.root / "measurements" / f"{key_of(identity)}.json")["value"]
        except NotThere:
            return None

    def put_measurement(self, identity: Mapping[str, Any], value: Any, name: str = "") -> None:
        """Store a measurement's value (plain JSON data, finite numbers).

        Raises:
            StoreError: the disk is full, or the store may not be written.
        """
        told = {"name": name, "made": now()}
        content = {"identity": identity, "value": value, "sha256": checksum(value), **told, "told": checksum(told)}
        write_json(self.folder("measurements") / f"{key_of(identity)}.json", content)

    def made_at(self, key: str) -> "MadeAt | None":
        """When the result with this key was made; None if there is none.

        Raises:
            StoreError: it is damaged.
        """
        run, value = self.root / "runs" / key, self.root / "measurements" / f"{key}.json"
        if is_there(run / "manifest.json"):
            file, name = run / NAME, "finished"
        elif is_there(value):
            file, name = value, "made"
        else:
            return None
        recorded = read_json(file).get(name) if is_there(file) else None
        if recorded is not None:
            return MadeAt(str(recorded), True)
        changed = (run / "manifest.json" if run.is_dir() else value).stat().st_mtime
        return MadeAt(datetime.datetime.fromtimestamp(changed, datetime.UTC).isoformat(timespec="seconds"), False)

    def looks(self, cell: Sequence[str]) -> list[Look]:
        """When and on which seeds a cell was judged, the earliest first.

        Raises:
            StoreError: the file is damaged.
        """
        try:
            return read_looks(self._looks_of(cell))[1]
        except NotThere:
            return []

    def add_look(self, cell: tuple[str, ...], look: Look) -> None:
        """Remember a look at a cell.

        Raises:
            StoreError: the disk is full, or the store may not be written.
        """
        self.merge_looks(cell, lambda here: here if look.seeds in [one.seeds for one in here] else [*here, look])

    def merge_looks(self, cell: Sequence[str], merge: Callable[[list[Look]], list[Look]]) -> None:
        """Remember more looks at a cell, one process after the other: none is lost to what another writes meanwhile.

        Args:
            cell: that was looked at.
            merge: what to remember, of what is remembered.

        Raises:
            StoreError: the disk is full, or the store may not be written.
        """
        path = self.folder("looks") / self._looks_of(cell).name
        with contextlib.ExitStack() as stack:
            # Where the lock may not be taken the file itself may be written or not.
            with contextlib.suppress(NotPermitted):
                stack.enter_context(hold_next(self.folder("locks"), path.stem))
            here = self.looks(cell)
            if (both := merge(here)) != here:
                write_looks(path, cell, both)

    def _looks_of(self, cell: Sequence[str]) -> Path:
        return self.root / "looks" / f"{key_of({'cell': list(cell)})}.json"


def _read_run(folder: Path, key: str) -> StoredRun:
    manifest = read_manifest(folder)
    for name, recorded in manifest.items():
        # Checkpoints are hashed when they are read; here their presence and size must do.
        if not recorded.get("dropped"):
            check_file(folder, name, recorded, deep=name.endswith(".json"), remedy=repair_of(folder))
    identity, result = (read_json(folder / name, remedy=repair_of(folder)) for name in ("identity.json", "result.json"))
    if key_of(identity) != key:
        raise Damaged(f"run {key} does not hold what its name says", given=folder, remedy=repair_of(folder))
    return StoredRun(folder, identity, result, manifest)


def read_manifest(folder: Path) -> dict[str, dict[str, Any]]:
    """What a run's manifest says of each of its files.

    Raises:
        NotThere, NotPermitted, Damaged: see `dtclaims.files.read_json`.
    """
    path = folder / "manifest.json"
    manifest = read_json(path, remedy=repair_of(folder))
    for name, recorded in manifest.items():
        # Names come from outside with an import: none may lead out of the folder.
        if Path(name).name != name or not _describes(recorded):
            raise Damaged(f"{path} is damaged", given=f"an entry {name!r}", remedy=repair_of(folder))
    if not {"identity.json", "result.json"} <= manifest.keys():
        raise Damaged(
            f"{path} is damaged", expected="entries of identity.json and result.json", remedy=repair_of(folder)
        )
    return manifest


def _describes(recorded: object) -> bool:
    if not isinstance(recorded, dict) or not {"bytes", "sha256"} <= recorded.keys() <= {"bytes", "sha256", "dropped"}:
        return False
    return (
        type(recorded["bytes"]) is int and isinstance(recorded["sha256"], str) and recorded.get("dropped", True) is True
    )


def read_measurement(path: Path) -> dict[str, Any]:
    """A measurement's identity and value.

    Raises:
        NotThere, NotPermitted: see `dtclaims.files.read_json`.
        Damaged: the file is not as it was written.
    """
    content = read_json(path, remedy=repair_of(path))
    try:
        sound = key_of(content["identity"]) == path.stem and checksum(content["value"]) == content["sha256"]
        # Nothing depends on its name and date, but damage is damage; files of before do not say it.
        if sound and "told" in content:
            sound = checksum({name: content[name] for name in ("name", "made")}) == content["told"]
    except (KeyError, TypeError, ValueError):
        sound = False
    if not sound or content.keys() - MEASUREMENT:
        raise Damaged(f"{path} is not as it was written", remedy=repair_of(path))
    return content


def _may_become_store(root: Path) -> bool:
    """Whether a folder is empty, or another process is making a store of it at this moment."""
    return all(entry.name in FOLDERS or entry.name.endswith(PARTIAL) for entry in root.iterdir())
