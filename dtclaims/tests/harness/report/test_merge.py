"""Behaviour of `dtclaims.harness.report.merge`: reports of several scales in one matrix."""

from typing import Any

import pytest

from dtclaims.errors import ReportError
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
