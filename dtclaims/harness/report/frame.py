"""A report as a table, for people who go on with pandas or a spreadsheet."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from dtclaims.harness.judge.document import Document
from dtclaims.harness.judge.entries import Component, Entry
from dtclaims.harness.report.document import validate

if TYPE_CHECKING:
    import pandas as pd


def frame(document: Document) -> "pd.DataFrame":
    """One row per claim, component, protocol, scale and seed; what has no effect has one row without a seed.

    Columns: claim, component (none of a claim that has one effect), section, headline, protocol, scale, verdict (of
    the claim), turn, decided_by, provisional, seed, effect (of the seed), unit, mean, low, high, claimed, size, rule,
    paper.

    Raises:
        ReportError: not a valid report.
    """
    # Heavy, and only wanted here.
    import pandas as pd

    unmeasured: Mapping[int | None, float | None] = {None: None}
    rows = [
        {
            "claim": entry.id,
            "component": component,
            "section": entry.section,
            "headline": entry.headline,
            "protocol": entry.protocol,
            "scale": entry.scale,
            "verdict": entry.verdict,
            "turn": entry.turn,
            "decided_by": "; ".join(entry.decided_by),
            "provisional": entry.provisional,
            "seed": seed,
            "effect": value,
            "unit": part.effect.unit,
            "mean": part.effect.mean,
            "low": part.effect.low,
            "high": part.effect.high,
            "claimed": part.trend.text,
            "size": None if part.size is None else part.size.said,
            "rule": entry.rule,
            "paper": entry.paper_value.text,
        }
        for entry in validate(document).claims
        for component, part in _parts(entry).items()
        for seed, value in (part.effect.per_seed or unmeasured).items()
    ]
    return pd.DataFrame(rows).astype({"seed": "Int64", "effect": float, "mean": float, "low": float, "high": float})


def _parts(entry: Entry) -> Mapping[str | None, Entry | Component]:
    return dict(entry.components.items()) or {None: entry}


def csv(document: Document) -> str:
    """`frame` as comma-separated text."""
    text: str = frame(document).to_csv(index=False)
    return text
