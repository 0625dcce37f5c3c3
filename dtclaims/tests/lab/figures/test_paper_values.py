"""Behaviour of `dtclaims.lab.figures.paper_values`: the paper's numbers are the recorded ones, beside ours."""

import hashlib
import math
import re
from statistics import fmean

import pytest

from dtclaims.errors import ReportError
from dtclaims.lab.figures import paper_values
from dtclaims.places import ROOT
from dtclaims.tests.support import report_example

FOLDER = ROOT / "fixtures" / "paper"


def values(figure: str, panel: str, arm: str) -> list[float]:
    """The plotted values of one arm."""
    (series,) = [one for one in paper_values.paper_series(figure)[panel] if one["arm"] == arm]
    return [value for value in series["y"] if value is not None]


@pytest.mark.parametrize("name", ["values.json", "readings.json"])
def test_the_values_are_the_recorded_ones(name: str) -> None:
    """A file's SHA-256 is the one its card names."""
    (recorded,) = re.findall(f"`{name}` ([0-9a-f]{{64}})", (FOLDER / "README.md").read_text(encoding="utf-8"))
    assert hashlib.sha256((FOLDER / name).read_bytes()).hexdigest() == recorded


@pytest.mark.parametrize(
    ("panel", "arm", "mean"),
    [
        ("Hopper", "language_pretrained", 0.116),
        ("HalfCheetah", "language_pretrained", 0.154),
        ("Walker2D", "language_pretrained", 0.101),
        ("Hopper", "image_pretrained", 0.065),
        ("HalfCheetah", "image_pretrained", 0.040),
        ("Walker2D", "image_pretrained", 0.113),
    ],
)
def test_mean_cka_is_the_inventorys(panel: str, arm: str, mean: float) -> None:
    """The means of figure 1 over its 108 layers are those that the claims quote."""
    found = values("fig1", panel, arm)
    assert len(found) == 108
    assert fmean(found) == pytest.approx(mean, abs=5e-4)


def test_every_figure_has_its_points() -> None:
    """Ten figures, with as many values as the paper draws."""
    figures = paper_values.paper_figures()
    counts = {
        name: sum(len(series["x"]) for panel in figure["panels"] for series in panel["series"])
        for name, figure in figures.items()
    }
    assert counts == {
        "fig1": 972, "fig2": 354, "fig3": 576, "fig4": 576, "fig5": 3, "fig6": 3, "fig7": 3, "fig8": 480, "fig9": 280,
        "fig10": 72,
    }  # fmt: skip


def test_known_numbers_are_where_they_belong() -> None:
    """24 of 34 layers above 0.23, the best K=1 epoch, the lowest cosines, and table 1's entries."""
    assert sum(value > 0.23 for value in values("fig1", "Hopper", "random_init")) == 34
    (curve,) = [one["y"] for one in paper_values.paper_series("fig8")["Hopper"] if one["name"] == "language pre-trained, K=1"]  # fmt: skip # noqa: E501
    assert max(curve) == pytest.approx(2943.118, abs=1e-3)
    assert curve.index(max(curve)) == 27
    assert values("fig5", "Hopper", "random_init") == pytest.approx([-0.38997904])
    cells = {
        (cell["row"], cell["column"]): (cell["value"], cell.get("plus_minus"))
        for cell in paper_values.paper_tables()["table1"]["cells"]
    }
    assert cells["Hopper", "language pre-trained"] == (79.5, 1.3)
    assert cells["Walker2D", "image pre-trained"] == (4.3, 1.9)


def test_complete_puts_ours_first_and_keeps_the_papers() -> None:
    """Panels are matched by title; figures without ours show the paper's alone; a figure of ours alone comes last."""
    ours = report_example.series("randomly initialised", "published", [0.5] * 108)
    figures = {"fig1": {"panels": [{"title": "Walker2D", "series": [ours]}]}, "own": report_example.figure()}
    cell = {"row": "Hopper", "column": "randomly initialised", "protocol": "corrected", "value": 1.0}
    both, tables = paper_values.complete(figures, {"table2": {"cells": [cell]}})
    assert list(both)[-1] == "own"
    assert [len(panel["series"]) for panel in both["fig1"]["panels"]] == [3, 3, 4]
    assert both["fig1"]["panels"][2]["series"][0] == ours
    assert tables["table2"]["cells"][-1] == cell
    assert len(tables["table2"]["cells"]) == 7
    assert len(report_example.document(figures=both, tables=tables).figures) == len(both)
    assert len(paper_values.paper_figures()["fig1"]["panels"][2]["series"]) == 3


def test_ours_that_would_stand_nowhere_is_an_error() -> None:
    """A misspelt panel, column or figure is named with those there are."""
    with pytest.raises(ReportError, match="fig1 has no such panel: got hopper, expected Hopper or HalfCheetah"):
        paper_values.complete({"fig1": {"panels": [{"title": "hopper", "series": []}]}}, {})
    with pytest.raises(ReportError, match="table1 has no such column: got DT"):
        paper_values.complete({}, {"table1": {"cells": [{"row": "Hopper", "column": "DT", "protocol": None}]}})
    with pytest.raises(ReportError, match="no such figure: got fig11"):
        paper_values.paper_series("fig11")


def test_seeds_are_summarised_at_each_x() -> None:
    """Mean, least and greatest; lists of different lengths are an error."""
    found = paper_values.across_seeds({0: [1.0, 5.0], 7: [3.0, 4.0]})
    assert found == {"y": [2.0, 4.5], "low": [1.0, 4.0], "high": [3.0, 5.0]}
    for order in ((0, 1), (1, 0)):
        gaps = {seed: [math.nan, 2.0][seed : seed + 1] for seed in order}
        assert all(math.isnan(column[0]) for column in paper_values.across_seeds(gaps).values())
    with pytest.raises(ReportError, match="different numbers of values"):
        paper_values.across_seeds({0: [1.0], 1: [1.0, 2.0]})


def test_boxes_are_the_papers() -> None:
    """Quartiles interpolate, whiskers end at the last value within 1.5 IQR, what is beyond is a flier."""
    found = paper_values.box({4: [0.0, 1.0, 2.0, 3.0, 4.0, 100.0]})
    assert found == {
        "x": [4],
        "y": [2.5],
        "low": [1.25],
        "high": [3.75],
        "whisker_low": [0.0],
        "whisker_high": [4.0],
        "fliers": [[4, 100.0]],
    }
    with pytest.raises(ReportError, match="a box at 0 needs two values"):
        paper_values.box({0: [1.0]})
