"""What jobs took on the machines that worked on a store: STORE/timings.jsonl, a line per job, in no address.

    {"kind": "run", "like": ["small", "K1"], "device": "cuda", "steps": 40, "seconds": 21.3,
     "together": 16, "workers": 4, "gpus": 1, "cores": 16, "slowed": 1.7}

A line is appended whole, so several sessions may write to one file; one that cannot be read is passed over. The file
may be deleted at any time: estimates then come from the lab's own table.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from dtclaims.errors import StoreError
from dtclaims.harness.store.lines import append_line, read_lines

NAME = "timings.jsonl"


@dataclass(frozen=True)
class Timing:
    """What one job took, and in what company."""

    kind: str
    like: tuple[str, ...]
    """Of its cost."""
    device: str
    """Its class."""
    steps: float
    seconds: float
    """Wall time, of its whole group, without its worker's start."""
    together: int
    """Jobs in the group."""
    workers: int
    gpus: int
    cores: int
    slowed: float | None = None
    """By what factor the session's plan had it take longer than alone, for what others do meanwhile; None in files of
    older versions."""


def add_timing(root: Path, timing: Timing) -> None:
    """Append a line; what cannot be written is not: nothing depends on it.

    Args:
        root: of the store.
        timing: to remember.
    """
    append_line(root / NAME, asdict(timing))


def read_timings(root: Path) -> Iterator[Timing]:
    """All that were written, the earliest first; none where there is no file, or none that can be read.

    Args:
        root: of the store.
    """
    with contextlib.suppress(StoreError):
        for found in read_lines(root / NAME):
            with contextlib.suppress(ValueError, TypeError, KeyError):
                timing = Timing(**{**found, "like": tuple(found["like"])})
                numbers = (timing.seconds, timing.steps, timing.workers, timing.cores)
                if all(one > 0 for one in (*numbers, 1.0 if timing.slowed is None else timing.slowed)):
                    yield timing
