"""Runs of evidence sorted into variants: what distinguishes runs apart from the seed, and a short name for it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dtclaims.addresses import differences
from dtclaims.errors import PoolingError, UsageError
from dtclaims.harness.evidence import EvidenceRun
from dtclaims.harness.lab import Curve, Ran, RunViews

Drawn = Callable[[Ran], Mapping[str, str]]
"""`RunViews.drawn`."""


@dataclass(frozen=True)
class Variant:
    """Runs that differ in nothing but the seed, and what it starts from where a study spread its seeds over several."""

    name: str
    words: frozenset[str]
    """All that can be said of it, what it has in common with the others too."""
    spec: Mapping[str, Any]
    """Theirs, parts of a field as `budget.PART`, without the seed."""
    runs: Mapping[int, EvidenceRun]
    """By seed."""
    curves: Mapping[int, Sequence[float]]
    """The chosen curve by seed, epoch 1 first."""
    units: Mapping[int, str] = field(default_factory=dict)
    """Seed → what it shares with others, such as a checkpoint, where seeds are spread over several; else empty."""


def select(runs: Sequence[EvidenceRun], wanted: Mapping[str, Sequence[str]]) -> list[EvidenceRun]:
    """The runs whose specification has one of the wanted values in each named field.

    Args:
        runs: to choose from.
        wanted: field of the specification, or `budget.FIELD`, to values as text: `1`, `true`, `untied`.

    Raises:
        UsageError: no runs, a field or a value that none has, or no run with all of them.
    """
    if not runs:
        raise UsageError(
            "no run to take curves from",
            expected="evidence with runs: measurements of a lab without runs have no curves",
        )
    flat = [(run, {name: as_text(value) for name, value in _flat(run.spec).items()}) for run in runs]
    for name, values in wanted.items():
        known = {spec[name] for _, spec in flat if name in spec}
        if not known:
            fields = sorted({field for _, spec in flat for field in spec})
            raise UsageError("no run has such a field", given=repr(name), expected=f"one of {', '.join(fields)}")
        if unknown := [value for value in values if value not in known]:
            raise UsageError(f"no run has this {name}", given=", ".join(unknown), expected=", ".join(sorted(known)))
    found = [run for run, spec in flat if all(spec.get(name) in values for name, values in wanted.items())]
    if not found:
        raise UsageError("no run is left", given="; ".join(f"{n} {' or '.join(v)}" for n, v in wanted.items()))
    return found


def as_text(value: object) -> str:
    """A value of a specification as one writes it on a command line: `true`, `1e-08`, `untied`."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def variants(runs: Sequence[EvidenceRun], name: str, views: RunViews) -> list[Variant]:
    """The variants of some runs, in a fixed order, each named by the fields in which they differ.

    A run that is in several files counts once. Runs without the curve are left out.

    Args:
        runs: of any number of evidence files.
        name: of a curve that runs log, or of one that the lab computes.
        views: how the lab of the runs shows them.

    Raises:
        UsageError: no run has the curve.
        PoolingError: seeds of one variant that differ in data, backbones, versions, code or device; numbered
            checkpoints of one recipe are no such difference.
        MeasurementError: a curve that cannot be computed.
    """
    computed = {one: curve.computed for one, curve in views.curves.items() if curve.computed}
    stored = computed[name][0] if name in computed else name
    known = {run.key: run for run in runs}
    readable = {key: run for key, run in known.items() if stored in run.curves}
    if not readable:
        there = sorted({one for run in known.values() for one in run.curves})
        drawn = [one for one, (needed, _) in computed.items() if needed in there]
        raise UsageError("no run has such a curve", given=name, expected=", ".join([*drawn, *there]) or "none")
    groups: dict[tuple[tuple[str, Any], ...], dict[int, EvidenceRun]] = {}
    for run in readable.values():
        spec = _flat(run.spec)
        seed = spec.pop("seed")
        found = groups.setdefault(tuple(sorted(spec.items())), {})
        # Two runs of one seed cannot both count, whatever they start from.
        _check_alike(run, found.get(seed) or next(iter(found.values()), run), None if seed in found else views.drawn)
        found[seed] = run
    specs = {group: dict(group) for group in groups}
    ordered = sorted(groups, key=lambda group: _rank(specs[group], views))
    names = _names([specs[group] for group in ordered], views)
    return [
        Variant(
            called,
            frozenset(_words(_fields([specs[group]], views), specs[group], views)),
            specs[group],
            dict(sorted(groups[group].items())),
            {seed: _read(run, name, views.curves.get(name)) for seed, run in sorted(groups[group].items())},
            _units(groups[group], views.drawn),
        )
        for called, group in zip(names, ordered, strict=True)
    ]


def _read(run: EvidenceRun, name: str, curve: Curve | None) -> Sequence[float]:
    if curve is None or curve.computed is None:
        return run.curves[name]
    return curve.computed[1](run.stored())


def _flat(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Fields that have parts, as the budget has, become one field for each part."""
    found: dict[str, Any] = {}
    for name, value in spec.items():
        found |= {f"{name}.{part}": one for part, one in value.items()} if isinstance(value, Mapping) else {name: value}
    return found


def _units(runs: Mapping[int, EvidenceRun], drawn: Drawn | None) -> dict[int, str]:
    found = {seed: " and ".join((drawn(run) if drawn else {}).values()) for seed, run in sorted(runs.items())}
    return found if len(set(found.values())) > 1 else {}


def _check_alike(run: EvidenceRun, other: EvidenceRun, drawn: Drawn | None) -> None:
    ours, theirs = (drawn(run), drawn(other)) if drawn else ({}, {})
    # Two checkpoints that are called alike are no draws of one recipe: one of them was made again.
    draws = {name for name in ours.keys() & theirs.keys() if ours[name] != theirs[name]}
    if found := [one for one in differences(other.beside_spec, run.beside_spec) if one[0] not in draws]:
        raise PoolingError(
            "seeds of one variant differ in more than the seed",
            given="; ".join(f"{name} is {one} and {two}" for name, one, two in found),
            remedy="Draw the evidence files apart.",
        )


def _rank(spec: Mapping[str, Any], views: RunViews) -> tuple[Any, ...]:
    """By the lab's fields, then the others: values in the lab's order where it has one, numbers as numbers."""
    ranks = []
    for name in [*views.fields, *sorted(spec.keys() - {*views.fields})]:
        value, order = spec.get(name), list(views.orders.get(name, ()))
        place = order.index(value) if value in order else len(order)
        ranks.append((value is None, isinstance(value, str), place, value))
    return tuple(ranks)


def _names(specs: Sequence[Mapping[str, Any]], views: RunViews) -> list[str]:
    """What tells the variants apart, in words: `random_init, matched, head untied`."""
    differ = [name for name in _fields(specs, views) if len({spec.get(name) for spec in specs}) > 1] or [views.subject]
    named = differ if views.subject in differ or "task" in differ else [views.subject, *differ]
    return [", ".join(_words(named, spec, views)) for spec in specs]


def _fields(specs: Sequence[Mapping[str, Any]], views: RunViews) -> list[str]:
    return list(dict.fromkeys([*views.fields, *(name for spec in specs for name in spec)]))


def _words(fields: Sequence[str], spec: Mapping[str, Any], views: RunViews) -> list[str]:
    word = views.word or _plain
    return [said for name in fields if (said := word(name, spec))]


def _plain(name: str, spec: Mapping[str, Any]) -> str:
    return f"{name} {as_text(spec.get(name))}"
