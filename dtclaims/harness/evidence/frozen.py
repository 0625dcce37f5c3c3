"""What the verdicts of a file of evidence rest on, as declared and measured then: claims, effects, predicates."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from dtclaims.errors import ReportError
from dtclaims.harness import schema
from dtclaims.harness.evidence.form import EMPTY
from dtclaims.harness.judge.document import Paper
from dtclaims.harness.judge.exhibits import read_figures, read_tables
from dtclaims.harness.records import read_as

Name = tuple[str, str]
"""Of a cell: claim id, protocol."""


@dataclass(frozen=True)
class FrozenClaim:
    """A claim as it was declared."""

    id: str
    section: str
    headline: bool
    quote: str
    scope: str
    tasks: tuple[str, ...]
    deviations: tuple[str, ...]
    parts: tuple[str, ...]
    protocols: tuple[str, ...]
    paper: str
    """The paper's value as a reader would quote it."""
    numbers: Sequence[float] | Mapping[str, Sequence[float]]
    """The paper's bare numbers; by task where the claim is tested on several."""


@dataclass(frozen=True)
class FrozenComponent:
    """One part of a claim on one task: what had to hold, and what was found."""

    name: str
    unit: str
    predicate: Mapping[str, Any]
    """`kind`, `value` and `null`; the rule that the file names knows what they mean."""
    effects: Mapping[int, float]
    """By seed, with all digits; empty where nothing was judged."""


@dataclass(frozen=True)
class Failure:
    """Why a cell has no effects."""

    verdict: Literal["not_run", "error"]
    reason: str
    remedy: str | None


@dataclass(frozen=True)
class FrozenCell:
    """One claim under one protocol: everything that its verdict follows from."""

    claim: FrozenClaim
    protocol: str
    scope: str
    """The claim's, and where it was judged if that is less."""
    measured: str
    numbers: tuple[float, ...]
    """The paper's, one for each component or for the only one."""
    switches: Mapping[str, str]
    effect: str | None
    """What the number per seed is, in words; None for a claim made of its parts alone."""
    components: tuple[FrozenComponent, ...]
    any_of: tuple[frozenset[str], ...]
    looks: int
    """At this cell's data, that of the file included."""
    failure: Failure | None
    """Of its own effect, or of the whole cell."""
    runs: tuple[str, ...]
    """Keys of the runs that its own effect rests on."""
    diagnostics: Mapping[str, float] | None
    provenance: Mapping[str, Any]
    parts: tuple[str, ...]
    """Ids of the claims that must hold too, under the same protocol."""
    left_out: tuple[str, ...]
    """Those that the protocol cannot test."""
    factors: tuple[str, ...]
    """Switches whose part in the verdict was asked for: the cell is there with each of them at its other value."""
    tried: int
    """How many switches the largest set had that was tried."""

    @property
    def name(self) -> Name:
        """Claim id, protocol."""
        return (self.claim.id, self.protocol)

    def flipped(self, switches: Sequence[str]) -> Name:
        """The name of the same cell with some switches at their other value."""
        return (self.claim.id, "+".join([self.protocol, *sorted(switches)]))


@dataclass(frozen=True)
class Declared:
    """When and by what a file's claims were recorded."""

    date: str
    dtclaims: str
    commit: str | None


@dataclass(frozen=True)
class Frozen:
    """The part of a file of evidence that its verdicts follow from."""

    rule: str
    """Version of the rule that they follow by (`dtclaims.harness.stats.editions`)."""
    alpha: float
    declared: Declared
    paper: Mapping[str, Any]
    """What a report says of the paper."""
    label: str
    """What the verdicts are evidence of."""
    scale: Mapping[str, Any]
    """The scale's table then, its budget included."""
    switches: tuple[Mapping[str, Any], ...]
    """The table of switches then."""
    cells: Mapping[Name, FrozenCell]
    figures: Mapping[str, Any]
    tables: Mapping[str, Any]


def frozen_of(content: Mapping[str, Any], runs: Sequence[str]) -> Frozen:
    """The frozen part of a file that is known to be of the form.

    Args:
        content: of the file.
        runs: keys of its runs, in their order.

    Raises:
        ReportError: a cell, claim or component twice, one that refers to what is not in the file, or effects on
            other seeds than the study's.
    """
    claims: dict[str, FrozenClaim] = {}
    for place, line in enumerate(content["claims"]):
        claims[_new(line["id"], claims, f"claims[{place}]")] = _claim(line, f"claims[{place}]")
    cells: dict[Name, FrozenCell] = {}
    for place, line in enumerate(content["cells"]):
        path = f"cells[{place}]"
        cell = _cell({**EMPTY, **line}, content, runs, claims, path)
        cells[_new(cell.name, cells, path)] = cell
    for place, cell in enumerate(cells.values()):
        _check_references(cell, cells, f"cells[{place}]")
    _check_acyclic(cells)
    study, head = content["study"], content["frozen"]
    for name in ((one, protocol) for one in study["claims"] for protocol in study["protocols"]):
        if name not in cells:
            raise ReportError("a claim of the study has no cell", given=" under ".join(name))
    if head["scale"]["name"] != study["scale"]:
        raise ReportError("study.scale is not the scale whose table is there", given=head["scale"]["name"])
    read_figures(content["figures"])
    read_tables(content["tables"])
    read_as(Paper, head["paper"], "frozen.paper")
    return Frozen(
        head["rule"],
        head["alpha"],
        Declared(**head["declared"]),
        head["paper"],
        head["label"],
        head["scale"],
        tuple(head["switches"]),
        cells,
        content["figures"],
        content["tables"],
    )


def _new(name: Any, known: Mapping[Any, Any], path: str) -> Any:
    if name in known:
        raise ReportError(
            f"{path} is there a second time", given=name if isinstance(name, str) else " under ".join(name)
        )
    return name


def _claim(line: Mapping[str, Any], path: str) -> FrozenClaim:
    numbers = line["paper_value"]["numbers"]
    lists = numbers.values() if isinstance(numbers, dict) else [numbers]
    for one in lists:
        schema.check(one, {"type": "array", "items": {"type": "number"}}, {}, f"{path}.paper_value.numbers")
    texts = {name: tuple(line[name]) for name in ("tasks", "deviations", "parts", "protocols")}
    plain = {name: line[name] for name in ("id", "section", "headline", "quote", "scope")}
    return FrozenClaim(**plain, **texts, paper=line["paper_value"]["text"], numbers=numbers)


def _cell(
    line: Mapping[str, Any],
    content: Mapping[str, Any],
    runs: Sequence[str],
    claims: Mapping[str, FrozenClaim],
    path: str,
) -> FrozenCell:
    if line["claim"] not in claims:
        raise ReportError(f"{path} is of a claim that is not there", given=schema.shown(line["claim"]))

    def at(part: str, rows: Sequence[Any], place: int) -> Any:
        if place >= len(rows):
            raise ReportError(f"{path} refers to {part}[{place}], which is not there", given=len(rows))
        return rows[place]

    def text(place: int) -> str:
        return str(at("texts", content["texts"], place))

    failed = line["failure"]
    failure = failed and Failure(failed["verdict"], text(failed["reason"]), failed["remedy"])
    judged = line["effect"] is not None and failure is None
    seeds = content["study"]["seeds"] if judged else []
    components = tuple(
        _component(one, seeds, f"{path}.components[{place}]") for place, one in enumerate(line["components"])
    )
    names = [one.name for one in components]
    if len(set(names)) < len(names):
        raise ReportError(f"{path} has a component twice", given=", ".join(names))
    if (line["effect"] is None) != (not components):
        raise ReportError(f"{path} has an effect without components, or components without an effect")
    if not components and failure is None and not line["parts"]:
        raise ReportError(f"{path} has neither an effect nor parts nor a reason for that")
    groups = [name for group in line["any_of"] for name in group]
    if len(set(groups)) < len(groups) or not set(groups) <= set(names):
        raise ReportError(f"{path}.any_of names no components, or one twice", given=groups, expected=names)
    return FrozenCell(
        claim=claims[line["claim"]],
        protocol=line["protocol"],
        scope=text(line["scope"]),
        measured=" ".join(map(text, line["measured"])),
        numbers=tuple(line["numbers"]),
        switches=at("settings", content["settings"], line["settings"]),
        effect=line["effect"],
        components=components,
        any_of=tuple(map(frozenset, line["any_of"])),
        looks=line["looks"],
        failure=failure,
        runs=tuple(at("runs", runs, place) for place in line["runs"]),
        diagnostics=line["diagnostics"],
        provenance=at("pooled", content["pooled"], line["pooled"]),
        parts=tuple(line["parts"]),
        left_out=tuple(line["left_out"]),
        factors=tuple(line["factors"]),
        tried=line["tried"],
    )


def _component(line: Mapping[str, Any], seeds: Sequence[int], path: str) -> FrozenComponent:
    effects = {int(seed): float(value) for seed, value in line.get("effects", {}).items()}
    if effects.keys() != set(seeds):
        raise ReportError(
            f"{path}.effects is not on the seeds of the study",
            given=sorted(effects) or "none",
            expected=list(seeds) or "none, as nothing was judged",
        )
    return FrozenComponent(line["name"], line["unit"], line["predicate"], effects)


def _check_references(cell: FrozenCell, cells: Mapping[Name, FrozenCell], path: str) -> None:
    for part in cell.parts:
        if (part, cell.protocol) not in cells:
            raise ReportError(f"{path} has a part that is no cell", given=f"{part} under {cell.protocol}")
    sets = [(factor,) for factor in cell.factors]
    if len(set(sets)) < len(sets) or cell.tried > max(1, len(sets)):
        raise ReportError(f"{path} names a switch twice, or sets of more switches than there are", given=cell.factors)
    for one in sets:
        if cell.flipped(one) not in cells:
            raise ReportError(f"{path} has a variant that is no cell", given=" under ".join(cell.flipped(one)))


def _check_acyclic(cells: Mapping[Name, FrozenCell]) -> None:
    """Take away cells whose parts are all gone, until nothing is left: a circle would be."""
    waiting = {name: {(part, cell.protocol) for part in cell.parts} for name, cell in cells.items()}
    while ready := [name for name, parts in waiting.items() if not parts & waiting.keys()]:
        for name in ready:
            del waiting[name]
    if waiting:
        raise ReportError("a claim is made of itself", given=" and ".join(sorted(claim for claim, _ in waiting)))
