"""Roll-outs conditioned on a return target, all episodes in lock step (protocol §5)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from dtclaims.data.tasks import MAX_EPISODE_STEPS, RETURN_SCALE


class Environment(Protocol):
    """What a roll-out needs of a batch of environments; `dtclaims.data.physics.BatchedEnv` has it."""

    def reset(self, seeds: Sequence[int]) -> npt.NDArray[np.float64]:
        """Start one episode per seed; states (E, S)."""

    def step(
        self, actions: npt.NDArray[np.float32], active: npt.NDArray[np.bool_] | None = None
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
        """Advance the active episodes; states (E, S), rewards (E,), terminated (E,)."""


@dataclass(frozen=True)
class Rollouts:
    """Undiscounted returns (E,) float64 and lengths (E,) int64 of E episodes."""

    returns: npt.NDArray[np.float64]
    lengths: npt.NDArray[np.int64]


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
) -> Rollouts:
    """Roll `model` out once per seed and return what it earned.

    The model is asked for an action with the current action slot at zero, the last `context` steps in
    view and the target less the rewards so far, in float32. Padding is left out rather than masked:
    masked keys have weight exactly zero, so the actions are the same. The model is put in eval mode
    and back.

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
    """
    was_training = model.training
    model.eval()
    count = len(seeds)
    mean = torch.from_numpy(state_mean).to(device)
    std = torch.from_numpy(state_std).to(device)

    def normalise(states: npt.NDArray[np.float64]) -> Tensor:
        return (torch.from_numpy(states).to(device=device, dtype=torch.float32) - mean) / std

    current = normalise(env.reset(seeds))
    states = torch.zeros(count, max_steps, current.shape[1], device=device)
    actions = torch.zeros(count, max_steps, action_dim, device=device)
    to_go = torch.zeros(count, max_steps, 1, device=device)
    remaining = np.full(count, target / RETURN_SCALE, dtype=np.float32)
    returns = np.zeros(count)
    lengths = np.zeros(count, dtype=np.int64)
    active = np.ones(count, dtype=bool)
    for step in range(max_steps):
        live = torch.from_numpy(np.flatnonzero(active)).to(device)
        states[:, step] = current
        to_go[:, step, 0] = torch.from_numpy(remaining).to(device)
        first = max(0, step - context + 1)
        view = slice(first, step + 1)
        timesteps = torch.arange(first, step + 1, device=device).expand(len(live), -1)
        predicted = model(
            states[live, view],
            actions[live, view],
            to_go[live, view],
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
    model.train(was_training)
    return Rollouts(returns, lengths)
