"""The evidence file: the results that a study's verdicts rest on, as one JSON file of plain data.

    {
      "schema": 1, "kind": "dtclaims-evidence",
      "made": {"command", "dtclaims", "commit" (or null), "date"},
      "study": {"scale", "protocols", "tasks", "seeds", "claims" (ids), "folder" (of the claims, relative to the
                checkout), "device" (class), "precision", "sources": {"data", "backbones"}, "factors"},
      "identity": what all runs have in common: {"schema", "versions", "device", "precision", "code"},
      "inputs": [{"data", "backbones"}, ...]           runs and measurements refer to them by place
      "provenances": [...]                             likewise
      "code": {measurement: {module: digest}}          of an experiment, what it depends on
      "runs": [{"key", "spec", "inputs", "provenance", "seconds", "curves", "diagnostics", "resumed"}, ...]
      "measurements": [{"key", "identity", "value"}, ...]
      "looks": [{"cell", "looks"}, ...]                earlier looks at fewer of the same seeds (statistics rule 10)
    }

One run or measurement a line, numbers to nine digits where that changes no verdict, else as they were stored. A key is
the hash of an identity (`dtclaims.addresses`), and checked. Everything that the runs of one file have in common stands
in it once, so a file cannot mix two versions of code or libraries. Files come from outside: they are checked against
`SCHEMA` before anything looks at them.
"""

from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import Any, get_type_hints

from dtclaims.harness.declare.claim import ALL_TASKS
from dtclaims.lab.design.spec import Budget, RunSpec

VERSION = 1
KIND = "dtclaims-evidence"
LARGEST = 64 * 2**20
"""Bytes of a file that is read at all: twenty times the largest that was meant."""
LISTS = ("inputs", "provenances", "runs", "measurements", "looks")
"""Parts that are written one entry a line."""

KEY = {"type": "string", "pattern": "^[0-9a-f]{20}$"}
TEXT = {"type": "string"}
PLACE = {"type": "integer", "minimum": 0}
OBJECT = {"type": "object"}
DIGESTS = {"type": "object", "additionalProperties": TEXT}
NAMES = {str: "string", int: "integer", float: "number", bool: "boolean"}


def _array(items: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}


def _record(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": False, "required": [*properties], "properties": properties}


def _fields_of(kind: type) -> dict[str, Any]:
    """The schema of a dataclass of plain values; later fields, which have a default, may be absent."""
    hints = get_type_hints(kind)
    types = {one.name: hints[one.name] for one in fields(kind)}
    found = _record(**{n: _fields_of(Budget) if t is Budget else {"type": NAMES[t]} for n, t in types.items()})
    return {**found, "required": [one.name for one in fields(kind) if one.default is MISSING]}


BY_SOURCE = {"type": "object", "additionalProperties": OBJECT}

SCHEMA = _record(
    schema={"const": VERSION},
    kind={"const": KIND},
    made=_record(command=TEXT, dtclaims=TEXT, commit={"type": ["string", "null"]}, date=TEXT),
    study=_record(
        scale=TEXT,
        protocols=_array({"enum": ["published", "corrected"]}),
        tasks=_array({"enum": [*ALL_TASKS]}),
        seeds=_array({"type": "integer", "minimum": 0, "exclusiveMaximum": 2**31}),
        claims=_array(TEXT),
        folder=TEXT,
        device={"enum": ["cpu", "cuda"]},
        precision=TEXT,
        sources=_record(data={"type": ["string", "null"]}, backbones=DIGESTS),
        factors=_array(TEXT),
    ),
    identity={"type": "object", "required": [], "properties": {"versions": DIGESTS, "code": DIGESTS}},
    inputs=_array(
        {"type": "object", "required": ["data", "backbones"], "additionalProperties": False}
        | {"properties": {"data": OBJECT, "backbones": BY_SOURCE, "resolved": OBJECT}}
    ),
    provenances=_array(OBJECT),
    code={"type": "object", "additionalProperties": DIGESTS},
    runs=_array(
        _record(
            key=KEY,
            spec=_fields_of(RunSpec),
            inputs=PLACE,
            provenance=PLACE,
            seconds={"type": "number", "minimum": 0},
            curves={"type": "object", "additionalProperties": _array({"type": "number"})},
            diagnostics={"type": "object", "additionalProperties": {"type": "number"}},
            resumed=_array({"type": "integer"}),
        )
    ),
    measurements=_array(
        _record(
            key=KEY,
            identity={"type": "object", "required": ["measurement", "runs", "parameters"]}
            | {"properties": {"measurement": TEXT, "runs": _array(KEY), "parameters": OBJECT}},
            value={},
        )
    ),
    looks=_array(_record(cell=_array(TEXT), looks=_array(DIGESTS))),
)
