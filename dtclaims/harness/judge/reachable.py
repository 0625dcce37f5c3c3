"""What a cell tests, and which verdicts it could have at all: known before any run."""

from collections.abc import Callable, Mapping
from typing import Any

from dtclaims.harness.plan.cells import Cell
from dtclaims.harness.stats.reach import Reach, reach, reach_whole


def tested(cell: Cell) -> dict[str, Any]:
    """What the rule is told of a cell's own effect, by component; nothing of a claim that has only parts."""
    form = cell.form
    if form is None:
        return {}

    def components(parts: Mapping[str, Any]) -> dict[str, Any]:
        found = {cell.component(part, task): value for task in cell.judged_tasks for part, value in parts.items()}
        # One that is judged on none of the session's tasks still says what it would judge.
        return found or dict(parts)

    primary = cell.primary
    groups = [frozenset(cell.component(part, task) for task in cell.judged_tasks) for part in sorted(form.any_of)]
    return {
        "trends": components(form.trends),
        "units": components(form.units),
        "any_of": tuple(groups),
        "deciding": None if primary is None else frozenset(cell.component(part, primary) for part in form.trends),
        "effect": form.effect,
    }


def testable(cell: Cell) -> list[Cell]:
    """The parts of a claim that its protocol can test."""
    return [part for part in cell.parts if cell.protocol.base in part.claim.protocols]


def reach_of(cell: Cell, observations: Callable[[Cell], int], *, alpha: float, sharing: int = 1) -> Reach:
    """Which verdicts a cell could have, whatever the results say.

    Args:
        cell: a claim under a protocol that can test it.
        observations: how many independent ones a cell has.
        alpha: of the verdict.
        sharing: among how many parts of a composite around it alpha is shared (`dtclaims.harness.stats.reach`).
    """
    parts = testable(cell)
    sharing *= max(1, len(parts) + (cell.form is not None))
    found = [reach_of(part, observations, alpha=alpha, sharing=sharing) for part in parts]
    n = observations(cell)
    if cell.form is not None and not cell.judged_tasks:
        found.append(Reach(n, False, False, None, None))
    elif cell.form is not None:
        asked = tested(cell)
        own = reach(
            asked["trends"], n, any_of=asked["any_of"], deciding=asked["deciding"], alpha=alpha, sharing=sharing
        )
        found.append(own)
    return found[0] if len(found) == 1 else reach_whole(found, n)
