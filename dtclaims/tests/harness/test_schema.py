"""Behaviour of `dtclaims.harness.schema`: the published JSON Schema is what is enforced, no more and no less."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from dtclaims.errors import ReportError
from dtclaims.harness import schema
from dtclaims.harness.report.document import schema_text

PUBLISHED: dict[str, Any] = json.loads(schema_text())

ROOT = {"$defs": {"word": {"enum": ["refuted", None]}}}

ANNOTATIONS = {"$schema", "title", "description", "$defs"}


def nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Every schema inside a schema."""
    yield node
    for name in ("properties", "$defs"):
        for inner in node.get(name, {}).values():
            yield from nodes(inner)
    for name in ("items", "propertyNames", "additionalProperties"):
        if isinstance(node.get(name), dict):
            yield from nodes(node[name])


def test_the_published_schema_uses_only_what_is_enforced() -> None:
    """A keyword that `check` would ignore cannot slip into schema.json; references lead somewhere."""
    for node in nodes(PUBLISHED):
        assert set(node) <= schema.KEYWORDS | ANNOTATIONS
        assert "$ref" not in node or node["$ref"].removeprefix("#/$defs/") in PUBLISHED["$defs"]


def test_required_fields_are_described() -> None:
    """No field is required that is not described, and records are closed unless they are free-form."""
    for node in nodes(PUBLISHED):
        assert set(node.get("required", ())) <= set(node.get("properties", {}))


@pytest.mark.parametrize(
    ("node", "good", "bad"),
    [
        ({"type": "string"}, ["", "a"], [1, None, [], True]),
        ({"type": "integer"}, [0, -3, 2.0], [0.5, True, "1"]),
        ({"type": "number"}, [0, 0.5], [False, "0"]),
        ({"type": ["number", "null"]}, [None, 1], ["", {}]),
        ({"type": "boolean"}, [True], [0, 1]),
        ({"const": 1}, [1], [True, 2, "1"]),
        ({"enum": ["a", "b"]}, ["a"], ["c", 1, None, ["a"]]),
        ({"enum": [1, -1, None]}, [1, None], [2, "1"]),
        ({"minimum": 0, "maximum": 1}, [0, 1, "text"], [-0.1, 1.1]),
        ({"exclusiveMinimum": 0, "exclusiveMaximum": 1}, [0.5], [0, 1]),
        ({"type": "string", "pattern": "^[0-9]+$"}, ["12"], ["", "a1"]),
        ({"type": "array", "items": {"type": "integer"}}, [[], [1]], [[1, "a"], {}]),
        ({"type": "object", "required": ["a"]}, [{"a": 1, "b": 2}], [{}, {"b": 1}]),
        ({"type": "object", "properties": {"a": {}}, "additionalProperties": False}, [{}, {"a": 0}], [{"b": 0}]),
        ({"type": "object", "additionalProperties": {"type": "number"}}, [{"x": 1}], [{"x": "1"}]),
        ({"type": "object", "propertyNames": {"pattern": "^a"}}, [{"ab": 1}], [{"b": 1}]),
        ({"$ref": "#/$defs/word"}, ["refuted", None], ["wrong"]),
    ],
)
def test_each_keyword_means_what_json_schema_says(node: dict[str, Any], good: list[Any], bad: list[Any]) -> None:
    """Values that the keyword allows pass, the others are report errors that name the field."""
    for value in good:
        schema.check(value, node, ROOT, "field")
    for value in bad:
        with pytest.raises(ReportError, match="field"):
            schema.check(value, node, ROOT, "field")


def test_long_values_are_cut_in_messages() -> None:
    """A message shows the type and the start of a value, not all of a huge one."""
    assert schema.shown("x" * 500) == "str '" + "x" * 76 + "..."
