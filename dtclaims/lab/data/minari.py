"""Minari's layouts, read and written without Minari (Minari 0.4 and 0.5, HDF5 storage).

A data set is a folder `…/NAME-vN/data` with `main_data.hdf5` (one group per episode: T + 1 observations, T actions,
rewards, terminations and truncations) and, from 0.5 on, `metadata.json`; up to 0.4 the metadata are attributes of the
file. Arrow and parquet, the other storages of 0.5, have a folder per episode and are refused by name. Only remote data
sets need the `minari` package, because only its own code knows where they are.

The last observation of an episode, the one after its last action, has no place in D4RL's layout or
in `Trajectories`. Exporting fills it with a copy of the observation before it, and says so in the
metadata; reading drops it. So our data survive the way to Minari and back to the bit.
"""

import contextlib
import importlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from dtclaims import __version__
from dtclaims.errors import DataError, MissingDependency, StoreError, UsageError, WrongTask
from dtclaims.files import parse_json, read_bytes
from dtclaims.lab.data.assembly import from_episodes, settle_task
from dtclaims.lab.data.hdf5 import check_digest, hdf5_file, whole_or_nothing
from dtclaims.lab.data.hdf5_reading import Room, array, member, names, opened, some_names
from dtclaims.lab.data.trajectories import Trajectories
from dtclaims.lab.design.tasks import TASKS, Task

MAIN = "main_data.hdf5"
METADATA = "metadata.json"
KEYS = {
    "observations": "observations",
    "actions": "actions",
    "rewards": "rewards",
    "terminations": "terminals",
    "truncations": "timeouts",
}
ID = re.compile(r"([-\w]+/)*[-\w]+-v\d+")
"""Minari's form of a data set's name, version included."""
FROM = "collected_in"
"""Provenance: the version of the task that is not ours, of a set that was collected in such a one."""
LAYOUT_VERSION = "0.5.0"
"""The Minari release whose layout is written; later ones say that they read it."""


FOREIGN = re.compile(
    r"(Ant|Humanoid|HumanoidStandup|InvertedPendulum|InvertedDoublePendulum|Pusher|Reacher|Swimmer)-v\d+"
)
"""Gym's other MuJoCo tasks, which have sets in Minari too."""


def minari_root() -> Path:
    """Where Minari keeps its data sets."""
    override = os.environ.get("MINARI_DATASETS_PATH")
    return Path(override) if override else Path.home() / ".minari" / "datasets"


def data_folder(path: Path) -> Path | None:
    """The folder with a set's files that a path means, or None if it means no Minari data set."""
    if path.name == MAIN:
        return path.parent
    return next((folder for folder in (path / "data", path) if _holds_a_set(folder)), None)


def _holds_a_set(folder: Path) -> bool:
    # Arrow and parquet have a folder for each episode.
    return (folder / MAIN).is_file() or ((folder / METADATA).is_file() and (folder / "0").is_dir())


def fetch(name: str) -> Path:
    """The folder of a data set by Minari's id, downloaded by Minari if it is not in its root.

    Raises:
        MissingDependency: it has to be downloaded and Minari is not installed.
        DataError: Minari could not download it.
    """
    folder = minari_root() / name
    if data_folder(folder) is None:
        try:
            package = importlib.import_module("minari")
        except ImportError as error:
            raise MissingDependency(
                f"the Minari data set {name} is not in {minari_root()}, and Minari is not installed",
                given=error,
                remedy="`pip install minari`, or put the data set there.",
            ) from None
        try:
            package.download_dataset(name)
        except Exception as error:
            raise DataError(f"Minari could not download {name}", given=f"{type(error).__name__}: {error}") from None
    return folder


def load_minari(path: Path, task: Task | None = None) -> Trajectories:
    """Read a Minari data set from its folder.

    An episode that was neither terminated nor truncated is unfinished: it is dropped and counted. A set that was
    collected in another version of the task than ours (Minari's own sets are of v5) says so in its provenance.

    Raises:
        WrongTask: it is of another of the three tasks than the one asked for, or of none of them.
        DataError: no such data set, another storage, truncated, a key is missing, lengths disagree,
            values out of range, or content that is not the recorded one.
    """
    folder = data_folder(path)
    if folder is None:
        raise DataError(f"{path} is no Minari data set", expected=f"a folder with data/{MAIN}")
    metadata = _read_metadata(folder)
    name = str(metadata.get("dataset_id", path.name))
    environment = _environment(metadata)
    ours = metadata.get("dtclaims", {})
    _check_environment(environment, f"{name} {path}", str(path))
    theirs = {"source": "Minari", "dataset": name, "environment": environment}
    with contextlib.ExitStack() as files:
        groups = _episode_groups(files.enter_context(opened(folder / MAIN)), folder, metadata, files)
        first = (member(groups[0], key) for key in ("observations", "actions"))
        shapes = tuple(one.shape if isinstance(one, h5py.Dataset) else () for one in first)
        found = settle_task(task, ours.get("task"), f"{name} {environment}", (shapes[0], shapes[1]), str(path))
        provenance = ours.get("provenance", theirs | _not_ours(environment, found))
        data = from_episodes(found, _episodes(groups, path), source=str(path), provenance=provenance)
    check_digest(data, ours.get("sha256"), path)
    return data


def save_minari(data: Trajectories, path: Path) -> str:
    """Write a Minari data set to the folder `path`; all or nothing.

    Under Minari's root the data set is found by the id that is returned: its place below the root.

    Raises:
        UsageError: the folder's name is no Minari name, or is taken.
        DataError: the folder cannot be written.
    """
    root = minari_root().resolve()
    place = path.expanduser().resolve()
    name = place.relative_to(root).as_posix() if place.is_relative_to(root) else place.name
    if not ID.fullmatch(name):
        raise UsageError("not a name for a Minari data set", given=name, expected="a version at the end, as in NAME-v0")
    if place.exists():
        raise UsageError(f"{path} exists", remedy="Choose another name or version, or remove it first.")
    with whole_or_nothing(place) as partial:
        folder = partial / "data"
        folder.mkdir(parents=True)
        with hdf5_file(folder / MAIN) as file:
            for index, steps in enumerate(data.slices()):
                group = file.create_group(f"episode_{index}")
                group.attrs.update(id=index, total_steps=steps.stop - steps.start)
                ends = np.zeros((2, steps.stop - steps.start), dtype=bool)
                ends[0 if data.terminated[index] else 1, -1] = True
                observations = data.observations[steps]
                group["observations"] = np.concatenate([observations, observations[-1:]])
                group["actions"] = data.actions[steps]
                group["rewards"] = data.rewards[steps]
                group["terminations"], group["truncations"] = ends
        size = (folder / MAIN).stat().st_size
        metadata = _metadata(data, name, size)
        (folder / METADATA).write_text(json.dumps(metadata, indent=1), encoding="utf-8")
    return name


def _metadata(data: Trajectories, name: str, size: int) -> dict[str, Any]:
    """What Minari asks of `metadata.json`, and under `dtclaims` what reading back to the bit needs."""
    import gymnasium

    task = data.task

    def box(width: int, bound: float) -> str:
        limits = {"low": [-bound] * width, "high": [bound] * width}
        return json.dumps({"type": "Box", "dtype": "float32", "shape": [width], **limits})

    return {
        "dataset_id": name,
        "minari_version": LAYOUT_VERSION,
        "data_format": "hdf5",
        "jpeg_encoding": False,
        "total_episodes": len(data.lengths),
        "total_steps": len(data.rewards),
        "dataset_size": round(size / 1e6, 1),
        "observation_space": box(task.state_dim, float("inf")),
        "action_space": box(task.action_dim, 1.0),
        "env_spec": gymnasium.spec(task.gym_id).to_json(),
        "algorithm_name": str(data.provenance.get("source", "unknown")),
        "author": ["dtclaims"],
        "author_email": [],
        "code_permalink": "",
        "description": f"{task.name} trajectories exported by dtclaims. The observation after an episode's last action "
        "was not recorded: it repeats the one before.",
        "dtclaims": {
            "version": __version__,
            "task": task.name,
            "sha256": data.sha256,
            "final_observation": "repeats the one before",
            "provenance": dict(data.provenance),
        },
    }


def _read_metadata(folder: Path) -> dict[str, Any]:
    path = folder / METADATA
    if not path.exists():
        return _attributes(folder)
    try:
        metadata: Any = parse_json(read_bytes(path, LARGEST_METADATA))
    except StoreError as error:
        raise DataError(f"cannot read {path}", given=error.given, expected=error.expected) from None
    except ValueError as error:
        raise DataError(f"cannot read {path}", given=error, remedy="Is the download complete?") from None
    if not isinstance(metadata, dict):
        raise DataError(f"{path} is no Minari metadata", given=type(metadata).__name__)
    ours = metadata.get("dtclaims", {})
    if not isinstance(ours, dict) or not isinstance(ours.get("provenance", {}), dict):
        raise DataError(f"{path} is no Minari metadata: what dtclaims wrote into it was altered")
    if metadata.get("data_format", "hdf5") != "hdf5" or not (folder / MAIN).is_file():
        raise DataError(
            f"{folder} is not stored as HDF5",
            given=f"Minari's storage {metadata.get('data_format', 'without a name')!r}",
            expected="data_format hdf5",
            remedy="Where Minari is installed, its MinariStorage.new(…, data_format='hdf5') takes over a set of any "
            "storage: `.update_from_storage(minari.load_dataset(ID).storage)`.",
        )
    return metadata


def _attributes(folder: Path) -> dict[str, Any]:
    """The metadata of Minari up to 0.4, which are attributes of the file; what dtclaims writes is never among them."""
    path = folder / MAIN
    with opened(path) as file:
        stated = {name: _attribute(file, name) for name in STATED if name in file.attrs}
    if not stated:
        raise DataError(
            f"{folder} has no Minari metadata",
            given=f"neither {METADATA} nor attributes of {MAIN}",
            expected=f"{METADATA} beside it (Minari 0.5), or the attributes of Minari 0.4",
            remedy="Is the download complete?",
        )
    return {name: value.item() if isinstance(value, np.generic) else value for name, value in stated.items()}


STATED = ("dataset_id", "env_spec", "total_episodes", "minari_version")
"""Attributes that are read of Minari 0.4's."""


def _attribute(file: h5py.File, name: str) -> Any:
    """One number or text; None of an attribute that is neither, which is as large as it likes."""
    found = file.attrs.get_id(name)
    return file.attrs[name] if found.shape == () and found.dtype.kind in "fiubOS" else None


def _environment(metadata: Mapping[str, Any]) -> str | None:
    try:
        return str(json.loads(metadata["env_spec"])["id"])
    except (KeyError, TypeError, ValueError):
        return None


def _check_environment(environment: str | None, label: str, source: str) -> None:
    """Refuse sets of tasks that have a name and are none of the three, whatever their widths."""
    if environment is not None and FOREIGN.fullmatch(environment) and not any(name in label.lower() for name in TASKS):
        raise WrongTask(
            f"{source} is of none of the paper's tasks", given=environment, expected=f"one of {', '.join(TASKS)}"
        )


def _not_ours(environment: str | None, task: Task) -> dict[str, str]:
    """What is to be said of a set from another version of the task."""
    kind, _, version = (environment or "").partition("-v")
    if kind != task.gym_id.partition("-v")[0] or environment == task.gym_id or version == "2":
        return {}
    return {FROM: str(environment), "note": f"{environment} is another simulator than {task.gym_id}, and than gym's v2"}


def _episode_groups(
    file: h5py.File, folder: Path, metadata: Mapping[str, Any], files: contextlib.ExitStack
) -> list[h5py.Group]:
    found = sorted((name for name in names(file) if EPISODE.fullmatch(name)), key=lambda name: int(name[8:]))
    stated = metadata.get("total_episodes", len(found))
    if not found or stated != len(found):
        raise DataError(
            f"{folder} does not hold the episodes that its metadata counts", given=len(found), expected=stated
        )
    # Up to Minari 0.4.2, sets that were collected in turns or combined are spread over files.
    links = {name: _elsewhere(file, name) for name in found}
    places = {link[0] for link in links.values() if link is not None}
    if absent := sorted(str(folder / place) for place in places if not (folder / place).exists()):
        raise DataError(
            f"episodes of {folder} lie in files that are not here",
            given=f"{len(absent)} missing: {absent[0]}",
            remedy="Copy the whole folder, and those of sets that it was combined from.",
        )
    if len(places) > MOST_FILES:
        raise DataError(f"{folder} is spread over too many files", given=len(places), expected=f"at most {MOST_FILES}")
    others = {place: files.enter_context(opened(_within(folder, place))) for place in sorted(places)}
    groups = []
    for name, link in links.items():
        group = member(file, name) if link is None else member(others[link[0]], link[1])
        if not isinstance(group, h5py.Group):
            raise DataError(f"{name} of {folder} is no episode", expected="a group of arrays")
        groups.append(group)
    return groups


EPISODE = re.compile(r"episode_\d{1,9}")
MOST_FILES = 500
"""Further files that are open at once."""
LARGEST_METADATA = 16 * 2**20
"""Bytes; Minari's own are a few thousand."""


def _elsewhere(file: h5py.File, name: str) -> tuple[str, str] | None:
    """The file and the place in it that an episode is a link to; None of one that is here."""
    own = name.encode()
    if file.id.links.get_info(own).type != h5py.h5l.TYPE_EXTERNAL:
        return None
    place, within = file.id.links.get_val(own)
    return os.fsdecode(place), within.decode(errors="replace").strip("/")


def _within(folder: Path, place: str) -> Path:
    """A further file of a set.

    Raises:
        DataError: it lies where no set of Minari's does.
    """
    path = (folder / place).resolve()
    if not any(path.is_relative_to(root.resolve()) for root in (folder, minari_root())):
        raise DataError(
            f"episodes of {folder} are links to a file outside of it",
            given=place,
            expected=f"files beside it, or of other sets in {minari_root()}",
            remedy="Copy that file into the folder, if you trust it, and make the link again.",
        )
    return path


def _episodes(groups: list[h5py.Group], path: Path) -> Iterator[dict[str, Any]]:
    room = Room()
    for index, group in enumerate(groups):
        where = f"episode {index} of {path}"
        sets = {key: one for key in KEYS if isinstance(one := member(group, key), h5py.Dataset)}
        if missing := [key for key in KEYS if key not in sets]:
            raise DataError(f"{where} lacks {', '.join(missing)}", given=some_names(group))
        episode = {KEYS[key]: array(one, f"{key} of {where}", room) for key, one in sets.items()}
        steps = len(episode["rewards"])
        if len(episode["observations"]) != steps + 1:
            raise DataError(
                f"observations of episode {index} of {path} differ in length",
                given=len(episode["observations"]),
                expected=f"{steps + 1}, one more than rewards",
            )
        episode["observations"] = episode["observations"][:-1]
        yield episode
