"""Which device runs use, found out without importing torch."""

import ctypes
import importlib.metadata

from dtclaims.errors import UsageError


def cuda_devices() -> int:
    """How many CUDA devices this torch could use: the driver is asked, torch's build is read from its version."""
    if importlib.metadata.version("torch").endswith("+cpu"):
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
