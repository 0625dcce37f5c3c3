"""Claims made of claims, and the family of headline claims (statistics rules 8 and 9)."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from dtclaims.harness.stats.multiplicity import holm
from dtclaims.harness.stats.rules import Outcome
from dtclaims.harness.stats.verdict import Turn

Told = Outcome | Literal["not_run", "not_evaluable"]
"""What can be said of a claim: an outcome, that nothing was measured, or that what it presupposes is not there."""

WORST_FIRST: tuple[Told, ...] = ("error", "refuted", "not_run", "not_evaluable", "inconclusive", "reproduced")
OWN = "its own effect"


@dataclass(frozen=True)
class Said:
    """What is said of one of the things that a claim is made of."""

    outcome: Told
    reason: str = ""
    provisional: bool = False
    n: int = 0
    """Seeds; 0 where nothing was judged."""
    p_value: float | None = None
    turn: Turn = ""
    p_t: float | None = None
    p_free: float | None = None
    p_against: float | None = None
    gate_against: bool = False


@dataclass(frozen=True)
class Composite:
    """The verdict on a claim that holds only if its parts do."""

    outcome: Told
    reason: str
    provisional: bool
    n: int
    """Seeds of the part that has fewest, of those that were judged."""
    p_value: float | None
    """The largest of the parts' (rule 8); None if one of them has none."""
    decided_by: tuple[str, ...]
    """Names of what decided it."""
    turn: Turn = ""
    """Why it is refuted. Like what follows, of edition 2 only, and as in `CombinedVerdict`."""
    p_t: float | None = None
    p_free: float | None = None
    p_against: float | None = None
    gate_against: bool = False


def judge_composite(parts: Mapping[str, Said], *, own: Said | None = None, left_out: Sequence[str] = ()) -> Composite:
    """Judge a claim by its parts: refuted if one is, reproduced if all are, and an error before all else.

    Args:
        parts: id to what is said of it; may be empty only where there is an effect of its own.
        own: what the claim's own effect says, if it has one.
        left_out: ids of parts that cannot be tested where this is judged; they have no say.
    """
    said = {OWN: own, **parts} if own is not None else dict(parts)
    outcome: Told = min((part.outcome for part in said.values()), key=WORST_FIRST.index, default="not_run")
    decided_by = tuple(name for name, part in said.items() if part.outcome == outcome)
    word = outcome.replace("_", " ")
    reason = "every part is reproduced" if outcome == "reproduced" else f"{word}: {', '.join(decided_by)}"
    if own is not None and own.reason:
        reason = f"{reason}; own effect: {own.reason}"
    if left_out:
        reason += f"; left out, as this protocol cannot test it: {', '.join(left_out)}"
    known = [part.p_value for part in said.values() if part.p_value is not None]
    return Composite(
        outcome,
        reason,
        provisional=any(part.provisional for part in said.values()),
        n=min((part.n for part in said.values() if part.outcome not in ("error", "not_run")), default=0),
        p_value=max(known) if known and len(known) == len(said) else None,
        decided_by=decided_by,
    )


@dataclass(frozen=True)
class Headline:
    """A claim that feeds a headline, where it was judged."""

    id: str
    column: tuple[str, str]
    """Protocol and scale."""
    outcome: Told
    p_value: float | None
    p_t: float | None = None
    p_free: float | None = None


def stand_together(headlines: Iterable[Headline], alpha: float) -> dict[tuple[str, str, str], bool]:
    """Which reproduced headline claims stand after Holm, by id, protocol and scale.

    The family is all headline claims of a column that were judged: of those whose numbers are not there nothing was
    asked.
    """
    judged = [one for one in headlines if one.outcome not in ("not_run", "error")]
    found: dict[tuple[str, str, str], bool] = {}
    for column in dict.fromkeys(one.column for one in judged):
        family = [one for one in judged if one.column == column]
        stands = holm({one.id: one.p_value for one in family}, alpha)
        found |= {(one.id, *column): stands[one.id] for one in family if one.outcome == "reproduced"}
    return found
