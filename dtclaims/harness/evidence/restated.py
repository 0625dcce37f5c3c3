"""A file of evidence judged by the claims as they are declared today, where it holds the quantities that they need.

A study is planned and judged from the file alone: no torch, no store, no data, no backbones, no GPU. This is the one
module of the package that plans; beside it only `freeze` knows how a study judges.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

from dtclaims.errors import StoreError, UsageError
from dtclaims.harness.declare.registry import load_claims
from dtclaims.harness.evidence.file import Evidence
from dtclaims.harness.evidence.freeze import frozen_cells, statement
from dtclaims.harness.evidence.judge import Judged, check_study, chosen, reason_of
from dtclaims.harness.settings import DEFAULT_FAIL_ON, Settings, parse_factors, parse_fail_on, parse_tasks
from dtclaims.harness.store.recorded import Recorded, spec_of
from dtclaims.harness.study import Study, cells_of
from dtclaims.lab.design.scales import Scale, get_scale
from dtclaims.lab.design.switches import PROTOCOLS
from dtclaims.lab.inputs import Sources
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
    return Judged(evidence, document, restated=True, undeclared=undeclared, differing=_differing(evidence, study))


def study_of(
    evidence: Evidence, *, claims: Path | None = None, only: Sequence[str] = (), report: Path | None = None
) -> tuple[Study, list[str]]:
    """The study that a file records, planned with today's claims, and the ids of those that are declared no more.

    Raises:
        UsageError: as `judge_restated`.
        StoreError: likewise.
    """
    check_study(evidence)
    declared = load_claims(claims if claims is not None else _folder(evidence))
    if unknown := [name for name in only if name not in declared]:
        raise UsageError("these claims are not declared here", given=", ".join(unknown))
    wanted = chosen(evidence, only)
    present = [declared[name] for name in wanted if name in declared]
    if not present:
        raise UsageError(
            f"no claim of {evidence.root} is declared here",
            given=", ".join(wanted),
            remedy="Name the folder of its claims with --claims DIR.",
        )
    settings = settings_of(evidence, report)
    study = Study(cells_of(present, settings), settings, results=evidence, recorded=_recorded(evidence))
    return study, [name for name in wanted if name not in declared]


def _differing(evidence: Evidence, study: Study) -> list[str]:
    """Claims that say something else than the file recorded, or find another effect in it."""
    if evidence.frozen is None:
        return []
    recorded = {name: statement(cell) for name, cell in evidence.frozen.cells.items()}
    today = {cell.name: statement(cell) for cell in frozen_cells(study)}
    return list(dict.fromkeys(name[0] for name in today if today[name] != recorded.get(name)))


def _recorded(evidence: Evidence) -> Recorded:
    try:
        return Recorded([run.identity for run in evidence.runs], [one.identity for one in evidence.measurements])
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


def settings_of(evidence: Evidence, report: Path | None = None) -> Settings:
    """The choices of the study that a file records.

    Raises:
        UsageError: a scale, task or switch that there is not.
        StoreError: runs of several budgets.
    """
    study = evidence.study
    return Settings(
        scale=_scale(evidence),
        scale_reason=reason_of(evidence),
        protocols=tuple(PROTOCOLS[name] for name in study.protocols),
        seeds=study.seeds,
        device=study.device,
        store=evidence.root,
        report=report or Path("claims-report"),
        fail_on=parse_fail_on(DEFAULT_FAIL_ON),
        tasks=parse_tasks(",".join(study.tasks)),
        sources=Sources(study.data, study.backbones),
        precision=study.precision,
        factors=parse_factors(",".join(study.factors)),
    )


def _scale(evidence: Evidence) -> Scale:
    """The scale, with the budget that its runs had."""
    scale = get_scale(evidence.study.scale)
    budgets = {spec_of(run.identity).budget for run in evidence.runs}
    if len(budgets) > 1:
        raise StoreError(f"{evidence.root} holds runs of several budgets", given=" and ".join(map(str, budgets)))
    return replace(scale, budget=budgets.pop()) if budgets else scale
