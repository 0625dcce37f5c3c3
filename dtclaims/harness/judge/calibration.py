"""What a claim's own test says of the paper's own values: an instrument that fails there cannot refute the paper."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from dtclaims.harness.declare.claim import Form
from dtclaims.harness.judge.entries import PaperReading
from dtclaims.harness.lab import NotShown, PublishedValues
from dtclaims.harness.plan.cells import WHOLE, Cell
from dtclaims.harness.stats.trends import Trend

NO_CONTROL = "the paper has no such comparison: it is the corrected test"


@dataclass(frozen=True)
class Drawn:
    """One effect as the paper's own values give it."""

    seed: int
    """Of the paper."""
    task: str
    part: str
    effect: float | None
    """None where the paper does not show it."""
    note: str = ""


def drawn_effects(cell: Cell) -> list[Drawn]:
    """The effect of every part on every task that a cell is about, of each seed of the paper's.

    They are of the published form; a cell whose protocol tests another statistic has none.
    """
    published, form = cell.lab.published, cell.claim.form
    if published is None or form is None or "published" not in cell.claim.protocols:
        return []
    tasks = cell.declared_tasks or (WHOLE,)
    return [one for seed in published.seeds for task in tasks for one in _drawn(published, form, task, seed)]


def _drawn(published: PublishedValues, form: Form, task: str, seed: int) -> Iterator[Drawn]:
    try:
        asked = [(name, need, need.task or task or None) for name, need in form.needs.items()]
        values = {name: published.value(need, chosen, seed) for name, need, chosen in asked}
        notes = dict.fromkeys(note for _, need, chosen in asked if (note := published.note(need, chosen, seed)))
        # A value may hold what is not shown: it says so when it is read.
        effects = form(**values)
    except NotShown as reason:
        for part in form.trends:
            yield Drawn(seed, task, part, None, str(reason))
        return
    for part, effect in effects.items():
        yield Drawn(seed, task, part, effect, "; ".join(notes))


def holds(trend: Trend, effect: float, others: Mapping[int, float]) -> bool | None:
    """Whether a trend would hold, were the paper's effect of one seed the whole truth.

    Args:
        trend: as declared.
        effect: of one seed of the paper's.
        others: of all its seeds. A rate is a statement about several, which one of them cannot settle.
    """
    if trend.kind == "rate":
        return len(set(others.values())) > 1 if len(others) > 1 else None
    return trend.holds_exactly(effect)


def readings(cell: Cell) -> list[PaperReading]:
    """What the claim's published test says of the paper's own values; of a claim with parts, what theirs say too."""
    form = cell.claim.form
    found = []
    drawn = drawn_effects(cell)
    for one in drawn:
        assert form is not None
        alike = {
            other.seed: other.effect
            for other in drawn
            if (other.task, other.part) == (one.task, one.part) and other.effect is not None
        }
        verdict = None if one.effect is None else holds(form.trends[one.part], one.effect, alike)
        found.append(PaperReading(one.seed, cell.named(one.part, one.task), one.effect, verdict, one.note))
    return [*found, *_of_parts(cell)]


def whole(cell: Cell, found: Sequence[PaperReading], seed: int) -> bool | None:
    """Whether a claim as a whole holds on the paper's values of one seed: by what decides, and of a group by one part.

    Args:
        cell: the claim.
        found: its `readings`.
        seed: of the paper.

    Returns:
        None where that cannot be told from what the paper shows.
    """
    form, primary = cell.claim.form, cell.claim.primary
    said = {one.component: one.holds for one in found if one.seed == seed}
    required: list[list[bool | None]] = [[said[part.claim.id]] for part in cell.parts if part.claim.id in said]
    if form is not None:
        tasks = (primary,) if primary else cell.declared_tasks or (WHOLE,)
        for part in form.trends:
            named = [said[name] for task in tasks if (name := cell.named(part, task)) in said]
            required += [named] if part in form.any_of and named else [[one] for one in named]
    one_of_each = [True in group or (None if None in group else False) for group in required]
    return False if False in one_of_each else None if None in one_of_each or not required else True


def _of_parts(cell: Cell) -> Iterator[PaperReading]:
    for part in cell.parts:
        if "published" not in part.claim.protocols:
            continue
        theirs = readings(part)
        for seed in dict.fromkeys(one.seed for one in theirs):
            notes = dict.fromkeys(one.note for one in theirs if one.seed == seed and one.holds is None and one.note)
            yield PaperReading(seed, part.claim.id, None, whole(part, theirs, seed), "; ".join(notes))
