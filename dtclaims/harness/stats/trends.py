"""What a claim says of the effect, scale-free: its trend, declared before any run. The verdict comes from it alone.

A trend is one of seven kinds, each with a small table of what reproduces, refutes and leaves it open
(`dtclaims/docs/verdicts.md`). Numbers in it that the paper does not state are this project's choice, and say why.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Literal, get_args

from dtclaims.errors import StatisticsError
from dtclaims.harness.stats.effects import finite

TrendKind = Literal["contrast", "equivalence", "non-inferiority", "share", "rate", "level", "existence"]
TRUTHS: frozenset[str] = frozenset(("share", "rate", "existence"))
"""Kinds whose effect is true (1.0) or false (0.0) in each seed."""


@dataclass(frozen=True)
class Trend:
    """A declared statement about one effect per seed. Made by the functions of this module.

    Raises:
        StatisticsError: a kind that there is not, a number that is missing, not finite or out of range, or a number of
            ours without its reason.
    """

    kind: TrendKind
    direction: Literal[1, -1]
    """Side of the null or bound that is claimed, 1 above; 1 where a kind has no side."""
    null: float | None
    """The effect that means "no difference" (0 for differences, 1 for ratios): of a contrast, equivalence or
    non-inferiority."""
    bound: float | None
    """The margin (equivalence, non-inferiority), the bound (level), the share of seeds (share, rate, existence)."""
    interest: float = 0.0
    """Of a contrast, the smallest effect of interest, counted from the null in the direction claimed."""
    why: str = ""
    """Why `interest` or `bound` is what it is; empty only where neither is a choice of ours."""

    def __post_init__(self) -> None:
        if self.kind not in get_args(TrendKind):
            raise StatisticsError("unknown trend", given=repr(self.kind), expected=f"one of {get_args(TrendKind)}")
        if self.direction not in (1, -1):
            raise StatisticsError("a trend has a direction", given=repr(self.direction), expected="1 or -1")
        needs_null = self.kind in ("contrast", "equivalence", "non-inferiority")
        for name, wanted in (("null", needs_null), ("bound", self.kind != "contrast")):
            value = getattr(self, name)
            if (value is not None) != wanted:
                raise StatisticsError(
                    f"a trend of the kind {self.kind} {'needs' if wanted else 'has no'} {name}",
                    given=repr(value),
                    expected=_EXPECTED[name] if wanted else "None",
                )
            if value is not None:
                object.__setattr__(self, name, finite(value, f"the {name} of a trend"))
        object.__setattr__(self, "interest", finite(self.interest, "the smallest effect of interest"))
        if self.interest < 0 or (self.interest and self.kind != "contrast"):
            raise StatisticsError(
                "a smallest effect of interest cannot be used",
                given=f"{self.interest:g} of a {self.kind}",
                expected="0 or more, counted from the null of a contrast in the direction claimed",
            )
        if self.kind in ("equivalence", "non-inferiority") and not _positive(self.bound):
            raise StatisticsError("a margin must be positive", given=self.bound, expected="> 0")
        if self.kind in TRUTHS and not (self.bound is not None and 0 < self.bound < 1):
            raise StatisticsError(
                "a share of seeds lies between none and all", given=self.bound, expected="0 < share < 1"
            )
        if self.kind == "rate" and not (self.bound is not None and self.bound < 0.5):
            raise StatisticsError("true and false cannot both have such a rate", given=self.bound, expected="< 0.5")
        if not isinstance(self.why, str) or (self._is_ours and not self.why.strip()):
            raise StatisticsError(
                "a number of ours without its reason",
                given=f"{self.kind}, {str(self)!r}, why={self.why!r}",
                expected="why: from noise, or from what a reader would act on",
            )

    @property
    def _is_ours(self) -> bool:
        return bool(self.interest) or self.kind not in ("contrast", "share")

    def __str__(self) -> str:
        sign = ">" if self.direction > 0 else "<"
        match self.kind:
            case "contrast":
                of_interest = f", of interest from {self.least:g}" if self.interest else ""
                return f"{sign} {self.null:g}{of_interest}"
            case "level":
                return f"{sign} {self.bound:g}"
            case "equivalence":
                shift = f" {'-' if self.null > 0 else '+'} {abs(self.null):g}" if self.null else ""
                return f"|effect{shift}| < {self.bound:g}"
            case "non-inferiority":
                return f"{sign} {self.cut:g}"
            case "share":
                return "true in most seeds" if self.bound == 0.5 else f"true in more than {self.bound:g} of the seeds"
            case "rate":
                return f"true in more than {self.bound:g} of the seeds, and false in more than {self.bound:g}"
            case _:
                return f"true in more than {self.bound:g} of the seeds: it exists"

    @property
    def least(self) -> float:
        """Of a contrast, the smallest effect of interest in the effect's own unit."""
        assert self.null is not None
        return self.null + self.direction * self.interest

    @property
    def cut(self) -> float:
        """The one number that the claimed side begins at: null, bound, or what a margin leaves of the null.

        Raises:
            StatisticsError: an equivalence or a rate, which begin at two.
        """
        match self.kind:
            case "contrast":
                assert self.null is not None
                return self.null
            case "non-inferiority":
                assert self.null is not None
                assert self.bound is not None
                return self.null - self.direction * self.bound
            case "level" | "share" | "existence":
                assert self.bound is not None
                return self.bound
            case _:
                raise StatisticsError(f"a trend of the kind {self.kind} begins at two numbers")

    def holds_for(self, effect: float) -> bool:
        """Whether one seed's effect, taken alone, is as claimed: of a truth value, whether it is true."""
        if self.kind in TRUTHS:
            return effect == 1
        if self.kind == "equivalence":
            assert self.null is not None
            assert self.bound is not None
            return abs(effect - self.null) < self.bound
        return self.direction * effect > self.direction * self.cut

    def holds_exactly(self, effect: float) -> bool:
        """Whether the claim would be reproduced, were the effect known to be this: of a contrast also not too small."""
        large = self.kind != "contrast" or self.direction * (effect - self.least) >= 0
        return self.holds_for(effect) and large

    def to_json(self) -> dict[str, Any]:
        """The trend as JSON types; `from_json` reads it back."""
        return {one.name: getattr(self, one.name) for one in fields(self)}

    @classmethod
    def from_json(cls, stored: Mapping[str, object]) -> "Trend":
        """The trend that `to_json` wrote.

        Raises:
            StatisticsError: keys other than those written, or a value no trend can have.
        """
        if set(stored) != {one.name for one in fields(cls)}:
            raise StatisticsError(
                "not a stored trend", given=sorted(stored), expected=", ".join(one.name for one in fields(cls))
            )
        return cls(**stored)  # type: ignore[arg-type]  # __post_init__ checks every field


_EXPECTED = {"null": "the effect that means no difference: 0 for a difference, 1 for a ratio", "bound": "a number"}


def above(null: float = 0.0, *, interest: float = 0.0, why: str = "") -> Trend:
    """A contrast: the mean effect is above `null`.

    Args:
        null: the effect that means "no difference", 0 for differences, 1 for ratios.
        interest: the smallest effect that anybody would call one, counted from the null; an effect that is shown to be
            smaller is *absent*.
        why: of `interest`, from noise or from what a reader would act on, never from the effect it judges.
    """
    return Trend("contrast", 1, null, None, interest, why)


def below(null: float = 0.0, *, interest: float = 0.0, why: str = "") -> Trend:
    """A contrast: the mean effect is below `null`, the mirror image of `above`."""
    return Trend("contrast", -1, null, None, interest, why)


def equivalent(margin: float, *, to: float = 0.0, why: str) -> Trend:
    """The mean effect is within `margin` of `to` (two one-sided tests)."""
    return Trend("equivalence", 1, to, margin, why=why)


def not_below(null: float = 0.0, *, margin: float, why: str) -> Trend:
    """Non-inferiority: the mean effect is not below `null` by `margin` or more."""
    return Trend("non-inferiority", 1, null, margin, why=why)


def not_above(null: float = 0.0, *, margin: float, why: str) -> Trend:
    """Non-inferiority where less is better: the mean effect is not above `null` by `margin` or more."""
    return Trend("non-inferiority", -1, null, margin, why=why)


def level_above(bound: float, *, why: str) -> Trend:
    """A level: the mean effect is above `bound`. Measure it relative to something of the same run."""
    return Trend("level", 1, None, bound, why=why)


def level_below(bound: float, *, why: str) -> Trend:
    """A level: the mean effect is below `bound`."""
    return Trend("level", -1, None, bound, why=why)


def in_most_seeds(share: float = 0.5, *, why: str = "") -> Trend:
    """A statement, true (1.0) or false (0.0) in each seed, is true in more than `share` of all seeds there could be."""
    return Trend("share", 1, None, share, why=why)


def in_some_seeds(rate: float, *, why: str) -> Trend:
    """A rate: a statement is true in more than `rate` of all seeds there could be, and false in more than `rate`."""
    return Trend("rate", 1, None, rate, why=why)


def exists(rate: float, *, why: str) -> Trend:
    """Existence: something is found, which can happen in a seed by luck with a probability of at most `rate`."""
    return Trend("existence", 1, None, rate, why=why)


def _positive(value: float | None) -> bool:
    return value is not None and value > 0
