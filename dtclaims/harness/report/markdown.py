"""The report as Markdown for a CI job's summary: what changed first, then counts and headlines, all claims folded."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cache, partial
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from dtclaims.harness.judge.document import Document
from dtclaims.harness.judge.entries import Entry, Key
from dtclaims.harness.judge.words import VERDICTS, word
from dtclaims.harness.report import beside, listed, regime, view, wording
from dtclaims.harness.report.decided import decided
from dtclaims.harness.report.document import validate
from dtclaims.harness.report.expect import Since
from dtclaims.harness.stats.editions import TODAY

MAX_LINES = 300
"""A summary is for reading: it stays below this, whatever a report holds."""

MAX_BYTES = 1_000_000
"""GitHub drops a whole step summary above 1 MiB; what is left out here stays in report.json."""

CHANGED, WARNED, REGIME = 60, 20, 20
"""Of these no more are listed."""

LONGEST = 600
"""Characters of one field. A summary is for reading; report.json holds the rest."""

ACTIVE = {ord(char): f"&#{ord(char)};" for char in "\\`*_{}[]<>#|~&@$"}
"""Characters that Markdown, GitHub or HTML could take for markup, as references, which no renderer reads as markup."""


def render(document: Document, since: Since | None = None, limit: int = MAX_BYTES) -> str:
    """The report as GitHub-flavoured Markdown, below `MAX_LINES` lines and `limit` bytes.

    Of claims, the last go where it would be longer; the summary says so.

    Args:
        document: a report.
        since: what became of recorded verdicts; the summary begins with it.
        limit: of its size.

    Raises:
        ReportError: not a valid report.
    """
    groups = view.groups(validate(document).claims, document.words.scales)
    cards = [card for group in groups for card in group.cards]
    matrix = view.matrix(document)
    context: dict[str, Any] = {
        "document": document,
        **vars(matrix),
        "cards": cards,
        "headlines": [group for group in groups[:1] if group.name == view.HEADLINES],
        "made_of": listed.made_of(document),
        "since": since,
        "tables": {name: listed.table(table) for name, table in document.tables.items()},
        "older": Counter(one.rule for one in document.claims if one.decided and one.rule != TODAY.version),
        "warnings": [(entry, text) for entry in document.claims for text in entry.warnings],
        **_cells(matrix.entries, matrix.columns, view.scales(document.claims, document.words.scales)),
    }
    template = _environment().get_template("report.md.j2")
    room, changed = len(cards), CHANGED
    while True:
        text = template.render(context, room=room, changed=changed)
        lines = text.count("\n")
        if lines < MAX_LINES and len(text.encode()) <= limit:
            return text
        if room:
            room = max(0, min(room // 2 if len(text.encode()) > limit else room - (lines - MAX_LINES + 1), room - 1))
        elif context["tables"]:
            context["tables"].popitem()
        elif changed:
            changed //= 2
        else:
            return text


def matrix(document: Document, title: str = "") -> str:
    """The verdicts that were reached as one table: a row per claim, headline claims in bold, a column per protocol.

    A cell has the verdict and what decided it. Claims that were not run under any protocol are only counted.

    Raises:
        ReportError: not a valid report.
    """
    cards = [card for group in view.groups(validate(document).claims, document.words.scales) for card in group.cards]
    run = [card for card in cards if any(panel.entry.verdict != "not_run" for panel in card.panels)]
    found = view.matrix(document)
    return (
        _environment()
        .get_template("matrix.md.j2")
        .render(
            title=title,
            cards=run,
            left_out=len(cards) - len(run),
            label=document.provenance.label,
            **vars(found),
            **_cells(found.entries, found.columns, []),
        )
    )


def _cells(entries: Mapping[Key, Entry], columns: Sequence[view.Column], scales: Sequence[str]) -> dict[str, Any]:
    """What templates write verdicts with: `told` for one, `table` for those of some cards."""
    told = partial(_told, entries=entries)

    def table(cards: Sequence[view.Card[Entry]]) -> Markup:
        template = _environment().get_template("cards.md.j2")
        return Markup(template.render(shown=cards, columns=columns, scales=scales, told=told).rstrip("\n"))

    return {"told": told, "table": table}


def _told(entry: Entry, entries: Mapping[Key, Entry]) -> Markup:
    """A verdict in a cell: `✗ refuted by S5.1-cka-low: 0.524 [0.484, 0.564] lies below 0.8 (our threshold)`."""
    if entry.verdict == "not_run":
        return Markup("–")
    said = f"{VERDICTS[entry.verdict].symbol} {word(entry.verdict)}{' (provisional)' if entry.provisional else ''}"
    shared = beside.shared_in_short(entry)
    return escape(said + decided(entry, entries).text + (f"; {shared}" if shared else ""))


def escape(value: object) -> Markup:
    """A value as Markdown on one line that shows every character as itself.

    Templates never begin a line with a value, so what only counts there (lists, headings, rules) is left alone.
    """
    text = re.sub(r"\s+", " ", str(value).translate(wording.UNPRINTABLE))
    text = text if len(text) <= LONGEST else text[:LONGEST] + "…"
    # A colon with something behind it could begin an emoji's name or a link.
    return Markup(re.sub(r":(?=\S)", "&#58;", text.translate(ACTIVE)))


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("dtclaims.harness.report"),
        # Every expression passes through `escape`, so a template cannot forget it.
        finalize=lambda value: value if isinstance(value, Markup) else escape(value),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.globals.update(
        wording=wording, beside=beside, regime=regime, word=word, VERDICTS=VERDICTS, WARNED=WARNED, REGIME=REGIME
    )
    return environment
