"""Roll-outs on a GPU: captured forwards, and the physics beside them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import torch

from dtclaims.lab.models.policy import Policy
from dtclaims.lab.train.capture import captured
from dtclaims.lab.train.lanes import Lane, LaneRollouts
from dtclaims.lab.train.rollouts import Environment, Precision, View
from dtclaims.lab.train.rounding import with_rounded_blocks

LANES = 2
"""Groups of episodes: while the network answers one, the physics of the other is stepped."""
WORTH_SPLITTING = 32
"""Episodes from which on there are `LANES` groups, fewer make one.

Groups hide the physics, but each launches the kernels of a whole forward, which take as long for few episodes as for
half of them. Runs that share a GPU hide each other's physics, and 16 of them with 20 episodes each kept it busy all the
time at less than half of its power: by launches, not by arithmetic. How much one group gains there is not measured
yet. The rule knows the number of episodes alone, so that results do not depend on who shares the GPU.
"""


class CapturedRollouts(LaneRollouts):
    """Roll-outs in groups that take turns on network and physics. Few episodes make one, which waits for its physics.

    What the network computes with stays in place between evaluations: buffers, captured graphs, and the rounded copy
    of the weights, which is refreshed. It is freed with the object. Works on a CPU too, without graphs.

    Args:
        model: whose parameters may change between evaluations.
        env: one slot per episode.
        view: how the model sees it.
        device: where the model lives.
        precision: `bfloat16` computes the blocks' matrix products in it; the MLP has none.
    """

    precisions: ClassVar[tuple[Precision, ...]] = ("float32", "bfloat16")

    def __init__(
        self, model: Policy, env: Environment, view: View, device: torch.device, precision: Precision = "float32"
    ) -> None:
        super().__init__(model, env, view, device, precision)
        if self.precision == "bfloat16":
            # Rounded once per evaluation; autocast would round at every step, to the same values.
            self.network = with_rounded_blocks(model)
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None  # type: ignore[no-untyped-call]
        self._lanes: dict[tuple[int, int], CapturedLane] = {}
        self._places: list[int] = []

    def _groups(self, count: int) -> int:
        return LANES if count >= WORTH_SPLITTING else 1

    def _width(self, width: int, needed: int) -> int:
        """Half of the width, or half of that: so there are few widths, and graphs, however the episodes end."""
        while needed <= width // 2:
            width //= 2
        return width

    def _lane(self, group: int, width: int) -> Lane:
        if (group, width) not in self._lanes:
            self._lanes[group, width] = CapturedLane(self.network, width, self.view, self.device, self.precision)
        return self._lanes[group, width]

    @contextmanager
    def _ready(self) -> Iterator[None]:
        """Captures need a stream of their own, and runs that share the GPU then overlap."""
        if self._stream is None:
            self._take_up_weights()
            yield
            return
        self._stream.wait_stream(torch.cuda.current_stream(self.device))
        with torch.cuda.stream(self._stream):
            self._take_up_weights()
            yield

    def _take_up_weights(self) -> None:
        places = [one.data_ptr() for one in self.model.parameters()]
        if places != self._places:
            # Graphs read from where the parameters were when they were captured.
            self._lanes.clear()
            self._places = places
        pairs = zip(self.network.parameters(), self.model.parameters(), strict=True)
        rounded = [(copy, one) for copy, one in pairs if copy is not one]
        if rounded:
            torch._foreach_copy_([copy for copy, _ in rounded], [one for _, one in rounded])


class CapturedLane(Lane):
    """A lane whose whole step (move, normalise, forward, action) is captured once and replayed.

    The whole window is looked at from the first step on: causal attention hides the steps that are still missing, which
    come after the current one, so that every shape stays. Only a lane's very first step runs eagerly. States and
    actions cross in pinned memory and nothing waits but `answer`.
    """

    def __init__(
        self, model: Policy, width: int, view: View, device: torch.device, precision: Precision = "float32"
    ) -> None:
        super().__init__(model, width, view, device, precision)
        on_gpu = device.type == "cuda"
        self.outgoing = torch.zeros(self.inbox.shape, pin_memory=on_gpu)
        self.incoming = torch.zeros(self.next.shape, pin_memory=on_gpu)
        self.warm = False
        self.graph: torch.cuda.CUDAGraph | None = None
        self.answered = torch.cuda.Event() if on_gpu else None  # type: ignore[no-untyped-call]

    def ask(self, states: npt.NDArray[np.float64], remaining: npt.NDArray[np.float32]) -> None:
        """Show the current states (E, S) and return-to-go (E,) of all slots; queue the forward of this lane's."""
        self.show(self.outgoing, states, remaining)
        self.seen = self.view.context
        self.inbox.copy_(self.outgoing, non_blocking=True)
        if self.graph is None and self.warm and self.answered is not None:
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
        self.incoming.copy_(self.next, non_blocking=True)
        if self.answered is not None:
            self.answered.record()

    def answer(self) -> npt.NDArray[np.float32]:
        """Wait for the actions (width, A) that the last `ask` asked for."""
        if self.answered is not None:
            self.answered.synchronize()
        return self.incoming.numpy()
