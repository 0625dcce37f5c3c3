"""Which device runs use, found out without importing torch."""

import ctypes
import importlib.metadata
import os
from pathlib import Path

from dtclaims.errors import UsageError


def cuda_devices() -> int:
    """How many CUDA devices this torch could use: the driver is asked, torch's build is read from its version."""
    try:
        if importlib.metadata.version("torch").endswith("+cpu"):
            return 0
    except importlib.metadata.PackageNotFoundError:
        return 0
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return 0
    count = ctypes.c_int(0)
    if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return 0
    return count.value


def resolve_device(choice: str) -> str:
    """The device meant by `auto`, `cpu`, `cuda` or `cuda:i`.

    Raises:
        UsageError: another word, or a CUDA device that is not there.
    """
    devices = cuda_devices()
    if choice == "auto":
        return "cuda" if devices else "cpu"
    kind, _, number = choice.partition(":")
    if kind not in ("cpu", "cuda") or (number and (kind == "cpu" or not number.isdigit())):
        raise UsageError("unknown device", given=repr(choice), expected="auto, cpu, cuda or cuda:i")
    if kind == "cuda" and int(number or 0) >= devices:
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
