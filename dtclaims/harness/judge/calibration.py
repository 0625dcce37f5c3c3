"""What a claim's own test says of the paper's own values: an instrument that fails there cannot refute the paper."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from dtclaims.errors import UsageError
from dtclaims.harness.declare.claim import Form
from dtclaims.harness.declare.exceptions import Exempt, exceptions_beside
from dtclaims.harness.judge.entries import PaperReading
from dtclaims.harness.lab import NotShown, PublishedValues
from dtclaims.harness.plan.cells import WHOLE, Cell
from dtclaims.harness.stats.trends import Trend


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
    """What the claim's published test says of the paper's own values; of a claim with parts, what theirs say too.

    A failure that stands beside the claims as an exception (`dtclaims.harness.declare.exceptions`) says why.
    """
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
        component = cell.named(one.part, one.task)
        why = [each.reason for each in _exempt(cell, one.seed, component)] if verdict is False else []
        found.append(PaperReading(one.seed, component, one.effect, verdict, _joined([*why, one.note])))
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
    said = [[one.holds for one in group] for group in _required(cell, found, seed)]
    one_of_each = [True in group or (None if None in group else False) for group in said]
    return False if False in one_of_each else None if None in one_of_each or not said else True


def _required(cell: Cell, found: Sequence[PaperReading], seed: int) -> list[list[PaperReading]]:
    """What has to hold: of each group one reading."""
    form, primary = cell.claim.form, cell.claim.primary
    said = {one.component: one for one in found if one.seed == seed}
    required = [[said[part.claim.id]] for part in cell.parts if part.claim.id in said]
    if form is not None:
        tasks = (primary,) if primary else cell.declared_tasks or (WHOLE,)
        for part in form.trends:
            named = [said[name] for task in tasks if (name := cell.named(part, task)) in said]
            required += [named] if part in form.any_of and named else [[one] for one in named]
    return required


def _of_parts(cell: Cell) -> Iterator[PaperReading]:
    for part in cell.parts:
        if "published" not in part.claim.protocols:
            continue
        theirs = readings(part)
        for seed in dict.fromkeys(one.seed for one in theirs):
            verdict = whole(part, theirs, seed)
            of_seed = [one for one in theirs if one.seed == seed]
            # Of a failure what is said of what failed, else why something is not shown.
            alike = [one.note for one in of_seed if one.holds is verdict] if verdict is not True else []
            yield PaperReading(seed, part.claim.id, None, verdict, _joined(alike))


def _joined(notes: Iterable[str]) -> str:
    return "; ".join(dict.fromkeys(note for note in notes if note))


def _exempt(cell: Cell, seed: int, component: str) -> list[Exempt]:
    beside = exceptions_beside(cell.claim.file.parent)
    return [one for one in beside if one.claim == cell.claim.id and one.covers(seed, component)]


# --- all claims at once -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    """One line of `dtclaims calibrate`."""

    claim: str
    protocol: str
    seed: int
    """Of the paper."""
    part: str
    effect: float | None
    said: Literal["holds", "fails", "not shown"]
    reason: str
    exception: bool = False
    """Whether the failure stands beside the claims as the paper's own."""

    def to_json(self) -> dict[str, object]:
        """The line as plain data."""
        return dict(vars(self))


@dataclass(frozen=True)
class Calibration:
    """What the published tests of some claims say of the paper's own values."""

    rows: tuple[Row, ...]
    failing: tuple[str, ...]
    """Claims that fail on the paper's main seed without being an exception."""
    stale: tuple[str, ...]
    """Exceptions that fail no more, or whose direction holds: each as a sentence."""

    def to_json(self) -> dict[str, object]:
        """All of it as plain data."""
        return {
            "rows": [one.to_json() for one in self.rows],
            "failing": list(self.failing),
            "stale": list(self.stale),
        }

    def summary(self) -> list[str]:
        """How many hold, by seed of the paper, and what is wrong."""
        lines = []
        for seed in dict.fromkeys(one.seed for one in self.rows):
            said = [one for one in self.rows if one.seed == seed]
            counts = [f"{sum(one.said == word for one in said)} {word}" for word in SAID.values()]
            excepted = sum(one.exception for one in said)
            lines.append(f"seed {seed}: {', '.join(counts)}" + (f"; {excepted} by exceptions" if excepted else ""))
        lines += [f"fails on the paper's own values, and is no exception: {name}" for name in self.failing]
        return [*lines, *self.stale]


def calibrate(cells: Sequence[Cell]) -> Calibration:
    """Run every published form on the paper's own values.

    Args:
        cells: of claims, in any protocol.

    Raises:
        UsageError: the lab has no values of the paper's, or exceptions that are not of the form.
    """
    rows: list[Row] = []
    failing: list[str] = []
    stale: list[str] = []
    for cell in cells:
        published = cell.lab.published
        if published is None:
            raise UsageError(
                f"the lab {cell.lab.name} has no values of the paper's own",
                expected="`published`, as `dtclaims.harness.lab.PublishedValues` describes it",
            )
        found = readings(cell) if "published" in cell.claim.protocols else []
        rows += [_row(cell, one) for one in found]
        if not _excused(cell, found, published.seeds[0]):
            failing.append(cell.claim.id)
        stale += _stale(cell, found)
    return Calibration(tuple(rows), tuple(failing), tuple(stale))


SAID: Mapping[bool | None, Literal["holds", "fails", "not shown"]] = {True: "holds", False: "fails", None: "not shown"}


def _row(cell: Cell, one: PaperReading) -> Row:
    excepted = one.holds is False and _excused_reading(cell, one)
    return Row(cell.claim.id, "published", one.seed, one.component, one.effect, SAID[one.holds], one.note, excepted)


def _excused(cell: Cell, found: Sequence[PaperReading], seed: int) -> bool:
    """Whether all that makes a claim fail on a seed is an exception; true of one that does not fail."""
    groups = _required(cell, found, seed)
    fatal = [group for group in groups if all(one.holds is False for one in group)]
    return all(_excused_reading(cell, one) for group in fatal for one in group)


def _excused_reading(cell: Cell, one: PaperReading) -> bool:
    for part in cell.parts:
        if part.claim.id == one.component:
            return _excused(part, readings(part), one.seed)
    return bool(_exempt(cell, one.seed, one.component))


def _stale(cell: Cell, found: Sequence[PaperReading]) -> Iterator[str]:
    trends = dict[str, Trend]()
    for part, trend in cell.claim.form.trends.items() if cell.claim.form else ():
        trends |= {cell.named(part, task): trend for task in cell.declared_tasks or (WHOLE,)}
    for exempt in exceptions_beside(cell.claim.file.parent):
        if exempt.claim != cell.claim.id:
            continue
        name = " ".join(str(part) for part in (exempt.claim, exempt.seed, exempt.component) if part)
        meant = [one for one in found if one.holds is False and exempt.covers(one.seed, one.component)]
        if not meant:
            yield f"{name} is an exception, and does not fail"
        for one in meant:
            if one.component not in trends or one.effect is None:
                yield f"{name} fails through {one.component}: the exception is that claim's"
            elif trends[one.component].kind != "rate" and trends[one.component].holds_for(one.effect):
                yield f"{name} is an exception, though only {one.component}'s size fails: its direction holds"
