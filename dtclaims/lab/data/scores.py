"""What score 0 and score 100 mean: the references of normalised scores (protocol §5; DEV-29)."""

import json
import shlex
from pathlib import Path
from typing import Any

from dtclaims.errors import FixtureError, UsageError
from dtclaims.lab.data.simulators import D4RL_SIMULATOR, V4, check_simulator
from dtclaims.lab.design.tasks import Task
from dtclaims.places import fixture_dir, home

SCORE_REFERENCES = ("dataset_means", "d4rl", "own_simulator")
"""The paper's mean dataset returns, D4RL's constants, or our own policies measured in the simulator of the runs."""


def references_file(simulator: str = V4) -> Path:
    """Where the measured references of a simulator are: those that ship, else those that were measured here."""
    name = "references.json" if simulator == V4 else f"references-{simulator}.json"
    shipped = fixture_dir() / name
    return shipped if shipped.is_file() or simulator == V4 else home() / name


def references_command(simulator: str = V4, task: str = "all") -> str:
    """The command that measures them."""
    return f"dtclaims data references {task}" + ("" if simulator == V4 else f" --simulator {simulator}")


def measured_references(simulator: str = V4) -> dict[str, Any]:
    """The measured references of a simulator, with their provenance (`dtclaims data references`).

    Raises:
        UsageError: no such simulator.
        FixtureError: there are none, the file is unreadable, or it is of another simulator.
    """
    path = references_file(check_simulator(simulator))
    remedy = f"Measure them: `{references_command(simulator)} --out {shlex.quote(str(path))}`."
    try:
        references: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise FixtureError(
            f"the score references of {simulator} were not measured", given=f"no {path}", remedy=remedy
        ) from None
    except (OSError, ValueError) as error:
        raise FixtureError("the score references cannot be read", given=f"{path} ({error})", remedy=remedy) from None
    # Before there was a choice, they were v4's.
    if (of := references.get("simulator", V4)) != simulator:
        raise FixtureError(
            "the score references are of another simulator", given=f"{path}: {of}", expected=simulator, remedy=remedy
        )
    return references


def score_reference(task: Task, name: str, simulator: str = V4) -> tuple[float, float]:
    """The (random, expert) returns that scores 0 and 100 stand for.

    Args:
        task: which environment.
        name: one of `SCORE_REFERENCES`.
        simulator: that runs were evaluated in: `own_simulator` is its own; the others are constants, of D4RL's.

    Raises:
        UsageError: no such reference or simulator.
        FixtureError: `own_simulator` was not measured for the task in that simulator.
    """
    if name == "d4rl":
        return task.d4rl_reference
    if name == "dataset_means":
        return task.dataset_mean_reference
    if name != "own_simulator":
        raise UsageError("unknown score reference", given=repr(name), expected=f"one of {', '.join(SCORE_REFERENCES)}")
    try:
        measured = measured_references(simulator)["tasks"][task.name]
        return measured["random"]["mean"], measured["expert"]["mean"]
    except KeyError:
        command = f"{references_command(simulator)} --out {shlex.quote(str(references_file(simulator)))}"
        raise FixtureError(
            f"no score references of {task.name} in {simulator}", remedy=f"Measure them: `{command}`."
        ) from None


def reference_simulator(name: str, simulator: str) -> str:
    """The simulator that a score reference was measured in, for runs that were evaluated in some."""
    return simulator if name == "own_simulator" else D4RL_SIMULATOR
