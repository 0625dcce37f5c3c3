"""No peeking: how often a claim was judged on fewer of the same seeds before (statistics rule 10).

Adding seeds until a verdict pleases finds one too often. The store therefore remembers on which seeds each cell was
judged; every further look at a growing set spends its share of alpha.
"""

from collections.abc import Mapping

from dtclaims.addresses import key_of
from dtclaims.harness.plan.plan import Plan
from dtclaims.harness.store.results import Results


def count_looks(cell: tuple[str, str, str], plan: Plan, results: Results) -> int:
    """Looks at this cell's data, this one included; this one is remembered."""
    now = _look(cell, plan)
    if now not in results.looks(cell):
        results.add_look(cell, now)
    return 1 + len(earlier_looks(cell, plan, results))


def earlier_looks(cell: tuple[str, str, str], plan: Plan, results: Results) -> list[dict[str, str]]:
    """Earlier looks that count: their seeds are some but not all of today's, and what was measured on them is the same.

    After a change of code or data it is another experiment.
    """
    now = _look(cell, plan)
    return [look for look in results.looks(cell) if _is_part(look, now)]


def _look(cell: tuple[str, str, str], plan: Plan) -> dict[str, str]:
    return {str(seed): key_of({"keys": by_task}) for seed, by_task in plan.needs[cell].items()}


def _is_part(look: Mapping[str, str], now: Mapping[str, str]) -> bool:
    return len(look) < len(now) and all(now.get(seed) == key for seed, key in look.items())
