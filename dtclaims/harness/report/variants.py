"""Runs of evidence sorted into variants: what distinguishes runs apart from the seed, and a short name for it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dtclaims.addresses import differences
from dtclaims.errors import PoolingError, UsageError
from dtclaims.harness.evidence import EvidenceRun
from dtclaims.lab.design.arms import ARMS
from dtclaims.lab.measurements.curves import scores

SCORE = "score"
"""The one curve that is not stored but computed: mean return, normalised with D4RL's constants (DEV-29)."""

ORDER = ("task", "scale", "arm", "architecture", "head", "adam_eps", "context")
"""Fields that a name begins with; the others follow by name."""


@dataclass(frozen=True)
class Variant:
    """Runs that differ in nothing but the seed."""

    name: str
    spec: Mapping[str, Any]
    """Theirs, the budget's parts as `budget.PART`, without the seed."""
    runs: Mapping[int, EvidenceRun]
    """By seed."""
    curves: Mapping[int, Sequence[float]]
    """The chosen curve by seed, epoch 1 first."""


def select(runs: Sequence[EvidenceRun], wanted: Mapping[str, Sequence[str]]) -> list[EvidenceRun]:
    """The runs whose specification has one of the wanted values in each named field.

    Args:
        runs: to choose from.
        wanted: field of the specification, or `budget.FIELD`, to values as text: `1`, `true`, `untied`.

    Raises:
        UsageError: a field or a value that no run has, or no run with all of them.
    """
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


def variants(runs: Sequence[EvidenceRun], curve: str) -> list[Variant]:
    """The variants of some runs, in a fixed order, each named by the fields in which they differ.

    A run that is in several files counts once. Runs without the curve are left out.

    Args:
        runs: of any number of evidence files.
        curve: name of a stored curve, or `score`.

    Raises:
        UsageError: no run has the curve.
        PoolingError: seeds of one variant that differ in data, backbones, versions, code or device.
        MeasurementError: returns that cannot be scored.
    """
    stored = "return_mean" if curve == SCORE else curve
    known = {run.key: run for run in runs}
    readable = {key: run for key, run in known.items() if stored in run.curves}
    if not readable:
        there = sorted({name for run in known.values() for name in run.curves})
        raise UsageError("no run has such a curve", given=curve, expected=", ".join([SCORE, *there]))
    groups: dict[tuple[tuple[str, Any], ...], dict[int, EvidenceRun]] = {}
    for run in readable.values():
        spec = _flat(run.spec)
        seed = spec.pop("seed")
        found = groups.setdefault(tuple(sorted(spec.items())), {})
        _check_alike(run, found.get(seed) or next(iter(found.values()), run))
        found[seed] = run
    specs = {group: dict(group) for group in groups}
    ordered = sorted(groups, key=lambda group: _rank(specs[group]))
    names = _names([specs[group] for group in ordered])
    return [
        Variant(
            name,
            specs[group],
            dict(sorted(groups[group].items())),
            {seed: _read(run, curve) for seed, run in sorted(groups[group].items())},
        )
        for name, group in zip(names, ordered, strict=True)
    ]


def _read(run: EvidenceRun, curve: str) -> Sequence[float]:
    if curve != SCORE:
        return run.curves[curve]
    found: list[float] = scores(run.stored(), {"score_refs": "d4rl"}).tolist()
    return found


def _flat(spec: Mapping[str, Any]) -> dict[str, Any]:
    found = {name: value for name, value in spec.items() if name != "budget"}
    return found | {f"budget.{name}": value for name, value in spec["budget"].items()}


def _check_alike(run: EvidenceRun, other: EvidenceRun) -> None:
    first, second = ({name: part for name, part in one.identity.items() if name != "spec"} for one in (other, run))
    if found := differences(first, second):
        raise PoolingError(
            "seeds of one variant differ in more than the seed",
            given="; ".join(f"{name} is {one} and {two}" for name, one, two in found),
            remedy="Draw the evidence files apart.",
        )


def _rank(spec: Mapping[str, Any]) -> tuple[Any, ...]:
    """By the fields of `ORDER`, then the others; arms as they are declared, numbers as numbers."""
    arms = list(ARMS)
    arm = arms.index(spec["arm"]) if spec["arm"] in ARMS else len(arms)
    values = [spec.get(name) for name in [*ORDER, *sorted(spec.keys() - {*ORDER})]]
    return tuple((value is None, isinstance(value, str), arm if value == spec["arm"] else 0, value) for value in values)


def _names(specs: Sequence[Mapping[str, Any]]) -> list[str]:
    """What tells the variants apart, in words: `random_init, matched, head untied`."""
    fields = list(dict.fromkeys([*ORDER, *(name for spec in specs for name in spec)]))
    differ = [name for name in fields if len({spec.get(name) for spec in specs}) > 1] or ["arm"]
    # An arm has to be named where something is said about it, even if it is the same in all.
    named = differ if "arm" in differ or "task" in differ else ["arm", *differ]
    return [", ".join(filter(None, (_word(name, spec) for name in named))) for spec in specs]


def _word(field: str, spec: Mapping[str, Any]) -> str:
    """One field in words; nothing where it is the usual value or says nothing about the arm."""
    value = spec.get(field)
    match field:
        case "arm" | "task" | "scale":
            return str(value)
        case "architecture":
            return "" if value == "own" else str(value)
        case "head":
            # The MLP has no embedding that its head could be tied to.
            return "" if spec["arm"] == "mlp" else f"head {str(value).replace('_', ' ')}"
        case "adam_eps":
            return f"Adam eps {value:g}".replace("e-0", "e-")
        case "context":
            return f"K={value}"
        case "clip":
            return "" if value else "not clipped"
        case "paired":
            return "" if value else "unpaired data"
        case "held_out":
            return "a tenth held out" if value else ""
        case "epochs":
            return f"{value} epochs"
        case _:
            return f"{field.removeprefix('budget.').replace('_', ' ')} {as_text(value)}"
