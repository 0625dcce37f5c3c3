"""What stands beside a verdict, in sentences: what was claimed, how large it is, what the paper's own data say, and
what so many seeds could have said. The same in HTML, in Markdown and in the terminal. What decided it: `decided`."""

from collections.abc import Iterable, Sequence
from itertools import groupby

from dtclaims.harness.counting import count
from dtclaims.harness.judge.document import BEYOND, Document, Registration
from dtclaims.harness.judge.entries import (
    SEED,
    Component,
    Entry,
    PaperReading,
    Reach,
    Size,
    TrendShown,
)
from dtclaims.harness.judge.words import word
from dtclaims.harness.report.decided import OURS, decided_alone, deciders, is_ours
from dtclaims.harness.report.wording import interval, number, p_value
from dtclaims.harness.stats.composites import OWN
from dtclaims.harness.stats.editions import TODAY


def verdict(entry: Entry) -> str:
    """The verdict with the way a claim was refuted: `refuted: absent`."""
    return f"{word(entry.verdict)}: {entry.turn}" if entry.turn else word(entry.verdict)


def brief(trend: TrendShown) -> str:
    """What was asked, ours told from what the paper says: `> 1, ours from 1.25`, `< 20 (our threshold)`."""
    if trend.kind == "contrast" and trend.null is not None:
        sign = ">" if trend.direction > 0 else "<"
        # As it is written where it decides, so that the two can be found in each other.
        ours = f", ours from {trend.null + trend.direction * trend.interest:g}" if trend.interest else ""
        return f"{sign} {trend.null:g}{ours}"
    return f"{trend.text} (our {OURS.get(trend.kind, 'choice')})" if is_ours(trend) else trend.text


def asked(trend: TrendShown) -> list[tuple[str, str]]:
    """What was claimed, and what number of ours it was tested with, as (name, sentence) pairs.

    Only a direction or a plain statement is *claimed*: the paper's sentence seldom has a number. What has one of ours
    is *tested*.
    """
    text = said(trend) or trend.text
    if not is_ours(trend):
        return [("Claimed", text)]
    name = f"Our {OURS.get(trend.kind, 'choice')}"
    why = trend.why or "rule 1, which judged this, kept no reasons"
    if trend.kind == "contrast" and trend.null is not None and trend.interest is not None:
        least = number(trend.null + trend.direction * trend.interest)
        from_null = f", {number(trend.interest)} from {number(trend.null)}" if trend.null else ""
        return [("Claimed", text), (name, f"{least}{from_null}. {why}")]
    return [("Tested", text), (name, f"{number(trend.bound)}. {why}")]


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
    if not is_ours(trend):
        return ""
    chosen = trend.interest if trend.kind == "contrast" else trend.bound
    name = OURS.get(trend.kind, "number")
    return f"{name} {number(chosen)} is our choice: {trend.why or 'rule 1, which judged this, kept no reasons'}"


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


def reach(found: Reach, unit: str = SEED) -> str:
    """What so many seeds, or what several of them share, could have said: `5 seeds cannot refute this; 6 can`."""
    asked = (("reproduce", found.reproduced, found.reproduced_from), ("refute", found.refuted, found.refuted_from))
    able = [name for name, can, _ in asked if can]
    told = [f"can {' or '.join(able)} this"] if able else []
    for name, can, fewest in asked:
        if not can:
            told.append(f"cannot {name} this; " + (f"{fewest} can" if fewest else "no number of them can"))
    return f"{count(found.n, unit)} {', but '.join(told)}"


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
        found.append(("Its own effect", f"{claim}, asked: {brief(entry.trend)}; that did not decide"))
    elif entry.size is not None and not entry.components:
        found.append(("Size", size(entry.size)))
    found += [("Paper's own data", line) for line in paper_data(entry.paper_data)]
    if entry.reachable is not None:
        found.append(("In reach", reach(entry.reachable, entry.unit)))
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


def registered(document: Document) -> str:
    """The same of a report, with what was done beyond the registration; empty where none was named."""
    if document.provenance.registration is None:
        return ""
    said = registration(document.provenance.registration)
    asked = any(entry.attribution is not None and entry.attribution.variants for entry in document.claims)
    return f"{said}; {BEYOND}" if asked else said
