"""Reports: one JSON document, and what people read of it. Imports no torch, and of the judge its types only."""

from collections.abc import Callable, Sequence
from pathlib import Path

from dtclaims.errors import ReportError, UsageError
from dtclaims.harness.judge.document import Document
from dtclaims.harness.options import no_such
from dtclaims.harness.report import badge, crate, html, markdown
from dtclaims.harness.report import document as _document
from dtclaims.harness.report.document import parse, read, validate, write
from dtclaims.harness.report.expect import Difference, Record, Since, check_expectations, compare, read_record, record
from dtclaims.harness.report.frame import csv, frame
from dtclaims.harness.report.junit import properties
from dtclaims.harness.report.merge import merge
from dtclaims.harness.report.terminal import diff_lines, summary_lines, written_lines

__all__ = [
    "FORMATS",
    "Difference",
    "Document",
    "Record",
    "Since",
    "check_expectations",
    "check_formats",
    "compare",
    "diff_lines",
    "frame",
    "merge",
    "parse",
    "properties",
    "read",
    "read_record",
    "record",
    "render",
    "summary_lines",
    "validate",
    "write",
    "written_lines",
]

FORMATS: dict[str, Callable[[Document], str]] = {
    "json": _document.dump,
    "html": html.render,
    "md": markdown.render,
    "csv": csv,
}
"""What `render` can write as one file, by the file's ending."""

BUNDLES = ("badge", "crate")
"""What it can write beside them: badge.json with a badge per claim in badges/, and ro-crate-metadata.json."""


def check_formats(formats: Sequence[str]) -> Sequence[str]:
    """The formats, once it is known that they can be written.

    Raises:
        UsageError: none, or one that does not exist.
    """
    known = (*FORMATS, *BUNDLES)
    if unknown := [name for name in formats if name not in known]:
        raise no_such("unknown report format", unknown, known)
    if not formats:
        raise UsageError("no report format", expected=f"some of {', '.join(known)}")
    return formats


def render(
    document: Document,
    directory: Path,
    formats: Sequence[str] = ("json", "html", "md"),
    *,
    since: Since | None = None,
) -> dict[str, Path]:
    """Write report.json, report.html and report.md (report.csv, badges, an RO-Crate on request) into a folder.

    All are rendered before the first is written, and each replaces its predecessor only when complete. Where verdicts
    were recorded, `since` is what became of them, and what people read begins with it.

    Returns:
        Format to the path written, of badges the paper's.

    Raises:
        UsageError: a format that does not exist.
        ReportError: not a valid report, or a folder that cannot be written to.
    """
    check_formats(formats)
    paths = {name: directory / f"report.{name}" for name in formats if name in FORMATS}
    texts = {path: _text(name, document, since) for name, path in paths.items()}
    if "badge" in formats:
        paths["badge"] = directory / "badge.json"
        texts |= {
            directory / name: text
            for name, text in badge.files(validate(document).claims, document.words.scales).items()
        }
    if "crate" in formats:
        beside = [path.name for path in paths.values()]
        paths["crate"] = directory / crate.NAME
        texts[paths["crate"]] = crate.render(document, beside)
    try:
        for folder in {path.parent for path in (directory / "x", *texts)}:
            folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ReportError(
            "cannot make the folder of the report",
            given=f"{directory}: {error.strerror}",
            remedy="Name another with --report.",
        ) from None
    _document.replace_all(texts)
    return {name: paths[name] for name in formats}


def _text(name: str, document: Document, since: Since | None) -> str:
    told: dict[str, Callable[[Document, Since | None], str]] = {"html": html.render, "md": markdown.render}
    return told[name](document, since) if name in told else FORMATS[name](document)
