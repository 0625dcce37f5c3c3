"""Reads one of D4RL's sets with D4RL's own loader, in the legacy environment.

It is run by that environment's Python, where there is no dtclaims: it imports nothing of it, and no module of dtclaims
imports gym or d4rl. Arrays go back as plain numpy (`steps.npz`), words as JSON (`said.json`); no pickles pass, and
nothing is downloaded.

    python -I reader.py hopper-medium-v2 FOLDER
"""

import importlib
import json
import os
import sys
from collections.abc import Mapping
from importlib import metadata
from typing import Any

KEYS = ("observations", "actions", "rewards", "terminals", "timeouts")

OTHERS = ("mjrl", "flow", "carla", "dm_control", "pybullet", "pybullet_envs")
"""What d4rl imports for tasks that are not the paper's. It does without them where they are absent, with a warning;
where one is there and broken, `import d4rl` would fail with it."""


class Fault(Exception):
    """Why there is no set: which step failed, and how."""

    def __init__(self, step: str, **said: Any) -> None:
        super().__init__(step)
        self.said = {"fault": step, **said}


def read(name: str, folder: str) -> Mapping[str, Any]:
    """Write the set's arrays into `folder`, as they are in the file; what is to be said of them.

    Raises:
        Fault: a package fails (`import`, `make`), D4RL has no such file (`absent`), its loader gives up on it (`read`),
            or it holds other things than a v2 set does (`keys`, `numbers`).
    """
    import numpy as np

    if int(np.__version__.split(".")[0]) > 1:
        raise Fault("numpy", error=f"numpy {np.__version__}")
    for other in OTHERS:
        sys.modules[other] = None  # type: ignore[assignment]
    try:
        gym: Any = importlib.import_module("gym")
        # `import d4rl` alone registers nothing of the paper's: it gives up at its first tasks, which need mjrl.
        importlib.import_module("d4rl.gym_mujoco")
    except Exception as error:
        # mujoco-py raises a plain Exception, gym on numpy 2 an AttributeError.
        raise Fault("import", error=_words(error)) from None
    try:
        task: Any = gym.make(name)
        path, url = os.path.abspath(task.dataset_filepath), str(task.dataset_url)
    except Exception as error:
        raise Fault("make", error=_words(error)) from None
    if not os.path.isfile(path):
        raise Fault("absent", path=path, url=url)
    try:
        dataset: Mapping[str, Any] = task.get_dataset()
    except Exception as error:
        raise Fault("read", path=path, url=url, error=_words(error), size=os.path.getsize(path)) from None
    missing = [key for key in KEYS if key not in dataset]
    if missing:
        raise Fault("keys", path=path, missing=missing, found=sorted(map(str, dataset)))
    arrays: dict[str, Any] = {key: np.asarray(dataset[key]) for key in KEYS}
    if wrong := [f"{key} of {array.dtype}" for key, array in arrays.items() if array.dtype.kind not in "fiub"]:
        # An array of objects would be pickled.
        raise Fault("numbers", path=path, error=", ".join(wrong))
    try:
        np.savez(os.path.join(folder, "steps.npz"), **arrays)
    except OSError as error:
        raise Fault("write", error=_words(error)) from None
    return {"path": path, "gym": metadata.version("gym"), "d4rl": metadata.version("d4rl")}


def _words(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:1000]


def main(name: str, folder: str) -> None:
    """Read, and say what came of it."""
    try:
        said = read(name, folder)
    except Fault as fault:
        said = fault.said
    with open(os.path.join(folder, "said.json"), "w", encoding="utf-8") as file:
        json.dump(said, file)


if __name__ == "__main__":
    main(*sys.argv[1:])
