"""The report as Markdown for a CI job's summary: the table first, a folded block per claim after it."""

import re
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from dtclaims.harness.judge.document import Document
from dtclaims.harness.judge.words import VERDICTS, word
from dtclaims.harness.report import beside, listed, view, wording
from dtclaims.harness.report.document import validate

MAX_BYTES = 1_000_000
"""GitHub drops a whole step summary above 1 MiB; what is left out here stays in report.json."""

LONGEST = 600
"""Characters of one field. A summary is for reading; report.json holds the rest."""

ACTIVE = {ord(char): f"&#{ord(char)};" for char in "\\`*_{}[]<>#|~&@$"}
"""Characters that Markdown, GitHub or HTML could take for markup, as references, which no renderer reads as markup."""


def render(document: Document, limit: int = MAX_BYTES) -> str:
    """The report as GitHub-flavoured Markdown, with as much detail as fits into `limit` bytes.

    Details go first, of the headline claims last; then the end of the table. The summary says what is missing.

    Raises:
        ReportError: not a valid report.
    """
    groups = view.groups(validate(document).claims, document.words.scales)
    cards = [card for group in groups for card in group.cards]
    context = {
        "document": document,
        **vars(view.matrix(document)),
        "names": {group.cards[0].id: group.name for group in groups},
    }
    template = _environment().get_template("report.md.j2")
    detailed, rows = cards, len(cards)
    while True:
        tables = {name: listed.table(table) for name, table in document.tables.items()} if detailed else {}
        text = template.render(context, cards=cards[:rows], detailed=detailed, all=len(cards), tables=tables)
        if len(text.encode()) <= limit or not rows:
            return text
        if detailed:
            headline = [card for card in cards if card.headline]
            detailed = headline if len(headline) < len(detailed) else []
        else:
            rows //= 2


def matrix(document: Document, title: str = "") -> str:
    """The verdicts that were reached as one table: a row per claim, headline claims in bold, a column per protocol.

    A cell has the verdict, the effect that it came from with its interval and what is claimed of it, and on how many
    of the seeds it is on the claimed side. Claims that were not run under any protocol are only counted.

    Raises:
        ReportError: not a valid report.
    """
    cards = [card for group in view.groups(validate(document).claims, document.words.scales) for card in group.cards]
    run = [card for card in cards if any(panel.entry.verdict != "not_run" for panel in card.panels)]
    template = _environment().get_template("matrix.md.j2")
    return template.render(
        title=title,
        cards=run,
        left_out=len(cards) - len(run),
        label=document.provenance.label,
        **vars(view.matrix(document)),
    )


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
    environment.globals.update(wording=wording, beside=beside, word=word, VERDICTS=VERDICTS)
    return environment
