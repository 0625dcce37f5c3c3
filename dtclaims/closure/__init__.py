"""The code that a job depends on, found by reading it.

`code_of` starts at a job's entry points and follows every name that the code there uses, as far as first-party code
goes: definition by definition, through imports (those inside functions too), packages' fronts and lazy fronts with
stubs. What it finds is named by what it is (`function update`, `class Block`), so that moving code changes nothing.

What counts. Functions, classes and constants that are named, with all they name. Classes count whole, with their bases
and the classes that annotations of their fields name. Statements of a module that do something when it is imported.
What does not. Comments, docstrings, annotations of functions, what errors and warnings say, what is imported for type
checkers only, and the code of other packages, whose versions stand elsewhere in an address.

Where it stops. A table made by `dtclaims.choice.Choice` is followed into the entries that the job has chosen; of one
marked by `dtclaims.choice.rows` only the classes of its rows are followed, and the job puts the row itself into its
address as a `resolved` value. Meeting a table that the job does not speak of is an error: nothing is left out silently.

What it cannot see. An object that a function is handed is code of its caller's: name its class as an entry too. Code
found by a name that is put together at run time (`getattr`, registries) needs a `Choice`. A test that changes what a
job executes, and looks whether its key changes, finds such holes: `dtclaims/tests/test_mutations.py`.

It imports nothing of what it reads, and gives the same digests under Python 3.11 to 3.13.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dtclaims.closure.follow import entry, follow
from dtclaims.closure.program import Program
from dtclaims.closure.values import PROSE, Json, resolved

__all__ = ["PROSE", "Code", "Json", "Sources", "code_of", "resolved"]


@dataclass(frozen=True)
class Code:
    """The code of a job."""

    parts: Mapping[str, str]
    """What a part is (`function update`) → its digest. Parts of one name share an entry."""

    def to_json(self) -> dict[str, str]:
        """The parts as plain data, in order."""
        return dict(sorted(self.parts.items()))


class Sources:
    """Where code is read from: its files, as they are now.

    Args:
        texts: by module, what to read in place of its file.
    """

    def __init__(self, texts: Mapping[str, str] | None = None) -> None:
        self._texts = dict(texts or {})
        self._programs: dict[Path | None, Program] = {}
        self._codes: dict[object, Code] = {}

    def code_of(self, entries: Sequence[str], chosen: Mapping[str, str | Sequence[str]], rows: Collection[str]) -> Code:
        """See the function `code_of`."""
        if not all(program.is_current() for program in self._programs.values()):
            self._programs.clear()
            self._codes.clear()
        words = {name: (given,) if isinstance(given, str) else tuple(given) for name, given in chosen.items()}
        asked = (tuple(entries), tuple(sorted(words.items())), frozenset(rows))
        if asked not in self._codes:
            starts = [entry(one) for one in entries]
            for start in starts:
                self._programs.setdefault(start.folder, Program(start.folder, self._texts))
            self._codes[asked] = Code(follow(starts, words, frozenset(rows), self._programs))
        return self._codes[asked]


_FILES = Sources()


def code_of(
    *entries: str,
    chosen: Mapping[str, str | Sequence[str]] = {},
    rows: Collection[str] = (),
    sources: Sources | None = None,
) -> Code:
    """The code that a job depends on.

    Args:
        entries: where it starts: `package.module:name`, or `folder/file.py:name`, whose folder's modules are then
            first-party too. Classes of what it is handed are entries as well.
        chosen: table of code (a `Choice`) → the entries that the job takes. It may name tables that are not met.
        rows: tables of data (marked by `rows`) whose rows the job's address holds as `resolved` values.
        sources: what to read in place of the files.

    Raises:
        UsageError: an entry that is not there; a name that cannot be found; an import by a computed name; a table that
            `chosen` or `rows` do not name.
    """
    return (sources or _FILES).code_of(entries, chosen, rows)
