"""Bring a shipped medium policy to D4RL's level in another simulator, by the width of its noise alone.

A policy chosen in one simulator earns something else in another (docs/simulators.md). Training one anew costs hours of
a core; the spread of a tanh-Gaussian's noise is one number, and returns follow it smoothly. The policy with the spread
multiplied by a width is chosen as a snapshot would be: by `medium_distance`, in two rounds.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from dtclaims.errors import UsageError
from dtclaims.lab.data.policy import LOG_STD_RANGE, Policy
from dtclaims.lab.data.policy_selection import Measured, measure_policy, medium_distance
from dtclaims.seeding import derive

WIDTHS = tuple(round(0.1 * tenth, 1) for tenth in range(5, 31))
"""Half to three times as wide, in tenths: below, a policy is all but deterministic; above, it hardly walks."""

EPISODES = (100, 400)
"""For each width of the first round, and for each of the second: three more widths are not told apart by fewer."""

FINALISTS = 3


@dataclass(frozen=True)
class Width:
    """A width, and what the policy did with it."""

    width: float
    result: Measured


def widened(policy: Policy, width: float) -> Policy:
    """The policy with σ(s) multiplied by `width`, where it is not clipped (`LOG_STD_RANGE`).

    Raises:
        UsageError: not a positive number.
    """
    if not 0 < width < math.inf:
        raise UsageError("a width is a positive number", given=width, expected=f"e**{LOG_STD_RANGE[0]} or more")
    tensors = dict(policy.tensors)
    tensors["log_std.bias"] = tensors["log_std.bias"] + np.float32(math.log(width))
    return Policy(policy.task, tensors)


def choose_width(
    policy: Policy,
    *,
    simulator: str,
    seed: int,
    workers: int = 1,
    widths: Sequence[float] = WIDTHS,
    episodes: tuple[int, int] = EPISODES,
    progress: Callable[[str], None] | None = None,
) -> tuple[Width, list[Width]]:
    """The width at which a policy is nearest to D4RL's medium set, and the first round's measurements, in order.

    Every width of a round meets the same starts and draws.

    Args:
        policy: a medium policy.
        simulator: in which.
        seed: of episodes.
        workers: physics workers; does not change the result.
        widths: candidates.
        episodes: of each candidate, and of each finalist.
        progress: called with one line per measurement.

    Raises:
        UsageError: no candidate, or no such simulator.
        SimulatorError: it is not here.
    """
    if not widths:
        raise UsageError("no width to choose from", given=list(widths))
    task = policy.task

    def measure(candidates: Sequence[float], count: int) -> list[Width]:
        own, found = derive(seed, f"width/{task.name}/{count}") % 2**31, []
        for width in candidates:
            result = measure_policy(widened(policy, width), count, seed=own, workers=workers, simulator=simulator)
            found.append(Width(width, result))
            if progress is not None:
                progress(f"{task.name}, noise {width:g} times as wide: {result.mean:.0f} ± {result.std:.0f}")
        return found

    def distance(one: Width) -> float:
        return medium_distance(task, task.medium_return, one.result)

    first = measure(widths, episodes[0])
    finalists = sorted(one.width for one in sorted(first, key=distance)[:FINALISTS])
    return min(measure(finalists, episodes[1]), key=distance), first
