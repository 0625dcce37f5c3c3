"""What parts the paper's simulator from ours: the mass of capsules, and nothing else (docs/simulators.md)."""

import json
from typing import Any

import numpy as np
import pytest

from dtclaims.lab.data.physics import Slots
from dtclaims.lab.design.tasks import TASKS, Task
from dtclaims.tests.support.capsules import INERTIAL, RECORDED, RECORDED_STEPS, CylinderSlots, recorded_actions

LEGACY: dict[str, Any] = json.loads(RECORDED.read_text(encoding="utf-8"))


@pytest.fixture(params=list(TASKS))
def task(request: pytest.FixtureRequest) -> Task:
    return TASKS[request.param]


def states_of(slots: Slots, task: Task) -> dict[int, np.ndarray]:
    """States after the recorded steps, from seed 0."""
    found = {0: slots.reset_slots([0], [0])[0]}
    for step, action in enumerate(recorded_actions(task), start=1):
        found[step] = slots.step(action, np.ones(1, dtype=bool))[0][0]
    return {step: found[step] for step in RECORDED_STEPS}


def test_capsules_weighed_as_cylinders_are_those_of_2_1_0(task: Task) -> None:
    """Masses, inertias and their frames are what MuJoCo 2.1.0 compiled, to rounding; v4's masses are not."""
    ours, weighed = Slots(task, 1), CylinderSlots(task, 1)
    for name in INERTIAL:
        np.testing.assert_allclose(getattr(weighed._model, name), np.array(LEGACY[task.name][name]), atol=1e-14)
    assert np.abs(ours._model.body_mass - LEGACY[task.name]["body_mass"]).max() > 0.1


def test_a_capsule_lost_a_third_of_its_radius(task: Task) -> None:
    """A capsule alone in its body weighs density · π r² (2h + 4r/3) in v4, and weighed π r² (2h + r) of it in 2.1.0.

    HalfCheetah's bodies are scaled to 14 kg together, so there it is the ratio to the lightest that counts.
    """
    slots = Slots(task, 1)
    model, old = slots._model, np.array(LEGACY[task.name]["body_mass"])
    bodies = [body for body in range(1, model.nbody) if model.body_geomnum[body] == 1]
    radius, half = model.geom_size[model.body_geomadr[bodies], :2].T
    exact, cylinder = radius**2 * (2 * half + 4 / 3 * radius), radius**2 * (2 * half + radius)
    for masses, volumes in ((model.body_mass[bodies], exact), (old[bodies], cylinder)):
        np.testing.assert_allclose(masses / masses.min(), volumes / volumes.min(), rtol=1e-12)


def test_v4_with_such_capsules_goes_where_2_1_0_went(task: Task) -> None:
    """Same start and actions: equal to rounding after one step, to 1e-9 after ten, contacts included; v4 is not."""
    ours, weighed = states_of(Slots(task, 1), task), states_of(CylinderSlots(task, 1), task)
    for step, within in zip(RECORDED_STEPS, (0.0, 1e-12, 1e-9), strict=True):
        went = np.array(LEGACY[task.name]["states"][str(step)])
        assert np.abs(weighed[step] - went).max() <= within, step
        assert (np.abs(ours[step] - went).max() > 1e-4) == (step > 0)
