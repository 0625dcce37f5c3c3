"""Which headlines stand when all of them share alpha."""

from collections.abc import Iterable
from dataclasses import dataclass

from dtclaims.harness.stats.composites import Headline
from dtclaims.harness.stats.intervals import FULL_SEEDS, spent
from dtclaims.harness.stats.multiplicity import holm

Key = tuple[str, str, str]
"""Id, protocol, scale."""


@dataclass(frozen=True)
class Standing:
    """Whether a reproduced headline claim stands after Holm, and in what family."""

    stands_t: bool
    """By t: if seeds are normal. Edition 1 knows this one only."""
    stands_free: bool | None
    """By the p that assumes no distribution."""
    family: int
    """Headline claims of the same protocol and scale that were judged, whatever came of it."""
    seeds_free: int | None
    """Fewest seeds with which a claim of this family can stand at all by the latter: 2^-n <= alpha / family."""


def stand_twice(headlines: Iterable[Headline], alpha: float) -> dict[Key, Standing]:
    """Which reproduced headline claims stand after Holm, by t and assuming no distribution.

    The family is all headline claims of a column that were judged: of those whose numbers are not there nothing was
    asked. One that turned out not to be evaluable was asked, and counts.
    """
    judged = [one for one in headlines if one.outcome not in ("not_run", "error")]
    found: dict[Key, Standing] = {}
    for column in dict.fromkeys(one.column for one in judged):
        family = [one for one in judged if one.column == column]
        by_t = holm({one.id: one.p_t for one in family}, alpha)
        free = holm({one.id: one.p_free for one in family}, alpha)
        needed = seeds_to_stand(len(family), alpha)
        found |= {
            (one.id, *column): Standing(by_t[one.id], free[one.id], len(family), needed)
            for one in family
            if one.outcome == "reproduced"
        }
    return found


def seeds_to_stand(family: int, alpha: float) -> int:
    """Fewest seeds, five or more, whose unanimity can stand in a family of that size: 2^-n <= alpha / family.

    Raises:
        StatisticsError: an alpha that cannot be used.
    """
    n = FULL_SEEDS
    while 2.0**-n > spent(alpha) / family:
        n += 1
    return n
