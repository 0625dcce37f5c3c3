"""Soft Actor-Critic with automatic temperature (Haarnoja et al. 2018, arXiv:1812.05905).

Only used to make the policies that synthetic datasets are collected with. Several independent seeds
are trained side by side: their networks are stacked along a leading axis G, so that one batched
product serves them all, and on a GPU one update of all seeds is a single captured CUDA graph.
Shapes below: G seeds, N environments a seed, B batch, S and A state and action dimension.
"""

import math
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from itertools import pairwise
from threading import Lock
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn import functional

from dtclaims.errors import UsageError
from dtclaims.lab.data.policy import LOG_STD_RANGE, Policy
from dtclaims.lab.design.tasks import Task
from dtclaims.seeding import derive

CAPTURE_LOCK = Lock()


@dataclass(frozen=True)
class SacConfig:
    """Hyperparameters; the defaults are the usual ones for MuJoCo."""

    envs: int = 32
    """Environments stepped side by side, for each seed."""
    warmup: int = 10_000
    """First steps of each seed, with uniform random actions and no update."""
    capacity: int = 1_000_000
    """Transitions kept for each seed; the oldest are overwritten."""
    hidden: int = 256
    batch: int = 256
    rate: float = 3e-4
    discount: float = 0.99
    polyak: float = 0.005


class Stacked:
    """A three-layer ReLU network, `copies` times, in one flat vector with views for the layers.

    Layers hold (copies, in, out) weights and (copies, out) biases, with torch's `Linear` initialisation.
    """

    def __init__(self, sizes: Sequence[int], seeds: Sequence[int], device: torch.device) -> None:
        self.shapes: list[tuple[int, ...]] = []
        columns = []
        for fan_in, fan_out in pairwise(sizes):
            self.shapes += [(len(seeds), fan_in, fan_out), (len(seeds), 1, fan_out)]
        generators = [torch.Generator().manual_seed(seed) for seed in seeds]
        for (_, rows, fan_out), fan_in in zip(self.shapes, np.repeat(sizes[:-1], 2).tolist(), strict=True):
            draws = [torch.rand(rows, fan_out, generator=source) * 2 - 1 for source in generators]
            columns.append(torch.stack(draws).flatten() / math.sqrt(fan_in))
        self.flat = torch.cat(columns).to(device)
        self.leaves = [view.detach().requires_grad_() for view in self._views(self.flat)]
        self.frozen = self._views(self.flat)
        self.target = self.flat.clone()
        self.target_views = self._views(self.target)

    def _views(self, flat: Tensor) -> list[Tensor]:
        sizes = [math.prod(shape) for shape in self.shapes]
        return [part.view(shape) for part, shape in zip(torch.split(flat, sizes), self.shapes, strict=True)]


def forward(layers: Sequence[Tensor], x: Tensor) -> Tensor:
    """(copies, rows, in) -> (copies, rows, out), ReLU between layers."""
    for index in range(0, len(layers), 2):
        x = torch.baddbmm(layers[index + 1], x, layers[index])
        if index + 2 < len(layers):
            x = functional.relu(x)
    return x


def sample_actions(layers: Sequence[Tensor], states: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
    """Actions (G, n, A) and their log-densities (G, n) for states (G, n, S) and noise (G, n, A).

    log π(a) = Σ [log N(u; μ, σ) − log(1 − tanh²u)], with log(1 − tanh²u) = 2(log 2 − u − softplus(−2u)).
    """
    mean, log_std = forward(layers, states).chunk(2, dim=-1)
    log_std = log_std.clamp(*LOG_STD_RANGE)
    raw = mean + log_std.exp() * noise
    normal = -0.5 * noise.square() - log_std - 0.5 * math.log(2 * math.pi)
    squash = 2 * (math.log(2) - raw - functional.softplus(-2 * raw))
    return raw.tanh(), (normal - squash).sum(-1)


class Learner:
    """Networks, replay and optimisers of G seeds, and their update."""

    def __init__(self, task: Task, seeds: Sequence[int], config: SacConfig, device: torch.device) -> None:
        self.task, self.config, self.device, self.groups = task, config, device, len(seeds)
        state, action = task.state_dim, task.action_dim
        critic_seeds = [derive(seed, f"sac/critic{twin}") for seed in seeds for twin in range(2)]
        self.critic = Stacked((state + action, config.hidden, config.hidden, 1), critic_seeds, device)
        actor_seeds = [derive(seed, "sac/actor") for seed in seeds]
        self.actor = Stacked((state, config.hidden, config.hidden, 2 * action), actor_seeds, device)
        self.log_alpha = torch.zeros(self.groups, 1, device=device, requires_grad=True)
        self.optimisers = [self._adam(self.critic.leaves), self._adam(self.actor.leaves), self._adam([self.log_alpha])]
        # Packed rows (state, action, reward, terminated, next state): one gather fetches a whole batch.
        self.widths = [state, action, 1, 1, state]
        self.replay = torch.zeros(self.groups, config.capacity, sum(self.widths), device=device)
        self.stored = 0
        self.sources = [torch.Generator(device).manual_seed(derive(seed, "sac/updates")) for seed in seeds]
        # A whole block's random draws, made before its updates: the captured graph then holds no generator.
        block = config.envs
        self.rows = torch.zeros(block, self.groups, config.batch, dtype=torch.int64, device=device)
        self.noise = torch.zeros(block, self.groups, 2 * config.batch, action, device=device)
        self.cursor = torch.zeros(1, dtype=torch.int64, device=device)
        self.offsets = (torch.arange(self.groups, device=device) * config.capacity).unsqueeze(1)
        self.graph: torch.cuda.CUDAGraph | None = None
        self.graph_failure: str | None = None
        self.blocks = 0
        # A capture needs a stream other than the default one, and several learners share a GPU better on their own.
        self.stream: torch.cuda.Stream | None = None
        if device.type == "cuda":
            self.stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
            torch.cuda.synchronize(device)

    def _adam(self, parameters: list[Tensor]) -> torch.optim.Adam:
        on_gpu = self.device.type == "cuda"
        return torch.optim.Adam(parameters, lr=self.config.rate, fused=on_gpu, capturable=on_gpu, foreach=False)

    def store(self, transitions: npt.NDArray[np.float32]) -> None:
        """Append (G, N, row) transitions, the same count for every seed."""
        start = self.stored % self.config.capacity
        rows = torch.from_numpy(transitions)
        with self._on_stream():
            if self.device.type == "cuda":
                # Pinned, so that the copy queues behind the running updates instead of waiting for them.
                rows = rows.pin_memory().to(self.device, non_blocking=True)
            self.replay[:, start : start + rows.shape[1]] = rows
        self.stored += rows.shape[1]

    def update_block(self) -> None:
        """One update for each environment step of a seed: `config.envs` of them."""
        with self._on_stream():
            filled = min(self.stored, self.config.capacity)
            shape = self.rows[:, 0].shape
            for group, source in enumerate(self.sources):
                self.rows[:, group] = torch.randint(filled, shape, generator=source, device=self.device)
                self.noise[:, group] = torch.randn(self.noise[:, 0].shape, generator=source, device=self.device)
            self.cursor.zero_()
            # The first block runs eagerly: it creates the optimisers' state, which a capture may not.
            if self.blocks == 1 and self.device.type == "cuda":
                self._capture()
            for _ in range(self.config.envs):
                if self.graph is None:
                    self._update()
                else:
                    self.graph.replay()
            self.blocks += 1

    def _capture(self) -> None:
        """Record one update as a graph; where that fails, `graph_failure` says why and updates stay eager."""
        graph = torch.cuda.CUDAGraph()
        # Learners of other tasks may run in other threads: one capture at a time, and none sees the others' calls.
        with CAPTURE_LOCK:
            try:
                with torch.cuda.graph(graph, stream=self.stream, capture_error_mode="thread_local"):
                    self._update()
            except RuntimeError as error:
                self.graph_failure = str(error)
            else:
                self.graph = graph

    def _on_stream(self) -> AbstractContextManager[object]:
        return nullcontext() if self.stream is None else torch.cuda.stream(self.stream)

    def _update(self) -> None:
        config, batch = self.config, self.config.batch
        rows = self.rows.index_select(0, self.cursor)[0] + self.offsets
        drawn = self.replay.flatten(0, 1).index_select(0, rows.flatten()).view(*rows.shape, -1)
        states, actions, reward, terminated, next_states = torch.split(drawn, self.widths, dim=-1)
        noise = self.noise.index_select(0, self.cursor)[0]
        both, log_density = sample_actions(self.actor.leaves, torch.cat((states, next_states), dim=1), noise)
        alpha = self.log_alpha.detach().exp()
        with torch.no_grad():
            soft = self._values(self.critic.target_views, next_states, both[:, batch:]).amin(1)
            soft = soft - alpha * log_density[:, batch:]
            goal = reward[..., 0] + config.discount * (1 - terminated[..., 0]) * soft
        # Sums over seeds and twins: each keeps the gradient it would have alone.
        critic_loss = (self._values(self.critic.leaves, states, actions) - goal.unsqueeze(1)).square().mean(-1).sum()
        self._descend(0, critic_loss, self.critic.leaves)
        value = self._values(self.critic.frozen, states, both[:, :batch]).amin(1)
        density = log_density[:, :batch]
        self._descend(1, (alpha * density - value).mean(-1).sum(), self.actor.leaves)
        surplus = density.detach() - self.task.action_dim
        self._descend(2, -(self.log_alpha * surplus).mean(-1).sum(), [self.log_alpha])
        self.critic.target.lerp_(self.critic.flat, config.polyak)
        self.cursor.add_(1)

    def _values(self, layers: Sequence[Tensor], states: Tensor, actions: Tensor) -> Tensor:
        """Both critics: (G, 2, B)."""
        x = torch.cat((states, actions), dim=-1).unsqueeze(1).expand(-1, 2, -1, -1).flatten(0, 1)
        return forward(layers, x).view(self.groups, 2, -1)

    def _descend(self, optimiser: int, loss: Tensor, parameters: list[Tensor]) -> None:
        gradients = torch.autograd.grad(loss, parameters)
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient
        self.optimisers[optimiser].step()

    @torch.no_grad()
    def act(self, states: npt.NDArray[np.float32], noise: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Stochastic actions (G, N, A) for states (G, N, S)."""
        with self._on_stream():
            inputs = torch.from_numpy(np.concatenate((states, noise), axis=-1)).to(self.device)
            on_device, shocks = torch.split(inputs, [states.shape[-1], noise.shape[-1]], dim=-1)
            actions: npt.NDArray[np.float32] = sample_actions(self.actor.frozen, on_device, shocks)[0].cpu().numpy()
        return actions

    def policies(self) -> list[Policy]:
        """A copy of each seed's current actor."""
        with self._on_stream():
            layers = [layer.cpu().numpy() for layer in self.actor.frozen]
        return [Policy(self.task, actor_tensors([layer[group] for layer in layers])) for group in range(self.groups)]

    def state(self) -> dict[str, Any]:
        """What `load_state` needs to continue; tensors and plain values only."""
        if self.stream is not None:
            self.stream.synchronize()
        filled = min(self.stored, self.config.capacity)
        return {
            "config": asdict(self.config),
            "stored": self.stored,
            "replay": self.replay[:, :filled].cpu(),
            "networks": [self.critic.flat.cpu(), self.critic.target.cpu(), self.actor.flat.cpu()],
            "log_alpha": self.log_alpha.detach().cpu(),
            "optimisers": [optimiser.state_dict() for optimiser in self.optimisers],
            "sources": [source.get_state() for source in self.sources],
        }

    def load_state(self, saved: dict[str, Any]) -> None:
        """Continue from `state`.

        Raises:
            UsageError: the saved run had other hyperparameters.
        """
        if saved["config"] != asdict(self.config) or len(saved["sources"]) != self.groups:
            raise UsageError(
                "the checkpoint belongs to another run",
                given=saved["config"],
                expected=asdict(self.config),
                remedy="Use the same options, or another output folder.",
            )
        self.stored = saved["stored"]
        self.replay[:, : saved["replay"].shape[1]].copy_(saved["replay"])
        with torch.no_grad():
            for flat, value in zip(
                (self.critic.flat, self.critic.target, self.actor.flat), saved["networks"], strict=True
            ):
                flat.copy_(value)
            self.log_alpha.copy_(saved["log_alpha"])
        for optimiser, value in zip(self.optimisers, saved["optimisers"], strict=True):
            optimiser.load_state_dict(value)
        for source, value in zip(self.sources, saved["sources"], strict=True):
            source.set_state(value)
        if self.stream is not None:
            torch.cuda.synchronize(self.device)


def actor_tensors(layers: Sequence[npt.NDArray[np.float32]]) -> dict[str, npt.NDArray[np.float32]]:
    """One seed's stacked layers ((in, out) weights, (1, out) biases) under `Policy`'s names."""
    tensors = {}
    for name, weight, bias in zip(("hidden.0", "hidden.1"), layers[0:4:2], layers[1:4:2], strict=True):
        tensors[f"{name}.weight"], tensors[f"{name}.bias"] = weight.T, bias[0]
    half = layers[4].shape[1] // 2
    for name, part in (("mean", slice(None, half)), ("log_std", slice(half, None))):
        tensors[f"{name}.weight"], tensors[f"{name}.bias"] = layers[4][:, part].T, layers[5][0, part]
    return {name: np.ascontiguousarray(value) for name, value in tensors.items()}
