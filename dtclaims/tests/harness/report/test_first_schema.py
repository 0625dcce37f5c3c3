"""Reports of schema 1, which dtclaims wrote before December 2026: every reader of reports takes them still.

`support/report_schema_1.json` holds 8 claims of `claims/evidence/hopper-small.json`, as the dtclaims of then wrote
them.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from dtclaims.errors import ReportError
from dtclaims.harness.judge.document import Document
from dtclaims.harness.judge.entries import TrendShown
from dtclaims.harness.report import BUNDLES, FORMATS, check_expectations, compare, merge, read, render, summary_lines
from dtclaims.harness.report.dashboard import render as dashboard
from dtclaims.harness.report.history import lines_of
from dtclaims.harness.report.junit import properties
from dtclaims.harness.report.markdown import matrix
from dtclaims.places import ROOT

FILE = ROOT / "dtclaims" / "tests" / "support" / "report_schema_1.json"


@pytest.fixture(scope="module")
def stored() -> dict[str, Any]:
    """The report as JSON."""
    content: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8"))
    return content


@pytest.fixture(scope="module")
def first() -> Document:
    """The report."""
    return read(FILE)


def test_it_is_of_schema_1(stored: dict[str, Any]) -> None:
    """With predicates, components, composites, claims not run and numbers of the paper."""
    assert stored["schema"] == 1
    claims = stored["claims"]
    assert {one["predicate"]["kind"] for one in claims} >= {"above", "below", "equivalent", "holds_in"}
    assert any(one["components"] for one in claims)
    assert any(one.get("parts") for one in claims)
    assert {one["verdict"] for one in claims} >= {"refuted", "inconclusive", "reproduced", "not_run"}


def test_what_it_says_is_kept_and_nothing_is_added(stored: dict[str, Any], first: Document) -> None:
    """Verdicts and numbers are those of the file; a predicate is shown as the trend of the first edition."""
    assert first.schema == 2
    assert len(first.claims) == len(stored["claims"])
    for entry, old in zip(first.claims, stored["claims"], strict=True):
        assert (entry.verdict, entry.reason, entry.n) == (old["verdict"], old["reason"], old["n"])
        assert entry.effect.to_json() == old["effect"]
        was = old["predicate"]
        assert entry.trend == TrendShown(
            was["kind"],
            was["text"],
            null=was.get("null"),
            bound=was["threshold"],
            direction=-1 if was["kind"] == "below" else 1,
        )
        assert entry.rule == "1"
        unsaid = (entry.turn, entry.decided_by, entry.size, entry.paper_data, entry.checks, entry.warnings)
        assert unsaid == ("", (), None, (), (), ())


def test_every_renderer_shows_it(first: Document, tmp_path: Path) -> None:
    """Files, terminal, matrix, properties, history and dashboard."""
    paths = render(first, tmp_path, [*FORMATS, *BUNDLES])
    assert read(paths["json"]) == first
    for name in ("html", "md"):
        text = paths[name].read_text(encoding="utf-8")
        assert "judged under rule 1, as declared then" in text
        assert "S5.1-multimodal-differs" in text
    assert len(summary_lines(first)) > len(first.claims)
    assert "S5.1-multimodal-differs" in matrix(first)
    assert [dict(properties(entry))["rule"] for entry in first.claims] == ["1"] * len(first.claims)
    lines = lines_of(first, "c0ffee")
    assert len(lines) == len(first.claims)
    assert "S5.1-multimodal-differs" in dashboard(lines)


def test_what_decided_is_found_by_its_verdict(first: Document) -> None:
    """A composite refuted through a part shows that part's number, not the effect of its own that did not decide."""
    (line,) = [one for one in matrix(first).splitlines() if "S5.1-multimodal-differs" in one]
    (entry,) = [one for one in first.claims if one.key == ("S5.1-multimodal-differs", "published", "small")]
    assert entry.verdict == "refuted"
    assert entry.effect.mean == pytest.approx(0.3474, abs=1e-4)
    published = line.split(" | ")[1]
    assert " by S5.1-cka-gpt2-low: " in published
    assert "0.347" not in published


def test_it_can_be_expected_compared_and_merged(first: Document, tmp_path: Path) -> None:
    """With itself, and with what this dtclaims makes of it."""
    assert check_expectations(first, FILE) == []
    written = render(first, tmp_path, ["json"])["json"]
    assert compare(first, read(written)) == ([], [])
    other = json.loads(written.read_text(encoding="utf-8"))
    other["provenance"]["scale"] = "full"
    for entry in other["claims"]:
        entry["scale"] = "full"
    (tmp_path / "other.json").write_text(json.dumps(other), encoding="utf-8")
    assert len(merge([first, read(tmp_path / "other.json")]).claims) == 2 * len(first.claims)


def test_a_file_that_is_neither_is_named_by_its_field(stored: dict[str, Any], tmp_path: Path) -> None:
    """What is not as schema 1 had it is left for the checks, which name the field of schema 2."""
    spoilt = {**stored, "claims": [{**stored["claims"][0], "predicate": "> 0"}]}
    path = tmp_path / "spoilt.json"
    path.write_text(json.dumps(spoilt), encoding="utf-8")
    with pytest.raises(ReportError, match=r"claims\[0\]\.trend is missing"):
        read(path)
