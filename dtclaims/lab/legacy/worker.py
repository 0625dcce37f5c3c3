"""A process of the legacy environment: it steps gym's v2 tasks in MuJoCo 2.1.0, as slots of a batch.

It is run by that environment's Python, where there is no dtclaims: it imports nothing of it, and no module of dtclaims
imports gym or mujoco-py. No code and no pickles pass: requests and answers are JSON with arrays of doubles behind it
(`encode`), and what is asked again and again is one word, whose arrays lie in shared memory.

    python -I worker.py HANDLE PARENT

Without arguments it steps the three tasks once, and prints versions.
"""

import contextlib
import json
import mmap
import os
import struct
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from importlib import metadata
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

WORD = 4
"""Bytes of a request that only says which object is to go on, and how."""
HOWS = 2
"""Ways to go on that a word can tell apart."""
MESSAGE = -1
"""The word that a request in full follows."""
DONE, SAID = b"\1", b"\0"
"""An answer without a value, and the byte that an answer in full follows."""
LOOK = 1.0
"""Seconds between a worker's looks for its parent."""
VELOCITY_LIMIT = 10.0
"""Hopper and Walker2d report joint velocities clipped to ± this; the physics is not clipped."""

Layout = Sequence[tuple[str, str, Sequence[int]]]


def encode(message: Any) -> bytes:
    """A message as bytes: the length of its JSON, the JSON, then the doubles of its arrays."""
    arrays: list[bytes] = []

    def put(value: Any) -> Any:
        array = np.ascontiguousarray(value, dtype="<f8")
        arrays.append(array.tobytes())
        return {"doubles": array.shape}

    head = json.dumps(message, default=put).encode()
    return struct.pack("<I", len(head)) + head + b"".join(arrays)


def decode(data: bytes) -> Any:
    """What `encode` was given; tuples are lists now."""
    (length,) = struct.unpack_from("<I", data)
    place = WORD + length

    def take(found: dict[str, Any]) -> Any:
        nonlocal place
        array = np.ndarray(found["doubles"], "<f8", data, place).copy()
        place += array.nbytes
        return array

    return json.loads(data[WORD:place], object_hook=take)


def views(layout: Layout, memory: mmap.mmap) -> dict[str, Any]:
    """Arrays that lie one after the other in shared memory, by their names."""
    found, place = {}, 0
    for name, kind, shape in layout:
        found[name] = np.ndarray(shape, kind, memory, place)
        place += found[name].nbytes
    return found


class Slots:
    """`count` slots of one task, each an independent episode: `dtclaims.lab.data.physics.Slots` on this stack.

    Equal to `gym.make(…)` given the same seeds and actions, to the bit: reward and end are computed in the order of
    gym 0.23.1's code, for all slots at once. A start is drawn by gym's own reset: PCG64 of the seed, first the noise
    of the positions, then that of the velocities, as gymnasium's v4 tasks draw it.

    Args:
        gym_id: Hopper-v2, HalfCheetah-v2 or Walker2d-v2.
        count: number of slots.
    """

    def __init__(self, gym_id: str, count: int) -> None:
        with quietly():
            import mujoco_py
            from gym.envs import registration

        self.gym_id, self.count = gym_id, count
        # Not gym.make: its wrappers cost time. The caller cuts episodes at 1000 steps.
        self._env = registration.load(registration.spec(gym_id).entry_point)()
        # The steps of one action are taken in one call, with the control that they share.
        self._sims = [mujoco_py.MjSim(self._env.model, nsubsteps=self._env.frame_skip) for _ in range(count)]
        # Views into MuJoCo's memory.
        self._data = [sim.data for sim in self._sims]
        self._places = [self._parts(data) for data in self._data]
        self._qpos = np.zeros((count, self._env.model.nq))
        self._qvel = np.zeros((count, self._env.model.nv))
        self._read(range(count))

    @property
    def action_dim(self) -> int:
        """Numbers of an action."""
        return int(self._env.model.nu)

    @staticmethod
    def _parts(data: Any) -> list[Any]:
        """What the next step depends on beside the time; the solver starts from the last acceleration."""
        parts = [data.qpos, data.qvel, data.qacc_warmstart, data.ctrl]
        return parts if data.act is None else [*parts, data.act]

    def _record(self, data: Any) -> Any:
        return np.concatenate([[data.time], *self._parts(data)])

    def _put(self, slot: int, record: Any) -> None:
        self._data[slot].time = record[0]
        place = 1
        for part in self._places[slot]:
            part[:] = record[place : place + len(part)]
            place += len(part)

    def reset_slots(self, slots: Sequence[int], seeds: Sequence[int]) -> Any:
        """Restart slots, each as `env.reset(seed=…)` does; the states (count, state_dim) of all slots."""
        for slot, seed in zip(slots, seeds, strict=True):
            self._env.reset(seed=int(seed))
            self._sims[slot].reset()
            self._put(slot, self._record(self._env.sim.data))
        self._read(slots)
        return self.states()

    def step(self, actions: Any, active: Any) -> tuple[Any, Any, Any]:
        """States (count, state_dim), rewards (count,) and ends (count,) after one step of the active slots."""
        slots = np.flatnonzero(active).tolist()
        x_before = self._qpos[:, 0].copy()
        sims, places = self._sims, self._places
        for slot in slots:
            places[slot][3][:] = actions[slot]
            sims[slot].step()
        self._read(slots)
        rewards, ended = self._outcome(x_before, actions)
        return self.states(), np.where(active, rewards, 0.0), ended & active

    def states(self) -> Any:
        """Observations (count, state_dim): positions without x, then velocities."""
        limit = np.inf if self.gym_id.startswith("HalfCheetah") else VELOCITY_LIMIT
        return np.concatenate((self._qpos[:, 1:], self._qvel.clip(-limit, limit)), axis=1)

    def save(self) -> Any:
        """Everything that the slots' futures depend on, (count, record)."""
        return np.stack([self._record(data) for data in self._data])

    def restore(self, records: Any) -> Any:
        """Continue from what `save` returned; the states of all slots."""
        for slot, record in enumerate(records):
            self._put(slot, record)
        self._read(range(self.count))
        return self.states()

    def _read(self, slots: Sequence[int]) -> None:
        for slot in slots:
            self._qpos[slot], self._qvel[slot] = self._places[slot][:2]

    def _outcome(self, x_before: Any, actions: Any) -> tuple[Any, Any]:
        forward = (self._qpos[:, 0] - x_before) / self._env.dt
        # Squares and their sum in the actions' own precision, as gym has it, and the rest in doubles.
        effort = np.square(actions).sum(axis=1).astype(np.float64)
        if self.gym_id.startswith("HalfCheetah"):
            return -0.1 * effort + forward, np.zeros(self.count, dtype=bool)
        height, angle = self._qpos[:, 1], self._qpos[:, 2]
        if self.gym_id.startswith("Hopper"):
            state = np.concatenate((self._qpos, self._qvel), axis=1)
            going = np.isfinite(state).all(axis=1) & (np.abs(state[:, 2:]) < 100).all(axis=1)
            going &= (height > 0.7) & (np.abs(angle) < 0.2)
        else:
            going = (height > 0.8) & (height < 2.0) & (angle > -1.0) & (angle < 1.0)
        return forward + 1.0 - 1e-3 * effort, ~going


class Share:
    """What one process steps of an environment.

    Args:
        name: of the file whose memory is shared.
        layout: of the arrays in it.
        gym_id: which environment.
        workers: processes.
        place: which of them this is.
    """

    def __init__(self, name: str, layout: Layout, gym_id: str, workers: int, place: int) -> None:
        with open(name, "r+b") as file:
            self._memory = views(layout, mmap.mmap(file.fileno(), 0))
        self._mine = slice(place, None, workers)
        self._numbers = range(len(self._memory["rewards"]))[self._mine]
        self._slots = Slots(gym_id, len(self._numbers))
        self._memory["states"][self._mine] = self._slots.states()

    def go(self, how: int) -> None:
        """Step the slots that are active, by single (1) or double (0) actions."""
        memory, mine = self._memory, self._mine
        # A copy has its rows side by side, as an environment of one process has.
        actions = memory["single" if how else "double"][mine].copy()
        found = self._slots.step(actions, memory["active"][mine].copy())
        memory["states"][mine], memory["rewards"][mine], memory["terminated"][mine] = found

    def record_size(self) -> int:
        """Numbers in one slot's row of `save`."""
        return int(self._slots.save().shape[1])

    def reset(self, slots: Sequence[int], seeds: Sequence[int]) -> None:
        """Restart slots by their numbers, each with its seed."""
        states = self._slots.reset_slots([self._numbers.index(slot) for slot in slots], seeds)
        self._memory["states"][self._mine] = states

    def save(self) -> Any:
        """See `Slots.save`."""
        return self._slots.save()

    def restore(self, records: Any) -> None:
        """See `Slots.restore`; records of these slots."""
        self._memory["states"][self._mine] = self._slots.restore(records)


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Without what modules say of themselves when they are imported: gym, that it is unmaintained."""
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stderr(nowhere):
        yield


def versions() -> dict[str, str]:
    """What decides how a trajectory and a set look, after the three tasks have stepped and D4RL's loader was found.

    The binary's version is by its own word.
    """
    with quietly():
        import d4rl.gym_mujoco
        import d4rl.offline_env  # noqa: F401
        import mujoco_py

    for gym_id in ("Hopper-v2", "HalfCheetah-v2", "Walker2d-v2"):
        slots = Slots(gym_id, 1)
        slots.reset_slots([0], [0])
        states, _, _ = slots.step(np.zeros((1, slots.action_dim)), np.ones(1, dtype=bool))
        if not np.isfinite(states).all():
            raise RuntimeError(f"{gym_id} steps to {states.tolist()}")
    return {
        "mujoco": ".".join(str(mujoco_py.functions.mj_version())),
        **{name: metadata.version(name) for name in ("mujoco-py", "gym", "d4rl", "numpy")},
        "python": sys.version.split()[0],
    }


KINDS: dict[str, Callable[..., Any]] = {"share": Share}


def answer(kept: dict[int, Any], what: str, subject: Any, *rest: Any) -> Any:
    """Do what a request says: `make` what is kept under a number, `ask` or `drop` it."""
    if what == "make":
        kind, arguments = rest
        kept[subject] = KINDS[kind](*arguments)
    elif what == "drop":
        del kept[subject]
    else:
        method, arguments = rest
        if method not in ("record_size", "reset", "save", "restore"):
            raise ValueError(f"no request {method!r}")
        return getattr(kept[subject], method)(*arguments)
    return None


def attend(
    handle: int,
    parent: int,
    kept: dict[int, Any],
    receive: Callable[[], Any],
    send: Callable[[Any], None],
    do: Callable[..., Any],
) -> None:
    """A worker's life, until its parent closes the pipe or dies.

    Args:
        handle: of its end of the pipe.
        parent: id of the process that started it.
        kept: objects by number, which a word lets go.
        receive: reads a request.
        send: writes an answer: whether it went well, and a value or what went wrong.
        do: does what a request says.
    """
    threading.Thread(target=_leave_with, args=(parent,), daemon=True).start()
    with contextlib.suppress(EOFError, OSError):
        while word := os.read(handle, WORD):
            number = int.from_bytes(word, sys.byteorder, signed=True)
            message = receive() if number == MESSAGE else None
            found = None
            try:
                if message is None:
                    kept[number // HOWS].go(number % HOWS)
                else:
                    found = do(kept, *message)
            except Exception:
                well, found = False, traceback.format_exc(limit=-3)
            else:
                well = True
            if well and found is None:
                os.write(handle, DONE)
            else:
                os.write(handle, SAID)
                send((well, found))


def _leave_with(parent: int) -> None:
    """End this process when its parent has: one that is at work does not look at its pipe."""
    while os.getppid() == parent:
        time.sleep(LOOK)
    os._exit(1)


def serve(handle: int, parent: int) -> None:
    """Work for the process that started this one."""
    pipe = Connection(handle)
    attend(handle, parent, {}, lambda: decode(pipe.recv_bytes()), lambda found: pipe.send_bytes(encode(found)), answer)


if __name__ == "__main__":
    if sys.argv[1:]:
        serve(*map(int, sys.argv[1:]))
    else:
        print(json.dumps(versions()))
