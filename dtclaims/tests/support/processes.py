"""What processes there are, read from /proc."""

import time
from collections.abc import Callable
from pathlib import Path


def _status(pid: int) -> list[str]:
    """State, parent and what follows; nothing of a process that is not there."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return []


def children(parent: int) -> list[int]:
    """Processes that a process has started and that still run."""
    there = [int(folder.name) for folder in Path("/proc").iterdir() if folder.name.isdigit()]
    return [pid for pid in there if (_status(pid) or ["Z", ""])[1] == str(parent) and not gone(pid)]


def gone(pid: int) -> bool:
    """Whether a process has ended, be it that nobody has asked for its exit code."""
    return (_status(pid) or ["Z"])[0] == "Z"


def until(happened: Callable[[], bool], seconds: float = 20.0) -> None:
    """Wait for something that comes soon, and fail where it does not."""
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.05)
