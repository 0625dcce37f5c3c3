"""What decided a verdict, and by which numbers. It is said here once, for the terminal, tables, pages and job summary.

A number stands beside a verdict only if the verdict came from it: of a claim that a part refuted that is the part's
number, with the interval at the level that the part was refuted at and the side where it lies.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from dtclaims.harness.counting import count
from dtclaims.harness.judge.entries import Component, Effect, Entry, Key, Statistics, TrendShown
from dtclaims.harness.judge.words import word
from dtclaims.harness.report.wording import MINUS, decimals, interval, number
from dtclaims.harness.stats.composites import OWN

How = Literal["interval", "majority", "share", "few seeds", "check", "parts", "error", "not run", "unsaid"]
"""`interval`: where the interval of the mean lies; `majority`: it lies on one side, but the seeds do not agree (sign
test); `share`: in how many seeds a statement is true; `check`: what the claim presupposes was not shown; `parts`:
several things together, none of which stands for all; `unsaid`: a report from elsewhere gives another reason."""

OURS: Mapping[str, str] = {
    "contrast": "smallest effect of interest",
    "equivalence": "margin",
    "non-inferiority": "margin",
    "level": "threshold",
    "share": "share of seeds",
    "rate": "rate",
    "existence": "rate",
    # Of rule 1, which kept no reason.
    "above": "threshold",
    "below": "threshold",
    "equivalent": "margin",
    "holds_in": "share of seeds",
}
"""What the number of ours in a trend is, by its kind."""

_INTERVAL = re.compile(
    r"(?:(?P<turn>reversed|absent|negligible|smaller than declared): )?(?P<flat>no spread: )?"
    r"the (?P<level>[\d.]+)% interval \[(?P<low>[^ ,]+), (?P<high>[^ \]]+)\] (?P<where>(?:lies|includes) .+)",
    re.DOTALL,
)
_SHARE = re.compile(r"(?:absent: )?(?P<hits>true in \d+ of \d+ seeds), a share between .+?: (?P<where>.+)", re.DOTALL)
_ALONE = re.compile(r"; refuted alone, but (?P<note>not at [^:;]+): (?P<names>[^;]+)")
INTEREST = "the smallest effect of interest"


@dataclass(frozen=True)
class Shown:
    """The number that a verdict came from."""

    effect: Effect
    trend: TrendShown
    statistics: Statistics | None
    n: int
    paper: tuple[float, ...]
    through: tuple[str, ...] = ()
    """What it is of, outermost first: parts and a component; empty where it is an effect of the claim itself."""

    @property
    def name(self) -> str:
        """`through` as text."""
        return ", ".join(self.through)


@dataclass(frozen=True)
class Decided:
    """What one verdict came from."""

    how: How
    verdict: str
    """Of the entry."""
    why: str
    """In the statistics' words, with their numbers; of an entry that was not run, why."""
    through: tuple[str, ...] = ()
    """What said so, outermost first: parts and a component; empty where it is the claim's own effect."""
    shown: Shown | None = None
    """The number behind it; None where there is none, or where several things decided together."""
    also: tuple[str, ...] = ()
    """What else said the same, by name."""
    low: float | None = None
    """Ends of the interval that decided, at the level that it was judged at; None where no interval did."""
    high: float | None = None

    @property
    def by(self) -> str:
        """Through what, for behind the verdict's word: ` by S5.3-l2-small-gpt2`; empty for the claim's own effect."""
        link = {"refuted": "by", "error": "in"}.get(self.verdict, "through")
        return f" {link} {' / '.join(map(_named, self.through))}" if self.through else ""

    @property
    def line(self) -> str:
        """What decided, for a cell of a table: `1.06 [1.03, 1.09] lies below 1.25, our smallest effect of interest`.

        Only with `by` it says of what the number is.
        """
        more = f" (also {_listed(self.also)})" if self.also and self.shown is not None else ""
        return f"{self._said}{more}"

    @property
    def text(self) -> str:
        """The same as a sentence behind the verdict: `refuted` + ` by walker2d: −5.7 [−8.5, −2.9] lies below 0`."""
        return f"{self.by}: {self.line}" if self.line else self.by

    @property
    def _said(self) -> str:
        found = _INTERVAL.fullmatch(self.why)
        if found and self.shown is not None and self.low is not None:
            return _in_short(found, self.shown)
        if found_share := _SHARE.fullmatch(self.why):
            ours = f" (our {OURS[self.shown.trend.kind]})" if self.shown and is_ours(self.shown.trend) else ""
            return f"{found_share['hits']}: {found_share['where']}{ours}"
        if self.how == "unsaid" and self.shown is not None:
            # A report from elsewhere gives another reason, or none: the number is there all the same.
            return f"{interval(self.shown.effect)}{': ' if self.why else ''}{_signed(self.why)}"
        return _signed(self.why)


def decided(entry: Entry, entries: Mapping[Key, Entry]) -> Decided:
    """What an entry's verdict came from.

    Args:
        entry: of a report.
        entries: of the same report, by key.
    """
    return _decided(entry, entries, frozenset())


def _decided(entry: Entry, entries: Mapping[Key, Entry], above: frozenset[Key]) -> Decided:
    # Without those above it: a report from elsewhere may hold a claim that is a part of itself.
    others = above | {entry.key}
    found = _of_parts(entry, entries, others) if entry.parts else _of_own(entry, entry.reason, entry.verdict)
    return replace(found, verdict=entry.verdict)


def deciders(entry: Entry) -> tuple[str, ...]:
    """What an entry's verdict came from. A report of schema 1 did not say: there it is what has the same verdict."""
    if entry.decided_by:
        return entry.decided_by
    alike = [part.id for part in entry.parts if part.verdict == entry.verdict]
    alike += [name for name, part in entry.components.items() if part.verdict == entry.verdict]
    return tuple(alike) or ((OWN,) if entry.parts else ())


def decided_alone(entry: Entry) -> bool:
    """Whether the verdict came from the one effect that the entry has, not from one of several."""
    return not entry.components and (not entry.parts or OWN in deciders(entry))


def shown(entry: Entry, entries: Mapping[Key, Entry]) -> Shown | None:
    """The number that an entry's verdict came from.

    Args:
        entry: of a report.
        entries: of the same report, by key.

    Returns:
        None where nothing was measured, or where several things decided and none of them stands for all
        (`wording.gist` counts them). A refuted claim shows the first that refuted it in the way that it says.
    """
    return decided(entry, entries).shown


def papers(entry: Entry) -> dict[str, tuple[float, ...]]:
    """The paper's numbers to mark in the plot of each component."""
    numbers, names = _numbers(entry), list(entry.components)
    return {name: (numbers[at],) if len(numbers) == len(names) else () for at, name in enumerate(names)}


def another_measure(entry: Entry) -> str:
    """Why the paper's numbers are of another quantity than ours, or may be; empty where they are of the same."""
    if entry.rule == "1" and entry.protocol != "published" and entry.paper_value.numbers:
        return "rule 1, which judged this, kept no record of whether this protocol measures what the paper does"
    return entry.paper_value.otherwise


def _numbers(entry: Entry) -> tuple[float, ...]:
    return () if another_measure(entry) else entry.paper_value.numbers


def is_ours(trend: TrendShown) -> bool:
    """Whether a number in what was declared is this project's choice, not the paper's and not "no difference"."""
    # Rule 1 kept no reasons: all that is not its null was declared with the claim.
    early = trend.kind in ("above", "below", "equivalent", "holds_in") and trend.bound != trend.null
    return bool(trend.why) or early


def ours_named(where: str, trend: TrendShown) -> str:
    """Where an interval lies, our number in it told from the paper's: `lies below 1.25, our smallest effect …`."""
    if INTEREST in where:
        return where.replace(INTEREST, f"our {INTEREST.removeprefix('the ')}")
    if not is_ours(trend) or trend.kind == "contrast" or _cuts(where) == [trend.null]:
        return where
    head, comma, tail = where.partition(", ")
    return f"{head} (our {OURS.get(trend.kind, 'choice')}){comma}{tail}"


def _of_parts(entry: Entry, entries: Mapping[Key, Entry], above: frozenset[Key]) -> Decided:
    """Of a claim that holds only if its parts do."""
    names = deciders(entry)
    own = _own_words(entry)
    if entry.verdict == "reproduced":
        whole = len(entry.parts) + bool(own)
        if names != (OWN,) and whole > 1:
            return Decided("parts", entry.verdict, f"{_all(whole)} parts hold", also=names)
    undecided = entry.verdict not in ("refuted", "error", "not_run", "not_evaluable")
    if undecided and len(names) > 1:
        held = [part.id for part in entry.parts if part.verdict == "reproduced"]
        whole = len(entry.parts) + bool(own)
        holding = len(held) + bool(own and OWN not in names)
        return Decided("parts", entry.verdict, f"{holding} of {whole} parts hold; open: {_listed(names)}", also=names)
    found = [_part(entry, name, own, entries, above) for name in names]
    # A claim that is called reversed shows what turned it round.
    found.sort(key=lambda one: not (entry.turn and one.why.startswith(f"{entry.turn}: ")))
    if not found:
        return _plain(entry.verdict, entry.reason)
    first = next((one for one in found if one.shown is not None), found[0])
    rest = tuple(name for name in names if name not in (first.through or (OWN,))[:1])
    return replace(first, also=rest)


def _part(entry: Entry, name: str, own: str, entries: Mapping[Key, Entry], above: frozenset[Key]) -> Decided:
    """What one thing that decided a composite says."""
    alone = _ALONE.search(entry.reason)
    note = ""
    if alone and name in alone["names"].split(", "):
        note = f"refuted alone, but {alone['note']}: "
    if name == OWN:
        found = _of_own(entry, own, "refuted" if note else entry.verdict)
        found = found if found.through else replace(found, through=(OWN,))
    else:
        part = entries.get((name, entry.protocol, entry.scale))
        if part is None or part.key in above:
            return Decided("unsaid", entry.verdict, note.removesuffix(": ") or word(entry.verdict), (name,))
        found = _decided(part, entries, above)
        number_ = None if found.shown is None else replace(found.shown, through=(name, *found.shown.through))
        found = replace(found, through=(name, *found.through), shown=number_, also=())
    return replace(found, how="parts", why=f"{note}{found.why}", low=None, high=None) if note else found


def _of_own(entry: Entry, reason: str, verdict: str) -> Decided:
    """Of a claim's own effect: what its components say, or what it says alone.

    Args:
        entry: of a report.
        reason: of its own effect's verdict.
        verdict: of its own effect.
    """
    if verdict in ("not_run", "error"):
        return _plain(verdict, reason)
    if verdict == "not_evaluable":
        broken = [one for one in entry.checks if one.verdict != "reproduced"]
        if not broken:
            return _plain(verdict, reason)
        check = broken[0]
        shown_ = Shown(check.effect, check.trend, None, len(check.effect.per_seed), ())
        found = _INTERVAL.fullmatch(check.reason)
        told = check.reason if found is None or check.effect.mean is None else _in_short(found, shown_)
        return Decided("check", verdict, f"not shown: {check.name}; {told}", also=tuple(one.name for one in broken[1:]))
    each = _by_name(reason, list(entry.components)) or dict.fromkeys(_alike(entry), reason)
    if not each:
        return _leaf(entry, reason, entry, (), _numbers(entry))
    names = [name for name in each if not entry.components[name].reported] or list(each)
    if verdict == "reproduced" and len(names) > 1:
        return Decided("parts", verdict, f"{_all(len(names))} hold: {_listed(names)}", also=tuple(names))
    if verdict != "refuted" and len(names) > 1:
        say = [one for one in entry.components.values() if not one.reported]
        holding = sum(one.verdict == "reproduced" for one in say)
        return Decided("parts", verdict, f"{holding} of {len(say)} hold; open: {_listed(names)}", also=tuple(names))
    names.sort(key=lambda name: not (entry.turn and each[name].startswith(f"{entry.turn}: ")))
    first, *rest = names
    leaf = _leaf(entry, each[first], entry.components[first], (first,), papers(entry)[first])
    return replace(leaf, also=tuple(rest))


def _alike(entry: Entry) -> list[str]:
    """Components that decided, where the reason does not name them, as in reports from elsewhere."""
    if entry.parts:
        return [name for name, one in entry.components.items() if one.verdict == entry.verdict and not one.reported]
    return [name for name in deciders(entry) if name in entry.components]


def _leaf(
    entry: Entry, reason: str, part: Entry | Component, through: tuple[str, ...], paper: tuple[float, ...]
) -> Decided:
    """What one effect says."""
    number_ = None
    if part.effect.mean is not None:
        number_ = Shown(part.effect, part.trend, part.statistics, entry.n, paper, through)
    if found := _INTERVAL.fullmatch(reason):
        how: How = "majority" if "do not show a majority" in found["where"] else "interval"
        try:
            low, high = float(found["low"]), float(found["high"])
        except ValueError:
            return Decided("unsaid", entry.verdict, reason, through, number_)
        return Decided(how, entry.verdict, reason, through, number_, low=low, high=high)
    if _SHARE.fullmatch(reason):
        return Decided("share", entry.verdict, reason, through, number_)
    return Decided(
        "few seeds" if reason.startswith("too few seeds") else "unsaid", entry.verdict, reason, through, number_
    )


def _plain(verdict: str, reason: str) -> Decided:
    how: How = "error" if verdict == "error" else "not run" if verdict == "not_run" else "unsaid"
    return Decided(how, verdict, reason)


def _own_words(entry: Entry) -> str:
    """What a composite's reason says of its own effect; empty where it has none."""
    told = entry.reason.partition("; own effect: ")[2]
    return told.partition("; left out, as this protocol")[0]


def _by_name(reason: str, names: Sequence[str]) -> dict[str, str]:
    """What a reason of several components says of each that it names, in its order."""
    matches = {name: re.search(rf"(?:^|; ){re.escape(name)}: ", reason) for name in names}
    found = sorted((match.start(), match.end(), name) for name, match in matches.items() if match)
    ends = [*(start for start, _, _ in found[1:]), len(reason)][: len(found)]
    return {name: reason[begin:end] for (_, begin, name), end in zip(found, ends, strict=True)}


def _in_short(found: re.Match[str], told: Shown) -> str:
    """A mean, the interval that decided and where it lies, as in `1.06 [1.03, 1.09] lies below 1.25 (our threshold)`.

    It has digits enough that no end is rounded onto what it is compared with.
    """
    low, high = float(found["low"]), float(found["high"])
    cuts, places = _cuts(found["where"]), decimals(low, high)

    def onto(digits: int) -> bool:
        return any(end != cut and number(end, digits) == number(cut, digits) for end in (low, high) for cut in cuts)

    while places is not None and places < 6 and onto(places):
        places += 1
    mean, *ends = (number(value, places) for value in (told.effect.mean, low, high))
    return f"{mean} [{', '.join(ends)}] {_signed(ours_named(found['where'], told.trend))}"


def _cuts(where: str) -> list[float]:
    """What an interval is compared with."""
    return [float(cut) for cut in re.findall(r"(?:above|below|includes|between|and) (-?[\d.]+(?:e[+-]?\d+)?)\b", where)]


def _signed(text: str) -> str:
    """Minus signs before numbers, as in all that is shown."""
    return re.sub(r"(?<![\w.])-(?=\d)", MINUS, text)


def _named(name: str) -> str:
    """A name in a sentence: one of several words is set off."""
    return f'"{name}"' if " " in name and name != OWN else name


def _all(whole: int) -> str:
    return "both" if whole == 2 else f"all {whole}"


def _listed(names: Sequence[str]) -> str:
    """Names for a line: no more than two of them."""
    return ", ".join(names) if len(names) <= 3 else f"{', '.join(names[:2])} and {count(len(names) - 2, 'other')}"
