"""Behaviour of `dtclaims.harness.report.document`: what is a report, what is not, and how the difference is told."""

import json
from collections.abc import Callable
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dtclaims.errors import ReportError
from dtclaims.harness.judge.entries import Part
from dtclaims.harness.judge.words import STATUSES
from dtclaims.harness.report import parse, read, validate, write
from dtclaims.harness.report.document import dump, replace_all, schema_text
from dtclaims.tests.support import report_example

Change = Callable[[dict[str, Any]], object]


def test_read_gives_back_what_was_written(tmp_path: Path) -> None:
    """The file holds the whole report, and nothing of a temporary file stays beside it."""
    document = report_example.document()
    assert read(write(document, tmp_path / "report.json")) == document
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]


def test_every_verdict_and_seed_count_is_in_the_example() -> None:
    """The example that other tests rest on covers what it promises."""
    claims = report_example.document().claims
    assert {claim.verdict for claim in claims} == set(STATUSES)
    assert {len(claim.effect.per_seed) for claim in claims} == {0, 3, 5}


def test_other_readers_see_plain_json_text(tmp_path: Path) -> None:
    """The file is UTF-8 JSON with the paper's own signs in it, ended by a newline."""
    text = write(report_example.document(), tmp_path / "report.json").read_text(encoding="utf-8")
    assert text.endswith("}\n")
    assert "score, random − image" in text


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.pop("paper"), r"^paper is missing\.$"),
        (lambda d: d.update(extra=1), r"^extra is no field of a report: expected schema, paper"),
        (
            lambda d: d["provenance"].update(scale="huge"),
            r"provenance\.scale is unknown: got str 'huge', expected one of",
        ),
        (
            lambda d: d["provenance"].update(seeds=[0, True]),
            r"provenance\.seeds\[1\] is of another type: got bool True",
        ),
        (lambda d: d["provenance"].update(created="yesterday"), r"provenance\.created is not of the form"),
        (lambda d: d["provenance"].update(alpha=0.5), r"provenance\.alpha is out of range: got 0\.5, expected < 0\.5"),
        (lambda d: d["provenance"].update(label=" "), r"provenance\.label is not of the form"),
        (lambda d: d["claims"][1].update(verdict="supported"), r"claims\[1\]\.verdict is unknown: got str 'supported'"),
        (lambda d: d["claims"][1].pop("reason"), r"claims\[1\]\.reason is missing"),
        (lambda d: d["claims"][1].update(verdit="x"), r"claims\[1\]\.verdit is no field"),
        (lambda d: d["claims"][1].update(n=-1), r"claims\[1\]\.n is out of range: got -1, expected >= 0"),
        (
            lambda d: d["claims"][3]["effect"]["per_seed"].update(a=1.0),
            r"a key of claims\[3\]\.effect\.per_seed is not",
        ),
        (lambda d: d["claims"][3]["effect"]["per_seed"].update({"7": None}), r"claims\[3\]\.effect\.per_seed\.7 is of"),
        (lambda d: d["claims"][3]["effect"].update(low=None), r"claims\[3\]\.effect has half an interval"),
        (lambda d: d["claims"][3]["effect"].update(low=1.0), r"claims\[3\]\.effect\.low is above high: got 1\.0 and"),
        (lambda d: d["claims"][1]["effect"].update(mean=0), r"claims\[1\]\.effect\.mean has a value though .* not_run"),
        (lambda d: d["claims"][1]["effect"]["per_seed"].update({"0": 1}), r"claims\[1\]\.effect\.per_seed has values"),
        (
            lambda d: d["claims"][0]["components"]["hopper"]["statistics"].pop("sd"),
            r"components\.hopper\.statistics\.sd",
        ),
        (lambda d: d["claims"][0]["components"]["hopper"].update(verdict="error"), r"components\.hopper\.effect\.mean"),
        (
            lambda d: d["claims"].append(d["claims"][0]),
            r"claims\[10\] is a second verdict on the same claim.*claims\[0\]",
        ),
    ],
)
def test_a_broken_report_is_refused_by_the_name_of_its_field(change: Change, message: str) -> None:
    """The error says which field is wrong, what stands there and what may."""
    content = report_example.content()
    change(content)
    with pytest.raises(ReportError, match=message):
        parse(content)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (float("nan"), "is not a finite number: got nan.*Write null"),
        (float("inf"), "is not a finite number: got inf"),
        (np.int64(3), "is not a JSON value: got int64"),
        ((1, 2), "is not a JSON value: got tuple"),
        ({1: "a"}, "a key of claims.0..provenance.x is not text: got int 1"),
        ("\ud800", "is not valid Unicode text"),
        (2**70, "is too large a whole number"),
    ],
)
def test_what_json_cannot_carry_is_refused(value: object, message: str) -> None:
    """Free-form fields hold anything that comes back from JSON as it was, and nothing else."""
    good = report_example.document()
    spoilt = replace(good.claims[0], provenance={**good.claims[0].provenance, "x": value})
    with pytest.raises(ReportError, match=message):
        dump(replace(good, claims=(spoilt, *good.claims[1:])))


def test_endless_nesting_is_refused() -> None:
    """A report that would exhaust the stack of a reader gets an error that names the place."""
    content = report_example.content()
    nested: dict[str, Any] = {}
    for _ in range(2000):
        nested = {"a": nested}
    content["claims"][0]["provenance"] = nested
    with pytest.raises(ReportError, match=r"claims\[0\]\.provenance\.a.* is nested too deep"):
        parse(content)


@pytest.mark.parametrize("text", ["", "{", '{"schema": 2, "claims": [NaN]}', "[" * 100_000, "\x00"])
def test_damaged_json_is_told_from_a_wrong_report(tmp_path: Path, text: str) -> None:
    """A cut-off file, a non-standard number or runaway nesting is damage, with what to do about it."""
    path = tmp_path / "report.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ReportError, match=r"report\.json is damaged: no JSON.*Make the report again"):
        read(path)


@pytest.mark.parametrize("foreign", [[], 3, None, {"name": "package"}, {"schema": 2}])
def test_foreign_json_is_not_a_report(tmp_path: Path, foreign: object) -> None:
    """Valid JSON of another tool is refused as such, with the path."""
    path = tmp_path / "package.json"
    path.write_text(json.dumps(foreign), encoding="utf-8")
    with pytest.raises(ReportError, match=r"package\.json: this is not a dtclaims report"):
        read(path)


@pytest.mark.parametrize("version", [0, 3, "2", True, None])
def test_another_schema_version_is_refused(version: object) -> None:
    """A report of a later or earlier layout is not guessed at."""
    with pytest.raises(ReportError, match=r"schema is a version .* expected 1 or 2\. Make the report again"):
        report_example.document(schema=version)


def test_number_too_large_for_a_float_is_refused_when_read(tmp_path: Path) -> None:
    """1e999 is JSON, but would be read as infinity."""
    path = write(report_example.document(), tmp_path / "report.json")
    path.write_text(path.read_text(encoding="utf-8").replace("0.054", "1e999", 1), encoding="utf-8")
    with pytest.raises(ReportError, match=r"claims\[3\]\.effect\.mean is not a finite number"):
        read(path)


def test_missing_file_is_a_report_error(tmp_path: Path) -> None:
    """A path that does not exist is named."""
    with pytest.raises(ReportError, match=r"cannot read the report .*absent\.json: got No such file"):
        read(tmp_path / "absent.json")


def test_nothing_is_replaced_before_everything_is_written(tmp_path: Path) -> None:
    """When the second file cannot be staged, the first keeps its old content and no temporary file stays."""
    old = tmp_path / "a.txt"
    old.write_text("old", encoding="utf-8")
    with pytest.raises(ReportError, match="cannot write the report"):
        replace_all({old: "new", tmp_path / "no such folder" / "b.txt": "new"})
    assert old.read_text(encoding="utf-8") == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda series: series.update(y=[1.0]), r"figures\.fig1\.panels\[0\]\.series\[0\]\.y is not as long as x"),
        (lambda series: series.pop("high"), r"series\[0\] has low without high"),
        (lambda series: series.update(fliers=[[1.0]]), r"series\[0\]\.fliers holds something else than pairs"),
        (
            lambda series: series.update(protocol="mine"),
            r"protocol is unknown: got str 'mine', .* corrected, null",
        ),
        (lambda series: series.update(x=[0, 1, 2, None]), r"x\[3\] is of another type"),
    ],
)
def test_a_figure_that_cannot_be_drawn_is_refused(change: Change, message: str) -> None:
    """Lists of one length, whole bands, pairs of numbers: anything else is named before a renderer meets it."""
    example = report_example.content()
    change(example["figures"]["fig1"]["panels"][0]["series"][0])
    with pytest.raises(ReportError, match=message):
        parse(example)


def test_a_composite_may_have_an_effect_though_a_part_was_not_run() -> None:
    """A claim with parts keeps what was measured of its own; any other claim not run has no effect."""
    example = report_example.content()
    entry = example["claims"][3]
    entry |= {"verdict": "not_run", "parts": [{"id": "a", "verdict": "not_run"}]}
    assert parse(example).claims[3].parts == (Part("a", "not_run"),)
    entry["parts"] = []
    with pytest.raises(ReportError, match="has a value though the verdict is not_run"):
        parse(example)


def test_attribution_must_say_all_it_was_asked() -> None:
    """A variant without a verdict is named."""
    example = report_example.content()
    del example["claims"][3]["attribution"]["variants"]["head"]["verdict"]
    with pytest.raises(ReportError, match=r"attribution\.variants\.head\.verdict is missing"):
        parse(example)


def test_only_a_document_is_validated() -> None:
    """What was not parsed is refused, even where it could be."""
    whole = report_example.document()
    assert validate(whole) is whole
    with pytest.raises(ReportError, match=r"not a dtclaims report: got dict .* as `parse` makes it"):
        validate(report_example.content())  # type: ignore[arg-type]


def test_scales_are_those_of_the_reports_words() -> None:
    """A lab names its own scales; where a report says which there are, no other may occur."""
    content = report_example.content()
    content["claims"][1]["scale"] = "tiny"
    with pytest.raises(ReportError, match=r"claims\[1\]\.scale is unknown: got str 'tiny', expected one of mini"):
        parse(content)
    del content["words"]
    assert parse(content).claims[1].scale == "tiny"


def test_a_run_has_the_condition_that_its_lab_gives_it() -> None:
    """What tells runs apart is the lab's: any words with text, whole numbers or nothing."""
    content = report_example.content()
    run = {"key": "k", "method": "lasso", "size": 3, "seed": 0, "cached": True, "seconds": None}
    content["claims"][0]["runs"] = [run]
    document = parse(content)
    assert document.claims[0].runs[0].condition == {"method": "lasso", "size": 3}
    assert document.to_json()["claims"][0]["runs"] == [run]
    run["size"] = 0.5
    with pytest.raises(ReportError, match=r"claims\[0\]\.runs\[0\]\.size is of another type: got float 0\.5"):
        parse(content)


def test_the_published_schema_is_that_of_the_types() -> None:
    """`schema.json` is made by `schema_text`; where they differ, write its text to the file again."""
    published = files("dtclaims.harness.report").joinpath("schema.json").read_text(encoding="utf-8")
    assert published == schema_text()
