"""Tables whose rows enter a job's address one at a time, not as a whole (`dtclaims.closure`).

`Choice` names code by a word: what a device path steps with, what an arm is built by. `rows` marks a table of data. The
closure of a job's code stops at either: the job says which entries it takes, and only those are part of its address.
"""

import importlib
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from dtclaims.errors import UsageError

Table = TypeVar("Table", bound=Mapping[str, Any])


class Choice(Mapping[str, Any]):
    """Code by name, imported when it is asked for: `STEPS = Choice(cpu="package.module:Plain", cuda="…:Captured")`.

    It stands at the top level of a module, with literal strings, under a name of its own.
    """

    def __init__(self, **entries: str) -> None:
        self._entries = entries

    def __getitem__(self, name: str) -> Any:
        """The function or class.

        Raises:
            UsageError: no such entry.
        """
        if name not in self._entries:
            raise UsageError("nothing to choose by that name", given=repr(name), expected=", ".join(self._entries))
        module, _, attribute = self._entries[name].partition(":")
        return getattr(importlib.import_module(module), attribute)

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)


def rows(table: Table) -> Table:
    """The table as it is; marks it as data whose rows enter addresses as resolved values."""
    return table
