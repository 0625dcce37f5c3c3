"""Roll-outs on a GPU: captured forwards, and the physics beside them (protocol §5)."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import cast

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from dtclaims.lab.design.tasks import MAX_EPISODE_STEPS, RETURN_SCALE
from dtclaims.lab.models.arms import Policy
from dtclaims.lab.models.behaviour_cloning import BehaviourCloning
from dtclaims.lab.models.decision_transformer import TOKENS_PER_STEP, DecisionTransformer
from dtclaims.lab.models.transformer import Block
from dtclaims.lab.train.capture import captured
from dtclaims.lab.train.fast import with_rounded_blocks
from dtclaims.lab.train.forward import actions_at, attended, whole_block
from dtclaims.lab.train.rollouts import Environment, Precision, Rollouts, View

LANES = 2
"""Groups of episodes: while the network answers one, the physics of the other is stepped."""
WORTH_SPLITTING = 32
"""Episodes from which on there are `LANES` groups, fewer make one.

Groups hide the physics, but each launches the kernels of a whole forward, which take as long for few episodes as for
half of them. Runs that share a GPU hide each other's physics, and 16 of them with 20 episodes each kept it busy all the
time at less than half of its power: by launches, not by arithmetic. How much one group gains there is not measured
yet. The rule knows the number of episodes alone, so that results do not depend on who shares the GPU.
"""


class LaneRollouts:
    """Roll-outs of one model, again and again as it is trained, in groups that take turns on network and physics.

    Few episodes make one group, which waits for its physics.

    What the network computes with stays in place between evaluations: buffers, captured graphs, and the rounded copy
    of the weights, which is refreshed. It is freed with the object. Works on a CPU too, without graphs.

    Args:
        model: whose parameters may change between evaluations.
        env: one slot per episode.
        view: how the model sees it.
        device: where the model lives.
        precision: `bfloat16` computes the blocks' matrix products in it; the MLP has none.
    """

    def __init__(
        self,
        model: Policy,
        env: Environment,
        view: View,
        device: torch.device,
        precision: Precision = "float32",
    ) -> None:
        self.model, self.env, self.view, self.device = model, env, view, device
        self.precision: Precision = precision if isinstance(model, DecisionTransformer) else "float32"
        # Rounded once per evaluation; autocast would round at every step, to the same values.
        self.network = model if self.precision == "float32" else cast(Policy, with_rounded_blocks(model))
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None  # type: ignore[no-untyped-call]
        self._lanes: dict[tuple[int, int], Lane] = {}
        self._places: list[int] = []

    @torch.inference_mode()
    def run(self, seeds: Sequence[int], max_steps: int = MAX_EPISODE_STEPS) -> Rollouts:
        """Roll the model out as it is now, once per seed. It is put in eval mode and back."""
        was_training = self.network.training
        self.network.eval()
        try:
            with self._on_own_stream():
                self._take_up_weights()
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
        for group, slots in enumerate(np.array_split(np.arange(count), LANES if count >= WORTH_SPLITTING else 1)):
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

    def _lane(self, group: int, width: int) -> "Lane":
        if (group, width) not in self._lanes:
            self._lanes[group, width] = Lane(self.network, width, self.view, self.device, self.precision)
        return self._lanes[group, width]

    def _narrowed(self, group: int, lane: "Lane", live: npt.NDArray[np.bool_]) -> "Lane":
        """A lane of half the width, or half of that, as soon as the live episodes fit; finished ones fill it up.

        So there are few widths, and graphs of them, however the episodes end.
        """
        width, needed = lane.width, np.count_nonzero(live)
        while needed <= width // 2:
            width //= 2
        if width == lane.width:
            return lane
        narrow = self._lane(group, width)
        narrow.take_over(lane, np.argsort(~live, kind="stable")[:width])
        return narrow

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

    @contextmanager
    def _on_own_stream(self) -> Iterator[None]:
        """Captures need a stream of their own, and runs that share the GPU then overlap."""
        if self._stream is None:
            yield
            return
        self._stream.wait_stream(torch.cuda.current_stream(self.device))
        with torch.cuda.stream(self._stream):
            yield


class Lane:
    """Episodes that share a forward: their last K steps, and the network's next actions.

    The window is filled from the left; once full it moves on. Causal attention hides the steps that are still
    missing, which come after the current one. So every tensor keeps its address and shape, and on a GPU the whole
    step (move, normalise, forward, action) is captured once and replayed; only a lane's very first runs eagerly.
    States and actions cross in pinned memory and nothing waits but `answer`.
    """

    def __init__(
        self, model: Policy, width: int, view: View, device: torch.device, precision: Precision = "float32"
    ) -> None:
        self.model, self.width, self.view, self.device, self.precision = model, width, view, device, precision
        state_dim, on_gpu = len(view.state_mean), device.type == "cuda"
        self.slots = np.arange(width)
        """Of the environment, by row."""
        self.mean, self.std = (torch.from_numpy(value).to(device) for value in (view.state_mean, view.state_std))
        self.outgoing = torch.zeros(width, state_dim + 1, pin_memory=on_gpu)
        self.incoming = torch.zeros(width, view.action_dim, pin_memory=on_gpu)
        self.inbox = torch.zeros(width, state_dim + 1, device=device)
        self.window = torch.zeros(width, view.context, state_dim + 1 + view.action_dim, device=device)
        """State, return-to-go and action of each step."""
        self.next = torch.zeros(width, view.action_dim, device=device)
        self.clock = torch.zeros(1, dtype=torch.int64, device=device)
        """Steps shown so far."""
        self.columns = torch.arange(view.context, device=device)
        self.warm = False
        self.graph: torch.cuda.CUDAGraph | None = None
        self.answered = torch.cuda.Event() if on_gpu else None  # type: ignore[no-untyped-call]

    def begin(self, slots: npt.NDArray[np.int64]) -> None:
        """Start new episodes in these slots of the environment."""
        self.slots = slots
        self.window.zero_()
        self.clock.zero_()

    def take_over(self, other: "Lane", rows: npt.NDArray[np.int64]) -> None:
        """Go on with some of another lane's episodes."""
        self.slots = other.slots[rows]
        self.window.copy_(other.window[torch.from_numpy(rows).to(self.device)])
        self.clock.copy_(other.clock)

    def ask(self, states: npt.NDArray[np.float64], remaining: npt.NDArray[np.float32]) -> None:
        """Show the current states (E, S) and return-to-go (E,) of all slots; queue the forward of this lane's."""
        shown = self.outgoing.numpy()
        shown[:, :-1] = states[self.slots]
        shown[:, -1] = remaining[self.slots]
        self.inbox.copy_(self.outgoing, non_blocking=True)
        if self.graph is None and self.warm and self.answered is not None:
            graph = torch.cuda.CUDAGraph()
            with captured(graph, self.device):
                self._advance()
            self.graph = graph
        if self.graph is None:
            self._advance()
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

    def _advance(self) -> None:
        context, (state_dim,) = self.view.context, self.mean.shape
        full = self.clock >= context
        current = self.clock.clamp(max=context - 1)
        timesteps = self.columns + (self.clock - current)
        self.window.copy_(self.window.index_select(1, (self.columns + full) % context))
        state = (self.inbox[:, :-1] - self.mean) / self.std
        shown = F.pad(torch.cat((state, self.inbox[:, -1:]), dim=1), (0, self.view.action_dim))
        self.window.index_copy_(1, current, shown[:, None])
        states, to_go, actions = torch.split(self.window, [state_dim, 1, self.view.action_dim], dim=-1)
        self.next.copy_(
            next_actions(self.model, states, actions, to_go, timesteps[None], current, precision=self.precision)
        )
        actions.index_copy_(1, current, self.next[:, None])
        self.clock += 1


def next_actions(
    model: Policy,
    states: Tensor,
    actions: Tensor,
    returns_to_go: Tensor,
    timesteps: Tensor,
    step: Tensor,
    *,
    precision: Precision = "float32",
) -> Tensor:
    """One step's actions (B, A) in windows without padding before it: `model(...)[:, step]`, without the rest.

    The last action token comes after the last state token, so it is not run; of the last block only the
    state token's output is computed. What comes after the step is not seen, but must be finite.

    Args:
        model: in eval mode.
        states: (B, K, S) normalised.
        actions: (B, K, A).
        returns_to_go: (B, K, 1).
        timesteps: (B or 1, K) int64.
        step: (1,) int64 on the device: which.
        precision: of the blocks' matrix products.
    """
    if isinstance(model, BehaviourCloning):
        # Its steps do not mix: one alone is a window.
        here = [one.index_select(1, step) for one in (states, actions, returns_to_go, timesteps)]
        predicted: Tensor = model(*here, torch.ones_like(here[-1], dtype=torch.bool))
        return predicted[:, 0]
    x = model.embed(states, actions, returns_to_go, timesteps)[:, :-1]
    at = TOKENS_PER_STEP * step + 1
    *blocks, last = cast(list[Block], list(model.transformer.h))
    with torch.autocast(x.device.type, torch.bfloat16, enabled=precision == "bfloat16", cache_enabled=False):
        for block in blocks:
            x = whole_block(block, x)
        x = x.index_select(1, at) + last.attn.c_proj(attended(last.attn, last.ln_1(x)).index_select(1, at))
        x = x + last.mlp(last.ln_2(x), None)
    return actions_at(model, x[:, 0])
