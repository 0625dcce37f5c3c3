"""The words of verdicts, and the words a lab brings: each in one place, for terminal, pages, options and badges."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from dtclaims.harness.records import Record
from dtclaims.harness.stats.rules import Outcome

Status = Outcome | Literal["not_run", "not_evaluable"]
"""What an entry says of its claim: an outcome of the statistics, that nothing was measured, or that what the claim
presupposes was not the case."""


@dataclass(frozen=True)
class Said:
    """How one verdict is spoken of."""

    meaning: str
    letter: str
    """In pytest's line of progress."""
    symbol: str
    """Before the word, where there is no colour."""


VERDICTS: Mapping[Status, Said] = {
    "reproduced": Said("the whole interval lies on the claimed side, and the seeds agree", "R", "✓"),
    "refuted": Said("the whole interval lies on the other side, and the seeds agree on that", "X", "✗"),
    "inconclusive": Said("these seeds allow neither, which is not evidence against the claim", "i", "≈"),
    "not_evaluable": Said(
        "what the claim presupposes was not shown here, so a test would say nothing; the card shows it",
        "v",
        "◇",
    ),
    "not_run": Said("nothing was measured; the card gives the command that would", "n", "○"),
    "error": Said("a run or a measurement failed, so there is no number to judge", "E", "⚠"),
}
"""Each verdict, from the one a reader hopes for to the one that says least."""

STATUSES: tuple[Status, ...] = tuple(VERDICTS)

UNDECIDED: frozenset[Status] = frozenset(("not_evaluable", "not_run", "error"))
"""Nothing was judged."""

PROTOCOLS: Mapping[str, str] = {
    "published": "what the reference code really does, audited differences included",
    "corrected": "the same comparison with the audited confounds removed",
}
"""The two ends that claims are tested at, and what each is."""


def word(verdict: str) -> str:
    """The verdict as prose: `not_run` is "not run"."""
    return verdict.replace("_", " ")


def option(verdict: Status) -> str:
    """The verdict as a user types it: `not_run` is "not-run"."""
    return verdict.replace("_", "-")


@dataclass(frozen=True)
class Words(Record):
    """What a lab calls things: a report carries it, so that its pages need no lab."""

    scales: Mapping[str, str] = field(default_factory=dict)
    """Each scale with what a verdict at it says, the smallest first."""
    run: str = ""
    """What tells runs apart beside the seed, as in "arm, task, context length"."""
    values: Mapping[str, str] = field(default_factory=dict)
    """How a value of a run's condition is written where it does not speak for itself: `{"context": "K={}"}`."""

    def condition(self, values: Mapping[str, str | int | None]) -> list[str]:
        """The parts of a run's condition that have a value, each as it is written."""
        plain = {name: "{}" if isinstance(value, str) else f"{name}={{}}" for name, value in values.items()}
        # Not str.format: a report from elsewhere must not reach into Python's objects.
        return [
            self.values.get(name, plain[name]).replace("{}", str(value))
            for name, value in values.items()
            if value is not None and value != ""
        ]
