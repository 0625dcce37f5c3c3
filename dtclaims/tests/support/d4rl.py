"""Files as D4RL writes them."""

from pathlib import Path

import h5py
import numpy as np

from dtclaims.lab.data.trajectories import Trajectories
from dtclaims.lab.design.tasks import TASKS, Task
from dtclaims.tests.support.examples import made_up


def as_d4rl(
    path: Path, lengths: list[int], task: Task = TASKS["hopper"], *, tail: int = 0, flat: bool = True
) -> Trajectories:
    """A file as D4RL writes it: float64 or float32 arrays, `infos`, `metadata`, and no attributes of ours."""
    data = made_up([*lengths, tail] if tail else lengths, task)
    ends = np.zeros((2, len(data.rewards)), dtype=bool)
    for index, one in enumerate(data.slices()):
        if index < len(lengths):
            ends[0 if data.terminated[index] else 1, one.stop - 1] = True
    with h5py.File(path, "w") as file:
        file["observations"] = data.observations.astype(np.float64)
        file["next_observations"] = data.observations
        file["actions"] = data.actions
        file["rewards"] = data.rewards if flat else data.rewards[:, None]
        file["terminals"] = ends[0] if flat else ends[0][:, None]
        file["timeouts"] = ends[1]
        file["infos/qpos"] = np.zeros((len(data.rewards), 6))
        file["metadata/algorithm"] = "SAC"
        file["metadata/iteration"] = np.array([600])
        file["metadata/policy/fc0/weight"] = np.zeros((2, 2))
    return data
