"""Debian packages as a source of corpora: download, unpack, and the manifest of what was taken from them."""

import json
import shutil
import subprocess
from collections.abc import Collection, Sequence
from pathlib import Path

from dtclaims.errors import DataError, MissingDependency, UsageError


def choose(names: Sequence[str] | None, table: Collection[str]) -> list[str]:
    """The packages of a table that are meant: those named, or all in the table's order.

    Raises:
        UsageError: a name that is not in the table.
    """
    wanted = list(table) if names is None else list(names)
    if unknown := [name for name in wanted if name not in table]:
        raise UsageError("unknown corpus package", given=", ".join(unknown), expected=f"some of {', '.join(table)}")
    return wanted


def require_tools(instead: str) -> None:
    """Make sure that packages can be fetched here; `instead` names what the user could give otherwise.

    Raises:
        MissingDependency: no `apt-get` or `dpkg-deb`.
    """
    for tool in ("apt-get", "dpkg-deb"):
        if shutil.which(tool) is None:
            raise MissingDependency(
                f"fetching a corpus needs {tool}",
                remedy=f"Run it on a Debian system, or pass your own {instead} with --corpus.",
            )


def unpack_package(name: str, scratch: Path) -> tuple[Path, str]:
    """Download package `name` and unpack it under `scratch`; returns its root folder and version.

    Raises:
        DataError: apt-get or dpkg-deb fails.
    """

    def tool(*command: str) -> str:
        done = subprocess.run(command, cwd=scratch, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise DataError(
                f"package {name} cannot be fetched",
                given=(done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1],
                remedy="Refresh the package lists with 'apt-get update', or leave the package out.",
            )
        return done.stdout.strip()

    # apt hands downloads to a user of its own, which must be able to write here.
    scratch.chmod(0o777)
    tool("apt-get", "download", name)
    (archive,) = scratch.glob("*.deb")
    tool("dpkg-deb", "-x", archive.name, "root")
    return scratch / "root", tool("dpkg-deb", "-f", archive.name, "Version")


def write_manifest(out: Path, made_with: str, files: Sequence[dict[str, object]]) -> None:
    """Write `out/manifest.json`: the command, and what is known of each file."""
    manifest = {"schema": 1, "made_with": made_with, "files": list(files)}
    (out / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n", encoding="utf-8")
