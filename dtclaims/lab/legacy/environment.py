"""Where the legacy environment is."""

import os
from pathlib import Path

from dtclaims.places import home

VERSIONS = {"mujoco": "2.1.0", "mujoco-py": "2.1.2.14", "gym": "0.23.1", "d4rl": "1.1"}


def folder() -> Path:
    return Path(os.environ.get("DTCLAIMS_LEGACY") or home() / "legacy").expanduser()


def python(folder: Path) -> list[str]:
    return [str(folder / "bin" / "python"), "-I", "-W", "ignore"]


def variables(folder: Path) -> dict[str, str]:
    binary = folder / "mujoco210"
    return {
        "MUJOCO_PY_MUJOCO_PATH": str(binary),
        "LD_LIBRARY_PATH": str(binary / "bin"),
        "MUJOCO_PY_FORCE_CPU": "1",
    }


def ready() -> Path:
    return folder()
