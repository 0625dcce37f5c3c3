"""Behaviour of `dtclaims.harness.commands.report`: exit codes, and that bad input changes nothing."""

import json
from pathlib import Path

import pytest

from dtclaims.errors import ReportError, UsageError
from dtclaims.harness.commands.parser import joined
from dtclaims.harness.commands.table import commands_of
from dtclaims.harness.report import parse, write
from dtclaims.tests.support import report_example
from dtclaims.tests.support.command_line import run


@pytest.fixture
def reports(tmp_path: Path) -> tuple[Path, Path]:
    """Two reports that differ in one verdict."""
    content = report_example.content()
    first = write(parse(content), tmp_path / "first.json")
    trend = {**content["claims"][3]["trend"], "null": 1.0, "text": "> 1\x1b[31m"}
    content["claims"][3] |= {"verdict": "refuted", "trend": trend}
    return first, write(parse(content), tmp_path / "second.json")


def test_diff_tells_what_changed_and_why(reports: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    """Exit code 1 where a verdict differs, 0 where none does; texts cannot colour the terminal."""
    assert run("report", "diff", *reports) == 1
    assert capsys.readouterr().out.splitlines() == [
        "verdicts differ: 1",
        "  S5.1-cka-random-higher-gpt2 (published, mini): reproduced -> refuted",
        "    trend: > 0, of interest from 0.02 -> > 1?[31m",
        "    null: 0 -> 1",
    ]
    assert run("report", "diff", reports[0], reports[0]) == 0
    assert capsys.readouterr().out == "the reports agree\n"


def test_diff_as_json(reports: tuple[Path, Path], capsys: pytest.CaptureFixture[str]) -> None:
    """The same as data."""
    assert run("report", "diff", *reports, "--json") == 1
    found = json.loads(capsys.readouterr().out)
    assert [one["after"] for one in found["differ"]] == ["refuted"]
    assert found["moved"] == found["reports"] == []


def test_diff_tells_what_lies_between_the_reports(
    reports: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """Software, code and versions are compared once for all verdicts; they alone are no difference of verdicts. A
    version that one report does not name is not known of it, and is no difference: a session names what its results
    depend on, a judged file of evidence what it was judged with."""
    content = report_example.content()
    content["provenance"] |= {"alpha": 0.01, "code": {"train/loop.py": "aaaa"}, "commit": "c0ffee"}
    write(parse(content), reports[1])
    content["provenance"] |= {
        "versions": {"python": "3.12.1", "scipy": "1.17.1"},
        "code": {"train/loop.py": "bbbb"},
        "commit": "decaf",
    }
    third = write(parse(content), reports[1].with_name("third.json"))
    assert run("report", "diff", reports[1], third) == 0
    said = capsys.readouterr().out
    assert said.splitlines()[:4] == [
        "between the reports",
        "  report commit: c0ffee -> decaf",
        "  code train/loop.py: aaaa -> bbbb",
        "  version python: 3.11.7 -> 3.12.1",
    ]
    assert not [name for name in ("torch", "scipy") if f"version {name}" in said]
    assert run("report", "diff", reports[0], reports[1]) == 0
    assert capsys.readouterr().out.startswith("between the reports\n  report alpha: 0.05 -> 0.01\n")


def test_reports_of_two_schemas_are_not_compared(reports: tuple[Path, Path], tmp_path: Path) -> None:
    """The newer one is named."""
    foreign = tmp_path / "foreign.json"
    foreign.write_text(reports[1].read_text().replace('"schema": 2', '"schema": 3', 1))
    with pytest.raises(ReportError, match=r"foreign.json: schema is a version this dtclaims does not know"):
        run("report", "diff", reports[0], foreign)


def test_expect_records_verdicts(reports: tuple[Path, Path], tmp_path: Path) -> None:
    """The short form is written."""
    assert run("report", "expect", reports[0], "--out", tmp_path / "expected.json") == 0
    assert len(json.loads((tmp_path / "expected.json").read_text())["verdicts"]) == 10


def test_merge_writes_one_report(reports: tuple[Path, Path], tmp_path: Path) -> None:
    """Reports of two scales become one; two of one scale are refused and leave the file alone."""
    content = report_example.content()
    for entry in content["claims"]:
        entry["scale"] = "small"
    small = write(parse(content), tmp_path / "small.json")
    assert run("report", "merge", reports[0], small, "--out", tmp_path / "all.json") == 0
    before = (tmp_path / "all.json").read_bytes()
    assert len(json.loads(before)["claims"]) == 20
    with pytest.raises(ReportError, match="second verdict"):
        run("report", "merge", *reports, "--out", tmp_path / "all.json")
    assert (tmp_path / "all.json").read_bytes() == before


def test_history_and_dashboard(reports: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two commits make a history, and the history a site that names the second as what changed a verdict."""
    for report, commit in zip(reports, ("aaa", "bbb"), strict=True):
        assert run("history", "add", report, "--to", tmp_path / "h.jsonl", "--commit", commit) == 0
    assert run("dashboard", tmp_path / "h.jsonl", "--out", tmp_path / "site") == 0
    assert capsys.readouterr().out.endswith(f"dashboard: {tmp_path / 'site' / 'index.html'}\n")
    assert "reproduced → **refuted**" in (tmp_path / "site" / "changes.md").read_text(encoding="utf-8")


def test_a_broken_history_makes_no_site(reports: tuple[Path, Path], tmp_path: Path) -> None:
    """The line is named, and an older site stays as it is."""
    run("history", "add", reports[0], "--to", tmp_path / "h.jsonl", "--commit", "aaa")
    run("dashboard", tmp_path / "h.jsonl", "--out", tmp_path / "site")
    before = (tmp_path / "site" / "index.html").read_bytes()
    with (tmp_path / "h.jsonl").open("a") as file:
        file.write("{\n")
    with pytest.raises(ReportError, match=r"h.jsonl, line 11 is broken"):
        run("dashboard", tmp_path / "h.jsonl", "--out", tmp_path / "site")
    assert (tmp_path / "site" / "index.html").read_bytes() == before


def test_the_commit_is_ci_s_or_gits(
    reports: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """GITHUB_SHA comes first; outside a repository a commit must be named."""
    monkeypatch.setenv("GITHUB_SHA", "cafe")
    run("history", "add", reports[0], "--to", tmp_path / "h.jsonl")
    assert json.loads((tmp_path / "h.jsonl").read_text().splitlines()[0])["commit"] == "cafe"
    monkeypatch.delenv("GITHUB_SHA")
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match="no commit to record"):
        run("history", "add", reports[0], "--to", tmp_path / "h.jsonl")


def test_a_report_says_which_commit_it_is_of(
    reports: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it was judged at, or the evidence was made at, comes before today's; evidence that names none is asked."""
    monkeypatch.setenv("GITHUB_SHA", "today")
    content = report_example.content()
    evidence = {"name": "e.json", "date": "2026-01-02T03:04:05Z", "commit": "0ld"}
    for name, provenance in {"own": {"commit": "its"}, "judged": {"evidence": evidence, "commit": "its"}}.items():
        content["provenance"] |= provenance
        report = write(parse(content), tmp_path / f"{name}.json")
        run("history", "add", report, "--to", tmp_path / f"{name}.jsonl")
    first = [json.loads((tmp_path / f"{name}.jsonl").read_text().splitlines()[0]) for name in ("own", "judged")]
    assert [line["commit"] for line in first] == ["its", "0ld"]
    assert first[1]["created"] == "2026-01-02T03:04:05Z"
    evidence["commit"] = None
    report = write(parse(content), tmp_path / "unknown.json")
    with pytest.raises(UsageError, match=r"no commit to record: got the evidence e\.json, which names none"):
        run("history", "add", report, "--to", tmp_path / "unknown.jsonl")
    assert not (tmp_path / "unknown.jsonl").exists()


def test_other_commands_are_left_alone() -> None:
    """A report's file is an argument of `report`, and the empty command line stays empty."""
    commands = commands_of(None)
    assert joined(["report", "report.json"], commands) == ["report", "report.json"]
    assert joined(["report", "diff", "a", "b"], commands) == ["report diff", "a", "b"]
    assert joined([], commands) == []
