"""What a claim says about the per-seed effect, declared before any run (statistics rules 5 to 7)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from dtclaims.errors import StatisticsError
from dtclaims.harness.stats.effects import finite

Kind = Literal["above", "below", "equivalent", "holds_in"]


@dataclass(frozen=True)
class Predicate:
    """A declared statement about one effect per seed. Make it with `above`, `below`, `equivalent` or `holds_in`.

    Raises:
        StatisticsError: an unknown kind, a number that is not finite, an equivalence margin that is not
            positive, or a share outside (0.5, 1].
    """

    kind: Kind
    value: float
    """Threshold, margin or share, in the unit of the effect."""
    null: float | None
    """The effect that means "no difference": 0 for differences, 1 for ratios, None for a level or a set."""

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise StatisticsError("unknown predicate", given=repr(self.kind), expected=f"one of {get_args(Kind)}")
        object.__setattr__(self, "value", finite(self.value, "the number to compare with of a predicate"))
        if self.null is not None:
            object.__setattr__(self, "null", finite(self.null, "the no-effect value of a predicate"))
        if self.kind == "equivalent" and self.value <= 0:
            raise StatisticsError("an equivalence margin must be positive", given=self.value, expected="> 0")
        if self.kind == "holds_in" and not 0.5 < self.value <= 1:
            raise StatisticsError("a share of seeds must be a majority", given=self.value, expected="0.5 < share <= 1")

    def __str__(self) -> str:
        if self.kind == "above":
            return f"> {self.value:g}"
        if self.kind == "below":
            return f"< {self.value:g}"
        if self.kind == "holds_in":
            return f"true in at least {self.value:.4g} of the seeds"
        shift = f" {'-' if self.null > 0 else '+'} {abs(self.null):g}" if self.null else ""
        return f"|effect{shift}| < {self.value:g}"

    @property
    def sides(self) -> tuple[tuple[int, float], ...]:
        """The one-sided statements that make up the claim: (1, c) says effect > c, (-1, c) says effect < c.

        An equivalence has two, a directional claim one. A set claim is "more than half of the 0 and 1 effects are 1".
        """
        if self.kind == "equivalent":
            centre = self.null or 0.0
            return (1, centre - self.value), (-1, centre + self.value)
        if self.kind == "holds_in":
            return ((1, 0.5),)
        return ((1 if self.kind == "above" else -1, self.value),)

    def holds_for(self, effect: float) -> bool:
        """Whether one seed's effect, taken alone, is on the claimed side."""
        return all(sign * effect > sign * cut for sign, cut in self.sides)

    def to_json(self) -> dict[str, object]:
        """The predicate as JSON types; `from_json` reads it back."""
        return {"kind": self.kind, "value": self.value, "null": self.null}

    @classmethod
    def from_json(cls, stored: Mapping[str, object]) -> "Predicate":
        """The predicate that `to_json` wrote.

        Raises:
            StatisticsError: keys other than those written, or a value no predicate can have.
        """
        if set(stored) != {"kind", "value", "null"}:
            raise StatisticsError("not a stored predicate", given=sorted(stored), expected="kind, value and null")
        return cls(**stored)  # type: ignore[arg-type]  # __post_init__ checks every field


def above(threshold: float, null: float | None = 0.0) -> Predicate:
    """Claim that the mean effect is above `threshold`.

    `null` is the effect that means "no difference" and only chooses the word for a refutation:
    0 for differences, 1 for ratios, None for a level (a score of at least 47 has no null).
    """
    return Predicate("above", threshold, null)


def below(threshold: float, null: float | None = 0.0) -> Predicate:
    """Claim that the mean effect is below `threshold`: the mirror image of `above`."""
    return Predicate("below", threshold, null)


def equivalent(margin: float, to: float = 0.0) -> Predicate:
    """Claim that the mean effect is within `margin` of `to`, by two one-sided tests (TOST)."""
    return Predicate("equivalent", margin, to)


def holds_in(share: float = 0.8) -> Predicate:
    """Claim that a statement, true (1.0) or false (0.0) in each seed, is true in at least `share` of the seeds."""
    return Predicate("holds_in", share, None)
