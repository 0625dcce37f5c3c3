"""The JSON Schema of frozen dataclasses, made of their types, and of their docstrings where people read it."""

import ast
import inspect
import re
from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

SEED = r"^(0|-?[1-9][0-9]{0,18})$"
"""Keys that are whole numbers, each in its only spelling."""

SCALARS: Mapping[object, str] = {str: "string", int: "integer", float: "number", bool: "boolean"}


@dataclass(frozen=True, init=False)
class Must:
    """Keywords of JSON Schema that a value must obey, in `Annotated`; lists are given as tuples."""

    keywords: tuple[tuple[str, object], ...]

    def __init__(self, **keywords: object) -> None:
        object.__setattr__(self, "keywords", tuple(keywords.items()))


def schema_of(kind: Any, *, described: bool = False) -> dict[str, Any]:
    """The JSON Schema of a type, the dataclasses it holds in `$defs`.

    Args:
        kind: a dataclass, or any type its fields may have.
        described: with the docstrings of classes and fields, which are read from the source.
    """
    return _schema_of(kind, described)


@cache
def _schema_of(kind: Any, described: bool) -> dict[str, Any]:
    defs: dict[str, Any] = {}
    node = _record(kind, defs, described) if is_dataclass(kind) else _node(kind, defs, described)
    return {**node, "$defs": defs}


def _node(kind: Any, defs: dict[str, Any], described: bool) -> dict[str, Any]:
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _node(inner[0], defs, described) | {
            name: list(value) if isinstance(value, tuple) else value
            for mark in inner[1:]
            if isinstance(mark, Must)
            for name, value in mark.keywords
        }
    if origin in (Union, UnionType):
        return _union(inner, defs, described)
    if origin is Literal:
        return {"const": inner[0]} if len(inner) == 1 else {"enum": list(inner)}
    if origin is tuple:
        return {"type": "array", "items": _node(inner[0], defs, described)}
    if origin is not None and issubclass(origin, Mapping):
        names = {"pattern": SEED} if inner[0] is int else _node(inner[0], defs, described)
        values = {} if inner[1] is object else {"additionalProperties": _node(inner[1], defs, described)}
        return {"type": "object", **({} if names == {"type": "string"} else {"propertyNames": names}), **values}
    if is_dataclass(kind):
        name = _name(kind)
        if name not in defs:
            defs[name] = {}
            defs[name] = _record(kind, defs, described)
        return {"$ref": f"#/$defs/{name}"}
    return {"type": SCALARS[kind]}


def _union(options: tuple[Any, ...], defs: dict[str, Any], described: bool) -> dict[str, Any]:
    """Scalars of several types, words of several tables, or one thing or null."""
    given = [option for option in options if option is not NoneType]
    if len(given) == 1 and is_dataclass(given[0]):
        node = _record(given[0], defs, described)
    else:
        nodes = [_node(option, defs, described) for option in given]
        node = {name: value for one in nodes for name, value in one.items()}
        if all("type" not in one for one in nodes):
            words = [word for one in nodes for word in one.get("enum", [one.get("const")])]
            node = {"enum": words}
        elif len(nodes) > 1:
            node = {"type": [one["type"] for one in nodes]}
    if NoneType not in options:
        return node
    nullable = dict(node)
    if "enum" in node:
        nullable["enum"] = [*node["enum"], None]
    if "type" in node:
        nullable["type"] = [*(node["type"] if isinstance(node["type"], list) else [node["type"]]), "null"]
    return nullable


def _record(kind: Any, defs: dict[str, Any], described: bool) -> dict[str, Any]:
    hints, notes = hints_of(kind), _notes(kind) if described else {}
    properties: dict[str, Any] = {}
    required: list[str] = []
    rest: bool | dict[str, Any] = False
    for one in fields(kind):
        hint = hints[one.name]
        if one.metadata.get("others"):
            rest = _node(get_args(hint)[1], defs, described)
            continue
        if one.metadata.get("absent"):
            (hint,) = [option for option in get_args(hint) if option is not NoneType]
        note = {"description": notes[one.name]} if one.name in notes else {}
        properties[one.name] = {**note, **_node(hint, defs, described)}
        if not may_be_absent(one):
            required.append(one.name)
    told = {"description": notes[""]} if "" in notes else {}
    return {
        **told,
        "type": "object",
        "required": required,
        "additionalProperties": rest,
        "properties": properties,
    }


def may_be_absent(one: "Field[Any]") -> bool:
    """Whether a field may be absent when read."""
    has_default = one.default is not MISSING or one.default_factory is not MISSING
    return has_default and not one.metadata.get("required")


def _name(kind: Any) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", kind.__name__).lower()


@cache
def hints_of(kind: Any) -> dict[str, Any]:
    """The types of a dataclass's fields, marks included."""
    return get_type_hints(kind, include_extras=True)


def _notes(kind: type) -> dict[str, str]:
    """Docstrings: the class's first line as "", and of each field that has one."""
    (tree,) = ast.parse(inspect.cleandoc(inspect.getsource(kind))).body
    assert isinstance(tree, ast.ClassDef)
    found = {"": (ast.get_docstring(tree) or "").partition("\n")[0]}
    for one, after in zip(tree.body, tree.body[1:], strict=False):
        match one, after:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                found[name] = " ".join(text.split())
    return found
