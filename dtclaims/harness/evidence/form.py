"""The evidence file: what a study's verdicts rest on, as one JSON file of plain data.

    {
      "schema": 3, "kind": "dtclaims-evidence",
      "digests": {part: checksum, or of a part that is written one entry a line, one of each}
      "made": {"command", "dtclaims", "commit" (or null), "date",
               "registration": what a report says of the one that it was made under, if one was named},
      "study": {"scale", "protocols", "tasks", "seeds", "claims" (ids), "folder" (of the claims, relative to the
                checkout), "device" (class), "precision", "sources": {"data", "backbones"}, "factors",
                "looks" (sizes, where they were declared)},
      "identity": what all runs have in common: {"schema", "versions", "device", "precision", "code"},
      "inputs": [{"data", "backbones"}, ...]           runs and measurements refer to them by place
      "provenances": [...]                             likewise
      "code": {measurement: {module: digest}}          of an experiment, what it depends on
      "frozen": {"rule" (version), "alpha", "declared": {"date", "dtclaims", "commit" (or null)},
                 "paper": what a report says of it, "label", "words" (what the lab calls things), "shown" (of a run's
                 condition), "scale" and "switches": the tables then}
      "texts": [...]                                   cells refer to them by place
      "settings": [{switch: value}, ...]               likewise
      "pooled": [...]                                  likewise: provenance of a cell's runs together
      "claims": [{"id", "section", "headline", "quote", "scope", "tasks", "deviations", "parts", "protocols",
                  "paper_value": {"text", "numbers"}}, ...]     as they were declared
      "cells": [{"claim", "protocol", "scope" (a text), "measured" (texts), "numbers" (of the paper), "settings",
                 "effect" (its name), "components": [{"name", "unit", "predicate": as the rule reads it,
                 "effects": {seed: number}, "paper" (its values)}], "any_of": [[component]],
                 "deciding": [component], "looks", "level" (of alpha, where looks were declared),
                 "checks": [{"name", "effect", and of a component "unit", "predicate" and "effects" by component}],
                 "incomparable", "paper_data", "over", "reachable", "warnings": as an entry says them,
                 "failure": {"verdict", "reason" (a text), "remedy"},
                 "runs" (by place), "diagnostics", "pooled", "parts", "left_out", "factors", "tried",
                 "units": {seed: what it is an observation of, where several are of one}}, ...]
                 what is empty, or 1, is left out
      "figures", "tables": of the report, as they were drawn then, to four digits
      "regime": of the report, if it has one
      "runs": [{"key", "spec", "inputs", "provenance", "seconds", "curves", "diagnostics", "resumed"}, ...]
      "measurements": [{"key", "identity", "value"}, ...]
      "looks": [{"cell", "looks"}, ...]                earlier looks at some of the same seeds (statistics rule 10)
    }

A cell is a claim under a protocol. Verdicts are not in the file: they follow from the cells' effects and predicates
by the rule that is named. Effects stand there with all their digits; one that is no number is the text nan, inf or
-inf. Schema 2 is the same without `digests`. Schema 1 is without the parts from `frozen` to `tables` too: it holds
results, and no verdict follows from it without the claims.

One cell, run or measurement a line, results to nine digits where that changes no verdict, else as they were stored. A
key is the hash of an identity (`dtclaims.addresses`), and checked. Everything that the runs of one file have in common
stands in it once, so a file cannot mix two versions of code or libraries. Files come from outside: they are checked
against `SCHEMAS` before anything looks at them.
"""

from collections.abc import Mapping
from typing import Any

VERSION = 3
WITHOUT_DIGESTS = 2
"""The version in which a changed number does not show."""
RESULTS_ONLY = 1
"""The version that holds no declarations."""
DIGITS = 16
"""Hex digits of a checksum."""
KIND = "dtclaims-evidence"
LARGEST = 64 * 2**20
"""Bytes of a file that is read at all: twenty times the largest that was meant."""
LISTS = (
    "codes",
    "inputs",
    "provenances",
    "texts",
    "settings",
    "pooled",
    "claims",
    "cells",
    "runs",
    "measurements",
    "looks",
)
"""Parts that are written one entry a line."""

EMPTY: Mapping[str, Any] = {
    "numbers": [],
    "effect": None,
    "components": [],
    "any_of": [],
    "looks": 1,
    "failure": None,
    "runs": [],
    "diagnostics": None,
    "parts": [],
    "left_out": [],
    "factors": [],
    "tried": 1,
    "units": {},
    "deciding": [],
    "level": None,
    "checks": [],
    "incomparable": "",
    "paper_data": [],
    "over": None,
    "reachable": None,
    "warnings": [],
}
"""What a cell says where it says nothing."""

KEY = {"type": "string", "pattern": "^[0-9a-f]{20}$"}
SEED = {"pattern": "^(0|[1-9][0-9]*)$"}
TEXT = {"type": "string"}
TEXT_OR_NULL = {"type": ["string", "null"]}
PLACE = {"type": "integer", "minimum": 0}
OBJECT = {"type": "object"}
NUMBER = {"type": "number"}
TEXTS = {"type": "array", "items": TEXT}
STATEMENT = {
    "type": "object",
    "required": ["kind"],
    "properties": {
        "kind": TEXT,
        "value": NUMBER,
        "null": {"type": ["number", "null"]},
        "bound": {"type": ["number", "null"]},
        "direction": {"enum": [1, -1]},
        "interest": NUMBER,
        "why": TEXT,
    },
}
"""A predicate or a trend: which fields it has is the rule's."""
EFFECTS = {
    "type": "object",
    "propertyNames": SEED,
    "additionalProperties": {"type": ["number", "string"], "pattern": "^(nan|inf|-inf)$"},
}
BY_NAME = {"type": "object", "additionalProperties": TEXT}
NUMBERS_BY_NAME = {"type": "object", "additionalProperties": NUMBER}


def _array(items: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}


def _record(optional: tuple[str, ...] = (), **properties: Any) -> dict[str, Any]:
    required = [name for name in properties if name not in optional]
    return {"type": "object", "additionalProperties": False, "required": required, "properties": properties}


_RESULTS: dict[str, Any] = {
    "kind": {"const": KIND},
    # What a report says of the registration; it is read as a report's is.
    "made": _record(
        ("registration",), registration=OBJECT, command=TEXT, dtclaims=TEXT, commit=TEXT_OR_NULL, date=TEXT
    ),
    "study": _record(
        ("looks",),
        scale=TEXT,
        protocols=_array({"enum": ["published", "corrected"]}),
        tasks=TEXTS,
        seeds=_array({"type": "integer", "minimum": 0, "exclusiveMaximum": 2**31}),
        claims=TEXTS,
        folder=TEXT,
        device={"enum": ["cpu", "cuda"]},
        precision=TEXT,
        sources=_record(data=TEXT_OR_NULL, backbones=BY_NAME),
        factors=TEXTS,
        looks=_array({"type": "integer", "minimum": 3}),
    ),
    "identity": {"type": "object", "properties": {"versions": BY_NAME, "code": BY_NAME}},
    "inputs": _array(
        _record(("data", "backbones"), data=OBJECT, backbones={"type": "object", "additionalProperties": OBJECT})
    ),
    "provenances": _array(OBJECT),
    "code": {"type": "object", "additionalProperties": BY_NAME},
    "codes": _array(BY_NAME),
    "runs": _array(
        _record(
            ("spec", "parts", "value"),
            key=KEY,
            # What else a specification says is the lab's; the key holds it. Identities of schema 2 have parts instead.
            # Versions stand there where the runs have several sets.
            parts=_record(
                ("versions",),
                what=OBJECT,
                how=OBJECT,
                resolved=OBJECT,
                needs=_array(KEY),
                code=PLACE,
                versions={"type": "object"},
            ),
            spec={"type": "object", "required": ["seed"]}
            | {"properties": {"seed": {"type": "integer"}, "arm": TEXT, "task": TEXT, "context": {"type": "integer"}}},
            inputs=PLACE,
            provenance=PLACE,
            seconds={"type": "number", "minimum": 0},
            curves={"type": "object", "additionalProperties": _array(NUMBER)},
            diagnostics=NUMBERS_BY_NAME,
            resumed=_array({"type": "integer"}),
            # Of a run that ends with one.
            value={},
        )
    ),
    "measurements": _array(
        _record(
            key=KEY,
            identity={"type": "object"}
            | {"properties": {"measurement": TEXT, "runs": _array(KEY), "needs": _array(KEY), "parameters": OBJECT}},
            value={},
        )
    ),
    # What a look says is `dtclaims.harness.store.looks.Look`'s.
    "looks": _array(_record(cell=TEXTS, looks=_array(OBJECT))),
}

_FROZEN: dict[str, Any] = {
    "frozen": _record(
        rule=TEXT,
        alpha={"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 0.5},
        declared=_record(date=TEXT, dtclaims=TEXT, commit=TEXT_OR_NULL),
        paper=OBJECT,
        label={"type": "string", "pattern": r"\S"},
        words=OBJECT,
        shown=TEXTS,
        scale={"type": "object", "required": ["name", "label"], "properties": {"name": TEXT, "label": TEXT}},
        switches=_array(
            {"type": "object", "required": ["name", "published", "corrected"]}
            | {"properties": {"name": TEXT, "published": TEXT, "corrected": TEXT}}
        ),
    ),
    "texts": TEXTS,
    "settings": _array(BY_NAME),
    "pooled": _array(OBJECT),
    "claims": _array(
        _record(
            id={"type": "string", "pattern": r"\S"},
            section=TEXT,
            headline={"type": "boolean"},
            quote=TEXT,
            scope=TEXT,
            tasks=TEXTS,
            deviations=TEXTS,
            parts=TEXTS,
            protocols=TEXTS,
            # A list, or a list by task.
            paper_value=_record(text=TEXT, numbers={"type": ["array", "object"]}),
        )
    ),
    "cells": _array(
        _record(
            tuple(EMPTY),
            claim=TEXT,
            protocol={"type": "string", "pattern": r"^(published|corrected)(\+[^+]+)*$"},
            scope=PLACE,
            measured=_array(PLACE),
            numbers=_array(NUMBER),
            settings=PLACE,
            effect=TEXT,
            components=_array(
                _record(
                    ("effects", "paper"),
                    name=TEXT,
                    unit=TEXT,
                    predicate=STATEMENT,
                    effects=EFFECTS,
                    paper=_array(NUMBER),
                )
            ),
            deciding=TEXTS,
            level={"type": ["number", "null"], "exclusiveMinimum": 0, "exclusiveMaximum": 0.5},
            checks=_array(
                _record(
                    name=TEXT,
                    effect=TEXT,
                    unit=TEXT,
                    predicate=STATEMENT,
                    effects={"type": "object", "additionalProperties": EFFECTS},
                )
            ),
            incomparable=TEXT,
            paper_data=_array(OBJECT),
            over={"type": ["object", "null"]},
            reachable={"type": ["object", "null"]},
            warnings=TEXTS,
            any_of=_array(TEXTS),
            looks={"type": "integer", "minimum": 1},
            failure=_record(verdict={"enum": ["not_run", "error"]}, reason=PLACE, remedy=TEXT_OR_NULL),
            runs=_array(PLACE),
            diagnostics={"type": "object", "additionalProperties": {"type": ["number", "null"]}},
            pooled=PLACE,
            parts=TEXTS,
            left_out=TEXTS,
            factors=TEXTS,
            tried={"type": "integer", "minimum": 1},
            units={"type": "object", "propertyNames": SEED, "additionalProperties": TEXT},
        )
    ),
    "figures": OBJECT,
    "tables": OBJECT,
    "regime": _array(OBJECT),
}

SCHEMAS: Mapping[int, dict[str, Any]] = {
    RESULTS_ONLY: _record(("codes",), schema={"const": RESULTS_ONLY}, **_RESULTS),
    WITHOUT_DIGESTS: _record(("codes", "regime"), schema={"const": WITHOUT_DIGESTS}, **_RESULTS, **_FROZEN),
    VERSION: _record(
        ("codes", "regime"),
        schema={"const": VERSION},
        digests={"type": "object", "additionalProperties": {"type": ["string", "array"], "items": TEXT}},
        **_RESULTS,
        **_FROZEN,
    ),
}
"""By version: what a file has to look like."""
