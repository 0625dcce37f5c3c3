"""Several reports as one: the same claims at several scales, in one matrix."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from dtclaims.errors import ReportError
from dtclaims.harness.judge.document import Document, ReportProvenance
from dtclaims.harness.judge.words import PROTOCOLS, Words
from dtclaims.harness.report.document import validate

T = TypeVar("T")


def merge(documents: Sequence[Document]) -> Document:
    """One report with the entries of all, in the order given.

    Figures and tables are those of the largest scale that has any. What the reports disagree on in their provenance
    is listed side by side, or left out where only one value makes sense.

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
        figures=next((document.figures for document in ranked if document.figures), {}),
        tables=next((document.tables for document in ranked if document.tables), {}),
        words=words,
        regime=tuple(dict.fromkeys(row for document in documents for row in document.regime)),
    )
    return validate(merged)


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
