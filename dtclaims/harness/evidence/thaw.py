"""The frozen part of a file of evidence, read and checked; `lines` wrote it."""

from collections.abc import Mapping, Sequence
from typing import Any

from dtclaims.errors import ReportError
from dtclaims.harness import schema
from dtclaims.harness.evidence.form import EMPTY
from dtclaims.harness.evidence.frozen import (
    Declared,
    Failure,
    Frozen,
    FrozenCell,
    FrozenCheck,
    FrozenClaim,
    FrozenComponent,
    Name,
)
from dtclaims.harness.judge.document import Paper
from dtclaims.harness.judge.entries import Over, PaperReading, Reach
from dtclaims.harness.judge.exhibits import read_figures, read_tables
from dtclaims.harness.judge.regime import read_regime
from dtclaims.harness.judge.words import Words
from dtclaims.harness.records import read_as
from dtclaims.harness.report.wording import ranges


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
    for wanted in ((one, protocol) for one in study["claims"] for protocol in study["protocols"]):
        if wanted not in cells:
            raise ReportError("a claim of the study has no cell", given=" under ".join(wanted))
    if head["scale"]["name"] != study["scale"]:
        raise ReportError("study.scale is not the scale whose table is there", given=head["scale"]["name"])
    read_figures(content["figures"])
    read_tables(content["tables"])
    read_as(Paper, head["paper"], "frozen.paper")
    read_as(Words, head["words"], "frozen.words")
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
        read_regime(content.get("regime", [])),
        tuple(head["shown"]),
        head["words"],
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
    return FrozenClaim(
        line["id"],
        line["section"],
        line["headline"],
        line["quote"],
        line["scope"],
        tasks=tuple(line["tasks"]),
        deviations=tuple(line["deviations"]),
        parts=tuple(line["parts"]),
        protocols=tuple(line["protocols"]),
        paper=line["paper_value"]["text"],
        numbers=numbers,
    )


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
        units=_units(line["units"], seeds, path),
        deciding=_deciding(line["deciding"], names, path),
        level=line["level"],
        checks=tuple(_check(one, seeds, f"{path}.checks[{place}]") for place, one in enumerate(line["checks"])),
        incomparable=line["incomparable"],
        paper_data=tuple(
            PaperReading.from_json(one, f"{path}.paper_data[{place}]") for place, one in enumerate(line["paper_data"])
        ),
        over=line["over"] and Over.from_json(line["over"], f"{path}.over"),
        reachable=line["reachable"] and Reach.from_json(line["reachable"], f"{path}.reachable"),
        warnings=tuple(line["warnings"]),
    )


def _deciding(names: Sequence[str], known: Sequence[str], path: str) -> frozenset[str] | None:
    if not set(names) <= set(known):
        raise ReportError(f"{path}.deciding names no components", given=names, expected=known)
    return frozenset(names) or None


def _check(line: Mapping[str, Any], seeds: Sequence[int], path: str) -> FrozenCheck:
    effects = {name: _effects(found, seeds, f"{path}.{name}") for name, found in line["effects"].items()}
    return FrozenCheck(line["name"], line["effect"], line["unit"], line["predicate"], effects)


def _units(line: Mapping[str, str], seeds: Sequence[int], path: str) -> dict[int, str]:
    units = {int(seed): unit for seed, unit in line.items()}
    if units and units.keys() != set(seeds):
        raise ReportError(
            f"{path}.units is not on the seeds of the study", given=ranges(units), expected=ranges(seeds) or "none"
        )
    return units


def _component(line: Mapping[str, Any], seeds: Sequence[int], path: str) -> FrozenComponent:
    effects = _effects(line.get("effects", {}), seeds, path)
    return FrozenComponent(line["name"], line["unit"], line["predicate"], effects, tuple(line.get("paper", ())))


def _effects(line: Mapping[str, Any], seeds: Sequence[int], path: str) -> dict[int, float]:
    effects = {int(seed): float(value) for seed, value in line.items()}
    if effects.keys() != set(seeds):
        raise ReportError(
            f"{path}.effects is not on the seeds of the study",
            given=ranges(effects) or "none",
            expected=ranges(seeds) or "none, as nothing was judged",
        )
    return effects


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
        raise ReportError("a claim is made of itself", given=" and ".join(sorted({claim for claim, _ in waiting})))
