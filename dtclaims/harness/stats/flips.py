"""Several parts at once without counting each for itself: sign flips of whole seeds (a max-T test)."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

    Numbers = np.ndarray[Any, np.dtype[Any]]

ENUMERATED = 12
"""Up to so many seeds all 2^n flips are made; beyond, `DRAWN` of them."""

DRAWN = 4096

FIRST_STEP = 0.1
"""Share of the level that pays for setting aside the parts that firmly hold."""


def flip_p(against: Sequence[Sequence["Numbers"]], level: float) -> list[float]:
    """p of each requirement failing, paid for their number, by a sign-flip max-T test in two steps.

    Were each part at the cut that refutes it, and its effects symmetric about that, the signs of a whole seed could be
    turned without a change of law. So the largest t of all parts, over all ways to turn seeds, says how far the largest
    goes by luck; that parts go together is in it, as all parts of a seed turn at once. But the t of a part that firmly
    holds would be as large once every seed is turned: with five seeds and one such part nothing could be refuted. So
    first those parts are set aside that lie on the claimed side by t at a tenth of the level, and what is left is
    compared at nine tenths (the two steps of Romano, Shaikh and Wolf, Econometrica 82, 2014, for moment inequalities;
    `dtclaims/docs/verdicts.md` has the rates of both).

    Args:
        against: by requirement one matrix for each of its members, all of which must fail: seeds × ways in which the
            member can be refuted, effects as distances beyond the cut (positive is against the claim). Seeds in
            one order.
        level: probability that any requirement may fail though all hold; the first step depends on it.

    Returns:
        To be compared with the level: the second step's p, raised to pay for the first; 1 for what that set aside.
    """
    import numpy as np

    signs = _signs(len(against[0][0]))
    rest = [place for place, members in enumerate(against) if not _firm(members, FIRST_STEP * level)]
    if not rest:
        return [1.0] * len(against)
    # By member the larger of the ways in which it can be refuted, by requirement the least of its members.
    rise = np.array([np.min([_rise(signs, one).max(axis=1) for one in against[place]], axis=0) for place in rest])
    largest = rise.max(axis=0)
    p = [1.0] * len(against)
    for place, found in zip(rest, rise, strict=True):
        # Turning none is the first of the ways. Rounding must not tell equal ones apart.
        p[place] = min(1.0, float(np.mean(largest >= found[0] - 1e-12)) / (1 - FIRST_STEP))
    return p


def _rise(signs: "Numbers", against: "Numbers") -> "Numbers":
    """Of each way to turn seeds, Σx / √Σx² of each column: grows with t, is finite without spread, and 0 of zeros."""
    import numpy as np

    # Powers of two change no digit, and keep squares of the largest effects finite.
    largest = np.abs(against).max(axis=0)
    scaled = against / np.where(largest > 0, 2.0 ** np.ceil(np.log2(np.where(largest > 0, largest, 1.0))), 1.0)
    root = np.sqrt((scaled**2).sum(axis=0))
    rise: Numbers = (signs @ scaled) / np.where(root > 0, root, 1.0)
    return rise


def _firm(members: Sequence["Numbers"], level: float) -> bool:
    """Whether one of the members lies, by t, on the claimed side of all that would refute it."""
    import numpy as np
    from scipy.special import stdtr

    for one in members:
        n, mean, sd = len(one), one.mean(axis=0), one.std(axis=0, ddof=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            p = np.where(sd > 0, stdtr(n - 1, mean / (sd / np.sqrt(n))), mean >= 0)
        if (p < level).all():
            return True
    return False


def _signs(n: int) -> "Numbers":
    """Ways to turn n seeds, none turned first; the same whenever they are asked for."""
    import numpy as np

    if n <= ENUMERATED:
        return 1.0 - 2.0 * ((np.arange(2**n)[:, None] >> np.arange(n)) & 1)
    from dtclaims.seeding import generator

    drawn = 1.0 - 2.0 * generator(n, "sign flips").integers(0, 2, size=(DRAWN, n))
    drawn[0] = 1.0
    return drawn
