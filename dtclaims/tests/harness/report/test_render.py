"""Behaviour of `dtclaims.harness.report` as a whole: what every report survives, what is never left behind."""

import subprocess
import sys
import tempfile
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from dtclaims.errors import ReportError, UsageError
from dtclaims.harness.report import parse, read, render, summary_lines
from dtclaims.places import ROOT
from dtclaims.tests.support import report_example
from dtclaims.tests.support.report_strategies import documents

VOID = {"meta", "input", "br", "link", "img", "hr"}


class Balance(HTMLParser):
    """Fails on a tag that closes what is not open, and remembers what was never closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        """Open a tag."""
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Close the innermost open tag."""
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: Any) -> None:
        """A tag that closes itself changes nothing."""


@settings(max_examples=60)
@given(documents())
def test_any_valid_report_renders_and_reads_back(document: dict[str, Any]) -> None:
    """Every format can be made of every valid report; the HTML is balanced; the JSON is the report again."""
    with tempfile.TemporaryDirectory() as folder:
        report = parse(document)
        paths = render(report, Path(folder))
        assert read(paths["json"]) == report
        parser = Balance()
        parser.feed(paths["html"].read_text(encoding="utf-8"))
        parser.close()
        assert parser.open == []
        assert paths["md"].read_text(encoding="utf-8").startswith("# ")
    for width in (80, 132):
        # A word that is longer than a line, such as a path, stays whole.
        assert all(len(line) <= width or len(line.split()) == 1 for line in summary_lines(report, width))


def test_only_the_wanted_formats_are_written(tmp_path: Path) -> None:
    """The folder is made, and holds the files asked for under their known names and nothing else."""
    folder = tmp_path / "new" / "folder"
    paths = render(report_example.document(), folder, ["md", "json"])
    assert paths == {"md": folder / "report.md", "json": folder / "report.json"}
    assert {path.name for path in folder.iterdir()} == {"report.md", "report.json"}


def test_unknown_format_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    """A misspelt format is a usage error that names the formats."""
    with pytest.raises(UsageError, match=r"got pdf, expected one of json, html, md"):
        render(report_example.document(), tmp_path / "out", ["html", "pdf"])
    assert not (tmp_path / "out").exists()


def test_invalid_report_leaves_the_old_files_alone(tmp_path: Path) -> None:
    """A report that cannot be rendered replaces nothing."""
    render(report_example.document(), tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    good = report_example.document()
    spoilt = replace(good.claims[3], effect=replace(good.claims[3].effect, mean=float("nan")))
    broken = replace(good, claims=(*good.claims[:3], spoilt, *good.claims[4:]))
    with pytest.raises(ReportError, match=r"claims\[3\]\.effect\.mean is not a finite number"):
        render(broken, tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_failed_write_leaves_nothing_half_written(tmp_path: Path) -> None:
    """When one target cannot be replaced, no temporary file stays and the error is typed."""
    (tmp_path / "report.html").mkdir()
    with pytest.raises(ReportError, match="cannot write the report"):
        render(report_example.document(), tmp_path, ["html"])
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


def test_folder_that_is_a_file_is_a_report_error(tmp_path: Path) -> None:
    """A path that cannot be a folder is named in the error."""
    (tmp_path / "taken").write_text("", encoding="utf-8")
    with pytest.raises(ReportError, match=r"cannot make the folder of the report: got .*taken"):
        render(report_example.document(), tmp_path / "taken")


def test_report_never_imports_torch(tmp_path: Path) -> None:
    """A report can be made where torch is not installed."""
    program = (
        "import sys; sys.modules['torch'] = None\n"
        "from pathlib import Path\n"
        "from dtclaims.harness.report import render\n"
        "from dtclaims.tests.support.report_example import document\n"
        "render(document(), Path(sys.argv[1]))\n"
        "heavy = {'torch', 'scipy', 'mujoco', 'transformers'} & {k for k, v in sys.modules.items() if v is not None}\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", program, str(tmp_path)], check=True, cwd=ROOT)
    assert (tmp_path / "report.html").is_file()


def test_bundles_are_written_beside_the_report(tmp_path: Path) -> None:
    """Badges and the crate are several files; what is returned is the first of each."""
    paths = render(report_example.document(), tmp_path, ["badge", "crate", "json"])
    assert list(paths) == ["badge", "crate", "json"]
    assert all(path.is_file() for path in paths.values())
    assert len(list((tmp_path / "badges").iterdir())) == 7
