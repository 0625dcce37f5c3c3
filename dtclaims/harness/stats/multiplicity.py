"""Many claims at once: Holm's step-down rule (rule 9)."""

from collections.abc import Mapping

from dtclaims.errors import StatisticsError
from dtclaims.harness.stats.intervals import spent


def holm(p_values: Mapping[str, float | None], alpha: float = 0.05) -> dict[str, bool]:
    """Which claims stand when all of them share one error probability `alpha`.

    The p-values are sorted, p_(1) <= ... <= p_(M), and the walk stops at the first
    p_(j) > alpha / (M - j + 1). A headline counts a claim that is reproduced *and* stands: the p-value
    does not know of the agreement gate.

    Args:
        p_values: one-sided p of each claim, times its number of looks; None (no test was possible) counts in M
            and never stands.
        alpha: probability of one false claim or more among those that stand.

    Returns:
        Whether each claim stands, in the order given.

    Raises:
        StatisticsError: a p-value outside [0, 1], or alpha outside (0, 0.5).
    """
    level = spent(alpha)
    for name, p in p_values.items():
        if p is not None and not 0 <= p <= 1:
            raise StatisticsError(f"the p-value of {name} cannot be used", given=p, expected="0 to 1, or None")
    stands = dict.fromkeys(p_values, False)
    tested = sorted((p, name) for name, p in p_values.items() if p is not None)
    for j, (p, name) in enumerate(tested):
        if p > level / (len(p_values) - j):
            break
        stands[name] = True
    return stands
