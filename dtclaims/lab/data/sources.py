"""One entry to every source of trajectories, and where they are looked for.

A source is a file or folder (recognised by its content: D4RL's HDF5, a Decision Transformer pickle,
a Minari data set), Minari's id of a data set, or the word `legacy` for D4RL's own loader,
which reads what it has downloaded, in the legacy environment.
"""

import os
import re
from dataclasses import asdict
from pathlib import Path

from dtclaims.errors import DataError, UsageError
from dtclaims.lab.data.hdf5 import KEYS, load_hdf5
from dtclaims.lab.data.hdf5_reading import check_plain, opened
from dtclaims.lab.data.legacy import load_legacy
from dtclaims.lab.data.minari import ID, data_folder, fetch, load_minari, minari_root
from dtclaims.lab.data.pickles import load_pickle
from dtclaims.lab.data.trajectories import Trajectories
from dtclaims.lab.design.tasks import Task, get_task
from dtclaims.places import home

LEGACY = "legacy"
HDF5_SIGNATURE = b"\x89HDF\r\n\x1a\n"
PICKLE_START = re.compile(rb"\x80[\x02-\x05]|\(lp|\]q")
"""Protocols 2 to 5, 0 and 1."""
SUFFIXES = (".hdf5", ".h5", ".pkl", ".pickle")


def load(source: str | Path, task: str | Task | None = None) -> Trajectories:
    """Read trajectories from wherever they are.

    Args:
        source: a file or folder, Minari's id of a data set, or `legacy`.
        task: which task it is of; may be left out where the source says.

    Raises:
        UsageError: no such file and no such name, or an unknown task.
        MissingDependency: `legacy` without the legacy environment, or a remote Minari data set without Minari.
        SimulatorError: `legacy` with a legacy environment of other versions.
        DataError: the data break their format, or belong to another task.
    """
    wanted = get_task(task) if isinstance(task, str) else task
    if source == LEGACY:
        if wanted is None:
            raise UsageError("D4RL's loader needs a task", remedy="Name it with --task.")
        return load_legacy(wanted)
    path = place_of(source)
    if not path.exists() and isinstance(source, str) and ID.fullmatch(source):
        return load_minari(fetch(source), wanted)
    if path.is_dir() and data_folder(path) is None:
        if wanted is None:
            raise UsageError(f"{path} is a folder of several files", remedy="Name one of them, or a task with --task.")
        path = in_folder(path, wanted)
    return _load_path(path, wanted)


def place_of(source: str | Path) -> Path:
    """A place as somebody wrote it; whether there is anything is not said.

    Raises:
        UsageError: no place can be called that: `~` of nobody, a name that is too long.
        DataError: a folder above it may not be looked into.
    """
    try:
        path = Path(source).expanduser()
        path.exists()
    except PermissionError as error:
        raise DataError(f"{source} may not be looked at", given=error.strerror) from None
    except (OSError, ValueError, RuntimeError) as error:
        said = repr(str(source))
        given = said if len(said) < 200 else f"{said[:100]}… of {len(said)} characters"
        raise UsageError("no such data", given=f"{given}: {getattr(error, 'strerror', None) or error}") from None
    return path


def _load_path(path: Path, task: Task | None) -> Trajectories:
    if path.is_dir():
        return load_minari(path, task)
    if not path.exists():
        raise UsageError("no such data", given=path, expected="a file, a folder or a Minari id")
    check_plain(path)
    try:
        with path.open("rb") as file:
            start = file.read(8)
    except OSError as error:
        raise DataError(f"cannot read {path}", given=error) from None
    if start == HDF5_SIGNATURE:
        return load_minari(path, task) if _holds_episodes(path) else load_hdf5(path, task)
    if PICKLE_START.match(start):
        return load_pickle(path, task)
    raise DataError(
        f"{path} is of no known format",
        given=f"a file that starts with {start!r}",
        expected="D4RL's HDF5, a Decision Transformer pickle, or a Minari data set",
        remedy="Is the download complete? A web page or an archive in its place starts like this.",
    )


def _holds_episodes(path: Path) -> bool:
    with opened(path) as file:
        return file.id.links.exists(b"episode_0") and not file.id.links.exists(KEYS[0].encode())


def in_folder(folder: Path, task: Task) -> Path:
    """The one file (or Minari data set) of a task in a folder that holds one for each task.

    Where several carry the task's name, the one that is called medium-v2 is meant.

    Raises:
        DataError: none, or no single one.
    """
    found = sorted(
        entry
        for entry in folder.iterdir()
        if task.name in entry.name.lower()
        and not entry.name.startswith(".")
        and (entry.suffix.lower() in SUFFIXES or (entry.is_dir() and data_folder(entry) is not None))
    )
    medium = [entry for entry in found if "medium-v2" in entry.name.lower()]
    chosen = medium if len(found) > 1 and medium else found
    if len(chosen) != 1:
        raise DataError(
            f"{folder} holds no single set of {task.name}",
            given=", ".join(entry.name for entry in chosen) or "nothing with the task's name",
            expected=f"one file such as {task.name}_medium-v2.hdf5",
        )
    return chosen[0]


def d4rl_root() -> Path:
    """Where D4RL keeps its files."""
    override = os.environ.get("D4RL_DATASET_DIR")
    return Path(override) if override else Path.home() / ".d4rl" / "datasets"


def search(task: Task) -> list[Path]:
    """Medium sets of a task that lie where one would look for them, in the order in which they count.

    DTCLAIMS_HOME/data, then D4RL's root (D4RL_DATASET_DIR), then Minari's (MINARI_DATASETS_PATH), where the newest
    version is taken.
    """
    names = [f"{task.name}_medium-v2.hdf5", f"{task.name}-medium-v2.hdf5", f"{task.name}-medium-v2.pkl"]
    minari = sorted(
        (folder for folder in (minari_root() / "mujoco" / task.name).glob("medium-v*") if data_folder(folder)),
        key=lambda folder: int(re.sub(r"\D", "", folder.name) or 0),
    )
    files = [root / name for root in (home() / "data", d4rl_root()) for name in names]
    return [file for file in files if file.is_file()] + minari[-1:]


def unlike_d4rl(data: Trajectories) -> str | None:
    """In what a set differs from D4RL's medium-v2 (protocol §1's table); None if it is D4RL's.

    Counts have to be equal and returns to agree to the two printed digits.
    """
    ours, theirs = asdict(data.facts()), asdict(data.task.medium)
    for name, expected in theirs.items():
        if abs(ours[name] - expected) > (0 if isinstance(expected, int) else 0.02):
            return f"{name.replace('_', ' ')} {ours[name]:.10g} where D4RL's has {expected:.10g}"
    return None
