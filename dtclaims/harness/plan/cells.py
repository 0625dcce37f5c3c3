"""What is judged as a unit: one claim under one protocol at one scale."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dtclaims.harness.declare.claim import SINGLE, Claim, Form
from dtclaims.harness.declare.registry import parts_of
from dtclaims.harness.lab import Lab, Scale, Setting

if TYPE_CHECKING:
    from dtclaims.harness.settings import Settings

Name = tuple[str, str, str]
"""Claim id, protocol, scale."""

WHOLE = ""
"""Stands for the task of a claim that compares tasks, and where a lab has none."""


@dataclass(frozen=True)
class Cell:
    """One claim under one protocol at one scale."""

    claim: Claim
    protocol: Setting
    scale: Scale
    lab: Lab = field(compare=False)
    tasks: tuple[str, ...] = ()
    """Tasks of the session; a claim is judged on those of them it speaks of."""

    @property
    def name(self) -> Name:
        """Claim id, protocol, scale."""
        return (self.claim.id, self.protocol.name, self.scale.name)

    @property
    def form(self) -> Form | None:
        """How the claim is tested here; None if by its parts alone."""
        return self.claim.under(self.protocol)

    @property
    def declared_tasks(self) -> tuple[str, ...]:
        """Tasks that the claim speaks of, each tested alone."""
        return self.lab.tasks[:1] if self.claim.tasks is None else self.claim.tasks

    @property
    def judged_tasks(self) -> tuple[str, ...]:
        """Those of them that it is tested on here; the one empty name if there is nothing to choose."""
        if not self.declared_tasks:
            return (WHOLE,)
        return tuple(task for task in self.declared_tasks if task in self.tasks)

    @property
    def primary(self) -> str | None:
        """The task that decides here; None where all of them do, or the one that would is not in the session."""
        return self.claim.primary if self.claim.primary in self.judged_tasks else None

    @property
    def parts(self) -> "list[Cell]":
        """The cells of the claim's parts."""
        return [self.of(part) for part in parts_of(self.claim)]

    def of(self, claim: Claim) -> "Cell":
        """Another claim's cell in the same session."""
        return Cell(claim, self.protocol, self.scale, self.lab, self.tasks)

    def under(self, protocol: Setting) -> "Cell":
        """The claim under another protocol."""
        return Cell(self.claim, protocol, self.scale, self.lab, self.tasks)

    def component(self, part: str, task: str) -> str:
        """The name of one part on one task, as short as it can be told apart."""
        return _named(part, task, len(self.judged_tasks) > 1)

    def named(self, part: str, task: str) -> str:
        """The same of all tasks that the claim speaks of, whichever the session has."""
        return _named(part, task, len(self.declared_tasks) > 1)


def _named(part: str, task: str, several: bool) -> str:
    if not several:
        return part
    return task if part == SINGLE else f"{part} ({task})"


def cells_of(claims: Iterable[Claim], settings: "Settings") -> list[Cell]:
    """Every claim under every protocol asked for, at the scale asked for."""
    return [
        Cell(one, protocol, settings.scale, settings.lab, settings.tasks)
        for one in claims
        for protocol in settings.protocols
    ]
