"""What `dtclaims evidence` and `dtclaims judge FILE...` do. Need no torch."""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO, cast

from dtclaims.errors import StoreError, UsageError
from dtclaims.harness.commands.declared import write_report
from dtclaims.harness.declare.claim import Claim
from dtclaims.harness.engine.room import size
from dtclaims.harness.options import parse_folder
from dtclaims.harness.plan.cells import cells_of
from dtclaims.harness.settings import Settings

FORMATS = ("lines", "markdown")


def make(claims: Sequence[Claim], settings: Settings, out: Path, choices: Mapping[str, str | None]) -> None:
    """Judge what a store holds, and write everything that the verdicts rest on into one file.

    Args:
        claims: to judge.
        settings: the study's.
        out: the file.
        choices: as typed, for the record.

    Raises:
        StoreError: the store has nothing of the study, something in it is damaged, the file cannot be written, or it is
            there and holds what would be lost.
    """
    from dtclaims.harness.evidence import check_evidence, judge_frozen, write_evidence
    from dtclaims.harness.evidence.export import command_of, content_of, rounded, same_verdicts
    from dtclaims.harness.evidence.freeze import upgraded
    from dtclaims.harness.evidence.gather import gather
    from dtclaims.harness.report import summary_lines

    gathered = gather(cells_of(claims, settings), settings)
    study = gathered.study
    document = study.document([study.judge(cell) for cell in study.cells])
    content = content_of(study, command=command_of(out, choices, claims, study.declared))
    if (registration := document.provenance.registration) is not None:
        content["made"]["registration"] = registration.to_json()
    _check_kept(out, content)
    folder = claims[0].file.parent
    # What is written has to say what the store says.
    for candidate in (rounded(content), content):
        evidence = check_evidence(candidate, out)
        whole = upgraded(candidate, evidence, claims=folder, label=document.provenance.label)
        judged = judge_frozen(check_evidence(whole, out))
        if same_verdicts(document.claims, judged.document.claims):
            break
    else:
        raise StoreError("the file would not say what the store says", remedy="This is a fault of dtclaims; report it.")
    written = write_evidence(whole, out)
    print(*gathered.notes, *summary_lines(document), sep="\n")
    print(f"{len(content['runs'])} runs, {len(content['measurements'])} measurements, {size(written)}: {out}")


def _check_kept(out: Path, content: Mapping[str, Any]) -> None:
    """Refuse to write where something is that would be lost: results that the new file has not, or no evidence at all.

    Raises:
        StoreError: there is.
    """
    from dtclaims.harness.evidence import read_evidence

    if not out.exists():
        return
    remedy = "Give the new file another name; nothing was changed."
    try:
        old = read_evidence(out)
    except StoreError as error:
        raise StoreError(f"{out} is there, and is no evidence that can be read", given=error, remedy=remedy) from error
    held = {one.key for one in old.runs} | {one.key for one in old.measurements}
    if lost := held - {one["key"] for one in (*content["runs"], *content["measurements"])}:
        raise StoreError(
            f"{out} is there, and holds results that the new file would not",
            given=f"{len(lost)} of {len(held)}, such as {min(lost)}",
            expected="a file of which nothing would be lost",
            remedy=remedy,
        )


def upgrade(old: Path, out: Path, claims: Path | None, given: Sequence[str]) -> None:
    """Write a file of schema 1 again with what its verdicts rest on: the declarations of its claims, which are today's.

    Args:
        old: the file.
        out: the new one.
        claims: folder of the claims; None is the recorded one.
        given: options that were given and are recorded in a file.

    Raises:
        UsageError: options that a file has already answered, a file that holds its declarations, or claims of it that
            are declared no more.
        StoreError: a file that is damaged or no evidence, or the new one is there and holds what would be lost.
    """
    from dtclaims.harness.evidence import check_evidence, judge_frozen, load, write_evidence
    from dtclaims.harness.evidence.export import same_verdicts
    from dtclaims.harness.evidence.freeze import upgraded
    from dtclaims.harness.evidence.restated import judge_restated

    _refuse(given, "--upgrade and --claims")
    content = cast(dict[str, Any], load(old))
    evidence = check_evidence(content, old)
    _check_kept(out, content)
    whole = upgraded(content, evidence, claims=claims)
    before = judge_frozen(evidence) if evidence.frozen else judge_restated(evidence, claims=claims)
    after = judge_frozen(check_evidence(whole, out))
    if not same_verdicts(before.document.claims, after.document.claims):
        raise StoreError(
            "the new file would not say what the old one says", remedy="This is a fault of dtclaims; report it."
        )
    written = write_evidence(whole, out)
    print(f"{len(whole['cells'])} cells as declared today, {size(written)}: {out}")


def judge(options: argparse.Namespace, given: Sequence[str]) -> None:
    """Judge files of evidence, one after the other.

    Args:
        options: `files`, folders among them, `claims`, `claim`, `restated`, `report`, `format`.
        given: options that were given and are recorded in a file.

    Raises:
        UsageError: options that a file has already answered, a folder without a file, or two reports in one place.
        StoreError: a file that is damaged or no evidence.
    """
    from dtclaims.harness.evidence import files_of, judge_evidence, read_evidence
    from dtclaims.harness.report import summary_lines
    from dtclaims.harness.report.markdown import matrix
    from dtclaims.harness.report.terminal import terminal_width, wrapped

    _refuse(given, "--restated, --claims, --claim, --report and --format")
    files = files_of(options.files)
    if options.claim and files != options.files:
        files = _about(files, options.claim)
    folders = _folders(files, options.report)
    for number, (file, folder) in enumerate(zip(files, folders, strict=True)):
        judged = judge_evidence(
            read_evidence(file), restated=options.restated, claims=options.claims, only=options.claim, report=folder
        )
        if number:
            print()
        if options.format == "markdown":
            print(matrix(judged.document, judged.title()), end="")
        else:
            head = [line for text in judged.header() for line in wrapped(text, terminal_width())]
            print(*head, *summary_lines(judged.document), sep="\n")
        if folder is not None:
            write_report(judged.document, folder, to=aside(options.format))


def _about(files: list[Path], claims: Sequence[str]) -> list[Path]:
    """Of files that a folder stands for, those that are about all of some claims; if none is, one that can say so."""
    from dtclaims.harness.evidence import read_evidence

    return [file for file in files if {*claims} <= {*read_evidence(file).study.claims}] or files[:1]


def _refuse(given: Sequence[str], beside: str) -> None:
    if given:
        raise UsageError(
            "evidence is judged as it was recorded",
            given=", ".join(f"--{name.replace('_', '-')}" for name in given),
            expected=f"files with no more than {beside}",
            remedy="Leave the options out, or the files to judge the store.",
        )


def aside(form: str) -> TextIO:
    """Where remarks go: not into what is meant for a page."""
    return sys.stderr if form == "markdown" else sys.stdout


def _folders(files: Sequence[Path], report: str | None) -> list[Path | None]:
    if report is None:
        return [None] * len(files)
    folder = parse_folder(report) or Path(report)
    if len(files) == 1:
        return [folder]
    from dtclaims.harness.evidence import name_of

    names = [name_of(file) for file in files]
    if len(set(names)) < len(names):
        alike = [str(file) for file, name in zip(files, names, strict=True) if names.count(name) > 1]
        raise UsageError(
            "two files would have their report in one folder",
            given=", ".join(alike),
            expected="files of different names",
            remedy="Judge them one after the other, each with a --report of its own.",
        )
    return [folder / name for name in names]
