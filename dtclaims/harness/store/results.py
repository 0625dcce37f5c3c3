"""What a judge asks of the place where results are: a store on disk, or a file of evidence."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from dtclaims.harness.store.looks import Look
    from dtclaims.harness.store.store import StoredRun


class Results(Protocol):
    """Results by key. `Store` and `Evidence` are of this kind."""

    @property
    def root(self) -> Path:
        """The folder or file."""

    @property
    def called(self) -> str:
        """How a reason names it."""

    def find(self, key: str) -> "StoredRun | None":
        """The run with this key, None if it is not there."""

    def run_keys(self) -> list[str]:
        """Keys of all runs."""

    def find_measurement(self, identity: Mapping[str, Any]) -> Any | None:
        """The value of a measurement, None if it was not taken."""

    def looks(self, cell: tuple[str, ...]) -> "list[Look]":
        """When and on which seeds a cell was judged, the earliest first."""

    def add_look(self, cell: tuple[str, ...], look: "Look") -> None:
        """Remember a look."""
