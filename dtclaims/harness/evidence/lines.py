"""The frozen part of a file of evidence, written; `thaw` reads it back."""

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from dtclaims.harness.evidence.form import EMPTY
from dtclaims.harness.evidence.frozen import FrozenCell, FrozenCheck, FrozenClaim, FrozenComponent


class Table:
    """Records that many lines share: each once, referred to by its place."""

    def __init__(self) -> None:
        self.rows: list[Any] = []

    def place(self, record: Any) -> int:
        """Where the record stands."""
        if record not in self.rows:
            self.rows.append(record)
        return self.rows.index(record)


@dataclass(frozen=True)
class Tables:
    """What cells share."""

    runs: Mapping[str, int]
    """Key → place."""
    texts: Table = field(default_factory=Table)
    settings: Table = field(default_factory=Table)
    pooled: Table = field(default_factory=Table)


def claim_line(claim: FrozenClaim) -> dict[str, Any]:
    """A declaration as plain data."""
    line = {name: list(value) if isinstance(value, tuple) else value for name, value in vars(claim).items()}
    paper = {"text": line.pop("paper"), "numbers": line.pop("numbers")}
    return {**line, "paper_value": paper}


def cell_line(cell: FrozenCell, tables: Tables) -> dict[str, Any]:
    """A cell as plain data; what it shares with others goes into the tables."""
    text, failure = tables.texts.place, cell.failure
    line = {
        "claim": cell.claim.id,
        "protocol": cell.protocol,
        "scope": text(cell.scope),
        # Many cells share sentences.
        "measured": [text(sentence) for sentence in re.split(r"(?<=\.) ", cell.measured)],
        "numbers": list(cell.numbers),
        "settings": tables.settings.place(dict(cell.switches)),
        "effect": cell.effect,
        "components": [_component_line(one) for one in cell.components],
        "any_of": [sorted(group) for group in cell.any_of],
        "looks": cell.looks,
        "failure": failure and {**vars(failure), "reason": text(failure.reason)},
        "runs": [tables.runs[key] for key in cell.runs],
        "diagnostics": cell.diagnostics,
        "pooled": tables.pooled.place(cell.provenance),
        "parts": list(cell.parts),
        "left_out": list(cell.left_out),
        "factors": list(cell.factors),
        "tried": cell.tried,
        "units": {str(seed): unit for seed, unit in cell.units.items()},
        "deciding": sorted(cell.deciding or ()),
        "level": cell.level,
        "checks": [_check_line(one) for one in cell.checks],
        "incomparable": cell.incomparable,
        "paper_data": [one.to_json() for one in cell.paper_data],
        "over": cell.over and cell.over.to_json(),
        "reachable": cell.reachable and cell.reachable.to_json(),
        "warnings": list(cell.warnings),
    }
    return {name: value for name, value in line.items() if name not in EMPTY or value != EMPTY[name]}


def _component_line(one: FrozenComponent) -> dict[str, Any]:
    line = {"name": one.name, "unit": one.unit, "predicate": dict(one.predicate)}
    said = {"effects": _effects_line(one.effects), "paper": list(one.paper)}
    return {**line, **{name: value for name, value in said.items() if value}}


def _check_line(one: FrozenCheck) -> dict[str, Any]:
    effects = {name: _effects_line(found) for name, found in one.effects.items()}
    return {**vars(one), "predicate": dict(one.predicate), "effects": effects}


def _effects_line(effects: Mapping[int, float]) -> dict[str, float | str]:
    return {str(seed): value if math.isfinite(value) else str(value) for seed, value in effects.items()}


def rounded_to(value: Any, digits: int) -> Any:
    """Plain data with its numbers to some significant digits."""
    if isinstance(value, float):
        return float(f"{value:.{digits}g}")
    return _through(value, lambda one: rounded_to(one, digits))


def plain(value: Any) -> Any:
    """Mappings and sequences of plain values as JSON has them."""
    return _through(value, plain)


def _through(value: Any, each: Callable[[Any], Any]) -> Any:
    if isinstance(value, Mapping):
        return {name: each(one) for name, one in value.items()}
    return [each(one) for one in value] if isinstance(value, Iterable) and not isinstance(value, str) else value
