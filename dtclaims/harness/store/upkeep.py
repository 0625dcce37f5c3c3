"""Looking after a store: what is in it, what is damaged, what nothing needs any more."""

import fnmatch
import os
import shutil
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from dtclaims.addresses import differences, key_of
from dtclaims.errors import StoreError, StoreLocked, UsageError
from dtclaims.files import PARTIAL, bytes_in, check_file, read_json, writing
from dtclaims.harness.store.looks import read_looks
from dtclaims.harness.store.store import NAME, OWN, Store, read_measurement

OWN_KINDS = ("collected", "self-pre-trained", "hub")
"""Kinds of data and backbones that this project makes or names; all others are the user's."""
ABANDONED = 24 * 3600.0
"""Seconds after which what a killed process left half-written is nobody's."""


@dataclass(frozen=True)
class Entry:
    """Something in the store."""

    kind: Literal["run", "unfinished run", "measurement", "leftover"]
    key: str
    name: str
    path: Path
    size: int
    """Bytes."""
    made: float
    """Seconds since 1970."""
    note: str = ""

    def to_json(self) -> dict[str, Any]:
        """The entry as plain data."""
        return {"kind": self.kind, "key": self.key, "name": self.name, "bytes": self.size, "note": self.note}


def entries(store: Store, pattern: str = "*") -> list[Entry]:
    """Runs, finished or not, and measurements whose key starts with `pattern` or whose name it matches."""
    found = [_run_entry("run", path) for path in _folders(store.root / "runs")]
    found += [_run_entry("unfinished run", path) for path in _folders(store.root / "work")]
    found += [_measurement_entry(path) for path in _files(store.root / "measurements")]
    return [one for one in found if one.key.startswith(pattern) or fnmatch.fnmatch(one.name, f"*{pattern}*")]


def damaged(store: Store, progress: Callable[[int, int], None] | None = None) -> list[tuple[Path, str]]:
    """Everything that is not as it was written, with what is wrong with it; every checksum is computed."""
    checks: list[tuple[Path, Callable[[Path], None]]] = [
        *((path, lambda path: check_run(store, path)) for path in _folders(store.root / "runs")),
        *((path, lambda path: _ignored(read_measurement(path))) for path in _files(store.root / "measurements")),
        *((path, lambda path: _ignored(read_looks(path))) for path in _files(store.root / "looks")),
    ]
    found = []
    for done, (path, check) in enumerate(checks, start=1):
        try:
            check(path)
        except StoreError as error:
            found.append((path, str(error)))
        except KeyError as error:
            found.append((path, f"{path} lacks {error}"))
        if progress is not None:
            progress(done, len(checks))
    return found


def check_run(store: Store, folder: Path) -> None:
    """Compare every file of a run with its manifest.

    Raises:
        StoreError: one is missing, of another content, or not in the manifest.
    """
    run = store.find(folder.name)
    if run is None:
        raise StoreError(f"{folder} has no manifest", remedy="Delete it; the run is trained again.")
    for name, recorded in run.manifest.items():
        if not recorded.get("dropped"):
            check_file(folder, name, recorded)
    unknown = sorted(file.name for file in folder.iterdir() if file.name not in {*run.manifest, *OWN})
    if unknown:
        raise StoreError(f"{folder} holds files that are not its own", given=", ".join(unknown), remedy="Delete them.")


MADE_WITH = ("schema", "versions", "code", "resolved")
"""Parts of an identity that say what made a result."""


def what_of(identity: Mapping[str, Any]) -> str:
    """A digest of what a result is, apart from switches: `--factor` may ask for any of these, so they are no reason to
    delete."""
    return key_of({"kind": identity["kind"], "what": identity["what"]})


@dataclass(frozen=True)
class Wanted:
    """What the claims need now, of one kind of runs."""

    runs: Mapping[str, list[Mapping[str, Any]]]
    """`what_of` → identities of the runs that they need."""
    inputs: tuple[Mapping[str, Any], ...]
    """Identities of the data and weights of this installation."""
    certain: bool
    """Whether these are all: not where data or weights that claims need are missing here."""


def unneeded(store: Store, wanted: Callable[[Mapping[str, Any]], Wanted]) -> list[tuple[Entry, str]]:
    """What could go, each with the reason: made by other code or libraries, needed by no claim under any switch,
    or left by a killed process.

    Args:
        store: to look through.
        wanted: from a run's identity to what the claims need of runs of its scale, device and precision.
    """
    found: list[tuple[Entry, str]] = []
    kept: set[str] = set()
    for entry in entries(store):
        if entry.kind == "measurement":
            continue
        why = _why_unneeded(entry, wanted)
        if why is None:
            kept.add(entry.key)
        else:
            found.append((entry, why))
    taken = [(entry, _why_stale(entry, kept)) for entry in entries(store) if entry.kind == "measurement"]
    found += [(entry, why) for entry, why in taken if why is not None]
    return [*found, *((entry, "left by a process that was killed") for entry in _leftovers(store))]


def delete(store: Store, entry: Entry) -> bool:
    """Delete something from the store, unless another process is at it; whether it is gone.

    Raises:
        StoreError: the store may not be written.
    """
    if entry.kind == "leftover":
        with writing(entry.path):
            shutil.rmtree(entry.path) if entry.path.is_dir() else entry.path.unlink()
        return True
    try:
        with store.lock(entry.key), writing(entry.path):
            if entry.path.is_dir():
                # Out of sight at once: a reader must not see half a run.
                aside = store.folder("work") / f".{entry.key}.old"
                shutil.rmtree(aside, ignore_errors=True)
                os.replace(entry.path, aside)
                shutil.rmtree(aside)
            else:
                entry.path.unlink()
    except StoreLocked:
        return False
    return True


def matching_runs(store: Store, pattern: str) -> list[Entry]:
    """The finished runs that a pattern means.

    Raises:
        StoreError: there are no finished runs at all.
        UsageError: it means none of them.
    """
    if not store.run_keys():
        raise StoreError(
            "the store holds no finished runs",
            given=str(store.root),
            remedy="`dtclaims run` makes some, or goes on with unfinished ones; --store names another store.",
        )
    found = [entry for entry in entries(store, pattern) if entry.kind == "run"]
    if not found:
        raise UsageError(
            "no finished run matches",
            given=repr(pattern),
            expected="part of a name (* and ? stand for others), or a key",
            remedy="`dtclaims store ls` lists them.",
        )
    return found


def _why_unneeded(entry: Entry, wanted: Callable[[Mapping[str, Any]], Wanted]) -> str | None:
    try:
        identity = read_json(entry.path / "identity.json")
        if "what" not in identity:
            return f"made under schema {identity['schema']}"
        now = wanted(identity)
        like = now.runs.get(what_of(identity), [])
        made_with = [one for one in _inputs(identity["how"]) if one.get("kind") in OWN_KINDS or "config" in one]
    except UsageError as error:
        return str(error)
    except (StoreError, KeyError, TypeError, AttributeError) as error:
        # A finished run that cannot be read is for `verify` to name, and for the user to delete.
        return f"unreadable: {error}" if entry.kind != "run" else None
    if like and (stale := min((_changed(identity, one) for one in like), key=len)):
        return f"what makes it has changed: {', '.join(stale)}"
    older = [one for one in made_with if one not in now.inputs]
    if older and now.certain:
        return f"made with another {older[0].get('kind', 'checkpoint')} than this installation's"
    return "no claim needs it" if now.certain and not like else None


def _inputs(how: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Identities of data and weights in what a run is made of: objects, and objects of them."""
    found = [one for one in how.values() if isinstance(one, Mapping)]
    return [*found, *(inner for one in found for inner in one.values() if isinstance(inner, Mapping))]


def _changed(identity: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """In what today's code, tables and libraries differ from those that made something."""
    then, today = ({name: one.get(name) for name in MADE_WITH} for one in (identity, now))
    return sorted(name for name, _, _ in differences(then, today))


def _why_stale(entry: Entry, kept: set[str]) -> str | None:
    try:
        identity = read_json(entry.path)["identity"]
        needs = identity.get("needs", identity.get("runs", []))
        gone = [key for key in needs if key not in kept]
        return f"its run {gone[0]} goes or is gone" if gone else None
    except (StoreError, KeyError, TypeError):
        return None


def _leftovers(store: Store) -> list[Entry]:
    now = time.time()
    found = [*(store.root / "work").glob(".*"), *(path for path in store.root.rglob(f".*{PARTIAL}"))]
    return [
        Entry("leftover", path.name.strip("."), path.name, path, bytes_in(path), path.stat().st_mtime)
        for path in sorted(set(found))
        if now - path.stat().st_mtime > ABANDONED
    ]


def _run_entry(kind: Literal["run", "unfinished run"], path: Path) -> Entry:
    note = ""
    try:
        name = str(read_json(path / NAME)["name"])
        if kind == "run" and any(one.get("dropped") for one in read_json(path / "manifest.json").values()):
            note = "checkpoints dropped"
    except (StoreError, KeyError, TypeError, AttributeError):
        name, note = "?", "unreadable"
    return Entry(kind, path.name, name, path, bytes_in(path), path.stat().st_mtime, note)


def _measurement_entry(path: Path) -> Entry:
    try:
        name, note = str(read_json(path)["name"]), ""
    except (StoreError, KeyError, TypeError):
        name, note = "?", "unreadable"
    stat = path.stat()
    return Entry("measurement", path.stem, name, path, stat.st_size, stat.st_mtime, note)


def _folders(root: Path) -> list[Path]:
    return [path for path in _visible(root) if path.is_dir()]


def _files(root: Path) -> list[Path]:
    return [path for path in _visible(root) if path.suffix == ".json"]


def _visible(root: Path) -> Iterable[Path]:
    return sorted(path for path in root.iterdir() if not path.name.startswith(".")) if root.is_dir() else []


def _ignored(value: object) -> None:
    """Reading was the check."""
