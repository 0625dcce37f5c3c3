"""Reports: one JSON document, and what people read of it. Imports neither torch nor anything that judges."""

from collections.abc import Callable, Sequence
from pathlib import Path

from dtclaims.errors import ReportError, UsageError
from dtclaims.report import document as _document
from dtclaims.report import html, markdown
from dtclaims.report.document import Document, read, validate, write
from dtclaims.report.frame import csv, frame
from dtclaims.report.terminal import summary_lines

__all__ = ["FORMATS", "Document", "frame", "read", "render", "summary_lines", "validate", "write"]

FORMATS: dict[str, Callable[[Document], str]] = {
    "json": _document.dump,
    "html": html.render,
    "md": markdown.render,
    "csv": csv,
}
"""What `render` can write, by the ending of the file."""


def render(document: Document, directory: Path, formats: Sequence[str] = ("json", "html", "md")) -> dict[str, Path]:
    """Write report.json, report.html and report.md (report.csv on request) into a folder, made if needed.

    All are rendered before the first is written, and each replaces its predecessor only when complete.

    Returns:
        Format to the path written.

    Raises:
        UsageError: a format that does not exist.
        ReportError: not a valid report, or a folder that cannot be written to.
    """
    if unknown := [name for name in formats if name not in FORMATS]:
        raise UsageError("unknown report format", given=", ".join(unknown), expected=f"of {', '.join(FORMATS)}")
    paths = {name: directory / f"report.{name}" for name in formats}
    texts = {paths[name]: FORMATS[name](document) for name in formats}
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ReportError("cannot make the folder of the report", given=f"{directory}: {error.strerror}") from None
    _document.replace_all(texts)
    return paths
