"""Roll-outs conditioned on a return target, all episodes in lock step (protocol §5).

One loop serves every device; what differs is the lane that asks the network: this one on a CPU, and one that replays
captured graphs on a GPU (`captured_lanes`).
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import ClassVar

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
    """Roll-outs of one model, again and again as it is trained, its episodes in groups that share a forward.

    The model is asked for an action with the current action slot at zero, the last K steps in view and the target
    less the rewards so far. Padding is left out rather than masked: masked keys have weight exactly zero, so the
    actions are the same. On a CPU all episodes are one group, and only the live ones go through the network.

    Args:
        model: whose parameters may change between evaluations.
        env: one slot per episode.
        view: how the model sees it.
        device: where the model lives.
        precision: of the blocks' matrix products.

    Raises:
        UsageError: a precision that is not offered on the device.
    """

    precisions: ClassVar[tuple[Precision, ...]] = ("float32",)

    def __init__(
        self, model: Policy, env: Environment, view: View, device: torch.device, precision: Precision = "float32"
    ) -> None:
        if precision not in self.precisions:
            raise UsageError(
                "roll-outs in reduced precision need a GPU",
                given=f"{precision} on {device.type}",
                expected=" or ".join(self.precisions),
            )
        self.model, self.env, self.view, self.device = model, env, view, device
        # Only blocks have products to round.
        self.precision: Precision = precision if model.kind == "stack" else "float32"
        self.network = model
        """What is asked: the model, or a rounded copy of it."""

    @torch.inference_mode()
    def run(self, seeds: Sequence[int], max_steps: int = MAX_EPISODE_STEPS) -> Rollouts:
        """Roll the model out as it is now, once per seed. It is put in eval mode and back."""
        was_training = self.network.training
        self.network.eval()
        try:
            with self._ready():
                return self._roll_out(seeds, max_steps)
        finally:
            self.network.train(was_training)

    def _roll_out(self, seeds: Sequence[int], max_steps: int) -> Rollouts:
        count = len(seeds)
        actions = np.zeros((count, self.view.action_dim), dtype=np.float32)
        remaining = np.full(count, self.view.target / RETURN_SCALE, dtype=np.float32)
        returns = np.zeros(count)
        lengths = np.zeros(count, dtype=np.int64)
        states = self.env.reset(seeds)
        lanes: dict[int, Lane] = {}
        active: dict[int, npt.NDArray[np.bool_]] = {}
        for group, slots in enumerate(np.array_split(np.arange(count), self._groups(count))):
            lanes[group] = self._lane(group, len(slots))
            lanes[group].begin(slots)
            lanes[group].ask(states, remaining)
            active[group] = np.zeros(count, dtype=bool)
            active[group][slots] = True
        for step in range(max_steps):
            for group, lane in list(lanes.items()):
                moving = active[group]
                actions[lane.slots] = lane.answer()
                states, rewards, terminated = self.env.step(actions, moving)
                np.add(returns, rewards, out=returns, where=moving)
                np.subtract(remaining, rewards / RETURN_SCALE, out=remaining, where=moving)
                lengths += moving
                if terminated.any():
                    moving &= ~terminated
                    if not moving.any():
                        del lanes[group]
                        continue
                    lane = lanes[group] = self._narrowed(group, lane, moving[lane.slots])
                if step + 1 < max_steps:
                    lane.ask(states, remaining)
            if not lanes:
                break
        return Rollouts(returns, lengths, self.precision)

    def _narrowed(self, group: int, lane: "Lane", live: npt.NDArray[np.bool_]) -> "Lane":
        """A lane for the live episodes; if it is wider than they are, finished ones fill it up."""
        width = self._width(lane.width, int(np.count_nonzero(live)))
        if width == lane.width:
            return lane
        narrow = self._lane(group, width)
        narrow.take_over(lane, np.argsort(~live, kind="stable")[:width])
        return narrow

    def _groups(self, count: int) -> int:
        """Into how many groups so many episodes go."""
        return 1

    def _width(self, width: int, needed: int) -> int:
        """Of the lane that goes on with so many live episodes of one of `width`."""
        return needed

    def _lane(self, group: int, width: int) -> "Lane":
        return Lane(self.network, width, self.view, self.device, self.precision)

    @contextmanager
    def _ready(self) -> Iterator[None]:
        """Around all roll-outs of one set of weights."""
        yield


class Lane:
    """Episodes that share a forward: their last K steps, and the network's next actions.

    The window is filled from the left; once full it moves on. What is asked is asked of the steps seen so far.
    """

    def __init__(
        self, model: Policy, width: int, view: View, device: torch.device, precision: Precision = "float32"
    ) -> None:
        self.model, self.width, self.view, self.device = model, width, view, device
        self.half = precision == "bfloat16"
        self.attend = CAUSAL[device.type]
        self.slots = np.arange(width)
        """Of the environment, by row."""
        self.mean, self.std = (torch.from_numpy(value).to(device) for value in (view.state_mean, view.state_std))
        self.inbox = torch.zeros(width, len(view.state_mean) + 1, device=device)
        self.window = torch.zeros(width, view.context, len(view.state_mean) + 1 + view.action_dim, device=device)
        """State, return-to-go and action of each step."""
        self.next = torch.zeros(width, view.action_dim, device=device)
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
        self.show(self.inbox, states, remaining)
        self.seen = min(self.seen + 1, self.view.context)
        self.advance()

    def answer(self) -> npt.NDArray[np.float32]:
        """Wait for the actions (width, A) that the last `ask` asked for."""
        return self.next.numpy()

    def show(self, inbox: Tensor, states: npt.NDArray[np.float64], remaining: npt.NDArray[np.float32]) -> None:
        """Write this lane's states and return-to-go into `inbox`, (width, S + 1) in the CPU's memory."""
        shown = inbox.numpy()
        shown[:, :-1] = states[self.slots]
        shown[:, -1] = remaining[self.slots]

    def advance(self) -> None:
        """Move the window on, put what is in the inbox in, and ask the network for the next actions.

        Every tensor keeps its address, so that where `seen` does not change all of it can be captured.
        """
        context, (state_dim,) = self.view.context, self.mean.shape
        full = self.clock >= context
        current = self.clock.clamp(max=context - 1)
        timesteps = self.columns + (self.clock - current)
        self.window.copy_(self.window.index_select(1, (self.columns + full) % context))
        state = (self.inbox[:, :-1] - self.mean) / self.std
        shown = F.pad(torch.cat((state, self.inbox[:, -1:]), dim=1), (0, self.view.action_dim))
        self.window.index_copy_(1, current, shown[:, None])
        window, timesteps = self.window[:, : self.seen], timesteps[None, : self.seen]
        states, to_go, actions = torch.split(window, [state_dim, 1, self.view.action_dim], dim=-1)
        self.next.copy_(
            self.model.next_actions(states, actions, to_go, timesteps, current, self.attend, half=self.half)
        )
        actions.index_copy_(1, current, self.next[:, None])
        self.clock += 1
