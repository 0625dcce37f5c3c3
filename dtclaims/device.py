"""Which device runs use, found out without importing torch."""

import contextlib
import ctypes
import importlib.metadata
import os
import re
from collections.abc import Iterator
from pathlib import Path

from dtclaims.errors import UsageError


def cuda_devices() -> int:
    """How many CUDA devices this torch could use: the driver is asked, torch's build is read from its version."""
    try:
        if importlib.metadata.version("torch").endswith("+cpu"):
            return 0
    except importlib.metadata.PackageNotFoundError:
        return 0
    if os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1"):
        # Hidden. The driver reads this too, but once for a process.
        return 0
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return 0
    count = ctypes.c_int(0)
    if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return 0
    return count.value


def resolve_device(choice: str, *, elsewhere: bool = False) -> str:
    """The device meant by `auto`, `cpu`, `cuda` or `cuda:i`.

    Args:
        choice: as typed.
        elsewhere: nothing is done here, so that any device will do.

    Raises:
        UsageError: another word, or a CUDA device that is not there.
    """
    devices = cuda_devices()
    if choice == "auto":
        return "cuda" if devices else "cpu"
    kind, colon, number = choice.partition(":")
    if kind not in ("cpu", "cuda") or (colon and (kind == "cpu" or not re.fullmatch("[0-9]{1,4}", number))):
        raise UsageError("unknown device", given=repr(choice), expected="auto, cpu, cuda or cuda:i")
    if kind == "cuda" and int(number or 0) >= devices and not elsewhere:
        raise UsageError(
            "no such CUDA device",
            given=choice,
            expected=f"one of {devices}" if devices else "a CUDA build of torch and a driver",
            remedy="Use --device cpu, or run on a machine with a GPU.",
        )
    return choice


def device_class(device: str) -> str:
    """`cpu` or `cuda`: results are the same kind on any device of a class."""
    return device.partition(":")[0]


def gpus_for(device: str) -> list[str]:
    """The GPUs that `cuda` (all) or `cuda:i` (that one) mean, as `CUDA_VISIBLE_DEVICES` names them; none on a CPU."""
    kind, _, number = device.partition(":")
    if kind != "cuda":
        return []
    count = cuda_devices()
    visible = [name.strip() for name in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if name.strip()]
    names = visible[:count] or [str(i) for i in range(count)]
    return [names[int(number)]] if number else names


def runs_per_gpu(most: int | None, cores: int | None = None) -> int:
    """How many jobs share a GPU: as many as their scale lets, and one per core beside it.

    Args:
        most: at most so many (`Scale.per_gpu`); None where there is nothing to do.
        cores: beside one GPU; None where they are counted otherwise.
    """
    return max(1, most or 1 if cores is None else min(most or 1, cores))


def cores_each(workers: int, cores: int) -> int:
    """Cores that each of some workers may use: a quarter of all, or twice its share where that is more.

    Its neighbours seldom want theirs at once: with twice its share, 32 workers kept 25 of 64 cores busy while all were
    at work, and in the end, when few were left, eight.
    """
    return min(cores, max(-(-cores // 4), -(-2 * cores // workers)))


def worker_count(most: int | None, workers: int | None, gpus: int, cores: int) -> int:
    """How many worker processes a session has on a machine: one per core, or several per GPU.

    Args:
        most: at most so many per GPU (`Scale.per_gpu`).
        workers: as many as the user says; None leaves it to the machine.
        gpus: of the machine.
        cores: of the machine.
    """
    return workers or (runs_per_gpu(most, cores // gpus) * gpus if gpus else cores)


CORES_BESIDE_A_GPU = 16
"""Of a machine that a session is planned for and nothing is said of: what the shipped costs were measured beside."""


def machine_of(device: str, gpus: int | None = None, cores: int | None = None) -> tuple[int, int]:
    """How many GPUs and cores a session has, or is planned for.

    Args:
        device: of the session.
        gpus: as the user says; else all that it means here, or one where there is none.
        cores: as the user says; else all, or as many as stand beside the GPUs of a machine that is not here.
    """
    if device_class(device) != "cuda":
        return 0, cores or cpu_count()
    here = cuda_devices()
    gpus = gpus or (here if device == "cuda" else 1) or 1
    return gpus, cores or (cpu_count() if gpus <= here else CORES_BESIDE_A_GPU * gpus)


def check_limits(device: str, gpus: int | None, cores: int | None) -> None:
    """Refuse a session that is to use more than this machine has.

    Raises:
        UsageError: more GPUs or cores than there are, GPUs for a session without, or cores where the system cannot
            take them from a process.
    """
    remedy = "Leave it out to use all that is here; with --plan any machine can be planned for."
    there = len(gpus_for(device))
    if gpus is not None and gpus > there:
        raise UsageError("--gpus says more than there are", given=gpus, expected=f"at most {there}", remedy=remedy)
    if cores is None:
        return
    if not hasattr(os, "sched_setaffinity"):
        raise UsageError("--cores cannot limit a session on this system", given=cores, remedy="Use --workers.")
    if cores > cpu_count():
        raise UsageError(
            "--cores says more than there are", given=cores, expected=f"at most {cpu_count()}", remedy=remedy
        )


@contextlib.contextmanager
def limited(gpus: int | None, cores: int | None) -> Iterator[None]:
    """Let this process, and those that it starts meanwhile, have the first few GPUs and cores only.

    Args:
        gpus: how many; None for all.
        cores: how many; None for all.
    """
    visible, name = os.environ.get("CUDA_VISIBLE_DEVICES"), "CUDA_VISIBLE_DEVICES"
    allowed = os.sched_getaffinity(0) if cores is not None else set[int]()
    try:
        if gpus is not None:
            os.environ[name] = ",".join(gpus_for("cuda")[:gpus])
        if cores is not None:
            os.sched_setaffinity(0, sorted(allowed)[:cores])
        yield
    finally:
        if cores is not None:
            os.sched_setaffinity(0, allowed)
        if gpus is not None:
            if visible is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = visible


def cpu_count() -> int:
    """Cores that this process may use, which in a container or under a batch system are fewer than the machine's."""
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:
        cores = os.cpu_count() or 1
    quota = _quota()
    return cores if quota is None else max(1, min(cores, int(quota)))


CGROUP = Path("/sys/fs/cgroup")
OWN_CGROUPS = Path("/proc/self/cgroup")


def _quota() -> float | None:
    """Cores that control groups grant (`docker run --cpus`, a batch system), version 2 or 1; None if they grant all.

    The narrowest of this process's group and those above it counts. In a container the group may bear a name that it
    has only outside, and what is mounted is the group itself: names that are not there are passed over.
    """
    try:
        lines = OWN_CGROUPS.read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    groups = {CGROUP, CGROUP / "cpu"}
    for line in lines:
        number, controllers, path = line.split(":", 2)
        if number == "0" or "cpu" in controllers.split(","):
            top = CGROUP if number == "0" else CGROUP / "cpu"
            own = top / path.lstrip("/")
            groups.update(one for one in (own, *own.parents) if one.is_relative_to(top))
    return min(filter(None, map(_granted, groups)), default=None)


def _granted(group: Path) -> float | None:
    """Cores that one control group grants."""
    try:
        if (group / "cpu.max").is_file():
            found = (group / "cpu.max").read_text(encoding="ascii").split()
        else:
            names = ("cpu.cfs_quota_us", "cpu.cfs_period_us")
            found = [(group / name).read_text(encoding="ascii").strip() for name in names]
        granted, period = map(float, found)
    except (OSError, ValueError):
        # Not there, or "max".
        return None
    return granted / period if granted > 0 and period > 0 else None
