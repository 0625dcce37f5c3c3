"""Which commit results are of."""

import os
import subprocess
from pathlib import Path


def commit_of(folder: Path) -> str | None:
    """The commit that CI names (`GITHUB_SHA`), else git's HEAD in a folder; None if there is none."""
    if named := os.environ.get("GITHUB_SHA"):
        return named
    try:
        found = subprocess.run(
            ["git", "-C", str(folder), "rev-parse", "HEAD"], capture_output=True, text=True, check=True, timeout=20
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return found.stdout.strip()
