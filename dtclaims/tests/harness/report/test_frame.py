"""The report as a table."""

import io

import pandas as pd

from dtclaims.harness.report import frame
from dtclaims.harness.report.frame import csv
from dtclaims.tests.support.report_example import document as example


def test_one_row_per_seed_and_none_is_lost() -> None:
    """Every claim is there; those with effects have a row per seed with its value."""
    document = example()
    table = frame(document)
    assert set(table["claim"]) == {entry.id for entry in document.claims}
    for entry in document.claims:
        rows = table[(table["claim"] == entry.id) & (table["protocol"] == entry.protocol)]
        per_seed = entry.effect.per_seed
        assert len(rows) == max(1, len(per_seed))
        if per_seed:
            assert dict(zip(rows["seed"], rows["effect"], strict=True)) == per_seed


def test_csv_reads_back() -> None:
    """Comma-separated text keeps texts with commas and quotes, and the numbers."""
    table = frame(example())
    back = pd.read_csv(io.StringIO(csv(example())), dtype={"seed": "Int64", "section": str})
    assert back["effect"].equals(table["effect"])
    assert back["claim"].tolist() == table["claim"].tolist()
