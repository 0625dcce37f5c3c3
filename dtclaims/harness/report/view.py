"""A report's entries in reading order: one card per claim, one column per protocol and scale."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dtclaims.harness.report.document import Document
from dtclaims.harness.report.wording import PROTOCOLS, SCALES, VERDICTS, cell_text, section_name

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
    def headline(self) -> bool:
        """Whether the claim feeds a headline of the paper."""
        return bool(self.entry["headline"])

    @property
    def composite(self) -> bool:
        """Whether the claim is made of other claims."""
        return any(panel.entry.get("parts") for panel in self.panels)

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
        if self.headline:
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
    """All cards: the headlines, then the others by section, each in the document's order.

    The headlines are the headline claims made of other claims; where a report has none, all headline claims.
    """
    by_id: dict[str, list[Mapping[str, Any]]] = {}
    for entry in document["claims"]:
        by_id.setdefault(entry["id"], []).append(entry)
    order = columns(document)
    taken: set[str] = set()
    cards: list[Card] = []
    for id_, entries in by_id.items():
        entries.sort(key=lambda entry: order.index((entry["scale"], entry["protocol"])))
        anchor = _anchor(id_, taken)
        panels = [Panel(entry, f"{anchor}--{entry['protocol']}-{entry['scale']}") for entry in entries]
        cards.append(Card(id_, anchor, panels))
    headline = [card for card in cards if card.headline]
    headline = [card for card in headline if card.composite] or headline
    sections: dict[str, list[Card]] = {}
    for card in cards:
        if card not in headline:
            sections.setdefault(card.entry["section"], []).append(card)
    first = [Group("Headline claims", headline)] if headline else []
    return first + [Group(section_name(section), found) for section, found in sections.items()]


@dataclass(frozen=True)
class Record:
    """A free-form record that several entries share, so that a page shows it once."""

    anchor: str
    content: Mapping[str, Any]
    used: int


def shared(document: Document, field: str) -> dict[str, Record]:
    """The distinct values of one free-form field of the entries, by `fingerprint`, most used first; empty ones not."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for entry in document["claims"]:
        if entry[field]:
            found.setdefault(fingerprint(entry[field]), []).append(entry[field])
    # sorted is stable: among equals the first used comes first.
    order = sorted(found, key=lambda key: -len(found[key]))
    return {key: Record(f"{field}-{place}", found[key][0], len(found[key])) for place, key in enumerate(order, 1)}


def anchors(found: Sequence[Group]) -> dict[tuple[str, str, str], str]:
    """The panel of each (id, protocol, scale)."""
    return {
        (card.id, panel.entry["protocol"], panel.entry["scale"]): panel.anchor
        for group in found
        for card in group.cards
        for panel in card.panels
    }


@dataclass(frozen=True)
class Row:
    """A row of a table: for each source (the paper, a protocol) that has a value, one text per column."""

    name: str
    lines: Sequence[tuple[str, Sequence[str]]]


def table(table: Mapping[str, Any]) -> dict[str, Any]:
    """A table of a report as texts: `columns` and `rows`, beside its title, unit and note."""
    cells = {(cell["row"], cell["protocol"], cell["column"]): cell for cell in table["cells"]}
    columns_ = list(dict.fromkeys(cell["column"] for cell in table["cells"]))
    rows = []
    for name in dict.fromkeys(cell["row"] for cell in table["cells"]):
        lines = [
            (source or "paper", [cell_text(cells.get((name, source, column))) for column in columns_])
            for source in (None, *PROTOCOLS)
            if any((name, source, column) in cells for column in columns_)
        ]
        rows.append(Row(name, lines))
    return {**{"note": ""}, **table, "columns": columns_, "rows": rows}


def fingerprint(value: Mapping[str, Any]) -> str:
    """Text that two records have in common exactly when they say the same."""
    return json.dumps(value, sort_keys=True)


def counts(document: Document, column: Column) -> dict[str, int]:
    """How often each verdict occurs in one column, all five verdicts included."""
    found = [entry["verdict"] for entry in document["claims"] if (entry["scale"], entry["protocol"]) == column]
    return {verdict: found.count(verdict) for verdict in VERDICTS}


def holm(document: Document, column: Column) -> tuple[int, int] | None:
    """Reproduced headline claims that stand after Holm, and all reproduced ones; None if there is none."""
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
