"""What the system says of this session's processes, and the driver of its GPUs. Nothing where they do not say."""

import contextlib
import os
import subprocess
import threading
from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import Self


class Looking(ABC):
    """Looks at the machine in a thread, from entering it as a context until leaving it."""

    def __init__(self) -> None:
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        self._thread.join()

    @abstractmethod
    def _look(self) -> None:
        """Look again and again, until `_over` is set."""


def family(root: int | None = None) -> set[int]:
    """Numbers of a process and of all below it.

    Args:
        root: number of the process; None for this one.
    """
    parents: dict[int, int] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            parents[int(folder.name)] = int(_state(int(folder.name))[1])
    found, grown = {os.getpid() if root is None else root}, True
    while grown:
        below = {number for number, parent in parents.items() if parent in found} - found
        found |= below
        grown = bool(below)
    return found


def core_seconds(root: int | None = None) -> float:
    """Seconds of cores that a process, all below it, and those below it that have ended took; 0 if nobody says.

    Args:
        root: number of the process; None for this one.
    """
    if not hasattr(os, "sysconf"):
        return 0.0
    ticks = 0
    for number in family(root):
        with contextlib.suppress(OSError, ValueError, IndexError):
            # Of itself, and of children that it has waited for: user's and system's.
            ticks += sum(map(int, _state(number)[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")


def _state(number: int) -> list[str]:
    text = Path(f"/proc/{number}/stat").read_text(encoding="utf-8", errors="replace")
    # The command's name is in parentheses, and may hold anything.
    return text.rpartition(")")[2].split()


def of_gpus(names: list[str], *asked: str) -> list[tuple[float, ...]]:
    """What the driver's own tool says of each GPU; nothing where that is not installed.

    Args:
        names: of GPUs, as CUDA_VISIBLE_DEVICES has them.
        asked: names of numbers, as `nvidia-smi --help-query-gpu` lists them.
    """
    if not names:
        return []
    query = f"--query-gpu={','.join(asked)}"
    command = ["nvidia-smi", "-i", ",".join(names), query, "--format=csv,noheader,nounits"]
    try:
        said = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout
        return [tuple(map(float, line.split(","))) for line in said.splitlines() if line.strip()]
    except (OSError, subprocess.SubprocessError, ValueError):
        return []
