"""Behaviour of `dtclaims.harness.records`: what a type says is what is read, written and published."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import pytest

from dtclaims.errors import ReportError
from dtclaims.harness import schema
from dtclaims.harness.described import Must, schema_of
from dtclaims.harness.judge.entries import Entry
from dtclaims.harness.records import ABSENT, OTHERS, REQUIRED, WRITTEN, Record, read_as
from dtclaims.tests.support import report_example


@dataclass(frozen=True)
class Inner(Record):
    """Something held."""

    share: Annotated[float, Must(minimum=0, maximum=1)] | None
    """How much."""


@dataclass(frozen=True, kw_only=True)
class Outer(Record):
    """Something that holds."""

    version: Literal[3] = field(default=3, metadata=REQUIRED)
    kind: Literal["a", "b"] | None
    inner: Inner | None
    many: tuple[Inner, ...] = ()
    by_seed: Mapping[int, float] = field(default_factory=dict, metadata=WRITTEN)
    free: Mapping[str, object]
    note: str | None = field(default=None, metadata=ABSENT)
    title: str | None = None
    rest: Mapping[str, int] = field(metadata=OTHERS)


CONTENT: dict[str, Any] = {
    "version": 3,
    "kind": "a",
    "inner": {"share": 0.5},
    "by_seed": {"-1": 2.0},
    "free": {"any": [1, {"x": None}]},
    "more": 7,
}


def test_what_is_read_is_what_was_written() -> None:
    """Every kind of field has its value in Python, and comes back as the same JSON."""
    outer = Outer.from_json(CONTENT)
    assert outer == Outer(
        kind="a", inner=Inner(0.5), by_seed={-1: 2.0}, free={"any": [1, {"x": None}]}, rest={"more": 7}
    )
    assert outer.to_json() == CONTENT
    whole = {**CONTENT, "many": [{"share": None}], "note": "n", "title": "t", "kind": None, "inner": None}
    assert Outer.from_json(whole).to_json() == whole


def test_defaults_are_left_out_unless_they_are_stated() -> None:
    """A field at its default is not written, but where the type says that it is."""
    bare = {name: CONTENT[name] for name in ("version", "kind", "inner", "free")}
    assert Outer.from_json({**bare, "title": None}).to_json() == {**bare, "by_seed": {}}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 4}, "at.version is another value: got int 4, expected 3"),
        ({"kind": "c"}, "at.kind is unknown: got str 'c', expected one of a, b, null"),
        ({"inner": {"share": 2}}, "at.inner.share is out of range: got 2, expected <= 1"),
        ({"inner": {}}, "at.inner.share is missing"),
        ({"many": [{"share": 0, "x": 1}]}, r"at.many\[0\].x is no field of a report: expected share"),
        ({"by_seed": {"01": 1.0}}, "a key of at.by_seed is not of the form: got str '01'"),
        ({"note": None}, "at.note is of another type: got NoneType None, expected string"),
        ({"more": "7"}, "at.more is of another type: got str '7', expected integer"),
        ({"free": {"x": (1, 2)}}, "at.free.x is not a JSON value: got tuple"),
    ],
)
def test_the_first_wrong_field_is_named(change: dict[str, Any], message: str) -> None:
    """By its place, with what stands there and what may."""
    with pytest.raises(ReportError, match=message):
        Outer.from_json({**CONTENT, **change}, "at")


def test_types_that_are_no_records_are_read_alike() -> None:
    """A list or a mapping of records, with the same errors."""
    assert read_as(tuple[Inner, ...], [{"share": 1}], "list") == (Inner(1),)
    with pytest.raises(ReportError, match=r"list\[0\]\.share is missing"):
        read_as(tuple[Inner, ...], [{}], "list")


def test_docstrings_are_the_published_descriptions() -> None:
    """Of the class its first line, of a field the text below it."""
    found = schema_of(Outer, described=True)
    assert found["description"] == "Something that holds."
    assert found["$defs"]["inner"]["properties"]["share"] == {
        "description": "How much.", "type": ["number", "null"], "minimum": 0, "maximum": 1,
    }  # fmt: skip
    assert "description" not in schema_of(Outer)


def test_reading_and_checking_agree_on_the_whole_report() -> None:
    """What an entry writes is what its schema allows, field by field."""
    for entry in report_example.document().claims:
        content = entry.to_json()
        schema.check(content, schema_of(Entry), schema_of(Entry), "entry")
        assert Entry.from_json(content) == entry
