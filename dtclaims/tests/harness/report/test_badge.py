"""Behaviour of `dtclaims.harness.report.badge`: what shields.io's endpoint badge can read."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings

from dtclaims.harness.report import badge, parse
from dtclaims.tests.support import report_example
from dtclaims.tests.support.report_strategies import documents


def test_the_papers_badge_counts_the_last_column() -> None:
    """The corrected verdicts are counted, and the worst of them gives the colour."""
    assert badge.paper_badge(report_example.document().claims, ()) == {
        "schemaVersion": 1,
        "label": "claims (corrected, mini)",
        "message": "0 of 3 reproduced, 1 refuted, 1 not run, 1 error",
        "color": badge.COLOURS["error"],
        "cacheSeconds": 3600,
    }
    assert badge.paper_badge([], ())["message"] == "none"


@pytest.mark.parametrize(
    ("verdicts", "verdict"),
    [
        (["reproduced", "not_run"], "reproduced"),
        (["reproduced", "refuted"], "refuted"),
        (["inconclusive", "not_run"], "inconclusive"),
        (["not_evaluable", "not_run"], "not_evaluable"),
        (["not_run"], "not_run"),
    ],
)
def test_the_colour_is_the_verdict_that_a_reader_must_know(verdicts: list[str], verdict: str) -> None:
    """A refuted claim is not hidden behind reproduced ones."""
    claims = [report_example.entry(f"c{index}", verdict=one) for index, one in enumerate(verdicts)]
    assert badge.paper_badge(claims, ())["color"] == badge.COLOURS[verdict]


def test_a_claims_badge_names_each_protocol() -> None:
    """Both verdicts are told, and the scale only where there are several."""
    claims = [report_example.entry("a", verdict="refuted"), report_example.entry("a", "corrected")]
    assert badge.claim_badge(claims)["message"] == "published refuted · corrected not run"
    claims[1] = replace(claims[1], scale="paper")
    assert badge.claim_badge(claims)["message"] == "published mini refuted · corrected paper not run"


@settings(max_examples=30)
@given(documents())
def test_every_badge_is_an_endpoint_in_a_file_of_its_own(document: dict[str, Any]) -> None:
    """However hostile the ids, each claim has a file below badges/, of the endpoint's schema."""
    files = badge.files(parse(document).claims, ())
    assert len(files) == 1 + len({claim["id"] for claim in document["claims"]})
    for path, text in files.items():
        assert ".." not in path.parts
        assert len(path.parts) <= 2
        assert not set(str(path)) & set("\\:<>\"'|?*\n ")
        content = json.loads(text)
        assert content["schemaVersion"] == 1
        assert all(isinstance(content[name], str) for name in ("label", "message", "color"))
