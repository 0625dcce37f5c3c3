"""Capsules as MuJoCo weighed them up to 2.1.0: what parts the paper's simulator from ours (docs/simulators.md).

The mass and inertia of a capsule of radius r and half length h were those of a cylinder of half length h + r/2; from
2.1.1 on they are exact. A task's model with the former, on the installed MuJoCo, is the paper's up to rounding.
"""

from pathlib import Path
from typing import Any

import mujoco
import numpy as np

from dtclaims.lab.data.physics import Slots
from dtclaims.lab.design.tasks import Task

INERTIAL = ("body_mass", "body_inertia", "body_ipos", "body_iquat")

RECORDED = Path(__file__).with_name("mujoco_2_1_0.json")
"""What MuJoCo 2.1.0 compiled from gym's files, and where it went: made by `dtclaims.tests.benchmarks.simulators`."""
RECORDED_STEPS = (0, 1, 10)


def recorded_actions(task: Task) -> np.ndarray:
    """Actions (T, 1, A) of the recorded episodes."""
    steps = np.arange(max(RECORDED_STEPS), dtype=float)
    return np.sin(steps[:, None, None] + np.arange(task.action_dim))


def weigh_as_cylinders(model: Any, path: Path) -> None:
    """Give a compiled model the bodies that MuJoCo 2.1.0 would have compiled from its file.

    Args:
        model: an `MjModel` of the file; its masses, inertias and what follows from them are replaced.
        path: the MJCF file.
    """
    spec = mujoco.MjSpec.from_file(str(path))
    for geom in spec.geoms:
        if geom.type != mujoco.mjtGeom.mjGEOM_CAPSULE:
            continue
        radius = geom.size[0]
        if np.isfinite(geom.fromto).all():
            start, end = geom.fromto[:3].copy(), geom.fromto[3:].copy()
            beyond = (end - start) / np.linalg.norm(end - start) * radius / 2
            geom.fromto = np.concatenate((start - beyond, end + beyond))
        else:
            geom.size = geom.size + np.array([0, radius / 2, 0])
        geom.type = mujoco.mjtGeom.mjGEOM_CYLINDER
    weighed = spec.compile()
    for name in INERTIAL:
        getattr(model, name)[:] = getattr(weighed, name)
    mujoco.mj_setConst(model, mujoco.MjData(model))


class CylinderSlots(Slots):
    """Slots of a v4 task whose capsules weigh what they did in MuJoCo 2.1.0."""

    def __init__(self, task: Task, count: int) -> None:
        super().__init__(task, count)
        weigh_as_cylinders(self._model, Path(self._env.fullpath))

    def contacts(self) -> np.ndarray:
        """Contacts of each slot at the end of its last step, (count,)."""
        return np.array([data.ncon for data in self._data])
