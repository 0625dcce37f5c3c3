"""Behaviour of `dtclaims.harness.report.merge`: reports of several scales or protocols in one matrix."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from dtclaims.errors import ReportError
from dtclaims.harness.judge.document import Document
from dtclaims.harness.report import merge, parse, view
from dtclaims.tests.support import report_example


def at_scale(scale: str, **provenance: Any) -> dict[str, Any]:
    """The example at another scale, as JSON."""
    document = report_example.content()
    document["provenance"] |= {"scale": scale, **provenance}
    for entry in document["claims"]:
        entry["scale"] = scale
    return document


def test_scales_become_columns() -> None:
    """Every entry is kept, and the largest scale gives the figures."""
    small = at_scale(
        "small", seeds=[7], device="cuda", versions={"torch": "2.13.0", "mujoco": "3.3.7"}, commit="c0ffee"
    )
    del small["figures"]
    both = merge([report_example.document(), parse(small)])
    assert view.columns(both.claims, both.words.scales) == [
        ("mini", "published"), ("mini", "corrected"), ("small", "published"), ("small", "corrected"),
    ]  # fmt: skip
    assert len(both.claims) == 20
    assert both.figures == report_example.document().figures
    provenance = both.provenance
    assert provenance.scale == "small"
    assert provenance.seeds == (0, 1, 2, 3, 4, 7)
    assert provenance.device == "cpu (2 threads); cuda"
    assert provenance.versions == {"torch": "2.13.0", "mujoco": "3.3.7"}
    assert provenance.commit is None


def test_one_report_merged_is_itself() -> None:
    """Nothing is lost or added."""
    assert merge([report_example.document()]) == report_example.document()


def test_two_verdicts_on_one_claim_are_refused() -> None:
    """Reports of one scale cannot be merged where they judge the same claim."""
    with pytest.raises(ReportError, match="second verdict on the same claim"):
        merge([report_example.document(), report_example.document()])


@pytest.mark.parametrize(("part", "name", "value"), [("paper", "title", "Another"), ("provenance", "alpha", 0.01)])
def test_reports_that_mean_different_things_are_refused(part: str, name: str, value: Any) -> None:
    """Another paper, or another level, makes verdicts that do not belong side by side."""
    other = at_scale("small")
    other[part][name] = value
    with pytest.raises(ReportError, match=r"the reports are of different (papers|levels): got .* and "):
        merge([report_example.document(), parse(other)])
    with pytest.raises(ReportError, match="nothing to merge"):
        merge([])


def test_regimes_stand_together() -> None:
    """Rows of all reports; what two of them say alike is said once."""
    at_small = [{**report_example.REGIME[0], "scale": "small"}]
    mini, small = (
        report_example.document(regime=rows, **({} if rows is report_example.REGIME else {"claims": []}))
        for rows in (report_example.REGIME, at_small)
    )
    assert merge([mini, small]).regime == (*mini.regime, *small.regime)
    assert merge([mini, report_example.document(regime=report_example.REGIME, claims=[])]).regime == mini.regime


def test_protocols_apart_show_what_they_show_together() -> None:
    """Reports of one scale, a protocol each, make the figures and tables of a report of both: the same axes, every
    series and cell once, ours before the paper's own. One report's had been dropped."""
    both = with_corrected(report_example.document())
    found = merge([only(both, "published"), only(both, "corrected")])
    assert found.figures == both.figures
    assert {name: set(table.cells) for name, table in found.tables.items()} == {
        name: set(table.cells) for name, table in both.tables.items()
    }
    assert sorted(entry.key for entry in found.claims) == sorted(entry.key for entry in both.claims)


def with_corrected(document: Document) -> Document:
    """The example with what it shows of us under the other protocol too, between ours and the paper's own."""

    def twice(ours: Sequence[Any]) -> tuple[Any, ...]:
        published, papers = ([one for one in ours if one.protocol == name] for name in ("published", None))
        return (*published, *(replace(one, protocol="corrected") for one in published), *papers)

    figures = {
        id_: replace(figure, panels=tuple(replace(panel, series=twice(panel.series)) for panel in figure.panels))
        for id_, figure in document.figures.items()
    }
    tables = {id_: replace(table, cells=twice(table.cells)) for id_, table in document.tables.items()}
    return replace(document, figures=figures, tables=tables)


def only(document: Document, protocol: str) -> Document:
    """What a session under one protocol would have written: its claims, series and cells, beside the paper's own."""
    shown = (protocol, None)
    figures = {
        id_: replace(
            figure,
            panels=tuple(
                replace(panel, series=tuple(one for one in panel.series if one.protocol in shown))
                for panel in figure.panels
            ),
        )
        for id_, figure in document.figures.items()
    }
    tables = {
        id_: replace(table, cells=tuple(cell for cell in table.cells if cell.protocol in shown))
        for id_, table in document.tables.items()
    }
    claims = tuple(entry for entry in document.claims if entry.protocol == protocol)
    return replace(document, claims=claims, figures=figures, tables=tables)
