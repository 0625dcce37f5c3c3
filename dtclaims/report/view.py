"""A report's entries in reading order: one card per claim, one column per protocol and scale."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dtclaims.report.document import Document
from dtclaims.report.wording import PROTOCOLS, SCALES, VERDICTS, section_name

Column = tuple[str, str]
"""(scale, protocol)."""


@dataclass(frozen=True)
class Panel:
    """One verdict: a claim under one protocol at one scale."""

    entry: Mapping[str, Any]
    anchor: str

    @property
    def column(self) -> Column:
        """Where the panel stands in the matrix."""
        return self.entry["scale"], self.entry["protocol"]


@dataclass(frozen=True)
class Card:
    """One claim with all of its verdicts."""

    id: str
    anchor: str
    panels: Sequence[Panel]

    @property
    def entry(self) -> Mapping[str, Any]:
        """The entry that speaks for the claim where its entries should agree: quote, section, title."""
        return self.panels[0].entry

    @property
    def one_scope(self) -> bool:
        """Whether every entry has the same scope."""
        return len({panel.entry["scope"] for panel in self.panels}) == 1

    @property
    def differs(self) -> bool:
        """Whether two protocols reach different decisions at one scale. A missing verdict is not a decision."""
        decided: dict[str, set[str]] = {}
        for panel in self.panels:
            if panel.entry["verdict"] in ("reproduced", "refuted", "inconclusive"):
                decided.setdefault(panel.entry["scale"], set()).add(panel.entry["verdict"])
        return any(len(found) > 1 for found in decided.values())

    @property
    def marks(self) -> set[str]:
        """Words to filter by: `headline`, `differing`, and `has-` each verdict that occurs."""
        marks = {f"has-{panel.entry['verdict']}" for panel in self.panels}
        if self.entry["headline"]:
            marks.add("headline")
        if self.differs:
            marks.add("differing")
        return marks

    def at(self, column: Column) -> Panel | None:
        """The panel of one column, if the report has it."""
        return next((panel for panel in self.panels if panel.column == column), None)


@dataclass(frozen=True)
class Group:
    """Cards under one heading."""

    name: str
    cards: Sequence[Card]

    @property
    def marks(self) -> set[str]:
        """The marks of all cards, so that a heading goes when its last card is filtered out."""
        return {mark for card in self.cards for mark in card.marks}


def columns(document: Document) -> list[Column]:
    """The (scale, protocol) pairs that occur, small scales first and `published` before `corrected`."""
    found = {(entry["scale"], entry["protocol"]) for entry in document["claims"]}
    return [(scale, protocol) for scale in SCALES for protocol in PROTOCOLS if (scale, protocol) in found]


def groups(document: Document) -> list[Group]:
    """All cards: the headline claims, then the others by section, each in the document's order."""
    by_id: dict[str, list[Mapping[str, Any]]] = {}
    for entry in document["claims"]:
        by_id.setdefault(entry["id"], []).append(entry)
    order = columns(document)
    taken: set[str] = set()
    headline: list[Card] = []
    sections: dict[str, list[Card]] = {}
    for id_, entries in by_id.items():
        entries.sort(key=lambda entry: order.index((entry["scale"], entry["protocol"])))
        anchor = _anchor(id_, taken)
        panels = [Panel(entry, f"{anchor}--{entry['protocol']}-{entry['scale']}") for entry in entries]
        card = Card(id_, anchor, panels)
        (headline if card.entry["headline"] else sections.setdefault(card.entry["section"], [])).append(card)
    first = [Group("Headline claims", headline)] if headline else []
    return first + [Group(section_name(section), cards) for section, cards in sections.items()]


def counts(document: Document, column: Column) -> dict[str, int]:
    """How often each verdict occurs in one column, all five verdicts included."""
    found = [entry["verdict"] for entry in document["claims"] if (entry["scale"], entry["protocol"]) == column]
    return {verdict: found.count(verdict) for verdict in VERDICTS}


def holm(document: Document, column: Column) -> tuple[int, int] | None:
    """Headline claims whose verdict stands after Holm, and all that were asked; None if none was."""
    answers = [
        entry["holm"]
        for entry in document["claims"]
        if (entry["scale"], entry["protocol"]) == column and entry.get("holm") is not None
    ]
    return (sum(answers), len(answers)) if answers else None


def runs(document: Document) -> list[dict[str, Any]]:
    """Every run once, in order of first use, with the number of verdicts that use it as `used`."""
    found: dict[str, dict[str, Any]] = {}
    for entry in document["claims"]:
        for key, run in {run["key"]: run for run in entry["runs"]}.items():
            known = found.setdefault(key, {**run, "used": 0})
            known["used"] += 1
            # The claim that had the run made says so; later ones find it in the store.
            known["cached"] = known["cached"] and run["cached"]
    return list(found.values())


def _anchor(id_: str, taken: set[str]) -> str:
    """A fragment for an id. Ordinary ids stay as they are; `--` is left to panels."""
    base = "claim-" + (re.sub(r"[^A-Za-z0-9.]+", "-", id_).strip("-") or "x")
    anchor, serial = base, 1
    while anchor in taken:
        serial += 1
        anchor = f"{base}_{serial}"
    taken.add(anchor)
    return anchor
