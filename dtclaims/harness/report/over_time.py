"""One claim over time as inline SVG: its effect with its interval at each commit, and the verdict of each.

Colours come from the page's style sheet by class. Where colour does not tell verdicts apart, their height does.
"""

from collections.abc import Mapping, Sequence
from math import isfinite

from markupsafe import Markup

from dtclaims.harness.counting import count
from dtclaims.harness.judge.words import STATUSES, Status, word
from dtclaims.harness.report import stripplot
from dtclaims.harness.report.axis import Axis, padded, px
from dtclaims.harness.report.history import Line
from dtclaims.harness.report.wording import interval, number

LONGEST = 60
"""Commits that a drawing shows; of more, the newest."""

WIDTH, LEFT, WIDEST = 320, 44, 34
"""Of the drawing, of the place for numbers, and of one commit at most; in units of the viewBox, as all below."""

TOP, BOTTOM = 6, 66
"""Of the effect's part."""

STRIP = 20
"""Height of the verdicts' part."""

DATES, ROOM = 13, 124
"""Height of the dates' part, and what two of them need."""

TOLD = 8
"""Effects that the drawing's name gives, the newest; the list beside it has them too."""

MARKS: Mapping[Status, str] = {
    "reproduced": "M{x} {y}m-{h} 1h{w}v9h-{w}z",
    "refuted": "M{x} {y}m-{h} 10h{w}v9h-{w}z",
    "inconclusive": "M{x} {y}m-{h} 8h{w}v4h-{w}z",
    "not_evaluable": "M{x} {y}m-{h} 10l{h}-4 {h} 4-{h} 4z",
    "not_run": "M{x} {y}m-{h} 9.5h{w}v1h-{w}z",
    "error": "M{x} {y}m-{h} 7l{w} 6h1l-{w} -6z",
}
"""Up: reproduced, down: refuted, between: neither. {h} and {w} are half its width and its width."""


def alike(lines: Sequence[Line]) -> list[Line]:
    """The lines whose effect is of the same thing as the newest one's; effects of another are not drawn on its axis.

    Args:
        lines: of one track, oldest first.
    """
    measured = [line for line in lines if line.mean is not None]
    return [line for line in measured if _of(line) == _of(measured[-1])]


def _of(line: Line) -> tuple[object, ...]:
    return line.of, line.unit, None if line.trend is None else line.trend.kind


def chart(lines: Sequence[Line], commits: Sequence[str]) -> Markup:
    """A claim's effects and verdicts, a place per commit; a commit that did not judge it leaves a gap.

    Args:
        lines: of one track, oldest first.
        commits: of its world, oldest first.
    """
    shown = commits[-LONGEST:]
    step = min(WIDEST, (WIDTH - LEFT) / max(len(shown), 1))
    at = {commit: LEFT + step * (index + 0.5) for index, commit in enumerate(shown)}
    effects = [line for line in alike(lines) if line.commit in at]
    ends = _ends(effects)
    above = "" if ends is None else _effects(effects, at, Axis(*ends, start=BOTTOM, end=TOP))
    foot = BOTTOM + 3 if above else 0
    marks = _verdicts([line for line in lines if line.commit in at], at, foot, min(4.0, 0.45 * step))
    height = foot + STRIP + DATES
    return Markup('<svg class="time" viewBox="0 0 {} {}" role="img"><title>{}</title>{}</svg>').format(
        WIDTH, height, _title(lines, effects if above else []), Markup(above + marks + _dates(lines, at, height - 2))
    )


def _dates(lines: Sequence[Line], at: Mapping[str, float], y: int) -> str:
    """The first and the last date that are drawn, where they do not meet."""
    drawn = [line for line in lines if line.commit in at]
    first, last = drawn[0], drawn[-1]
    told = f'<text class="day" x="{px(at[first.commit] - 4)}" y="{y}">{first.created[:10]}</text>'
    if at[last.commit] - at[first.commit] > ROOM:
        told += f'<text class="tock" x="{px(at[last.commit] + 4)}" y="{y}">{last.created[:10]}</text>'
    return told


def _ends(effects: Sequence[Line]) -> tuple[float, float] | None:
    values = [value for line in effects for value in (line.mean, line.low, line.high) if value is not None]
    if not values:
        return None
    return padded(min(values + _cuts(effects[-1])), max(values + _cuts(effects[-1])))


def _cuts(line: Line) -> list[float]:
    """Ends of the claimed side."""
    span = None if line.trend is None else stripplot.claimed(line.trend)
    return [end for end in span or () if isfinite(end)]


def _effects(effects: Sequence[Line], at: Mapping[str, float], axis: Axis) -> str:
    newest = effects[-1]
    span = None if newest.trend is None else stripplot.claimed(newest.trend)
    side = ""
    if span is not None:
        low, high = (axis(min(max(end, axis.low), axis.high)) for end in span)
        side = f'<rect class="side" x="{LEFT}" y="{px(high)}" width="{WIDTH - LEFT}" height="{px(low - high)}"/>'
    cuts = "".join(f"M{LEFT} {px(axis(cut))}H{WIDTH}" for cut in _cuts(newest))
    marks, places = axis.ticks(4)
    ticks = "".join(
        f'<text class="tock" x="{LEFT - 5}" y="{px(axis(mark) + 3.5)}">{number(mark, places)}</text>' for mark in marks
    )
    bars: dict[Status, str] = {}
    for line in effects:
        x, y = px(at[line.commit]), px(axis(line.mean or 0.0))
        bar = ""
        if line.low is not None and line.high is not None:
            bar = f"M{x} {px(axis(line.low))}V{px(axis(line.high))}"
        bars[line.verdict] = bars.get(line.verdict, "") + f"{bar}M{x} {y}m-3 0h6"
    drawn = "".join(f'<path class="when {verdict}" d="{bars[verdict]}"/>' for verdict in STATUSES if verdict in bars)
    lines = f'<path class="cut" d="{cuts}"/>' if cuts else ""
    return f'{side}{lines}<path class="axis" d="M{LEFT} {TOP}V{BOTTOM}"/>{ticks}{drawn}'


def _verdicts(lines: Sequence[Line], at: Mapping[str, float], y: int, half: float) -> str:
    places: dict[Status, str] = {}
    for line in lines:
        mark = MARKS[line.verdict].format(x=px(at[line.commit]), y=y, h=px(half), w=px(2 * half))
        places[line.verdict] = places.get(line.verdict, "") + mark
    return "".join(f'<path class="mark {verdict}" d="{places[verdict]}"/>' for verdict in STATUSES if verdict in places)


def _title(lines: Sequence[Line], effects: Sequence[Line]) -> str:
    """What is read out: how often each verdict, the one that holds now, and the newest effects."""
    times = {verdict: sum(line.verdict == verdict for line in lines) for verdict in STATUSES}
    told = ", ".join(f"{word(verdict)} {count(n, 'time')}" for verdict, n in times.items() if n)
    newest = "; ".join(f"{line.created[:10]} {interval(line)}" for line in effects[-TOLD:])
    return f"{told}; now {word(lines[-1].verdict)}" + (f". Effect: {newest}" if newest else "")
