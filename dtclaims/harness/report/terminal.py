"""The verdicts as plain lines for a terminal; colour is the caller's business."""

import textwrap
from collections.abc import Mapping, Sequence

from dtclaims.harness.judge.document import Document
from dtclaims.harness.judge.entries import Entry, Key
from dtclaims.harness.judge.words import word
from dtclaims.harness.report import beside, regime, view, wording
from dtclaims.harness.report.document import validate

NARROWEST = 80

COLUMNS = ("claim", "protocol", "scale", "verdict", "effect", "claimed", "n", "paper")

MILD = (("effect", 30), ("claimed", 12), ("paper", 14))
HARD = (("effect", 30), ("claimed", 7), ("paper", 0), ("effect", 18), ("claim", 14))
"""Columns that give way where a table is too wide, in this order, and how far. At 0 the column is left out.
A number is whole before what it is of is; ids give way last: they are what a reader searches for."""


def summary_lines(document: Document, width: int = 120) -> list[str]:
    """The report's label, one line per verdict, headline claims first, then the counts per protocol.

    Args:
        document: a report.
        width: columns of the terminal, 80 at least. Where the table is too wide its texts are cut with "...", then
            its words are abbreviated, and last the paper's value goes.

    Raises:
        ReportError: not a valid report.
    """
    validate(document)
    width = max(width, NARROWEST)
    known = document.words.scales
    entries = [
        panel.entry for group in view.groups(document.claims, known) for card in group.cards for panel in card.panels
    ]
    by_key = {entry.key: entry for entry in document.claims}
    full, short = [[_row(entry, by_key, short=short) for entry in entries] for short in (False, True)]
    lines: list[str] = []
    for rows, gap, least in ((full, 2, MILD), (short, 1, MILD), (short, 1, HARD)):
        lines = _table(rows, width, gap, least)
        if all(len(line) <= width for line in lines):
            break
    for scale, protocol in view.columns(document.claims, known):
        counts = view.counts(document.claims, (scale, protocol))
        text = ", ".join(f"{n} {word(verdict)}" for verdict, n in counts.items() if n)
        if stand := view.holm(document.claims, (scale, protocol), document.provenance.alpha):
            text += f"; {stand.told}"
        told = [text, *view.tallies(document.claims, (scale, protocol))]
        lines += textwrap.wrap(clean(f"{protocol} ({scale}): {'; '.join(told)}"), width, subsequent_indent="  ")
    lines += [line for entry in entries for line in _warnings(entry, width)]
    if registered := document.provenance.registration:
        lines += textwrap.wrap(clean(beside.registration(registered)), width, subsequent_indent="  ")
    for row in document.regime:
        lines += textwrap.wrap(clean(f"regime: {regime.line(row)}"), width, subsequent_indent="  ")
    # First what the verdicts are of: where runs were evaluated is known before a number is read.
    return textwrap.wrap(clean(document.provenance.label), width) + lines


def _warnings(entry: Entry, width: int) -> list[str]:
    """What must be known before a verdict is believed, and that the paper's own data fail what they refuted."""
    told = [*entry.warnings, *filter(None, [beside.shared(entry)])]
    name = f"{entry.id} ({entry.protocol}, {entry.scale})"
    return textwrap.wrap(clean(f"{name}: {'; '.join(told)}"), width, subsequent_indent="  ") if told else []


def _row(entry: Entry, entries: Mapping[Key, Entry], *, short: bool) -> dict[str, str]:
    found = beside.shown(entry, entries)
    verdict = word(entry.verdict).upper()
    if entry.turn and not short:
        verdict += f": {entry.turn}"
    if entry.provisional:
        verdict += " [prov.]" if short else " [provisional]"
    return {
        "claim": clean(entry.id),
        "protocol": entry.protocol[:4] if short else entry.protocol,
        "scale": entry.scale,
        "verdict": verdict,
        "effect": clean(beside.measured(found) if found else wording.gist(entry) or "-"),
        "claimed": clean(beside.brief(found.trend if found else entry.trend)),
        "n": str(entry.n),
        "paper": clean(entry.paper_value.text),
    }


def _table(rows: Sequence[Mapping[str, str]], width: int, gap: int, least: Sequence[tuple[str, int]]) -> list[str]:
    """The rows under their names, as close to `width` columns as the columns can give way."""
    if not rows:
        return []
    # The names stand above abbreviated words too.
    names = {name: name[: max(len(row[name]) for row in rows)] if name == "protocol" else name for name in COLUMNS}
    lines = [names, *rows]
    widths = {name: max(len(line[name]) for line in lines) for name in COLUMNS}
    for name, size in least:
        excess = sum(widths.values()) + gap * (len(widths) - 1) - width
        widths[name] = max(min(widths[name], size), widths[name] - max(excess, 0))
        if excess > 0 and not size:
            del widths[name]
    return [
        (" " * gap).join(_cut(name, line[name], size).ljust(size) for name, size in widths.items()).rstrip()
        for line in lines
    ]


def _cut(name: str, text: str, size: int) -> str:
    if len(text) <= size:
        return text
    # Ids of one section differ at their ends.
    tail = (size - 3) // 2 if name == "claim" else 0
    return text[: size - 3 - tail] + "..." + text[len(text) - tail :]


def clean(text: str) -> str:
    """One line of printable text: an id must not move the cursor or colour the screen."""
    return (
        "".join(char if char.isprintable() else "?" for char in " ".join(text.split()))
        .replace(wording.MINUS, "-")
        .replace("–", "-")
    )
