"""What a cell's seeds share: over what its interval runs, and what counts as one independent observation."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from dtclaims.harness.plan.cells import Cell
from dtclaims.harness.plan.plan import Plan

JOINED = " and "
"""Between the levels that one seed has of one factor (a data set a task), and between the levels that make a unit."""


@dataclass(frozen=True)
class Factors:
    """What the results of a cell rest on that other results might not, such as a pre-trained checkpoint."""

    levels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Factor → its levels, in the order of the seeds that have them."""
    by_seed: Mapping[int, str] = field(default_factory=dict)
    """Seed → its unit: its levels of the factors that vary, of all of them where none does; empty where there are
    none."""

    @property
    def varying(self) -> tuple[str, ...]:
        """Factors with several levels."""
        return tuple(name for name, levels in self.levels.items() if len(levels) > 1)

    @property
    def unit_of(self) -> Mapping[int, str]:
        """Seed → its unit where some factor varies; empty where each seed is an observation of its own.

        `dtclaims.harness.stats.units` takes it.
        """
        return self.by_seed if self.varying else {}

    def sentence(self) -> str:
        """Over what an interval runs: what it says something about, and what it cannot."""
        count = len(self.by_seed)
        seeds = f"{count} {'seed' if count == 1 else 'seeds'}"
        fixed = {name: levels[0] for name, levels in self.levels.items() if len(levels) == 1}
        one = [f"one {name} ({level})" for name, level in fixed.items()]
        spread = {name: self.levels[name] for name in self.varying}
        several = [f"{len(found)} {name}s ({', '.join(found)})" for name, found in spread.items()]
        over = f" over {JOINED.join(several)}" if several else ""
        unit = [f"the unit is the {' with the '.join(self.varying)}"] if several else []
        says = [f"says {', '.join(f'this {name}' for name in fixed)}"] if fixed else []
        said = "; ".join([*unit, *says])
        return ", ".join([seeds + over, *one]) + (f": {said}" if said else "")


def factors_of(plan: Plan, cell: Cell) -> Factors:
    """What a cell's seeds rest on, as the readings of its plan say; nothing of a cell that is made of its parts."""
    found: dict[int, dict[str, set[str]]] = {}
    for seed, by_task in plan.needs.get(cell.name, {}).items():
        of_seed = found.setdefault(seed, {})
        said = [plan.readings[key].reading.factors for needs in by_task.values() for key in needs.values()]
        # The reading that has most of them has them in the lab's order.
        for factors in sorted(said, key=len, reverse=True):
            for factor, level in factors.items():
                of_seed.setdefault(factor, set()).add(level)
    joined = {seed: {name: JOINED.join(sorted(each)) for name, each in of.items()} for seed, of in found.items()}
    levels: dict[str, dict[str, None]] = {}
    for of in joined.values():
        for factor, level in of.items():
            levels.setdefault(factor, {})[level] = None
    several = {name for name, each in levels.items() if len(each) > 1} or set(levels)
    by_seed = {seed: JOINED.join(level for name, level in of.items() if name in several) for seed, of in joined.items()}
    return Factors({name: tuple(each) for name, each in levels.items()}, by_seed)
