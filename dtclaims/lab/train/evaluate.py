"""Roll-outs conditioned on a return target, all episodes in lock step (protocol §5)."""

import os
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from dtclaims.errors import UsageError
from dtclaims.lab.design.tasks import MAX_EPISODE_STEPS, RETURN_SCALE
from dtclaims.lab.models.arms import Policy
from dtclaims.lab.models.decision_transformer import DecisionTransformer
from dtclaims.lab.train.lanes import LaneRollouts
from dtclaims.lab.train.rollouts import Environment, Precision, Rollouts, View


def physics_threads(device: torch.device | str, cores: int | None = None) -> int:
    """Threads that step the physics of a roll-out: one beside other CPU workers, up to 8 where a GPU waits for it.

    Args:
        device: of the network.
        cores: that the run may use; None for all there are.
    """
    return max(1, min(8, cores or os.cpu_count() or 1)) if torch.device(device).type == "cuda" else 1


@torch.inference_mode()
def evaluate(
    model: nn.Module,
    env: Environment,
    *,
    seeds: Sequence[int],
    target: float,
    context: int,
    state_mean: npt.NDArray[np.float32],
    state_std: npt.NDArray[np.float32],
    action_dim: int,
    device: torch.device | str = "cpu",
    max_steps: int = MAX_EPISODE_STEPS,
    precision: Precision = "float32",
) -> Rollouts:
    """Roll `model` out once per seed and return what it earned.

    The model is asked for an action with the current action slot at zero, the last `context` steps in
    view and the target less the rewards so far. Padding is left out rather than masked: masked keys have
    weight exactly zero, so the actions are the same. The model is put in eval mode and back.

    A model of an arm on a GPU runs as captured graphs beside the physics (`LaneRollouts`; keep one to evaluate a
    model again and again); everything else is the plain loop below, in float32. The two agree to rounding.

    Args:
        model: maps (states, actions, returns-to-go, timesteps, mask) to actions (B, K, A).
        env: one slot per seed.
        seeds: one per episode.
        target: initial return-to-go in environment return.
        context: K.
        state_mean: (S,) of the training data.
        state_std: (S,), 1e-6 included.
        action_dim: A.
        device: where the model lives.
        max_steps: time limit.
        precision: `bfloat16` computes the blocks' matrix products in it (GPU only); residual stream, norms,
            embeddings and action head stay float32.

    Raises:
        UsageError: `bfloat16` where it is not offered.
    """
    device = torch.device(device)
    view = View(target, context, state_mean, state_std, action_dim)
    fast = device.type == "cuda" and isinstance(model, Policy)
    if precision != "float32" and not (fast and isinstance(model, DecisionTransformer)):
        raise UsageError(
            "roll-outs in reduced precision need a GPU and a DecisionTransformer",
            given=f"{precision} on {device.type}",
            expected="float32",
        )
    if fast:
        assert isinstance(model, Policy)
        return LaneRollouts(model, env, view, device, precision).run(seeds, max_steps)
    was_training = model.training
    model.eval()
    try:
        return _evaluate_plainly(model, env, seeds, view, device, max_steps)
    finally:
        model.train(was_training)


def _evaluate_plainly(
    model: nn.Module, env: Environment, seeds: Sequence[int], view: View, device: torch.device, max_steps: int
) -> Rollouts:
    count = len(seeds)
    mean = torch.from_numpy(view.state_mean).to(device)
    std = torch.from_numpy(view.state_std).to(device)

    def normalise(states: npt.NDArray[np.float64]) -> Tensor:
        return (torch.from_numpy(states).to(device=device, dtype=torch.float32) - mean) / std

    current = normalise(env.reset(seeds))
    states = torch.zeros(count, max_steps, current.shape[1], device=device)
    actions = torch.zeros(count, max_steps, view.action_dim, device=device)
    to_go = torch.zeros(count, max_steps, 1, device=device)
    remaining = np.full(count, view.target / RETURN_SCALE, dtype=np.float32)
    returns = np.zeros(count)
    lengths = np.zeros(count, dtype=np.int64)
    active = np.ones(count, dtype=bool)
    for step in range(max_steps):
        live = torch.from_numpy(np.flatnonzero(active)).to(device)
        states[:, step] = current
        to_go[:, step, 0] = torch.from_numpy(remaining).to(device)
        first = max(0, step - view.context + 1)
        seen = slice(first, step + 1)
        timesteps = torch.arange(first, step + 1, device=device).expand(len(live), -1)
        predicted = model(
            states[live, seen],
            actions[live, seen],
            to_go[live, seen],
            timesteps,
            torch.ones_like(timesteps, dtype=torch.bool),
        )[:, -1]
        actions[live, step] = predicted
        next_states, rewards, terminated = env.step(actions[:, step].cpu().numpy(), active)
        current = normalise(next_states)
        returns[active] += rewards[active]
        lengths[active] += 1
        remaining = (remaining - rewards / RETURN_SCALE).astype(np.float32)
        active &= ~terminated
        if not active.any():
            break
    return Rollouts(returns, lengths)
