"""Speed of roll-outs: lock step beside the reference's way, gymnasium and one forward per episode and step.

On a GPU: the paper's size, 12 blocks of width 768, K=20, 100 episodes of 1000 steps; and the small one's, sixteen runs
of 12 blocks of width 128 together, 20 episodes of 1000 steps each.
"""

import gymnasium
import numpy as np
import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture

from dtclaims.lab.data.physics import BatchedEnv
from dtclaims.lab.design.scales import SCALES
from dtclaims.lab.design.tasks import RETURN_SCALE, get_task
from dtclaims.lab.models import DecisionTransformer, StackConfig
from dtclaims.lab.train.choices import path_of
from dtclaims.lab.train.evaluate import ROLLOUTS, physics_workers
from dtclaims.lab.train.lanes import LaneRollouts
from dtclaims.lab.train.networks import Networks
from dtclaims.lab.train.rollouts import View
from dtclaims.lab.train.stacked import rounded_parameters

TASK = get_task("halfcheetah")
"""Its episodes never terminate."""
CONTEXT = 20
STEPS = 40
MEAN, STD = np.zeros(TASK.state_dim, dtype=np.float32), np.ones(TASK.state_dim, dtype=np.float32)


def network(width: int, heads: int, device: str) -> DecisionTransformer:
    config = StackConfig(blocks=12, width=width, heads=heads, activation="gelu_new")
    return DecisionTransformer(config, TASK.state_dim, TASK.action_dim, head="untied").to(device).eval()


def ours(
    model: DecisionTransformer, episodes: int, steps: int, device: str, precision: str, context: int = CONTEXT
) -> np.ndarray:
    env = BatchedEnv(TASK, episodes, physics_workers(device, episodes))
    view = View(TASK.target, context, MEAN, STD, TASK.action_dim)
    asked = model if device == "cpu" else together([model], precision)
    made = ROLLOUTS[path_of(device)](asked, env, [view], torch.device(device), precision)
    (rollouts,) = made.run([range(episodes)], steps)
    env.close()
    return rollouts.returns


def side_by_side(
    models: list[DecisionTransformer], episodes: int, context: int, device: str, precision: str
) -> tuple[LaneRollouts, BatchedEnv]:
    """Roll-outs of several runs, so many episodes each, all in lock step."""
    slots = len(models) * episodes
    env = BatchedEnv(TASK, slots, physics_workers(device, slots))
    views = [View(TASK.target, context, MEAN, STD, TASK.action_dim) for _ in models]
    return ROLLOUTS["stacked"](together(models, precision), env, views, torch.device(device), precision), env


def together(models: list[DecisionTransformer], precision: str, compiling: bool = False) -> Networks:
    """Models of one shape side by side."""
    rounded = rounded_parameters(models[0]) if precision == "bfloat16" else ()
    named = [dict(one.named_parameters()) for one in models]
    leaves = {name: torch.stack([own[name].detach() for own in named]) for name in named[0]}
    kinds = {name: torch.bfloat16 if name in rounded else torch.float32 for name in leaves}
    return Networks(models[0], {name: leaf.to(kinds[name]) for name, leaf in leaves.items()}, compiling)


@torch.no_grad()
def reference_way(model: DecisionTransformer, episodes: int, steps: int, context: int = CONTEXT) -> np.ndarray:
    """One episode after the other; every step a forward of one padded window (protocol §5)."""
    env = gymnasium.make(TASK.gym_id)
    mean, std = torch.from_numpy(MEAN), torch.from_numpy(STD)
    returns = []
    for seed in range(episodes):
        state, _ = env.reset(seed=seed)
        states = torch.from_numpy(state).reshape(1, -1).float()
        actions = torch.zeros(0, TASK.action_dim)
        target = torch.tensor([[TASK.target / RETURN_SCALE]])
        timesteps = torch.zeros(1, 1, dtype=torch.long)
        earned = 0.0
        for step in range(steps):
            actions = torch.cat([actions, torch.zeros(1, TASK.action_dim)])
            real = min(context, step + 1)

            def padded(values: torch.Tensor, real: int = real) -> torch.Tensor:
                values = values[-real:]
                empty = torch.zeros(context - real, values.shape[1], dtype=values.dtype)
                return torch.cat([empty, values])[None]

            action = model(
                padded((states - mean) / std),
                padded(actions),
                padded(target),
                padded(timesteps.T)[..., 0],
                torch.cat([torch.zeros(context - real), torch.ones(real)])[None].bool(),
            )[0, -1]
            actions[-1] = action
            state, reward, done, _, _ = env.step(action.numpy())
            states = torch.cat([states, torch.from_numpy(state).reshape(1, -1).float()])
            target = torch.cat([target, target[-1:] - reward / RETURN_SCALE])
            timesteps = torch.cat([timesteps, torch.tensor([[step + 1]])], dim=1)
            earned += float(reward)
            if done:
                break
        returns.append(earned)
    env.close()
    return np.array(returns)


@pytest.mark.parametrize("way", ["lock step", "reference"])
@pytest.mark.parametrize("context", [1, CONTEXT])
def test_mini_on_cpu(benchmark: BenchmarkFixture, context: int, way: str) -> None:
    """12 blocks of width 32 on the CPU, as many episodes as an evaluation of the mini scale has."""
    episodes = SCALES["mini"].budget.evaluation_episodes
    benchmark.group = f"roll-out mini, K={context}, {episodes} episodes x {STEPS} steps, CPU"
    model = network(32, 2, "cpu")
    if way == "reference":
        returns = benchmark.pedantic(reference_way, args=(model, episodes, STEPS, context), rounds=2)
    else:
        arguments = (model, episodes, STEPS, "cpu", "float32", context)
        returns = benchmark.pedantic(ours, args=arguments, rounds=5, warmup_rounds=1)
    assert np.isfinite(returns).all()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_paper_size_on_gpu(benchmark: BenchmarkFixture, precision: str) -> None:
    """100 episodes of 1000 steps; the goal is 5 seconds, which takes bfloat16."""
    benchmark.group = "roll-out paper size, 100 episodes x 1000 steps, GPU"
    model = network(768, 12, "cuda")
    # Libraries and kernels load on first use.
    ours(model, 100, 60, "cuda", precision)
    returns = benchmark.pedantic(ours, args=(model, 100, 1000, "cuda", precision), rounds=2)
    assert np.isfinite(returns).all()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("way", ["16 runs x 20 episodes together", "reference, one episode of 100 steps"])
@pytest.mark.parametrize("context", [1, CONTEXT])
def test_small_size_on_gpu(benchmark: BenchmarkFixture, context: int, way: str) -> None:
    """1000 steps of each; the goal is 6 seconds for all on 16 cores. The reference's way takes 3200 times its row."""
    benchmark.group = f"roll-out small, K={context}, GPU"
    if way.startswith("reference"):
        returns = benchmark.pedantic(reference_way, args=(network(128, 4, "cpu"), 1, 100, context), rounds=2)
        assert np.isfinite(returns).all()
        return
    made, env = side_by_side([network(128, 4, "cuda") for _ in range(16)], 20, context, "cuda", "bfloat16")
    seeds = [range(20)] * 16
    # As between evaluations of a session: kernels are loaded and the step is captured.
    made.run(seeds, 60)
    rollouts = benchmark.pedantic(made.run, args=(seeds, 1000), rounds=2)
    env.close()
    assert all(np.isfinite(one.returns).all() for one in rollouts)
