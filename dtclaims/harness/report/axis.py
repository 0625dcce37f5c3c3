"""Linear axes of the report's drawings."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Axis:
    """A linear scale from values to positions, `low` at `start` and `high` at `end`."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """The position of a value; beyond the ends it stays at the end."""
        share = (value - self.low) / (self.high - self.low)
        return self.start + (self.end - self.start) * min(max(share, 0.0), 1.0)

    def holds(self, value: float) -> bool:
        """Whether a value lies between the ends."""
        return self.low <= value <= self.high

    def ticks(self, parts: int = 4) -> tuple[list[float], int | None]:
        """Round values at about `parts` equal steps, and the decimals that tell them apart; None: use an exponent."""
        raw = (self.high - self.low) / parts
        power = 10.0 ** math.floor(math.log10(raw))
        step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= raw)
        places = max(0, -math.floor(math.log10(step))) if step >= 1e-6 else None
        return [step * k for k in range(math.ceil(self.low / step), math.floor(self.high / step) + 1)], places


def padded(low: float, high: float, share: float = 0.08) -> tuple[float, float] | None:
    """A range with a margin on both sides; None where floating point leaves no axis to stand on."""
    span = high - low
    margin = share * span if span > 1e-9 * max(abs(low), abs(high)) else 0.1 * max(abs(low), abs(high)) or 1.0
    low, high = low - margin, high + margin
    return (low, high) if math.isfinite(high - low) and high - low > 1e-300 else None


def px(position: float) -> str:
    """A position with a tenth of a unit, as short as possible."""
    return f"{position:.1f}".removesuffix(".0")
