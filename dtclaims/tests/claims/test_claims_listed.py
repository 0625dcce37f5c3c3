"""The docs' page of claims is what the command writes."""

import pytest

from dtclaims.harness.commands.main import main
from dtclaims.harness.declare.registry import load_claims
from dtclaims.places import ROOT

PAGE = ROOT / "dtclaims" / "docs" / "claims_listed.md"


def test_the_page_is_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    """Sentence, trend, reasons, sizes and changes are the declarations' own; a page of before is out of date."""
    assert main(["claims", "--markdown"]) == 0
    written = capsys.readouterr().out
    assert PAGE.read_text(encoding="utf-8") == written, f"dtclaims claims --markdown > {PAGE.relative_to(ROOT)}"


def test_every_claim_has_its_place() -> None:
    """One heading for each claim, whatever its kind."""
    headings = [line.split()[1] for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("### ")]
    assert sorted(headings) == sorted(load_claims())
