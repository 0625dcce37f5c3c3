"""The report as one HTML file: no network, readable without scripts, on a phone, in the dark and on paper."""

import base64
import hashlib
import re
from functools import cache
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from dtclaims.harness.judge.document import Document
from dtclaims.harness.judge.entries import Entry
from dtclaims.harness.judge.words import PROTOCOLS, VERDICTS, word
from dtclaims.harness.report import beside, figures, listed, regime, stripplot, view, wording
from dtclaims.harness.report.decided import another_measure, decided, decided_alone, papers
from dtclaims.harness.report.document import validate
from dtclaims.harness.report.expect import Since
from dtclaims.harness.report.terms import Terms, coded

MAX_BYTES = 2_000_000
"""A page stays below this if leaving out `DETAILS` can achieve it. 128 claims under two protocols take 1.5 MB."""

DETAILS = (
    "the list of runs",
    "the spread between seeds in the figures",
    "the statistics of components",
    "the plots of components",
    "the figures",
)
"""What goes first from a page that is too large. The page says what is missing; report.json keeps everything."""


def render(document: Document, since: Since | None = None) -> str:
    """The report as HTML text, with as much detail as fits into `MAX_BYTES`.

    Args:
        document: a report.
        since: what became of recorded verdicts; the page begins with it.

    Raises:
        ReportError: not a valid report.
    """
    context = _context(validate(document)) | {"since": since}
    for omitted in range(len(DETAILS) + 1):
        text = _environment().get_template("report.html.j2").render(context, omit=DETAILS[:omitted], details=DETAILS)
        # Indentation is for readers of the template; a full report has hundreds of cards.
        text = unindented(text).translate(wording.UNPRINTABLE)
        if len(text.encode()) <= MAX_BYTES:
            break
    return text


def _context(document: Document) -> dict[str, object]:
    groups = view.groups(document.claims, document.words.scales)
    matrix = view.matrix(document)
    runs = listed.runs(document)
    terms = Terms(document.pages)
    return {
        "document": document,
        **vars(matrix),
        "scales": view.scales(document.claims, document.words.scales),
        "groups": groups,
        "cards": [card for group in groups for card in group.cards],
        "runs": runs,
        "conditions": listed.conditions(runs),
        "sections": list(dict.fromkeys(entry.section for entry in document.claims)),
        "protocols": list(dict.fromkeys(protocol for _, protocol in matrix.columns)),
        "anchors": view.anchors(groups),
        "switches": listed.shared(document, "switches"),
        "origins": listed.shared(document, "provenance"),
        "figures": document.figures,
        "made_of": listed.made_of(document),
        "explained": terms.sections,
        "audit": terms.audit,
        "linked": terms.linked,
        "tables": {name: listed.table(table) for name, table in document.tables.items()},
        **script(),
    }


@cache
def script() -> dict[str, str]:
    """The pages' script, and the hash by which their policy lets it and nothing else run: `script`, `script_hash`."""
    text = unindented(
        files("dtclaims.harness.report").joinpath("templates/report.js").read_text(encoding="utf-8")
    ).strip()
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return {"script": Markup(text), "script_hash": f"sha256-{digest}"}


def unindented(text: str) -> str:
    """The text of a page without the indentation of its template."""
    return re.sub(r"\n\s+", "\n", text)


def page_environment(**names: object) -> Environment:
    """Templates of HTML pages: everything escaped, no undefined name passed over; `names` can be used in them."""
    environment = Environment(
        loader=PackageLoader("dtclaims.harness.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(
        wording=wording, beside=beside, regime=regime, word=word, VERDICTS=VERDICTS, PROTOCOLS=PROTOCOLS, **names
    )
    return environment


@cache
def _environment() -> Environment:
    return page_environment(
        plot=stripplot.plot,
        decided=decided,
        decided_alone=decided_alone,
        another_measure=another_measure,
        coded=coded,
        minis=_minis,
        one_scope=view.one_scope,
        fingerprint=listed.fingerprint,
        facets=figures.facets,
        sources=figures.sources,
        figure_protocols=figures.protocols,
    )


def _minis(entry: Entry) -> dict[str, Markup]:
    """A small plot for each component, on one axis where their units allow it."""
    components, paper = entry.components, papers(entry)
    plots = {}
    for name, component in components.items():
        alike = [other for other in components if components[other].effect.unit == component.effect.unit]
        drawn = [other for other in alike if components[other].effect.mean is not None]
        ends = stripplot.domain((components[other] for other in alike), [x for other in alike for x in paper[other]])
        plots[name] = stripplot.mini(component, paper[name], ends, ticks=name == drawn[-1] if drawn else False)
    return plots
