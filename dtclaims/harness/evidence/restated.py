"""A file of evidence judged by the claims as they are declared today, where it holds the quantities that they need.

A study is planned and judged from the file alone: no torch, no store, no data, no backbones, no GPU. This is the one
module of the package that plans; beside it only `freeze` knows how a study judges.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

from dtclaims.errors import StoreError, UsageError
from dtclaims.harness.declare.registry import load_claims, load_lab
from dtclaims.harness.evidence.contents import Evidence
from dtclaims.harness.evidence.file import check_study
from dtclaims.harness.evidence.freeze import frozen_cells, statement
from dtclaims.harness.evidence.judge import Judged, chosen, recorded_provenance
from dtclaims.harness.lab import Lab, Wish, protocols_of
from dtclaims.harness.options import no_such, parse_fail_on
from dtclaims.harness.settings import Settings, parse_factors, parse_tasks
from dtclaims.harness.store.recorded import Recorded
from dtclaims.harness.study import Study, cells_of
from dtclaims.places import ROOT


def judge_restated(
    evidence: Evidence, *, claims: Path | None = None, only: Sequence[str] = (), report: Path | None = None
) -> Judged:
    """Judge what a file of evidence holds by the claims as they are declared now, by today's rule.

    A claim that needs a quantity which is not in the file is not run, with that reason.

    Args:
        evidence: the file.
        claims: folder of the claims; None is the recorded one, looked up in the checkout and in the current folder.
        only: ids of the claims to judge; none means all of the recorded study.
        report: where the report will be written; recorded nowhere else than in the settings.

    Raises:
        UsageError: no such folder, or claims that the study did not have.
        StoreError: a study that cannot be, or two results for one thing.
    """
    study, undeclared = study_of(evidence, claims=claims, only=only, report=report)
    document = study.document([study.judge(cell) for cell in study.cells])
    document = replace(document, provenance=recorded_provenance(document.provenance, evidence))
    return Judged(evidence, document, restated=True, undeclared=undeclared, differing=_differing(evidence, study))


def study_of(
    evidence: Evidence, *, claims: Path | None = None, only: Sequence[str] = (), report: Path | None = None
) -> tuple[Study, list[str]]:
    """The study that a file records, planned with today's claims, and the ids of those that are declared no more.

    Raises:
        UsageError: as `judge_restated`.
        StoreError: likewise.
    """
    check_study(evidence.study, evidence.root)
    folder = claims if claims is not None else _folder(evidence)
    declared, lab = load_claims(folder), load_lab(folder)
    if unknown := [name for name in only if name not in declared]:
        raise no_such("these claims are not declared here", unknown, declared)
    wanted = chosen(evidence, only)
    present = [declared[name] for name in wanted if name in declared]
    if not present:
        raise UsageError(
            f"no claim of {evidence.root} is declared here",
            given=", ".join(wanted),
            remedy="Name the folder of its claims with --claims DIR.",
        )
    settings = settings_of(evidence, lab, report)
    study = Study(cells_of(present, settings), settings, results=evidence, recorded=_recorded(evidence, lab))
    return study, [name for name in wanted if name not in declared]


def _differing(evidence: Evidence, study: Study) -> list[str]:
    """Claims that say something else than the file recorded, or find another effect in it."""
    if evidence.frozen is None:
        return []
    recorded = {name: statement(cell) for name, cell in evidence.frozen.cells.items()}
    today = {cell.name: statement(cell) for cell in frozen_cells(study)}
    return list(dict.fromkeys(name[0] for name in today if today[name] != recorded.get(name)))


def _recorded(evidence: Evidence, lab: Lab) -> Recorded:
    try:
        return Recorded(lab, _identities(evidence))
    except StoreError as error:
        problem = f"{evidence.root}: {error.problem}"
        raise StoreError(problem, given=error.given, expected=error.expected, remedy=error.remedy) from None


def _folder(evidence: Evidence) -> Path:
    named = PurePosixPath(evidence.study.folder)
    # Claims are code: a file from outside must not choose any on the disk.
    if named.is_absolute() or ".." in named.parts or not named.parts:
        raise StoreError(
            f"{evidence.root} names a folder of claims that is not in the checkout",
            given=str(named),
            remedy="Name the folder with --claims DIR.",
        )
    for root in (ROOT, Path.cwd()):
        if (root / named).is_dir():
            return root / named
    raise UsageError(
        f"the claims of {evidence.root} are not here",
        given=str(named),
        expected=f"a folder in {ROOT} or in the current folder",
        remedy="Name the folder of its claims with --claims DIR.",
    )


def _identities(evidence: Evidence) -> list[Mapping[str, Any]]:
    return [*(run.identity for run in evidence.runs), *(one.identity for one in evidence.measurements)]


def settings_of(evidence: Evidence, lab: Lab, report: Path | None = None) -> Settings:
    """The choices of the study that a file records.

    Args:
        evidence: the file.
        lab: of its claims.
        report: where the report will be written.

    Raises:
        UsageError: a scale, task or switch that there is not.
        StoreError: runs of several budgets.
    """
    study = evidence.study
    # Where they lay is not known; but over which of several a seed's runs were spread is a choice of the study.
    own = dict(study.backbones)
    session = lab.session(
        Wish(study.scale, study.tasks, False, own, recorded=_identities(evidence), only_recorded=True)
    )
    known = protocols_of(lab.switches)
    return Settings(
        lab=lab,
        session=session,
        protocols=tuple(known[name] for name in study.protocols),
        seeds=study.seeds,
        device=study.device,
        store=evidence.root,
        report=report or Path("claims-report"),
        fail_on=parse_fail_on("error,refuted"),
        tasks=parse_tasks(",".join(study.tasks), lab),
        precision=study.precision,
        factors=parse_factors(",".join(study.factors), lab),
        looks=study.looks,
        given={"looks": ",".join(map(str, study.looks))} if study.looks else {},
    )
