"""Roll-outs: the reference's, step by step, and the masks of finished episodes."""

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from dtclaims.errors import UsageError
from dtclaims.lab.design.tasks import RETURN_SCALE, TASKS, Task
from dtclaims.lab.models import BehaviourCloning, DecisionTransformer, Policy, StackConfig
from dtclaims.lab.train.alone_stack import StackAlone
from dtclaims.lab.train.evaluate import physics_workers
from dtclaims.lab.train.forward import StackForward
from dtclaims.lab.train.lanes import LaneRollouts
from dtclaims.lab.train.networks import Networks
from dtclaims.lab.train.plain_lanes import PlainRollouts
from dtclaims.lab.train.rollouts import Environment, Precision, Rollouts, View
from dtclaims.lab.train.stacked import rounded_parameters
from dtclaims.lab.train.stacked_lanes import StackedRollouts
from dtclaims.places import fixture_dir
from dtclaims.tests.support.golden import load
from dtclaims.tests.support.gpu import gpu
from dtclaims.tests.support.rolling import roll_out_plainly

CPU = torch.device("cpu")
PATHS = ("plain", "stacked")
"""Of the live episodes and the steps so far; of a lane and windows that keep their shapes, here without graphs."""


def side_by_side(models: Sequence[Policy], precision: Precision = "float32") -> Networks:
    """Networks that follow the models: in float32 they are their parameters."""
    rounded = rounded_parameters(models[0]) if precision == "bfloat16" else ()
    named = [dict(model.named_parameters()) for model in models]
    if len(models) == 1:
        leaves = {name: one.detach()[None] for name, one in named[0].items()}
    else:
        leaves = {name: torch.stack([own[name].detach() for own in named]) for name in named[0]}
    return Networks(models[0], {name: one.bfloat16() if name in rounded else one for name, one in leaves.items()})


def rolling(
    path: str,
    model: Policy,
    env: Environment,
    view: View,
    device: torch.device = CPU,
    precision: Precision = "float32",
) -> LaneRollouts:
    """Roll-outs of one model by a path."""
    if path == "plain":
        return PlainRollouts(model, env, [view], device, precision)
    return StackedRollouts(side_by_side([model], precision), env, [view], device, precision)


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


class Recorded(PlainRollouts):
    """Keeps what the network is asked for actions."""

    def _alone(self) -> "Recorded":
        self.fed: list[tuple[Tensor, ...]] = []
        self.honest = super()._alone()
        return self

    def actions(self, *inputs: Tensor) -> Tensor:
        self.fed.append(tuple(value.clone() for value in inputs))
        return self.honest.actions(*inputs)


@pytest.mark.parametrize("case", ["K5/limit", "K5/terminal", "K1/limit", "K1/terminal"])
def test_golden_rollouts(case: str) -> None:
    """What the model is fed, what it does and what it earns agree with the reference, step by step.

    Our context is not padded on the left; the reference's padding must be all zeros and masked.
    """
    with np.load(fixture_dir() / "golden" / "eval.npz") as file:
        values = dict(file)
    _, model, _ = load("forward_dt")
    context = int(case[1])
    view = View(3600.0, context, values["state_mean"], values["state_std"], 3)
    recorder = Recorded(model, Linear(values, case), [view], CPU)
    (rollouts,) = recorder.run([[0]], 30)
    (stacked,) = rolling("stacked", model, Linear(values, case), view).run([[0]], 30)
    for found in (rollouts, stacked):
        assert found.lengths[0] == values[f"{case}/length"]
        np.testing.assert_allclose(found.returns[0], values[f"{case}/return"], rtol=1e-5)
    assert len(recorder.fed) == values[f"{case}/length"]
    for step, fed in enumerate(recorder.fed):
        seen = min(step + 1, context)
        for name, value in zip(("states", "actions", "returns_to_go", "timesteps"), fed, strict=True):
            expected = values[f"{case}/fed/{name}"][step]
            np.testing.assert_allclose(
                value[0].numpy(), expected[context - seen :], atol=1e-4, err_msg=f"{name}, step {step}"
            )
            assert not expected[: context - seen].any()
        mask = values[f"{case}/fed/mask"][step]
        assert mask[context - seen :].all()
        assert not mask[: context - seen].any()


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


class Still(PlainRollouts):
    """Always the zero action; remembers the returns-to-go seen last, and how many episodes asked each time."""

    def _alone(self) -> "Still":
        self.asked: list[int] = []
        return self

    def actions(self, states: Tensor, actions: Tensor, to_go: Tensor, timesteps: Tensor) -> Tensor:
        self.to_go = to_go.clone()
        self.asked.append(len(states))
        return torch.zeros_like(actions[:, 0])


def of_countdown() -> View:
    return View(10.0, 3, np.zeros(2, dtype=np.float32), np.ones(2, dtype=np.float32), 1)


def test_finished_episodes_are_masked() -> None:
    """Each episode counts its own steps and rewards until its end, and no longer; only live ones are asked for."""
    model = paper_like(TASKS["hopper"], "tied").train()
    still = Still(model, Countdown(5), [of_countdown()], CPU)
    (rollouts,) = still.run([range(5)])
    assert rollouts.lengths.tolist() == [1, 2, 3, 4, 5]
    assert rollouts.returns.tolist() == [1.0, 2.0, 3.0, 4.0, 5.0]
    assert still.asked == [5, 4, 3, 2, 1]
    # The last call saw the longest episode's steps 3 to 5, each with the target less what was earned before it.
    np.testing.assert_allclose(still.to_go[0, :, 0] * RETURN_SCALE, [8.0, 7.0, 6.0], rtol=1e-5)
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
        networks, step = side_by_side([model.float()]), torch.tensor([seen - 1])
        given = [one.float() for one in inputs]
        stacked = StackForward().actions(networks, *(one[None] for one in given), timesteps, step, half=False)
        alone = StackAlone(model).actions(*(one[:, :seen] for one in given), timesteps[:, :seen])
    for found in (stacked[0], alone):
        assert found.dtype == torch.float32
        torch.testing.assert_close(found.double(), whole, rtol=1e-4, atol=1e-5)


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


def plainly(model: Policy, view: View, count: int) -> Rollouts:
    """By the whole forward, on a CPU."""
    return roll_out_plainly(model.eval(), Damped(TASKS["hopper"], count), view, range(count), 25)


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("context", [1, 4, 30])
@pytest.mark.parametrize("count", [1, 7, 33])
def test_lanes_roll_out_as_the_whole_forward(context: int, count: int, path: str) -> None:
    """Filled and moving windows, narrowed as episodes end or not, cut at the limit: the same to rounding."""
    task = TASKS["hopper"]
    model, view = paper_like(task, "untied"), view_of(TASKS["hopper"], context)
    plain = plainly(model, view, count)
    (lanes,) = rolling(path, model, Damped(task, count), view).run([range(count)], 25)
    assert plain.lengths.tolist() == lanes.lengths.tolist() == [min(5 * i + 1, 25) for i in range(count)]
    np.testing.assert_allclose(lanes.returns, plain.returns, rtol=1e-4, atol=1e-4)


class Apart:
    """The environments of several runs as one, the first episode of each, then the second of each, and so on."""

    def __init__(self, envs: Sequence[Damped]) -> None:
        self.envs = envs

    def reset(self, seeds: Sequence[int]) -> np.ndarray:
        return self._woven([env.reset(seeds[i :: len(self.envs)]) for i, env in enumerate(self.envs)])

    def step(self, actions: np.ndarray, active: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        assert active is not None
        runs = len(self.envs)
        found = [env.step(actions[i::runs], active[i::runs]) for i, env in enumerate(self.envs)]
        states, rewards, ended = (self._woven(parts) for parts in zip(*found, strict=True))
        return states, rewards, ended

    @staticmethod
    def _woven(parts: Sequence[np.ndarray]) -> np.ndarray:
        return np.stack(parts, axis=1).reshape(-1, *parts[0].shape[1:])


@pytest.mark.parametrize("context", [1, 4])
@pytest.mark.parametrize("left_out", [None, 1])
def test_several_runs_roll_out_as_each_alone(context: int, left_out: int | None) -> None:
    """Networks, statistics and targets of their own in one forward; one that is left out takes no step."""
    task, count = TASKS["hopper"], 6
    models = [paper_like(task, "untied") for _ in range(3)]
    for factor, model in enumerate(models):
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.mul_(1 + 0.2 * factor)
    views = [replace(view_of(task, context), target=1000.0 * (run + 1)) for run in range(3)]
    env = Apart([Damped(task, count) for _ in models])
    rollouts = StackedRollouts(side_by_side(models), env, views, CPU)
    seeds = [[] if run == left_out else range(count) for run in range(3)]
    for run, found in enumerate(rollouts.run(seeds, 25)):
        alone = plainly(models[run], views[run], count)
        if run == left_out:
            assert not found.lengths.any()
            continue
        assert found.lengths.tolist() == alone.lengths.tolist()
        np.testing.assert_allclose(found.returns, alone.returns, rtol=1e-4, atol=1e-4)


def test_a_run_whose_actions_are_not_finite_stops_alone() -> None:
    """Its episodes end, and it is said; the others earn what they earn alone."""
    task, count, view = TASKS["hopper"], 4, view_of(TASKS["hopper"], 2)
    sound, broken = paper_like(task, "untied"), paper_like(task, "untied")
    with torch.no_grad():
        next(broken.parameters()).fill_(torch.nan)
    env = Apart([Damped(task, count) for _ in range(2)])
    lost, kept = StackedRollouts(side_by_side([broken, sound]), env, [view, view], CPU).run([range(count)] * 2, 25)
    assert (lost.sound, kept.sound) == (False, True)
    assert not lost.lengths.any()
    np.testing.assert_allclose(kept.returns, plainly(sound, view, count).returns, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("context", [1, 4])
@pytest.mark.parametrize("count", [7, 33])
def test_the_mlp_rolls_out_in_lanes(context: int, count: int) -> None:
    """As by its whole forward, and in float32 whatever is asked for."""
    task, view = TASKS["hopper"], view_of(TASKS["hopper"], context)
    model = BehaviourCloning(16, task.state_dim, task.action_dim, seed=1)
    rollouts = rolling("stacked", model, Damped(task, count), view, CPU, "bfloat16")
    (lanes,) = rollouts.run([range(count)], 25)
    assert lanes.precision == "float32"
    assert model.training
    plain = plainly(model, view, count)
    assert lanes.lengths.tolist() == plain.lengths.tolist()
    np.testing.assert_allclose(lanes.returns, plain.returns, rtol=1e-5, atol=1e-5)


def change(model: nn.Module) -> None:
    """Other weights, in their place."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(0.9)


@pytest.mark.parametrize("count", [9, 33])
@pytest.mark.parametrize("path", PATHS)
def test_kept_roll_outs_are_fresh_ones(path: str, count: int) -> None:
    """Evaluated again with other weights and numbers of steps, what was kept from before changes no bit.

    The model's mode is left alone.
    """
    task = TASKS["hopper"]
    model, view = paper_like(task, "untied").train(), view_of(TASKS["hopper"], 4)
    kept = rolling(path, model, Damped(task, count), view)
    seen = []
    for steps in (25, 2, 40):
        kept.env = Damped(task, count)
        (again,) = kept.run([range(count)], steps)
        (fresh,) = rolling(path, model, Damped(task, count), view).run([range(count)], steps)
        assert again.returns.tolist() == fresh.returns.tolist()
        assert again.lengths.tolist() == fresh.lengths.tolist()
        assert model.training
        seen.append(again.returns[0])
        change(model)
    assert len(set(seen)) == 3


@gpu
def test_the_mlp_rolls_out_in_graphs() -> None:
    """On a GPU it earns what its whole forward on a CPU earns, again and again, and its graph is kept."""
    task, view = TASKS["hopper"], view_of(TASKS["hopper"], 4)
    model = BehaviourCloning(16, task.state_dim, task.action_dim, seed=1)
    plain = plainly(model, view, 7)
    kept = rolling("stacked", model.cuda(), Damped(task, 7), view, torch.device("cuda"))
    (found,) = kept.run([range(7)], 25)
    np.testing.assert_allclose(found.returns, plain.returns, rtol=1e-4, atol=1e-4)
    kept.env = Damped(task, 7)
    assert kept.run([range(7)], 25)[0].returns.tolist() == found.returns.tolist()
    assert any(lane.graph is not None for lane in kept._lanes.values())


@gpu
@pytest.mark.parametrize("context", [1, 4, 20])
@pytest.mark.parametrize(("count", "compiling"), [(1, False), (7, False), (40, False), (7, True)])
def test_kept_graphs_follow_the_weights(context: int, count: int, compiling: bool) -> None:
    """Replayed with other weights, graphs roll out as the whole forward on a CPU does, compiled or not.

    bfloat16 does to its own precision.
    """
    task, device = TASKS["hopper"], torch.device("cuda")
    model, view = paper_like(task, "untied").cuda(), view_of(TASKS["hopper"], context)
    for precision, close in (("float32", 1e-3), ("bfloat16", 1e-2)):
        networks = side_by_side([model], precision)
        networks.compiling = compiling
        rollouts = StackedRollouts(networks, Damped(task, count), [view], device, precision)
        for _ in range(3):
            plain = plainly(copy.deepcopy(model).cpu(), view, count)
            rollouts.env = Damped(task, count)
            (found,) = rollouts.run([range(count)], 25)
            assert found.lengths.tolist() == plain.lengths.tolist()
            size = np.abs(plain.returns).max()
            np.testing.assert_allclose(found.returns, plain.returns, rtol=0, atol=close * size)
            assert any(lane.graph is not None for lane in rollouts._lanes.values()) or count == 1
            change(model)
            for name, leaf in networks.leaves.items():
                leaf.copy_(dict(model.named_parameters())[name].detach()[None])


@pytest.mark.parametrize("path", PATHS)
def test_lanes_count_finished_episodes_once(path: str) -> None:
    """Finished episodes are masked and dropped, poison rewards included."""
    model = DecisionTransformer(StackConfig(blocks=1, width=8, heads=1, activation="relu"), 2, 1, head="untied").eval()
    (rollouts,) = rolling(path, model, Countdown(5), of_countdown()).run([range(5)])
    assert rollouts.lengths.tolist() == [1, 2, 3, 4, 5]
    assert rollouts.returns.tolist() == [1.0, 2.0, 3.0, 4.0, 5.0]


def test_physics_workers_are_those_that_the_run_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    """One on a CPU; beside a GPU as many as it has cores, all of them if nobody says, and as its slots keep busy."""
    monkeypatch.setattr("dtclaims.lab.train.evaluate.cpu_count", lambda: 12)
    assert [physics_workers("cpu", 1000, cores) for cores in (None, 1, 32)] == [1, 1, 1]
    assert [physics_workers("cuda", 1000, cores) for cores in (None, 1, 3, 32)] == [12, 1, 3, 32]
    assert [physics_workers("cuda", slots, 32) for slots in (1, 25, 26, 100, 400)] == [1, 1, 2, 4, 16]


def test_reduced_precision_is_refused_where_it_is_not_offered() -> None:
    """bfloat16 is for GPUs only, and a CPU's roll-outs say so before they begin."""
    with pytest.raises(UsageError, match="reduced precision need a GPU"):
        rolling("plain", paper_like(TASKS["hopper"], "tied"), Countdown(1), of_countdown(), CPU, "bfloat16")
