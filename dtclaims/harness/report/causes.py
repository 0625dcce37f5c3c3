"""What changed between two entries of one claim, in words: seeds, code, data, trend, versions."""

from collections.abc import Iterator, Mapping

from dtclaims.harness.judge.document import ReportProvenance
from dtclaims.harness.judge.entries import Component, Entry, TrendShown
from dtclaims.harness.report.wording import flat, interval, number, ranges

MOST = 6
"""Changed records named one by one; of more, the rest are counted."""


def causes(old: Entry, new: Entry) -> Iterator[str]:
    """Each change that can move a verdict, as a phrase; the declaration first, then seeds, origin and numbers.

    Args:
        old: an entry of a valid report.
        new: the entry of the same claim, protocol and scale in another.
    """
    found = [*_moved(old, new)]
    known = () if found else old.warnings
    yield from found
    # What must be known before a verdict is believed is said again wherever something moved.
    yield from (f"warning: {one}" for one in new.warnings if one not in known)
    if not found:
        yield from (f"warning no more: {one}" for one in old.warnings if one not in new.warnings)


def _moved(old: Entry, new: Entry) -> Iterator[str]:
    if not old.components and not new.components:
        yield from _trends("", old.trend, new.trend)
    yield from _component_trends(old.components, new.components)
    yield from _named("rule", {"edition": old.rule}, {"edition": new.rule})
    yield from _named("level", _level(old), _level(new))
    yield from _named("switch", dict(flat(old.switches)), dict(flat(new.switches)))
    if old.measured != new.measured or old.scope != new.scope:
        yield "what is measured: described in other words"
    yield from _seeds(old, new)
    yield from _origins(dict(flat(old.provenance)), dict(flat(new.provenance)))
    yield from _parts(old, new)
    yield from _checks(old, new)
    yield from _numbers(old, new)
    for name, before, after in (
        ("refuted as", old.turn, new.turn),
        ("decided by", ", ".join(old.decided_by), ", ".join(new.decided_by)),
        ("size", *("" if one.size is None else one.size.said for one in (old, new))),
    ):
        # A report of schema 1 does not say.
        if before and after and before != after:
            yield f"{name}: {before} -> {after}"


def report_causes(old: ReportProvenance, new: ReportProvenance) -> Iterator[str]:
    """What differs between two reports as a whole: software, code, versions, level and device.

    Args:
        old: the `provenance` of a valid report.
        new: that of another.
    """
    single = ("dtclaims", "commit", "scale", "device", "alpha", "label")
    before, after = (
        {name: str(value) for name in single if (value := getattr(part, name)) is not None} for part in (old, new)
    )
    for name in single:
        if name in before and name in after:
            yield from _named("report", {name: before[name]}, {name: after[name]})
    yield from _named("code", old.code or {}, new.code or {})
    # A session names what its results depend on, evidence what it was judged with: of what only one of them names, the
    # other's version is not known, and nothing differs.
    both = old.versions.keys() & new.versions.keys()
    yield from _named("version", *({name: one.versions[name] for name in sorted(both)} for one in (old, new)))
    yield from _named("registration", _registered(old), _registered(new))


def _registered(one: ReportProvenance) -> dict[str, str]:
    return {"digest": "none" if one.registration is None else one.registration.digest}


def _trends(of: str, old: TrendShown, new: TrendShown) -> Iterator[str]:
    """What was declared, where it changed: as a whole, then number by number."""
    if old.text != new.text:
        yield f"trend{of}: {old.text} -> {new.text}"
    for name, before, after in (
        ("null", old.null, new.null),
        ("bound", old.bound, new.bound),
        ("smallest effect of interest", old.interest, new.interest),
    ):
        if before != after:
            yield f"{name}{of}: {_exact(before)} -> {_exact(after)}"


def _exact(value: float | None) -> str:
    return "none" if value is None else f"{value:g}" if float(f"{value:g}") == value else repr(value)


def _component_trends(old: Mapping[str, Component], new: Mapping[str, Component]) -> Iterator[str]:
    for name in dict.fromkeys((*old, *new)):
        if name not in old or name not in new:
            yield f"component {name}: {'new' if name in new else 'gone'}"
        else:
            yield from _trends(f" of {name}", old[name].trend, new[name].trend)


def _checks(old: Entry, new: Entry) -> Iterator[str]:
    before, after = ({check.name: str(check.verdict) for check in entry.checks} for entry in (old, new))
    yield from _named("check", before, after)
    for name, one in {check.name: check.trend for check in old.checks}.items():
        for other in (check.trend for check in new.checks if check.name == name):
            yield from _trends(f" of the check {name}", one, other)


def _level(entry: Entry) -> dict[str, str]:
    # Components share their claim's level.
    numbers = entry.statistics
    if numbers is None:
        return {}
    spent = {} if numbers.spent is None else {"spent": f"{numbers.spent:g}"}
    return {"alpha": f"{numbers.alpha:g}", "looks": str(numbers.looks), **spent}


def _seeds(old: Entry, new: Entry) -> Iterator[str]:
    before, after = _seeds_of(old), _seeds_of(new)
    if before != after:
        yield f"seeds: {ranges(before) or 'none'} -> {ranges(after) or 'none'}"
    shared = before & after
    keys, others = ({run.key for run in entry.runs if run.seed in shared} for entry in (old, new))
    if keys and others and keys != others:
        yield f"runs: {len(others - keys)} of {len(others)} on the same seeds are other runs"


def _seeds_of(entry: Entry) -> set[int]:
    effects = [entry.effect, *(component.effect for component in entry.components.values())]
    return {seed for effect in effects for seed in effect.per_seed} | {run.seed for run in entry.runs}


def _origins(old: Mapping[str, str], new: Mapping[str, str]) -> Iterator[str]:
    # A claim not run has no origin to compare.
    if not old or not new:
        return
    for kind in ("code", "version", "origin"):
        before, after = (
            {name: value for name, value in record.items() if _kind(name) == kind} for record in (old, new)
        )
        yield from _named(kind, before, after)


def _kind(name: str) -> str:
    parts = name.split(".")
    if "code" in parts:
        return "code"
    return "version" if {"versions", "simulator"} & set(parts) else "origin"


def _named(name: str, old: Mapping[str, str], new: Mapping[str, str]) -> Iterator[str]:
    """The fields of a record that differ, each with its two values."""
    if not old or not new:
        return
    moved = [key for key in dict.fromkeys((*old, *new)) if old.get(key) != new.get(key)]
    for key in moved[:MOST]:
        before, after = (_short(record.get(key, "none")) for record in (old, new))
        yield f"{name} {key}: {before} -> {after}"
    if len(moved) > MOST:
        yield f"{len(moved) - MOST} more changes of {name}"


def _short(value: str) -> str:
    return value if len(value) <= 24 else f"{value[:12]}…"


def _parts(old: Entry, new: Entry) -> Iterator[str]:
    before, after = ({part.id: str(part.verdict) for part in entry.parts} for entry in (old, new))
    yield from _named("part", before, after)


def _numbers(old: Entry, new: Entry) -> Iterator[str]:
    if old.components or new.components:
        both = [name for name in old.components if name in new.components]
        pairs = [(f"{name}: ", old.components[name].effect, new.components[name].effect) for name in both]
    else:
        pairs = [("", old.effect, new.effect)]
    for name, before, after in pairs:
        moved = [seed for seed, value in before.per_seed.items() if after.per_seed.get(seed, value) != value]
        if moved:
            # In full where rounding would hide the change.
            seed = moved[0]
            values = [effect.per_seed[seed] for effect in (before, after)]
            shown = [number(value) for value in values]
            first, second = shown if shown[0] != shown[1] else map(repr, values)
            yield f"{name}values of {len(moved)} shared seeds, as of seed {seed}: {first} -> {second}"
        if (before.mean, before.low, before.high) != (after.mean, after.low, after.high):
            yield f"{name}effect: {interval(before)} -> {interval(after)}"
