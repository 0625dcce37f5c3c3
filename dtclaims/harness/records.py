"""Frozen dataclasses as JSON and back: the types are the only table.

A field without a default is required. One with a default may be absent, and is then not written where it has that
default. A field's metadata make it one of another kind: `ABSENT`, `OTHERS`, `WRITTEN`, `REQUIRED`.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NamedTuple, Self, Union, get_args, get_origin

from dtclaims.harness import schema
from dtclaims.harness.described import hints_of, may_be_absent, schema_of

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
        content: dict[str, Any] = _conversion(kind, _WRITE)(self)
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
    return _conversion(kind, _READ)(content)


class _Way(NamedTuple):
    """Which way a conversion goes: from JSON or to it."""

    sequence: Callable[[Iterable[Any]], Any]
    number: Callable[[Any], Any]
    """Of a key: JSON's are text."""
    record: Callable[[Any], Callable[[Any], Any]]


@cache
def _conversion(kind: Any, way: _Way) -> Callable[[Any], Any]:
    """How a value of the type is converted: JSON that was checked, or the value. What has no type is passed on."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _conversion(inner[0], way)
    if origin in (Union, UnionType):
        given = [option for option in inner if option is not NoneType]
        convert = _conversion(given[0], way) if len(given) == 1 else _same
        return lambda value: None if value is None else convert(value)
    if origin is tuple:
        item = _conversion(inner[0], way)
        return lambda value: way.sequence(map(item, value))
    if origin is not None and origin is not Literal and issubclass(origin, Mapping):
        key, item = (way.number if inner[0] is int else _same), _conversion(inner[1], way)
        return lambda value: {key(name): item(one) for name, one in value.items()}
    return way.record(kind) if is_dataclass(kind) else _same


def _read_record(kind: Any) -> Callable[[Any], Any]:
    hints = hints_of(kind)
    rest = next((one.name for one in fields(kind) if one.metadata.get("others")), None)
    readers = {one.name: _conversion(hints[one.name], _READ) for one in fields(kind) if one.name != rest}

    def read(content: dict[str, Any]) -> Any:
        found = {name: readers[name](value) for name, value in content.items() if name in readers}
        if rest is not None:
            found[rest] = {name: value for name, value in content.items() if name not in readers}
        return kind(**found)

    return read


def _write_record(kind: Any) -> Callable[[Any], Any]:
    hints = hints_of(kind)
    writers = [(one, _conversion(hints[one.name], _WRITE)) for one in fields(kind)]

    def write(record: Any) -> dict[str, Any]:
        content: dict[str, Any] = {}
        for one, writer in writers:
            value = getattr(record, one.name)
            if one.metadata.get("others"):
                content |= value
            elif not may_be_absent(one) or one.metadata.get("written", _never)(record) or value != _default(one):
                content[one.name] = writer(value)
        return content

    return write


_READ = _Way(tuple, int, _read_record)
_WRITE = _Way(list, str, _write_record)


def _default(one: "Field[Any]") -> object:
    return one.default if one.default_factory is MISSING else one.default_factory()


def _never(_: object) -> bool:
    return False


def _same(value: Any) -> Any:
    return value
