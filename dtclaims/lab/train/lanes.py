"""Roll-outs conditioned on a return target, all episodes in lock step (protocol §5).

One loop serves every path; what differs is the lane that asks the network: one of a run alone on a CPU (`plain_lanes`),
and one that asks the networks of several runs at once (`stacked_lanes`).
"""

import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar, Protocol

import numpy as np
import numpy.typing as npt
import torch

from dtclaims.errors import UsageError
from dtclaims.lab.design.tasks import MAX_EPISODE_STEPS, RETURN_SCALE
from dtclaims.lab.models.policy import Policy
from dtclaims.lab.train.rollouts import Environment, Precision, Rollouts, View


class Lane(Protocol):
    """Episodes that share a forward: their last K steps, and the network's next actions.

    The window is filled from the left; once full it moves on.
    """

    slots: npt.NDArray[np.int64]
    """Of the environment, by row."""

    def begin(self, slots: npt.NDArray[np.int64]) -> None:
        """Start new episodes in these slots of the environment."""

    def ask(self, states: npt.NDArray[np.float64], remaining: npt.NDArray[np.float32]) -> None:
        """Show the current states (E, S) and return-to-go (E,) of all slots; start the forward of this lane's."""

    def answer(self) -> npt.NDArray[np.float32]:
        """Wait for the actions (width, A) that the last `ask` asked for."""


class LaneRollouts(ABC):
    """Roll-outs of R models, again and again as they are trained, all episodes in one forward.

    A model is asked for an action with the current action slot at zero, the last K steps in view and the target
    less the rewards so far. Padding is left out rather than masked: masked keys have weight exactly zero, so the
    actions are the same.

    Args:
        model: whose parameters may change between evaluations.
        env: one slot per episode; of several models, the first episode of each, then the second of each, and so on.
        views: how each model sees it.
        device: where the model lives.
        precision: of the blocks' matrix products.

    Raises:
        UsageError: a precision that is not offered.
    """

    precisions: ClassVar[tuple[Precision, ...]]
    """Those that it offers."""

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
        self.waited = {"networks": 0.0, "physics": 0.0}
        """Seconds of the last roll-outs."""

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
        lane: Lane = self._lane(count)
        lane.begin(np.arange(count))
        lane.ask(states, remaining)
        moving = asked
        self.waited = dict.fromkeys(self.waited, 0.0)
        for step in range(max_steps):
            began = time.perf_counter()
            actions[lane.slots] = lane.answer()
            asked_physics = time.perf_counter()
            unsound = moving & ~np.isfinite(actions).all(axis=1)
            broken |= unsound
            moving &= ~unsound
            states, rewards, terminated = self.env.step(actions, moving)
            self.waited["networks"] += asked_physics - began
            self.waited["physics"] += time.perf_counter() - asked_physics
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

    @abstractmethod
    def _lane(self, width: int) -> Any:
        """A `Lane` for so many episodes of all models."""

    @abstractmethod
    def _narrowed(self, lane: Any, live: npt.NDArray[np.bool_]) -> Any:
        """The same, or one for the live episodes of its own."""

    @contextmanager
    def _ready(self) -> Iterator[None]:
        """Around all roll-outs of one set of weights."""
        yield
