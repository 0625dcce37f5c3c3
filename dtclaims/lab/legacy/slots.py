"""gym's v2 tasks on MuJoCo 2.1.0, many copies stepped together by processes of the legacy environment.

A slot does what `gym.make("Hopper-v2")` does given the same seed and actions, to the bit. The seed starts an episode as
gym's own reset does: PCG64 of the seed draws the noise of the positions and then that of the velocities, uniform in
± 0.005 (HalfCheetah: positions in ± 0.1, velocities normal with deviation 0.1). gymnasium's v4 tasks draw so too, so
that equal seeds start both simulators in the same state.
"""

import dataclasses
import inspect
from pathlib import Path
from typing import Any

from dtclaims.lab.data.physics_pool import PhysicsPool, SharedSlots, layout, this_pool
from dtclaims.lab.data.worker_process import WorkerProcess
from dtclaims.lab.design.tasks import Task
from dtclaims.lab.legacy import environment
from dtclaims.lab.legacy.worker import decode, encode, serve

GYM_IDS = {"hopper": "Hopper-v2", "halfcheetah": "HalfCheetah-v2", "walker2d": "Walker2d-v2"}


class LegacyProcess(WorkerProcess):
    """A process of the legacy environment. Requests and answers are JSON and doubles, nothing that would be run.

    Args:
        folder: of the environment.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        super().__init__()

    def _command(self, handle: int, parent: int) -> list[str]:
        program = inspect.getsourcefile(serve)
        return [*environment.python(self._folder), str(program), str(handle), str(parent)]

    def _variables(self) -> dict[str, str]:
        return environment.variables(self._folder)

    def _send(self, message: tuple[Any, ...]) -> None:
        self.pipe.send_bytes(encode(message))

    def _receive(self) -> Any:
        return decode(self.pipe.recv_bytes())


@dataclasses.dataclass(frozen=True)
class _Starting:
    """Starts processes of an environment; equal where it is the same, so that they share a pool."""

    folder: Path

    def __call__(self) -> LegacyProcess:
        return LegacyProcess(self.folder)


class LegacySlots(SharedSlots):
    """`physics.Slots` of gym's v2 tasks on MuJoCo 2.1.0, in processes of the legacy environment.

    A step that makes MuJoCo warn (an unstable simulation) is an error, as it is in gym.

    Args:
        task: which environment.
        count: number of slots.
        workers: how many processes, at most one for each slot. No trajectory depends on it.

    Raises:
        MissingDependency: the environment is not installed, or is half made.
        SimulatorError: it is of another version; a process died or cannot be started, or there is no memory to share.
    """

    def __init__(self, task: Task, count: int, workers: int) -> None:
        self._starting = _Starting(environment.ready())
        super().__init__(task, count, workers)

    def _find_pool(self) -> PhysicsPool:
        return this_pool(self._starting)

    def _share(self, name: str, task: Task, count: int) -> tuple[Any, ...]:
        return "share", name, layout(task, count), GYM_IDS[task.name], len(self._processes)


def legacy_version() -> dict[str, str]:
    """Versions that decide what a trajectory looks like, for provenance.

    Raises:
        MissingDependency: the environment is not installed, or is half made.
        SimulatorError: it is of another version.
    """
    environment.ready()
    return {**environment.VERSIONS, "semantics": "v2"}
