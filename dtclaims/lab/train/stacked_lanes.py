"""Roll-outs of several runs at once: one forward for the episodes of all, captured on a GPU, and physics beside it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from dtclaims.lab.train.capture import captured
from dtclaims.lab.train.forward import FORWARDS, Forward
from dtclaims.lab.train.lanes import Lane, LaneRollouts
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

    def _lane(self, width: int) -> Lane:
        if width not in self._lanes:
            half = self.precision == "bfloat16"
            self._lanes[width] = StackedLane(self.networks, width, self.views, self.device, half)
        return self._lanes[width]

    def _narrowed(self, lane: Lane, live: npt.NDArray[np.bool_]) -> Lane:
        return lane

    @contextmanager
    def _ready(self) -> Iterator[None]:
        """Captures need a stream of their own."""
        if self._stream is not None:
            self._stream.wait_stream(torch.cuda.current_stream(self.device))
        with torch.cuda.stream(self._stream):
            yield


class StackedLane(Lane):
    """As many episodes of each run. On a GPU a step (move, normalise, forward, action) is captured once and replayed.

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
        runs, on_gpu = len(views), device.type == "cuda"
        super().__init__(networks, width // runs, views[0], device, (runs,), half)
        self.width = width
        self.mean, self.std = (
            torch.from_numpy(np.stack([getattr(view, name) for view in views])[:, None]).to(device)
            for name in ("state_mean", "state_std")
        )
        # By episode and run, as the environment's slots are; the networks take them by run.
        self.outgoing = torch.zeros(width, self.inbox.shape[-1], pin_memory=on_gpu)
        self.arrived = torch.zeros(width, self.inbox.shape[-1], device=device)
        self.leaving = torch.zeros(width, self.view.action_dim, device=device)
        self.incoming = torch.zeros(width, self.view.action_dim, pin_memory=on_gpu)
        self.warm = False
        self.graph: torch.cuda.CUDAGraph | None = None
        self.done = torch.cuda.Event() if on_gpu else None  # type: ignore[no-untyped-call]

    def ask(self, states: npt.NDArray[np.float64], remaining: npt.NDArray[np.float32]) -> None:
        """Show the current states (E, S) and return-to-go (E,) of all slots; queue the forward of this lane's."""
        self.show(self.outgoing.numpy(), states, remaining)
        self.seen = self.view.context
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
        """Wait for the actions (width, A) that the last `ask` asked for."""
        if self.done is not None:
            self.done.synchronize()
        return self.incoming.numpy()

    def advance(self) -> None:
        """See `Lane.advance`."""
        runs = len(self.inbox)
        self.inbox.copy_(self.arrived.unflatten(0, (-1, runs)).transpose(0, 1))
        super().advance()
        self.leaving.copy_(self.next.transpose(0, 1).flatten(0, 1))

    def answered(self, states: Tensor, actions: Tensor, to_go: Tensor, timesteps: Tensor, step: Tensor) -> Tensor:
        """See `Lane.answered`."""
        forward: Forward = FORWARDS[self.model.template.kind]()
        return forward.actions(self.model, states, actions, to_go, timesteps, step, half=self.half)
