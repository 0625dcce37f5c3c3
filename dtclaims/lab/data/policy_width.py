"""Fit a shipped medium policy to D4RL's level in another simulator, by the width of its noise alone.

A policy chosen in one simulator earns something else in another (docs/simulators.md). Training one anew takes hours of
a core; how wide a tanh-Gaussian's noise is is one number, and returns follow it smoothly. The policy with σ(s) times a
width is chosen as a snapshot would be, by `medium_distance`, in two rounds.
"""

import hashlib
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dtclaims import __version__
from dtclaims.errors import UsageError
from dtclaims.lab.cards import WEIGHTS_FILE, checked_card, write_card
from dtclaims.lab.data.collect import policy_folder
from dtclaims.lab.data.policy import Policy
from dtclaims.lab.data.policy_selection import FRESH_EPISODES, Measured, measure_policy, medium_distance, rounded
from dtclaims.lab.data.simulators import world
from dtclaims.lab.design.tasks import Task
from dtclaims.seeding import derive

WIDTHS = tuple(tenth / 10 for tenth in range(5, 26))
"""Candidates: below, a policy is all but deterministic; above, returns no longer fall smoothly. Ours."""

EPISODES = (100, 400)
"""For each candidate, and for each finalist. Ours: the standard error of Hopper's mean is 40, then 20."""

FINALISTS = 3


def widened(policy: Policy, width: float) -> Policy:
    """The policy with σ(s) times `width`, where log σ is not clipped (`dtclaims.lab.data.policy.LOG_STD_RANGE`).

    Raises:
        UsageError: not a positive number.
    """
    if not 0 < width < math.inf:
        raise UsageError("a width is a positive number", given=width)
    bias = policy.tensors["log_std.bias"] + np.float32(math.log(width))
    return Policy(policy.task, {**policy.tensors, "log_std.bias": bias})


def choose_width(
    policy: Policy,
    *,
    simulator: str,
    seed: int,
    workers: int = 1,
    widths: Sequence[float] = WIDTHS,
    episodes: tuple[int, int] = EPISODES,
    progress: Callable[[str], None] | None = None,
) -> tuple[float, list[tuple[float, Measured]]]:
    """The width at which a policy is nearest to D4RL's medium set, and all that was measured, both rounds in order.

    All candidates of a round meet the same starts and draws.

    Args:
        policy: a medium policy.
        simulator: in which.
        seed: of the episodes.
        workers: physics workers; does not change the result.
        widths: candidates, of σ.
        episodes: of each candidate, and of each finalist.
        progress: called with one line per measurement.

    Raises:
        UsageError: no candidate, or no such simulator.
        SimulatorError: it is not here.
    """
    if not widths:
        raise UsageError("no width to choose from", given=list(widths))
    task = policy.task

    def measure(candidates: Sequence[float], count: int) -> list[tuple[float, Measured]]:
        own, found = derive(seed, f"width/{task.name}/{count}") % 2**31, []
        for width in candidates:
            result = measure_policy(widened(policy, width), count, seed=own, workers=workers, simulator=simulator)
            found.append((width, result))
            if progress is not None:
                progress(f"{task.name}, noise {width:g} times as wide: {result.mean:.0f} ± {result.std:.0f}")
        return found

    def distance(one: tuple[float, Measured]) -> float:
        return medium_distance(task, task.medium_return, one[1])

    first = measure(widths, episodes[0])
    last = measure(sorted(width for width, _ in sorted(first, key=distance)[:FINALISTS]), episodes[1])
    return min(last, key=distance)[0], first + last


def fit_policy(
    task: Task,
    *,
    simulator: str,
    seed: int,
    out: Path,
    workers: int = 1,
    progress: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Write the shipped medium policy, fitted to a simulator, into the folder `out`; its card.

    Args:
        task: which environment.
        simulator: that the policy is to have D4RL's medium return in.
        seed: of the episodes that it is chosen and measured on.
        out: folder.
        workers: physics workers; does not change the result.
        progress: called with one line per measurement.

    Raises:
        UsageError: no such simulator.
        SimulatorError: it is not here.
        FixtureError: the shipped policy is missing or is not the recorded file.
    """
    # The one that was trained: a policy fitted before is not fitted again.
    folder = policy_folder(task.name, "medium")
    trained, policy = checked_card(folder), Policy.load(folder, task)
    version = world(simulator).version()
    width, measured = choose_width(policy, simulator=simulator, seed=seed, workers=workers, progress=progress)
    chosen, fresh_seed = widened(policy, width), derive(seed, "width/fresh") % 2**31
    fresh = measure_policy(chosen, FRESH_EPISODES["medium"], seed=fresh_seed, workers=workers, simulator=simulator)
    out.mkdir(parents=True, exist_ok=True)
    weights = out / WEIGHTS_FILE
    chosen.save(weights)
    content = weights.read_bytes()
    card = {
        "schema": 1,
        "kind": "policy",
        "name": f"{task.name}-medium-{simulator}",
        "made_with": f"dtclaims data fit-policy {task.name} --simulator {simulator} --seed {seed}",
        "licence": trained["licence"],
        "origin": {
            "method": f"the policy {trained['name']} with its noise {width:g} times as wide",
            "policy": trained["name"],
            "sha256": trained["files"][WEIGHTS_FILE]["sha256"],
            "width": width,
            "simulator": simulator,
            "level": "medium",
            "target_return": task.medium_return,
            "seed": seed,
        },
        "versions": {"dtclaims": __version__, "numpy": np.__version__} | version,
        "results": {
            "stochastic_policy": rounded(next(result for other, result in reversed(measured) if other == width)),
            "fresh_episodes": {"seed": fresh_seed, **rounded(fresh)},
            "candidates": {
                "columns": ["width", "episodes", "mean", "std"],
                "rows": [[w, m.episodes, round(m.mean, 1), round(m.std, 1)] for w, m in measured],
            },
        },
        "files": {WEIGHTS_FILE: {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}},
    }
    return write_card(out, card)
