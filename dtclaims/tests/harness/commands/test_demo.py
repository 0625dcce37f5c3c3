"""`dtclaims demo`: a first minute that needs nothing but the installation."""

import re
import webbrowser
from pathlib import Path

import pytest

from dtclaims.errors import DtclaimsError, FixtureError, ReportError, StoreError, UsageError
from dtclaims.harness import evidence
from dtclaims.harness.commands import demo
from dtclaims.harness.report import read
from dtclaims.tests.support.command_line import run

SMALL = demo.EVIDENCE / "k1-random-init.json"


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One small file of evidence, nothing that is measured, and an empty folder to work in."""
    monkeypatch.setattr(demo, "_live", lambda folder: folder / "toy" / "report.html")
    monkeypatch.setattr(demo, "EVIDENCE", tmp_path / "evidence")
    demo.EVIDENCE.mkdir()
    (demo.EVIDENCE / SMALL.name).write_bytes(SMALL.read_bytes())
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return demo.EVIDENCE / SMALL.name


def test_a_first_minute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """All that ships is judged as recorded, a changed number is caught, a small paper is tested; then what is next."""
    monkeypatch.chdir(tmp_path)
    assert run("demo") == 0
    said = capsys.readouterr().out
    assert "\x1b" not in said
    assert max(map(len, said.splitlines())) <= 80
    for file in evidence.files_in(demo.EVIDENCE):
        document = read(Path("dtclaims-demo", evidence.name_of(file), "report.json"))
        assert document.claims == evidence.judge_evidence(evidence.read_evidence(file)).document.claims
        assert f"  dtclaims-demo/{evidence.name_of(file)}/report.html\n" in said
    assert "published: 6 reproduced, 29 refuted, 22 inconclusive, 62 not run" in said
    assert "dtclaims-demo/changed.json: cells[0] is not as it was written" in said
    toy = read(Path("dtclaims-demo/toy/report.json"))
    assert [one.verdict for one in toy.claims].count("refuted") == 1
    assert re.search(r"never slower.”\n +published: reproduced: .*\n +corrected: refuted \(reversed\): ", said)
    assert "pip install -e '.[lab]'" in said
    assert "pytest claims" in said


def test_the_copy_differs_in_one_number(small: Path) -> None:
    """What is caught is a change of one effect of one seed, in one line of the file, and the shipped file stays."""
    shipped = small.read_bytes()
    assert run("demo", "out") == 0
    assert small.read_bytes() == shipped
    lines, changed = shipped.decode().splitlines(), Path("out/changed.json").read_text().splitlines()
    (pair,) = [(one, other) for one, other in zip(lines, changed, strict=True) if one != other]
    numbers = [re.findall(r"-?\d+\.?\d*(?:e-?\d+)?", line) for line in pair]
    assert sum(one != other for one, other in zip(*numbers, strict=True)) == 1


def test_a_folder_that_exists_is_left_alone(small: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One line, before anything is judged; neither a folder nor a file of that name is touched."""
    Path("folder").mkdir()
    Path("folder/report.html").write_text("mine")
    Path("file").write_text("mine")
    for name in ("folder", "file"):
        with pytest.raises(UsageError, match=rf"^{name} exists: expected the name of a new folder\. Nothing was"):
            run("demo", name)
    assert capsys.readouterr().out == ""
    assert [path.read_text() for path in (Path("folder/report.html"), Path("file"))] == ["mine", "mine"]
    assert [path.name for path in Path("folder").iterdir()] == ["report.html"]


def test_a_folder_that_cannot_be_made_is_named(small: Path) -> None:
    """Below a file there is no folder: one error with the reason."""
    Path("file").write_text("mine")
    with pytest.raises(ReportError, match="cannot make the folder of the demo: got file/below: Not a directory"):
        run("demo", "file/below")


def test_a_change_that_is_not_noticed_is_an_error(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The demo does not say "caught" of what was judged."""
    monkeypatch.setattr(evidence, "read_evidence", lambda path: evidence.file.read_evidence(small))
    with pytest.raises(StoreError, match="a changed number was not noticed"):
        run("demo")


def test_without_what_it_shows_there_is_no_demo(small: Path) -> None:
    """An installation without evidence: one error, and no folder."""
    small.unlink()
    with pytest.raises(FixtureError, match="what the demo shows is not here"):
        run("demo")
    assert not Path("dtclaims-demo").exists()


@pytest.mark.parametrize("browser", [True, False])
def test_a_browser_is_opened_where_asked(small: Path, monkeypatch: pytest.MonkeyPatch, browser: bool) -> None:
    """`--open` opens the first report, and says so where there is no browser; without it none is opened."""
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", lambda address: opened.append(address) or browser)
    assert run("demo", "quiet") == 0
    assert opened == []
    said: DtclaimsError | None = None
    try:
        run("demo", "loud", "--open")
    except UsageError as error:
        said = error
    assert opened == [(Path("loud") / small.stem / "report.html").resolve().as_uri()]
    assert (said is None) == browser
    assert browser or "no browser could be opened" in str(said)
