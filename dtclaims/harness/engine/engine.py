"""What carries jobs out: one small interface, and what it tells."""

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Protocol, Self

if TYPE_CHECKING:
    from dtclaims.harness.engine.work import Group

EXECUTORS = ("processes", "inline", "ray")
"""Names of the engines: processes of this machine, this process itself, a Ray cluster."""

Status = Literal["made", "found", "busy", "failed", "full", "died", "apart"]


@dataclass(frozen=True)
class Advanced:
    """Steps of a job done so far."""

    key: str
    done: int
    total: int


@dataclass(frozen=True)
class Noted:
    """Something about a job that the user should read."""

    key: str
    text: str


@dataclass(frozen=True)
class Spent:
    """What a job, or the group that it is the first of, spent its time on since it last said so."""

    key: str
    seconds: Mapping[str, float]
    """By what it was spent on."""


@dataclass(frozen=True)
class Ended:
    """A job left its worker.

    `made`: it is in the store now; `found`: it was already there; `busy`: another process is making it;
    `failed`: with an error of its own; `full`: there was no room for what it writes; `died`: its worker is gone;
    `apart`: doing it together with others failed, which says nothing of it alone.
    """

    key: str
    status: Status
    text: str = ""


Event = Advanced | Noted | Spent | Ended


class Engine(Protocol):
    """Workers, wherever they are. A context manager: leaving it without an error waits, with one kills."""

    @property
    def slots(self) -> int:
        """How many groups of jobs it takes at once now."""

    def start(self, group: "Group") -> None:
        """Begin jobs that are done together; call it while fewer than `slots` groups are running."""

    def wait(self, timeout: float | None, tell: Callable[[Event], None]) -> None:
        """Wait until something happens, at most `timeout` seconds, and tell it; call it while jobs are running."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def imported(address: str) -> Any:
    """What is at an address `module:name`, of an engine or logger that another plugin provides; None if nothing is.

    Raises:
        ImportError: no such module.
    """
    module, _, name = address.partition(":")
    return getattr(importlib.import_module(module), name, None)
