"""The report as a table."""

import io

import pandas as pd

from dtclaims.harness.report import frame
from dtclaims.harness.report.frame import csv
from dtclaims.tests.support.report_example import document as example


def test_one_row_per_seed_and_none_is_lost() -> None:
    """Every claim is there; what has an effect has a row per seed with its value, of several components for each."""
    document = example()
    table = frame(document)
    assert set(table["claim"]) == {entry.id for entry in document.claims}
    for entry in document.claims:
        rows = table[(table["claim"] == entry.id) & (table["protocol"] == entry.protocol)]
        for name, part in entry.components.items() or {"": entry}.items():
            of_part = rows[rows["component"].fillna("") == name]
            per_seed = part.effect.per_seed
            assert len(of_part) == max(1, len(per_seed))
            if per_seed:
                assert dict(zip(of_part["seed"], of_part["effect"], strict=True)) == per_seed


def test_csv_reads_back() -> None:
    """Comma-separated text keeps texts with commas and quotes, and the numbers."""
    table = frame(example())
    back = pd.read_csv(io.StringIO(csv(example())), dtype={"seed": "Int64", "section": str})
    assert back["effect"].equals(table["effect"])
    assert back["claim"].tolist() == table["claim"].tolist()
