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
    """Each panel's drawing."""
    return re.findall("<svg.*?</svg>", figures.draw(figure, protocol), re.DOTALL)


def lines(*series: dict[str, Any]) -> Figure:
    """A figure of one panel."""
    return report_example.drawing(panels=[{**report_example.figure()["panels"][0], "series": list(series)}])


def test_ours_and_the_papers_are_told_apart() -> None:
    """A panel holds one group per series, with its owner in words, and one colour per name."""
    line, box, points = panels(report_example.drawing(), "published")
    assert [len(groups(svg, "ours")) for svg in (line, box, points)] == [2, 1, 1]
    assert [len(groups(svg, "theirs")) for svg in (line, box, points)] == [1, 1, 1]
    titles = ["".join(node.itertext()) for node in ElementTree.fromstring(line).iter("title")]
    assert titles == ["random: published", "language: published", "random: the paper, seed 666"]
    assert len(groups(line, "s0")) == 2
    assert figures.names(report_example.drawing()) == ["random", "language"]


def test_a_protocol_without_series_shows_the_papers_alone() -> None:
    """Only the paper's values are drawn, and the caption says that there are no others."""
    (line, *_) = panels(report_example.drawing(), "corrected")
    assert not groups(line, "ours")
    assert figures.protocols(report_example.drawing()) == ["published"]
    assert figures.protocols(PAPERS["fig2"]) == [None]
    assert "this report has none" in figures.sources(PAPERS["fig2"], None)


def test_spread_can_be_left_out() -> None:
    """Bands of lines and bars of points go, boxes stay."""
    full, bare = (figures.draw(report_example.drawing(), "published", spread=spread) for spread in (True, False))
    assert [full.count(f'class="{name}"') for name in ("band", "whisker", "box")] == [1, 3, 2]
    assert [bare.count(f'class="{name}"') for name in ("band", "whisker", "box")] == [0, 2, 2]


def test_a_gap_interrupts_a_line() -> None:
    """A value that is missing is not bridged."""
    figure = lines(report_example.series("a", None, [1.0, 2.0, None, 1.0, 2.0]))
    (path,) = re.findall('class="line" d="([^"]*)"', figures.draw(figure))
    assert path.count("M") == 2
    assert path.count("l") == 2


def test_positions_keep_order_and_proportion() -> None:
    """Equal steps of x and y are equal steps of the drawing, up is more."""
    figure = lines(report_example.series("a", None, [0.0, 1.0, 2.0]))
    (path,) = re.findall('class="line" d="M[^l]*l([^"]*)"', figures.draw(figure))
    steps = [tuple(map(int, re.findall(r"-?\d+", step))) for step in path.split("l")]
    assert all(abs(a - b) <= 1 for a, b in zip(*steps, strict=True))
    assert steps[0][0] > 0 > steps[0][1]


def test_boxes_at_one_x_stand_side_by_side() -> None:
    """Ours and the paper's box of one arm do not cover each other."""
    box = panels(report_example.drawing(), "published")[1]
    ends = []
    for path in re.findall('class="box" d="M([^"]*)"', box):
        left, right = re.match(r"(\d+) \d+H(\d+)", path).groups()  # type: ignore[union-attr]
        ends.append((int(left), int(right)))
    (ours, theirs) = ends
    assert ours[0] < ours[1] <= theirs[0] < theirs[1]


def test_many_names_share_a_ramp() -> None:
    """The two arms of figure 9 keep their colours, its twelve blocks get hues."""
    legend = dict(figures.legend(PAPERS["fig9"]))
    assert legend["randomly initialised"] == 'class="s0"'
    assert len({legend[f"block {block}"] for block in range(12)}) == 12


def test_the_papers_lines_are_drawn_once_for_every_protocol() -> None:
    """With an anchor, the second protocol's drawing refers to the first one's; boxes are drawn anew."""
    content = report_example.figure()
    for panel in content["panels"]:
        panel["series"] += [{**one, "protocol": "corrected"} for one in panel["series"] if one["protocol"]]
    figure = Figure.from_json(content)
    first, second = (figures.draw(figure, protocol, "f") for protocol in ("published", "corrected"))
    assert first.count('<g id="f-') == second.count('<use href="#f-') == 2
    assert first.count("<use") == second.count("<g id=") == 0


@settings(max_examples=40)
@given(strategies.figures)
def test_every_figure_is_xml_within_its_frame(content: dict[str, Any]) -> None:
    """Whatever the numbers and texts, no coordinate is NaN, infinite or outside."""
    figure = Figure.from_json(content)
    for protocol in (None, "published", "corrected"):
        for drawn in panels(figure, protocol):
            # The page cleans its text; the last two are no XML, though HTML takes them.
            svg = re.sub("[\ufffe\uffff]", "", drawn.translate(wording.UNPRINTABLE))
            for node in ElementTree.fromstring(svg).iter():
                assert not re.search("nan|inf", node.get("d", ""))
                for name, limit in (("cx", 2 * figures.WIDTH), ("cy", 2 * figures.HEIGHT)):
                    assert 0 <= float(node.get(name, "0")) <= limit
                absolute = re.findall(r"M(-?[\d.]+) (-?[\d.]+)", node.get("d", ""))
                assert all(0 <= float(x) <= 2 * figures.WIDTH and 0 <= float(y) <= 400 for x, y in absolute)
