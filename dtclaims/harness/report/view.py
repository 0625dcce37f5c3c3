"""A report's entries in reading order: one card per claim, one column per protocol and scale."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, NamedTuple, Protocol, TypeVar, get_args

from dtclaims.harness.counting import count
from dtclaims.harness.judge.document import Document
from dtclaims.harness.judge.entries import Entry, Key, Part, SizeWord
from dtclaims.harness.judge.words import PROTOCOLS, STATUSES, Status
from dtclaims.harness.report.wording import section_name
from dtclaims.harness.stats.standing import seeds_to_stand

Column = tuple[str, str]
"""(scale, protocol)."""

HEADLINES = "Headline claims"
"""Name of the group that comes first."""


class Judged(Protocol):
    """As much of a verdict as its place on a page needs: an entry of a report, or a line of a history."""

    @property
    def id(self) -> str:
        """The claim's."""

    @property
    def section(self) -> str:
        """Of the paper."""

    @property
    def headline(self) -> bool:
        """Whether the claim feeds a headline of the paper."""

    @property
    def protocol(self) -> str:
        """Judged under."""

    @property
    def scale(self) -> str:
        """Judged at."""

    @property
    def verdict(self) -> Status:
        """What came of it."""

    @property
    def parts(self) -> Sequence[Part]:
        """Of a composite."""


E = TypeVar("E", bound=Judged)


@dataclass(frozen=True)
class Panel(Generic[E]):
    """One verdict: a claim under one protocol at one scale."""

    entry: E
    anchor: str

    @property
    def column(self) -> Column:
        """Where the panel stands in the matrix."""
        return self.entry.scale, self.entry.protocol


@dataclass(frozen=True)
class Card(Generic[E]):
    """One claim with all of its verdicts."""

    id: str
    anchor: str
    panels: Sequence[Panel[E]]

    @property
    def entry(self) -> E:
        """The entry that speaks for the claim where its entries should agree: quote, section, title."""
        return self.panels[0].entry

    @property
    def headline(self) -> bool:
        """Whether the claim feeds a headline of the paper."""
        return self.entry.headline

    @property
    def composite(self) -> bool:
        """Whether the claim is made of other claims."""
        return any(panel.entry.parts for panel in self.panels)

    @property
    def differs(self) -> bool:
        """Whether two protocols reach different decisions at one scale. A missing verdict is not a decision."""
        decided: dict[str, set[Status]] = {}
        for panel in self.panels:
            if panel.entry.verdict in ("reproduced", "refuted", "inconclusive"):
                decided.setdefault(panel.entry.scale, set()).add(panel.entry.verdict)
        return any(len(found) > 1 for found in decided.values())

    @property
    def marks(self) -> set[str]:
        """Words to filter by: `headline`, `differing`, and `has-` each verdict that occurs."""
        marks = {f"has-{panel.entry.verdict}" for panel in self.panels}
        if self.headline:
            marks.add("headline")
        if self.differs:
            marks.add("differing")
        return marks

    def at(self, column: Column) -> Panel[E] | None:
        """The panel of one column, if the report has it."""
        return next((panel for panel in self.panels if panel.column == column), None)


@dataclass(frozen=True)
class Group(Generic[E]):
    """Cards under one heading."""

    name: str
    cards: Sequence[Card[E]]

    @property
    def marks(self) -> set[str]:
        """The marks of all cards, so that a heading goes when its last card is filtered out."""
        return {mark for card in self.cards for mark in card.marks}


def one_scope(card: Card[Entry]) -> bool:
    """Whether every entry of a claim has the same scope."""
    return len({panel.entry.scope for panel in card.panels}) == 1


def scales(entries: Iterable[Judged], known: Iterable[str]) -> list[str]:
    """The scales that occur: those that are known in their order, then the others as they come."""
    found = dict.fromkeys(entry.scale for entry in entries)
    return [scale for scale in dict.fromkeys((*known, *found)) if scale in found]


def columns(entries: Sequence[Judged], known: Iterable[str]) -> list[Column]:
    """The (scale, protocol) pairs that occur, small scales first and `published` before `corrected`.

    Args:
        entries: of a report or of a history.
        known: scales in their order (`Words.scales`).
    """
    found = {(entry.scale, entry.protocol) for entry in entries}
    order = scales(entries, known)
    return [(scale, protocol) for scale in order for protocol in PROTOCOLS if (scale, protocol) in found]


def groups(entries: Sequence[E], known: Iterable[str]) -> list[Group[E]]:
    """All cards: the headlines, then the others by section, each in the order of the entries.

    The headlines are the headline claims made of other claims; where a report has none, all headline claims.
    """
    by_id: dict[str, list[E]] = {}
    for entry in entries:
        by_id.setdefault(entry.id, []).append(entry)
    order = columns(entries, known)
    taken: set[str] = set()
    cards: list[Card[E]] = []
    for id_, found in by_id.items():
        found.sort(key=lambda entry: order.index((entry.scale, entry.protocol)))
        anchor = _anchor(id_, taken)
        panels = [Panel(entry, f"{anchor}--{entry.protocol}-{entry.scale}") for entry in found]
        cards.append(Card(id_, anchor, panels))
    headline = [card for card in cards if card.headline]
    headline = [card for card in headline if card.composite] or headline
    first = {card.id for card in headline}
    sections: dict[str, list[Card[E]]] = {}
    for card in cards:
        if card.id not in first:
            sections.setdefault(card.entry.section, []).append(card)
    begin = [Group(HEADLINES, headline)] if headline else []
    return begin + [Group(section_name(section), some) for section, some in sections.items()]


def anchors(found: Sequence[Group[Entry]]) -> dict[Key, str]:
    """The panel of each (id, protocol, scale)."""
    return {panel.entry.key: panel.anchor for group in found for card in group.cards for panel in card.panels}


def counts(entries: Iterable[Judged], column: Column) -> dict[Status, int]:
    """How often each verdict occurs in one column, every verdict included."""
    found = [entry.verdict for entry in entries if (entry.scale, entry.protocol) == column]
    return {verdict: found.count(verdict) for verdict in STATUSES}


@dataclass(frozen=True)
class Standing:
    """Reproduced headline claims of one column after Holm over the headline claims."""

    of: int
    """Reproduced."""
    stand: int
    """By t: if seeds are normal."""
    stand_free: int | None
    """Without assumptions; None where that was not asked."""
    needed: int
    """Fewest seeds with which a claim of this family can stand without assumptions."""
    family: int
    """Headline claims that were judged: those that the correction is over."""

    @property
    def told(self) -> str:
        """How many stand, of what family, and under what assumptions."""
        over = count(self.family, "headline")
        told = f"after Holm over the {over} judged here, {self.stand} of {self.of} reproduced stand"
        if self.stand_free is None:
            return told
        could = f" (n ≥ {self.needed} could)" if self.stand_free < self.of else ""
        return f"{told} if seeds are normal, {self.stand_free} without assumptions{could}"


def holm(entries: Iterable[Entry], column: Column, alpha: float) -> Standing | None:
    """What stands in a column after Holm; None if no headline claim was reproduced.

    Args:
        entries: of a report.
        column: of it.
        alpha: of the report, on each side.
    """
    headlines = [one for one in entries if one.headline and (one.scale, one.protocol) == column]
    asked = [one for one in headlines if one.holm is not None]
    if not asked:
        return None
    free = [one.holm_free for one in asked if one.holm_free is not None]
    family = sum(one.verdict not in ("not_run", "error") for one in headlines)
    needed = seeds_to_stand(max(family, 1), alpha)
    return Standing(len(asked), sum(bool(one.holm) for one in asked), sum(free) if free else None, needed, family)


class Passed(NamedTuple):
    """How often a check was passed in one column."""

    name: str
    passed: int
    of: int

    @property
    def told(self) -> str:
        """Its name and both numbers."""
        return f"{self.name} {self.passed} of {self.of}"


def sizes(entries: Iterable[Entry], column: Column) -> str:
    """Of one column, how often each size was found, as a sentence; empty where none was asked."""
    words = [one.size.said for one in entries if (one.scale, one.protocol) == column and one.size is not None]
    told = [f"{n} {said}" for said in get_args(SizeWord) if (n := words.count(said))]
    return f"size: {', '.join(told)}" if told else ""


def checks(entries: Iterable[Entry], column: Column) -> list[Passed]:
    """Of one column, how often each check was passed, in the order in which they come first."""
    found: dict[str, list[bool]] = {}
    for check in (check for one in entries if (one.scale, one.protocol) == column for check in one.checks):
        found.setdefault(check.name, []).append(check.verdict == "reproduced")
    return [Passed(name, sum(passed), len(passed)) for name, passed in found.items()]


def tallies(entries: Sequence[Entry], column: Column) -> list[str]:
    """Of one column, sizes and checks, as sentences."""
    passed = ", ".join(one.told for one in checks(entries, column))
    return [told for told in (sizes(entries, column), passed and f"checks passed: {passed}") if told]


@dataclass(frozen=True)
class Matrix:
    """What every page says of a report's columns."""

    columns: Sequence[Column]
    counts: Mapping[Column, Mapping[Status, int]]
    tallies: Mapping[Column, Sequence[str]]
    """Sizes and checks as sentences."""
    sizes: Mapping[Column, str]
    presupposed: Mapping[Column, Sequence[Passed]]
    holm: Mapping[Column, Standing | None]
    needed: Mapping[Column, int | None]
    """Fewest seeds with which a headline claim can stand after Holm without assumptions; None where none was asked."""
    entries: Mapping[Key, Entry]


def matrix(document: Document) -> Matrix:
    """The columns of a report, with how often each verdict, size and check occurs in them and how many stand after
    Holm; and its entries by key."""
    claims, alpha = document.claims, document.provenance.alpha
    found = columns(claims, document.words.scales)
    standing = {column: holm(claims, column, alpha) for column in found}
    return Matrix(
        found,
        {column: counts(claims, column) for column in found},
        {column: tallies(claims, column) for column in found},
        {column: sizes(claims, column) for column in found},
        {column: checks(claims, column) for column in found},
        standing,
        {column: stands.needed if stands else None for column, stands in standing.items()},
        {entry.key: entry for entry in claims},
    )


def _anchor(id_: str, taken: set[str]) -> str:
    """A fragment for an id. Ordinary ids stay as they are; `--` is left to panels."""
    base = "claim-" + (re.sub(r"[^A-Za-z0-9.]+", "-", id_).strip("-") or "x")
    anchor, serial = base, 1
    while anchor in taken:
        serial += 1
        anchor = f"{base}_{serial}"
    taken.add(anchor)
    return anchor
