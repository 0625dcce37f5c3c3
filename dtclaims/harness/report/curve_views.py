"""Learning curves of evidence as a figure, and as a table with paired differences. Need no torch."""

from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean

from dtclaims.errors import UsageError
from dtclaims.harness.lab import RunViews
from dtclaims.harness.options import did_you_mean
from dtclaims.harness.report import wording
from dtclaims.harness.report.curves import Curves, Line
from dtclaims.harness.report.variants import Variant
from dtclaims.harness.stats import Verdict, judge_trend
from dtclaims.harness.stats.trends import above
from dtclaims.harness.stats.units import by_unit

ALPHA = 0.025
"""On each side of an interval: it is one of 95 %."""

Units = Mapping[int, str]
"""Seed → what it shares with others, such as a checkpoint; empty where each seed is an observation of its own."""

Named = tuple[str, Mapping[int, Sequence[float]], Units]
"""A variant's name, its values by epoch of each seed, and the units of the seeds."""


def interval(observed: Mapping[int, float]) -> Verdict:
    """Mean, its 95 % t interval, standard deviation, d = mean / sd, and how many are above 0 (`agree`).

    The interval, sd and d are None for one observation.
    """
    return judge_trend(observed, above(), alpha=ALPHA)


def _observed(values: Mapping[int, float], units: Units) -> Mapping[int, float]:
    """One number per unit of the seeds, as verdicts have it; where there are no units, per seed."""
    return by_unit(values, units) if units else values


def figure(
    found: Sequence[Variant],
    curve: str,
    views: RunViews,
    *,
    title: str = "",
    level: str | None = None,
    against: str | None = None,
    made_by: str = "",
) -> Curves:
    """The curve of each variant, or how it differs from one of them, as `dtclaims.harness.report.curves.draw` wants it.

    Args:
        found: the variants, of equal lengths within each.
        curve: its name.
        views: how the lab of the runs shows them.
        title: default: what the runs have in common.
        level: a diagnostic to draw as a line; not with `against`, whose line is 0.
        against: the one variant that is taken from each other, seed by seed, named as for `table`.
        made_by: the command, and where its input comes from.

    Raises:
        UsageError: a level that the runs do not have or do not share, `against` names no variant or several, shares no
            seed with another, or has curves of another length.
    """
    steps = {variant.spec[views.updates] if views.updates else None for variant in found}
    title, label = title or _title(found, curve, views), views.curves[curve].label
    lines, lowest = [(variant.name, variant.curves, variant.units) for variant in found], 0.0
    shown = None if level is None else (views.levels.get(level, level), _level(found, level))
    if against is not None:
        named = _called(against, found)
        lines, lowest = _less(lines, named), -1.0
        label, shown = f"less {named}, paired by seed: {label}", ("no difference", 0.0)
    return Curves(
        title,
        label,
        [_line(*line) for line in lines],
        steps.pop() if len(steps) == 1 else None,
        made_by,
        bounds=(lowest, 1.0) if views.curves[curve].share else None,
        level=shown,
        unit=views.unit,
    )


def table(
    found: Sequence[Variant], curve: str, views: RunViews, *, last: int | None = None, against: str | None = None
) -> str:
    """The mean over each variant's last epochs, as Markdown; and its paired differences to one of them.

    Args:
        found: the variants.
        curve: its name.
        views: how the lab of the runs shows them.
        last: how many epochs; default a quarter of them.
        against: the one variant to compare the others with, seed by seed: its name, part of it, or the longer name that
            it has among variants which differ in more.

    Raises:
        UsageError: more epochs than there are, or `against` names no variant or several, or shares no seed with
            another.
    """
    lengths = {len(values) for variant in found for values in variant.curves.values()}
    if last is not None and not 1 <= last <= min(lengths):
        raise UsageError("curves do not have so many last epochs", given=last, expected=f"1 to {min(lengths)}")
    means = {
        variant.name: {
            seed: fmean(values[-(last or _quarter(len(values))) :]) for seed, values in variant.curves.items()
        }
        for variant in found
    }
    if len(lengths) == 1:
        end = lengths.pop()
        n = last or _quarter(end)
        epochs = f"{'epoch' if n == 1 else 'epochs'} {wording.ranges(range(end + 1 - n, end + 1))}"
    else:
        epochs = f"the last {last} epochs" if last else "the last quarter of epochs"
    rows = [f"| variant | n | mean of {epochs} [95% interval] | s | by seed |", "|---|---|---|---|---|"]
    units = {variant.name: variant.units for variant in found}
    for name, values in means.items():
        seeds = ", ".join(f"{seed}: {wording.number(value)}" for seed, value in values.items())
        rows.append(f"| {name} | {_summary(interval(_observed(values, units[name])))} | {seeds} |")
    text = f"{views.curves[curve].label}\n\n" + "\n".join(rows) + "\n" + _spread(found, views)
    if against is not None:
        said = views.unpaired([one.spec for one in found]) if views.unpaired else ""
        text += (
            f"\nPaired by seed.{f' {said}' if said else ''}\n\n{_differences(means, _called(against, found), units)}"
        )
    return text


def _spread(found: Sequence[Variant], views: RunViews) -> str:
    """Over what the seeds of variants are spread, each way of spreading them once; nothing where n counts seeds."""
    names: dict[tuple[tuple[int, str], ...], list[str]] = {}
    for variant in found:
        if variant.units:
            names.setdefault(tuple(sorted(variant.units.items())), []).append(variant.name)
    told = []
    for spread, called in names.items():
        of: dict[str, list[int]] = {}
        for seed, unit in spread:
            of.setdefault(unit, []).append(seed)
        each = ", ".join(f"{unit} (seed{'s' * (len(seeds) > 1)} {wording.ranges(seeds)})" for unit, seeds in of.items())
        whose = f" of {'; '.join(called)}" if len(names) > 1 else f" where seeds start from a {views.unit}"
        told.append(f"\nn{whose} counts {views.unit}s, each averaged over its seeds first: {each}.\n")
    return "".join(told)


def _line(name: str, curves: Mapping[int, Sequence[float]], units: Units) -> Line:
    if len({len(values) for values in curves.values()}) > 1:
        raise UsageError(f"seeds of {name} have curves of different lengths")
    by_epoch = [
        _observed(dict(zip(curves, values, strict=True)), units) for values in zip(*curves.values(), strict=True)
    ]
    at = [interval(values) for values in by_epoch]
    ends = [(one.low, one.high) for one in at if one.low is not None and one.high is not None]
    mean = [fmean(values.values()) for values in by_epoch]
    band = ([low for low, _ in ends], [high for _, high in ends]) if ends else None
    return Line(name, curves, mean, band, len(set(units.values())))


def _level(found: Sequence[Variant], level: str) -> float:
    values = [run.diagnostics.get(level) for variant in found for run in variant.runs.values()]
    known = [value for value in values if value is not None]
    if len(known) < len(values):
        raise UsageError(f"not every run has the diagnostic {level}")
    # With held-out trajectories each seed trains on data of its own, whose best constant differs a little.
    if max(known) - min(known) > 0.05 * abs(fmean(known)):
        raise UsageError(
            f"the runs have no common {level}",
            given=f"{wording.number(min(known))} to {wording.number(max(known))}",
            remedy="Choose one task with --task.",
        )
    return fmean(known)


def _title(found: Sequence[Variant], curve: str, views: RunViews) -> str:
    common = [
        prefix + "".join(values)
        for field, prefix in views.titled.items()
        if len(values := {str(variant.spec[field]) for variant in found}) == 1
    ]
    what = views.curves[curve].label.split(" (")[0]
    return f"{what[0].upper()}{what[1:]}" + (f": {', '.join(common)}" if common else "")


def _quarter(epochs: int) -> int:
    return max(1, epochs // 4)


def _summary(result: Verdict) -> str:
    return f"{result.n} | {wording.interval(result)} | {wording.number(result.sd)}"


def _called(against: str, found: Sequence[Variant]) -> str:
    """The name of the one variant that is meant.

    Raises:
        UsageError: none is, or several are.
    """
    words = {word for part in against.split(",") if (word := part.strip())}
    meant = (
        [one.name for one in found if one.name == against]
        or [one.name for one in found if against in one.name]
        # Before runs were chosen by a field, names said it too.
        or [one.name for one in found if words <= one.words]
    )
    if len(meant) != 1:
        names = [one.name for one in found]
        raise UsageError(
            "--against must name one variant",
            given=repr(against) + (f", which is said of {len(meant)}" if meant else ""),
            expected=f"the name of one variant: {'; '.join(meant or names)}",
            remedy=None if meant else did_you_mean([against], names) or None,
        )
    return meant[0]


def _differences(means: Mapping[str, Mapping[int, float]], against: str, units: Mapping[str, Units]) -> str:
    lines = [(name, {seed: [mean] for seed, mean in values.items()}, units[name]) for name, values in means.items()]
    less = _less(lines, against)
    rows = [
        f"| less {against} | n | mean difference [95% interval] | s | d = mean/s | above 0 | by seed |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, curves, shared in less:
        paired = {seed: value for seed, (value,) in curves.items()}
        result = interval(_observed(paired, shared))
        seeds = ", ".join(f"{seed}: {wording.number(value)}" for seed, value in paired.items())
        effect = wording.number(result.effect_size)
        rows.append(f"| {name} | {_summary(result)} | {effect} | {result.agree} of {result.n} | {seeds} |")
    return "\n".join(rows) + "\n"


def _less(lines: Sequence[Named], named: str) -> list[Named]:
    """The others less the one of this name, for the seeds that both have; units are those that either has."""
    ((_, reference, theirs),) = (line for line in lines if line[0] == named)
    others = [line for line in lines if line[0] != named]
    if not others:
        raise UsageError("nothing is left to compare", given=f"{named} alone", expected="two variants or more")
    for name, curves, _ in others:
        shared = curves.keys() & reference.keys()
        if not shared:
            raise UsageError(f"no seed has both {name} and {named}")
        if any(len(curves[seed]) != len(reference[seed]) for seed in shared):
            raise UsageError(f"{name} and {named} have curves of different lengths")
    return [
        (
            name,
            {
                seed: [one - other for one, other in zip(values, reference[seed], strict=True)]
                for seed, values in curves.items()
                if seed in reference
            },
            _both(units, theirs, curves.keys() & reference.keys()),
        )
        for name, curves, units in others
    ]


def _both(ours: Units, theirs: Units, seeds: Iterable[int]) -> Units:
    """What a seed's pair shares with the pairs of other seeds: what either of its runs does."""
    each = [units for units in (ours, theirs) if units]
    return {seed: " and ".join(dict.fromkeys(units[seed] for units in each)) for seed in seeds} if each else {}
