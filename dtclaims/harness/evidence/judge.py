"""Verdicts from a file of evidence alone: no claims, no lab, no torch, no store, no data, no backbones, no GPU."""

import importlib.metadata
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from dtclaims.harness.declare.papers import pages_here
from dtclaims.harness.evidence.contents import Evidence
from dtclaims.harness.evidence.remedies import with_whole_remedies
from dtclaims.harness.evidence.verdicts import FrozenJudge
from dtclaims.harness.judge.document import (
    Document,
    Family,
    FromEvidence,
    Paper,
    ReportProvenance,
    made_now,
    with_holm,
)
from dtclaims.harness.judge.entries import Entry
from dtclaims.harness.judge.exhibits import read_figures, read_tables
from dtclaims.harness.judge.words import Words
from dtclaims.harness.options import no_such
from dtclaims.harness.printable import unicode
from dtclaims.harness.report import beside
from dtclaims.harness.report.terminal import clean
from dtclaims.harness.report.wording import ranges
from dtclaims.places import ROOT


@dataclass(frozen=True)
class Judged:
    """What a file of evidence says."""

    evidence: Evidence
    document: Document
    """The report."""
    restated: bool = False
    """Whether it was judged by the claims as they are declared today."""
    undeclared: list[str] = field(default_factory=list)
    """Claims of the recorded study that are declared no more."""
    differing: list[str] = field(default_factory=list)
    """Claims that were judged under another declaration than the recorded one."""

    def title(self) -> str:
        """The file in a few words, for a page; no places of this machine."""
        made, study = self.evidence.made, self.evidence.study
        return (
            f"{self.evidence.root.name}: {study.scale} scale, {', '.join(study.tasks)}, "
            f"seeds {ranges(study.seeds)}, {len(self.evidence.runs)} runs on {' and '.join(self._devices())}, "
            f"{made.date[:10]}"
        )

    def _devices(self) -> list[str]:
        return sorted({str(run.provenance.get("device", "an unknown device")) for run in self.evidence.runs})

    def header(self) -> list[str]:
        """Lines that say what the file is, and what it was judged by."""
        made, study = self.evidence.made, self.evidence.study
        versions = self.evidence.runs[0].identity["versions"] if self.evidence.runs else {}
        lines = [
            f"{self.evidence.root}: scale {study.scale}, {' and '.join(study.protocols)}, "
            f"{', '.join(study.tasks)}, seeds {ranges(study.seeds)}",
            f"{len(self.evidence.runs)} runs, {len(self.evidence.measurements)} measurements; "
            + "; ".join([*self._devices(), study.precision, *(f"{name} {one}" for name, one in versions.items())]),
            f"made {made.date} by `{made.command}`, dtclaims {made.dtclaims}, commit {made.commit or 'unknown'}",
            *self._registered(),
            *self._basis(),
        ]
        first, *others = map(clean, lines)
        return [first, *(f"  {line}" for line in others)]

    def _registered(self) -> list[str]:
        registration = self.evidence.made.registration
        return [] if registration is None else [beside.registration(registration)]

    def _basis(self) -> list[str]:
        frozen = self.evidence.frozen
        if not self.restated:
            assert frozen is not None
            return [f"judged as declared on {frozen.declared.date[:10]}, rule {frozen.rule}"]
        lines = ["judged as declared today, by today's rule"]
        if frozen is None:
            lines[0] += f": the file holds no declarations ({UPGRADE})"
        elif self.differing:
            lines.append(f"declared otherwise on {frozen.declared.date[:10]}: {', '.join(self.differing)}")
        if self.undeclared:
            lines.append(f"no longer declared: {', '.join(self.undeclared)}")
        return lines


UPGRADE = "`dtclaims evidence NEW.json --upgrade OLD.json` adds them"


def judge_evidence(
    evidence: Evidence,
    *,
    restated: bool = False,
    claims: Path | None = None,
    only: Sequence[str] = (),
    report: Path | None = None,
) -> Judged:
    """Judge a file of evidence as its claims were declared then, or as they are declared today.

    Args:
        evidence: the file. One without declarations can be judged only as declared today.
        restated: whether to judge by today's claims, where the file holds the quantities that they need.
        claims: folder of today's claims; None is the recorded one. Naming one asks for today's.
        only: ids of the claims to judge; none means all of the recorded study.
        report: where the report will be written.

    Raises:
        UsageError: claims that the study did not have, or today's that are not here.
        StoreError: a study that cannot be, or a rule that this dtclaims does not know.
    """
    if restated or claims is not None or evidence.frozen is None:
        from dtclaims.harness.evidence.restated import judge_restated

        judged = judge_restated(evidence, claims=claims, only=only, report=report)
    else:
        judged = judge_frozen(evidence, only=only)
    entries = with_whole_remedies(evidence, judged.document.claims)
    return replace(judged, document=replace(judged.document, claims=entries))


def judge_frozen(evidence: Evidence, *, only: Sequence[str] = ()) -> Judged:
    """Judge a file of evidence by the declarations, the effects and the rule that it holds.

    Args:
        evidence: a file that holds declarations.
        only: ids of the claims to judge; none means all of the recorded study.

    Raises:
        UsageError: claims that the study did not have.
        StoreError: a study that cannot be, or a rule that this dtclaims does not know.
    """
    assert evidence.frozen is not None
    wanted, judge = chosen(evidence, only), FrozenJudge(evidence)
    entries = [judge.entry((name, protocol)) for name in wanted for protocol in evidence.study.protocols]
    marked = with_holm(entries, evidence.frozen.alpha, judge.rule)
    return Judged(evidence, _document(evidence, marked, drawn=not only))


def chosen(evidence: Evidence, only: Sequence[str]) -> list[str]:
    """The claims of a recorded study, or some of them.

    Raises:
        UsageError: claims that the study did not have.
    """
    recorded = evidence.study.claims
    if unknown := [name for name in only if name not in recorded]:
        raise no_such(f"{evidence.root} is not about these claims", unknown, recorded)
    return [name for name in recorded if not only or name in only]


def reason_of(evidence: Evidence) -> str:
    """Why a report is of this scale."""
    return f"evidence of {evidence.made.date[:10]}, commit {(evidence.made.commit or 'unknown')[:12]}"


def recorded_provenance(judged: ReportProvenance, evidence: Evidence) -> ReportProvenance:
    """What made a report that was judged from a file: the file's name, date and commit, and the options it records."""
    made, study = evidence.made, evidence.study
    return replace(
        judged,
        store=unicode(evidence.root.name),
        commit=None,
        options={**({} if study.data is None else {"data": study.data}), **study.backbones},
        evidence=FromEvidence(unicode(evidence.root.name), made.date, made.commit),
    )


def _document(evidence: Evidence, entries: tuple[Entry, ...], *, drawn: bool) -> Document:
    """The whole report; figures and tables are those of the whole study."""
    frozen, study = evidence.frozen, evidence.study
    assert frozen is not None
    return Document(
        paper=Paper.from_json(dict(frozen.paper)),
        provenance=recorded_provenance(
            made_now(
                seeds=study.seeds,
                scale=study.scale,
                scale_reason=reason_of(evidence),
                protocols=study.protocols,
                device=study.device,
                alpha=frozen.alpha,
                store=evidence.root,
                versions=_versions(),
                label=frozen.label,
                tasks=study.tasks,
                family=_family(evidence),
                registration=evidence.made.registration,
            ),
            evidence,
        ),
        claims=entries,
        figures=read_figures(dict(frozen.figures) if drawn else {}),
        tables=read_tables(dict(frozen.tables) if drawn else {}),
        words=Words.from_json(dict(frozen.words)),
        regime=frozen.regime,
        pages=pages_here(study.folder, frozen.paper, (ROOT, Path.cwd())),
    )


def _family(evidence: Evidence) -> Family:
    """The claims of the recorded study."""
    assert evidence.frozen is not None
    cells = evidence.frozen.cells.values()
    headlines = {cell.claim.id for cell in cells if cell.claim.headline} & set(evidence.study.claims)
    return Family(len(evidence.study.claims), len(headlines))


def _versions() -> dict[str, str]:
    """What the verdicts were computed with here; what made the results stands in the entries."""
    names = ("numpy", "scipy")
    return {name: importlib.metadata.version(name) for name in names}
