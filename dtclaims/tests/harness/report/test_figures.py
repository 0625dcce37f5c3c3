"""Behaviour of `dtclaims.harness.report.figures`: ours and the paper's on one axis, whatever the numbers."""

import re
from typing import Any
from xml.etree import ElementTree

from hypothesis import given, settings

from dtclaims.harness.judge.exhibits import Figure, read_figures
from dtclaims.harness.report import figures, wording
from dtclaims.lab.figures import paper_values
from dtclaims.tests.support import report_example
from dtclaims.tests.support import report_strategies as strategies

PAPERS = read_figures(paper_values.paper_figures())


def groups(svg: str, name: str) -> list[ElementTree.Element]:
    """The groups of one class."""
    return [node for node in ElementTree.fromstring(svg).iter("g") if name in (node.get("class") or "").split()]


def panels(figure: Figure, protocol: str | None = None) -> list[str]:
    """Each facet's drawing."""
    return [str(one.drawing) for one in figures.facets(figure, protocol)]


def drawn(figure: Figure, protocol: str | None = None, anchor: str = "", *, spread: bool = True) -> str:
    """All facets' drawings."""
    return "".join(one.drawing for one in figures.facets(figure, protocol, anchor, spread=spread))


def lines(*series: dict[str, Any]) -> Figure:
    """A figure of one panel."""
    return report_example.drawing(panels=[{**report_example.figure()["panels"][0], "series": list(series)}])


def test_ours_and_the_papers_are_told_apart() -> None:
    """A facet holds one group per series, with its owner in words; what is whose has a class of its own."""
    random, language, box, points = panels(report_example.drawing(), "published")
    assert [len(groups(svg, "ours")) for svg in (random, language, box, points)] == [1, 1, 1, 1]
    assert [len(groups(svg, "theirs")) for svg in (random, language, box, points)] == [1, 0, 1, 1]
    titles = ["".join(node.itertext()) for node in ElementTree.fromstring(random).iter("title")]
    assert titles == ["random: published", "random: the paper, seed 666"]


def test_what_would_lie_over_each_other_stands_side_by_side() -> None:
    """A panel whose names share places is a facet for each, on the panel's axes; one whose names do not is one."""
    assert [one.title for one in figures.facets(report_example.drawing(), "published")] == [
        "Hopper: random",
        "Hopper: language",
        "Walker2D",
        "Norms",
    ]
    assert len(figures.facets(PAPERS["fig1"])) == 9
    assert [one.title for one in figures.facets(PAPERS["fig3"])] == [panel.title for panel in PAPERS["fig3"].panels]
    ticks = [re.findall('class="yt">.*?</g>', svg) for svg in panels(report_example.drawing(), "published")[:2]]
    assert ticks[0] == ticks[1] != []


def test_what_was_not_measured_is_said() -> None:
    """Of a facet, and in the words below a figure: nothing of ours, or which are missing, a whole panel once."""
    found = figures.facets(report_example.drawing(), "corrected")
    assert [one.measured for one in found] == [False] * 3
    assert not any(groups(str(one.drawing), "ours") for one in found)
    assert figures.protocols(report_example.drawing()) == ["published"]
    assert figures.protocols(PAPERS["fig9"]) == [None]
    alone = "Not measured in this report: what is drawn is the paper's own values."
    assert figures.sources(figures.facets(PAPERS["fig9"]), PAPERS["fig9"], None) == alone
    panel = {**report_example.figure()["panels"][0], "title": "Ant"}
    theirs = [report_example.series(name, None, [0.1, 0.2]) for name in ("random", "language")]
    some = [*theirs, report_example.series("random", "published", [0.1, 0.3])]
    figure = report_example.drawing(panels=[{**panel, "series": theirs}, {**panel, "title": "Elk", "series": some}])
    told = figures.sources(figures.facets(figure, "published"), figure, "published")
    assert told.endswith("Not measured here: Ant; Elk: language.")


def test_a_line_of_few_points_has_dots() -> None:
    """A single epoch is seen, and a long line stays a line."""
    one, many = (drawn(lines(report_example.series("a", "published", [0.5] * n))) for n in (1, 40))
    assert one == many == ""
    one, many = (drawn(lines(report_example.series("a", "published", [0.5] * n)), "published") for n in (1, 40))
    assert 'class="specks" d="M' in one
    assert "specks" not in many


def test_spread_can_be_left_out() -> None:
    """Bands of lines and bars of points go, boxes stay."""
    full, bare = (drawn(report_example.drawing(), "published", spread=spread) for spread in (True, False))
    assert [full.count(f'class="{name}"') for name in ("band", "whisker", "box")] == [1, 3, 2]
    assert [bare.count(f'class="{name}"') for name in ("band", "whisker", "box")] == [0, 2, 2]


def test_a_gap_interrupts_a_line() -> None:
    """A value that is missing is not bridged."""
    figure = lines(report_example.series("a", None, [1.0, 2.0, None, 1.0, 2.0]))
    (path,) = re.findall('class="line" d="([^"]*)"', drawn(figure))
    assert path.count("M") == 2
    assert path.count("l") == 2


def test_positions_keep_order_and_proportion() -> None:
    """Equal steps of x and y are equal steps of the drawing, up is more."""
    figure = lines(report_example.series("a", None, [0.0, 1.0, 2.0]))
    (path,) = re.findall('class="line" d="M[^l]*l([^"]*)"', drawn(figure))
    steps = [tuple(map(int, re.findall(r"-?\d+", step))) for step in path.split("l")]
    assert all(abs(a - b) <= 1 for a, b in zip(*steps, strict=True))
    assert steps[0][0] > 0 > steps[0][1]


def test_boxes_at_one_x_stand_side_by_side() -> None:
    """Ours and the paper's box of one arm do not cover each other."""
    box = panels(report_example.drawing(), "published")[2]
    ends = []
    for path in re.findall('class="box" d="M([^"]*)"', box):
        left, right = re.match(r"(\d+) \d+H(\d+)", path).groups()  # type: ignore[union-attr]
        ends.append((int(left), int(right)))
    (ours, theirs) = ends
    assert ours[0] < ours[1] <= theirs[0] < theirs[1]


def test_the_papers_lines_are_drawn_once_for_every_protocol() -> None:
    """With an anchor, the second protocol's drawing refers to the first one's; boxes are drawn anew."""
    content = report_example.figure()
    for panel in content["panels"]:
        panel["series"] += [{**one, "protocol": "corrected"} for one in panel["series"] if one["protocol"]]
    figure = Figure.from_json(content)
    first, second = (drawn(figure, protocol, "f") for protocol in ("published", "corrected"))
    assert first.count('<g id="f-') == second.count('<use href="#f-') == 2
    assert first.count("<use") == second.count("<g id=") == 0


@settings(max_examples=40)
@given(strategies.figures)
def test_every_figure_is_xml_within_its_frame(content: dict[str, Any]) -> None:
    """Whatever the numbers and texts, no coordinate is NaN, infinite or outside."""
    figure = Figure.from_json(content)
    for protocol in (None, "published", "corrected"):
        for drawing in panels(figure, protocol):
            # The page cleans its text; the last two are no XML, though HTML takes them.
            svg = re.sub("[\ufffe\uffff]", "", drawing.translate(wording.UNPRINTABLE))
            for node in ElementTree.fromstring(svg).iter():
                assert not re.search("nan|inf", node.get("d", ""))
                for name, limit in (("cx", 2 * figures.WIDTH), ("cy", 2 * figures.HEIGHT)):
                    assert 0 <= float(node.get(name, "0")) <= limit
                absolute = re.findall(r"M(-?[\d.]+) (-?[\d.]+)", node.get("d", ""))
                assert all(0 <= float(x) <= 2 * figures.WIDTH and 0 <= float(y) <= 400 for x, y in absolute)
