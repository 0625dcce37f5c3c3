"""Training windows of K steps (protocol §2): one uniform draw per window, gathered on the device."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from dtclaims.errors import DataError
from dtclaims.lab.data.trajectories import Integers, Trajectories
from dtclaims.lab.design.tasks import MAX_EPISODE_STEPS

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


class _Tables:
    """Steps of one or several data sets, from which windows are gathered."""

    context: int
    _ends: Tensor
    """Of each step's trajectory."""
    _columns: Tensor
    """-K … -1."""
    _states: Tensor
    """A row for each step, and one for padding after those of each data set; so the next ones."""
    _actions: Tensor
    _returns_to_go: Tensor
    _timesteps: Tensor

    def _gathered(self, first: Tensor, begin: Tensor | int, padding: Tensor | int) -> Batch:
        """The windows that start at steps (..., B, 1) of data sets whose rows begin and are padded there."""
        # Real steps sit at the right end: column j holds step first + j - (padding of that row).
        real = torch.clamp(self._ends[first + begin] - first, max=self.context)
        step = first + real + self._columns
        mask = step >= first
        row = torch.where(mask, step + begin, padding)
        return Batch(
            states=self._states[row],
            actions=self._actions[row],
            returns_to_go=self._returns_to_go[row],
            timesteps=self._timesteps[row],
            mask=mask,
        )


class WindowSampler(_Tables):
    """Draws windows as the reference does, without its loop over samples.

    The reference draws a trajectory with probability proportional to its length and then a start
    uniformly inside it; that is one uniform draw over the steps of the trajectories it keeps. It
    leaves out exactly one, the one with the lowest return (DEV-32).

    Args:
        data: whose windows.
        context: K.
        device: where the steps reside and the batches are made.
        statistics_of: whose state mean and standard deviation to normalise with, by default those of
            `data`; a held-out part takes its training part's (`dtclaims.lab.data.split`).

    Raises:
        DataError: K below 1, or a single trajectory.
    """

    def __init__(
        self,
        data: Trajectories,
        context: int,
        device: torch.device | str = "cpu",
        *,
        statistics_of: Trajectories | None = None,
    ) -> None:
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
        self._last = ends
        self._ends = torch.from_numpy(ends).to(self.device)
        self._columns = torch.arange(self.context, device=self.device) - self.context
        # In float64 and rounded once, as the reference does after padding.
        source = data if statistics_of is None else statistics_of
        mean, std = source.state_mean.astype(np.float64), source.state_std.astype(np.float64)
        timesteps = np.minimum(np.arange(len(ends)) - np.repeat(data.starts, data.lengths), MAX_EPISODE_STEPS - 1)
        # The last row of each table is its padding: one gather then fills a whole window.
        self._padding_row = len(ends)
        self._states = self._table(((data.observations - mean) / std).astype(np.float32), -mean / std)
        self._actions = self._table(data.actions, ACTION_PADDING)
        self._returns_to_go = self._table(data.returns_to_go[:, None], 0.0)
        self._timesteps = self._table(timesteps, 0)

    def _table(self, rows: npt.NDArray[Any], padding: npt.ArrayLike) -> Tensor:
        last = np.broadcast_to(np.asarray(padding, dtype=rows.dtype), (1, *rows.shape[1:]))
        return torch.from_numpy(np.concatenate((rows, last))).to(self.device)

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

    def draw_separate(self, count: int, generator: np.random.Generator) -> Integers:
        """Starts of full windows of `count` trajectories, one of each; of all that have one, if they are fewer.

        Windows of one trajectory are alike whatever a network makes of them, which counts as similarity.

        Args:
            count: how many at most.
            generator: the stream to draw from.

        Raises:
            DataError: no trajectory is as long as the window.
        """
        order = generator.permutation(self.full_positions)
        # A window is of the trajectory that ends where its own does; the first in random order is uniform in it.
        _, first = np.unique(self._last[order], return_index=True)
        if len(first) == 0:
            raise DataError("no trajectory is as long as the window", given=f"K={self.context}")
        chosen: Integers = generator.permutation(order[first])[:count]
        return chosen

    @property
    def separate(self) -> int:
        """How many trajectories have a full window."""
        return len(np.unique(self._last[self.full_positions]))

    def resident(self, starts: Integers) -> Tensor:
        """Window starts of any shape moved to the device at once, for `gather` to take rows of without a copy each."""
        return torch.from_numpy(starts).to(self.device)

    def gather(self, starts: Integers | Tensor) -> Batch:
        """The windows that start at the given steps, shape (B,) to a `Batch` on the device.

        Starts that are a tensor on the device (`resident`) cost no copy and no wait for the GPU.
        """
        first = (starts if isinstance(starts, Tensor) else self.resident(starts))[:, None]
        return self._gathered(first, 0, self._padding_row)


class PooledWindows(_Tables):
    """The windows of R runs gathered at once; runs with one sampler share its tables.

    Args:
        samplers: of each run, with one context and task.
        device: where the batches are made; samplers may live elsewhere.
    """

    def __init__(self, samplers: Sequence[WindowSampler], device: torch.device | str) -> None:
        distinct = list({id(one): one for one in samplers}.values())
        rows = [len(one._states) for one in distinct]
        begins = dict(zip(map(id, distinct), np.cumsum([0, *rows[:-1]]).tolist(), strict=True))
        self.context = samplers[0].context
        self._columns = torch.arange(self.context, device=device) - self.context
        self._begin = torch.tensor([begins[id(one)] for one in samplers], device=device)[:, None, None]
        self._padding = self._begin + torch.tensor([one._padding_row for one in samplers], device=device)[:, None, None]
        # One more, so that ends and tables have rows alike.
        self._ends = torch.cat([F.pad(one._ends, (0, 1)) for one in distinct]).to(device)
        self._states, self._actions, self._returns_to_go, self._timesteps = (
            torch.cat([getattr(one, name) for one in distinct]).to(device)
            for name in ("_states", "_actions", "_returns_to_go", "_timesteps")
        )

    def gather(self, starts: Tensor) -> Batch:
        """The windows that start at the given steps of each run's own data: (R, B) to a `Batch` with a leading R."""
        return self._gathered(starts[..., None], self._begin, self._padding)
