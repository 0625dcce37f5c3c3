"""The command that does a session again, or what it lacks: a remedy repeats what its user chose."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from dtclaims.harness.lab import Scale

OWN = ("scale", "protocol", "task", "seeds", "expect", "compare", "fail_on")
"""Options that a remedy has its own word on, or that only say when a test fails."""


def again(
    folder: Path,
    scale: Scale,
    given: Mapping[str, str],
    *,
    protocol: str = "",
    task: str = "",
    seeds: Sequence[int] = (),
    claims: Sequence[str] = (),
) -> str:
    """A command line of pytest, in the order in which its help lists the options.

    Args:
        folder: of the claims.
        scale: to be judged at.
        given: what the user typed, by the names of options; `-p` by its letter.
        protocol: if not both.
        task: as `--task` takes it; where nothing is said, the scale's own.
        seeds: as many as the scale takes if none are named.
        claims: ids; all if none are named.
    """
    loaded = ["-p", given["-p"]] if "-p" in given else []
    words = ["pytest", *loaded, shown(folder), *(["-m", "gpu"] if scale.needs_gpu else []), "--scale", scale.name]
    own = {"protocol": protocol, "task": task, "seeds": _seeds(seeds)}
    repeated = {name: value for name, value in given.items() if name not in (*OWN, "-p")}
    for name, value in {**own, **repeated}.items():
        if value:
            words += [f"--{name.replace('_', '-')}", value]
    for one in claims:
        words += ["--claim", one]
    return shlex.join(words)


def shown(path: Path) -> str:
    """A folder of claims, or a file, as it is named on a command line here."""
    path = path.resolve()
    found = str(path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path)
    # Or it would be taken for an option.
    return f"./{found}" if found.startswith("-") else found


def _seeds(seeds: Sequence[int]) -> str:
    if tuple(seeds) == tuple(range(len(seeds))):
        return str(len(seeds)) if seeds else ""
    return ",".join(map(str, seeds)) + ("," if len(seeds) == 1 else "")
