"""Recorded verdicts, and what became of them: the gate of `pytest claims --expect FILE` and `dtclaims report diff`.

A record is a whole report.json, or the short form that `record` makes: `{"schema": 1, "verdicts":
{"S4-not-worse/published/small": "reproduced"}}`. Against a whole report a difference also says what changed.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal

from dtclaims.errors import ReportError
from dtclaims.harness import records
from dtclaims.harness.described import Must
from dtclaims.harness.judge.document import Document
from dtclaims.harness.judge.entries import Entry, Key
from dtclaims.harness.judge.words import PROTOCOLS, Status, word
from dtclaims.harness.records import REQUIRED
from dtclaims.harness.report.causes import causes
from dtclaims.harness.report.document import at, parse, read_json, replace_all, validate

ABSENT = "absent"
"""Stands for the verdict of an entry that one of two reports does not have."""

Place = Annotated[str, Must(pattern=rf"\S/({'|'.join(PROTOCOLS)})/[^/]*\S[^/]*$")]
"""`id/protocol/scale`."""


@dataclass(frozen=True, kw_only=True)
class Short(records.Record):
    """The short form of recorded verdicts."""

    schema: Literal[1] = field(default=1, metadata=REQUIRED)
    verdicts: Mapping[Place, Status]


@dataclass(frozen=True)
class Difference:
    """One verdict that is not the recorded one."""

    id: str
    protocol: str
    scale: str
    before: str
    after: str
    why: tuple[str, ...] = ()
    """What else changed between the two, most telling first; empty where the record holds verdicts only."""

    @property
    def change(self) -> str:
        """What changed, in one line."""
        return f"{self.id} ({self.protocol}, {self.scale}): {word(self.before)} -> {word(self.after)}"

    def __str__(self) -> str:
        return f"{self.change}; {'; '.join(self.why)}" if self.why else self.change

    def to_json(self) -> dict[str, Any]:
        """All fields as JSON types."""
        return {**vars(self), "why": list(self.why)}


@dataclass(frozen=True)
class Record:
    """Recorded verdicts by key, and the whole entries where the record is a report."""

    verdicts: Mapping[Key, str]
    entries: Mapping[Key, Entry] = field(default_factory=dict)

    def difference(self, entry: Entry) -> Difference | None:
        """How an entry's verdict differs from the recorded one; None if it does not, or if none was recorded."""
        before = self.verdicts.get(entry.key, entry.verdict)
        if before == entry.verdict:
            return None
        old = self.entries.get(entry.key)
        return Difference(*entry.key, before, entry.verdict, tuple(causes(old, entry)) if old else ())

    def differences(self, document: Document) -> list[Difference]:
        """`difference` of every entry of a report that has one, in the report's order."""
        found = (self.difference(entry) for entry in document.claims)
        return [difference for difference in found if difference is not None]


def read_record(path: Path) -> Record:
    """Read recorded verdicts: a report.json or the short form.

    Raises:
        ReportError: no such file, damaged JSON, or neither of the two.
    """
    content = read_json(path)
    try:
        if isinstance(content, dict) and "verdicts" in content:
            short = Short.from_json(content)
            return Record({_split(name): verdict for name, verdict in short.verdicts.items()})
        entries = {entry.key: entry for entry in parse(content).claims}
    except ReportError as error:
        raise at(path, error) from None
    return Record({key: entry.verdict for key, entry in entries.items()}, entries)


def check_expectations(document: Document, path: Path) -> list[Difference]:
    """The verdicts of a report that are not the recorded ones. Claims on one side only are no difference.

    Raises:
        ReportError: as `read_record`, or not a valid report.
    """
    return read_record(path).differences(validate(document))


def record(document: Document, path: Path) -> None:
    """Write the verdicts of a report in the short form, to be expected from now on.

    Raises:
        ReportError: not a valid report, or a file that cannot be written.
    """
    short = Short(verdicts={"/".join(entry.key): entry.verdict for entry in validate(document).claims})
    replace_all({path: json.dumps(short.to_json(), indent=1, ensure_ascii=False) + "\n"})


def compare(before: Document, after: Document) -> tuple[list[Difference], list[Difference]]:
    """What changed between two reports: verdicts, and entries whose verdict stayed though something behind it moved.

    Raises:
        ReportError: not valid reports.
    """
    old, new = ({entry.key: entry for entry in validate(document).claims} for document in (before, after))
    changed = list(_changes(old, new))
    return (
        [difference for difference in changed if difference.before != difference.after],
        [difference for difference in changed if difference.before == difference.after],
    )


def _changes(old: Mapping[Key, Entry], new: Mapping[Key, Entry]) -> Iterator[Difference]:
    for key in dict.fromkeys((*old, *new)):
        if key not in new:
            yield Difference(*key, old[key].verdict, ABSENT, ("only in the first report",))
        elif key not in old:
            yield Difference(*key, ABSENT, new[key].verdict, ("only in the second report",))
        elif found := tuple(causes(old[key], new[key])):
            yield Difference(*key, old[key].verdict, new[key].verdict, found)
        elif old[key].verdict != new[key].verdict:
            yield Difference(*key, old[key].verdict, new[key].verdict, ("nothing else in the reports changed",))


def _split(name: str) -> Key:
    id_, protocol, scale = name.rsplit("/", 2)
    return id_, protocol, scale
