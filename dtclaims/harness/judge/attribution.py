"""Which switches a verdict hangs on: one-switch-at-a-time variants, then the smallest set that flips it.

From each end (`published`, `corrected`) a claim is tested again with one switch at its other value. If no single
switch flips the verdict, switches are added in the order of how far each moved the effect, until one does: the set
found is the smallest of those tried, not of all there are.

That a verdict changes does not show that the switch moved anything: where the interval of the effect straddles what was
claimed, noise changes the verdict too. So each set comes with the interval of the difference that it makes, seed by
seed (`Moved`), and only where that leaves 0 out a set is called enough.
"""

import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence

from dtclaims.harness.judge.entries import SEED, Attribution, Effect, Entry, Moved, Variant
from dtclaims.harness.judge.words import UNDECIDED
from dtclaims.harness.plan.cells import Cell
from dtclaims.harness.plan.plan import Plan
from dtclaims.harness.stats.composites import OWN
from dtclaims.harness.stats.intervals import FEWEST_SEEDS, t_quantile

Verdicts = Callable[[Cell], Entry]
Flipped = Callable[[Sequence[str]], Entry]
"""The entry of one cell with some switches at their other value."""


def variants(cell: Cell, factors: tuple[str, ...]) -> dict[str, Cell]:
    """The cell with one switch flipped, by switch."""
    return {switch: _flipped(cell, (switch,)) for switch in factors}


def relevant(cell: Cell, others: Mapping[str, Cell], plan: Plan) -> dict[str, Cell]:
    """Those of the variants that rest on other measurements or another form of the claim than the cell itself."""

    def rests_on(one: Cell) -> object:
        return plan.reading_keys(one), id(one.form), one.name in plan.unavailable

    return {switch: other for switch, other in others.items() if rests_on(other) != rests_on(cell)}


def next_set(cell: Cell, singles: Mapping[str, Cell], judge: Verdicts, tried: int) -> Cell | None:
    """The next larger set of switches to try, or None if enough is known.

    Args:
        cell: whose verdict is to be explained.
        singles: its variants of one switch.
        judge: the entry of a cell.
        tried: how many switches the largest set so far had.
    """
    under = _under(cell, judge)
    order = ordered(singles, under)
    if tried >= len(order) or _smallest(order, under, tried):
        return None
    return _flipped(cell, order[: tried + 1])


def attribution(cell: Cell, singles: Mapping[str, Cell], judge: Verdicts, tried: int) -> Attribution:
    """What the report says of the switches of a cell, as `explained`.

    Args:
        cell: whose verdict is explained.
        singles: its variants of one switch.
        judge: the entry of a cell.
        tried: how many switches the largest set tried had; at least 1.
    """
    return explained(singles, _under(cell, judge), tried)


def explained(factors: Iterable[str], under: Flipped, tried: int) -> Attribution:
    """What switches do to a verdict: each one's effect and verdict, and the smallest set that flips it.

    Args:
        factors: the switches.
        under: the entry with some switches flipped; with none it is the one to explain.
        tried: how many switches the largest set tried had; at least 1.
    """
    order, base = ordered(factors, under), under([])
    smallest = _smallest(order, under, tried)
    return Attribution(
        {switch: _variant(base, under([switch])) for switch in order},
        tuple(smallest),
        moved(base, under(smallest)) if smallest else None,
    )


def larger_sets(cell: Cell, singles: Iterable[str], judge: Verdicts, tried: int) -> list[Cell]:
    """The cells with two switches flipped or more that were tried."""
    order = ordered(singles, _under(cell, judge)) if tried > 1 else []
    return [_flipped(cell, order[:size]) for size in range(2, tried + 1)]


def ordered(factors: Iterable[str], under: Flipped) -> list[str]:
    """Switches by how far each alone moves the mean effect, most first."""
    base = under([]).effect.mean

    def moved(switch: str) -> float:
        mean = under([switch]).effect.mean
        return abs(mean - base) if mean is not None and base is not None else 0.0

    return sorted(factors, key=lambda switch: (-moved(switch), switch))


def _smallest(order: list[str], under: Flipped, tried: int) -> list[str]:
    """The first set that flips the verdict: of single switches, then of the foremost 2, 3, … up to `tried`; or none.

    Single switches whose difference is shown come first.
    """
    base = under([])
    verdict = base.verdict
    singles = sorted(order, key=lambda switch: not moved(base, under([switch])).shown)
    sets = [[switch] for switch in singles] + [order[:size] for size in range(2, tried + 1)]
    for one in sets:
        if under(one).verdict not in {*UNDECIDED, verdict}:
            return one
    return []


def _under(cell: Cell, judge: Verdicts) -> Flipped:
    return lambda switches: judge(_flipped(cell, switches))


def _flipped(cell: Cell, switches: Iterable[str]) -> Cell:
    protocol = cell.protocol
    for switch in sorted(switches):
        protocol = protocol.flipped(switch)
    return cell.under(protocol)


def _variant(base: Entry, entry: Entry) -> Variant:
    return Variant(entry.effect.mean, entry.effect.low, entry.effect.high, entry.verdict, moved(base, entry))


NOTHING = Moved(None, None, None)


def moved(base: Entry, other: Entry) -> Moved:
    """By how much the effect that decided one entry is moved in another: paired by seed, a t interval at its level.

    There is a mean wherever both measured the same quantity on a seed, and an interval from three seeds on; none where
    several seeds share what is to be counted as one, since entries do not say which (`Over.unit`).

    Args:
        base: a claim's entry under a protocol.
        other: the same with some switches flipped.
    """
    before, after = _decisive(base, other)
    if before is None or after is None or (before.name, before.unit) != (after.name, after.unit):
        return NOTHING
    differences = [value - before.per_seed[seed] for seed, value in after.per_seed.items() if seed in before.per_seed]
    if not differences:
        return NOTHING
    n, mean = len(differences), statistics.fmean(differences)
    shared = any(one.unit != SEED for one in (base, other))
    if n < FEWEST_SEEDS or base.statistics is None or shared:
        return Moved(mean, None, None)
    half = t_quantile(1 - base.statistics.level, n - 1) * statistics.stdev(differences) / math.sqrt(n)
    return Moved(mean, mean - half, mean + half)


def _decisive(base: Entry, other: Entry) -> tuple[Effect | None, Effect | None]:
    """The effect that an entry's verdict came from, in both; None where it came from its parts."""
    if base.parts and OWN not in base.decided_by:
        return None, None
    if not base.components and not other.components:
        return base.effect, other.effect
    for name in base.decided_by:
        if name in base.components and name in other.components:
            return base.components[name].effect, other.components[name].effect
    return None, None
