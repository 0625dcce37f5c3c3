"""Looks: what share of alpha a verdict may spend, where the same claim is judged on a growing set of seeds."""

from dtclaims.errors import StatisticsError
from dtclaims.harness.stats.intervals import FEWEST_SEEDS, spent

FIRST_SHARE = 0.7
"""Of what is left of alpha, the share that each declared look but the last spends.

Ours: at five seeds unanimity has p = 1/32, so the first look of "5,8" must have more than that of 0.05: 0.035. The
rest, 0.015, is enough for eight of eight (1/256).
"""


def level_of_look(alpha: float, declared: tuple[int, ...] | None, n: int, earlier: int) -> float:
    """The share of alpha that a verdict on `n` seeds may spend.

    Declared looks (5, then 8) spend 0.7 of what is left each, and the last one the rest: 0.035 + 0.015 of 0.05, so that
    a false verdict at any of them has a probability of at most alpha. One that was waited for without an earlier look
    also has what those before it would have spent.

    Without a declaration each look spends alpha / (looks so far), as in edition 1: that holds for the last verdict
    alone, not for the best of several. A look that is none of the declared pays for these as well.

    Args:
        alpha: of the claim, on each side, over all looks.
        declared: sizes at which it was declared to be judged, growing; None if none were.
        n: seeds of this look.
        earlier: looks before this one that count.

    Raises:
        StatisticsError: an alpha that cannot be used, sizes that do not grow from three on, or a negative count.
    """
    if earlier < 0:
        raise StatisticsError("earlier looks cannot be counted", given=earlier, expected="0 or more")
    plan = check_looks(declared) if declared is not None else ()
    if n not in plan:
        return spent(alpha, 1 + earlier + len(plan))
    place = plan.index(n)
    shares = [FIRST_SHARE * (1 - FIRST_SHARE) ** before for before in range(len(plan) - 1)]
    shares.append((1 - FIRST_SHARE) ** (len(plan) - 1))
    if not earlier:
        return spent(alpha) * sum(shares[: place + 1])
    # Looks beyond those that were declared to come before are paid for as undeclared ones.
    return min(spent(alpha) * shares[place], spent(alpha, 1 + earlier))


def check_looks(declared: tuple[int, ...]) -> tuple[int, ...]:
    """The sizes of declared looks, if they can be.

    Raises:
        StatisticsError: none, or sizes that do not grow from three on.
    """
    steps = zip((FEWEST_SEEDS - 1, *declared), declared, strict=False)
    if not declared or not all(isinstance(size, int) and size > before for before, size in steps):
        raise StatisticsError(
            "looks cannot be declared so", given=declared, expected=f"growing numbers of seeds from {FEWEST_SEEDS} on"
        )
    return declared
