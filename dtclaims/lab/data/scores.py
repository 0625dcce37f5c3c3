"""What score 0 and score 100 mean: the references of normalised scores (protocol §5; DEV-29)."""

import json
from typing import Any

from dtclaims.errors import FixtureError, UsageError
from dtclaims.lab.design.tasks import Task
from dtclaims.places import fixture_dir

REFERENCES_FILE = "references.json"

SCORE_REFERENCES = ("dataset_means", "d4rl", "own_simulator")
"""The paper's mean dataset returns, D4RL's constants, or our own policies measured on our own simulator."""


def shipped_references() -> dict[str, Any]:
    """The measured references that ship, with their provenance (`dtclaims data references`).

    Raises:
        FixtureError: the file is missing or unreadable.
    """
    path = fixture_dir() / REFERENCES_FILE
    remedy = "Remake it: dtclaims data references all --out " + str(path)
    try:
        references: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise FixtureError("the score references cannot be read", given=f"{path} ({error})", remedy=remedy) from None
    return references


def score_reference(task: Task, name: str) -> tuple[float, float]:
    """The (random, expert) returns that scores 0 and 100 stand for.

    Args:
        task: which environment.
        name: one of `SCORE_REFERENCES`.

    Raises:
        UsageError: no such reference.
        FixtureError: `own_simulator` was not measured for the task.
    """
    if name == "d4rl":
        return task.d4rl_reference
    if name == "dataset_means":
        return task.dataset_mean_reference
    if name != "own_simulator":
        raise UsageError("unknown score reference", given=repr(name), expected=f"one of {', '.join(SCORE_REFERENCES)}")
    try:
        measured = shipped_references()["tasks"][task.name]
        return measured["random"]["mean"], measured["expert"]["mean"]
    except KeyError:
        raise FixtureError(f"no score references of {task.name}", remedy="dtclaims data references all") from None
