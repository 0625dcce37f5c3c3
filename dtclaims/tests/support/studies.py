"""Studies of the sample claims on results that nobody trained."""

from pathlib import Path
from typing import Any

from dtclaims.harness.declare.claim import Claim
from dtclaims.harness.declare.registry import load_claims, load_lab
from dtclaims.harness.judge.entries import Entry
from dtclaims.harness.settings import Settings, make_settings
from dtclaims.harness.study import Study, cells_of
from dtclaims.tests.support.examples import SAMPLE_CLAIMS, fill_store

LAB = load_lab(SAMPLE_CLAIMS)
CLAIMS = load_claims(SAMPLE_CLAIMS)
RETURNS = {"random_init": 50.0, "language_pretrained": 3000.0, "language_moments": 100.0}


def settings_of(choices: dict[str, str] | None = None, **more: Any) -> Settings:
    return make_settings(choices or {}, LAB, **more)


def study(tmp_path: Path, ids: list[str] | None = None, **choices: str) -> Study:
    settings = settings_of({"store": str(tmp_path / "store"), "report": str(tmp_path / "report"), **choices})
    chosen: list[Claim] = [CLAIMS[name] for name in ids or CLAIMS]
    return Study(cells_of(chosen, settings), settings)


def value_of(planned: Any) -> Any:
    """The same value for every arm, by measurement."""
    return {"attention_gap": [1.0, 9.0, 1.0]}[planned.job.what["quantity"]]


def filled(tmp_path: Path, **options: str) -> Study:
    first = study(tmp_path, **options)
    fill_store(first.plan, first.store, RETURNS, value_of)
    return study(tmp_path, **options)


def entries(of: Study) -> dict[tuple[str, str], Entry]:
    """What is judged, by claim and protocol; headlines are marked as in a report."""
    document = of.document([of.judge(cell) for cell in of.cells])
    return {(entry.id, entry.protocol): entry for entry in document.claims}
