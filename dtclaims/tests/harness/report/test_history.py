"""Behaviour of `dtclaims.harness.report.history`: lines are added, never changed, and a broken one is named."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dtclaims.errors import ReportError
from dtclaims.harness.report import history, parse
from dtclaims.tests.support import report_example
from dtclaims.tests.support.report_strategies import HOSTILE


@pytest.fixture
def content() -> dict[str, Any]:
    """A report as JSON."""
    return report_example.content()


@pytest.fixture
def path(content: dict[str, Any], tmp_path: Path) -> Path:
    """A history with one commit."""
    found = tmp_path / "history.jsonl"
    history.add(parse(content), found, "c0ffee")
    return found


def test_one_line_per_verdict_and_commit(content: dict[str, Any], path: Path) -> None:
    """Each line is JSON that names claim, commit, verdict and effect, in the report's order."""
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert [line["id"] for line in lines] == [claim["id"] for claim in content["claims"]]
    assert lines[3] | {"created": "", "paper": "", "dtclaims": ""} == {
        "schema": 2, "commit": "c0ffee", "created": "", "paper": "", "id": "S5.1-cka-random-higher-gpt2",
        "section": "5.1", "headline": False, "protocol": "published", "scale": "mini", "verdict": "reproduced",
        "provisional": True, "n": 3, "mean": 0.054, "low": 0.0369, "high": 0.0711, "unit": "",
        "claimed": "> 0, of interest from 0.02",
        "dtclaims": "", "title": "Random networks keep more of their initial representation",
        "quote": content["claims"][3]["quote"], "seeds": [0, 1, 2], "level": 0.05, "why": lines[3]["why"],
        "trend": content["claims"][3]["trend"], "label": content["provenance"]["label"],
        "report": lines[0]["report"], "anchor": "claim-S5.1-cka-random-higher-gpt2--published-mini",
    }  # fmt: skip
    assert lines[3]["why"] == "0.054 [0.037, 0.071] lies above 0"
    assert [line.to_json() for line in history.read(path)] == lines


def test_the_page_of_the_report_is_kept_beside_it(content: dict[str, Any], path: Path) -> None:
    """Lines name the page and their place on it; another report never replaces it; a link keeps none."""
    (page,) = (path.parent / "reports").iterdir()
    line = history.read(path)[0]
    assert line.report == f"reports/{page.name}"
    assert f'id="{line.anchor}"' in page.read_text(encoding="utf-8")
    before = page.read_bytes()
    content["provenance"]["created"] = "2026-11-23T00:00:00Z"
    history.add(parse(content), path, "decaf")
    assert len(list(page.parent.iterdir())) == 2
    assert page.read_bytes() == before
    history.add(parse(content), path, "cafe", "https://example.org/r.html")
    assert len(list(page.parent.iterdir())) == 2
    assert history.read(path)[-1].report == "https://example.org/r.html"


@pytest.mark.parametrize("link", ["javascript:alert(1)", "../../etc/passwd", "reports/../x.html", "/etc/passwd"])
def test_a_link_that_is_no_address_is_refused(link: str, content: dict[str, Any], tmp_path: Path) -> None:
    """Neither a script nor a file elsewhere can be named, on adding or in a line from elsewhere."""
    with pytest.raises(ReportError, match="report is not of the form"):
        history.add(parse(content), tmp_path / "h", "c0ffee", link)
    assert not list(tmp_path.iterdir())


def test_evidence_is_as_old_as_it_is(content: dict[str, Any], tmp_path: Path) -> None:
    """A file of evidence that is judged today has its own date."""
    content["provenance"]["evidence"] = {"name": "e.json", "date": "2026-01-02T03:04:05+00:00", "commit": "0ld"}
    history.add(parse(content), tmp_path / "h", "0ld")
    assert {line.created for line in history.read(tmp_path / "h")} == {"2026-01-02T03:04:05+00:00"}


def test_settings_of_one_scale_are_tracks_of_their_own(content: dict[str, Any], path: Path) -> None:
    """What was measured under other options of the lab is neither a contradiction nor a change."""
    content["provenance"]["options"] = {"simulator": "old"}
    content["claims"][3]["verdict"] = "refuted"
    assert history.add(parse(content), path, "c0ffee") == len(content["claims"])
    lines = history.read(path)
    assert lines[-1].world == "mini, simulator old"
    assert lines[-1].track != lines[len(lines) // 2 - 1].track


def test_lines_of_the_first_schema_are_read(path: Path) -> None:
    """A history that an older dtclaims began is gone on with, its lines as they are."""
    new = {"title", "quote", "seeds", "of", "why", "level", "trend", "setting", "rank", "label", "report", "anchor"}
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    old = [{name: value for name, value in row.items() if name not in new} | {"schema": 1} for row in rows]
    path.write_text("".join(f"{json.dumps(row)}\n" for row in old), encoding="utf-8")
    assert [line.to_json() for line in history.read(path)] == old
    before = path.read_bytes()
    history.add(report_example.document(), path, "decaf")
    assert path.read_bytes().startswith(before)
    assert history.read(path)[0].quote == ""


def test_adding_keeps_what_was_there(content: dict[str, Any], path: Path) -> None:
    """A second commit stands below the first, whose bytes are as before."""
    before = path.read_bytes()
    assert history.add(parse(content), path, "decaf") == len(content["claims"])
    assert path.read_bytes().startswith(before)
    assert len(history.read(path)) == 2 * len(content["claims"])


def test_adding_a_commit_again_adds_nothing(content: dict[str, Any], path: Path) -> None:
    """A job run twice leaves one line per verdict, even if its numbers moved a little."""
    before = path.read_bytes()
    content["provenance"]["created"] = "2026-11-23T00:00:00Z"
    assert history.add(parse(content), path, "c0ffee") == 0
    assert path.read_bytes() == before


def test_two_verdicts_at_one_commit_are_refused(content: dict[str, Any], path: Path) -> None:
    """The same claim cannot have two verdicts at a commit; nothing is written."""
    before = path.read_bytes()
    content["claims"][3]["verdict"] = "refuted"
    with pytest.raises(ReportError, match=r"two verdicts at one commit: got c0ffee S5\.1-cka.*reproduced and refuted"):
        history.add(parse(content), path, "c0ffee")
    assert path.read_bytes() == before


def test_the_history_of_another_paper_is_refused(content: dict[str, Any], path: Path) -> None:
    """Verdicts of two papers do not mix."""
    content["paper"]["title"] = "Another"
    with pytest.raises(ReportError, match="different papers"):
        history.add(parse(content), path, "decaf")


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        ("{", "line 4 is broken: no JSON"),
        ("", "line 4 is broken: no JSON"),
        ("7", "line 4 is broken: no verdict"),
        ("{}", "line 4: schema is missing"),
        ('{"schema": 3}', "line 4: schema is a version this dtclaims does not know: got int 3, expected 1 or 2"),
        ("REPEAT", "line 4 is a second verdict .* the first is line 1"),
        ("NAN", "line 4 is broken: no JSON: got NaN is not JSON"),
    ],
)
def test_a_broken_line_is_named_and_nothing_is_written(
    broken: str, message: str, content: dict[str, Any], path: Path
) -> None:
    """The number of the line is told, and the file stays as it is."""
    lines = path.read_text(encoding="utf-8").splitlines()
    lines[3] = {"REPEAT": lines[0], "NAN": lines[3].replace("0.054", "NaN")}.get(broken, broken)
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    before = path.read_bytes()
    with pytest.raises(ReportError, match=message):
        history.read(path)
    with pytest.raises(ReportError, match=message):
        history.add(parse(content), path, "decaf")
    assert path.read_bytes() == before


def test_a_line_that_was_cut_off_is_named(path: Path) -> None:
    """A last line without its end is not taken for whole."""
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ReportError, match="line 10 has no end"):
        history.read(path)


@pytest.mark.parametrize("commit", ["", "two words", "new\nline"])
def test_a_commit_is_one_word(commit: str, content: dict[str, Any], tmp_path: Path) -> None:
    """A commit that would break the line or the table is refused before anything is made."""
    with pytest.raises(ReportError, match="commit is not of the form"):
        history.add(parse(content), tmp_path / "history.jsonl", commit)
    assert not list(tmp_path.iterdir())


def test_hostile_text_stays_in_its_line(content: dict[str, Any], tmp_path: Path) -> None:
    """Line breaks and quotes in texts are carried, not obeyed."""
    content["claims"][0]["id"] = HOSTILE
    history.add(parse(content), tmp_path / "h", "c0ffee")
    assert history.read(tmp_path / "h")[0].id == HOSTILE
    assert (tmp_path / "h").read_text(encoding="utf-8").count("\n") == len(content["claims"])


def test_histories_are_merged_by_time(content: dict[str, Any], path: Path, tmp_path: Path) -> None:
    """Lines of several files are put in order; those that both hold count once; contradictions are an error."""
    content["provenance"]["created"] = "2026-01-01T00:00:00Z"
    other = tmp_path / "other.jsonl"
    history.add(parse(content), other, "early")
    lines = history.merge([history.read(path), history.read(other), history.read(path)])
    assert [line.commit for line in lines] == ["early"] * 10 + ["c0ffee"] * 10
    with pytest.raises(ReportError, match="two verdicts at one commit"):
        history.merge([lines, [replace(lines[0], verdict="error")]])


def test_a_history_that_cannot_be_read_or_written_is_named(content: dict[str, Any], tmp_path: Path) -> None:
    """A missing file, and a folder in a file's place, are report errors."""
    with pytest.raises(ReportError, match=r"cannot read the history .*absent"):
        history.read(tmp_path / "absent")
    (tmp_path / "file").write_text("")
    with pytest.raises(ReportError, match="cannot write the history"):
        history.add(parse(content), tmp_path / "file" / "history.jsonl", "c0ffee")
