"""The part of JSON Schema that records use, so that the schema that is published is itself the checker's table."""

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from dtclaims.errors import ReportError

KEYWORDS = frozenset(
    {
        "$ref", "additionalProperties", "const", "enum", "exclusiveMaximum", "exclusiveMinimum", "items", "maximum",
        "minimum", "pattern", "properties", "propertyNames", "required", "type",
    }
)  # fmt: skip
"""Keywords `check` enforces. A test holds the published schema to these and to annotations."""

LARGEST = 2**64
"""Whole numbers beyond this are misread by most JSON readers."""

DEPTH = 50
"""Levels of nesting a report may have; only its free-form parts can come near."""

TYPES: dict[str, Callable[[object], bool]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "integer": lambda value: (
        (isinstance(value, int) and not isinstance(value, bool)) or (isinstance(value, float) and value.is_integer())
    ),
}

LIMITS: dict[str, tuple[str, Callable[[float, float], bool]]] = {
    "minimum": (">=", lambda value, limit: value >= limit),
    "maximum": ("<=", lambda value, limit: value <= limit),
    "exclusiveMinimum": (">", lambda value, limit: value > limit),
    "exclusiveMaximum": ("<", lambda value, limit: value < limit),
}


def check(value: object, schema: Mapping[str, Any], root: Mapping[str, Any], path: str) -> None:
    """Check one value against one schema node.

    Args:
        value: what stands at `path`.
        schema: the node that describes it.
        root: the whole schema, for `$ref`.
        path: the field's name in messages, as in `claims[3].effect.mean`.

    Raises:
        ReportError: the first field, in document order, that is missing, unknown or not as described.
    """
    if "$ref" in schema:
        check(value, root["$defs"][schema["$ref"].rpartition("/")[2]], root, path)
        return
    _check_value(value, schema, path)
    if isinstance(value, dict):
        _check_object(value, schema, root, path)
    if isinstance(value, list) and "items" in schema:
        for index, item in enumerate(value):
            check(item, schema["items"], root, f"{path}[{index}]")


def check_json(value: object, path: str, depth: int = 0) -> None:
    """Check that a value is what JSON can carry and every reader gets back unchanged.

    Raises:
        ReportError: NaN or infinity, a whole number beyond 64 bits, a key that is not text, text with half of a
            surrogate pair, a type that is not one of JSON's (a tuple, a numpy integer), or more than `DEPTH` levels.
    """
    if depth > DEPTH:
        raise ReportError(f"{path[:80]}... is nested too deep", expected=f"at most {DEPTH} levels")
    if isinstance(value, dict):
        for key, item in value.items():
            if not isinstance(key, str):
                raise ReportError(f"a key of {path} is not text", given=shown(key))
            _check_text(key, f"a key of {path}")
            check_json(item, _joined(path, key), depth + 1)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            check_json(item, f"{path}[{index}]", depth + 1)
    elif isinstance(value, str):
        _check_text(value, path)
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise ReportError(
                f"{path} is not a finite number",
                given=value,
                remedy="Write null where a quantity has no value, and say why in `reason`.",
            )
    elif isinstance(value, int):
        if not -LARGEST <= value <= LARGEST:
            raise ReportError(f"{path} is too large a whole number", expected="at most 64 bits")
    elif value is not None:
        raise ReportError(f"{path} is not a JSON value", given=shown(value), expected="JSON's own types")


def shown(value: object) -> str:
    """A value as messages show it: its type and the start of its repr."""
    text = repr(value)
    return f"{type(value).__name__} {text[:77] + '...' if len(text) > 80 else text}"


def _check_value(value: object, schema: Mapping[str, Any], path: str) -> None:
    if "const" in schema and (value != schema["const"] or isinstance(value, bool)):
        raise ReportError(f"{path} is another value", given=shown(value), expected=repr(schema["const"]))
    if "enum" in schema and value not in schema["enum"]:
        raise ReportError(f"{path} is unknown", given=shown(value), expected=f"one of {_listed(schema['enum'])}")
    if "type" in schema:
        allowed = [schema["type"]] if isinstance(schema["type"], str) else schema["type"]
        if not any(TYPES[name](value) for name in allowed):
            raise ReportError(f"{path} is of another type", given=shown(value), expected=" or ".join(allowed))
    if isinstance(value, str) and "pattern" in schema and not re.search(schema["pattern"], value):
        raise ReportError(f"{path} is not of the form", given=shown(value), expected=schema["pattern"])
    if TYPES["number"](value):
        for keyword, (sign, holds) in LIMITS.items():
            if keyword in schema and not holds(value, schema[keyword]):  # type: ignore[arg-type]
                raise ReportError(f"{path} is out of range", given=value, expected=f"{sign} {schema[keyword]}")


def _check_object(value: dict[str, Any], schema: Mapping[str, Any], root: Mapping[str, Any], path: str) -> None:
    properties: Mapping[str, Any] = schema.get("properties", {})
    others = schema.get("additionalProperties", True)
    for name in schema.get("required", ()):
        if name not in value:
            raise ReportError(f"{_joined(path, name)} is missing")
    for name, item in value.items():
        if "propertyNames" in schema:
            check(name, schema["propertyNames"], root, f"a key of {path}")
        if name in properties:
            check(item, properties[name], root, _joined(path, name))
        elif others is False:
            raise ReportError(f"{_joined(path, name)} is no field of a report", expected=", ".join(properties))
        elif others is not True:
            check(item, others, root, _joined(path, name))


def _listed(values: list[str | int | None]) -> str:
    return ", ".join("null" if value is None else str(value) for value in values)


def _check_text(text: str, path: str) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise ReportError(f"{path} is not valid Unicode text", given=ascii(text[:40])) from None


def _joined(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
