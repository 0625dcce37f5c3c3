"""A stand-in for the paper's simulator: v4's physics with every reward doubled, under gym-v2's name."""

import pytest

from dtclaims.errors import MissingDependency
from dtclaims.lab.data.physics import Array, Mask, Slots
from dtclaims.lab.design.tasks import Task
from dtclaims.lab.legacy import slots

VERSION = {"mujoco": "2.1.0", "mujoco-py": "2.1.2.14", "gym": "0.23.1", "d4rl": "1.1", "semantics": "v2"}
FACTOR = 2.0
ABSENT = MissingDependency(
    "the legacy environment is not installed", given="no /nowhere", remedy="Make it: `dtclaims legacy install`."
)


class OtherSlots(Slots):
    """Slots whose rewards are twice v4's."""

    def __init__(self, task: Task, count: int, workers: int) -> None:
        super().__init__(task, count)

    def finish(self, started: tuple[Array, Array, Mask]) -> tuple[Array, Array, Mask]:
        """See `Slots.finish`."""
        states, rewards, terminated = super().finish(started)
        return states, FACTOR * rewards, terminated


def install(patch: pytest.MonkeyPatch, **version: str) -> None:
    """Put it in the place of the legacy environment, which counts as installed then."""
    patch.setattr(slots, "LegacySlots", OtherSlots)
    patch.setattr(slots, "legacy_version", lambda: {**VERSION, **version})


def remove(patch: pytest.MonkeyPatch) -> None:
    """As on a machine without the legacy environment."""

    def absent() -> dict[str, str]:
        raise ABSENT

    patch.setattr(slots, "legacy_version", absent)
