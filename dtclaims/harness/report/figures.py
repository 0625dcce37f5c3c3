"""Figures as inline SVG: ours in colour, filled and solid, the paper's own values grey, hollow and dashed, on one axis.

What would lie over each other stands side by side: a panel becomes a facet for each name that shares its axis. Colours
come from the page's style sheet by class, so that one drawing serves light, dark and print.
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from markupsafe import Markup, escape

from dtclaims.harness.judge.exhibits import Figure, Panel, Series
from dtclaims.harness.report.axis import Axis, padded, px
from dtclaims.harness.report.wording import number

WIDTH, HEIGHT = 320, 184
LEFT, RIGHT, TOP, BOTTOM = 46, 312, 8, 154

UNIT = 0.5
"""Data is drawn in whole multiples of this, which halves its text; the style sheet doubles its strokes."""

FEW = 24
"""Up to so many points each is a circle; more are dots and squares."""

SHORT = 8
"""A line of up to so many points has a dot at each: of a single one nothing else would be seen."""


@dataclass(frozen=True)
class Facet:
    """One drawing: a panel, or what one name shows in it."""

    panel: str
    name: str
    """Of the series; empty where the panel is drawn as a whole."""
    unit: str
    measured: bool
    """Whether something of ours is in it."""
    drawing: Markup

    @property
    def title(self) -> str:
        """Panel and name; where a panel is called like its only name, once."""
        return self.panel if self.name.lower() in ("", self.panel.lower()) else f"{self.panel}: {self.name}"


def protocols(figure: Figure) -> list[str | None]:
    """The protocols that a figure has series of, `published` first; [None] if it has only the paper's."""
    found = {series.protocol for series in figure.series if series.protocol is not None}
    return [*sorted(found, reverse=True)] or [None]


def sources(found: Sequence[Facet], figure: Figure, protocol: str | None) -> str:
    """What is drawn, in words: whose values are shown how, and what was not measured."""
    measured = {facet.panel for facet in found if facet.measured}
    # A panel of which nothing is there is named once.
    missing = dict.fromkeys(one.title if one.panel in measured else one.panel for one in found if not one.measured)
    if not measured:
        return "Not measured in this report: what is drawn is the paper's own values."
    seeds = {series.seed for series in figure.series if series.protocol == protocol}
    band = "over the seeds of this report" if seeds == {None} else "by seed"
    note = f" Not measured here: {'; '.join(missing)}." if missing else ""
    return f"Ours {band}: coloured, filled, solid. The paper's own values: grey, hollow, dashed.{note}"


def facets(figure: Figure, protocol: str | None = None, anchor: str = "", *, spread: bool = True) -> list[Facet]:
    """The drawings of a figure: one protocol's series over the paper's own.

    Args:
        figure: as in a report.
        protocol: whose series to draw; None draws only the paper's.
        anchor: of the figure, if the page draws it for every protocol. The first drawing's paper values then serve
            all.
        spread: whether lines and points have their bands and bars.

    Returns:
        Nothing for a panel without any value.
    """
    first = protocol == protocols(figure)[0]
    found = []
    for index, panel in enumerate(figure.panels if spread else map(_bare, figure.panels)):
        for place, name in enumerate(_names(panel)):
            mine = [one for one in panel.series if name in ("", one.name) and one.protocol in (protocol, None)]
            within = _Facet(panel, mine, f"{figure.title}: {panel.title}{', ' if name else ''}{name}")
            drawing = within.draw(f"{anchor}-{index}-{place}" if anchor else "", first=first)
            if drawing:
                measured = protocol is not None and any(one.protocol == protocol and _drawn(one) for one in mine)
                found.append(Facet(panel.title, name, panel.y_label, measured, drawing))
    return found


def _drawn(series: Series) -> bool:
    """Whether a series has anything to draw."""
    return any(value is not None for value in series.y)


def _names(panel: Panel) -> list[str]:
    """The names that a panel is split by; `[""]` where no two of them share an x, so that nothing hides anything."""
    places: dict[str, set[float]] = {}
    for series in sorted(panel.series, key=lambda one: one.protocol is not None):
        places.setdefault(series.name, set()).update(series.x)
    shared = any(one & other for one, other in itertools.combinations(places.values(), 2))
    return list(places) if shared else [""]


@dataclass(frozen=True)
class _Facet:
    panel: Panel
    shown: Sequence[Series]
    label: str

    def draw(self, anchor: str, *, first: bool) -> Markup:
        """The drawing, on the axes that all of the panel's facets share."""
        panel, shown = self.panel, self.shown
        values = [value for series in panel.series for value in _values(series)]
        xs = [x for series in panel.series for x in (*series.x, *(at for at, _ in series.fliers or ()))]
        if not values or not any(True for series in shown for _ in _values(series)):
            return Markup()
        categories = panel.x_names or ()
        boxes = any(series.style == "box" for series in panel.series)
        apart = 0.6 if categories or boxes else 0.0
        ends, width = padded(min(values), max(values), 0.05), padded(min(xs) - apart, max(xs) + apart, 0.02)
        if ends is None or width is None:
            return Markup()
        x, y = Axis(*width, LEFT, RIGHT), Axis(*ends, BOTTOM, TOP)
        slots = _slots(shown)
        ours, theirs = (
            "".join(_series(one, x, y, slots[id(one)]) for one in shown if (one.protocol is None) == paper)
            for paper in (False, True)
        )
        # Boxes stand beside ours, so their places depend on the protocol.
        if anchor and theirs and not boxes:
            theirs = f'<g id="{anchor}">{theirs}</g>' if first else f'<use href="#{anchor}"/>'
        # The paper's last: its thin lines stay visible over our bands.
        body = [_frame(panel, x, y, categories), f'<g transform="scale({UNIT})">{ours}{theirs}</g>']
        label = f"{self.label}, {panel.y_label} by {panel.x_label or 'group'}"
        # Every piece is made of numbers and fixed words, and text was escaped where it entered.
        return Markup('<svg class="fig" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>').format(
            WIDTH, HEIGHT, label, Markup("".join(body))
        )


def _bare(panel: Panel) -> Panel:
    """A panel without the bands and bars of lines and points."""
    bare = tuple(
        one if one.style == "box" else replace(one, low=None, high=None, whisker_low=None, whisker_high=None)
        for one in panel.series
    )
    return replace(panel, series=bare)


def _values(series: Series) -> Iterator[float]:
    for values in (series.y, series.low, series.high, series.whisker_low, series.whisker_high):
        yield from (value for value in values or () if value is not None)
    yield from (value for _, value in series.fliers or ())


def _slots(shown: Sequence[Series]) -> dict[int, tuple[float, float]]:
    """Where within its x each box stands: offset and half width, in units of x. Series that never meet share one."""
    boxes = [series for series in shown if series.style == "box"]
    meeting = max((sum(x in series.x for series in boxes) for one in boxes for x in one.x), default=1)
    half = 0.42 / meeting
    slots = {}
    for series in shown:
        place = sum(set(other.x) & set(series.x) != set() for other in boxes[: _index(boxes, series)])
        slots[id(series)] = (half * (2 * place + 1 - meeting), 0.85 * half)
    return slots


def _index(boxes: Sequence[Series], series: Series) -> int:
    return next((index for index, other in enumerate(boxes) if other is series), 0)


def _frame(panel: Panel, x: Axis, y: Axis, categories: Sequence[str]) -> str:
    marks, places = y.ticks()
    lines = "".join(f"M{LEFT} {px(y(mark))}H{RIGHT}" for mark in marks)
    texts = "".join(f'<text x="{LEFT - 4}" y="{px(y(mark) + 3.5)}">{number(mark, places)}</text>' for mark in marks)
    if categories:
        below = "".join(
            # In turn on two lines, so that long names do not run into each other.
            f'<text x="{px(x(place))}" y="{BOTTOM + (13 if place % 2 == 0 else 25)}">{escape(name)}</text>'
            for place, name in enumerate(categories)
        )
    else:
        stops, decimals = x.ticks(6)
        below = "".join(f'<text x="{px(x(s))}" y="{BOTTOM + 13}">{number(s, decimals)}</text>' for s in stops)
    zero = f'<path class="axis" d="M{LEFT} {px(y(0))}H{RIGHT}"/>' if y.holds(0) else ""
    return (
        f'<path class="zero" d="{lines}"/>{zero}<path class="axis" d="M{LEFT} {TOP}V{BOTTOM}H{RIGHT}"/>'
        f'<g class="yt">{texts}</g><g class="tick">{below}</g>'
        f'<text class="tick" x="{(LEFT + RIGHT) / 2:g}" y="{BOTTOM + 27}">{escape(panel.x_label)}</text>'
    )


def _series(series: Series, x: Axis, y: Axis, slot: tuple[float, float]) -> str:
    theirs = series.protocol is None
    kinds = ["theirs" if theirs else "ours"] + (["seed"] if series.seed is not None and not theirs else [])
    match series.style:
        case "line":
            body = _line(series, x, y)
        case "box":
            body = _boxes(series, x, y, slot)
        case _:
            body = _points(series, x, y)
    who = "the paper" if theirs else series.protocol
    seed = "" if series.seed is None else f", seed {series.seed}"
    return f'<g class="{" ".join(kinds)}"><title>{escape(series.name)}: {who}{seed}</title>{body}</g>'


def _line(series: Series, x: Axis, y: Axis) -> str:
    stretches = list(_stretches(series, series.y, x, y))
    line = "".join(map(_path, stretches))
    places = [place for stretch in stretches for place in stretch]
    dots = f'<path class="specks" d="{_path(places, "h0", "m")}"/>' if 0 < len(places) <= SHORT else ""
    return f'{_band(series, x, y)}<path class="line" d="{line}"/>{dots}' if line else ""


def _band(series: Series, x: Axis, y: Axis) -> str:
    if series.low is None or series.high is None:
        return ""
    lows, highs = (list(_stretches(series, ends, x, y)) for ends in (series.low, series.high))
    area = "".join(f"{_path([*low, *reversed(high)])}z" for low, high in zip(lows, highs, strict=False))
    return f'<path class="band" d="{area}"/>'


def _points(series: Series, x: Axis, y: Axis) -> str:
    places = [(x(at), y(value)) for at, value in zip(series.x, series.y, strict=True) if value is not None]
    bars = ""
    if series.low is not None and series.high is not None:
        drawn = "".join(
            f"M{_whole(x(at))} {_whole(y(low))}V{_whole(y(high))}"
            for at, low, high in zip(series.x, series.low, series.high, strict=True)
            if low is not None and high is not None
        )
        bars = f'<path class="whisker" d="{drawn}"/>'
    if len(places) > FEW:
        return f'{bars}<path class="specks" d="{_path(places, "h0", "m")}"/>'
    return bars + "".join(f'<circle cx="{_whole(left)}" cy="{_whole(top)}" r="9"/>' for left, top in places)


def _boxes(series: Series, x: Axis, y: Axis, slot: tuple[float, float]) -> str:
    shift, half = slot
    boxes, middles, whiskers = "", "", ""
    lists = (series.y, series.low, series.high, series.whisker_low, series.whisker_high)
    for index, at in enumerate(series.x):
        value, low, high, bottom, top = (values[index] if values is not None else None for values in lists)
        left, right, centre = (_whole(x(at + shift + side)) for side in (-half, half, 0))
        if low is not None and high is not None:
            boxes += f"M{left} {_whole(y(low))}H{right}V{_whole(y(high))}H{left}z"
            if bottom is not None and top is not None:
                whiskers += (
                    f"M{centre} {_whole(y(bottom))}V{_whole(y(low))}M{centre} {_whole(y(high))}V{_whole(y(top))}"
                )
        if value is not None:
            middles += f"M{left} {_whole(y(value))}H{right}"
    specks = _path([(x(at + shift), y(value)) for at, value in series.fliers or ()], "h0", "m")
    return (
        f'<path class="whisker" d="{whiskers}"/><path class="box" d="{boxes}"/><path class="middle" d="{middles}"/>'
        f'<path class="specks" d="{specks}"/>'
    )


def _stretches(series: Series, values: Sequence[float | None], x: Axis, y: Axis) -> Iterator[list[tuple[float, float]]]:
    """The points of a line between its gaps."""
    pairs = zip(series.x, values, strict=True)
    for gap, stretch in itertools.groupby(pairs, key=lambda pair: pair[1] is None):
        if not gap:
            yield [(x(at), y(value)) for at, value in stretch if value is not None]


def _path(points: Sequence[tuple[float, float]], mark: str = "", step: str = "l") -> str:
    """A path through some points in whole `UNIT`s, each relative to the last to be short.

    Args:
        points: positions.
        mark: drawn at each point.
        step: how to get from one to the next: "l" draws a line, "m" none.
    """
    text = ""
    last = (0, 0)
    for left, top in points:
        here = _whole(left), _whole(top)
        if not text:
            text = f"M{here[0]} {here[1]}{mark}"
        else:
            across, down = here[0] - last[0], here[1] - last[1]
            text += f"{step}{across}{'' if down < 0 else ' '}{down}{mark}"
        last = here
    return text


def _whole(position: float) -> int:
    return round(position / UNIT)
