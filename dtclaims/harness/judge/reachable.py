"""What a cell tests, and which verdicts it could have at all: known before any run."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from dtclaims.harness.declare.claim import Claim
from dtclaims.harness.lab import Lab, protocols_of
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


SIZES = (3, 5, 8)
"""Numbers of seeds that the table of `dtclaims claims --reach` is of: what can be seen, what can be shown, and more."""


@dataclass(frozen=True)
class Reachable:
    """Which verdicts one claim can have under one protocol on some tasks."""

    claim: str
    protocol: str
    tasks: tuple[str, ...]
    """Of the session; none where the lab has none."""
    sizes: tuple[Reach, ...]
    """Of each of `SIZES`."""

    def to_json(self) -> dict[str, object]:
        """The line as plain data."""
        return {
            "claim": self.claim,
            "protocol": self.protocol,
            "tasks": list(self.tasks),
            "sizes": [one.to_json() for one in self.sizes],
        }


def reachable(claims: Iterable[Claim], lab: Lab, *, alpha: float) -> Iterator[Reachable]:
    """Each claim under each protocol that can test it, on the lab's first task alone and on all of them.

    Each seed is taken for an observation of its own. What is judged on none of the tasks is left out.

    Args:
        claims: to ask of.
        lab: theirs.
        alpha: of the verdicts.
    """
    scale, protocols = next(iter(lab.scales.values())), protocols_of(lab.switches)
    sets = dict.fromkeys([lab.tasks[:1], lab.tasks])
    for claim in claims:
        for name in claim.protocols:
            for tasks in sets:
                cell = Cell(claim, protocols[name], scale, lab, tasks)
                if cell.judged_tasks or cell.form is None:
                    yield Reachable(claim.id, name, tasks, tuple(_at(cell, n, alpha) for n in SIZES))


def _at(cell: Cell, n: int, alpha: float) -> Reach:
    return reach_of(cell, lambda _: n, alpha=alpha)
