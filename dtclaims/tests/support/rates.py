"""How often the rule is wrong, and how often it sees what is there: the tables of `dtclaims/docs/verdicts.md`.

`python -m dtclaims.tests.support.rates` simulates them anew and writes them into the page, between its marks.
Whole arrays of samples go through fast forms of the rule, which `test_rates` holds to the rule itself.
"""

import itertools
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.special import bdtrc, stdtr

from dtclaims.harness.stats.flips import FIRST_STEP
from dtclaims.harness.stats.parts import FEW
from dtclaims.harness.stats.reach import reach
from dtclaims.harness.stats.trends import above, equivalent, exists, in_most_seeds, in_some_seeds
from dtclaims.places import ROOT
from dtclaims.seeding import generator

PAGE = ROOT / "dtclaims" / "docs" / "verdicts.md"
MARKS = "<!-- rates: made by dtclaims.tests.support.rates -->", "<!-- end of rates -->"
REACH_MARKS = "<!-- reach: made by dtclaims.tests.support.rates -->", "<!-- end of reach -->"
ALPHA = 0.05
DRAWS, FEWER = 20_000, 10_000
"""Of one part; where signs of seeds are turned, or fifty claims drawn."""

Array = np.ndarray

# --- laws of a seed's effect: mean 0, scale about 1 -----------------------------------------------


def normal(draw: np.random.Generator, shape: tuple[int, ...]) -> Array:
    return draw.normal(size=shape)


def heavy(draw: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """Student's t with 3 degrees of freedom."""
    return draw.standard_t(3, size=shape)


def skewed(draw: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """A lognormal turned against the claim: median 0.65."""
    return math.exp(0.5) - draw.lognormal(size=shape)


def favoured(draw: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """The same turned the other way: against what refutes."""
    return -skewed(draw, shape)


def collapse(draw: np.random.Generator, shape: tuple[int, ...]) -> Array:
    """One seed in five collapses to -4, the others scatter by 0.1 around 1: median 1."""
    return np.where(draw.random(shape) < 0.2, -4.0, 1.0) + 0.1 * draw.normal(size=shape)


LAWS = {
    "normal": normal,
    "Student t, 3 degrees of freedom": heavy,
    "lognormal, skewed against the claim": skewed,
    "lognormal, skewed for the claim": favoured,
    "one seed in five collapses": collapse,
}

# --- fast forms: arrays whose last axis is seeds --------------------------------------------------


@dataclass(frozen=True)
class Said:
    """What a fast form says of each sample."""

    reproduced: Array
    refuted: Array
    p_against: Array
    """Paid for the number of parts; 2 where the seeds do not agree, so that it says refuted below alpha."""


def p_above(x: Array, cut: float = 0.0) -> Array:
    """p by t of the mean lying above."""
    n = x.shape[-1]
    return stdtr(n - 1, -(x.mean(-1) - cut) / (x.std(-1, ddof=1) / math.sqrt(n)))


def sign_p(hits: Array, n: int) -> Array:
    """p of so many of n seeds being more than half."""
    return np.where(hits > 0, bdtrc(np.maximum(hits - 1.0, 0), n, 0.5), 1.0)


def agree(there: Array, gate: float) -> Array:
    """Whether the seeds that are there are a proven majority, or fewer than five."""
    n = there.shape[-1]
    return np.full(there.shape[:-1], True) if n < 5 else sign_p(there.sum(-1), n) < gate


def contrast(x: Array, level: float = ALPHA, gate: float | None = None, interest: float = 0.0) -> Said:
    """`above(0, interest=...)`."""
    gate = gate or level
    below = 1 - p_above(x, interest)
    absent = (below < level) & agree(x < interest, gate)
    reproduced = (p_above(x) < level) & agree(x > 0, gate) & (below >= level)
    return Said(reproduced, absent, np.where(agree(x < interest, gate), below, 2))


def equivalence(x: Array, margin: float, level: float = ALPHA) -> Said:
    """`equivalent(margin)`."""
    within = (p_above(x, -margin) < level) & (1 - p_above(x, margin) < level)
    up = (p_above(x, margin) < level / 2) & agree(x > margin, level)
    down = (1 - p_above(x, -margin) < level / 2) & agree(x < -margin, level)
    return Said(within & agree(abs(x) < margin, level), up | down, np.full(x.shape[:-1], 2.0))


def several(x: Array, level: float = ALPHA, first_step: float = FIRST_STEP) -> Said:
    """Parts on the axis before the last, each `above(0)`; without a first step no part is set aside."""
    count, alone = x.shape[-2], contrast(x, level)
    if count <= FEW:
        p = alone.p_against * count
    else:
        p = np.where(alone.refuted, np.concatenate([_flips(block, level, first_step) for block in _blocks(x)]), 2)
    least = p.min(-1)
    return Said(alone.reproduced.all(-1), least < level, least)


def _blocks(x: Array) -> Iterator[Array]:
    # So many samples as 2^n turns of all their parts take a tenth of a gigabyte.
    step = max(1, 12_000_000 // (x.shape[-2] * 2 ** x.shape[-1]))
    return (x[start : start + step] for start in range(0, len(x), step))


def _flips(x: Array, level: float, first_step: float) -> Array:
    n = x.shape[-1]
    signs = np.array(list(itertools.product([1.0, -1.0], repeat=n)))
    rise = -(x @ signs.T) / np.sqrt((x**2).sum(-1))[..., None]
    firm = p_above(x) < first_step * level
    largest = np.where(firm[..., None], -np.inf, rise).max(-2)
    p = (largest[..., None, :] >= rise[..., :1] - 1e-12).mean(-1)
    return np.where(firm, 1.0, p / (1 - first_step))


def whole(x: Array) -> Said:
    """A composite of as many claims of one part as the axis before the last has."""
    alone = contrast(x)
    refuted = ((alone.p_against <= ALPHA / x.shape[-2]) & alone.refuted).any(-1)
    return Said(alone.reproduced.all(-1), refuted, alone.p_against.min(-1) * x.shape[-2])


def holm(p: Array) -> Array:
    """Which of the last axis stand."""
    order = np.argsort(p, axis=-1)
    count = p.shape[-1]
    passed = np.take_along_axis(p, order, -1) <= ALPHA / (count - np.arange(count))
    stands = np.logical_and.accumulate(passed, axis=-1)
    found = np.empty_like(stands)
    np.put_along_axis(found, order, stands, -1)
    return found


# --- the tables -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Table:
    """Numbers by row and column; a cell may have several."""

    title: str
    columns: tuple[str, ...]
    rows: dict[str, list[tuple[float, ...]]]
    draws: int

    def text(self) -> str:
        """As Markdown."""
        lines = [self.title, "", f"| {' | '.join(self.columns)} |", "|---" * len(self.columns) + "|"]
        for name, cells in self.rows.items():
            told = [" / ".join(_told(number) for number in cell) for cell in cells]
            lines.append(f"| {name} | {' | '.join(told)} |")
        return "\n".join(lines)

    @property
    def numbers(self) -> list[float]:
        """All of them, row by row."""
        return [number for cells in self.rows.values() for cell in cells for number in cell]


def _told(number: float) -> str:
    return f"{number:.1f}" if number > 1 else f"{number:.3f}"


class Simulation:
    """One fresh set of tables.

    Args:
        stream: names the random numbers: another name, other samples.
    """

    def __init__(self, stream: str = "docs") -> None:
        self._stream = stream

    def _draw(self, law: Callable[..., Array], *shape: int) -> Array:
        return law(generator(0, f"rates/{self._stream}/{law.__name__}/{shape}"), shape)

    def tables(self) -> list[Table]:
        """All tables, in the order of the page."""
        return [
            self.one_part(),
            self.interest(),
            self.several_false(),
            self.several_seen(),
            self.composites(),
            self.looks(),
            self.equivalences(),
            self.headlines(),
            self.power(),
        ]

    def one_part(self) -> Table:
        """A contrast, truth at the null."""
        rows = {}
        for name, law in LAWS.items():
            found = [contrast(self._draw(law, DRAWS, n)) for n in (3, 5, 8, 10)]
            rows[name] = [(float(one.reproduced.mean()), float(one.refuted.mean())) for one in found]
        title = "**One part, the truth at the null**: false *reproduced* / false *refuted*."
        return Table(title, ("law of the seeds", "n = 3", "n = 5", "n = 8", "n = 10"), rows, DRAWS)

    def interest(self) -> Table:
        """A contrast with a smallest effect of interest."""
        rows = {}
        for size in (1.0, 2.0):
            for at, truth in (("the smallest effect of interest", size), ("the null", 0.0)):
                found = [contrast(self._draw(normal, DRAWS, n) + truth, interest=size) for n in (5, 8, 10)]
                cells = [(float(one.reproduced.mean()), float(one.refuted.mean())) for one in found]
                rows[f"{size:g} sd, truth at {at}"] = cells
        title = "**A smallest effect of interest**, normal seeds: *reproduced* / *refuted*."
        return Table(title, ("interest", "n = 5", "n = 8", "n = 10"), rows, DRAWS)

    def several_false(self) -> Table:
        """Parts all at the null."""
        rows = {}
        for name, law in LAWS.items():
            for n in (5, 8):
                cells = []
                for count in (1, 2, 3, 5, 12):
                    found = several(self._draw(law, FEWER, count, n))
                    cells.append((float(found.reproduced.mean()), float(found.refuted.mean())))
                rows[f"{name}, n = {n}"] = cells
        columns = ("all parts at the null", *(f"k = {count}" for count in (1, 2, 3, 5, 12)))
        return Table("**k parts, all at the null**: false *reproduced* / false *refuted*.", columns, rows, FEWER)

    def several_seen(self) -> Table:
        """One part reversed."""
        rows = {}
        for others, centre in (("hold by 2 sd", 2.0), ("hold by 10 sd", 10.0), ("are at the null", 0.0)):
            for n, first_step in ((5, FIRST_STEP), (8, FIRST_STEP), (5, 0.0)):
                cells = []
                for count in (1, 2, 3, 5, 12):
                    x = self._draw(normal, FEWER, count, n) + centre
                    x[:, 0] -= centre + 2
                    cells.append((float(several(x, first_step=first_step).refuted.mean()),))
                rows[f"{others}, n = {n}{'' if first_step else ', none set aside'}"] = cells
        columns = ("the others", *(f"k = {count}" for count in (1, 2, 3, 5, 12)))
        return Table("**k parts, one reversed by 2 sd**: *refuted*.", columns, rows, FEWER)

    def composites(self) -> Table:
        """Composites of claims of one part."""
        rows = {}
        for n in (5, 8):
            cells, seen = [], []
            for count in (2, 3, 5, 6):
                x = self._draw(normal, DRAWS, count, n)
                cells.append((float(whole(x).reproduced.mean()), float(whole(x).refuted.mean())))
                x = x + 2
                x[:, 0] -= 4
                seen.append((float(whole(x).refuted.mean()),))
            rows[f"all parts at the null, n = {n}: false *reproduced* / false *refuted*"] = cells
            rows[f"one part reversed by 2 sd, the others hold by 2 sd, n = {n}: *refuted*"] = seen
        columns = ("composites", *(f"K = {count}" for count in (2, 3, 5, 6)))
        return Table("**Composites of K claims of one part**, normal seeds.", columns, rows, DRAWS)

    def looks(self) -> Table:
        """Looks at 5, then at 8; the best five of eight."""
        x = self._draw(normal, DRAWS, 8)
        first = x[:, :5]
        sets = np.stack([x[:, list(chosen)] for chosen in itertools.combinations(range(8), 5)], axis=1)

        def shown(*looks: tuple[Array, float]) -> list[tuple[float, ...]]:
            found = [contrast(seeds, level).reproduced for seeds, level in looks]
            return [(float(np.logical_or.reduce(found).mean()),), (float(found[-1].mean()),)]

        every = range(sets.shape[1])
        rows = {
            "5, then 8, declared: 0.035, then 0.015": shown((first, 0.035), (x, 0.015)),
            "5, then 8, undeclared: 0.05, then 0.025": shown((first, ALPHA), (x, ALPHA / 2)),
            "5, then 8, not counted: 0.05 each": shown((first, ALPHA), (x, ALPHA)),
            "each five of eight, counted as looks": shown(*((sets[:, at], ALPHA / (1 + at)) for at in every)),
            "each five of eight, not counted": shown(*((sets[:, at], ALPHA) for at in every)),
        }
        title = "**Looks**, normal seeds, the truth at the null: false *reproduced*."
        return Table(title, ("seeds judged", "at any look", "at the last look"), rows, DRAWS)

    def equivalences(self) -> Table:
        """Truth at the margin, and at the null."""
        rows = {}
        for margin in (0.25, 1.0, 2.0):
            for at, truth in (("the margin", margin), ("the null", 0.0)):
                found = [equivalence(self._draw(normal, DRAWS, n) + truth, margin) for n in (5, 8, 10)]
                cells = [(float(one.reproduced.mean()), float(one.refuted.mean())) for one in found]
                rows[f"margin {margin:g} sd, truth at {at}"] = cells
        title = "**Equivalence**, normal seeds: *reproduced* / *refuted*."
        return Table(title, ("margin", "n = 5", "n = 8", "n = 10"), rows, DRAWS)

    def headlines(self) -> Table:
        """Fifty headlines, half of them true by 2 sd."""
        rows = {}
        for name, law in (("normal", normal), ("lognormal, skewed against the claim", skewed)):
            cells = []
            for n in (5, 8, 10):
                x = self._draw(law, FEWER, 50, n)
                x[:, 25:] += 2
                shown = contrast(x).reproduced
                by_t = holm(p_above(x)) & shown
                free = holm(sign_p((x > 0).sum(-1), n)) & shown
                cells += [(float(one[:, :25].any(-1).mean()), float(one[:, 25:].mean())) for one in (by_t, free)]
            rows[name] = cells
        title = (
            "**Holm over fifty headlines**, half of them at the null, half true by 2: a false one stands / share of "
            "the true that stand."
        )
        columns = ("law of the seeds", *(f"n = {n}, {by}" for n in (5, 8, 10) for by in ("by t", "free")))
        return Table(title, columns, rows, FEWER)

    def power(self) -> Table:
        """A contrast that is true."""
        rows = {}
        for truth in (1, 2, 3):
            found = [contrast(self._draw(normal, DRAWS, n) + truth) for n in (3, 5, 8, 10)]
            rows[f"{truth} sd"] = [(float(one.reproduced.mean()),) for one in found]
        title = "**Power**, normal seeds: a contrast that is true by so much is *reproduced*."
        return Table(title, ("truth", "n = 3", "n = 5", "n = 8", "n = 10"), rows, DRAWS)


@lru_cache(maxsize=2)
def simulated(stream: str) -> list[Table]:
    """All tables, made once a process."""
    return Simulation(stream).tables()


REACHED = {
    "contrast, non-inferiority, level": above(),
    "equivalence": equivalent(1, why="any"),
    "share, most seeds": in_most_seeds(),
    "share, more than 0.6": in_most_seeds(0.6),
    "share, more than 0.75": in_most_seeds(0.75),
    "share, more than 0.8": in_most_seeds(0.8),
    "share, more than 0.9": in_most_seeds(0.9),
    "rate, 0.05": in_some_seeds(0.05, why="any"),
    "rate, 0.1": in_some_seeds(0.1, why="any"),
    "existence, 0.05": exists(0.05, why="any"),
}


def reach_table() -> str:
    """From how many seeds on a claim of k parts can be reproduced, and refuted."""
    counts = (1, 2, 3, 5)
    lines = [f"| kind of trend | {' | '.join(f'k = {count}' for count in counts)} |", "|---" * 5 + "|"]
    for name, trend in REACHED.items():
        found = [reach({f"part {place}": trend for place in range(count)}, 5) for count in counts]
        lines.append(f"| {name} | {' | '.join(f'{one.reproduced_from} / {one.refuted_from}' for one in found)} |")
    return "\n".join(lines)


def between(text: str, marks: tuple[str, str]) -> str:
    """What stands between two marks of the page."""
    return text[text.index(marks[0]) + len(marks[0]) : text.index(marks[1])]


def written() -> list[list[float]]:
    """The numbers of the page's tables."""
    tables: list[list[float]] = []
    for line in between(PAGE.read_text(encoding="utf-8"), MARKS).splitlines():
        if line.startswith("|---"):
            tables.append([])
        elif line.startswith("| ") and tables and re.search(r"\| [0-9]", line):
            cells = line.strip("| ").split(" | ")[1:]
            tables[-1] += [float(number) for cell in cells for number in cell.split(" / ")]
    return tables


def main() -> None:
    """Write the tables into the page."""
    text = PAGE.read_text(encoding="utf-8")
    rates = "\n\n".join(table.text() for table in simulated("docs"))
    for marks, found in ((REACH_MARKS, reach_table()), (MARKS, rates)):
        before, after = text[: text.index(marks[0]) + len(marks[0])], text[text.index(marks[1]) :]
        text = f"{before}\n\n{found}\n\n{after}"
    PAGE.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
