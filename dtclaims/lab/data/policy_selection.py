"""Measure policy snapshots and choose the one of the wanted level.

`medium` is the snapshot whose stochastic policy returns what D4RL's medium-v2 set returns on average
(protocol §1); `expert` is the best one. Snapshots are shortlisted by the returns of training
episodes, then measured on fresh ones: return swings by hundreds between neighbouring snapshots.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, Protocol

import numpy as np
import numpy.typing as npt

from dtclaims.errors import RunFailed, UsageError
from dtclaims.lab.data.physics import BatchedEnv
from dtclaims.lab.data.policy import Policy
from dtclaims.lab.data.simulators import V4
from dtclaims.lab.design.tasks import MAX_EPISODE_STEPS, Task
from dtclaims.seeding import derive, generator

Level = Literal["medium", "expert"]

MEDIUM_RETURN_STD = {"hopper": 378.95, "halfcheetah": 355.75, "walker2d": 1095.44}
"""Standard deviation over the trajectories of D4RL's medium-v2 sets (protocol §1)."""


@dataclass(frozen=True)
class Snapshot:
    """An actor on the way, and the returns of its seed's last episodes at that moment."""

    seed: int
    step: int
    policy: Policy
    recent_mean: float
    recent_std: float


@dataclass(frozen=True)
class Measured:
    """Fresh episodes of one stochastic policy."""

    episodes: int
    mean: float
    std: float
    min: float
    max: float
    mean_length: float
    bimodality: float
    """Sarle's coefficient (skewness² + 1) / kurtosis of the returns: 5/9 is uniform, 1 two points."""


Measure = Callable[[Sequence[Snapshot], int], list[Measured]]
"""Measure each snapshot on that many fresh episodes."""


class Actor(Protocol):
    """Who can be measured: `dtclaims.lab.data.policy.Policy`, or the random policy."""

    @property
    def task(self) -> Task:
        """Where it acts."""

    def act(self, states: npt.NDArray[np.floating], rng: np.random.Generator) -> npt.NDArray[np.float32]:
        """Actions (n, A) for states (n, S)."""


def returns_of(
    actor: Actor, env: BatchedEnv, seeds: Sequence[int], draw: np.random.Generator
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return and length of an episode from each seed, of at most 1000 steps; the environment is closed.

    Args:
        actor: acts.
        env: with a slot for each seed.
        seeds: of the starts.
        draw: for the actions.
    """
    states, active = env.reset(seeds), np.ones(len(seeds), dtype=bool)
    returns, lengths = np.zeros(len(seeds)), np.zeros(len(seeds))
    for _ in range(MAX_EPISODE_STEPS):
        states, rewards, terminated = env.step(actor.act(states, draw), active)
        returns += rewards
        lengths += active
        active &= ~terminated
        if not active.any():
            break
    env.close()
    return returns, lengths


def measure_policy(policy: Actor, episodes: int, *, seed: int, workers: int = 1, simulator: str = V4) -> Measured:
    """Returns of the stochastic policy over fresh episodes of at most 1000 steps, all in one batch."""
    env = BatchedEnv(policy.task, episodes, workers, simulator=simulator)
    draw = generator(seed, f"policy/measure/{policy.task.name}")
    returns, lengths = returns_of(policy, env, draw.integers(2**31, size=episodes).tolist(), draw)
    spread = float(returns.std())
    scaled = (returns - returns.mean()) / spread if spread > 0 else np.ones(episodes)
    return Measured(
        episodes=episodes,
        mean=float(returns.mean()),
        std=spread,
        min=float(returns.min()),
        max=float(returns.max()),
        mean_length=float(lengths.mean()),
        bimodality=float(((scaled**3).mean() ** 2 + 1) / (scaled**4).mean()),
    )


FRESH_EPISODES = {"medium": 400, "expert": 100}
"""Episodes that a chosen policy is measured on once more."""


def measure_afresh(policy: Policy, level: Level, seed: int, *, workers: int = 1, simulator: str = V4) -> dict[str, Any]:
    """The chosen policy on seeds that no selection has seen: the best of many measured is flattered by its own.

    Args:
        policy: who acts.
        level: decides the number of episodes.
        seed: of the training run; the episodes' own is derived from it.
        workers: physics workers; does not change the result.
        simulator: in which.

    Returns:
        The fields of `Measured`, and the seed.
    """
    own = derive(seed, f"fresh/{level}") % 2**31
    result = measure_policy(policy, FRESH_EPISODES[level], seed=own, workers=workers, simulator=simulator)
    return {"seed": own, **rounded(result)}


def rounded(measured: Measured) -> dict[str, Any]:
    """For cards."""
    return {key: round(value, 4) for key, value in asdict(measured).items()}


def check_level(level: str) -> None:
    """Refuse a level that is neither `medium` nor `expert`.

    Raises:
        UsageError: another word.
    """
    if level not in ("medium", "expert"):
        raise UsageError("unknown policy level", given=level, expected="medium or expert")


def select(
    task: Task,
    snapshots: Sequence[Snapshot],
    level: Level,
    measure: Measure,
    *,
    target_return: float | None = None,
    sizes: tuple[int, int] = (48, 10),
    episodes: tuple[int, int] = (20, 100),
) -> tuple[Snapshot, Measured]:
    """The snapshot of the wanted level, measured on `episodes[1]` fresh episodes.

    Three rounds: the `sizes[0]` best by training returns are measured on `episodes[0]` episodes, the
    `sizes[1]` best of those on `episodes[1]`. `medium` minimises `medium_distance`, `expert` maximises
    the mean.

    Raises:
        RunFailed: no snapshot has a finished episode.
        UsageError: unknown level.
    """
    check_level(level)
    target = task.medium_return if target_return is None else target_return

    def cost(result: Measured) -> float:
        return -result.mean if level == "expert" else medium_distance(task, target, result)

    usable = [snapshot for snapshot in snapshots if not math.isnan(snapshot.recent_mean)]
    if not usable:
        raise RunFailed("no policy snapshot to choose from", remedy="Train for more steps.")
    usable.sort(key=lambda s: -s.recent_mean if level == "expert" else abs(s.recent_mean - target))
    for size, count in zip(sizes, episodes, strict=True):
        usable = usable[:size]
        results = measure(usable, count)
        order = sorted(range(len(usable)), key=lambda index: cost(results[index]))
        usable, results = [usable[index] for index in order], [results[index] for index in order]
    return usable[0], results[0]


def medium_distance(task: Task, target: float, result: Measured) -> float:
    """|mean − target| / σ + ½|ln(std / σ)| + max(0, bimodality − 5/9), σ being D4RL medium's spread.

    The mean decides; among near equals, a spread like D4RL's and no split into two kinds of episode.
    """
    reference = MEDIUM_RETURN_STD[task.name]
    spread = abs(math.log(max(result.std, 1e-9) / reference))
    return abs(result.mean - target) / reference + 0.5 * spread + max(0.0, result.bimodality - 5 / 9)
