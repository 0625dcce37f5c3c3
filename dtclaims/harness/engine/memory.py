"""How much memory this process, those that it starts and the GPUs hold, looked at while they work."""

import contextlib
import os
from pathlib import Path

from dtclaims.device import gpus_for
from dtclaims.harness.engine.usage import Looking, family, of_gpus

EVERY = 0.5
"""Seconds between two looks. Caching allocators keep what they had until a job ends, so a peak is seldom missed."""
CONTEXT = 0.8e9
"""Bytes of a GPU that a process holds beside its tensors. Ours: five idle workers held 3.6 GiB of an H200, rounded
up."""
PAGE = os.sysconf("SC_PAGE_SIZE") if hasattr(os, "sysconf") else 4096
LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


class Watch(Looking):
    """Looks at the memory until it is left.

    Args:
        device: of the session, whose GPUs are looked at.
    """

    def __init__(self, device: str) -> None:
        super().__init__()
        self._names = gpus_for(device)
        self.gpus = len(self._names)
        self.there = memory_there()
        """Bytes of memory that there are."""
        self.process = 0.0
        """Bytes that this process and those below it held at most, what they share counted in none of them."""
        self.gpu: tuple[float, float] | None = None
        """Bytes that were held on one GPU at most, by whomever, and what it has; None where nobody can say."""

    def _look(self) -> None:
        while True:
            self.process = max(self.process, process_memory())
            for used, there in gpu_memory(self._names):
                if self.gpu is None or used > self.gpu[0]:
                    self.gpu = (used, there)
            if self._over.wait(EVERY):
                return


def memory_there() -> float:
    """Bytes of memory that this process may use: the machine's, or what its control group grants."""
    found = [float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))]
    for limit in LIMITS:
        # Absent, or "max".
        with contextlib.suppress(OSError, ValueError):
            found.append(float(limit.read_text(encoding="ascii")))
    return min(found)


def process_memory(root: int | None = None) -> float:
    """Bytes of memory that a process and all below it hold alone; 0 where the system does not say.

    Args:
        root: number of the process; None for this one.
    """
    total = 0.0
    for number in family(root):
        with contextlib.suppress(OSError, ValueError, IndexError):
            pages = Path(f"/proc/{number}/statm").read_text(encoding="ascii").split()
            total += (int(pages[1]) - int(pages[2])) * PAGE
    return total


def gpu_memory(names: list[str]) -> list[tuple[float, float]]:
    """Bytes held and there on each GPU, by the driver's own tool; nothing where that is not installed.

    Args:
        names: of GPUs, as CUDA_VISIBLE_DEVICES has them.
    """
    return [(used * 2**20, there * 2**20) for used, there in of_gpus(names, "memory.used", "memory.total")]
