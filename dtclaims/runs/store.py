"""The content-addressed store of runs and measurements.

    STORE/dtclaims-store.json         says that the folder is ours
    STORE/runs/KEY/identity.json      what the run depends on (its hash is KEY)
    STORE/runs/KEY/result.json        curves, provenance, cost
    STORE/runs/KEY/epoch_NNN.safetensors
    STORE/runs/KEY/manifest.json      size and SHA-256 of every file; written last
    STORE/measurements/KEY.json       identity and value
    STORE/locks/KEY.lock

A run appears by one rename, so it is whole or absent; a reader never sees half of one.
"""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from dtclaims.errors import StoreError
from dtclaims.fixtures import sha256_file
from dtclaims.identity import key_of
from dtclaims.runs.identity import SCHEMA

if TYPE_CHECKING:
    from torch import Tensor

MARKER = "dtclaims-store.json"


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

    def checkpoint(self, epoch: int) -> "dict[str, Tensor]":
        """Parameters at a kept epoch, on the CPU.

        Raises:
            StoreError: the epoch was not kept, or the file is not the one that was written.
        """
        from safetensors.torch import load_file

        name = f"epoch_{epoch:03d}.safetensors"
        if name not in self.manifest:
            kept = sorted(file for file in self.manifest if file.startswith("epoch_"))
            raise StoreError(f"run {self.key} has no checkpoint of epoch {epoch}", given=kept)
        check_file(self.folder, name, self.manifest[name])
        tensors: dict[str, Tensor] = load_file(self.folder / name)
        return tensors


class Store:
    """A folder of runs and measurements, created on first use.

    Raises:
        StoreError: the folder holds something else, or cannot be written.
    """

    def __init__(self, root: Path, *, create: bool = True) -> None:
        self.root = root
        marker = root / MARKER
        if marker.is_file():
            self._check_marker(marker)
            return
        if root.exists() and (not root.is_dir() or any(root.iterdir())):
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
        try:
            for folder in ("runs", "measurements", "locks"):
                (root / folder).mkdir(parents=True, exist_ok=True)
            write_json(marker, {"kind": "dtclaims-store", "schema": SCHEMA})
        except OSError as error:
            raise StoreError(
                f"cannot create a store at {root}", given=error, remedy="Choose another --store."
            ) from error

    @staticmethod
    def _check_marker(marker: Path) -> None:
        content = read_json(marker)
        if content.get("kind") != "dtclaims-store" or content.get("schema") != SCHEMA:
            raise StoreError(
                f"{marker} is of another kind or version",
                given=content,
                expected=f"kind dtclaims-store, schema {SCHEMA}",
                remedy="Name another folder with --store.",
            )

    def lock(self, key: str) -> FileLock:
        """The lock to hold while making `key`; released by the system if its owner dies."""
        return FileLock(self.root / "locks" / f"{key}.lock")

    def run_keys(self) -> list[str]:
        """Keys of all finished runs."""
        return sorted(entry.name for entry in (self.root / "runs").iterdir() if (entry / "manifest.json").is_file())

    def find(self, key: str) -> StoredRun | None:
        """The run with this key, or None if it was never finished.

        Raises:
            StoreError: the run is there but damaged.
        """
        folder = self.root / "runs" / key
        if not (folder / "manifest.json").is_file():
            return None
        manifest = read_json(folder / "manifest.json")
        for name, recorded in manifest.items():
            # Checkpoints are hashed when they are read; here their presence and size must do.
            check_file(folder, name, recorded, deep=name.endswith(".json"))
        identity, result = read_json(folder / "identity.json"), read_json(folder / "result.json")
        if key_of(identity) != key:
            raise StoreError(
                f"run {key} does not hold what its name says", remedy=f"Delete {folder}; it is trained again."
            )
        return StoredRun(folder, identity, result, manifest)

    @contextmanager
    def new_run(self, identity: Mapping[str, Any]) -> Iterator[Path]:
        """A private folder to write a run's files into; on leaving without error the run is published.

        Call it under the key's lock.
        """
        key = key_of(identity)
        for abandoned in (self.root / "runs").glob(f".{key}.*"):
            # A killed worker's; the lock says that nobody writes there any more.
            shutil.rmtree(abandoned, ignore_errors=True)
        staging = Path(tempfile.mkdtemp(prefix=f".{key}.", dir=self.root / "runs"))
        try:
            yield staging
            write_json(staging / "identity.json", identity)
            names = sorted(file.name for file in staging.iterdir())
            recorded = {
                name: {"bytes": (staging / name).stat().st_size, "sha256": sha256_file(staging / name)}
                for name in names
            }
            write_json(staging / "manifest.json", recorded)
            os.replace(staging, self.root / "runs" / key)
        except OSError as error:
            raise StoreError(
                f"cannot write run {key}", given=error, remedy="Free some space; other runs are intact."
            ) from error
        finally:
            shutil.rmtree(staging, ignore_errors=True)

    def find_measurement(self, identity: Mapping[str, Any]) -> Any | None:
        """The stored value of a measurement, or None if it was not taken yet."""
        path = self.root / "measurements" / f"{key_of(identity)}.json"
        if not path.is_file():
            return None
        content = read_json(path)
        if content.get("identity") != json.loads(json.dumps(identity)) or "value" not in content:
            raise StoreError(f"{path} is not as it was written", remedy="Delete it; it is measured again.")
        return content["value"]

    def put_measurement(self, identity: Mapping[str, Any], value: Any) -> None:
        """Store a measurement's value (plain JSON data, finite numbers)."""
        write_json(self.root / "measurements" / f"{key_of(identity)}.json", {"identity": identity, "value": value})


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


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON object by rename, so that a reader sees the old file or the new one."""
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        partial.write_text(json.dumps(content, indent=1, sort_keys=True, allow_nan=False), encoding="utf-8")
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
