"""Several reports as one: the same claims at several scales, or under several protocols, in one matrix."""

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from dtclaims.errors import ReportError
from dtclaims.harness.judge.document import Document, ReportProvenance
from dtclaims.harness.judge.exhibits import Figure, Panel, Table
from dtclaims.harness.judge.words import PROTOCOLS, Words
from dtclaims.harness.report.document import validate

T = TypeVar("T")


def merge(documents: Sequence[Document]) -> Document:
    """One report with the entries of all, in the order given.

    Figures and tables are those of the largest scale that has any; where several reports of that scale show one, it
    holds what each of them shows. What the reports disagree on in their provenance is listed side by side, or left out
    where only one value makes sense.

    Raises:
        ReportError: no reports, invalid ones, reports of different papers or levels, or two verdicts on one claim
            under one protocol at one scale.
    """
    if not documents:
        raise ReportError("nothing to merge", expected="one report or more")
    for document in documents:
        validate(document)
    for name, values in (
        ("papers", [document.paper.title for document in documents]),
        ("levels", [document.provenance.alpha for document in documents]),
    ):
        if len(set(values)) > 1:
            raise ReportError(
                f"the reports are of different {name}", given=" and ".join(map(str, dict.fromkeys(values)))
            )
    words = _words([document.words for document in documents])
    # Scales that no report has words for count as larger the later they come.
    order = list(dict.fromkeys((*words.scales, *(document.provenance.scale for document in documents))))
    ranked = sorted(documents, key=lambda document: order.index(document.provenance.scale), reverse=True)
    merged = replace(
        documents[0],
        provenance=_provenance([document.provenance for document in documents], ranked[0].provenance.scale),
        claims=tuple(entry for document in documents for entry in document.claims),
        figures=_together([document.figures for document in _largest(ranked, lambda one: one.figures)], _figure),
        tables=_together([document.tables for document in _largest(ranked, lambda one: one.tables)], _table),
        words=words,
        regime=tuple(dict.fromkeys(row for document in documents for row in document.regime)),
    )
    return validate(merged)


def _largest(ranked: Sequence[Document], shown: Callable[[Document], object]) -> list[Document]:
    """The reports that show something, of the largest scale of which one does."""
    showing = [document for document in ranked if shown(document)]
    return [one for one in showing if one.provenance.scale == showing[0].provenance.scale]


def _together(found: Sequence[Mapping[str, T]], join: Callable[[Sequence[T]], T]) -> dict[str, T]:
    """What several reports show, by id."""
    return {
        id_: join([one[id_] for one in found if id_ in one])
        for id_ in dict.fromkeys(id_ for one in found for id_ in one)
    }


def _figure(found: Sequence[Figure]) -> Figure:
    """One figure of several reports: axes that are called alike become one pair, with each series once."""
    panels: dict[Hashable, list[Panel]] = {}
    for panel in (panel for figure in found for panel in figure.panels):
        panels.setdefault((panel.title, panel.x_label, panel.y_label, panel.x_names), []).append(panel)
    return replace(found[0], panels=tuple(map(_panel, panels.values())))


def _panel(found: Sequence[Panel]) -> Panel:
    every = (series for panel in found for series in panel.series)
    series = _once(every, lambda one: (one.name, one.arm, one.protocol, one.seed, one.style))
    # As a report of both protocols has them: ours, then the paper's.
    order = (*PROTOCOLS, None)
    return replace(found[0], series=tuple(sorted(series, key=lambda one: order.index(one.protocol))))


def _table(found: Sequence[Table]) -> Table:
    every = (cell for table in found for cell in table.cells)
    return replace(found[0], cells=_once(every, lambda one: (one.row, one.column, one.protocol)))


def _once(every: Iterable[T], name: Callable[[T], Hashable]) -> tuple[T, ...]:
    """The first of each name: the paper's own values are in every report."""
    found: dict[Hashable, T] = {}
    for one in every:
        found.setdefault(name(one), one)
    return tuple(found.values())


def _words(found: Sequence[Words]) -> Words:
    """Of all, the first that has a word."""
    return Words(
        scales={name: meaning for one in reversed(found) for name, meaning in one.scales.items()},
        run=next((one.run for one in found if one.run), ""),
        values={name: text for one in reversed(found) for name, text in one.values.items()},
    )


def _provenance(parts: Sequence[ReportProvenance], scale: str) -> ReportProvenance:
    def side_by_side(of: Callable[[ReportProvenance], str]) -> str:
        return "; ".join(dict.fromkeys(of(part) for part in parts))

    def common(of: Callable[[ReportProvenance], T]) -> T | None:
        return of(parts[0]) if all(of(part) == of(parts[0]) for part in parts) else None

    versions = parts[0].versions.items()
    return ReportProvenance(
        dtclaims=side_by_side(lambda part: part.dtclaims),
        created=max(part.dated for part in parts),
        command=side_by_side(lambda part: part.command),
        seeds=tuple(sorted({seed for part in parts for seed in part.seeds})),
        scale=scale,
        scale_reason=common(lambda part: part.scale_reason),
        protocols=tuple(name for name in PROTOCOLS if any(name in part.protocols for part in parts)),
        device=side_by_side(lambda part: part.device),
        alpha=parts[0].alpha,
        store=common(lambda part: part.store),
        versions={name: value for name, value in versions if all(p.versions.get(name) == value for p in parts)},
        commit=common(lambda part: part.commit),
        options=common(lambda part: part.options) or {},
        evidence=common(lambda part: part.evidence),
        code=common(lambda part: part.code),
        rules=tuple(sorted({rule for part in parts for rule in part.rules})),
        registration=common(lambda part: part.registration),
        label=side_by_side(lambda part: part.label),
    )
