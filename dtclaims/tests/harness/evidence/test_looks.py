"""Looks in files of evidence: what a store knew of earlier looks, the file knows."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dtclaims.errors import StoreError
from dtclaims.harness.evidence import judge_evidence, read_evidence
from dtclaims.harness.evidence.file import with_digests
from dtclaims.harness.judge.entries import Entry
from dtclaims.harness.judge.looks import CHOSEN
from dtclaims.tests.support.command_line import run
from dtclaims.tests.support.examples import SAMPLE_CLAIMS

TINY = SAMPLE_CLAIMS.with_name("tiny_paper")


def export(tmp_path: Path, *options: str) -> Path:
    """Evidence of the tiny paper on some seeds, of a store that remembers looks."""
    chosen = ["--claims", TINY, "--store", tmp_path / "store", "--protocol", "corrected", *options]
    out = tmp_path / f"{len(list(tmp_path.glob('*.json')))}.json"
    assert run("run", *chosen) == 0
    assert run("evidence", out, *chosen) == 0
    return out


def entry(file: Path, **options: Any) -> Entry:
    """The first claim's entry."""
    found: Entry = judge_evidence(read_evidence(file), only=["TINY-1"], **options).document.claims[0]
    return found


@pytest.mark.parametrize("options", [{}, {"restated": True, "claims": TINY}], ids=["as declared", "as of today"])
def test_earlier_looks_travel_with_the_results(tmp_path: Path, options: dict[str, Any]) -> None:
    """A subset of what was looked at is paid for and called chosen from the file as well, however it is judged."""
    whole = export(tmp_path, "--seeds", "8")
    subset = export(tmp_path, "--seeds", "0,2,4,5,7")
    for file, looks, warnings in ((whole, 1, ()), (subset, 2, (CHOSEN,))):
        found = entry(file, **options)
        assert found.statistics is not None
        assert (found.statistics.looks, found.warnings) == (looks, warnings)


@pytest.mark.parametrize("options", [{}, {"restated": True, "claims": TINY}], ids=["as declared", "as of today"])
def test_declared_looks_travel_with_the_results(tmp_path: Path, options: dict[str, Any]) -> None:
    """What a look could spend is the file's, and is shown."""
    found = entry(export(tmp_path, "--seeds", "5", "--looks", "5,8"), **options)
    assert found.statistics is not None
    assert found.statistics.spent == pytest.approx(0.035)
    assert "declared" not in json.dumps(found.warnings)


@pytest.mark.parametrize(
    "change",
    [
        lambda one: one["looks"][0]["looks"][0].update(date="yesterday"),
        lambda one: one["looks"][0]["looks"][0].pop("trends"),
        lambda one: one["looks"][0]["looks"][0]["seeds"].update({"0": 3}),
        lambda one: one["study"].update(looks=[8, 5]),
    ],
)
def test_damaged_looks_of_a_file_are_named(tmp_path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """They come from outside, and are checked like everything in it."""
    export(tmp_path, "--seeds", "5")
    file = export(tmp_path, "--seeds", "8", "--looks", "5,8")
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(with_digests(content)))
    with pytest.raises(StoreError, match="look") as error:
        read_evidence(file)
    assert str(file) in str(error.value)
