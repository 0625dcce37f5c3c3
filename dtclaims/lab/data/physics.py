"""Many copies of one MuJoCo task stepped together, with gymnasium's v4 semantics (protocol §§1, 5).

gymnasium steps one environment at a time, and `mujoco.rollout`, which steps many, drops the constraint solver's warm
start between calls and so leaves gymnasium's trajectory. Here every slot keeps its own `MjData`; reward, health and
observation are computed for all slots at once. Several worker processes share the slots (`physics_pool`): threads would
wait for the interpreter's lock, so that sixteen of them are slower than four.
"""

import inspect
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import gymnasium
import mujoco
import numpy as np
import numpy.typing as npt
from gymnasium.envs.registration import load_env_creator

from dtclaims.errors import SimulatorError
from dtclaims.lab.data.simulators import V4, world
from dtclaims.lab.design.tasks import Task

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

SUPPORTED_MUJOCO = ("3.3.7",)
"""Releases whose trajectories may be pooled. Hopper's differ from 3.17 on, at step 10 already."""

STATE_KIND = mujoco.mjtState.mjSTATE_INTEGRATION
"""Everything that the next `mj_step` depends on, the constraint solver's warm start included."""

VELOCITY_LIMIT = 10.0
"""Hopper and Walker2d report joint velocities clipped to ± this; the physics is not clipped."""


def simulator_version() -> dict[str, str]:
    """Versions that decide what a trajectory looks like, for provenance.

    Raises:
        SimulatorError: the installed MuJoCo is not one of `SUPPORTED_MUJOCO`.
    """
    if mujoco.__version__ not in SUPPORTED_MUJOCO:
        raise SimulatorError(
            "this MuJoCo release has not been compared with the one our data and results come from",
            given=mujoco.__version__,
            expected=" or ".join(SUPPORTED_MUJOCO),
            remedy=f"Install it: pip install mujoco=={SUPPORTED_MUJOCO[-1]}",
        )
    return {"mujoco": mujoco.__version__, "gymnasium": version("gymnasium"), "semantics": "v4"}


class Slots:
    """`count` slots of one task stepped by this process, each an independent episode.

    There is no time limit inside: the caller cuts episodes at 1000 steps. Equal to gymnasium's v4
    environments given the same seeds and actions, in the actions' own precision (float32 actions give
    a float32 control cost, as there).

    Args:
        task: which environment.
        count: number of slots.
    """

    def __init__(self, task: Task, count: int) -> None:
        simulator_version()
        self.task = task
        self.count = count
        entry_point = gymnasium.spec(task.gym_id).entry_point
        if not isinstance(entry_point, str):
            raise SimulatorError("the environment is registered by another package", given=task.gym_id)
        # Not gymnasium.make: its wrappers cost time, and it advises v5, whose physics differs.
        creator: Any = load_env_creator(entry_point)
        self._env = creator()
        self._model = self._env.model
        self._frame_skip: int = self._env.frame_skip
        self._constants = {
            name: parameter.default
            for name, parameter in inspect.signature(creator).parameters.items()
            if parameter.default is not inspect.Parameter.empty
        }
        self._data = [mujoco.MjData(self._model) for _ in range(count)]
        # Views into MuJoCo's memory: looking them up at every step costs more than the copy.
        self._ctrl_views = [data.ctrl for data in self._data]
        self._qpos_views = [data.qpos for data in self._data]
        self._qvel_views = [data.qvel for data in self._data]
        self._qpos = np.zeros((count, self._model.nq))
        self._qvel = np.zeros((count, self._model.nv))
        self._read(range(count))

    @property
    def record_size(self) -> int:
        """Numbers in one slot's row of `save`."""
        size: int = mujoco.mj_stateSize(self._model, STATE_KIND)
        return size

    def reset_slots(self, slots: Sequence[int], seeds: Sequence[int]) -> Array:
        """Restart slots, each as `env.reset(seed=…)` does; the states (count, state_dim) of all slots."""
        record = np.zeros(self.record_size)
        for slot, seed in zip(slots, seeds, strict=True):
            self._env.reset(seed=int(seed))
            # The solver's warm start is part of this state, so the episode continues as gymnasium's.
            mujoco.mj_getState(self._model, self._env.data, record, STATE_KIND)
            mujoco.mj_setState(self._model, self._data[slot], record, STATE_KIND)
        self._read(slots)
        return self.states()

    def step(self, actions: npt.NDArray[Any], active: Mask) -> tuple[Array, Array, Mask]:
        """See `BatchedEnv.step`; what it is given has been checked."""
        slots = np.flatnonzero(active).tolist()
        x_before = self._qpos[:, 0].copy()
        model, frame_skip, step = self._model, self._frame_skip, mujoco.mj_step
        for slot in slots:
            self._ctrl_views[slot][:] = actions[slot]
            step(model, self._data[slot], nstep=frame_skip)
        self._read(slots)
        rewards, terminated = self._outcome(x_before, actions)
        return self.states(), np.where(active, rewards, 0.0), terminated & active

    def start(self, actions: npt.NDArray[Any], active: Mask) -> tuple[Array, Array, Mask]:
        """Begin a step whose outcome is asked for by `finish`; in this process it is over at once."""
        return self.step(actions, active)

    def finish(self, started: tuple[Array, Array, Mask]) -> tuple[Array, Array, Mask]:
        """What `step` returns, of a step begun by `start`."""
        return started

    def states(self) -> Array:
        """Observations (count, state_dim): positions without x, then velocities."""
        velocity = self._qvel if self.task.name == "halfcheetah" else self._qvel.clip(-VELOCITY_LIMIT, VELOCITY_LIMIT)
        return np.concatenate((self._qpos[:, 1:], velocity), axis=1)

    def save(self) -> Array:
        """Everything that the slots' futures depend on, (count, record): see `restore`."""
        records = np.zeros((self.count, self.record_size))
        for data, record in zip(self._data, records, strict=True):
            mujoco.mj_getState(self._model, data, record, STATE_KIND)
        return records

    def restore(self, records: Array) -> Array:
        """Continue from what `save` returned; the states of all slots."""
        for data, record in zip(self._data, records, strict=True):
            mujoco.mj_setState(self._model, data, record, STATE_KIND)
        self._read(range(self.count))
        return self.states()

    def close(self) -> None:
        """Nothing to let go of."""

    def _read(self, slots: Sequence[int]) -> None:
        for slot in slots:
            self._qpos[slot] = self._qpos_views[slot]
            self._qvel[slot] = self._qvel_views[slot]

    def _outcome(self, x_before: Array, actions: npt.NDArray[Any]) -> tuple[Array, Mask]:
        """Reward = forward velocity + healthy reward − control cost; terminated = not healthy."""
        constants = self._constants
        forward = constants["forward_reward_weight"] * ((self._qpos[:, 0] - x_before) / self._env.dt)
        cost = constants["ctrl_cost_weight"] * np.square(actions).sum(axis=1)
        if "healthy_reward" not in constants:
            return forward - cost, np.zeros(self.count, dtype=bool)
        # v4 pays the healthy reward on the terminating step too; v5 does not.
        return forward + constants["healthy_reward"] - cost, ~self._healthy()

    def _healthy(self) -> Mask:
        low_z, high_z = self._constants["healthy_z_range"]
        low_angle, high_angle = self._constants["healthy_angle_range"]
        z, angle = self._qpos[:, 1], self._qpos[:, 2]
        healthy: Mask = (low_z < z) & (z < high_z) & (low_angle < angle) & (angle < high_angle)
        if "healthy_state_range" in self._constants:
            low, high = self._constants["healthy_state_range"]
            rest = np.concatenate((self._qpos[:, 2:], self._qvel), axis=1)
            healthy &= ((low < rest) & (rest < high)).all(axis=1)
        return healthy


class BatchedEnv:
    """`count` slots of one task, shared out among worker processes or stepped by this one; see `Slots`.

    The processes are started once and serve all batches of this process, whatever their tasks and sizes. What is said
    here holds in every simulator, but for what its tasks themselves do otherwise.

    Args:
        task: which environment.
        count: number of slots.
        workers: processes that step the physics; of v4, 1 uses the caller's own. No result depends on it.
        simulator: one of `dtclaims.lab.data.simulators.SIMULATORS`.

    Raises:
        SimulatorError: a simulator that is not here or of an unsupported version, or `count` or `workers` below 1.
        UsageError: no such simulator.
    """

    def __init__(self, task: Task, count: int, workers: int = 1, *, simulator: str = V4) -> None:
        chosen = world(simulator)
        if count < 1 or workers < 1:
            raise SimulatorError(
                "a batch needs at least one slot and one worker", given=f"count={count}, workers={workers}"
            )
        self.task, self.count = task, count
        self._under_way: list[Any] = []
        self._slots = chosen.slots(task, count, workers)

    def reset(self, seeds: Sequence[int]) -> Array:
        """Start every slot as `env.reset(seed=seeds[i])` does; the (count, state_dim) states.

        Raises:
            SimulatorError: not one seed for each slot.
        """
        return self.reset_where(np.ones(self.count, dtype=bool), seeds)

    def reset_where(self, mask: Mask, seeds: Sequence[int]) -> Array:
        """Restart the slots where `mask` is true, in slot order; the states of all slots.

        Args:
            mask: (count,) bool.
            seeds: one seed for each true entry.

        Raises:
            SimulatorError: mask of another shape, not one seed for each true entry, a step that is under way, or a
                worker died.
        """
        self._check_still()
        slots = np.flatnonzero(self._checked_mask(mask)).tolist()
        if len(seeds) != len(slots):
            raise SimulatorError("one seed for each slot to reset", given=len(seeds), expected=len(slots))
        states: Array = self._slots.reset_slots(slots, list(map(int, seeds)))
        return states

    def step(self, actions: npt.NDArray[Any], active: Mask | None = None) -> tuple[Array, Array, Mask]:
        """One environment step in every active slot.

        As in gymnasium, the control cost uses the action as given; MuJoCo clamps what the motors
        receive to their control range.

        Args:
            actions: (count, action_dim) floats, finite where active.
            active: (count,) bool; the others stay as they are, with reward 0 and terminated False.

        Returns:
            States (count, state_dim), rewards (count,), terminated (count,).

        Raises:
            SimulatorError: see `send`.
        """
        self.send(actions, active)
        return self.receive()

    def send(self, actions: npt.NDArray[Any], active: Mask | None = None) -> None:
        """Begin a step and do not wait for it: see `step`, and `receive`. Several batches may be under way at once.

        Raises:
            SimulatorError: wrong shape or type, an action that is not finite, a step that is under way, or a worker
                died.
        """
        self._check_still()
        if actions.shape != (self.count, self.task.action_dim) or actions.dtype.kind != "f":
            raise SimulatorError(
                f"actions of {self.task.name}",
                given=f"{actions.dtype} {actions.shape}",
                expected=f"floats of shape ({self.count}, {self.task.action_dim})",
            )
        mask = np.ones(self.count, dtype=bool) if active is None else self._checked_mask(active)
        if not np.isfinite(actions).all() and not np.isfinite(actions[mask]).all():
            slot = int(np.flatnonzero(mask & ~np.isfinite(actions).all(axis=1))[0])
            raise SimulatorError("actions must be finite", given=f"{actions[slot].tolist()} in slot {slot}")
        self._under_way.append(self._slots.start(actions, mask))

    def receive(self) -> tuple[Array, Array, Mask]:
        """The outcome of the step that is under way, as `step` returns it.

        Raises:
            SimulatorError: no step is under way, or a worker died.
        """
        if not self._under_way:
            raise SimulatorError("no step is under way", remedy="Send actions first.")
        found: tuple[Array, Array, Mask] = self._slots.finish(self._under_way.pop())
        return found

    def states(self) -> Array:
        """Observations (count, state_dim): positions without x, then velocities."""
        states: Array = self._slots.states()
        return states

    def save(self) -> Array:
        """Everything that the slots' futures depend on, (count, record): see `restore`.

        Raises:
            SimulatorError: a step is under way, or a worker died.
        """
        self._check_still()
        records: Array = self._slots.save()
        return records

    def restore(self, records: Array) -> Array:
        """Continue from what `save` returned; the states of all slots.

        Raises:
            SimulatorError: records of another shape, a step that is under way, or a worker died.
        """
        self._check_still()
        expected = (self.count, self._slots.record_size)
        if records.shape != expected:
            raise SimulatorError("saved physics of another batch", given=records.shape, expected=expected)
        states: Array = self._slots.restore(records)
        return states

    def close(self) -> None:
        """Let go of the slots; the processes stay for others."""
        self._slots.close()

    def _check_still(self) -> None:
        if self._under_way:
            raise SimulatorError("a step is under way", remedy="Receive it first.")

    def _checked_mask(self, mask: Mask) -> Mask:
        if mask.shape != (self.count,) or mask.dtype != np.bool_:
            raise SimulatorError("slot mask", given=f"{mask.dtype} {mask.shape}", expected=f"bool ({self.count},)")
        return mask
