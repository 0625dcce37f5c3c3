"""Behaviour of `dtclaims.harness.judge.document`: what made a report, and which verdicts stand together."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from dtclaims.harness.judge.document import made_now, with_holm
from dtclaims.harness.judge.entries import Entry, ErrorProbabilities
from dtclaims.harness.judge.words import Status
from dtclaims.places import home
from dtclaims.tests.support import report_example


def test_a_report_does_not_name_its_maker(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The command is what was typed, without the place of the program; the store is told from the home folder."""
    monkeypatch.setattr(sys, "argv", ["/somewhere/bin/pytest", "claims", "--seeds", "3"])
    found = [
        made_now(
            seeds=(0, 1, 2),
            scale="tiny",
            scale_reason=None,
            protocols=("published",),
            device="cpu",
            alpha=0.05,
            store=store,
            versions={"numpy": "2"},
            label="a label",
        )
        for store in (home() / "store", tmp_path / "elsewhere")
    ]
    assert [one.store for one in found] == ["DTCLAIMS_HOME/store", "elsewhere"]
    assert {one.command for one in found} == {"pytest claims --seeds 3"}
    assert list(found[0].versions) == ["numpy", "python"]
    assert report_example.document(provenance=found[0].to_json(), words={}).provenance == found[0]


def headline(name: str, verdict: Status, p_value: float | None, *, is_one: bool = True) -> Entry:
    """A headline's entry, as far as Holm's rule looks at it."""
    tests = ErrorProbabilities(p_t=p_value, p_free=None, p_against=1.0, gate_against=False)
    return replace(report_example.entry(name, headline=is_one), verdict=verdict, p_value=p_value, tests=tests)


def test_holm_is_over_the_headlines_that_were_judged() -> None:
    """A claim without a verdict is not in the family, however small the p of what was measured of it."""
    judged = [headline("a", "reproduced", 0.03), headline("b", "inconclusive", 0.2)]
    lost = [
        headline("c", "not_run", 1e-6),
        headline("d", "error", 1e-6),
        headline("e", "reproduced", 0.9, is_one=False),
    ]
    assert [entry.holm for entry in with_holm([*judged, *lost], 0.05)] == [False, None, None, None, None]
    assert with_holm([judged[0], *lost], 0.05)[0].holm is True


def test_only_a_reproduced_claim_stands_or_falls() -> None:
    """Holm's p is of the claim; a refuted or undecided one is not said to stand, though it counts in the family."""
    entries = [headline("a", "reproduced", 0.02), headline("b", "inconclusive", 0.001), headline("c", "refuted", 0.9)]
    assert [entry.holm for entry in with_holm(entries, 0.05)] == [True, None, None]
    assert with_holm([*entries, headline("d", "refuted", None)], 0.05)[0].holm is False
