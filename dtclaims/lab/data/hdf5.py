"""D4RL's HDF5 layout, read and written (Fu et al. 2020; protocol §1).

One dataset per key with all steps in a row. D4RL's own v2 files hold more (`next_observations`,
`infos/…`, `metadata/…`), which is left unread; files of ours carry the task, their content's digest
and their provenance as attributes.
"""

import contextlib
import errno
import io
import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np

from dtclaims.errors import DataError
from dtclaims.files import parse_json
from dtclaims.lab.data.assembly import from_steps, settle_task
from dtclaims.lab.data.hdf5_reading import Room, array, member, opened, some_names, unreadable
from dtclaims.lab.data.trajectories import Trajectories
from dtclaims.lab.design.tasks import TASKS, Task

KEYS = ("observations", "actions", "rewards", "terminals", "timeouts")

UNKNOWN = '{"source": "D4RL-style HDF5"}'
"""Provenance of files that record none."""

D4RLS_OWN = '{"source": "D4RL HDF5", "simulator": {"name": "gym-v2"}}'
"""Provenance of files in the layout of those that D4RL distributes."""
D4RLS_LAYOUT = ("metadata/algorithm", "infos/qpos")
"""What D4RL's v2 sets of the MuJoCo tasks hold beside the steps: who made them, and the simulator's own states."""


def save_hdf5(data: Trajectories, path: Path) -> None:
    """Write in D4RL's layout; all or nothing.

    Raises:
        DataError: the file cannot be written (disk full, permission).
    """
    ends = np.zeros((2, len(data.rewards)), dtype=bool)
    last = data.starts + data.lengths - 1
    ends[0, last] = data.terminated
    ends[1, last] = ~data.terminated
    arrays = (data.observations, data.actions, data.rewards, ends[0], ends[1])
    with whole_or_nothing(path) as partial, hdf5_file(partial) as file:
        for key, array in zip(KEYS, arrays, strict=True):
            file.create_dataset(key, data=array, compression="gzip" if array.ndim == 2 else None)
        file.attrs["task"] = data.task.name
        file.attrs["sha256"] = data.sha256
        file.attrs["provenance"] = json.dumps(dict(data.provenance), sort_keys=True)


def load_hdf5(path: Path, task: Task | None = None) -> Trajectories:
    """Read a file in D4RL's layout: ours, or D4RL's own v2 files.

    A trajectory ends at a terminal or a time-out; an unfinished tail is dropped and counted in the
    provenance (`dropped_tail_steps`). Files of ours are checked against their recorded digest.

    Raises:
        DataError: not an HDF5 file, truncated, a key is missing, lengths disagree, values out of range,
            another task, or content that is not the recorded one.
    """
    with opened(path) as file:
        found_sets = _own_sets(file, path)
        room = Room()
        arrays = {key: array(one, f"{key} of {path}", room) for key, one in found_sets.items()}
        attributes = _own_attributes(file)
        unsaid = D4RLS_OWN if all(member(file, name) is not None for name in D4RLS_LAYOUT) else UNKNOWN
    try:
        provenance = parse_json(attributes.get("provenance", unsaid))
        if not isinstance(provenance, dict):
            raise ValueError("its provenance is no JSON object")
    except ValueError as error:
        raise unreadable(path, error) from None
    stated = attributes.get("task")
    found = settle_task(
        task,
        stated,
        path.name,
        (arrays["observations"].shape, arrays["actions"].shape),
        str(path),
    )
    data = from_steps(found, arrays, source=str(path), provenance=provenance)
    check_digest(data, attributes.get("sha256"), path)
    return data


def _own_attributes(file: h5py.File) -> dict[str, str]:
    """What `save_hdf5` wrote beside the arrays. Attributes of others that have these names mean something else: they
    are told by their form, and left alone."""
    found = {}
    for name in ("task", "sha256", "provenance"):
        # Asked for its kind before it is read: an attribute can be as large as the file.
        if name in file.attrs and (told := file.attrs.get_id(name)).shape == () and told.dtype.kind in "OS":
            value = file.attrs[name]
            found[name] = value if isinstance(value, str) else ""
    if re.fullmatch("[0-9a-f]{64}", found.get("sha256", "")):
        return found
    return {name: value for name, value in found.items() if _is_said(name, value)}


def _is_said(name: str, value: str) -> bool:
    """Whether an attribute says what ours of that name says, in a file whose digest is not recorded."""
    if name == "task":
        return value in TASKS
    try:
        return name == "provenance" and isinstance(parse_json(value), dict)
    except ValueError:
        return False


def _own_sets(file: h5py.File, path: Path) -> dict[str, h5py.Dataset]:
    found = {key: one for key in KEYS if isinstance(one := member(file, key), h5py.Dataset)}
    missing = [key for key in KEYS if key not in found]
    if missing == ["timeouts"]:
        raise DataError(
            f"{path} lacks timeouts, as D4RL's v0 files do",
            given=some_names(file),
            expected=list(KEYS),
            remedy="Only the v2 sets are supported: without time-outs the trajectories cannot be told apart.",
        )
    if missing:
        raise DataError(f"{path} lacks {', '.join(missing)}", given=some_names(file), expected=list(KEYS))
    return found


def check_digest(data: Trajectories, recorded: object, path: Path) -> None:
    """Compare content with what was recorded when it was written.

    Raises:
        DataError: they differ.
    """
    if recorded is not None and recorded != data.sha256:
        raise DataError(
            f"{path} is not the file that was written",
            given=f"sha256 {data.sha256}",
            expected=f"sha256 {recorded}",
            remedy="Delete it, and collect or export the set again.",
        )


@contextlib.contextmanager
def whole_or_nothing(path: Path) -> Iterator[Path]:
    """A neighbour of `path` to write to, which takes its place at the end or leaves no trace.

    Raises:
        DataError: it cannot be written (disk full, permission).
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        os.replace(partial, path)
    except OSError as error:
        raise DataError(
            f"cannot write {path}", given=error, remedy="Free some space or choose another place."
        ) from error
    finally:
        _remove(partial)


def _remove(path: Path) -> None:
    with contextlib.suppress(OSError):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink()


@contextlib.contextmanager
def hdf5_file(path: Path) -> Iterator[h5py.File]:
    """A new HDF5 file, built in memory and written in one go.

    HDF5 does not survive a full disk: what it could not write it tries again whenever an object is
    released, and in the end takes the interpreter down. Plain bytes fail with an OSError.
    """
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        yield file
    path.write_bytes(content.getbuffer())


def check_room(path: Path, nbytes: int) -> None:
    """Find out before the work, not after, that its result cannot be written.

    Args:
        path: where it will go.
        nbytes: how large it can become.

    Raises:
        DataError: no permission, a folder in its place, or too little space.
    """
    trial = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            raise IsADirectoryError("it is a folder")
        trial.write_bytes(b"")
        free = shutil.disk_usage(path.parent).free
    except OSError as error:
        raise DataError(f"cannot write {path}", given=error, remedy="Choose another place.") from None
    finally:
        _remove(trial)
    if free < nbytes:
        raise DataError(
            f"too little space for {path}",
            given=f"{free / 1e6:.0f} MB free",
            expected=f"{nbytes / 1e6:.0f} MB",
            remedy="Free some space or choose another place.",
        ) from OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
