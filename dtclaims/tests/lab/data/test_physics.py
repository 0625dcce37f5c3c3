"""The batched simulator against gymnasium's own v4 environments."""

import gymnasium
import mujoco
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dtclaims.errors import SimulatorError
from dtclaims.lab.data.physics import BatchedEnv, simulator_version
from dtclaims.lab.design.tasks import TASKS, Task

HOPPER = TASKS["hopper"]


@pytest.fixture(params=list(TASKS.values()), ids=list(TASKS))
def task(request: pytest.FixtureRequest) -> Task:
    """Each of the three tasks."""
    value: Task = request.param
    return value


def random_actions(task: Task, count: int, rng: np.random.Generator) -> np.ndarray:
    """Float32 actions, some beyond the control range."""
    return rng.uniform(-1.5, 1.5, (count, task.action_dim)).astype(np.float32)


def test_agrees_with_gymnasium_over_2500_steps(task: Task) -> None:
    """States, rewards and terminations are gymnasium's, through terminations and seeded restarts."""
    slots, next_seed = 5, 100
    env = BatchedEnv(task, slots, workers=2)
    reference = [gymnasium.make(task.gym_id) for _ in range(slots)]
    rng = np.random.default_rng(1)
    states = env.reset(range(slots))
    assert np.array_equal(states, [one.reset(seed=seed)[0] for seed, one in enumerate(reference)])
    terminations = 0
    for _ in range(500):
        actions = random_actions(task, slots, rng)
        states, rewards, terminated = env.step(actions)
        expected = [one.step(action) for one, action in zip(reference, actions, strict=True)]
        np.testing.assert_allclose(states, [outcome[0] for outcome in expected], rtol=0, atol=1e-9)
        np.testing.assert_allclose(rewards, np.array([outcome[1] for outcome in expected]), rtol=0, atol=1e-9)
        assert terminated.tolist() == [outcome[2] for outcome in expected]
        terminations += int(terminated.sum())
        ended = np.flatnonzero(terminated)
        seeds = list(range(next_seed, next_seed + len(ended)))
        states = env.reset_where(terminated, seeds)
        next_seed += len(ended)
        for slot, seed in zip(ended, seeds, strict=True):
            np.testing.assert_allclose(states[slot], reference[slot].reset(seed=seed)[0], rtol=0, atol=1e-9)
    assert (terminations > 20) == (task.name != "halfcheetah")


def test_velocities_beyond_ten_are_clipped_except_in_halfcheetah(task: Task) -> None:
    """Hopper and Walker2d report velocities within ±10; HalfCheetah reports them as they are."""
    env = BatchedEnv(task, 1)
    env.reset([0])
    rng = np.random.default_rng(2)
    velocities = task.state_dim // 2 + 1
    largest = 0.0
    for _ in range(300):
        states, _, _ = env.step(np.sign(random_actions(task, 1, rng)))
        largest = max(largest, np.abs(states[0, -velocities:]).max())
    assert largest > 10.0 if task.name == "halfcheetah" else largest == 10.0


def test_control_cost_uses_the_action_as_given() -> None:
    """An action beyond the control range moves the body as the clamped one does and costs more."""
    env = BatchedEnv(HOPPER, 2)
    env.reset([5, 5])
    states, rewards, _ = env.step(np.array([[1.0, -1.0, 1.0], [3.0, -3.0, 3.0]]))
    assert np.array_equal(states[0], states[1])
    assert rewards[0] - rewards[1] == pytest.approx(1e-3 * (27 - 3), abs=1e-12)


@settings(max_examples=15)
@given(
    st.sampled_from(list(TASKS.values())),
    st.integers(2, 9),
    st.integers(2, 3),
    st.lists(st.sampled_from(["step", "single", "reset", "restore"]), min_size=1, max_size=25),
    st.integers(0, 2**32),
)
def test_workers_do_not_change_the_trajectory(task: Task, count: int, workers: int, what: list[str], seed: int) -> None:
    """One process and several give the same bits, whatever is stepped, restarted and restored."""
    rng = np.random.default_rng(seed)
    batches = [BatchedEnv(task, count, number) for number in (1, workers)]
    saved = [env.save() for env in batches]
    assert np.array_equal(*[env.states() for env in batches])
    for one in ("reset", *what):
        mask = rng.random(count) < 0.7
        seeds = rng.integers(2**31, size=mask.sum()).tolist()
        actions = rng.uniform(-1.5, 1.5, (count, task.action_dim))
        actions[~mask] = np.nan
        if one == "restore":
            found = [(env.restore(rows),) for env, rows in zip(batches, saved, strict=True)]
        elif one == "reset":
            found = [(env.reset_where(mask, seeds),) for env in batches]
            saved = [env.save() for env in batches]
        else:
            given_as = np.float32 if one == "single" else np.float64
            found = [env.step(actions.astype(given_as), mask) for env in batches]
        assert all(np.array_equal(a, b) for a, b in zip(*found, strict=True))
        assert np.array_equal(*[env.states() for env in batches])
    assert np.array_equal(*[env.save() for env in batches])


@pytest.mark.parametrize("workers", [1, 2])
def test_batches_are_under_way_at_once(workers: int) -> None:
    """Steps of two batches may be sent and then received, in any order; each is what it is alone."""
    rng = np.random.default_rng(6)
    tasks = [TASKS["hopper"], TASKS["walker2d"]]
    sent, stepped = ([BatchedEnv(task, 4, workers) for task in tasks] for _ in range(2))
    for env in (*sent, *stepped):
        env.reset(range(4))
    for turn in range(6):
        actions = [random_actions(task, 4, rng) for task in tasks]
        for env, action in zip(sent, actions, strict=True):
            env.send(action)
        order = (0, 1) if turn % 2 else (1, 0)
        found = {i: sent[i].receive() for i in order}
        for i in order:
            assert all(np.array_equal(a, b) for a, b in zip(found[i], stepped[i].step(actions[i]), strict=True))


def test_a_step_under_way_is_received_before_anything_else() -> None:
    """What would mix with it is refused, and so is receiving what was not sent."""
    env = BatchedEnv(HOPPER, 2)
    records = env.save()
    with pytest.raises(SimulatorError, match="no step is under way"):
        env.receive()
    env.send(np.zeros((2, 3)))
    for wrong in (
        lambda: env.send(np.zeros((2, 3))),
        lambda: env.step(np.zeros((2, 3))),
        lambda: env.reset([0, 1]),
        env.save,
        lambda: env.restore(records),
    ):
        with pytest.raises(SimulatorError, match=r"a step is under way. Receive it first"):
            wrong()
    env.receive()
    env.step(np.zeros((2, 3)))


@settings(max_examples=20)
@given(st.lists(st.booleans(), min_size=4, max_size=4), st.integers(0, 2**31 - 1))
def test_only_chosen_slots_move(chosen: list[bool], seed: int) -> None:
    """Inactive slots keep their state, earn 0 and do not terminate; the same holds for a partial reset."""
    env = BatchedEnv(HOPPER, 4)
    before = env.reset([seed] * 4)
    mask = np.array(chosen)
    actions = np.full((4, 3), 0.5)
    actions[~mask] = np.nan
    after, rewards, terminated = env.step(actions, mask)
    assert ((after != before).any(axis=1) == mask).all()
    assert ((rewards != 0) == mask).all()
    assert not terminated[~mask].any()
    restarted = env.reset_where(~mask, [seed + 1] * int((~mask).sum()))
    assert np.array_equal(restarted[mask], after[mask])
    assert (restarted[~mask] != before[~mask]).any(axis=1).all()


def test_saved_physics_continues_bit_for_bit(task: Task) -> None:
    """A batch restored in the middle of its episodes goes on as the original does."""
    rng = np.random.default_rng(4)
    env, other = BatchedEnv(task, 3), BatchedEnv(task, 3)
    env.reset([1, 2, 3])
    for _ in range(10):
        states, _, _ = env.step(random_actions(task, 3, rng))
    assert np.array_equal(other.restore(env.save()), states)
    for _ in range(10):
        actions = random_actions(task, 3, rng)
        assert all(np.array_equal(a, b) for a, b in zip(env.step(actions), other.step(actions), strict=True))


@pytest.mark.parametrize(
    ("actions", "message"),
    [
        (np.zeros((2, 4)), r"actions of hopper: got float64 \(2, 4\), expected floats of shape \(2, 3\)"),
        (np.zeros((2, 3), dtype=int), "actions of hopper: got int64"),
        (np.array([[0.0, 0.0, 0.0], [0.0, np.inf, 0.0]]), r"must be finite: got \[0.0, inf, 0.0\] in slot 1"),
    ],
)
def test_unusable_actions_are_refused(actions: np.ndarray, message: str) -> None:
    """Wrong shape, integer type and non-finite actions each get an error that shows them."""
    env = BatchedEnv(HOPPER, 2)
    with pytest.raises(SimulatorError, match=message):
        env.step(actions)


def test_masks_seeds_counts_and_records_are_checked() -> None:
    """Each argument that does not fit the batch gets a typed error."""
    env = BatchedEnv(HOPPER, 2)
    with pytest.raises(SimulatorError, match="one seed for each slot to reset: got 3, expected 2"):
        env.reset([1, 2, 3])
    with pytest.raises(SimulatorError, match="slot mask: got bool"):
        env.step(np.zeros((2, 3)), np.ones(3, dtype=bool))
    with pytest.raises(SimulatorError, match="saved physics of another batch"):
        env.restore(np.zeros((3, 5)))
    with pytest.raises(SimulatorError, match="at least one slot and one worker: got count=0"):
        BatchedEnv(HOPPER, 0)


def test_other_mujoco_release_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hopper's physics changes between releases, so an unknown one stops the run and says what to install."""
    assert simulator_version()["mujoco"] == mujoco.__version__
    monkeypatch.setattr(mujoco, "__version__", "3.17.0")
    with pytest.raises(SimulatorError, match=r"got 3\.17\.0, expected 3\.3\.7.*pip install mujoco==3\.3\.7"):
        BatchedEnv(HOPPER, 1)
