"""The verdicts as plain lines for a terminal; colour is the caller's business.

What a reader wants last stands last, since that is what a terminal shows: how many of each verdict, the headlines by
name, what to do next. Nothing is cut: what is too wide goes on in the next line, further in.
"""

import math
import re
import shlex
import shutil
import textwrap
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from dtclaims.harness.counting import count
from dtclaims.harness.judge.document import Document
from dtclaims.harness.judge.entries import SEED, Entry, Key
from dtclaims.harness.judge.words import VERDICTS, Status, word
from dtclaims.harness.report import beside, regime, view, wording
from dtclaims.harness.report.causes import report_causes
from dtclaims.harness.report.decided import decided
from dtclaims.harness.report.document import validate
from dtclaims.harness.report.expect import compare
from dtclaims.harness.report.part import is_part
from dtclaims.harness.stats.intervals import FEWEST_SEEDS, FULL_SEEDS, spent
from dtclaims.harness.stats.power import seeds_for_mean, seeds_for_share
from dtclaims.harness.stats.tables import claimed
from dtclaims.harness.stats.trends import TRUTHS

NARROWEST = 80
WITHOUT = 120
"""Columns where there is no terminal to ask."""

LEGEND = ", ".join(f"{said.letter} {word(verdict)}" for verdict, said in VERDICTS.items())
"""Of pytest's line of progress."""

MOST_SEEDS = 50
"""A number of seeds that nobody will run is no advice."""


def summary_lines(
    document: Document,
    width: int | None = None,
    *,
    again: str = "",
    letters: bool = False,
    news: Sequence[str] = (),
) -> list[str]:
    """A line for each verdict, what was not judged by its reason, then `closing_lines`.

    Args:
        document: a report.
        width: columns, 80 at least; those of the terminal if not given.
        again: the command that judges these claims again; empty where nothing can be done, as of a file of evidence.
        letters: whether to explain the letters in pytest's line of progress.
        news: lines to say before `closing_lines`.

    Raises:
        ReportError: not a valid report.
    """
    validate(document)
    width = max(terminal_width() if width is None else width, NARROWEST)
    return [
        # First what the verdicts are of: where runs were evaluated is known before a number is read.
        *wrapped(document.provenance.label, width),
        *_background(document, width),
        *_judged(document, width),
        *_must_know(document, width),
        *_attributions(document, width),
        *_not_judged(document, width),
        *news,
        *closing_lines(document, width, again=again, letters=letters),
    ]


def terminal_width() -> int:
    """Columns of the terminal, where there is one."""
    return shutil.get_terminal_size((WITHOUT, 24)).columns


def closing_lines(document: Document, width: int, *, again: str = "", letters: bool = False) -> list[str]:
    """What stands last: the legend, how often each verdict occurs, the headlines by name, what to do next.

    Args:
        document: a valid report.
        width: columns.
        again: as in `summary_lines`.
        letters: likewise.
    """
    if not document.claims:
        return []
    return [
        *([LEGEND] if letters else ()),
        *(line for column in _columns(document) for line in wrapped(_counted(document, column), width)),
        *(line for column in _columns(document) for line in wrapped(_headlines(document, column), width)),
        *(line for text, command in _next(document, again) for line in _advice(f"next: {text}", command, width)),
    ]


def diff_lines(before: Document, after: Document, width: int | None = None) -> list[str]:
    """What changed between two reports: of the reports themselves, of verdicts, and behind verdicts that stayed.

    Raises:
        ReportError: not valid reports.
    """
    width = terminal_width() if width is None else width
    differ, moved = compare(before, after)
    behind = list(report_causes(before.provenance, after.provenance))
    lines = ["between the reports"] * bool(behind)
    lines += [line for text in behind for line in wrapped(text, width, "  ", "    ")]
    for title, found in (("verdicts differ", differ), ("same verdict, something else changed", moved)):
        lines += [f"{title}: {len(found)}"] * bool(found)
        for one in found:
            lines += wrapped(one.change, width, "  ")
            lines += [line for why in one.why for line in wrapped(why, width, "    ", "      ")]
    return lines if differ or moved else [*lines, "the reports agree"]


def written_lines(written: Mapping[str, Path]) -> list[str]:
    """Where a report lies: the file that people read first, what lies beside it after it."""
    if not written:
        return []
    first = "html" if "html" in written else next(iter(written))
    others = [path.name for name, path in written.items() if name != first]
    return [f"report: {written[first]}" + (f" (beside it {', '.join(others)})" if others else "")]


def clean(text: str) -> str:
    """One line of printable text: an id must not move the cursor or colour the screen."""
    return (
        "".join(char if char.isprintable() else "?" for char in " ".join(text.split()))
        .replace(wording.MINUS, "-")
        .replace("–", "-")
    )


def wrapped(text: str, width: int, first: str = "", others: str = "    ") -> list[str]:
    """A text in lines of at most `width` columns; only a word that is longer makes a longer line: paths are copied.

    Args:
        text: anything.
        width: columns.
        first: before the first line.
        others: before the others.
    """
    # An interval stays in one line, and so do ids, paths and options: they are searched for and copied.
    held = re.sub(r"\[[^][]{,40}\]", lambda found: found[0].replace(" ", HELD), clean(text))
    lines = textwrap.wrap(
        held,
        width,
        initial_indent=first,
        subsequent_indent=others,
        break_on_hyphens=False,
        break_long_words=False,
    )
    return [line.replace(HELD, " ") for line in lines]


HELD = "\N{NO-BREAK SPACE}"


def _columns(document: Document) -> list[view.Column]:
    return view.columns(document.claims, document.words.scales)


def _ordered(document: Document) -> list[Entry]:
    """Headline claims first, the protocols of one claim together."""
    groups = view.groups(document.claims, document.words.scales)
    return [panel.entry for group in groups for card in group.cards for panel in card.panels]


def _where(document: Document) -> Callable[[Entry], str]:
    """What tells the entries of one claim apart: protocol, and scale where there are several."""
    several = len({entry.scale for entry in document.claims}) > 1
    return lambda entry: f"{entry.protocol}, {entry.scale}" if several else entry.protocol


def _judged(document: Document, width: int) -> Iterator[str]:
    """A line for each verdict that was reached, with what decided it."""
    entries, by_key = _ordered(document), {entry.key: entry for entry in document.claims}
    rows = [entry for entry in entries if entry.decided]
    if not rows:
        return
    where, seeds = _where(document), len(document.provenance.seeds)
    level = wording.percent(1 - 2 * document.provenance.alpha)
    few = [entry.provisional for entry in rows if entry.verdict in ("reproduced", "refuted")]
    units = sorted({entry.unit for entry in rows})
    once = f"; with fewer than {' or '.join(count(FULL_SEEDS, one) for one in units)} each is provisional"
    once = once if few and all(few) else ""
    yield from wrapped(
        f"claim, protocol, verdict, and what decided it over {count(seeds, 'seed')} ({level} intervals, unless "
        f"looks or parts are paid for){once}:",
        width,
    )
    cells = [(clean(entry.id), clean(where(entry)), word(entry.verdict).upper()) for entry in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for entry, texts in zip(rows, cells, strict=True):
        head = "  ".join(text.ljust(size) for text, size in zip(texts, widths, strict=True))
        told = [decided(entry, by_key).text.lstrip(" :")]
        told += ["provisional"] * (entry.provisional and entry.verdict != "inconclusive" and not once)
        told += [f"n={entry.n}"] * (entry.n != seeds)
        yield from _row(head, clean("; ".join(filter(None, told))), width)


def _row(head: str, text: str, width: int) -> list[str]:
    """Columns, and behind them a text; in lines of its own where it is too long for that."""
    whole = f"{head}  {text}"
    if len(whole) <= width:
        return [whole.rstrip()]
    first = [head.rstrip()] if len(head.rstrip()) <= width else wrapped(head, width)
    return [*first, *wrapped(text, width, "    ", "    ")]


def _must_know(document: Document, width: int) -> Iterator[str]:
    """What must be known before a verdict is believed, and that the paper's own data fail what they refuted."""
    for entry in _ordered(document):
        if told := [*entry.warnings, *filter(None, [beside.shared(entry)])]:
            yield from wrapped(f"{_name(document, entry)}: {'; '.join(told)}", width)


def _name(document: Document, entry: Entry) -> str:
    return f"{entry.id} ({_where(document)(entry)})"


def _attributions(document: Document, width: int) -> Iterator[str]:
    """What `--attribute` and `--factor` found: how far each switch moves an effect, and the verdict that makes."""
    asked = [entry for entry in _ordered(document) if entry.attribution is not None and entry.attribution.variants]
    if asked:
        yield from wrapped(
            "each switch alone at its other value, and by how much it moves the effect, seed by seed:", width
        )
    for entry in asked:
        assert entry.attribution is not None
        moves = [
            f"{switch} {wording.moved(one.moved)}"
            + (f" -> {word(one.verdict)}" if one.verdict != entry.verdict else "")
            for switch, one in entry.attribution.variants.items()
        ]
        said = f"{_name(document, entry)} {word(entry.verdict)}: {'; '.join(moves)}."
        yield from wrapped(f"{said} {wording.attribution(entry.attribution)}", width)


def _not_judged(document: Document, width: int) -> Iterator[str]:
    """What has no verdict of its own, by why, each reason once with the claims that it is true of."""
    for verdict in ("error", "not_evaluable", "not_run"):
        found = [entry for entry in _ordered(document) if entry.verdict == verdict]
        groups: dict[str, list[Entry]] = {}
        for entry in found:
            groups.setdefault(_kind(entry), []).append(entry)
        for entries in sorted(groups.values(), key=len, reverse=True):
            remedy = _common([entry.remedy for entry in entries if entry.remedy], document)
            told = f"{word(verdict)}, {len(entries)}: {_reason(entries).rstrip('.')}: {_listed(document, entries)}"
            yield from wrapped(told, width)
            if remedy.startswith("pytest "):
                yield from _advice("", remedy, width)
            elif remedy:
                yield from wrapped(remedy, width, "    ")


NUMBER = re.compile(r"(?<![\w.+-])\d+(?![\w+-]|\.\d)")
"""One that stands alone, not in a name."""


def _kind(entry: Entry) -> str:
    """What entries of one reason have in common: claims that wait for their parts are of one kind."""
    if entry.verdict == "error":
        return entry.reason
    if entry.parts:
        return "parts"
    if entry.verdict == "not_evaluable":
        return ", ".join(entry.decided_by) or entry.reason
    return NUMBER.sub("#", entry.reason)


def _reason(entries: Sequence[Entry]) -> str:
    first = entries[0]
    if first.verdict != "error" and first.parts:
        return f"what it is made of was {word(first.verdict)}"
    if first.verdict == "not_evaluable" and first.decided_by:
        return f"what it presupposes was not shown: {', '.join(first.decided_by)}"
    found = [[int(number) for number in NUMBER.findall(entry.reason)] for entry in entries]
    ends = iter([(min(column), max(column)) for column in zip(*found, strict=True)])

    def spread(_: re.Match[str]) -> str:
        low, high = next(ends)
        return str(low) if low == high else f"{low} to {high}"

    return NUMBER.sub(spread, first.reason) if all(len(one) == len(found[0]) for one in found) else first.reason


def _listed(document: Document, entries: Iterable[Entry]) -> str:
    """Ids, with their protocol where not all of the report's entries of that claim are meant."""
    every: dict[str, set[Key]] = {}
    for entry in document.claims:
        every.setdefault(entry.id, set()).add(entry.key)
    meant: dict[str, list[Entry]] = {}
    for entry in entries:
        meant.setdefault(entry.id, []).append(entry)
    where = _where(document)
    return ", ".join(
        id_ if {one.key for one in some} == every[id_] else f"{id_} ({'; '.join(map(where, some))})"
        for id_, some in meant.items()
    )


def _common(remedies: Sequence[str], document: Document) -> str:
    """One remedy for all: of commands what they have in common, which does at least what each of them does. Claims are
    left out only where all that there are were asked for, whose results are there or wait for the same."""
    distinct = list(dict.fromkeys(remedies))
    if len(distinct) < 2:
        return "".join(distinct)
    if not all(one.startswith("pytest ") for one in distinct):
        return f"{distinct[0]} (of the first; others likewise)"
    first, *others = (list(_units(one)) for one in distinct)
    common = [unit for unit in first if all(unit in other for other in others)]
    if is_part(document):
        common += dict.fromkeys(
            unit for one in (first, *others) for unit in one if unit[0] == CLAIM and unit not in common
        )
    return shlex.join(word for unit in common for word in unit)


CLAIM = "--claim"


def _units(command: str) -> Iterator[tuple[str, ...]]:
    """A command's words, each option with its value."""
    try:
        words = shlex.split(command)
    except ValueError:
        # Of a report from elsewhere.
        words = command.split()
    while words:
        taken = 2 if words[0].startswith("-") and len(words) > 1 and not words[1].startswith("--") else 1
        yield tuple(words[:taken])
        words = words[taken:]


def _background(document: Document, width: int) -> Iterator[str]:
    if registered := beside.registered(document):
        yield from wrapped(registered, width)
    for row in document.regime:
        yield from wrapped(f"regime: {regime.line(row)}", width)


def _counted(document: Document, column: view.Column) -> str:
    scale, protocol = column
    counts = view.counts(document.claims, column)
    family, here = document.provenance.family, sum(counts.values())
    of = f"{here} of {family.claims} claims" if family is not None and family.claims >= here else f"{here} claims"
    told = [f"{of}: " + ", ".join(f"{n} {word(verdict)}" for verdict, n in counts.items() if n)]
    if stand := view.holm(document.claims, column, document.provenance.alpha):
        told.append(stand.told)
    told += view.tallies(document.claims, column)
    return f"{protocol} ({scale}): {'; '.join(told)}"


def _headlines(document: Document, column: view.Column) -> str:
    """The headline claims by verdict, by name."""
    groups = view.groups(document.claims, document.words.scales)
    if not groups or groups[0].name != view.HEADLINES:
        return ""
    found: dict[Status, list[str]] = {}
    for card in groups[0].cards:
        if (panel := card.at(column)) is not None:
            found.setdefault(panel.entry.verdict, []).append(card.id)
    told = [f"{word(verdict)} {', '.join(found[verdict])}" for verdict in VERDICTS if verdict in found]
    return f"headlines, {column[1]} ({column[0]}): {'; '.join(told)}"


def _advice(text: str, command: str, width: int) -> list[str]:
    """A text, and below it a command that can be copied as it stands, over several lines where it is long."""
    parts: list[str] = []
    for unit in map(shlex.join, _units(clean(command))):
        if parts and len(parts[-1]) + 1 + len(unit) <= width - 6:
            parts[-1] += f" {unit}"
        else:
            parts.append(unit)
    return [*wrapped(text, width), *(f"    {part}{' ' + chr(92) if part != parts[-1] else ''}" for part in parts)]


def _next(document: Document, again: str) -> list[tuple[str, str]]:
    """What to do now and by what command, most pressing first; no more than three things."""
    if not again:
        return []
    found = []
    entries = [entry for entry in document.claims if not entry.parts]
    of = {verdict: [entry for entry in entries if entry.verdict == verdict] for verdict in VERDICTS}
    if of["error"]:
        found.append(("mend what the errors name, then go on; what is finished is kept:", again))
    missing: dict[str, list[str]] = {}
    for entry in of["not_run"]:
        if entry.remedy and entry.remedy.startswith("pytest "):
            missing.setdefault(_kind(entry), []).append(entry.remedy)
    if missing:
        # Of several kinds, such as what another scale is needed for, the one that most claims wait for.
        most = max(missing.values(), key=len)
        found.append(
            (f"run what {len(most)} of {sum(map(len, of.values()))} verdicts wait for:", _common(most, document))
        )
    # How many runs a registered study has was decided before the first: no more seeds, and no other switches.
    registered = document.provenance.registration is not None
    if not registered and (few := _more_seeds(document, of["inconclusive"])):
        told, seeds = few
        # How seeds are spread over what they share is the lab's: its options are unknown here.
        found.append((f"{told}:", f"{re.sub(r' --seeds [^ ]+', '', again)} --seeds {seeds}") if seeds else (told, ""))
    asked = any(entry.attribution is not None for entry in entries)
    if not registered and of["refuted"] and not asked and len(found) < 3:
        found.append(("see which switches a verdict hangs on:", f"{again} --attribute"))
    if not found and any(entry.decided for entry in entries):
        found.append(("keep a report.json (`dtclaims report` writes one), and be told of changes with --compare", ""))
    return found[:3]


def _next_level(one: Entry) -> float:
    """What a look after this one may spend: it pays for this one, if that could give a verdict."""
    assert one.statistics is not None
    looks, declared = one.statistics.looks, one.statistics.spent
    undeclared = spent(one.statistics.alpha, looks + 1 if one.n >= FEWEST_SEEDS else looks)
    return undeclared if declared is None else min(declared, undeclared)


def _fewest_next(one: Entry) -> int:
    """The fewest seeds, five or more, that can decide at a look after this one: all of them agreeing."""
    if one.statistics is None:
        return FULL_SEEDS
    return max(FULL_SEEDS, math.floor(-math.log2(_next_level(one))) + 1)


def _needed_next(one: Entry) -> int | None:
    """Seeds needed at a look after this one: what the entry says is at this look's level, which is gone."""
    numbers, trend, mean = one.statistics, one.trend.trend, one.effect.mean
    if numbers is None or numbers.seeds_needed is None or mean is None or trend is None:
        return None
    level = _next_level(one)
    if trend.kind in TRUTHS:
        return seeds_for_share(mean, trend, level)
    if not numbers.sd:
        return _fewest_next(one)
    return seeds_for_mean([side.sign * (mean - side.cut) / numbers.sd for side in claimed(trend)], level)


def _more_seeds(document: Document, open_: Sequence[Entry]) -> tuple[str, int | None] | None:
    """What would help the inconclusive ones, in words; how many seeds that is, None where something that several seeds
    share, such as a checkpoint, is what counts as one. None altogether where no number would help."""
    if not open_:
        return None
    # Of what most are counted over.
    units = Counter(one.unit for one in open_)
    unit = max(units, key=lambda one: units[one])
    alike = [one for one in open_ if one.unit == unit]
    seeds = unit == SEED
    n = len(document.provenance.seeds) if seeds else max(one.n for one in alike)
    over = "" if seeds else f" over {count(n, unit)}"
    only = "" if seeds else ", and more seeds of the same make none"
    if n < FULL_SEEDS:
        fewest = max(map(_fewest_next, alike))
        told = f"{len(alike)} inconclusive{over}; from {count(FULL_SEEDS, unit)} on no verdict is provisional{only}"
        if fewest > FULL_SEEDS:
            told = (
                f"{len(alike)} inconclusive{over}; after this look, which counts, it takes {count(fewest, unit)}{only}"
            )
        return told, fewest if seeds else None
    needed = sorted(one for one in map(_needed_next, alike) if one is not None and n < one <= MOST_SEEDS)
    if not needed:
        return None
    half = needed[len(needed) // 2]
    helped = sum(one <= half for one in needed)
    told = f"{count(half, unit)} are expected to decide {helped} of {len(alike)} inconclusive{over}{only}"
    return told, half if seeds else None
