"""Roll-outs: the reference's, step by step, and the masks of finished episodes."""

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from dtclaims.errors import UsageError
from dtclaims.lab.design.tasks import RETURN_SCALE, TASKS, Task
from dtclaims.lab.models import BehaviourCloning, DecisionTransformer, StackConfig
from dtclaims.lab.train.evaluate import evaluate, physics_threads
from dtclaims.lab.train.lanes import LaneRollouts, next_actions
from dtclaims.lab.train.rollouts import Precision, Rollouts, View
from dtclaims.places import fixture_dir
from dtclaims.tests.lab.models.test_golden import load
from dtclaims.tests.lab.train.test_fast import gpu


class Linear:
    """The golden roll-outs' environment: linear dynamics, one slot."""

    def __init__(self, values: dict[str, Any], case: str) -> None:
        self.values, self.case = values, case
        self.state = values[f"{case}/s0"]
        self.stepped = 0

    def reset(self, seeds: Sequence[int]) -> np.ndarray:
        return self.state[None]

    def step(self, actions: np.ndarray, active: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        env = {name: self.values[f"env/{name}"] for name in ("M", "N", "b", "rw")}
        reward = self.values[f"{self.case}/rewards"][self.stepped]
        self.state = env["M"] @ self.state + env["N"] @ actions[0] + env["b"]
        done = self.state[int(self.values[f"{self.case}/threshold_coordinate"])] > self.values[f"{self.case}/threshold"]
        self.stepped += 1
        return self.state[None], np.array([reward]), np.array([bool(done)])


class Recorder(nn.Module):
    """Passes a model's calls through and keeps what it was given."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.fed: list[tuple[Tensor, ...]] = []

    def forward(self, *inputs: Tensor) -> Tensor:
        self.fed.append(tuple(value.clone() for value in inputs))
        predicted: Tensor = self.model(*inputs)
        return predicted


@pytest.mark.parametrize("case", ["K5/limit", "K5/terminal", "K1/limit", "K1/terminal"])
def test_golden_rollouts(case: str) -> None:
    """What the model is fed, what it does and what it earns agree with the reference, step by step.

    Our context is not padded; the reference's padding must be all zeros and masked.
    """
    with np.load(fixture_dir() / "golden" / "eval.npz") as file:
        values = dict(file)
    _, model, _ = load("forward_dt")
    recorder = Recorder(model)
    context = int(case[1])
    rollouts = evaluate(
        recorder,
        Linear(values, case),
        seeds=[0],
        target=3600.0,
        context=context,
        state_mean=values["state_mean"],
        state_std=values["state_std"],
        action_dim=3,
        max_steps=30,
    )
    assert rollouts.lengths[0] == values[f"{case}/length"]
    np.testing.assert_allclose(rollouts.returns[0], values[f"{case}/return"], rtol=1e-5)
    names = ("states", "actions", "returns_to_go", "timesteps", "mask")
    for step, fed in enumerate(recorder.fed):
        seen = min(step + 1, context)
        for name, value in zip(names, fed, strict=True):
            expected = values[f"{case}/fed/{name}"][step]
            np.testing.assert_allclose(
                value[0].numpy(), expected[context - seen :], atol=1e-4, err_msg=f"{name}, step {step}"
            )
            assert not expected[: context - seen].any()


class Countdown:
    """Episode i ends after i + 1 steps and pays 1 a step; stepping a finished one is an error."""

    def __init__(self, count: int) -> None:
        self.left = np.arange(1, count + 1)

    def reset(self, seeds: Sequence[int]) -> np.ndarray:
        return np.zeros((len(seeds), 2))

    def step(self, actions: np.ndarray, active: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        assert active is not None
        assert (self.left[active] > 0).all()
        self.left = np.where(active, self.left - 1, self.left)
        # Rewards of finished slots are poison: they must not be counted.
        return np.zeros((len(active), 2)), np.where(active, 1.0, np.nan), active & (self.left == 0)


class Still(nn.Module):
    """Always the zero action; remembers the returns-to-go it saw last."""

    def forward(self, states: Tensor, actions: Tensor, to_go: Tensor, timesteps: Tensor, mask: Tensor) -> Tensor:
        self.to_go = to_go
        return torch.zeros_like(actions)


def test_finished_episodes_are_masked() -> None:
    """Each episode counts its own steps and rewards until its end, and no longer."""
    model = Still().train()
    rollouts = evaluate(
        model,
        Countdown(5),
        seeds=range(5),
        target=10.0,
        context=3,
        state_mean=np.zeros(2, dtype=np.float32),
        state_std=np.ones(2, dtype=np.float32),
        action_dim=1,
    )
    assert rollouts.lengths.tolist() == [1, 2, 3, 4, 5]
    assert rollouts.returns.tolist() == [1.0, 2.0, 3.0, 4.0, 5.0]
    # The last call saw the longest episode's steps 3 to 5, each with the target less what was earned before it.
    np.testing.assert_allclose(model.to_go[0, :, 0] * RETURN_SCALE, [8.0, 7.0, 6.0], rtol=1e-5)
    assert model.training


def paper_like(task: Task, head: str, precision: torch.dtype = torch.float32) -> DecisionTransformer:
    """A small untrained network with fresh actions of moderate size."""
    config = StackConfig(blocks=3, width=32, heads=2, activation="gelu_new")
    model = DecisionTransformer(config, task.state_dim, task.action_dim, head=head, seed=1)
    return model.eval().to(precision)


@pytest.mark.parametrize("head", ["tied", "untied"])
@pytest.mark.parametrize(("seen", "later"), [(1, 0), (4, 0), (1, 3), (3, 2)])
def test_next_actions_are_the_last_of_the_whole_forward(head: str, seen: int, later: int) -> None:
    """Leaving out the last action token and most of the last block changes nothing, nor does what comes later."""
    model = paper_like(TASKS["hopper"], head, torch.float64)
    source = torch.Generator().manual_seed(0)
    inputs = [torch.randn(5, seen + later, width, generator=source).double() for width in (11, 3, 1)]
    timesteps = torch.arange(seen + later)[None] + 7
    with torch.inference_mode():
        mask = torch.ones(5, seen, dtype=torch.bool)
        whole = model(*(one[:, :seen] for one in inputs), timesteps[:, :seen], mask)[:, -1]
        last = next_actions(model.float(), *(one.float() for one in inputs), timesteps, torch.tensor([seen - 1]))
    assert last.dtype == torch.float32
    torch.testing.assert_close(last.double(), whole, rtol=1e-4, atol=1e-5)


class Damped:
    """Contracting linear dynamics, so that rounding does not grow; episode i ends after 5 i + 1 steps."""

    def __init__(self, task: Task, count: int) -> None:
        random = np.random.default_rng(5)
        self.push = random.normal(size=(task.action_dim, task.state_dim))
        self.first = random.normal(size=(count, task.state_dim))
        self.left = 5 * np.arange(count) + 1

    def reset(self, seeds: Sequence[int]) -> np.ndarray:
        self.states = self.first
        return self.states

    def step(self, actions: np.ndarray, active: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        assert active is not None
        moved = 0.8 * self.states + actions @ self.push
        self.states = np.where(active[:, None], moved, self.states)
        self.left = self.left - active
        return self.states, np.where(active, self.states.sum(axis=1), 0.0), active & (self.left <= 0)


def view_of(task: Task, context: int) -> View:
    random = np.random.default_rng(0)
    mean, std = random.normal(size=(2, task.state_dim)).astype(np.float32)
    return View(task.target, context, mean, np.abs(std) + 0.5, task.action_dim)


def plainly(model: nn.Module, view: View, count: int) -> Rollouts:
    """The plain loop on a CPU."""
    env = Damped(TASKS["hopper"], count)
    return evaluate(model, env, seeds=range(count), **vars(view), max_steps=25)


@pytest.mark.parametrize("context", [1, 4, 30])
@pytest.mark.parametrize("count", [1, 7, 33])
def test_lanes_roll_out_as_the_plain_loop(context: int, count: int) -> None:
    """One or two, filled and moving windows, narrowed as episodes end, cut at the limit: the plain loop to rounding."""
    task = TASKS["hopper"]
    model, view = paper_like(task, "untied"), view_of(TASKS["hopper"], context)
    plain = plainly(model, view, count)
    lanes = LaneRollouts(model, Damped(task, count), view, torch.device("cpu")).run(range(count), 25)
    assert plain.lengths.tolist() == lanes.lengths.tolist() == [min(5 * i + 1, 25) for i in range(count)]
    np.testing.assert_allclose(lanes.returns, plain.returns, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("context", [1, 4])
@pytest.mark.parametrize("count", [7, 33])
def test_the_mlp_rolls_out_in_lanes(context: int, count: int) -> None:
    """As in the plain loop, from one step of each window, and in float32 whatever is asked for."""
    task, view = TASKS["hopper"], view_of(TASKS["hopper"], context)
    model = BehaviourCloning(16, task.state_dim, task.action_dim, seed=1)
    seen: list[tuple[int, ...]] = []
    hook = model.register_forward_pre_hook(lambda _, inputs: seen.append(tuple(inputs[0].shape)))
    lanes = LaneRollouts(model, Damped(task, count), view, torch.device("cpu"), "bfloat16").run(range(count), 25)
    hook.remove()
    assert {shape[1:] for shape in seen} == {(1, task.state_dim)}
    plain = plainly(model, view, count)
    assert lanes.lengths.tolist() == plain.lengths.tolist()
    np.testing.assert_allclose(lanes.returns, plain.returns, rtol=1e-5, atol=1e-5)
    assert lanes.precision == "float32"
    assert model.training


def change(model: nn.Module, moved: bool) -> None:
    """Other weights, in their place or elsewhere."""
    with torch.no_grad():
        for parameter in model.parameters():
            if moved:
                parameter.data = parameter * 0.9
            else:
                parameter.mul_(0.9)


@pytest.mark.parametrize(("moved", "count"), [(False, 9), (True, 33)])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_kept_roll_outs_are_fresh_ones(precision: Precision, moved: bool, count: int) -> None:
    """Evaluated again with other weights and numbers of steps, what was kept from before changes no bit.

    The model's mode is left alone.
    """
    task, cpu = TASKS["hopper"], torch.device("cpu")
    model, view = paper_like(task, "untied").train(), view_of(TASKS["hopper"], 4)
    kept = LaneRollouts(model, Damped(task, count), view, cpu, precision)
    seen = []
    for steps in (25, 2, 40):
        kept.env = Damped(task, count)
        again = kept.run(range(count), steps)
        fresh = LaneRollouts(model, Damped(task, count), view, cpu, precision).run(range(count), steps)
        assert again.returns.tolist() == fresh.returns.tolist()
        assert again.lengths.tolist() == fresh.lengths.tolist()
        assert again.precision == precision
        assert model.training
        seen.append(again.returns[0])
        change(model, moved)
    assert len(set(seen)) == 3


def test_lanes_have_few_widths() -> None:
    """Halves of halves, however the episodes end: each costs a capture, once."""
    model, view = paper_like(TASKS["hopper"], "tied"), view_of(TASKS["hopper"], 2)
    rollouts = LaneRollouts(model, Damped(TASKS["hopper"], 41), view, torch.device("cpu"))
    for _ in range(2):
        rollouts.env = Damped(TASKS["hopper"], 41)
        rollouts.run(range(41))
        assert {width for _, width in rollouts._lanes} == {21, 20, 10, 5, 2, 1}


@pytest.mark.parametrize(("count", "widths"), [(1, [1]), (20, [20]), (31, [31]), (32, [16, 16]), (100, [50, 50])])
def test_few_episodes_share_one_lane(count: int, widths: list[int]) -> None:
    """One forward a step for up to 31 episodes, two for more; nothing else decides."""
    model, view = paper_like(TASKS["hopper"], "tied"), view_of(TASKS["hopper"], 2)
    rollouts = LaneRollouts(model, Damped(TASKS["hopper"], count), view, torch.device("cpu"))
    rollouts.run(range(count), 1)
    assert [lane.width for lane in rollouts._lanes.values()][: len(widths)] == widths
    assert {group for group, _ in rollouts._lanes} == set(range(len(widths)))


@gpu
def test_the_mlp_rolls_out_in_graphs() -> None:
    """On a GPU `evaluate` gives what the plain loop on a CPU gives, and what is kept has its graph."""
    task, view = TASKS["hopper"], view_of(TASKS["hopper"], 4)
    model = BehaviourCloning(16, task.state_dim, task.action_dim, seed=1)
    plain = plainly(model, view, 7)
    env = Damped(task, 7)
    found = evaluate(model.cuda(), env, seeds=range(7), **vars(view), device="cuda", max_steps=25)
    np.testing.assert_allclose(found.returns, plain.returns, rtol=1e-4, atol=1e-4)
    kept = LaneRollouts(model, Damped(task, 7), view, torch.device("cuda"))
    assert kept.run(range(7), 25).returns.tolist() == found.returns.tolist()
    assert any(lane.graph is not None for lane in kept._lanes.values())


@gpu
@pytest.mark.parametrize("context", [1, 4, 20])
@pytest.mark.parametrize("count", [1, 7, 40])
def test_kept_graphs_follow_the_weights(context: int, count: int) -> None:
    """Replayed with other weights, in their place or elsewhere, graphs roll out as the plain loop on a CPU does.

    bfloat16 does to its own precision.
    """
    task, device = TASKS["hopper"], torch.device("cuda")
    model, view = paper_like(task, "untied").cuda(), view_of(TASKS["hopper"], context)
    kept = {p: LaneRollouts(model, Damped(task, count), view, device, p) for p in ("float32", "bfloat16")}
    for moved in (False, False, True, False):
        plain = plainly(copy.deepcopy(model).cpu(), view, count)
        size = np.abs(plain.returns).max()
        for precision, rollouts in kept.items():
            rollouts.env = Damped(task, count)
            found = rollouts.run(range(count), 25)
            assert found.lengths.tolist() == plain.lengths.tolist()
            close = 1e-3 if precision == "float32" else 1e-2
            np.testing.assert_allclose(found.returns, plain.returns, rtol=0, atol=close * size)
            assert any(lane.graph is not None for lane in rollouts._lanes.values()) or count == 1
        change(model, moved)


def test_lanes_count_finished_episodes_once() -> None:
    """Lanes mask and drop finished episodes as the plain loop does, poison rewards included."""
    model = DecisionTransformer(StackConfig(blocks=1, width=8, heads=1, activation="relu"), 2, 1, head="untied").eval()
    view = View(10.0, 3, np.zeros(2, dtype=np.float32), np.ones(2, dtype=np.float32), 1)
    rollouts = LaneRollouts(model, Countdown(5), view, torch.device("cpu")).run(range(5))
    assert rollouts.lengths.tolist() == [1, 2, 3, 4, 5]
    assert rollouts.returns.tolist() == [1.0, 2.0, 3.0, 4.0, 5.0]


def test_physics_threads_are_those_that_the_run_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    """One on a CPU; on a GPU its share of the cores, at most 8; all of them if it is alone."""
    monkeypatch.setattr("os.cpu_count", lambda: 6)
    assert [physics_threads("cpu", cores) for cores in (None, 1, 32)] == [1, 1, 1]
    assert [physics_threads("cuda", cores) for cores in (None, 1, 3, 32)] == [6, 1, 3, 8]


def test_reduced_precision_is_refused_where_it_is_not_offered() -> None:
    """bfloat16 is for the captured GPU path only; the model's mode is left alone."""
    with pytest.raises(UsageError, match="reduced precision need a GPU"):
        evaluate(
            Still(),
            Countdown(1),
            seeds=[0],
            target=1.0,
            context=1,
            state_mean=np.zeros(2, dtype=np.float32),
            state_std=np.ones(2, dtype=np.float32),
            action_dim=1,
            precision="bfloat16",
        )
