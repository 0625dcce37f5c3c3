"""Roll-outs conditioned on a return target, all episodes in lock step (protocol §5).

One loop serves every path; what differs is the lane that asks the network: this one of a run alone on a CPU, and one
that asks the networks of several runs at once (`stacked_lanes`).
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from dtclaims.errors import UsageError
from dtclaims.lab.design.tasks import MAX_EPISODE_STEPS, RETURN_SCALE
from dtclaims.lab.models.attention import CAUSAL
from dtclaims.lab.models.policy import Policy
from dtclaims.lab.train.rollouts import Environment, Precision, Rollouts, View


class LaneRollouts:
    """Roll-outs of R models, again and again as they are trained, all episodes in one forward.

    A model is asked for an action with the current action slot at zero, the last K steps in view and the target
    less the rewards so far. Padding is left out rather than masked: masked keys have weight exactly zero, so the
    actions are the same. Here R is 1, and only the live episodes go through the network.

    Args:
        model: whose parameters may change between evaluations.
        env: one slot per episode; of several models, the first episode of each, then the second of each, and so on.
        views: how each model sees it.
        device: where the model lives.
        precision: of the blocks' matrix products.

    Raises:
        UsageError: a precision that is not offered.
    """

    precisions: ClassVar[tuple[Precision, ...]] = ("float32",)

    def __init__(
        self,
        model: Policy,
        env: Environment,
        views: Sequence[View],
        device: torch.device,
        precision: Precision = "float32",
    ) -> None:
        if precision not in self.precisions:
            raise UsageError(
                "roll-outs in reduced precision need a GPU",
                given=f"{precision} on {device.type}",
                expected=" or ".join(self.precisions),
            )
        self.network, self.env, self.views, self.device = model, env, list(views), device
        # Only blocks have products to round.
        self.precision: Precision = precision if model.kind == "stack" else "float32"

    @torch.inference_mode()
    def run(self, seeds: Sequence[Sequence[int]], max_steps: int = MAX_EPISODE_STEPS) -> list[Rollouts]:
        """Roll the models out as they are now, once per seed of each; they are put in eval mode and back.

        Args:
            seeds: of each model's episodes, as many of all, or none of a model that is left out.
            max_steps: of an episode.
        """
        was_training = self.network.training
        self.network.eval()
        try:
            with self._ready():
                return self._roll_out(seeds, max_steps)
        finally:
            self.network.train(was_training)

    def _roll_out(self, seeds: Sequence[Sequence[int]], max_steps: int) -> list[Rollouts]:
        runs, episodes = len(self.views), max(map(len, seeds))
        count = runs * episodes
        asked = np.tile([bool(own) for own in seeds], episodes)
        actions = np.zeros((count, self.views[0].action_dim), dtype=np.float32)
        remaining = np.tile(np.array([view.target / RETURN_SCALE for view in self.views], dtype=np.float32), episodes)
        returns = np.zeros(count)
        lengths = np.zeros(count, dtype=np.int64)
        broken = np.zeros(count, dtype=bool)
        # A model that is left out starts somewhere and does not move.
        states = self.env.reset([own[episode] if own else 0 for episode in range(episodes) for own in seeds])
        lane = self._lane(count)
        lane.begin(np.arange(count))
        lane.ask(states, remaining)
        moving = asked
        for step in range(max_steps):
            actions[lane.slots] = lane.answer()
            unsound = moving & ~np.isfinite(actions).all(axis=1)
            broken |= unsound
            moving &= ~unsound
            states, rewards, terminated = self.env.step(actions, moving)
            np.add(returns, rewards, out=returns, where=moving)
            np.subtract(remaining, rewards / RETURN_SCALE, out=remaining, where=moving)
            lengths += moving
            if terminated.any() or unsound.any():
                moving &= ~terminated
                if not moving.any():
                    break
                lane = self._narrowed(lane, moving[lane.slots])
            if step + 1 < max_steps:
                lane.ask(states, remaining)
        return [
            Rollouts(returns[run::runs], lengths[run::runs], self.precision, not broken[run::runs].any())
            for run in range(runs)
        ]

    def _narrowed(self, lane: "Lane", live: npt.NDArray[np.bool_]) -> "Lane":
        """A lane for the live episodes."""
        width = int(np.count_nonzero(live))
        if width == lane.width:
            return lane
        narrow = self._lane(width)
        narrow.take_over(lane, np.argsort(~live, kind="stable")[:width])
        return narrow

    def _lane(self, width: int) -> "Lane":
        return Lane(self.network, width, self.views[0], self.device)

    @contextmanager
    def _ready(self) -> Iterator[None]:
        """Around all roll-outs of one set of weights."""
        yield


class Lane:
    """Episodes that share a forward: their last K steps, and the network's next actions.

    The window is filled from the left; once full it moves on. What is asked is asked of the steps seen so far.
    Tensors of episodes may have a leading axis of runs (`runs`, a shape), with statistics of each.
    """

    def __init__(
        self, model: Any, width: int, view: View, device: torch.device, runs: Sequence[int] = (), half: bool = False
    ) -> None:
        self.model, self.width, self.view, self.device, self.half = model, width, view, device, half
        self.attend = CAUSAL[device.type]
        self.slots = np.arange(width)
        """Of the environment, by row."""
        state_dim = len(view.state_mean)
        rows = (*runs, width)
        self.mean, self.std = (torch.from_numpy(value).to(device) for value in (view.state_mean, view.state_std))
        self.inbox = torch.zeros(*rows, state_dim + 1, device=device)
        self.window = torch.zeros(*rows, view.context, state_dim + 1 + view.action_dim, device=device)
        """State, return-to-go and action of each step."""
        self.next = torch.zeros(*rows, view.action_dim, device=device)
        self.clock = torch.zeros(1, dtype=torch.int64, device=device)
        """Steps shown so far."""
        self.columns = torch.arange(view.context, device=device)
        self.seen = 0
        """Steps of the window that are looked at."""

    def begin(self, slots: npt.NDArray[np.int64]) -> None:
        """Start new episodes in these slots of the environment."""
        self.slots = slots
        self.window.zero_()
        self.clock.zero_()
        self.seen = 0

    def take_over(self, other: "Lane", rows: npt.NDArray[np.int64]) -> None:
        """Go on with some of another lane's episodes."""
        self.slots = other.slots[rows]
        self.window.copy_(other.window[torch.from_numpy(rows).to(self.device)])
        self.clock.copy_(other.clock)
        self.seen = other.seen

    def ask(self, states: npt.NDArray[np.float64], remaining: npt.NDArray[np.float32]) -> None:
        """Show the current states (E, S) and return-to-go (E,) of all slots; start the forward of this lane's."""
        self.show(self.inbox.numpy(), states, remaining)
        self.seen = min(self.seen + 1, self.view.context)
        self.advance()

    def answer(self) -> npt.NDArray[np.float32]:
        """Wait for the actions (width, A) that the last `ask` asked for."""
        return self.next.numpy()

    def show(
        self,
        shown: npt.NDArray[np.float32],
        states: npt.NDArray[np.float64],
        remaining: npt.NDArray[np.float32],
    ) -> None:
        """Write this lane's states and return-to-go into an array (width, S + 1)."""
        shown[:, :-1] = states[self.slots]
        shown[:, -1] = remaining[self.slots]

    def advance(self) -> None:
        """Move the window on, put what is in the inbox in, and ask the network for the next actions.

        Every tensor keeps its address, so that where `seen` does not change all of it can be captured.
        """
        context, (state_dim,) = self.view.context, self.mean.shape[-1:]
        steps = self.window.ndim - 2
        full = self.clock >= context
        current = self.clock.clamp(max=context - 1)
        timesteps = self.columns + (self.clock - current)
        self.window.copy_(self.window.index_select(steps, (self.columns + full) % context))
        state = (self.inbox[..., :-1] - self.mean) / self.std
        shown = F.pad(torch.cat((state, self.inbox[..., -1:]), dim=-1), (0, self.view.action_dim))
        self.window.index_copy_(steps, current, shown.unsqueeze(steps))
        window, timesteps = self.window.narrow(steps, 0, self.seen), timesteps[None, : self.seen]
        states, to_go, actions = torch.split(window, [state_dim, 1, self.view.action_dim], dim=-1)
        self.next.copy_(self.answered(states, actions, to_go, timesteps, current))
        actions.index_copy_(steps, current, self.next.unsqueeze(steps))
        self.clock += 1

    def answered(self, states: Tensor, actions: Tensor, to_go: Tensor, timesteps: Tensor, step: Tensor) -> Tensor:
        """The network's actions at a step of the windows; see `Policy.next_actions`."""
        found: Tensor = self.model.next_actions(states, actions, to_go, timesteps, step, self.attend, half=self.half)
        return found
