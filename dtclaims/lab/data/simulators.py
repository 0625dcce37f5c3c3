"""The simulators that policies are rolled out in: two worlds, whose numbers are never pooled (protocol §1).

`v4` is gymnasium's v4 tasks on the installed MuJoCo. `gym-v2` is gym's v2 tasks on mujoco-py's MuJoCo 2.1.0, in which
D4RL's sets were collected and the paper evaluated: it runs in processes of an environment of its own
(`dtclaims.lab.legacy`). One policy's return differs between them by hundreds. Importing this needs neither.
"""

from collections.abc import Mapping
from typing import Any, Protocol

from dtclaims.choice import Choice
from dtclaims.errors import DtclaimsError, MissingDependency, SimulatorError, UsageError
from dtclaims.lab.design.tasks import Task

V4, GYM_V2 = "v4", "gym-v2"
SIMULATORS = (V4, GYM_V2)
"""What `--simulator` takes."""

D4RL_SIMULATOR = GYM_V2
"""Of D4RL's own sets and score constants, and so of the paper's data."""

SLOTS_EACH = 25
"""Of a process that steps physics, at least: a lock step waits for every process, and twice as many with half the slots
each were hardly faster (docs/engine.md)."""

WORLDS = Choice(v4="dtclaims.lab.data.simulators:Present", gym_v2="dtclaims.lab.data.simulators:Legacy")
"""By name, a dash written as an underscore: what steps physics. A job's address follows its own only."""


class World(Protocol):
    """A simulator."""

    def version(self) -> dict[str, str]:
        """What decides how a trajectory looks, beside the code of the slots.

        Raises:
            MissingDependency: it is not installed.
            SimulatorError: a version whose trajectories may not be pooled.
        """

    def missing(self) -> DtclaimsError | None:
        """Why it cannot be used here, with what would help; None if it can."""

    def slots(self, task: Task, count: int, workers: int) -> Any:
        """So many episodes of a task, stepped by at most so many processes: as `dtclaims.lab.data.physics.Slots`.

        Raises:
            MissingDependency: it is not installed.
            SimulatorError: a version whose trajectories may not be pooled, or a process cannot be started.
        """


class Present:
    """gymnasium's v4 tasks on the installed MuJoCo, stepped by this process or by some that it shares."""

    def version(self) -> dict[str, str]:
        """See `World.version`."""
        from dtclaims.lab.data.physics import simulator_version

        return simulator_version()

    def missing(self) -> DtclaimsError | None:
        """None: it comes with the extra `lab`, and a release that is not ours is an error of its own."""
        return None

    def slots(self, task: Task, count: int, workers: int) -> Any:
        """See `World.slots`."""
        from dtclaims.lab.data.physics import Slots

        self.version()
        if min(workers, count) == 1:
            return Slots(task, count)
        from dtclaims.lab.data.physics_pool import SharedSlots

        return SharedSlots(task, count, workers)


class Legacy:
    """gym's v2 tasks on MuJoCo 2.1.0, stepped by processes of the legacy environment."""

    def version(self) -> dict[str, str]:
        """See `World.version`. d4rl's package is no part of it: it reads data."""
        from dtclaims.lab.legacy.slots import legacy_version

        return {name: value for name, value in legacy_version().items() if name != "d4rl"}

    def missing(self) -> DtclaimsError | None:
        """What the environment lacks."""
        try:
            self.version()
        except (MissingDependency, SimulatorError) as error:
            return error
        return None

    def slots(self, task: Task, count: int, workers: int) -> Any:
        """See `World.slots`."""
        from dtclaims.lab.legacy.slots import LegacySlots

        return LegacySlots(task, count, min(workers, count))


def check_simulator(name: str) -> str:
    """The name, if there is such a simulator.

    Raises:
        UsageError: there is not.
    """
    if name not in SIMULATORS:
        raise UsageError("unknown simulator", given=repr(name), expected=f"one of {', '.join(SIMULATORS)}")
    return name


def entry_of(name: str) -> str:
    """What a simulator is called among `WORLDS`."""
    return name.replace("-", "_")


def world(name: str) -> World:
    """The simulator called `name`.

    Raises:
        UsageError: there is none.
    """
    found: World = WORLDS[entry_of(check_simulator(name))]()
    return found


def version_of(name: str) -> dict[str, str]:
    """Name and version of a simulator, for addresses and provenance.

    Raises:
        UsageError: there is no such simulator.
        MissingDependency: it is not installed.
        SimulatorError: a version whose trajectories may not be pooled.
    """
    return {"name": name, **world(name).version()}


def missing(name: str) -> DtclaimsError | None:
    """Why a simulator cannot be used here, with the remedy; None if it can.

    Raises:
        UsageError: there is no such simulator.
    """
    return world(name).missing()


def check_here(name: str) -> None:
    """Refuse a simulator that cannot be used here, before anything is done with it.

    Raises:
        UsageError: there is no such simulator.
        MissingDependency: it is not installed.
        SimulatorError: a version whose trajectories may not be pooled.
    """
    if (absent := missing(name)) is not None:
        raise absent


def simulator_of_data(identity: Mapping[str, Any]) -> str | None:
    """The simulator that data were collected in; None where they do not say.

    Args:
        identity: of the data. Sets that were collected before there was a choice are v4's.
    """
    if identity.get("kind") == "d4rl":
        return D4RL_SIMULATOR
    said = identity.get("simulator")
    return str(said.get("name", V4)) if isinstance(said, Mapping) else None


def said_of(version: Mapping[str, str]) -> str:
    """A simulator in words, with the versions that matter."""
    name, mujoco = version.get("name", V4), version.get("mujoco")
    stack = {V4: "gymnasium's v4 tasks", GYM_V2: "gym's v2 tasks on mujoco-py"}[name]
    return f"{name} ({stack}, MuJoCo {mujoco})" if mujoco else f"{name} ({stack})"
