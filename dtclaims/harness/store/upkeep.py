"""Looking after a store: what is in it, what is damaged, what nothing needs any more."""

import fnmatch
import os
import shutil
import stat
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from dtclaims.addresses import differences, key_of
from dtclaims.errors import Damaged, NotPermitted, NotThere, OtherVersion, StoreError, StoreLocked, UsageError
from dtclaims.files import PARTIAL, bytes_in, check_file, is_there, read_json, reading, writing
from dtclaims.harness.lab import STATE
from dtclaims.harness.store.lines import TIMELINES, check_lines
from dtclaims.harness.store.looks import read_looks
from dtclaims.harness.store.store import FOLDERS, MARKER, NAME, OWN, Store, read_measurement, repair_of
from dtclaims.harness.store.timings import NAME as TIMINGS
from dtclaims.states import check_state

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

    @property
    def is_result(self) -> bool:
        """Whether verdicts can rest on it: `dtclaims evidence` judges results as they were made, whatever made them."""
        return self.kind in ("run", "measurement")

    @property
    def has_state(self) -> bool:
        """Whether it is an unfinished run that can be gone on with: by a session here, or by one elsewhere with other
        code, versions, weights or claims, of which this one knows nothing."""
        if self.kind != "unfinished run":
            return False
        try:
            return is_there(self.path / STATE)
        except StoreError:
            # It may be there, and somebody else's.
            return True

    def to_json(self) -> dict[str, Any]:
        """The entry as plain data."""
        return {"kind": self.kind, "key": self.key, "name": self.name, "bytes": self.size, "note": self.note}


def entries(store: Store, pattern: str = "*") -> list[Entry]:
    """Runs, finished or not, and measurements whose key starts with `pattern` or whose name it matches."""
    found = [_run_entry("run", path) for path in _folders(store.root / "runs")]
    found += [_run_entry("unfinished run", path) for path in _folders(store.root / "work")]
    found += [_measurement_entry(path) for path in _files(store.root / "measurements")]
    return [one for one in found if one.key.startswith(pattern) or fnmatch.fnmatch(one.name, f"*{pattern}*")]


@dataclass(frozen=True)
class Fault:
    """Something in a store that cannot be used."""

    path: Path
    """The file, or the folder of a run."""
    problem: str
    repair: Literal["drop", "restore", "ask"]
    """What mends it: it can be dropped and is made again; only a copy brings it back; or it may be sound, and its
    owner has to let this user read it."""


def damaged(store: Store, progress: Callable[[int, int], None] | None = None) -> list[Fault]:
    """Everything that is not as it was written, or that this user may not read; every checksum is computed."""
    checks: list[tuple[Path, Callable[[Path], object], Literal["drop", "restore"]]] = [
        (store.root / MARKER, lambda path: Store(path.parent), "restore"),
        *((path, lambda path: check_run(store, path), "drop") for path in _visible(store.root / "runs")),
        *((path, check_unfinished, "drop") for path in _visible(store.root / "work")),
        *((path, read_measurement, "drop") for path in _visible(store.root / "measurements")),
        *((path, read_looks, "restore") for path in _visible(store.root / "looks")),
        *((path, check_lines, "drop") for path in (store.root / TIMINGS,) if os.path.lexists(path)),
        *((path, check_lines, "drop") for path in sorted((store.root / "logs").glob(TIMELINES))),
        *((path, _unknown, "restore") for path in _visible(store.root) if path.name not in KNOWN),
    ]
    found = []
    for done, (path, check, repair) in enumerate(checks, start=1):
        try:
            check(path)
        except NotPermitted as error:
            found.append(Fault(path, str(error), "ask"))
        except (StoreError, KeyError) as error:
            found.append(Fault(path, str(error) if isinstance(error, StoreError) else f"{path} lacks {error}", repair))
        if progress is not None:
            progress(done, len(checks))
    return found


KNOWN = {MARKER, *FOLDERS, "logs", TIMINGS}


def _unknown(path: Path) -> None:
    raise Damaged(f"{path} is nothing that a store has", remedy="Put it somewhere else.")


def check_run(store: Store, folder: Path) -> None:
    """Compare every file of a run with its manifest.

    Raises:
        NotPermitted: one may not be read.
        Damaged: one is missing, of another content, or not in the manifest.
    """
    _check_folder(folder)
    with reading(folder):
        names = sorted(file.name for file in folder.iterdir())
    run = store.find(folder.name)
    if run is None:
        raise Damaged(f"{folder} has no manifest", remedy=repair_of(folder))
    for name, recorded in run.manifest.items():
        if not recorded.get("dropped"):
            check_file(folder, name, recorded, remedy=repair_of(folder))
    if unknown := [name for name in names if name not in {*run.manifest, *OWN}]:
        raise Damaged(f"{folder} holds files that are not its own", given=", ".join(unknown), remedy=repair_of(folder))


def check_unfinished(folder: Path) -> None:
    """Check what an unfinished run would go on from. One without a state has nothing to lose.

    Raises:
        NotPermitted: something of it may not be read.
        OtherVersion: another version of dtclaims began it.
        Damaged: its state, a checkpoint, or its name is not as it was written.
    """
    _check_folder(folder)
    # A worker that has just begun has written neither.
    for name in (NAME, STATE):
        if os.path.lexists(folder / name) and not is_there(folder / name):
            raise Damaged(f"{folder / name} is damaged", given="no plain file", remedy=repair_of(folder))
    if is_there(folder / NAME):
        read_json(folder / NAME, remedy=repair_of(folder))
    if is_there(folder / STATE):
        check_state(folder, STATE)


def _check_folder(folder: Path) -> None:
    with reading(folder):
        if not stat.S_ISDIR(folder.lstat().st_mode):
            raise Damaged(f"{folder} is no folder of a run", remedy=repair_of(folder))


def repair(store: Store, faults: Iterable[Fault]) -> tuple[list[Fault], list[Fault]]:
    """Drop what is damaged and can be made again; what was dropped, and what was left.

    Raises:
        StoreError: the store may not be written.
    """
    dropped, left = [], []
    for fault in faults:
        if fault.repair != "drop":
            left.append(fault)
            continue
        key = fault.path.stem
        if fault.path.parent.name in ("runs", "work", "measurements"):
            try:
                with store.lock(key):
                    _put_away(store, fault.path)
            except StoreLocked:
                left.append(fault)
                continue
        else:
            _put_away(store, fault.path)
        dropped.append(fault)
    return dropped, left


def _put_away(store: Store, path: Path) -> None:
    """Delete a file or a folder, out of sight at once: a reader must not see half a run."""
    with writing(path):
        if not path.is_dir() or path.is_symlink():
            path.unlink(missing_ok=True)
            return
        aside = store.folder("work") / f".{path.name}.old"
        shutil.rmtree(aside, ignore_errors=True)
        os.replace(path, aside)
        shutil.rmtree(aside)


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


def reasons(store: Store, wanted: Callable[[Mapping[str, Any]], Wanted]) -> list[tuple[Entry, str | None]]:
    """Everything in the store, each with why no session here uses it again: made by other code or libraries, needed by
    no claim under any switch, or left by a killed process. None where one may.

    A result of which no session makes use is no rubbish: evidence may still be made of it, and who could make it again
    may be gone.

    Args:
        store: to look through.
        wanted: from a run's identity to what the claims need of runs of its scale, device and precision.
    """
    every = entries(store)
    runs = [
        (entry, _why_superseded(store, entry) or _why_unneeded(entry, wanted))
        for entry in every
        if entry.kind != "measurement"
    ]
    # Of one key there may be a finished run and a state of it: what was measured rests on the run, which comes first.
    by_key = {entry.key: why for entry, why in reversed(runs)}
    measured = [(entry, _why_stale(entry, by_key)) for entry in every if entry.kind == "measurement"]
    return [*runs, *measured, *((entry, "left by a process that was killed") for entry in _leftovers(store))]


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
        with store.lock(entry.key):
            _put_away(store, entry.path)
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
            expected="runs, which keep files; measurements of a lab without runs are not exported",
            remedy="`dtclaims run` makes runs, or goes on with unfinished ones; --store names another store.",
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


FINISHED = "its run is finished"
"""Why nobody goes on with an unfinished run, whatever made it."""


def flaw(store: Store, entry: Entry) -> str | None:
    """What is amiss with a result, as far as its JSON says: no checksum of a checkpoint is computed."""
    try:
        if entry.kind == "measurement":
            read_measurement(entry.path)
        elif entry.kind == "run" and store.find(entry.key) is None:
            return "damaged"
    except NotPermitted:
        return "not to be read by this user"
    except OtherVersion:
        return "of another version of dtclaims"
    except StoreError:
        return "damaged"
    return None


def _why_superseded(store: Store, entry: Entry) -> str | None:
    if entry.kind != "unfinished run":
        return None
    try:
        run = store.find(entry.key)
    except StoreError:
        return None
    # A run is made again for the checkpoints that it lacks.
    return FINISHED if run is not None and not run.dropped else None


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
    except (Damaged, NotThere, OtherVersion, KeyError, TypeError, AttributeError) as error:
        # A finished run that cannot be read is for `verify` to name and to repair.
        return f"unreadable: {error}" if entry.kind != "run" else None
    except StoreError:
        # It may be sound, and somebody else's.
        return None
    if like and (stale := min((_changed(identity, one) for one in like), key=len)):
        return f"made otherwise than today: {', '.join(stale)}"
    older = [one for one in made_with if one not in now.inputs]
    if older and now.certain:
        return f"made with another {older[0].get('kind', 'checkpoint')} than this installation's"
    return "needed by no claim" if now.certain and not like else None


def _inputs(how: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Identities of data and weights in what a run is made of: objects, and objects of them."""
    found = [one for one in how.values() if isinstance(one, Mapping)]
    return [*found, *(inner for one in found for inner in one.values() if isinstance(inner, Mapping))]


def _changed(identity: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """In what today's code, tables and libraries differ from those that made something."""
    then, today = ({name: one.get(name) for name in MADE_WITH} for one in (identity, now))
    return sorted(name for name, _, _ in differences(then, today))


def _why_stale(entry: Entry, runs: Mapping[str, str | None]) -> str | None:
    try:
        identity = read_json(entry.path)["identity"]
        found = [runs.get(key, "of a run that is gone") for key in identity.get("needs", identity.get("runs", []))]
        return next((why for why in found if why is not None), None)
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
    except NotPermitted:
        name, note = "?", "may not be read"
    except (StoreError, KeyError, TypeError, AttributeError):
        name, note = "?", "unreadable"
    return Entry(kind, path.name, name, path, bytes_in(path), path.stat().st_mtime, note)


def _measurement_entry(path: Path) -> Entry:
    try:
        name, note = str(read_json(path)["name"]), ""
    except NotPermitted:
        name, note = "?", "may not be read"
    except (StoreError, KeyError, TypeError):
        name, note = "?", "unreadable"
    found = path.lstat()
    return Entry("measurement", path.stem, name, path, found.st_size, found.st_mtime, note)


def _folders(root: Path) -> list[Path]:
    return [path for path in _visible(root) if path.is_dir()]


def _files(root: Path) -> list[Path]:
    return [path for path in _visible(root) if path.suffix == ".json"]


def _visible(root: Path) -> Iterable[Path]:
    try:
        with reading(root):
            return sorted(path for path in root.iterdir() if not path.name.startswith("."))
    except NotThere:
        return []
