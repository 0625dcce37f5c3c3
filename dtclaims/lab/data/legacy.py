"""D4RL's own loader, in an environment that still has it: gym < 0.25, d4rl and mujoco-py with its binary."""

import importlib
from collections.abc import Callable
from typing import Any

from dtclaims.errors import DataError, MissingDependency
from dtclaims.lab.data.assembly import from_steps
from dtclaims.lab.data.hdf5 import KEYS
from dtclaims.lab.data.trajectories import Trajectories
from dtclaims.lab.design.tasks import Task


def load_legacy(task: Task) -> Trajectories:
    """The set that `gym.make("TASK-medium-v2").get_dataset()` gives; D4RL downloads it if it has to.

    Raises:
        MissingDependency: gym, d4rl or mujoco-py cannot be imported or does not know the set.
        DataError: D4RL could not download or read it, or it is not what it should be.
    """
    name = f"{task.name}-medium-v2"
    environment = _environment(name)

    def read() -> dict[str, Any]:
        dataset = environment.get_dataset()
        return {key: dataset[key] for key in KEYS}

    steps = _attempt(f"D4RL could not read {name}", DataError, "D4RL_DATASET_DIR says where it looks.", read)
    return from_steps(task, steps, source=name, provenance={"source": "D4RL", "dataset": name})


def _environment(name: str) -> Any:
    def make() -> Any:
        gym = importlib.import_module("gym")
        importlib.import_module("d4rl")  # registers its environments with gym
        return gym.make(name)

    return _attempt(
        "the legacy stack (gym, d4rl, mujoco-py) does not work here",
        MissingDependency,
        "`dtclaims doctor` says which part and what would help; a D4RL file needs none of it.",
        make,
    )


def _attempt(
    problem: str, kind: type[DataError] | type[MissingDependency], remedy: str, work: Callable[[], Any]
) -> Any:
    """Do something with packages that fail in their own ways: mujoco-py raises a plain Exception."""
    try:
        return work()
    except Exception as error:
        raise kind(problem, given=f"{type(error).__name__}: {error}", remedy=remedy) from None
