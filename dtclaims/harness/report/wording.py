"""Numbers and statistics in words: the same in the terminal, in HTML and in Markdown."""

import math
import re
from collections.abc import Iterable, Mapping, Sequence

from dtclaims.harness.counting import count
from dtclaims.harness.judge.entries import Attribution, Component, Effect, Entry, Estimate, Moved, RunUsed, Statistics
from dtclaims.harness.judge.exhibits import Cell
from dtclaims.harness.judge.words import Words

NAMES = {
    "agree": "Seeds agreeing",
    "fresh_seed_bound": "Fresh seeds",
    "sd": "Spread",
    "p_value": "p",
    "superiority": "P(A > B)",
    "effect_size": "Effect size",
    "seeds_needed": "Seeds needed",
}
"""The statistics every verdict is shown with, in reading order."""

UNPRINTABLE = {
    code: "\N{REPLACEMENT CHARACTER}"
    for code in (*range(32), *range(127, 160), *range(0x202A, 0x202F), *range(0x2066, 0x206A))
    if code not in (9, 10)
} | {13: " "}
"""What stands in for control characters, which HTML forbids, and for marks that reorder the text around them."""

TRUE_OR_FALSE = ("share", "rate", "existence", "holds_in")
"""Kinds of trends whose effect is true (1) or false (0) in each seed."""

TRUTH = (("true", 1), ("false", 0))

MINUS = "\N{MINUS SIGN}"


def section_name(section: str) -> str:
    """A section's heading: "5.1" becomes "Section 5.1", "J.2" and "L" become "Appendix J.2" and "Appendix L", names
    stay as they are."""
    if re.fullmatch(r"[A-Z](\.\d+)*", section):
        return f"Appendix {section}"
    return f"Section {section}" if section[:1].isdigit() else section


def decimals(low: float | None, high: float | None) -> int | None:
    """Decimals that show an interval to about two digits of its width; None where there is no width."""
    spread = 0.0 if low is None or high is None else high / 2 - low / 2
    if spread <= 0 or not math.isfinite(spread):
        return None
    return min(max(1 - math.floor(math.log10(spread)), 1 if spread < 100 else 0), 6)


def number(value: float | None, places: int | None = None) -> str:
    """A number for reading, or a dash where there is none.

    Args:
        value: any finite number.
        places: decimals; up to three digits in all if not given. Very large and very small numbers use an exponent.
    """
    if value is None:
        return "–"
    if places is None or not (1e-6 <= abs(value) < 1e7 or value == 0):
        text = f"{value:.0f}" if 999.5 <= abs(value) < 1e7 else f"{value:.3g}"
    else:
        text = f"{value:.{places}f}"
    if not float(text):
        text = text.lstrip("-")
    return text.replace("-", MINUS)


def interval(effect: Estimate) -> str:
    """Mean and interval, as in `65.1 [60.2, 70.0]`; the mean alone where there is no interval."""
    places = decimals(effect.low, effect.high)
    if effect.low is None:
        return mean(effect)
    return f"{mean(effect)} [{number(effect.low, places)}, {number(effect.high, places)}]"


def mean(effect: Estimate) -> str:
    """The mean with the decimals its interval deserves."""
    return number(effect.mean, decimals(effect.low, effect.high))


def per_seed(effect: Effect, kind: str = "") -> str:
    """Each seed's effect, for reading: `0: 1.07, 1: 1.05`; of a statement, in which seeds it is true.

    Args:
        effect: of an entry.
        kind: of its trend.
    """
    if kind in TRUE_OR_FALSE and set(effect.per_seed.values()) <= {0, 1}:
        each = {said: [seed for seed, value in effect.per_seed.items() if value == true] for said, true in TRUTH}
        return ", ".join(f"{said} in {ranges(seeds)}" for said, seeds in each.items() if seeds)
    places = decimals(effect.low, effect.high)
    return ", ".join(f"{seed}: {number(value, places)}" for seed, value in effect.per_seed.items())


def basis(part: Entry | Component, seeds: int) -> str:
    """What a measured value rests on, as in `5 seeds, 90% interval`."""
    if part.statistics is None or part.effect.low is None:
        return count(seeds, "seed")
    return f"{count(seeds, 'seed')}, {percent(1 - 2 * part.statistics.level)} interval"


def gist(entry: Entry) -> str:
    """Of a claim that has several, how many of the parts that have a say hold."""
    deciding = [one.verdict for one in entry.components.values() if not one.reported]
    parts = [*deciding, *(part.verdict for part in entry.parts)]
    # Of what was not run, none holding would read as a finding.
    return f"{parts.count('reproduced')} of {len(parts)} parts hold" if parts and entry.verdict != "not_run" else ""


def at_least(share: float) -> str:
    """A lower bound in per cent. Rounded down, so that the statement stays true."""
    return f"{math.floor(share * 1000) / 10:.1f}%"


def percent(share: float) -> str:
    """A share in per cent, with the digits it needs: 90%, 97.5%."""
    return f"{100 * share:.3g}%"


def duration(seconds: float) -> str:
    """A time in the two largest units that matter: `42 s`, `4 min 10 s`, `2 h 05 min`."""
    if seconds < 60:
        return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def figure_name(id_: str) -> str:
    """The name of a figure or table by its id: "fig3" is "Figure 3", "table1" is "Table 1", others stay."""
    kind, number_ = re.fullmatch(r"(fig|table)(\d+)|.*", id_, re.DOTALL).groups()  # type: ignore[union-attr]
    return f"{'Figure' if kind == 'fig' else 'Table'} {number_}" if kind else id_


def cell_text(cell: Cell | None) -> str:
    """A number of a table: `79.5 ± 1.3` as the paper prints it, `65.1 [60.2, 70.0], n=5` as ours."""
    if cell is None or cell.value is None:
        return "–"
    if cell.protocol is None:
        printed = [value for value in (cell.value, cell.plus_minus) if value is not None]
        places = max(len(repr(value).partition(".")[2]) for value in printed)
        return " ± ".join(number(value, places) for value in printed)
    return interval(cell) if cell.n is None else f"{interval(cell)}, n={cell.n}"


def attribution(tried: Attribution) -> str:
    """Which switches the verdict hangs on, in a sentence: enough is a set only where the difference itself is shown."""
    if tried.smallest is None:
        return "The verdict with one switch set as the other protocol sets it."
    if not tried.smallest:
        return "No set of switches that was tried changes the verdict."
    names, found = ", ".join(tried.smallest), tried.moved
    one = len(tried.smallest) == 1
    if found is not None and found.shown:
        enough = "One switch is enough" if one else "The smallest set of switches that is enough"
        return f"{enough} to change the verdict: {names}, which moves the effect by {moved(found)}."
    changes = f"The verdict changes with {'one switch' if one else 'these switches'}, {names}"
    if found is None:
        return f"{changes}; whether the effect does was not asked."
    if found.mean is None:
        return f"{changes}, under which something else decides: no difference can be shown."
    return f"{changes}, but the difference that makes is not shown: {interval(found)}."


def moved(found: Moved | None) -> str:
    """By how much a switch moves an effect: `+0.12 [0.08, 0.16]`, and whether that is shown."""
    if found is None or found.mean is None:
        return "not comparable" if found else "–"
    sign = "+" if found.mean > 0 else ""
    return f"{sign}{interval(found)}" + ("" if found.shown else " (not shown)")


def diagnostics(values: Mapping[str, float | None]) -> list[tuple[str, str]]:
    """Diagnostics as (name, number) pairs; `share_saturated` reads "share saturated"."""
    return [(name.replace("_", " "), number(value)) for name, value in values.items()]


def ranges(numbers: Iterable[int]) -> str:
    """Sorted numbers with stretches of three or more joined: `0–4, 7`."""
    stretches: list[list[int]] = []
    for value in sorted(set(numbers)):
        if stretches and value == stretches[-1][-1] + 1:
            stretches[-1].append(value)
        else:
            stretches.append([value])
    return ", ".join(f"{part[0]}–{part[-1]}" if len(part) > 2 else ", ".join(map(str, part)) for part in stretches)


def statistics(part: Entry | Component, seeds: int) -> list[tuple[str, str]]:
    """What must stand beside a verdict, in words, as (name, sentence) pairs.

    Args:
        part: a claim or one of its components.
        seeds: the number of seeds judged.

    Returns:
        Nothing where the report has no statistics; a quantity without a value is left out.
    """
    numbers = part.statistics
    if numbers is None:
        return []
    bound = numbers.fresh_seed_bound
    holds = f"the claim holds on at least {at_least(bound)} of them" if bound else "the claim may hold on none of them"
    sentences = {
        "agree": f"{numbers.agree} of {seeds} on the claimed side",
        "fresh_seed_bound": f"{holds} ({percent(1 - numbers.level)} confidence)",
        "sd": f"sd {number(numbers.sd)} between seeds",
        "p_value": f"{p_value(numbers.p_value)}, one-sided; level {number(numbers.level)}",
        "superiority": number(numbers.superiority),
        "effect_size": f"d = {number(numbers.effect_size)}",
    }
    facts = [(NAMES[name], sentence) for name, sentence in sentences.items() if getattr(numbers, name) is not None]
    if part.effect.mean is not None:
        facts.append((NAMES["seeds_needed"], _seeds_needed(numbers.seeds_needed, seeds)))
    if numbers.spent is not None:
        spends = f"declared beforehand; this one may spend {number(numbers.spent)} of {number(numbers.alpha)}"
        facts.append(("Looks", f"{spends}, after {numbers.looks - 1} on some of the same seeds"))
    elif numbers.looks > 1:
        each = f"each at level {number(numbers.level)}"
        facts.append(("Looks", f"judged {numbers.looks} times on overlapping seeds, {each}"))
    return facts


def statistics_table(components: Mapping[str, Component]) -> list[tuple[str, list[str]]]:
    """The same for components side by side: (name, one cell per component), rows without any value left out."""
    rows = [
        (name, [_cell(key, part.statistics, len(part.effect.per_seed)) for part in components.values()])
        for key, name in NAMES.items()
    ]
    return [(name, cells) for name, cells in rows if any(cell != "–" for cell in cells)]


def runs(used: Sequence[RunUsed], words: Words) -> list[str]:
    """A claim's runs, one line per condition: `with ours · large · seeds 0–4`."""
    groups: dict[tuple[str, ...], list[int]] = {}
    for run in used:
        groups.setdefault(tuple(words.condition(run.condition)), []).append(run.seed)
    return [
        " · ".join([*parts, f"{'seed' if len(set(seeds)) == 1 else 'seeds'} {ranges(seeds)}"])
        for parts, seeds in groups.items()
    ]


def cost(used: Sequence[RunUsed]) -> str:
    """What the runs cost: `10 runs: 4 from the store, 6 made now in 2 min 03 s`."""
    fresh = [run for run in used if not run.cached]
    stored = len(used) - len(fresh)
    seconds = math.fsum(run.seconds or 0 for run in fresh)
    parts = [f"{stored} from the store"] if stored else []
    if fresh:
        parts.append(f"{len(fresh)} made now" + (f" in {duration(seconds)}" if seconds else ""))
    return f"{count(len(used), 'run')}: {', '.join(parts)}" if parts else "no runs"


def flat(value: object, name: str = "") -> list[tuple[str, str]]:
    """A free-form record as (dotted name, text) pairs, in its own order."""
    if isinstance(value, dict) and value:
        return [pair for key, item in value.items() for pair in flat(item, f"{name}.{key}" if name else key)]
    if isinstance(value, list) and all(not isinstance(item, dict | list) for item in value):
        return [(name, ", ".join(map(_scalar, value)) or "none")]
    if isinstance(value, list):
        return [pair for index, item in enumerate(value) for pair in flat(item, f"{name}[{index}]")]
    return [(name, "none" if value == {} else _scalar(value))] if name else []


def _scalar(value: object) -> str:
    if value is None:
        return "none"
    return str(value).lower() if isinstance(value, bool) else str(value)


def p_value(p: float | None) -> str:
    """A p-value; below 0.0001 only that is said."""
    return "< 0.0001" if p is not None and p < 1e-4 else number(p)


def _cell(name: str, numbers: Statistics | None, seeds: int) -> str:
    value: float | None = None if numbers is None else getattr(numbers, name)
    if value is None:
        return "none helps" if numbers is not None and name == "seeds_needed" and seeds > 1 else "–"
    match name:
        case "agree":
            return f"{value} of {seeds}"
        case "fresh_seed_bound":
            return f"≥ {at_least(value)}"
        case "p_value":
            return p_value(value)
    return number(value)


def _seeds_needed(needed: int | None, seeds: int) -> str:
    if needed is not None:
        return f"{needed} for 80% power"
    return "unknown: one seed has no spread" if seeds < 2 else "no number would show the claim at this mean and spread"
