"""What reproduces and what refutes a trend of the mean: the sides of each kind (`dtclaims/docs/verdicts.md`)."""

from dataclasses import dataclass

from dtclaims.harness.stats.trends import Trend
from dtclaims.harness.stats.verdict import Turn


@dataclass(frozen=True)
class Side:
    """All effects above (sign 1) or below (sign -1) a cut."""

    sign: int
    cut: float
    turn: Turn = ""
    """What a mean that is shown to lie here makes of the claim; empty for what is claimed."""
    named: str = ""
    """What the cut is, where a bare number would not say it."""

    def __contains__(self, effect: float) -> bool:
        return self.sign * effect > self.sign * self.cut

    def __str__(self) -> str:
        return f"{'above' if self.sign > 0 else 'below'} {self.cut:g}{self.named}"


def claimed(trend: Trend) -> tuple[Side, ...]:
    """The sides that the mean lies on, all of them, if the trend holds."""
    if trend.kind == "equivalence":
        low, high = margins(trend)
        return Side(1, low), Side(-1, high)
    return (Side(trend.direction, trend.cut),)


def against(trend: Trend) -> tuple[Side, ...]:
    """The sides that refute it, one of them being enough, the stronger word first.

    A contrast below its null is also below its smallest effect of interest: of two sides the last one is the wider.
    """
    other = -trend.direction
    match trend.kind:
        case "contrast":
            turned = Side(other, trend.cut, "reversed")
            small = Side(other, trend.least, "absent", ", the smallest effect of interest")
            return (turned, small) if trend.interest else (turned,)
        case "equivalence":
            low, high = margins(trend)
            return Side(1, high, "reversed"), Side(-1, low, "reversed")
        case "non-inferiority":
            return (Side(other, trend.cut, "reversed"),)
        case _:
            return (Side(other, trend.cut, "absent"),)


def chances(trend: Trend) -> int:
    """How many chances the trend gives to refute it by luck: a margin can be left on two sides, which share alpha."""
    return 2 if trend.kind == "equivalence" else 1


def margins(trend: Trend) -> tuple[float, float]:
    """The ends of an equivalence's margin."""
    assert trend.null is not None
    assert trend.bound is not None
    return trend.null - trend.bound, trend.null + trend.bound


def centre(trend: Trend) -> float:
    """What an effect size is counted from: the null, or the bound of a level."""
    return trend.cut if trend.null is None else trend.null
