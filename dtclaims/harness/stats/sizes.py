"""How large an effect is beside what the paper reports. No verdict comes from it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import fsum, isfinite, sqrt
from statistics import mean, stdev
from typing import Literal

from dtclaims.errors import StatisticsError
from dtclaims.harness.stats.effects import numbers_of, unusable
from dtclaims.harness.stats.exact import share_bounds
from dtclaims.harness.stats.intervals import FEWEST_SEEDS, spent, t_quantile
from dtclaims.harness.stats.trends import TRUTHS, Trend

SizeWord = Literal["as large as reported", "smaller", "larger"]


@dataclass(frozen=True)
class Size:
    """An effect beside the paper's value for the same effect."""

    word: SizeWord
    paper: float
    """The paper's value; of several seeds their mean."""
    low: float
    high: float
    """Ends of the interval that it was held against."""
    how: Literal["prediction", "ours", "exact"]
    """Where the paper's mean is expected by what we found (prediction), or our own interval: by t, or of a share."""

    def to_json(self) -> dict[str, object]:
        """All fields as JSON types."""
        return dict(vars(self))


def compare(effects: Mapping[int, float], trend: Trend, paper: Sequence[float], *, level: float = 0.05) -> Size | None:
    """Compare an effect with the paper's value, in the direction that is claimed.

    The paper's values of two seeds or more are no truth but a sample, too. Their mean is held against the prediction
    interval for the mean of so many seeds from ours, m -+ t(1 - level, n - 1) * s * sqrt(1/n + 1/k): so Patil, Peng and
    Leek (Perspectives on Psychological Science 11, 2016) ask whether a replication agrees with its original. Our spread
    stands for the paper's, as two seeds have none to speak of. One number, of which it is not known how many seeds it
    is of, is held against our own interval of the mean; of truth values the share that the paper has against the exact
    interval of ours.

    *Larger* is further in the direction claimed; of an equivalence, which claims none, further from its null on the
    side where the paper's value is.

    Args:
        effects: by seed.
        trend: what is claimed of them.
        paper: the paper's value by seed, or one number.
        level: of the interval, on each side.

    Returns:
        None where nothing can be said: no value of the paper, fewer than three seeds, or an effect that is no number.

    Raises:
        StatisticsError: effects that are not numbers keyed by seed, a paper's value that is not finite, or a level that
            cannot be used.
    """
    numbers, level = numbers_of(effects), spent(level)
    if wrong := [value for value in paper if not isfinite(value)]:
        raise StatisticsError("a value of the paper that is no number", given=wrong, expected="finite numbers")
    if not paper or len(numbers) < FEWEST_SEEDS or unusable(numbers):
        return None
    values, reported = list(numbers.values()), fsum(paper) / len(paper)
    if trend.kind in TRUTHS:
        low, high = share_bounds(sum(value == 1 for value in values), len(values), level)
        return Size(_word(reported, low, high, 1), reported, low, high, "exact")
    several = len(paper) > 1
    width = 1 / len(values) + (1 / len(paper) if several else 0)
    half = t_quantile(1 - level, len(values) - 1) * stdev(values) * sqrt(width)
    low, high = mean(values) - half, mean(values) + half
    word = _word(reported, low, high, _direction(trend, reported))
    return Size(word, reported, low, high, "prediction" if several else "ours")


def _direction(trend: Trend, paper: float) -> int:
    if trend.kind != "equivalence":
        return trend.direction
    assert trend.null is not None
    return -1 if paper < trend.null else 1


def _word(paper: float, low: float, high: float, direction: int) -> SizeWord:
    if low <= paper <= high:
        return "as large as reported"
    return "larger" if (paper < low) == (direction > 0) else "smaller"
