"""What processes there are, read from /proc."""

import signal
import subprocess
import sys
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


def check_workers_end(session: str, stop: signal.Signals) -> None:
    """Let a signal end a session that prints `there` once it has two workers, and wait until they are gone."""
    # What a shell starts in the background ignores SIGINT, and so do its children.
    heard = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    command = [sys.executable, "-W", "ignore", "-c", heard + session]
    parent = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert parent.stdout is not None
    assert parent.stdout.readline() == "there\n"
    workers = children(parent.pid)
    assert len(workers) == 2
    parent.send_signal(stop)
    parent.communicate(timeout=20)
    until(lambda: all(map(gone, workers)))
