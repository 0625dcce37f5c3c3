"""Recorded verdicts, and what became of them: the gate of `pytest claims --expect FILE` and `dtclaims report diff`.

A record is a whole report.json, or the short form that `record` makes: `{"schema": 1, "verdicts":
{"S4-not-worse/published/small": "reproduced"}}`. Against a whole report a difference also says what changed.
"""

import json
from collections.abc import Collection, Iterator, Mapping
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
from dtclaims.harness.report.part import is_part

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
class Since:
    """What became of recorded verdicts, for a report to begin with."""

    name: str
    """Of the record, as the user named it."""
    changed: tuple[Difference, ...]


@dataclass(frozen=True)
class Record:
    """Recorded verdicts by key, and the whole entries where the record is a report."""

    verdicts: Mapping[Key, str]
    entries: Mapping[Key, Entry] = field(default_factory=dict)

    @classmethod
    def of(cls, document: Document) -> "Record":
        """A report as a record."""
        entries = {entry.key: entry for entry in document.claims}
        return cls({key: entry.verdict for key, entry in entries.items()}, entries)

    def difference(self, entry: Entry) -> Difference | None:
        """How an entry's verdict differs from the recorded one; None if it does not.

        A verdict on a claim that is not recorded is a difference; that it was not run is none.
        """
        before = self.verdicts.get(entry.key, ABSENT)
        if before == entry.verdict or neither(before, entry.verdict):
            return None
        if before == ABSENT:
            return Difference(*entry.key, before, entry.verdict, ("it is not recorded",))
        old = self.entries.get(entry.key)
        return Difference(*entry.key, before, entry.verdict, tuple(causes(old, entry)) if old else ())

    def removed(self, declared: Collection[str], columns: Collection[tuple[str, str]]) -> list[Difference]:
        """Verdicts on claims that are declared no more.

        Args:
            declared: ids of all claims, judged or not.
            columns: (scale, protocol) pairs that are spoken of; of others nothing is known.
        """
        return [
            Difference(*key, before, ABSENT, ("it is declared no more",))
            for key, before in self.verdicts.items()
            if key[0] not in declared and (key[2], key[1]) in columns and not neither(before, ABSENT)
        ]

    def differences(self, document: Document) -> list[Difference]:
        """`difference` of every entry of a report that has one, in its order; then `removed`, if all are in it."""
        found = [difference for entry in document.claims if (difference := self.difference(entry)) is not None]
        if is_part(document):
            return found
        columns = {(entry.scale, entry.protocol) for entry in document.claims}
        return found + self.removed({entry.id for entry in document.claims}, columns)


def neither(before: str, after: str) -> bool:
    """Whether neither of two sides has run something."""
    return {before, after} <= {"not_run", ABSENT}


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
        return Record.of(parse(content))
    except ReportError as error:
        raise at(path, error) from None


def check_expectations(document: Document, path: Path) -> list[Difference]:
    """The verdicts of a report that are not the recorded ones; claims on one side only, unless they were not run.

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

    What neither side has run is left out.

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
        if neither(*(side[key].verdict if key in side else ABSENT for side in (old, new))):
            continue
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
