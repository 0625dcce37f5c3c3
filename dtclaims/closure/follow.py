"""The closure: everything that a job's entry points lead to."""

import ast
import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from dtclaims.closure.modules import Definition
from dtclaims.closure.program import INSTALLED, Part, Program, Thing, in_harness
from dtclaims.errors import UsageError

Chosen = Mapping[str, tuple[str, ...]]
Digests = dict[str, set[str]]


@dataclass(frozen=True)
class Entry:
    """Where a job starts: an attribute of a module, and the folder that the module is found in (None: installed)."""

    module: str
    name: str
    folder: Path | None = None


def entry(text: str) -> Entry:
    """`package.module:name`, or `folder/file.py:name`.

    Raises:
        UsageError: another form, or no such file.
    """
    place, _, name = text.rpartition(":")
    name = name.partition(".")[0]
    if not place or not name:
        raise UsageError("no entry to follow", given=repr(text), expected="package.module:name or folder/file.py:name")
    if not place.endswith(".py"):
        return Entry(place, name)
    file = Path(place).resolve()
    if not file.is_file():
        raise UsageError("no such file to take code from", given=place)
    names, folder = [file.stem], file.parent
    while (folder / "__init__.py").is_file():
        names.insert(0, folder.name)
        folder = folder.parent
    return Entry(".".join(names), name, folder)


@dataclass
class Closure:
    """The parts that entries lead to, found one after another."""

    program: Program
    chosen: Chosen
    rows: Collection[str]
    parts: dict[Definition, Part] = field(default_factory=dict)
    asked_by: dict[Definition, str] = field(default_factory=dict)
    waiting: list[Definition] = field(default_factory=list)
    executed: set[str] = field(default_factory=set)
    """Modules that are imported on the way."""

    def add(self, entry: Entry) -> None:
        """Follow an entry.

        Raises:
            UsageError: it is not there, or leads to what cannot be followed.
        """
        if entry.folder is None or INSTALLED & set(entry.folder.parts):
            self.program.add_package(entry.module)
        if self.program.module(entry.module) is None:
            raise UsageError("no such module to take code from", given=entry.module)
        self._ask(self.program.lookup(entry.module, entry.name), f"the entry {entry.name}")
        self._follow()

    def _ask(self, things: Iterable[Thing], by: str) -> None:
        for thing in things:
            for definition in self.program.definitions(thing):
                # What the harness does with a job changes no number in it.
                if definition not in self.asked_by and not in_harness(definition.module):
                    self.asked_by[definition] = by
                    self.waiting.append(definition)

    def _follow(self) -> None:
        while self.waiting:
            definition = self.waiting.pop()
            part = self._part(definition)
            if part is not None:
                self.parts[definition] = part
                self._ask(part.targets, definition.label)
                if definition.kind == "class":
                    self._ask([one for one in part.hints if not in_harness(one.module)], definition.label)
            for module in (definition.module, *(part.imports if part else ())):
                self._execute(module)

    def _part(self, definition: Definition) -> Part | None:
        table = self.program.table(definition)
        if table is None:
            return self.program.part(definition)
        kind, call = table
        name, by = definition.name, self.asked_by[definition]
        if kind == "Choice":
            if name not in self.chosen:
                raise UsageError(
                    f"{by} chooses from {name}, and it is not said what",
                    given=f"chosen={sorted(self.chosen)}",
                    expected=f"chosen={{{name!r}: ...}}, of {', '.join(sorted(_entries(name, call)))}",
                )
            return self._choice(definition, _entries(name, call), by)
        if name not in self.rows:
            raise UsageError(
                f"{by} reads the table {name}, and it is not said that its rows are in the address",
                given=f"rows={sorted(self.rows)}",
                expected=f"{name!r} among the rows, and the row it reads as a resolved value",
            )
        # The rows are for the address to hold; what their classes compute is code.
        part = self.program.part(definition)
        self._ask([one for one in (*part.targets, *part.hints) if _is_class(one)], definition.label)
        return None

    def _choice(self, definition: Definition, entries: Mapping[str, str], by: str) -> Part:
        pieces: list[str] = []
        targets: list[Definition] = []
        for key in sorted(self.chosen[definition.name]):
            if key not in entries:
                raise UsageError(
                    f"{definition.name} has no such entry",
                    given=repr(key),
                    expected=", ".join(sorted(entries)),
                )
            found = entry(entries[key])
            for thing in self.program.lookup(found.module, found.name):
                targets += self.program.definitions(thing)
                pieces.append(f"{key}=<{getattr(thing, 'label', '')}>")
        return Part(definition, " ".join(pieces), tuple(targets), (), ())

    def _execute(self, name: str) -> None:
        """Count what importing a module does, with the packages around it and the modules that it imports."""
        if name in self.executed or in_harness(name):
            return
        self.executed.add(name)
        parent = name.rpartition(".")[0]
        if parent:
            self._execute(parent)
        module = self.program.module(name)
        if module is None:
            return
        self._ask(module.statements, name)
        for foreign in module.registered:
            if not self.program.owns(foreign):
                statement = Definition(name, "", "statements", ast.Pass())
                self.parts[statement] = Part(statement, f"import {foreign}", (), (), ())
        for one in module.imports:
            if self.program.owns(one.module):
                self._execute(one.module)
                if one.name and self.program.module(f"{one.module}.{one.name}") is not None:
                    self._execute(f"{one.module}.{one.name}")

    def digests(self) -> Digests:
        """By label, the digests of the parts that have it."""
        digests = {definition: _digest(part.text) for definition, part in self.parts.items()}
        by_label: Digests = {}
        for definition in self.parts:
            by_label.setdefault(definition.label, set()).add(digests[definition])
        twice = {label for label, found in by_label.items() if len(found) > 1}
        if twice:
            # Where two parts have one name, it matters which of them is meant.
            digests = self._told_apart(digests, twice)
        result: Digests = {}
        for definition, digest in digests.items():
            result.setdefault(definition.label, set()).add(digest)
        return result

    def _told_apart(self, digests: dict[Definition, str], twice: set[str]) -> dict[Definition, str]:
        meant = {
            definition: [one for one in part.targets if one.label in twice and one in digests]
            for definition, part in self.parts.items()
        }
        while True:
            finer = {
                definition: _digest("".join([digest, *(digests[one] for one in meant[definition])]))
                if meant[definition]
                else digest
                for definition, digest in digests.items()
            }
            if len(set(finer.values())) == len(set(digests.values())):
                return finer
            digests = finer


def _entries(name: str, call: ast.Call) -> dict[str, str]:
    found = {}
    for keyword in call.keywords:
        if (
            keyword.arg is None
            or not isinstance(keyword.value, ast.Constant)
            or not isinstance(keyword.value.value, str)
        ):
            raise UsageError(
                f"the entries of {name} must be literal", expected="Choice(word='package.module:name', ...)"
            )
        found[keyword.arg] = keyword.value.value
    return found


def _is_class(thing: Definition) -> bool:
    return thing.kind == "class" and not in_harness(thing.module)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def follow(
    entries: Sequence[Entry], chosen: Chosen, rows: Collection[str], programs: Mapping[Path | None, Program]
) -> dict[str, str]:
    """The digests of all parts that entries lead to, by what the parts are.

    Raises:
        UsageError: an entry that is not there, or code that cannot be followed.
    """
    together: Digests = {}
    for folder in sorted({one.folder for one in entries}, key=str):
        closure = Closure(programs[folder], chosen, rows)
        for one in entries:
            if one.folder == folder:
                closure.add(one)
        for label, found in closure.digests().items():
            together.setdefault(label, set()).update(found)
    return {
        label: min(found) if len(found) == 1 else _digest(" ".join(sorted(found)))
        for label, found in sorted(together.items())
    }
