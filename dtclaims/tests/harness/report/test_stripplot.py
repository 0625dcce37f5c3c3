"""Behaviour of `dtclaims.harness.report.stripplot`: what is drawn where."""

import re
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dtclaims.harness.report import stripplot
from dtclaims.harness.report.axis import Axis
from dtclaims.tests.support.report_example import NOTHING, component, effect_of
from dtclaims.tests.support.report_strategies import effects, numbers, trends

PART = component()


def drawn(svg: str, name: str) -> list[ElementTree.Element]:
    """The elements of one class or tag."""
    return [node for node in ElementTree.fromstring(svg).iter() if name in (node.tag, node.get("class"))]


def test_every_seed_is_a_dot_at_its_value() -> None:
    """Dots keep the order and the spacing of the effects, and the title tells the mean and the paper's number."""
    svg = stripplot.plot(PART, [66.7])
    (title,) = drawn(svg, "title")
    assert title.text == "Plot of 5 seeds: mean 65.1 [60.2, 70.0]; the paper's 66.7"
    dots = drawn(svg, "circle")
    at = [float(dot.get("cx", "")) for dot in dots]
    assert (at[1] - at[0]) / (at[2] - at[0]) == pytest.approx((66.0 - 60.4) / (71.2 - 60.4), abs=0.02)


def test_equal_seeds_do_not_hide_each_other() -> None:
    """Seeds with one value are moved apart vertically."""
    part = replace(PART, effect=effect_of(1, 1, 1, [1.0, 1.0, 1.0], "", ""))
    assert len({dot.get("cy") for dot in drawn(stripplot.plot(part, []), "circle")}) == 3


INF = float("inf")


def of(kind: str, **numbers_: Any) -> dict[str, Any]:
    """A trend of a report."""
    return {"kind": kind, "text": "", **numbers_}


@pytest.mark.parametrize(
    ("trend", "span", "label"),
    [
        (of("contrast", null=20), (20, INF), "claimed > 20"),
        (of("contrast", null=1, direction=-1), (-INF, 1), "claimed < 1"),
        (of("equivalence", bound=5, null=60), (55, 65), "claimed 55 to 65"),
        (of("non-inferiority", bound=5, null=60), (55, INF), "claimed > 55"),
        (of("non-inferiority", bound=5, null=60, direction=-1), (-INF, 65), "claimed < 65"),
        (of("level", bound=10), (10, INF), "claimed > 10"),
        (of("level", bound=10, direction=-1), (-INF, 10), "claimed < 10"),
        (of("share", bound=0.5), (0.5, INF), "claimed > 0.5"),
        (of("existence", bound=0.05), (0.05, INF), "claimed > 0.05"),
        (of("rate", bound=0.1), (0.1, 0.9), "claimed 0.1 to 0.9"),
        # Of the first edition of the rule.
        (of("above", bound=20, null=0), (20, INF), "our threshold: > 20"),
        (of("below", bound=10, direction=-1), (-INF, 10), "our threshold: < 10"),
        (of("equivalent", bound=5), (-5, 5), "our margin: −5 to 5"),
        (of("holds_in", bound=0.8), (0.8, INF), "our share of seeds: ≥ 0.8"),
    ],
)
def test_claimed_side_is_shaded_and_named(trend: dict[str, Any], span: tuple[float, float], label: str) -> None:
    """The shade covers the claimed side of the axis, with a line at each of its ends."""
    part = component(trend=trend)
    assert stripplot.claimed(part.trend) == span
    svg = stripplot.plot(part, [])
    ends = stripplot.domain([part])
    assert ends is not None
    axis = Axis(*ends, start=42, end=stripplot.WIDTH - 8)
    (side,) = drawn(svg, "side")
    assert float(side.get("x", "")) == pytest.approx(axis(max(span[0], ends[0])), abs=0.06)
    assert float(side.get("width", "")) == pytest.approx(
        axis(min(span[1], ends[1])) - axis(max(span[0], ends[0])), abs=0.11
    )
    assert len(re.findall("M", drawn(svg, "cut")[0].get("d", ""))) == sum(abs(end) < 1e9 for end in span)
    assert ["".join(node.itertext()) for node in drawn(svg, "lab")] == [label]


def test_a_claim_made_of_parts_has_no_side() -> None:
    """Without a threshold there is nothing to shade, and the seeds are still drawn."""
    part = component(trend={"kind": "parts", "text": "both"})
    assert stripplot.claimed(part.trend) is None
    assert not drawn(stripplot.plot(part, []), "side")
    assert len(drawn(stripplot.plot(part, []), "circle")) == 5


def test_the_smallest_effect_of_interest_is_dotted_and_named() -> None:
    """It stands on the claimed side of the null, at its distance, and the axis reaches it."""
    for direction, at in ((1, 75.0), (-1, 65.0)):
        part = component(trend=of("contrast", null=70, interest=5, direction=direction))
        svg = stripplot.plot(part, [])
        ends = stripplot.domain([part])
        assert ends is not None
        assert ends[0] < at < ends[1]
        (least,) = drawn(svg, "least")
        axis = Axis(*ends, start=42, end=stripplot.WIDTH - 8)
        assert float(re.findall(r"M(-?[\d.]+)", least.get("d", ""))[0]) == pytest.approx(axis(at), abs=0.06)
        (label,) = ["".join(node.itertext()) for node in drawn(svg, "lab")]
        assert label.endswith(f"; ours: of interest from {at:g}")
    assert not drawn(stripplot.plot(component(trend=of("contrast", null=70)), []), "least")


def test_the_null_that_a_margin_is_counted_from_is_drawn() -> None:
    """A contrast begins at its null, so there it is drawn once."""
    for kind in ("equivalence", "non-inferiority"):
        assert len(drawn(stripplot.plot(component(trend=of(kind, null=60, bound=5)), []), "null")) == 1
    assert not drawn(stripplot.plot(component(trend=of("contrast", null=60)), []), "null")


def test_the_papers_number_is_marked_on_the_axis() -> None:
    """A near number is a triangle at its place; one far away is an arrow at the edge with its value in words."""
    assert stripplot.domain([PART], [66.7]) == stripplot.domain([PART])
    assert stripplot.domain([PART], [1e6]) == stripplot.domain([PART])
    far = stripplot.plot(PART, [1e6])
    assert "1000000" in {"".join(node.itertext()) for node in drawn(far, "text")}
    for svg in (far, stripplot.plot(PART, [66.7])):
        assert len(drawn(svg, "paper")) == 1
    assert not drawn(stripplot.plot(PART, []), "paper")


def test_components_share_one_axis() -> None:
    """Rows drawn with the same ends put the same value at the same place, and only one needs ticks."""
    other = replace(PART, effect=effect_of(-5, -8, -2, [-5.0, -4.0, -6.0], "points", "score"))
    ends = stripplot.domain([PART, other])
    rows = [stripplot.mini(PART, [], ends, ticks=False), stripplot.mini(other, [], ends)]
    assert drawn(rows[0], "cut")[0].get("d") == drawn(rows[1], "cut")[0].get("d")
    assert [len(drawn(row, "axis")) for row in rows] == [0, 1]


def test_nothing_measured_is_nothing_drawn() -> None:
    """A part without an effect has no plot."""
    part = component(effect=NOTHING)
    assert stripplot.plot(part, [1.0]) == ""
    assert stripplot.mini(part, [], (0.0, 1.0)) == ""
    assert stripplot.mini(PART, [], None) == ""


@given(st.sampled_from(["reproduced", "error"]).flatmap(effects), trends, st.lists(numbers, max_size=2))
def test_every_drawing_stays_within_its_frame(
    effect_: dict[str, Any], trend: dict[str, Any], paper: list[float]
) -> None:
    """Whatever the numbers, the SVG is XML, and no coordinate of it is NaN, infinite or far outside."""
    part = component(effect=effect_, trend=trend)
    for svg in (stripplot.plot(part, paper), stripplot.mini(part, paper, stripplot.domain([part], paper))):
        if svg:
            for node in ElementTree.fromstring(svg).iter():
                for name in ("x", "cx", "width", "d"):
                    value = node.get(name, "")
                    assert not re.search("nan|inf|e", value)
                    assert all(-20 <= float(x) <= stripplot.WIDTH + 20 for x in re.findall(r"-?\d+(?:\.\d+)?", value))
