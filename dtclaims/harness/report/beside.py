"""What stands beside a verdict, in sentences: what was claimed, what decided, how large it is, what the paper's own
data say, and what so many seeds could have said. The same in HTML, in Markdown and in the terminal."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from dtclaims.harness.judge.document import Registration
from dtclaims.harness.judge.entries import (
    Component,
    Effect,
    Entry,
    Key,
    PaperReading,
    Reach,
    Size,
    Statistics,
    TrendShown,
)
from dtclaims.harness.judge.words import word
from dtclaims.harness.report.wording import count, interval, number, p_value
from dtclaims.harness.stats.composites import OWN
from dtclaims.harness.stats.editions import TODAY

OURS = {
    "contrast": "smallest effect of interest",
    "equivalence": "margin",
    "non-inferiority": "margin",
    "level": "bound",
    "share": "share of seeds",
    "rate": "rate",
    "existence": "rate",
}
"""What the number of ours in a trend is, by its kind."""


@dataclass(frozen=True)
class Shown:
    """The number that a verdict came from."""

    effect: Effect
    trend: TrendShown
    statistics: Statistics | None
    n: int
    paper: tuple[float, ...]
    through: tuple[str, ...] = ()
    """What it is of, outermost first: parts and a component; empty where it is an effect of the claim itself."""

    @property
    def name(self) -> str:
        """`through` as text."""
        return ", ".join(self.through)


def shown(entry: Entry, entries: Mapping[Key, Entry]) -> Shown | None:
    """The number that an entry's verdict came from.

    Args:
        entry: of a report.
        entries: of the same report, by key.

    Returns:
        None where nothing was measured, or where several things decided and none of them stands for all: then they are
        counted (`wording.gist`). A refuted claim shows the first that refuted it.
    """
    deciding = deciders(entry)
    if entry.parts and OWN not in deciding:
        if entry.verdict != "refuted" and len(deciding) > 1:
            return None
        # Without this entry: a report from elsewhere may hold a claim that is a part of itself.
        others = {key: one for key, one in entries.items() if key != entry.key}
        for name in deciding:
            part = others.get((name, entry.protocol, entry.scale))
            found = None if part is None else shown(part, others)
            if found is not None:
                return replace(found, through=(name, *found.through))
        return None
    if not entry.components:
        if entry.effect.mean is None:
            return None
        return Shown(entry.effect, entry.trend, entry.statistics, entry.n, entry.paper_value.numbers)
    named = [name for name in deciding if name in entry.components]
    if entry.parts:
        # Its own effect decided: through the components that say what it says.
        named = [name for name, one in entry.components.items() if one.verdict == entry.verdict and not one.reported]
    if not named or (entry.verdict != "refuted" and len(named) > 1):
        return None
    component = entry.components[named[0]]
    if component.effect.mean is None:
        return None
    paper = papers(entry)[named[0]]
    return Shown(component.effect, component.trend, component.statistics, entry.n, paper, (named[0],))


def deciders(entry: Entry) -> tuple[str, ...]:
    """What an entry's verdict came from. A report of schema 1 did not say: there it is what has the same verdict."""
    if entry.decided_by:
        return entry.decided_by
    alike = [part.id for part in entry.parts if part.verdict == entry.verdict]
    alike += [name for name, part in entry.components.items() if part.verdict == entry.verdict]
    return tuple(alike) or ((OWN,) if entry.parts else ())


def decided_alone(entry: Entry) -> bool:
    """Whether the verdict came from the one effect that the entry has, not from one of several."""
    return not entry.components and (not entry.parts or OWN in deciders(entry))


def papers(entry: Entry) -> dict[str, tuple[float, ...]]:
    """The paper's numbers to mark in the plot of each component."""
    numbers, names = entry.paper_value.numbers, list(entry.components)
    return {name: (numbers[at],) if len(numbers) == len(names) else () for at, name in enumerate(names)}


def value(entry: Entry, entries: Mapping[Key, Entry]) -> str:
    """The number behind a verdict for a line of a table: `−5.7 [−8.5, −2.9] in walker2d, claimed > 5`."""
    found = shown(entry, entries)
    return "" if found is None else f"{measured(found)}, claimed {brief(found.trend)}"


def measured(found: Shown) -> str:
    """A number, and of what it is: `−5.7 [−8.5, −2.9] in walker2d`."""
    return interval(found.effect) + (f" in {found.name}" if found.through else "")


def verdict(entry: Entry) -> str:
    """The verdict with the way a claim was refuted: `refuted: absent`."""
    return f"{word(entry.verdict)}: {entry.turn}" if entry.turn else word(entry.verdict)


def brief(trend: TrendShown) -> str:
    """What was claimed, for a line of a table: of a contrast without the smallest effect of interest."""
    if trend.kind == "contrast" and trend.null is not None:
        return f"{'>' if trend.direction > 0 else '<'} {trend.null:g}"
    return f"{trend.text} (our {OURS.get(trend.kind, 'choice')})" if trend.why else trend.text


def said(trend: TrendShown) -> str:
    """What was claimed in words; nothing where its text is words already."""
    bound = number(trend.bound)
    match trend.kind:
        case "contrast":
            null = number(trend.null)
            return f"the effect is {'above' if trend.direction > 0 else 'below'} {null}"
        case "equivalence" | "equivalent":
            return f"the effect is within {bound} of {number(trend.null or 0.0)}"
        case "non-inferiority":
            return f"the effect is not {'below' if trend.direction > 0 else 'above'} {number(trend.null)} by {bound}"
        case "level" | "above" | "below":
            return f"the effect is {'above' if trend.direction > 0 else 'below'} {bound}"
    return ""


def ours(trend: TrendShown) -> str:
    """Which number of a trend is ours, and why it is what it is; nothing where none is."""
    if not trend.why:
        return ""
    chosen = trend.interest if trend.kind == "contrast" else trend.bound
    name = OURS.get(trend.kind, "number")
    return f"{name} {number(chosen)} is our choice: {trend.why}"


def size(found: Size) -> str:
    """How large an effect is beside the paper's: `smaller: the paper's 0.05 against our interval, [0.01, 0.03]`."""
    return f"{found.said}: {found.reason}" if found.reason else found.said


def paper_data(readings: Sequence[PaperReading]) -> list[str]:
    """What the same test says of the paper's own values, a line for each of what it is about."""
    lines = []
    by_component = sorted(readings, key=lambda one: [other.component for other in readings].index(one.component))
    for name, group in groupby(by_component, key=lambda one: one.component):
        told = []
        for one in group:
            holds = {True: "holds", False: "fails", None: "not shown"}[one.holds]
            effect = "" if one.effect is None else f" ({number(one.effect)})"
            told.append(f"seed {one.seed} {holds}{effect}" + (f": {one.note}" if one.note else ""))
        lines.append(f"{name}: {'; '.join(told)}" if name else "; ".join(told))
    return lines


def shared(entry: Entry) -> str:
    """Of a refuted claim, that the paper's own data fail it too; nothing where they do not.

    A failure in what decided is one; a failure in anything else that the claim needs is told apart.
    """
    if entry.verdict != "refuted":
        return ""
    reported = {name for name, part in entry.components.items() if part.reported}
    failing = [one for one in entry.paper_data if one.holds is False and one.component not in reported]
    others = {part.id for part in entry.parts} | set(entry.components)
    deciding = set(deciders(entry))
    # A claim of one effect, and the own effect of one with parts, have no name among those that can decide.
    too = [one for one in failing if one.component in deciding or one.component not in others]
    if entry.parts and OWN not in deciding:
        too = [one for one in failing if one.component in deciding]
    if too:
        seeds = _seeds(too)
        return f"The paper's own {seeds} this too" + _where(too, others) + "."
    if failing:
        return f"The paper's own {_seeds(failing)} this claim too, though not in what decided here" + (
            _where(failing, others) + "."
        )
    return ""


def shared_in_short(entry: Entry) -> str:
    """The same for a cell of a table: `the paper's own seed 42 fails this too`."""
    text = shared(entry).partition(":")[0].rstrip(".")
    return f"the{text[3:].partition(', though')[0]}" if text else ""


def _seeds(failing: Iterable[PaperReading]) -> str:
    seeds = list(dict.fromkeys(str(one.seed) for one in failing))
    return f"seed {seeds[0]} fails" if len(seeds) == 1 else f"seeds {' and '.join(seeds)} fail"


def _where(failing: Iterable[PaperReading], others: set[str]) -> str:
    names = list(dict.fromkeys(one.component for one in failing if one.component in others))
    return f": {', '.join(names)}" if names else ""


def reach(found: Reach) -> str:
    """What so many seeds could have said: `5 seeds cannot refute this; 6 can`."""
    asked = (("reproduce", found.reproduced, found.reproduced_from), ("refute", found.refuted, found.refuted_from))
    able = [name for name, can, _ in asked if can]
    told = [f"can {' or '.join(able)} this"] if able else []
    for name, can, fewest in asked:
        if not can:
            told.append(f"cannot {name} this; " + (f"{fewest} can" if fewest else "no number of them can"))
    return f"{count(found.n, 'seed')} {', but '.join(told)}"


def standing(entry: Entry, needed: int | None) -> str:
    """Whether a reproduced headline stands after Holm: if seeds are normal, and without assumptions.

    Args:
        entry: of a report.
        needed: fewest seeds with which a claim of its family can stand without assumptions, where that is known.
    """
    if entry.holm is None:
        return ""
    if entry.holm_free is None:
        return f"after Holm over the headline claims this verdict {'stands' if entry.holm else 'does not stand'}"
    normal, free = ("yes" if one else "no" for one in (entry.holm, entry.holm_free))
    if not entry.holm_free and needed is not None and entry.n < needed:
        free += f", needs n ≥ {needed}"
    return f"stands after Holm if seeds are normal: {normal}; without assumptions: {free}"


def facts(entry: Entry, needed: int | None = None) -> list[tuple[str, str]]:
    """All that stands beside a verdict and its numbers, as (name, sentence) pairs; what is not there is left out."""
    found = []
    if entry.decided_by and (entry.parts or len(entry.components) > 1):
        found.append(("Decided by", ", ".join(entry.decided_by)))
    if not decided_alone(entry) and not entry.components and entry.effect.mean is not None:
        claim = f"{interval(entry.effect)} {entry.effect.unit}".rstrip()
        found.append(("Its own effect", f"{claim}, claimed {entry.trend.text}; that did not decide"))
    elif entry.size is not None and not entry.components:
        found.append(("Size", size(entry.size)))
    found += [("Paper's own data", line) for line in paper_data(entry.paper_data)]
    if entry.reachable is not None:
        found.append(("In reach", reach(entry.reachable)))
    if entry.over is not None and entry.over.text:
        found.append(("Interval over", entry.over.text))
    if entry.p_value is not None and (entry.parts or entry.components):
        found.append(("p", f"{p_value(entry.p_value)}, one-sided, of the whole claim"))
    if text := standing(entry, needed):
        found.append(("Among headlines", text))
    if entry.rule != TODAY.version and entry.decided:
        found.append(("Rule", f"judged under rule {entry.rule}, as declared then"))
    return found


def component_size(part: Component) -> str:
    """A component's size for a table: one word or few; a dash where there is none."""
    return "–" if part.size is None else part.size.said


def registration(found: Registration) -> str:
    """What results were registered as, in a sentence."""
    when = {
        True: "before the first of these runs ended",
        False: "after the first of these runs had ended",
        None: "and whether that was before the first of these runs is not known",
    }[found.before_first_run]
    told = f"declared in {found.digest[:16]}, sealed {found.created}, {when}"
    if found.matches:
        return f"{told}; judged as declared"
    return f"{told}; judged as declared otherwise: {', '.join(found.differs) or 'the rule or the study'}"
