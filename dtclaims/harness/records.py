"""Frozen dataclasses as JSON and back, and the schema that describes them: the types are the only table.

A field without a default is required. One with a default may be absent, and is then not written where it has that
default. A field's metadata make it one of another kind: `ABSENT`, `OTHERS`, `WRITTEN`, `REQUIRED`.
"""

import ast
import inspect
import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Self, TypeVar, Union, get_args, get_origin, get_type_hints

from dtclaims.harness import schema

T = TypeVar("T")

SEED = r"^(0|-?[1-9][0-9]{0,18})$"
"""Keys that are whole numbers, each in its only spelling."""

SCALARS: Mapping[object, str] = {str: "string", int: "integer", float: "number", bool: "boolean"}


@dataclass(frozen=True, init=False)
class Must:
    """Keywords of JSON Schema that a value must obey, in `Annotated`; lists are given as tuples."""

    keywords: tuple[tuple[str, object], ...]

    def __init__(self, **keywords: object) -> None:
        object.__setattr__(self, "keywords", tuple(keywords.items()))


ABSENT = {"absent": True}
"""Metadata of a field whose default None means that it is absent: JSON's null is refused."""

OTHERS = {"others": True}
"""Metadata of a field that holds, by name, whatever the record has beside its other fields."""


def written(when: Callable[[Any], bool]) -> dict[str, object]:
    """Metadata of a field that may be absent when read, and is written whatever its value; `when`: of which records."""
    return {"written": when}


WRITTEN = written(lambda _: True)
"""Metadata of a field that may be absent when read, and is always written."""

REQUIRED = {**WRITTEN, "required": True}
"""Metadata of a field that has a default in Python only."""


class Record:
    """A frozen dataclass that is a JSON object at the edges."""

    def to_json(self) -> dict[str, Any]:
        """As JSON types, fields in the order of their declaration."""
        kind: Any = type(self)
        content: dict[str, Any] = _writer(kind)(self)
        return content

    @classmethod
    def from_json(cls, content: object, path: str = "") -> Self:
        """The record that `to_json` wrote.

        Args:
            content: JSON types.
            path: what the record is called in messages.

        Raises:
            ReportError: the first field that is missing, unknown or not as described, or what JSON cannot carry.
        """
        found: Self = read_as(cls, content, path)
        return found


def read_as(kind: Any, content: object, path: str) -> Any:
    """JSON types as a value of some type, such as `Mapping[str, Figure]`.

    Raises:
        ReportError: as `Record.from_json`.
    """
    schema.check_json(content, path)
    schema.check(content, schema_of(kind), schema_of(kind), path)
    return _reader(kind)(content)


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
    hints, notes = _hints(kind), _notes(kind) if described else {}
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
        if not _may_be_absent(one):
            required.append(one.name)
    told = {"description": notes[""]} if "" in notes else {}
    return {
        **told,
        "type": "object",
        "required": required,
        "additionalProperties": rest,
        "properties": properties,
    }


def _may_be_absent(one: "Field[Any]") -> bool:
    has_default = one.default is not MISSING or one.default_factory is not MISSING
    return has_default and not one.metadata.get("required")


def _name(kind: Any) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", "_", kind.__name__).lower()


@cache
def _hints(kind: Any) -> dict[str, Any]:
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


@cache
def _reader(kind: Any) -> Callable[[Any], Any]:
    """How JSON that was checked becomes a value of the type."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _reader(inner[0])
    if origin in (Union, UnionType):
        given = [option for option in inner if option is not NoneType]
        read = _reader(given[0]) if len(given) == 1 else _same
        return lambda value: None if value is None else read(value)
    if origin is tuple:
        item = _reader(inner[0])
        return lambda value: tuple(map(item, value))
    if origin is not None and origin is not Literal and issubclass(origin, Mapping):
        key, item = (int if inner[0] is int else _same), _reader(inner[1])
        return lambda value: {key(name): item(one) for name, one in value.items()}
    return _read_record(kind) if is_dataclass(kind) else _same


def _read_record(kind: Any) -> Callable[[Any], Any]:
    hints = _hints(kind)
    rest = next((one.name for one in fields(kind) if one.metadata.get("others")), None)
    readers = {one.name: _reader(hints[one.name]) for one in fields(kind) if one.name != rest}

    def read(content: dict[str, Any]) -> Any:
        found = {name: readers[name](value) for name, value in content.items() if name in readers}
        if rest is not None:
            found[rest] = {name: value for name, value in content.items() if name not in readers}
        return kind(**found)

    return read


@cache
def _writer(kind: Any) -> Callable[[Any], Any]:
    """How a value of the type becomes JSON. What has no type is passed on as it is."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _writer(inner[0])
    if origin in (Union, UnionType):
        given = [option for option in inner if option is not NoneType]
        write = _writer(given[0]) if len(given) == 1 else _same
        return lambda value: None if value is None else write(value)
    if origin is tuple:
        item = _writer(inner[0])
        return lambda value: list(map(item, value))
    if origin is not None and origin is not Literal and issubclass(origin, Mapping):
        key, item = (str if inner[0] is int else _same), _writer(inner[1])
        return lambda value: {key(name): item(one) for name, one in value.items()}
    return _write_record(kind) if is_dataclass(kind) else _same


def _write_record(kind: Any) -> Callable[[Any], Any]:
    hints = _hints(kind)
    writers = [(one, _writer(hints[one.name])) for one in fields(kind)]

    def write(record: Any) -> dict[str, Any]:
        content: dict[str, Any] = {}
        for one, writer in writers:
            value = getattr(record, one.name)
            if one.metadata.get("others"):
                content |= value
            elif not _may_be_absent(one) or one.metadata.get("written", _never)(record) or value != _default(one):
                content[one.name] = writer(value)
        return content

    return write


def _default(one: "Field[Any]") -> object:
    return one.default if one.default_factory is MISSING else one.default_factory()


def _never(_: object) -> bool:
    return False


def _same(value: Any) -> Any:
    return value
