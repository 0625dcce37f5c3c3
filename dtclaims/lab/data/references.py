"""Measure the score references in a simulator of ours: a random policy and the shipped experts."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from dtclaims import __version__
from dtclaims.errors import UsageError
from dtclaims.lab.cards import WEIGHTS_FILE, checked_card
from dtclaims.lab.data.collect import policy_folder
from dtclaims.lab.data.policy import Policy
from dtclaims.lab.data.policy_selection import Actor, measure_policy, rounded
from dtclaims.lab.data.scores import references_command
from dtclaims.lab.data.simulators import V4, world
from dtclaims.lab.design.tasks import Task
from dtclaims.seeding import derive

EPISODES = 100


class RandomPolicy:
    """Independent actions, uniform in [−1, 1]: what score 0 stands for."""

    def __init__(self, task: Task) -> None:
        self.task = task

    def act(self, states: npt.NDArray[np.floating], rng: np.random.Generator) -> npt.NDArray[np.float32]:
        """Actions (n, A) for n states."""
        return rng.uniform(-1, 1, (len(states), self.task.action_dim)).astype(np.float32)


def measure_references(
    tasks: Sequence[Task],
    *,
    episodes: int = EPISODES,
    seed: int = 0,
    workers: int = 1,
    simulator: str = V4,
    progress: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Mean returns of the random policy and the shipped stochastic expert, with where they come from.

    Episodes end at a terminal or after 1000 steps. Episode seeds derive from (seed, task, policy) and are none
    that the expert was chosen on.

    Args:
        tasks: which environments.
        episodes: for each policy.
        seed: of initial states and actions.
        workers: physics workers; does not change the result.
        simulator: in which.
        progress: called with one line per result.

    Returns:
        A document for the simulator's file of references (`dtclaims.lab.data.scores.references_file`).

    Raises:
        UsageError: fewer than one episode, or no such simulator.
        SimulatorError: it is not here.
        FixtureError: an expert is missing or is not the recorded file.
    """
    if episodes < 1:
        raise UsageError("references need at least one episode", given=episodes)
    measured: dict[str, Any] = {}
    for task in tasks:
        folder = policy_folder(task.name, "expert", simulator)
        card = checked_card(folder)
        sha256 = card["files"][WEIGHTS_FILE]["sha256"]
        actors: dict[str, tuple[Actor, dict[str, str]]] = {
            "random": (RandomPolicy(task), {"policy": "uniform actions in [-1, 1]"}),
            "expert": (Policy.load(folder, task), {"policy": card["name"], "sha256": sha256}),
        }
        measured[task.name] = {}
        for name, (actor, described) in actors.items():
            own = derive(seed, f"references/{task.name}/{name}") % 2**31
            result = rounded(measure_policy(actor, episodes, seed=own, workers=workers, simulator=simulator))
            measured[task.name][name] = {**described, "seed": own, **result}
            if progress is not None:
                progress(f"{task.name} {name}: {result['mean']:.2f} ± {result['std']:.2f} ({episodes} episodes)")
    whole = tasks[0].name if len(tasks) == 1 else "all"
    command = references_command(simulator, whole)
    return {
        "schema": 1,
        "kind": "references",
        "made_with": f"{command} --episodes {episodes} --seed {seed}",
        "licence": "MIT",
        "simulator": simulator,
        "versions": {"dtclaims": __version__, "numpy": np.__version__} | world(simulator).version(),
        "tasks": measured,
    }
