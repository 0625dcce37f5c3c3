"""What other plugins add to a session, and the one place where their names are understood.

A plugin provides engines and loggers under names that users type (`--executor NAME`, `--logger NAME`), and formats in
which the report is written too (`dtclaims.harness.hookspec`). Engines and loggers are wanted in worker processes, which
have no plugins: they travel as the address of what the plugin gave, `module:name`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dtclaims.errors import UsageError
from dtclaims.harness.engine.engine import EXECUTORS, imported
from dtclaims.harness.engine.loggers import LOGGERS
from dtclaims.harness.options import no_such

Format = Callable[[dict[str, Any]], str]
"""A report as the text of a file."""


@dataclass(frozen=True)
class Extensions:
    """By name: engines, loggers and report formats of other plugins."""

    engines: Mapping[str, Callable[..., Any]] = field(default_factory=dict)
    loggers: Mapping[str, Callable[..., Any]] = field(default_factory=dict)
    formats: Mapping[str, Format] = field(default_factory=dict)
    """By the ending of the file."""

    def engine_called(self, name: str) -> str:
        """The engine that a user means: a name of ours, or the address of another's.

        Raises:
            UsageError: no such engine.
        """
        if name in self.engines:
            return address_of(self.engines[name])
        if name not in EXECUTORS:
            raise no_such("unknown executor", name, [*EXECUTORS, *self.engines])
        return name

    def loggers_called(self, names: Sequence[str]) -> list[str]:
        """The loggers that a user means: names of ours, or addresses of others'.

        Raises:
            UsageError: no such logger.
        """
        known = [*LOGGERS, *self.loggers]
        if unknown := [name for name in names if name not in known]:
            raise no_such("unknown logger", unknown[0], known)
        return [address_of(self.loggers[name]) if name in self.loggers else name for name in names]

    def write(self, document: dict[str, Any], folder: Path) -> dict[str, Path]:
        """Write a report in the formats of other plugins, beside ours; their paths by format.

        Raises:
            ReportError: a file that cannot be written.
        """
        from dtclaims.harness.report.document import replace_all

        paths = {name: folder / f"report.{name}" for name in self.formats}
        replace_all({path: self.formats[name](document) for name, path in paths.items()})
        return paths


NONE = Extensions()


def gathered(kind: str, given: Sequence[Mapping[str, Any]], taken: Sequence[str]) -> dict[str, Any]:
    """What all plugins provide of one kind.

    Args:
        kind: for messages.
        given: a mapping from each plugin.
        taken: names of ours.

    Raises:
        UsageError: two things of one name.
    """
    found: dict[str, Any] = {}
    for one in given:
        for name, thing in one.items():
            if name in taken or name in found:
                raise UsageError(f"two plugins provide the {kind} {name}", remedy="Leave one of them out: -p no:NAME.")
            found[name] = thing
    return found


def address_of(thing: Callable[..., Any]) -> str:
    """Where something at the top of a module can be imported from.

    Raises:
        UsageError: it cannot, so that no worker process could.
    """
    address = f"{thing.__module__}:{thing.__qualname__}"
    if imported(address) is not thing:
        raise UsageError("a plugin's engine or logger is not at the top of its module", given=address)
    return address
