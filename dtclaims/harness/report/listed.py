"""What a page shows once for many verdicts: shared records, tables as texts, runs with their use."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from dtclaims.harness.judge.document import Document
from dtclaims.harness.judge.entries import Free, RunUsed
from dtclaims.harness.judge.exhibits import Table
from dtclaims.harness.judge.words import PROTOCOLS
from dtclaims.harness.report.wording import cell_text


@dataclass(frozen=True)
class Shared:
    """A free-form record that several entries share, so that a page shows it once."""

    anchor: str
    content: Free
    used: int


def shared(document: Document, field: Literal["switches", "provenance"]) -> dict[str, Shared]:
    """The distinct values of one free-form field of the entries, by `fingerprint`, most used first; empty ones not."""
    found: dict[str, list[Free]] = {}
    for entry in document.claims:
        record = entry.switches if field == "switches" else entry.provenance
        if record:
            found.setdefault(fingerprint(record), []).append(record)
    # sorted is stable: among equals the first used comes first.
    order = sorted(found, key=lambda key: -len(found[key]))
    return {key: Shared(f"{field}-{place}", found[key][0], len(found[key])) for place, key in enumerate(order, 1)}


@dataclass(frozen=True)
class Row:
    """A row of a table: for each source (the paper, a protocol) that has a value, one text per column."""

    name: str
    lines: Sequence[tuple[str, Sequence[str]]]


@dataclass(frozen=True)
class Texts:
    """A table as texts."""

    title: str
    unit: str
    note: str
    columns: Sequence[str]
    rows: Sequence[Row]


def table(table: Table) -> Texts:
    """A table of a report as texts."""
    cells = {(cell.row, cell.protocol, cell.column): cell for cell in table.cells}
    columns_ = list(dict.fromkeys(cell.column for cell in table.cells))
    rows = []
    for name in dict.fromkeys(cell.row for cell in table.cells):
        lines = [
            (source or "paper", [cell_text(cells.get((name, source, column))) for column in columns_])
            for source in (None, *PROTOCOLS)
            if any((name, source, column) in cells for column in columns_)
        ]
        rows.append(Row(name, lines))
    return Texts(table.title, table.unit, table.note or "", columns_, rows)


def fingerprint(value: Free) -> str:
    """Text that two records have in common exactly when they say the same."""
    return json.dumps(value, sort_keys=True)


@dataclass(frozen=True)
class Use:
    """A run, and how many verdicts rest on it."""

    run: RunUsed
    used: int


def runs(document: Document) -> list[Use]:
    """Every run once, in order of first use."""
    found: dict[str, Use] = {}
    for entry in document.claims:
        for key, run in {run.key: run for run in entry.runs}.items():
            known = found.get(key, Use(run, 0))
            # The claim that had the run made says so; later ones find it in the store.
            cached = known.run.cached and run.cached
            found[key] = Use(replace(known.run, cached=cached), known.used + 1)
    return list(found.values())


def conditions(found: Sequence[Use]) -> list[str]:
    """The names of what tells runs apart, in order of first use."""
    return list(dict.fromkeys(name for use in found for name in use.run.condition))


def made_of(document: Document) -> list[tuple[str, str]]:
    """What the runs behind a report were made of, as (name, text) pairs: simulator, data, weights, in the lab's words.

    Of each thing its name, and what is said of it in words: `Data: hopper (collected, medium)`. Numbers and digests are
    in the provenance.
    """
    simulators: dict[str, None] = {}
    things: dict[str, dict[str, None]] = {}
    for entry in document.claims:
        for content in _simulators(entry.provenance):
            plain = {key: value for key, value in content.items() if isinstance(value, str)}
            name = plain.pop("name", "")
            said = ", ".join(f"{key} {value}" for key, value in plain.items())
            simulators[": ".join(filter(None, [name, said]))] = None
        for part, found in entry.provenance.items():
            if not isinstance(found, Mapping) or part in ("simulator", "versions", "code"):
                continue
            each = {key: one for key, one in found.items() if isinstance(one, Mapping)} or {"": found}
            texts = [_thing(str(key), one) for key, one in each.items()]
            things.setdefault(part, {}).update(dict.fromkeys(filter(None, texts)))
    told = {"simulator": simulators, **things}

    def words(text: str) -> str:
        return text.replace("_", " ")

    return [(words(name).capitalize(), words("; ".join(found))) for name, found in told.items() if found]


def _simulators(content: object) -> Iterator[Mapping[str, object]]:
    if isinstance(content, Mapping):
        for key, value in content.items():
            if key == "simulator" and isinstance(value, Mapping):
                yield value
            else:
                yield from _simulators(value)


def _thing(key: str, content: Mapping[str, object]) -> str:
    name = str(content.get("name", key))
    said = [
        value
        for place, value in content.items()
        if isinstance(value, str) and "sha256" not in place and value not in (name, key) and len(value) < 32
    ]
    if not name:
        return ", ".join(said)
    return f"{name} ({', '.join(said)})" if said else name
