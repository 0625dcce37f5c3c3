"""Roll-outs of several runs at once: one forward for the episodes of all, captured on a GPU, and physics beside it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

from dtclaims.lab.train.capture import captured, mark
from dtclaims.lab.train.forward import FORWARDS, Forward
from dtclaims.lab.train.lanes import LaneRollouts
from dtclaims.lab.train.networks import Networks
from dtclaims.lab.train.rollouts import Environment, Precision, View


class StackedRollouts(LaneRollouts):
    """Roll-outs of R networks that are trained together, all episodes in one forward.

    It keeps its width until the last episode ends: a forward's time is that of its launches, which are as many for few
    episodes as for many. It waits for its physics: other groups' updates and roll-outs fill the time. What the networks
    compute with stays in place between evaluations, buffers and graphs too. Works on a CPU as well, without graphs.

    Args:
        networks: of the runs; `bfloat16` leaves are what blocks compute with.
        env: see `LaneRollouts`.
        views: how each sees it.
        device: where the networks live.
        precision: `bfloat16` computes the blocks' matrix products in it; the MLP has none.
    """

    precisions: ClassVar[tuple[Precision, ...]] = ("float32", "bfloat16")

    def __init__(
        self,
        networks: Networks,
        env: Environment,
        views: Sequence[View],
        device: torch.device,
        precision: Precision = "float32",
    ) -> None:
        super().__init__(networks.template, env, views, device, precision)
        self.networks = networks
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None  # type: ignore[no-untyped-call]
        self._lanes: dict[int, StackedLane] = {}

    def _lane(self, width: int) -> "StackedLane":
        if width not in self._lanes:
            half = self.precision == "bfloat16"
            self._lanes[width] = StackedLane(self.networks, width, self.views, self.device, half)
        return self._lanes[width]

    def _narrowed(self, lane: "StackedLane", live: npt.NDArray[np.bool_]) -> "StackedLane":
        return lane

    @contextmanager
    def _ready(self) -> Iterator[None]:
        """Captures need a stream of their own."""
        if self._stream is not None:
            self._stream.wait_stream(torch.cuda.current_stream(self.device))
        with torch.cuda.stream(self._stream):
            yield


class StackedLane:
    """As many episodes of each run; see `Lane`. On a GPU a step is captured once and replayed.

    The whole window is looked at from the first step on: causal attention hides the steps that are still missing, which
    come after the current one, so that every shape stays. Only a lane's very first step runs eagerly. States and
    actions cross in pinned memory and nothing waits but `answer`.

    Args:
        networks: of the runs.
        width: episodes of all runs.
        views: of each run.
        device: where.
        half: whether the blocks' matrix products are computed in bfloat16.
    """

    def __init__(self, networks: Networks, width: int, views: Sequence[View], device: torch.device, half: bool) -> None:
        self.networks, self.device, self.half = networks, device, half
        self.forward: Forward = FORWARDS[networks.template.kind]()
        self.context, self.action_dim = views[0].context, views[0].action_dim
        self.slots = np.arange(width)
        """Of the environment, by row."""
        runs, on_gpu = len(views), device.type == "cuda"
        self.mean, self.std = (
            torch.from_numpy(np.stack([getattr(view, name) for view in views])[:, None]).to(device)
            for name in ("state_mean", "state_std")
        )
        shown = self.mean.shape[-1] + 1
        # By episode and run, as the environment's slots are; the networks take them by run.
        self.outgoing = torch.zeros(width, shown, pin_memory=on_gpu)
        self.arrived = torch.zeros(width, shown, device=device)
        self.leaving = torch.zeros(width, self.action_dim, device=device)
        self.incoming = torch.zeros(width, self.action_dim, pin_memory=on_gpu)
        self.window = torch.zeros(runs, width // runs, self.context, shown + self.action_dim, device=device)
        """State, return-to-go and action of each step."""
        self.clock = torch.zeros(1, dtype=torch.int64, device=device)
        """Steps shown so far."""
        self.columns = torch.arange(self.context, device=device)
        self.warm = False
        self.graph: torch.cuda.CUDAGraph | None = None
        self.done = mark() if on_gpu else None

    def begin(self, slots: npt.NDArray[np.int64]) -> None:
        """See `Lane.begin`."""
        self.slots = slots
        self.window.zero_()
        self.clock.zero_()

    def ask(self, states: npt.NDArray[np.float64], remaining: npt.NDArray[np.float32]) -> None:
        """See `Lane.ask`: the forward is queued."""
        shown = self.outgoing.numpy()
        shown[:, :-1] = states[self.slots]
        shown[:, -1] = remaining[self.slots]
        self.arrived.copy_(self.outgoing, non_blocking=True)
        if self.graph is None and self.warm and self.done is not None:
            graph = torch.cuda.CUDAGraph()
            with captured(graph, self.device):
                self.advance()
            self.graph = graph
        if self.graph is None:
            self.advance()
            # A capture may not be the first to use a kernel: libraries allocate on first use.
            self.warm = True
        else:
            self.graph.replay()
        self.incoming.copy_(self.leaving, non_blocking=True)
        if self.done is not None:
            self.done.record()

    def answer(self) -> npt.NDArray[np.float32]:
        """See `Lane.answer`."""
        if self.done is not None:
            self.done.synchronize()
        return self.incoming.numpy()

    def advance(self) -> None:
        """Move the window on, put what arrived in, and ask the networks for the next actions.

        Every tensor keeps its address, so that all of it can be captured.
        """
        runs, episodes = self.window.shape[:2]
        arrived = self.arrived.view(episodes, runs, -1).transpose(0, 1)
        full = self.clock >= self.context
        current = self.clock.clamp(max=self.context - 1)
        timesteps = (self.columns + (self.clock - current))[None]
        self.window.copy_(self.window.index_select(2, (self.columns + full) % self.context))
        state = (arrived[..., :-1] - self.mean) / self.std
        shown = F.pad(torch.cat((state, arrived[..., -1:]), dim=-1), (0, self.action_dim))
        self.window.index_copy_(2, current, shown.unsqueeze(2))
        states, to_go, actions = torch.split(self.window, [state.shape[-1], 1, self.action_dim], dim=-1)
        found = self.forward.actions(self.networks, states, actions, to_go, timesteps, current, half=self.half)
        actions.index_copy_(2, current, found.unsqueeze(2).to(actions.dtype))
        self.leaving.copy_(found.transpose(0, 1).flatten(0, 1))
        self.clock += 1
