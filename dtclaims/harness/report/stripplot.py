"""Strip plots as inline SVG: every seed's effect, their interval, the claimed side and the paper's number.

Colours come from the page's style sheet by class, so that one drawing serves light, dark and print.
"""

import math
from collections.abc import Iterable, Sequence
from typing import Protocol

from markupsafe import Markup, escape

from dtclaims.harness.counting import count
from dtclaims.harness.judge.entries import Effect, TrendShown
from dtclaims.harness.report.axis import Axis, padded, px
from dtclaims.harness.report.decided import OURS, is_ours
from dtclaims.harness.report.wording import interval, number

WIDTH = 320
"""Units of the viewBox; the page scales the drawing to its column."""

OFF_SCALE = 3.0
"""A paper's number that would stretch the axis by more than this is an arrow at its edge instead."""


class Drawn(Protocol):
    """What has a plot: a claim, or one of its components."""

    @property
    def effect(self) -> Effect:
        """By seed, with mean and interval."""

    @property
    def trend(self) -> TrendShown:
        """What was declared of it."""


def claimed(trend: TrendShown) -> tuple[float, float] | None:
    """The claimed range of the effect as (low, high), open ends infinite; None where parts are judged instead."""
    bound, null = trend.bound, trend.null
    match trend.kind:
        case "contrast" if null is not None:
            return _beyond(null, trend.direction)
        case "non-inferiority" if null is not None and bound is not None:
            return _beyond(null - trend.direction * bound, trend.direction)
        # `above`, `below`, `holds_in` and `equivalent` are the first edition's.
        case "level" | "share" | "existence" | "above" | "below" | "holds_in" if bound is not None:
            return _beyond(bound, trend.direction)
        case "equivalence" | "equivalent" if bound is not None:
            centre = null or 0.0
            return centre - abs(bound), centre + abs(bound)
        case "rate" if bound is not None and bound < 0.5:
            return bound, 1 - bound
    return None


def _beyond(cut: float, direction: int) -> tuple[float, float]:
    return (cut, math.inf) if direction > 0 else (-math.inf, cut)


def least(trend: TrendShown) -> float | None:
    """The smallest effect of interest in the effect's own unit; None where none was declared."""
    if trend.kind != "contrast" or trend.null is None or not trend.interest:
        return None
    return trend.null + trend.direction * trend.interest


def _marks(trend: TrendShown) -> tuple[list[float], list[float], list[float]]:
    """Where lines stand: the ends of the claimed side, the smallest effect of interest, the null of a margin."""
    cuts = [cut for cut in claimed(trend) or () if math.isfinite(cut)]
    interest = [one for one in [least(trend)] if one is not None and math.isfinite(one)]
    null = [trend.null] if cuts and trend.null is not None and trend.null not in cuts else []
    return cuts, interest, null


def domain(parts: Iterable[Drawn], paper: Sequence[float] = ()) -> tuple[float, float] | None:
    """The range an axis must show for some claims or components, with a margin; None if there is nothing to show.

    Args:
        parts: records with `effect` and `trend`, in one unit.
        paper: the paper's numbers; one far away does not stretch the axis.
    """
    values: list[float] = []
    cuts: list[float] = []
    for part in parts:
        effect = part.effect
        values += [value for value in (effect.mean, effect.low, effect.high) if value is not None]
        values += effect.per_seed.values()
        cuts += [at for marks in _marks(part.trend) for at in marks]
    if not values:
        return None
    low, high = min(values + cuts), max(values + cuts)
    for value in paper:
        wider = max(high, value) - min(low, value)
        if wider <= OFF_SCALE * (high - low):
            low, high = min(low, value), max(high, value)
    return padded(low, high)


def plot(part: Drawn, paper: Sequence[float]) -> Markup:
    """The full plot of a claim: rows for seeds, mean and paper above an axis with ticks.

    Args:
        part: a record with `effect` and `trend`.
        paper: the paper's numbers, to mark.

    Returns:
        Nothing where no seed has an effect.
    """
    ends = domain([part], paper)
    if ends is None:
        return Markup()
    axis = Axis(*ends, start=42, end=WIDTH - 8)
    bottom = 66 if paper else 52
    rows = [("seeds", 27), ("mean", 44)] + ([("paper", 58)] if paper else [])
    body = [
        _side(part.trend, axis, 13, bottom),
        _ticks(axis, 13, bottom),
        _cut(part.trend, axis, 13, bottom),
        _cut_label(part.trend, axis),
        *(f'<text x="0" y="{y}">{name}</text>' for name, y in rows),
        *_dots(part.effect, axis, 24),
        _mean(part.effect, axis, 41),
        *(_paper(value, axis, 54, label=True) for value in paper),
    ]
    return _svg(body, bottom + 16, part.effect, paper)


def mini(part: Drawn, paper: Sequence[float], ends: tuple[float, float] | None, *, ticks: bool = True) -> Markup:
    """One slim row for a component. Rows that share `ends` stand on one axis, and only the last needs its ticks."""
    if ends is None or part.effect.mean is None:
        return Markup()
    axis = Axis(*ends, start=8, end=WIDTH - 8)
    dots = "".join(f"M{px(axis(value))} 13h0" for value in part.effect.per_seed.values())
    body = [
        _side(part.trend, axis, 0, 32),
        _ticks(axis, 0, 32) if ticks else "",
        _cut(part.trend, axis, 0, 32),
        f'<path class="dots" d="{dots}"/>',
        _mean(part.effect, axis, 24),
        *(_paper(value, axis, 4, label=False) for value in paper),
    ]
    return _svg(body, 46 if ticks else 32, part.effect, paper)


def _svg(body: Iterable[str], height: int, effect: Effect, paper: Sequence[float]) -> Markup:
    told = f"; the paper's {', '.join(map(number, paper))}" if paper else ""
    name = f"Plot of {count(len(effect.per_seed), 'seed')}: mean {interval(effect)}{told}"
    # Every piece is made of numbers and fixed words, and text was escaped where it entered.
    # A title is the name that is read out; each seed's effect stands below as text.
    return Markup('<svg viewBox="0 0 {} {}" role="img"><title>{}</title>{}</svg>').format(
        WIDTH, height, name, Markup("".join(body))
    )


def _side(trend: TrendShown, axis: Axis, top: int, bottom: int) -> str:
    """The claimed side, shaded."""
    span = claimed(trend)
    if span is None:
        return ""
    left, right = (axis(min(max(end, axis.low), axis.high)) for end in span)
    return f'<rect class="side" x="{px(left)}" y="{top}" width="{px(right - left)}" height="{bottom - top}"/>'


def _cut(trend: TrendShown, axis: Axis, top: int, bottom: int) -> str:
    """A dashed line at each finite end of the claimed side, a dotted one at the smallest effect of interest, and a thin
    one at the null that a margin is counted from."""
    drawn = []
    for name, places in zip(("cut", "least", "null"), _marks(trend), strict=True):
        lines = "".join(f"M{px(axis(at))} {top}V{bottom}" for at in places)
        drawn.append(f'<path class="{name}" d="{lines}"/>' if lines else "")
    return "".join(drawn)


def _cut_label(trend: TrendShown, axis: Axis) -> str:
    span = claimed(trend)
    if span is None:
        return ""
    low, high = span
    # What the paper says is claimed; a number of ours is not the paper's.
    ours = is_ours(trend) and trend.kind != "contrast"
    name = f"our {OURS.get(trend.kind, 'choice')}:" if ours else "claimed"
    if math.isfinite(low) and math.isfinite(high):
        text, at = f"{name} {number(low)} to {number(high)}", (axis(low) + axis(high)) / 2
    elif math.isfinite(low):
        text, at = f"{name} {'≥' if trend.kind == 'holds_in' else '>'} {number(low)}", axis(low)
    else:
        text, at = f"{name} < {number(high)}", axis(high)
    if (interest := least(trend)) is not None:
        text += f"; ours: of interest from {number(interest)}"
    # Half of the text, at about 5.6 units a letter, must fit on either side.
    half = 2.8 * len(text)
    return f'<text class="lab" x="{px(min(max(at, axis.start + half), WIDTH - half))}" y="9">{escape(text)}</text>'


def _ticks(axis: Axis, top: int, y: int) -> str:
    marks, places = axis.ticks()
    zero = f'<path class="zero" d="M{px(axis(0))} {top}V{y}"/>' if axis.holds(0) else ""
    lines = f"M{axis.start} {y}H{axis.end}" + "".join(f"M{px(axis(mark))} {y}v3" for mark in marks)
    texts = "".join(
        f'<text class="tick" x="{px(axis(mark))}" y="{y + 13}">{number(mark, places)}</text>' for mark in marks
    )
    return f'{zero}<path class="axis" d="{lines}"/>{texts}'


def _dots(effect: Effect, axis: Axis, y: int) -> list[str]:
    """One circle per seed. Seeds too close to tell apart are moved up and down in turn."""
    placed: list[float] = []
    dots = []
    for value in effect.per_seed.values():
        x = axis(value)
        near = sum(abs(x - other) < 6.5 for other in placed)
        placed.append(x)
        shift = (near + 1) // 2 * (-5 if near % 2 else 5)
        height = y + min(max(shift, -7), 7)
        dots.append(f'<circle cx="{px(x)}" cy="{height}" r="3.6"/>')
    return dots


def _mean(effect: Effect, axis: Axis, y: int) -> str:
    """A diamond at the mean on a bar over the interval."""
    if effect.mean is None:
        return ""
    bar = ""
    if effect.low is not None and effect.high is not None:
        bar = f"M{px(axis(effect.low))} {y - 3}v6m0-3H{px(axis(effect.high))}m0-3v6"
    return f'<path class="mean" d="{bar}M{px(axis(effect.mean))} {y - 5}l5 5-5 5-5-5z"/>'


def _paper(value: float, axis: Axis, y: int, *, label: bool) -> str:
    """A hollow triangle at the paper's number, or an arrow at the edge it lies beyond."""
    x = axis(value)
    if axis.holds(value):
        return f'<path class="paper" d="M{px(x)} {y + 4}l-4.5 -8h9z"/>'
    out, anchor = (7, "end") if value > axis.high else (-7, "start")
    arrow = f'<path class="paper" d="M{px(x - out)} {y - 4}l{out} 4l{-out} 4z"/>'
    text = f'<text x="{px(x - 2 * out)}" y="{y + 4}" text-anchor="{anchor}">{number(value)}</text>'
    return arrow + text if label else arrow
