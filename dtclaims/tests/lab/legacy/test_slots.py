"""gym's v2 tasks through processes of the legacy environment: gym's own trajectories, whatever becomes of a process."""

import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dtclaims.errors import SimulatorError
from dtclaims.lab.data.collect import policy_folder
from dtclaims.lab.data.physics import Slots
from dtclaims.lab.data.policy import Policy
from dtclaims.lab.design.tasks import TASKS, Task
from dtclaims.lab.legacy import environment
from dtclaims.lab.legacy.slots import GYM_IDS, LegacySlots, legacy_version
from dtclaims.places import ROOT
from dtclaims.tests.support.processes import check_workers_end, gone, until

pytestmark = pytest.mark.legacy

HOPPER = TASKS["hopper"]
ALL = np.ones(4, dtype=bool)
STILL = np.zeros((4, 3))


@pytest.fixture(params=list(TASKS))
def task(request: pytest.FixtureRequest) -> Task:
    return TASKS[request.param]


def drawn(task: Task, episodes: int, steps: int) -> np.ndarray:
    """Small actions, under which Hopper and Walker2d stand for a while, some outside the motors' range."""
    rng = np.random.default_rng(7)
    actions = rng.normal(0.0, 0.3, (steps, episodes, task.action_dim))
    return np.where(rng.uniform(size=actions.shape) < 0.02, 3 * actions, actions)


Rolled = tuple[np.ndarray, np.ndarray, np.ndarray]


def roll(slots: LegacySlots, actions: np.ndarray) -> Rolled:
    """States (steps, count, S), rewards and ends (steps, count) of slots that stop at their ends."""
    active, found = np.ones(actions.shape[1], dtype=bool), []
    for action in actions:
        found.append(slots.finish(slots.start(action, active)))
        active = active & ~found[-1][2]
    states, rewards, ended = (np.stack(part) for part in zip(*found, strict=True))
    return states, rewards, ended


def assert_same(found: Rolled, expected: Rolled) -> None:
    for one, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_equal_to_plain_gym_to_the_bit(task: Task, kind: type, tmp_path: Path) -> None:
    """Three episodes of the shipped policy, 300 steps at most: start, every state, reward and end of `gym.make` given
    its actions are the same bits, for actions of either precision."""
    policy, rng = Policy.load(policy_folder(task.name, "medium"), task), np.random.default_rng(7)
    slots = LegacySlots(task, 3, 2)
    states = [slots.reset_slots(range(3), range(3))]
    active, actions, rewards, ended = np.ones(3, dtype=bool), [], [], []
    for _ in range(300):
        actions.append(policy.act(states[-1], rng).astype(kind))
        for kept, one in zip((states, rewards, ended), slots.finish(slots.start(actions[-1], active)), strict=True):
            kept.append(one)
        active &= ~ended[-1]
    np.save(tmp_path / "actions.npy", np.stack(actions, axis=1))
    folder, program = environment.ready(), ROOT / "dtclaims" / "tests" / "support" / "plain_gym.py"
    subprocess.run(
        [*environment.python(folder), program, GYM_IDS[task.name], tmp_path / "actions.npy", tmp_path / "out"],
        env={**os.environ, **environment.variables(folder)},
        check=True,
        stderr=subprocess.DEVNULL,
    )
    with np.load(tmp_path / "out.npz", allow_pickle=False) as plain:
        np.testing.assert_array_equal(np.stack(ended, axis=1), plain["ended"])
        np.testing.assert_array_equal(np.stack(rewards, axis=1), plain["rewards"])
        # Behind its end plain gym's record is empty; the slot stands still.
        lived = np.concatenate(
            (np.ones((3, 1), dtype=bool), np.cumsum(plain["ended"], axis=1) - plain["ended"] == 0), 1
        )
        np.testing.assert_array_equal(np.stack(states, axis=1)[lived], plain["states"][lived])
    assert lived.sum() > 500


def test_starts_are_those_of_v4(task: Task) -> None:
    """A seed starts an episode here in the state in which it starts one of v4: both draw the same noise in one way."""
    seeds = [0, 5, 2**40 + 3]
    np.testing.assert_array_equal(
        LegacySlots(task, 3, 1).reset_slots(range(3), seeds), Slots(task, 3).reset_slots(range(3), seeds)
    )


def test_no_trajectory_depends_on_the_number_of_processes(task: Task) -> None:
    """One process or three: the same bits, also after some slots were started again."""
    actions = drawn(task, 5, 30)

    def run(workers: int) -> list[np.ndarray]:
        slots = LegacySlots(task, 5, workers)
        slots.reset_slots(range(5), range(5))
        first = roll(slots, actions)
        again = slots.reset_slots([1, 4], [11, 14])
        return [*first, again, *roll(slots, actions)]

    assert_same(run(1), run(3))


def test_what_was_saved_goes_on_anywhere(task: Task) -> None:
    """Records hold all that the future depends on: other processes continue to the same bits."""
    actions = drawn(task, 4, 40)
    slots = LegacySlots(task, 4, 2)
    slots.reset_slots(range(4), range(4))
    roll(slots, actions[:20])
    records, states = slots.save(), slots.states()
    assert records.shape == (4, slots.record_size)
    other = LegacySlots(task, 4, 3)
    np.testing.assert_array_equal(other.restore(records), states)
    assert_same(roll(other, actions[20:]), roll(slots, actions[20:]))


def test_inactive_slots_stand_still() -> None:
    """Where a slot is not active nothing moves, and it earns nothing."""
    slots = LegacySlots(HOPPER, 4, 2)
    before = slots.reset_slots(range(4), range(4))
    active = np.array([True, False, True, False])
    states, rewards, ended = slots.finish(slots.start(STILL, active))
    np.testing.assert_array_equal(states[~active], before[~active])
    assert (states[active] != before[active]).any(axis=1).all()
    assert (rewards[active] != 0).all()
    assert not rewards[~active].any()
    assert not ended.any()


def killed_before(slots: LegacySlots, pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    until(lambda: gone(pid))
    slots.start(STILL, ALL)
    slots.save()


def killed_meanwhile(slots: LegacySlots, pid: int) -> None:
    os.kill(pid, signal.SIGSTOP)
    started = slots.start(STILL, ALL)
    os.kill(pid, signal.SIGKILL)
    slots.finish(started)


@pytest.mark.parametrize("killed", [killed_before, killed_meanwhile])
def test_a_worker_that_dies_loses_nothing_that_was_saved(killed: Callable[[LegacySlots, int], None]) -> None:
    """One typed error names it; the next slots get processes that are there, and go on from what was saved."""
    actions = drawn(HOPPER, 4, 20)
    slots = LegacySlots(HOPPER, 4, 2)
    slots.reset_slots(range(4), range(4))
    records, expected = slots.save(), roll(slots, actions)
    pid = slots._processes[1].process.pid
    with pytest.raises(SimulatorError, match=rf"process died: got process {pid}, exit code -9"):
        killed(slots, pid)
    with pytest.raises(SimulatorError, match="the physics processes have ended"):
        slots.save()
    again = LegacySlots(HOPPER, 4, 2)
    again.restore(records)
    assert_same(roll(again, actions), expected)


def test_a_simulation_that_is_unstable_is_an_error() -> None:
    """MuJoCo's warning ends it, as it ends `env.step` in gym: no reward is made of it."""
    slots = LegacySlots(HOPPER, 4, 1)
    slots.reset_slots(range(4), range(4))
    records = slots.save()
    records[2, 7] = 1e12
    slots.restore(records)
    with pytest.raises(SimulatorError, match=r"could not go on: got (?s:.*)MuJoCo Warning"):
        slots.finish(slots.start(STILL, ALL))


@pytest.mark.parametrize("stop", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_workers_end_with_their_parent(stop: signal.Signals) -> None:
    """Killed, terminated or interrupted: its processes are gone within seconds."""
    session = (
        "import time;"
        "from dtclaims.lab.legacy.slots import LegacySlots; from dtclaims.lab.design.tasks import get_task;"
        "slots = LegacySlots(get_task('hopper'), 4, 2); print('there', flush=True); time.sleep(100)"
    )
    check_workers_end(session, stop)


def test_its_versions_are_those_that_are_recorded() -> None:
    """Provenance says what the environment says of itself, the binary by its own word."""
    said = environment.check()
    recorded = legacy_version()
    assert recorded.pop("semantics") == "v2"
    assert {name: said[name] for name in recorded} == recorded
