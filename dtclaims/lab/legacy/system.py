"""What a machine needs before the legacy environment can be made on it: a Python, a compiler, two libraries."""

import platform
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from dtclaims.errors import MissingDependency

PYTHONS = ((3, 12), (3, 11))
"""Those that dtclaims and numpy 1.26 both know."""

LACKS = """
import importlib.util, os, sys, sysconfig
name = "python%d.%d" % sys.version_info[:2]
header = os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h"))
print(*[] if header else [name + "-dev"], *[] if importlib.util.find_spec("ensurepip") else [name + "-venv"])
"""
"""Says which packages of Debian's a Python comes without: its headers, and what makes virtual environments."""


@dataclass(frozen=True)
class Need:
    """Something that a system package brings."""

    what: str
    packages: Sequence[str]
    """Debian's and Ubuntu's names."""
    source: str
    """C that compiles where it is there."""
    libraries: Sequence[str] = ()


NEEDS = (
    Need("a C compiler with the C library's headers", ("gcc", "libc6-dev"), "#include <stdio.h>"),
    Need("OSMesa and its header", ("libosmesa6-dev",), "#include <GL/osmesa.h>", ("-lOSMesa",)),
    Need("libGL to link with", ("libgl-dev",), "", ("-lGL",)),
)


def find_python() -> str:
    """A Python that the environment can be made with: this one, or one of its kind on PATH.

    Raises:
        MissingDependency: there is none, or this is another system than the binary is for.
    """
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        raise MissingDependency(
            "the legacy environment cannot be made on this system",
            given=f"{sys.platform} {platform.machine()}",
            expected="linux x86_64, which its MuJoCo 2.1.0 is for",
        )
    if sys.version_info[:2] in PYTHONS and sys.implementation.name == "cpython":
        # Not this process's own environment: what is made lives longer than it may.
        return str(getattr(sys, "_base_executable", sys.executable))
    for major, minor in PYTHONS:
        if found := shutil.which(f"python{major}.{minor}"):
            return found
    known = " or ".join(f"{major}.{minor}" for major, minor in reversed(PYTHONS))
    raise MissingDependency(
        "the legacy environment needs a Python that numpy 1.26 knows",
        given=f"{platform.python_version()}, and no other on PATH",
        expected=f"CPython {known}",
        remedy="Install one beside it: `apt-get install python3.12 python3.12-dev python3.12-venv`, or `uv python "
        "install 3.12` and its folder on PATH.",
    )


def check_system(python: str) -> None:
    """See that what the environment is made with is there.

    Args:
        python: that it is made with.

    Raises:
        MissingDependency: something lacks; the remedy is one line that installs all of it.
    """
    lacking = [need for need in NEEDS if not _compiles(need)]
    if lacking and lacking[0] is NEEDS[0]:
        # Without a compiler one cannot tell what else is there; to install what is changes nothing.
        lacking = list(NEEDS)
    whats, packages = [need.what for need in lacking], [one for need in lacking for one in need.packages]
    if not shutil.which("patchelf"):
        whats.append("patchelf")
        packages.append("patchelf")
    found = subprocess.run([python, "-I", "-c", LACKS], text=True, capture_output=True, check=True).stdout.split()
    whats += found
    packages += found
    if packages:
        raise MissingDependency(
            "this system lacks what the legacy environment is made with",
            given="no " + ", no ".join(whats),
            remedy=f"`apt-get install {' '.join(packages)}`, or your system's packages of the same.",
        )


def _compiles(need: Need) -> bool:
    command = ["gcc", "-shared", "-fPIC", "-x", "c", "-", "-o", "/dev/null", *need.libraries]
    try:
        return subprocess.run(command, input=need.source, text=True, capture_output=True, check=False).returncode == 0
    except OSError:
        return False
