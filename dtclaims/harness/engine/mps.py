"""CUDA's Multi-Process Service, where it is there: kernels of several workers on a GPU then run beside each other.

Without it a GPU gives its workers turns of some milliseconds each, and a roll-out's short forward waits for a whole
turn of a neighbour's. A daemon of this session's own is started beside the workers and ended with them; nothing of the
GPU's settings is changed, and where it cannot be used all goes on without it.
"""

import contextlib
import ctypes
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

CONTROL = "nvidia-cuda-mps-control"
PIPES = "CUDA_MPS_PIPE_DIRECTORY"
LOGS = "CUDA_MPS_LOG_DIRECTORY"
SWITCH = "DTCLAIMS_MPS"
"""`off` leaves it out."""
PATIENCE = 30.0
"""Seconds that the daemon and a first client get."""
PROBE = """
import ctypes, sys
cuda = ctypes.CDLL("libcuda.so.1")
context = ctypes.c_void_p()
sys.exit(cuda.cuInit(0) or cuda.cuDevicePrimaryCtxRetain(ctypes.byref(context), 0))
"""
"""What a client does first."""


@contextlib.contextmanager
def sharing(gpu: str, note: Callable[[str], None]) -> Iterator[dict[str, str]]:
    """A daemon while it lasts.

    Args:
        gpu: one that several workers share, as `CUDA_VISIBLE_DEVICES` names it.
        note: told why it is not used, where it could have been.

    Yields:
        What workers need in their environment; nothing where there is no daemon of ours.
    """
    control = shutil.which(CONTROL)
    if control is None or os.environ.get(SWITCH) == "off" or PIPES in os.environ or _answers(control):
        # Somebody else's daemon is used as it is: where the environment says, or where all look that are told nothing.
        yield {}
        return
    with tempfile.TemporaryDirectory(prefix="dtclaims-mps-", ignore_cleanup_errors=True) as folder:
        ours = {PIPES: str(Path(folder) / "pipe"), LOGS: str(Path(folder) / "log")}
        for place in ours.values():
            Path(place).mkdir()
        environment = {name: value for name, value in os.environ.items() if name != "CUDA_VISIBLE_DEVICES"} | ours
        try:
            daemon = subprocess.Popen(
                [control, "-f"],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                preexec_fn=_die_with_parent,
            )
        except OSError as error:
            note(f"workers share a GPU without MPS: {error}")
            yield {}
            return
        try:
            problem = _problem(environment | {"CUDA_VISIBLE_DEVICES": gpu}, daemon)
            if problem is not None:
                note(f"workers share a GPU without MPS: {problem}")
            yield {} if problem is not None else ours
        finally:
            _end(control, environment, daemon)


def _answers(control: str) -> bool:
    """Whether a daemon is running that workers would find by themselves."""
    try:
        asked = subprocess.run([control], input=b"get_server_list\n", timeout=10.0, capture_output=True, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return asked.returncode == 0 and b"Cannot find" not in asked.stdout + asked.stderr


def _problem(environment: dict[str, str], daemon: "subprocess.Popen[bytes]") -> str | None:
    """Why a client cannot use the daemon, if it cannot."""
    pipe, until = Path(environment[PIPES]) / "control", time.monotonic() + PATIENCE
    while not pipe.exists():
        if daemon.poll() is not None:
            return f"its daemon ended with exit code {daemon.returncode}"
        if time.monotonic() > until:
            return "its daemon does not answer"
        time.sleep(0.05)
    try:
        tried = subprocess.run(
            [sys.executable, "-c", PROBE], env=environment, timeout=PATIENCE, capture_output=True, check=False
        )
    except subprocess.TimeoutExpired:
        return "a process under it does not come to use the GPU"
    return f"a process under it cannot use the GPU (exit code {tried.returncode})" if tried.returncode else None


def _end(control: str, environment: dict[str, str], daemon: "subprocess.Popen[bytes]") -> None:
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        subprocess.run([control], input=b"quit\n", env=environment, timeout=10.0, capture_output=True, check=False)
    stops: tuple[Callable[[], None], ...] = (lambda: None, daemon.terminate, daemon.kill)
    for stop in stops:
        stop()
        with contextlib.suppress(subprocess.TimeoutExpired):
            daemon.wait(5.0)
            return


def _die_with_parent() -> None:
    """On Linux: a killed session leaves no daemon."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)
