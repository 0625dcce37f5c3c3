"""One effect per seed: what can be judged, and what cannot."""

import math
from collections.abc import Mapping, Sequence
from numbers import Integral

from dtclaims.errors import StatisticsError

LARGEST_EFFECT = 1e150
"""A larger effect is no measurement: its square would overflow."""


def numbers_of(effects: Mapping[int, float]) -> dict[int, float]:
    """The effects as numbers by seed.

    Raises:
        StatisticsError: effects that are not numbers keyed by seed.
    """
    if not isinstance(effects, Mapping):
        raise StatisticsError("effects are not keyed by seed", given=type(effects).__name__, expected="{seed: effect}")
    numbers: dict[int, float] = {}
    for seed, effect in effects.items():
        if not isinstance(seed, Integral):
            raise StatisticsError("effects are not keyed by seed", given=repr(seed), expected="whole numbers as keys")
        try:
            numbers[seed] = float(effect)
        except (TypeError, ValueError):
            raise StatisticsError(f"the effect of seed {seed} is not one number", given=repr(effect)) from None
    return numbers


def finite(number: object, name: str) -> float:
    """A declared number as a float.

    Args:
        number: as it was given.
        name: what a message calls it.

    Raises:
        StatisticsError: not a number, or not a finite one.
    """
    try:
        value = float(number)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        value = math.nan
    if not math.isfinite(value):
        raise StatisticsError(f"{name} must be finite", given=repr(number))
    return value


def unusable(numbers: Mapping[int, float]) -> str:
    """A sentence naming every seed without a usable number, or nothing."""
    bad = [seed for seed, value in numbers.items() if not abs(value) <= LARGEST_EFFECT]
    return "; ".join(f"the effect of seed {seed} is {numbers[seed]:g}" for seed in sorted(bad))


def superiority(effects: Sequence[float], null: float | None) -> float | None:
    """P(A > B): the share of effects above `null`, ties half; None without a null or an effect."""
    if null is None or not effects:
        return None
    return sum((x > null) + 0.5 * (x == null) for x in effects) / len(effects)
