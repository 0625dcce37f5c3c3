"""A study planned and judged from a file of evidence alone: no torch, no store, no data, no backbones, no GPU."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from dtclaims.errors import StoreError, UsageError
from dtclaims.harness.declare.registry import load_claims
from dtclaims.harness.evidence.file import Evidence
from dtclaims.harness.judge.document import Document
from dtclaims.harness.options import value_of
from dtclaims.harness.report.terminal import clean
from dtclaims.harness.report.wording import ranges
from dtclaims.harness.settings import Settings, parse_factors, parse_protocols, parse_tasks
from dtclaims.harness.store.recorded import Recorded, spec_of
from dtclaims.harness.study import Study, cells_of
from dtclaims.lab.design.scales import Scale
from dtclaims.lab.inputs import Sources
from dtclaims.lab.interim import LAB, SCALES, InterimSession
from dtclaims.places import ROOT

MOST_SEEDS = 1000
"""Of a file; a plan has an entry for each."""


@dataclass(frozen=True)
class Judged:
    """What a file of evidence says."""

    evidence: Evidence
    document: Document
    """The report."""
    undeclared: list[str]
    """Claims of the recorded study that are declared no more."""

    def title(self) -> str:
        """The file in a few words, for a page; no places of this machine."""
        made, study = self.evidence.made, self.evidence.study
        return (
            f"{self.evidence.root.name}: {study['scale']} scale, {', '.join(study['tasks'])}, "
            f"seeds {ranges(study['seeds'])}, {len(self.evidence.runs)} runs on {' and '.join(self._devices())}, "
            f"{made['date'][:10]}"
        )

    def _devices(self) -> list[str]:
        return sorted({str(run.provenance.get("device", "an unknown device")) for run in self.evidence.runs})

    def header(self) -> list[str]:
        """Lines that say what the file is."""
        made, study = self.evidence.made, self.evidence.study
        versions = self.evidence.runs[0].identity["versions"] if self.evidence.runs else {}
        lines = [
            f"{self.evidence.root}: scale {study['scale']}, {' and '.join(study['protocols'])}, "
            f"{', '.join(study['tasks'])}, seeds {ranges(study['seeds'])}",
            f"{len(self.evidence.runs)} runs, {len(self.evidence.measurements)} measurements; "
            + "; ".join([*self._devices(), study["precision"], *(f"{name} {one}" for name, one in versions.items())]),
            f"made {made['date']} by `{made['command']}`, dtclaims {made['dtclaims']}, "
            f"commit {made['commit'] or 'unknown'}",
        ]
        if self.undeclared:
            lines.append(f"no longer declared: {', '.join(self.undeclared)}")
        first, *others = map(clean, lines)
        return [first, *(f"  {line}" for line in others)]


def judge_evidence(
    evidence: Evidence, *, claims: Path | None = None, only: Sequence[str] = (), report: Path | None = None
) -> Judged:
    """Judge what a file of evidence holds by the claims as they are declared now.

    Args:
        evidence: the file.
        claims: folder of the claims; None is the recorded one, looked up in the checkout and in the current folder.
        only: ids of the claims to judge; none means all of the recorded study.
        report: where the report will be written; recorded nowhere else than in the settings.

    Raises:
        UsageError: no such folder, or claims that the study did not have.
        StoreError: a study that cannot be, or two results for one thing.
    """
    declared = load_claims(claims if claims is not None else _folder(evidence))
    recorded = evidence.study["claims"]
    if unknown := [name for name in only if name not in recorded or name not in declared]:
        raise UsageError(
            f"{evidence.root} is not about these claims", given=", ".join(unknown), expected=f"of {', '.join(recorded)}"
        )
    wanted = [name for name in recorded if not only or name in only]
    chosen = [declared[name] for name in wanted if name in declared]
    if not chosen:
        raise UsageError(
            f"no claim of {evidence.root} is declared here",
            given=", ".join(wanted),
            remedy="Name the folder of its claims with --claims DIR.",
        )
    settings = settings_of(evidence, report)
    known = _recorded(evidence)
    study = Study(cells_of(chosen, settings), settings, results=evidence, recorded=known)
    document = study.document([study.judge(cell) for cell in study.cells])
    return Judged(evidence, document, [name for name in wanted if name not in declared])


def _recorded(evidence: Evidence) -> Recorded:
    try:
        return Recorded([run.identity for run in evidence.runs], [one.identity for one in evidence.measurements])
    except StoreError as error:
        problem = f"{evidence.root}: {error.problem}"
        raise StoreError(problem, given=error.given, expected=error.expected, remedy=error.remedy) from None


def _folder(evidence: Evidence) -> Path:
    named = PurePosixPath(evidence.study["folder"])
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
        UsageError: a scale that there is not.
        StoreError: no protocols, tasks or seeds, some of them twice, or runs of several budgets.
    """
    study = evidence.study
    for name in ("protocols", "tasks", "seeds", "claims"):
        if not study[name] or len(set(study[name])) != len(study[name]):
            raise StoreError(f"{evidence.root}: study.{name} is empty or names something twice", given=study[name])
    if len(study["seeds"]) > MOST_SEEDS:
        raise StoreError(
            f"{evidence.root}: too many seeds", given=len(study["seeds"]), expected=f"at most {MOST_SEEDS}"
        )
    made = evidence.made
    reason = f"evidence of {made['date'][:10]}, commit {(made['commit'] or 'unknown')[:12]}"
    sources = Sources(study["sources"]["data"], study["sources"]["backbones"])
    return Settings(
        lab=LAB,
        session=InterimSession(_scale(evidence), reason, sources),
        protocols=tuple(parse_protocols(name, LAB)[0] for name in study["protocols"]),
        seeds=tuple(study["seeds"]),
        device=study["device"],
        store=evidence.root,
        report=report or Path("claims-report"),
        fail_on=value_of("fail_on", {}),
        tasks=parse_tasks(",".join(study["tasks"]), LAB),
        precision=study["precision"],
        factors=parse_factors(",".join(study["factors"]), LAB),
    )


def _scale(evidence: Evidence) -> Scale:
    """The scale, with the budget that its runs had."""
    scale: Scale = SCALES[evidence.study["scale"]]
    budgets = {spec_of(run.identity).budget for run in evidence.runs}
    if len(budgets) > 1:
        raise StoreError(f"{evidence.root} holds runs of several budgets", given=" and ".join(map(str, budgets)))
    return replace(scale, budget=budgets.pop()) if budgets else scale
