"""D4RL's own loader, run in the legacy environment (`dtclaims.lab.legacy`), on what d4rl has downloaded."""

import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from dtclaims.errors import DataError, DtclaimsError, MissingDependency
from dtclaims.lab.data.assembly import from_steps
from dtclaims.lab.data.trajectories import Trajectories
from dtclaims.lab.design.tasks import Task
from dtclaims.lab.legacy import environment, reader

TIMEOUT = 600.0
"""Seconds for imports and reading; ours, a hundred times what a million steps take."""


def load_legacy(task: Task) -> Trajectories:
    """The set that `gym.make("TASK-medium-v2").get_dataset()` gives there; nothing is downloaded.

    Raises:
        MissingDependency: there is no such environment, or gym, d4rl or mujoco-py does not work in it.
        SimulatorError: packages or the binary in it are of other versions than ours.
        DataError: D4RL has not downloaded the set, cannot read it, or it is not what it should be.
    """
    where = environment.ready()
    name = f"{task.name}-medium-v2"
    with tempfile.TemporaryDirectory(prefix="dtclaims-d4rl-") as folder:
        said = _asked(where, name, Path(folder))
        if "fault" in said:
            raise _explained(name, said)
        with np.load(Path(folder, "steps.npz"), allow_pickle=False) as stored:
            steps = {key: stored[key] for key in reader.KEYS}
    provenance = {"source": "D4RL", "dataset": name, "file": said["path"], "d4rl": said["d4rl"], "gym": said["gym"]}
    return from_steps(task, steps, source=said["path"], provenance=provenance)


def _asked(where: Path, name: str, folder: Path) -> Mapping[str, Any]:
    """What the reader says.

    Raises:
        MissingDependency: it did not get so far.
    """
    problem = "D4RL's loader does not run in the legacy environment"
    command = [*environment.python(where), reader.__file__, name, str(folder)]
    done = environment.finished(command, problem, where, TIMEOUT)
    answer = folder / "said.json"
    if done.returncode or not answer.is_file():
        words = environment.last_words(done) or "no word"
        raise MissingDependency(problem, given=f"status {done.returncode}: {words}", remedy=environment.ANEW)
    said: Mapping[str, Any] = json.loads(answer.read_text(encoding="utf-8"))
    return said


def _explained(name: str, said: Mapping[str, Any]) -> DtclaimsError:
    """The error for a fault of gym's or d4rl's, with what is known of it."""
    fault, path, error = said["fault"], said.get("path"), said.get("error")
    if fault == "absent":
        return DataError(
            f"D4RL has not downloaded {name}",
            given=f"no {path}",
            expected="D4RL's file",
            remedy=f"Put it there (D4RL has it at {said['url']}), or set D4RL_DATASET_DIR to the folder it is in.",
        )
    if fault == "read":
        again = f"Delete it, and fetch {said['url']} again."
        if str(error).startswith("OSError"):
            return DataError(
                f"D4RL's file of {name} is cut short, or another file",
                given=f"{path}, {said['size']:,} bytes: {error}",
                expected="a whole HDF5 file",
                # D4RL writes what it downloads straight to its place, and takes what lies there for whole.
                remedy=again,
            )
        return DataError(f"D4RL's loader refuses its file of {name}", given=f"{path}: {error}", remedy=again)
    if fault == "keys":
        v0 = said["missing"] == ["timeouts"]
        return DataError(
            f"{path} lacks {', '.join(said['missing'])}" + (", as D4RL's v0 files do" if v0 else ""),
            given=said["found"],
            expected=list(reader.KEYS),
            remedy="Only the v2 sets are supported: without time-outs the trajectories cannot be told apart."
            if v0
            else "Is it a set of another project's under D4RL's name?",
        )
    if fault == "numbers":
        return DataError(f"{path} holds other things than numbers", given=error, expected="arrays of numbers")
    if fault == "write":
        return DataError("no room to take a set over from D4RL's loader", given=error, remedy="Set TMPDIR to a folder.")
    return MissingDependency(
        {
            "numpy": "the legacy environment has numpy 2, which gym and mujoco-py do not know",
            "make": f"gym does not make {name} in the legacy environment",
        }.get(fault, "d4rl cannot be imported in the legacy environment"),
        given=error,
        expected="numpy 1.26" if fault == "numpy" else None,
        remedy=environment.ANEW,
    )
