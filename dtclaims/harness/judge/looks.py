"""No peeking: how often a claim was judged on some of the same seeds before (statistics rule 10).

Adding seeds until a verdict pleases finds one too often, and so does choosing among those that were looked at. The
store therefore remembers on which seeds each cell was judged, when, and as what it was declared; every further look at
overlapping seeds spends its share of alpha.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dtclaims.addresses import key_of
from dtclaims.errors import NotPermitted
from dtclaims.harness.plan.plan import Plan
from dtclaims.harness.stats.intervals import FEWEST_SEEDS
from dtclaims.harness.stats.trends import Trend
from dtclaims.harness.store.looks import Look
from dtclaims.harness.store.results import Results
from dtclaims.harness.times import now

UNRECORDED = "this look was not recorded: the store may not be written"
CHOSEN = "these seeds were chosen among seeds that had been looked at"


@dataclass(frozen=True)
class Looked:
    """What the looks at a cell's data say of today's."""

    earlier: int
    """Looks before this one that are paid for."""
    warnings: tuple[str, ...] = ()


FREE = Looked(0)
"""A look that can give no verdict costs nothing."""


def look(
    cell: tuple[str, str, str], plan: Plan, results: Results, trends: Mapping[str, Trend], observations: int
) -> Looked:
    """Look at a cell's data: this look is remembered, and those that it has to pay for are counted.

    Args:
        cell: its name.
        plan: with the cell.
        results: where looks are remembered.
        trends: as declared today, by component.
        observations: independent ones among its seeds; with fewer than three no verdict is possible.

    Where the store may not be written the look is not remembered, and that is said.

    Raises:
        StoreError: looks that are damaged or may not be read, or a full disk.
    """
    if observations < FEWEST_SEEDS:
        return FREE
    seeds, known = _seeds(cell, plan), results.looks(cell)
    unrecorded: tuple[str, ...] = ()
    if not any(dict(one.seeds) == seeds for one in known):
        try:
            results.add_look(cell, Look(seeds, now(), trends))
            # With what other sessions have looked at meanwhile.
            known = results.looks(cell)
        except NotPermitted:
            unrecorded = (UNRECORDED,)
    earlier = _before(seeds, known)
    seen = {seed for one in earlier for seed in one.seeds}
    chosen = (CHOSEN,) if seeds.keys() < seen else ()
    own = [one for one in known if dict(one.seeds) == seeds]
    return Looked(len(earlier), (*unrecorded, *chosen, *_changed([*earlier, *own], trends)))


def earlier_looks(cell: tuple[str, str, str], plan: Plan, results: Results) -> list[Look]:
    """Earlier looks that count: at another set of seeds that shares some, with the same measured on those.

    After a change of code or data it is another experiment.
    """
    return _before(_seeds(cell, plan), results.looks(cell))


def _seeds(cell: tuple[str, str, str], plan: Plan) -> dict[str, str]:
    return {str(seed): key_of({"keys": by_task}) for seed, by_task in plan.needs[cell].items()}


def _before(seeds: Mapping[str, str], known: Sequence[Look]) -> list[Look]:
    """What was looked at before these seeds were for the first time; sets too small for a verdict are free."""
    same = [place for place, one in enumerate(known) if dict(one.seeds) == seeds]
    before = known[: same[0]] if same else known
    return [one for one in before if len(one.seeds) >= FEWEST_SEEDS and _overlaps(one.seeds, seeds)]


def _overlaps(look: Mapping[str, str], now: Mapping[str, str]) -> bool:
    shared = look.keys() & now.keys()
    return bool(shared) and all(look[seed] == now[seed] for seed in shared)


def _changed(looks: Sequence[Look], trends: Mapping[str, Trend]) -> tuple[str, ...]:
    """What is declared otherwise today than at some look, as sentences."""
    found: dict[str, None] = {}
    for one in looks:
        for name in trends.keys() & one.trends.keys():
            then, today = one.trends[name], trends[name]
            if _stated(then) != _stated(today):
                of = f" of {name}" if len(trends) > 1 else ""
                date = (one.date or "an unknown day")[:10]
                found[f"declared otherwise at the look of {date}{of}: {then}, now {today}"] = None
    return tuple(sorted(found))


def _stated(trend: Trend) -> tuple[object, ...]:
    """What a trend says; its reasons may be put better."""
    return trend.kind, trend.direction, trend.null, trend.bound, trend.interest
