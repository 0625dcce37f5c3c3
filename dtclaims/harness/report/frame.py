"""A report as a table, for people who go on with pandas or a spreadsheet."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from dtclaims.harness.judge.document import Document
from dtclaims.harness.report.document import validate

if TYPE_CHECKING:
    import pandas as pd


def frame(document: Document) -> "pd.DataFrame":
    """One row per claim, protocol, scale and seed; a claim without an effect has one row without a seed.

    Columns: claim, section, headline, protocol, scale, verdict, provisional, seed, effect (of the seed), unit, mean,
    low, high, claimed, paper.

    Raises:
        ReportError: not a valid report.
    """
    # Heavy, and only wanted here.
    import pandas as pd

    unmeasured: Mapping[int | None, float | None] = {None: None}
    rows = [
        {
            "claim": entry.id,
            "section": entry.section,
            "headline": entry.headline,
            "protocol": entry.protocol,
            "scale": entry.scale,
            "verdict": entry.verdict,
            "provisional": entry.provisional,
            "seed": seed,
            "effect": value,
            "unit": entry.effect.unit,
            "mean": entry.effect.mean,
            "low": entry.effect.low,
            "high": entry.effect.high,
            "claimed": entry.trend.text,
            "paper": entry.paper_value.text,
        }
        for entry in validate(document).claims
        for seed, value in (entry.effect.per_seed or unmeasured).items()
    ]
    return pd.DataFrame(rows).astype({"seed": "Int64", "effect": float, "mean": float, "low": float, "high": float})


def csv(document: Document) -> str:
    """`frame` as comma-separated text."""
    text: str = frame(document).to_csv(index=False)
    return text
