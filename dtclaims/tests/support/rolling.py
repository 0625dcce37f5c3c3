"""Roll-outs by the model's whole forward: what faster ones are compared with."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from dtclaims.lab.design.tasks import RETURN_SCALE
from dtclaims.lab.train.rollouts import Environment, Rollouts, View


@torch.inference_mode()
def roll_out_plainly(model: nn.Module, env: Environment, view: View, seeds: Sequence[int], max_steps: int) -> Rollouts:
    """Every step, the last K steps of the live episodes go through all of the model (in eval mode, on the CPU)."""
    count = len(seeds)
    mean, std = torch.from_numpy(view.state_mean), torch.from_numpy(view.state_std)
    current = (torch.from_numpy(env.reset(seeds)).float() - mean) / std
    states = torch.zeros(count, max_steps, current.shape[1])
    actions = torch.zeros(count, max_steps, view.action_dim)
    to_go = torch.zeros(count, max_steps, 1)
    remaining = np.full(count, view.target / RETURN_SCALE, dtype=np.float32)
    returns, lengths, active = np.zeros(count), np.zeros(count, dtype=np.int64), np.ones(count, dtype=bool)
    for step in range(max_steps):
        live = torch.from_numpy(np.flatnonzero(active))
        states[:, step] = current
        to_go[:, step, 0] = torch.from_numpy(remaining)
        seen = slice(max(0, step - view.context + 1), step + 1)
        timesteps = torch.arange(seen.start, seen.stop).expand(len(live), -1)
        real = torch.ones_like(timesteps, dtype=torch.bool)
        actions[live, step] = model(states[live, seen], actions[live, seen], to_go[live, seen], timesteps, real)[:, -1]
        next_states, rewards, terminated = env.step(actions[:, step].numpy(), active)
        current = (torch.from_numpy(next_states).float() - mean) / std
        returns[active] += rewards[active]
        lengths[active] += 1
        remaining = (remaining - rewards / RETURN_SCALE).astype(np.float32)
        active &= ~terminated
        if not active.any():
            break
    return Rollouts(returns, lengths)
