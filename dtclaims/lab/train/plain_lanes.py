"""Roll-outs of one run on a CPU: live episodes alone go through the network, in windows of the steps there are."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import torch

from dtclaims.lab.train.alone import ALONE, Alone
from dtclaims.lab.train.lanes import LaneRollouts
from dtclaims.lab.train.rollouts import Precision, View


class PlainRollouts(LaneRollouts):
    """Roll-outs of a model on a CPU; see `LaneRollouts`."""

    precisions: ClassVar[tuple[Precision, ...]] = ("float32",)

    def _lane(self, width: int) -> "PlainLane":
        return PlainLane(self._asked, width, self.views[0])

    def _narrowed(self, lane: "PlainLane", live: npt.NDArray[np.bool_]) -> "PlainLane":
        lane.keep(live)
        return lane

    @contextmanager
    def _ready(self) -> Iterator[None]:
        # Anew for each set of weights: they may have been replaced.
        self._asked = self._alone()
        yield

    def _alone(self) -> Alone:
        """What is asked for actions."""
        found: Alone = ALONE[self.network.kind](self.network)
        return found


class PlainLane:
    """See `Lane`. The window is an array: at this size an operation of torch costs as much as the copy it makes.

    Args:
        network: whose actions.
        width: episodes.
        view: how it sees them.
    """

    def __init__(self, network: Alone, width: int, view: View) -> None:
        self.network, self.view = network, view
        self.slots = np.arange(width)
        """Of the environment, by row."""
        self.dims = [len(view.state_mean), 1, view.action_dim]
        self.window = np.zeros((width, view.context, sum(self.dims)), dtype=np.float32)
        """State, return-to-go and action of each step."""
        self.begin(self.slots)

    def begin(self, slots: npt.NDArray[np.int64]) -> None:
        """See `Lane.begin`."""
        self.slots = slots
        self.clock = 0
        """Steps shown so far."""

    def keep(self, live: npt.NDArray[np.bool_]) -> None:
        """Go on with some of the episodes."""
        self.slots, self.window = self.slots[live], self.window[live]

    def ask(self, states: npt.NDArray[np.float64], remaining: npt.NDArray[np.float32]) -> None:
        """See `Lane.ask`: the forward is done when it returns."""
        state_dim, context = self.dims[0], self.view.context
        if self.clock >= context:
            self.window[:, :-1] = self.window[:, 1:]
        seen = min(self.clock + 1, context)
        step = self.window[:, seen - 1]
        step[:, :state_dim] = (states[self.slots].astype(np.float32) - self.view.state_mean) / self.view.state_std
        step[:, state_dim] = remaining[self.slots]
        step[:, state_dim + 1 :] = 0.0
        self.clock += 1
        shown, to_go, actions = torch.split(torch.from_numpy(self.window[:, :seen]), self.dims, dim=-1)
        timesteps = torch.arange(self.clock - seen, self.clock)[None]
        self.next = self.network.actions(shown, actions, to_go, timesteps).numpy()
        step[:, state_dim + 1 :] = self.next

    def answer(self) -> npt.NDArray[np.float32]:
        """See `Lane.answer`."""
        return self.next
