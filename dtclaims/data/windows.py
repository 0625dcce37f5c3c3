"""Training windows of K steps (protocol §2): one uniform draw per window, gathered on the device."""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from dtclaims.data.tasks import MAX_EPISODE_STEPS
from dtclaims.data.trajectories import Integers, Trajectories
from dtclaims.errors import DataError

ACTION_PADDING = -10.0


@dataclass(frozen=True)
class Batch:
    """B windows of K steps, left-padded: what the model sees and is asked to predict."""

    states: Tensor
    """(B, K, S) float32, normalised after padding, so that padding is -mean/std."""
    actions: Tensor
    """(B, K, A) float32, -10 where padded."""
    returns_to_go: Tensor
    """(B, K, 1) float32, divided by 1000, 0 where padded."""
    timesteps: Tensor
    """(B, K) int64 index in the episode, capped at 999, 0 where padded."""
    mask: Tensor
    """(B, K) bool, True on real steps."""


class WindowSampler:
    """Draws windows as the reference does, without its loop over samples.

    The reference draws a trajectory with probability proportional to its length and then a start
    uniformly inside it; that is one uniform draw over the steps of the trajectories it keeps. It
    leaves out exactly one, the one with the lowest return (DEV-32).
    """

    def __init__(self, data: Trajectories, context: int, device: torch.device | str = "cpu") -> None:
        if context < 1:
            raise DataError("a window needs at least one step", given=context)
        if len(data.lengths) < 2:
            raise DataError(
                "one trajectory is left out (DEV-32), so one is too few",
                given=len(data.lengths),
                expected="two or more",
            )
        self.context = context
        self.device = torch.device(device)
        # The reference sorts by return and stops one short of the lowest; ties keep argsort's order.
        left_out = int(np.argsort(data.returns)[0])
        kept = np.ones(len(data.rewards), dtype=bool)
        kept[list(data.slices())[left_out]] = False
        ends = np.repeat(data.starts + data.lengths, data.lengths)
        self.positions: Integers = np.flatnonzero(kept).astype(np.int64)
        self.full_positions: Integers = np.flatnonzero(kept & (np.arange(len(ends)) + context <= ends)).astype(np.int64)
        self._ends = torch.from_numpy(ends).to(self.device)
        # In float64 and rounded once, as the reference does after padding.
        mean, std = data.state_mean.astype(np.float64), data.state_std.astype(np.float64)
        normalised = ((data.observations - mean) / std).astype(np.float32)
        timesteps = np.arange(len(ends)) - np.repeat(data.starts, data.lengths)
        self._states = torch.from_numpy(normalised).to(self.device)
        self._actions = torch.from_numpy(data.actions).to(self.device)
        self._returns_to_go = torch.from_numpy(data.returns_to_go[:, None]).to(self.device)
        self._timesteps = torch.from_numpy(np.minimum(timesteps, MAX_EPISODE_STEPS - 1)).to(self.device)
        self._state_padding = torch.from_numpy((-mean / std).astype(np.float32)).to(self.device)

    def draw(self, count: int, generator: np.random.Generator, *, full: bool = False) -> Integers:
        """`count` window starts, with replacement, as indices into the steps.

        Args:
            count: how many.
            generator: the stream to draw from.
            full: only starts with K real steps ahead (corrected analyses, DEV-23).

        Raises:
            DataError: no trajectory is as long as the window.
        """
        positions = self.full_positions if full else self.positions
        if len(positions) == 0:
            raise DataError("no trajectory is as long as the window", given=f"K={self.context}")
        return positions[generator.integers(len(positions), size=count)]

    def gather(self, starts: Integers) -> Batch:
        """The windows that start at the given steps, shape (B,) to a `Batch` on the device."""
        first = torch.from_numpy(starts).to(self.device)[:, None]
        # Real steps sit at the right end: column j holds step first + j - (padding of that row).
        real = torch.clamp(self._ends[first] - first, max=self.context)
        step = first + torch.arange(self.context, device=self.device) - (self.context - real)
        mask = step >= first
        step = torch.where(mask, step, first)
        keep = mask[..., None]
        return Batch(
            states=torch.where(keep, self._states[step], self._state_padding),
            actions=torch.where(keep, self._actions[step], ACTION_PADDING),
            returns_to_go=torch.where(keep, self._returns_to_go[step], 0.0),
            timesteps=torch.where(mask, self._timesteps[step], 0),
            mask=mask,
        )
