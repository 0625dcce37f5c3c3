"""Learning curves as one SVG file: per variant the mean over seeds, its interval as a band, and each seed.

The file stands alone: its colours suit light and dark pages, a letter at the end of each line names it without colour,
and it says which command drew it from what. Equal input gives equal bytes; there are no scripts.
"""

import math
import re
import textwrap
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from markupsafe import Markup, escape

from dtclaims.errors import UsageError
from dtclaims.harness.counting import count
from dtclaims.harness.report.axis import Axis, padded, px
from dtclaims.harness.report.wording import UNPRINTABLE, interval, number

WIDTH = 720
LEFT, RIGHT = 62, 692
HEIGHT = 280
"""Of the plot between its axes."""

LINE_CHARACTERS = 114
"""Of small text that fit on a line, in the widest of the usual fonts."""

COLOURS = 8
"""Classes k0 to k7 in the style sheet; contrast to the ground is 4.5:1 at least, light and dark."""

DASHES = ("", "7 4")
"""Once the colours are used up they are used again, dashed."""

MOST = COLOURS * len(DASHES)

LETTERS = "abcdefghijklmnop"

STRETCH = 0.5
"""By how much of the seeds' range bands may widen the axis on either side; wider ones are cut."""

Band = tuple[Sequence[float], Sequence[float]]
"""Low and high ends by epoch."""


@dataclass(frozen=True)
class Line:
    """One variant."""

    name: str
    seeds: Mapping[int, Sequence[float]]
    """Values by epoch, epoch 1 first, of each seed."""
    mean: Sequence[float]
    band: Band | None
    """None for a single seed."""
    units: int = 0
    """Over how many units seeds are spread, which are averaged over their seeds first; 0: n counts seeds."""

    @property
    def last(self) -> "Last":
        """Where it ends."""
        low, high = (self.band[0][-1], self.band[1][-1]) if self.band else (None, None)
        return Last(self.mean[-1], low, high)


@dataclass(frozen=True)
class Last:
    """The mean at the last epoch with its interval."""

    mean: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class Curves:
    """What a figure shows."""

    title: str
    y_label: str
    """With the unit, in words."""
    lines: Sequence[Line]
    steps_per_epoch: int | None
    """None where the runs differ in it; then the axis has epochs only."""
    made_by: str
    bounds: tuple[float, float] | None = None
    """Values that are possible."""
    level: tuple[str, float] | None = None
    """A horizontal line to compare with, and its name."""
    unit: str = "start"
    """What `Line.units` counts, in words."""


def draw(figure: Curves) -> str:
    """The figure as the text of an SVG file.

    Raises:
        UsageError: no lines, more than can be told apart, or values that no axis can hold.
    """
    if not 1 <= len(figure.lines) <= MOST:
        raise UsageError(
            "not a number of variants that one figure can tell apart",
            given=len(figure.lines),
            expected=f"1 to {MOST}",
            remedy="Choose some, for instance with --arm.",
        )
    name = f"c{zlib.crc32(repr(figure).encode()):08x}"
    head = textwrap.wrap(figure.title, 80)
    top = 20 * len(head) + 36
    x, y = _axes(figure, top)
    bottom = top + HEIGHT
    legend, end = _legend(figure, bottom + 58)
    notes = _notes(figure, y)
    height = end + 14 * len(notes) + 12
    parts = [
        *(f'<text class="head" x="12" y="{20 * (row + 1) + 4}">{_text(line)}</text>' for row, line in enumerate(head)),
        f'<text class="soft" x="12" y="{top - 12}">{_text(figure.y_label)}</text>',
        _frame(figure, x, y, top, bottom),
        # Wide enough for a dot at the last epoch.
        f'<clipPath id="{name}-clip"><rect x="{LEFT}" y="{top}" width="{RIGHT - LEFT + 5}" height="{HEIGHT}"/>'
        "</clipPath>",
        f'<g clip-path="url(#{name}-clip)">{"".join(_data(figure, x, y))}</g>',
        _letters(figure.lines, x, y, bottom),
        legend,
        *(f'<text class="note" x="12" y="{end + 14 * row + 6}">{_text(note)}</text>' for row, note in enumerate(notes)),
    ]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="dtcurves" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" '
        f'height="{height}" role="img" aria-labelledby="{name}-title {name}-desc">\n'
        f'<title id="{name}-title">{_text(figure.title)}</title>\n'
        f'<desc id="{name}-desc">{_text(_described(figure))}</desc>\n'
        f"<style>{_style()}</style>\n"
        f'<rect class="ground" width="{WIDTH}" height="{height}"/>\n' + "\n".join(part for part in parts if part) + "\n"
        "</svg>\n"
    )


def _text(text: str) -> Markup:
    return escape(" ".join(text.split()).translate(UNPRINTABLE))


@cache
def _style() -> str:
    sheet = files("dtclaims.harness.report").joinpath("templates/curves.css").read_text(encoding="utf-8")
    return re.sub(r"\s+", " ", sheet).strip()


def _axes(figure: Curves, top: int) -> tuple[Axis, Axis]:
    values = [value for line in figure.lines for curve in line.seeds.values() for value in curve]
    values += [figure.level[1]] if figure.level else []
    if not values or not all(map(math.isfinite, values)):
        raise UsageError("curves cannot be drawn", given="no values, or some that are not finite")
    low, high = min(values), max(values)
    room = STRETCH * (high - low)
    ends = [end for line in figure.lines if line.band for side in line.band for end in side]
    low, high = max(min(ends, default=low), low - room), min(max(ends, default=high), high + room)
    if figure.bounds:
        low, high = max(low, figure.bounds[0]), min(high, figure.bounds[1])
    span = padded(min(low, *values), max(high, *values), 0.04)
    if span is None:
        raise UsageError("no axis can hold these values", given=f"{number(low)} to {number(high)}")
    epochs = max(len(line.mean) for line in figure.lines)
    return Axis(0, epochs, LEFT, RIGHT), Axis(*span, top + HEIGHT, top)


def _frame(figure: Curves, x: Axis, y: Axis, top: int, bottom: int) -> str:
    marks, places = y.ticks(5)
    least, most = figure.bounds or (-math.inf, math.inf)
    marks = [mark for mark in marks if least <= mark <= most]
    grid = "".join(f"M{LEFT} {px(y(mark))}H{RIGHT}" for mark in marks)
    texts = [f'<text class="end" x="{LEFT - 7}" y="{px(y(mark) + 4)}">{number(mark, places)}</text>' for mark in marks]
    stops, _ = x.ticks(min(8, round(x.high)))
    ticks = "".join(f"M{px(x(stop))} {bottom}v4" for stop in stops)
    rows: list[tuple[str, str, int]] = [("epoch", "middle", 1)]
    if figure.steps_per_epoch is not None:
        rows.append(("updates", "middle soft", figure.steps_per_epoch))
    for row, (label, kind, factor) in enumerate(rows):
        at = bottom + 18 + 15 * row
        texts.append(f'<text class="end{" soft" * row}" x="{LEFT - 12}" y="{at}">{label}</text>')
        texts += [f'<text class="{kind}" x="{px(x(stop))}" y="{at}">{round(stop * factor):,}</text>' for stop in stops]
    return (
        f'<path class="grid" d="{grid}"/><path class="axis" d="M{LEFT} {top}V{bottom}H{RIGHT}{ticks}"/>{"".join(texts)}'
    )


def _data(figure: Curves, x: Axis, y: Axis) -> Iterator[str]:
    """Bands first, means last, so that nothing hides a mean."""
    marks = [_mark(index) for index in range(len(figure.lines))]
    least, most = figure.bounds or (-math.inf, math.inf)
    for line, (colour, _) in zip(figure.lines, marks, strict=True):
        if line.band:
            low, high = ([min(max(value, least), most) for value in side] for side in line.band)
            area = _path(low, x, y) + _path(high, x, y, back=True).replace("M", "L", 1)
            yield f'<g class="{colour}"><path class="band" d="{area}z"/>'
            yield f'<path class="edge" d="{_path(low, x, y)}{_path(high, x, y)}"/></g>'
    for line, (colour, _) in zip(figure.lines, marks, strict=True):
        seeds = "".join(_path(curve, x, y) for curve in line.seeds.values()) if len(line.seeds) > 1 else ""
        yield f'<path class="seed {colour}" d="{seeds}"/>' if seeds else ""
    if figure.level:
        yield f'<path class="level" d="M{LEFT} {px(y(figure.level[1]))}H{RIGHT}"/>'
    for line, (colour, dash) in zip(figure.lines, marks, strict=True):
        # A run of one epoch has a point and no line.
        if len(line.mean) == 1:
            yield f'<circle class="dot {colour}" cx="{px(x(1))}" cy="{px(y(line.mean[0]))}" r="3.5"/>'
        yield f'<path class="mean {colour}"{dash} d="{_path(line.mean, x, y)}"/>'


def _mark(index: int) -> tuple[str, str]:
    """The class of a line's colour, and the attribute of its dashes."""
    again, colour = divmod(index, COLOURS)
    return f"k{colour}", f' stroke-dasharray="{DASHES[again]}"' if again else ""


def _path(values: Sequence[float], x: Axis, y: Axis, *, back: bool = False) -> str:
    # Not through the axis, which holds what lies beyond it at its end: a band that is cut must keep its slope.
    scale = (y.end - y.start) / (y.high - y.low)
    points = [(x(epoch), y.start + (value - y.low) * scale) for epoch, value in enumerate(values, 1)]
    return "M" + "L".join(f"{px(left)} {px(down)}" for left, down in (reversed(points) if back else points))


def _letters(lines: Sequence[Line], x: Axis, y: Axis, bottom: int) -> str:
    """Each line's letter behind its end; those that would touch are moved apart."""
    spacing = 12
    ends: dict[int, list[tuple[float, int]]] = {}
    for index, line in enumerate(lines):
        ends.setdefault(len(line.mean), []).append((y(line.mean[-1]), index))
    texts = ""
    for epoch, found in ends.items():
        found.sort()
        places: list[float] = []
        for at, _ in found:
            places.append(max(at, places[-1] + spacing) if places else at)
        # What was pushed over the edge pushes back.
        limit = float(bottom)
        for index in reversed(range(len(places))):
            places[index] = min(places[index], limit)
            limit = places[index] - spacing
        for place, (_, index) in zip(places, found, strict=True):
            texts += (
                f'<text class="key halo {_mark(index)[0]}" x="{px(x(epoch) + 7)}" y="{px(place + 4)}">'
                f"{LETTERS[index]}</text>"
            )
    return texts


def _legend(figure: Curves, top: int) -> tuple[str, int]:
    """One entry per line, in two columns where the names allow it, and one for the level; and where it ends."""
    labels = [f"{line.name} ({_seeds(line, figure)})" for line in figure.lines]
    columns = 2 if len(labels) > 2 and max(map(len, labels)) <= 42 else 1
    rows = math.ceil(len(labels) / columns)
    entries = ""
    for index, (line, label) in enumerate(zip(figure.lines, labels, strict=True)):
        column, row = divmod(index, rows)
        left, at = 12 + column * 348, top + 19 * row
        colour, dash = _mark(index)
        band = f'<path class="band" d="M{left} {at - 9}h30v10h-30z"/>' if line.band else ""
        entries += (
            f'<g class="{colour}">{band}<path class="mean"{dash} d="M{left} {at - 4}h30"/>'
            f'<text class="key" x="{left + 38}" y="{at}">{LETTERS[index]}</text></g>'
            f'<text x="{left + 55}" y="{at}">{_text(_shortened(label, 96 // columns))}</text>'
        )
    if figure.level:
        at = top + 19 * rows
        text = _text(f"{figure.level[0]}: {number(figure.level[1])}")
        entries += f'<path class="level" d="M12 {at - 4}h30"/><text x="67" y="{at}">{text}</text>'
        rows += 1
    return entries, top + 19 * rows + 4


def _seeds(line: Line, figure: Curves) -> str:
    """How many they are, and over how many units they are spread."""
    seeds = count(len(line.seeds), "seed")
    return f"{seeds} over {count(line.units, figure.unit)}" if line.units else seeds


def _shortened(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def _notes(figure: Curves, y: Axis) -> list[str]:
    several = [line for line in figure.lines if line.band]
    how = "Line: mean over seeds." if several else "One seed each, so there is no interval."
    if several:
        if any(line.units for line in figure.lines):
            how = f"Line: mean over seeds, or over {figure.unit}s, each averaged over its seeds first."
        how += " Band: 95% t interval of the mean, at each epoch by itself. Thin lines: single seeds."
        ends = [end for line in several for side in (line.band or ()) for end in side]
        if figure.bounds and not all(figure.bounds[0] <= end <= figure.bounds[1] for end in ends):
            how += f" Bands end at {number(figure.bounds[0])} and {number(figure.bounds[1])}."
        elif not all(map(y.holds, ends)):
            how += " Bands that leave the frame are cut."
    return [line for text in (how, f"Made by: {figure.made_by}") for line in textwrap.wrap(text, LINE_CHARACTERS)]


def _described(figure: Curves) -> str:
    """The figure in words, for those who do not see it and for who wants to make it again."""
    told = []
    for letter, line in zip(LETTERS, figure.lines, strict=False):
        told.append(f"{letter}, {line.name}, {_seeds(line, figure)}: {interval(line.last)} at epoch {len(line.mean)}.")
    level = f" Horizontal line, {figure.level[0]}: {number(figure.level[1])}." if figure.level else ""
    return (
        f"{figure.y_label} by epoch; mean over seeds with its 95% t interval. {' '.join(told)}{level} "
        f"Made by: {figure.made_by}"
    )
