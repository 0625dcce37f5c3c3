"""Collecting and training in lockstep: the loop around the Soft Actor-Critic learner."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from dtclaims.errors import UsageError
from dtclaims.lab.data.physics import BatchedEnv
from dtclaims.lab.data.sac import Learner, SacConfig
from dtclaims.lab.data.simulators import V4
from dtclaims.lab.design.tasks import MAX_EPISODE_STEPS, Task
from dtclaims.seeding import generator


@dataclass(frozen=True)
class Episode:
    """A finished training episode of the stochastic policy."""

    seed_index: int
    end_step: int
    total_reward: float
    length: int


class SacTrainer:
    """G seeds of one task, collecting and updating in lockstep.

    On a GPU the update block of one round is queued before the physics of that round is stepped, so
    the two overlap.
    """

    def __init__(
        self,
        task: Task,
        seeds: Sequence[int],
        config: SacConfig,
        device: torch.device,
        workers: int = 1,
        *,
        simulator: str = V4,
    ) -> None:
        if config.capacity % config.envs or config.warmup < config.envs:
            raise UsageError("replay capacity must be a multiple of envs, and warmup at least envs", given=config)
        self.task, self.config, self.seeds, self.simulator = task, config, tuple(seeds), simulator
        self.learner = Learner(task, seeds, config, device)
        slots = len(seeds) * config.envs
        self.env = BatchedEnv(task, slots, workers, simulator=simulator)
        self.draws = [generator(seed, "sac/collect") for seed in seeds]
        self.step_count = 0
        """Environment steps taken so far, for each seed."""
        self.lengths = np.zeros(slots, dtype=np.int64)
        self.returns = np.zeros(slots)
        self.states = self.env.reset(self._episode_seeds(np.arange(slots)))

    def advance(self) -> list[Episode]:
        """One step of every environment and as many updates; the episodes that ended."""
        config, groups = self.config, len(self.seeds)
        shape = (groups, config.envs, self.task.action_dim)
        if self.step_count < config.warmup:
            actions = np.stack([draw.uniform(-1, 1, shape[1:]).astype(np.float32) for draw in self.draws])
        else:
            noise = np.stack([draw.standard_normal(shape[1:], dtype=np.float32) for draw in self.draws])
            states = self.states.astype(np.float32).reshape(groups, config.envs, -1)
            actions = self.learner.act(states, noise)
            self.learner.update_block()
        flat_actions = actions.reshape(-1, shape[-1])
        following, rewards, terminated = self.env.step(flat_actions)
        columns = (self.states, flat_actions, rewards[:, None], terminated[:, None], following)
        rows = np.concatenate(columns, axis=1, dtype=np.float32)
        self.learner.store(rows.reshape(groups, config.envs, -1))
        self.step_count += config.envs
        self.lengths += 1
        self.returns += rewards
        self.states = following
        # A time-out ends the episode but is not terminal: its value is still bootstrapped.
        return self._finish(terminated | (self.lengths >= MAX_EPISODE_STEPS))

    def _finish(self, ended: npt.NDArray[np.bool_]) -> list[Episode]:
        slots = np.flatnonzero(ended)
        episodes = [
            Episode(slot // self.config.envs, self.step_count, float(self.returns[slot]), int(self.lengths[slot]))
            for slot in slots.tolist()
        ]
        if episodes:
            self.states = self.env.reset_where(ended, self._episode_seeds(slots))
            self.lengths[slots] = 0
            self.returns[slots] = 0.0
        return episodes

    def _episode_seeds(self, slots: npt.NDArray[np.int64]) -> list[int]:
        return [int(self.draws[slot // self.config.envs].integers(2**31)) for slot in slots.tolist()]

    def state(self) -> dict[str, Any]:
        """A checkpoint: learner, physics, generators and counters."""
        return {
            "task": self.task.name,
            "simulator": self.simulator,
            "seeds": list(self.seeds),
            "learner": self.learner.state(),
            "physics": torch.from_numpy(self.env.save()),
            "lengths": torch.from_numpy(self.lengths),
            "returns": torch.from_numpy(self.returns),
            "step_count": self.step_count,
            "draws": [draw.bit_generator.state for draw in self.draws],
        }

    def load_state(self, saved: dict[str, Any]) -> None:
        """Continue from `state`.

        Raises:
            UsageError: a checkpoint of another task or simulator, other seeds or other hyperparameters.
        """
        # Before there was a choice, it was v4.
        simulator = saved.get("simulator", V4)
        if (saved["task"], simulator, tuple(saved["seeds"])) != (self.task.name, self.simulator, self.seeds):
            raise UsageError(
                "the checkpoint belongs to another run",
                given=f"{saved['task']} in {simulator}, seeds {saved['seeds']}",
                expected=f"{self.task.name} in {self.simulator}, seeds {list(self.seeds)}",
            )
        self.learner.load_state(saved["learner"])
        self.states = self.env.restore(saved["physics"].numpy())
        self.lengths = saved["lengths"].numpy().copy()
        self.returns = saved["returns"].numpy().copy()
        self.step_count = saved["step_count"]
        for draw, state in zip(self.draws, saved["draws"], strict=True):
            draw.bit_generator.state = state
