"""Which versions of what dtclaims stands on are tested together, and the page that says with what result.

`pyproject.toml` is the one place where versions are admitted. Each row here is an environment within it
(`nox -s compat`); the session writes its line of `dtclaims/docs/compat.md`. Needs `packaging`, which nox brings, and
nothing of dtclaims: it runs before anything is installed.
"""

import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[3]
PAGE = ROOT / "dtclaims" / "docs" / "compat.md"

LOWER = (">=", "==")

ALL = "all"
"""In place of a package: each of them."""

NOT_BOUNDED = ("dev",)
"""Extras of tools that work on the code and are no part of what runs."""

SHOWN = ("torch", "transformers", "numpy", "scipy", "pandas", "pytest", "gymnasium", "h5py", "hypothesis")
"""Packages whose versions the page shows for each row."""

FAST = ("-m", "not slow and not gpu", "--ignore", "dtclaims/tests/test_compat.py")
"""The fast tier, less the tests of the page: it gets its line after them."""

LIBRARIES = (
    "dtclaims/tests/lab/models",
    "dtclaims/tests/lab/train",
    "dtclaims/tests/lab/data",
    "dtclaims/tests/lab/metrics",
    "dtclaims/tests/lab/pretrain",
    "dtclaims/tests/lab/test_shipped_backbones.py",
    "dtclaims/tests/harness/test_plugin.py",
)
"""The tests that lean on the libraries most: all that CI has the time for beside `nox -s unit`."""


@dataclass(frozen=True)
class Row:
    """An environment: everything is the newest that is admitted but for what is held."""

    python: str
    held: Mapping[str, str | None]
    """Package (or `ALL`) to the version that it is held at; None is its lower bound."""
    why: str


ROWS = {
    "oldest": Row("3.11", {ALL: None}, "every lower bound at once"),
    "newest": Row("3.13", {}, "the newest of all, on the newest Python"),
    "torch": Row("3.11", {"torch": None}, "the oldest torch beside the newest of the rest"),
    "transformers": Row("3.11", {"transformers": None, "tokenizers": None}, "the oldest transformers, likewise"),
    "transformers-5.17": Row(
        "3.11", {"transformers": "5.17"}, "ImageGPT's logits divided by the integer part of a root"
    ),
    "numpy": Row("3.11", {"numpy": None, "scipy": None}, "the oldest numpy and scipy"),
    "pandas": Row("3.11", {"pandas": None}, "the oldest pandas"),
    "pytest": Row("3.11", {"pytest": None, "pytest-xdist": None, "pytest-benchmark": None}, "the oldest pytest"),
    "gymnasium": Row("3.11", {"gymnasium": None}, "the oldest gymnasium"),
}


def project() -> dict[str, Any]:
    """The table `project` of pyproject.toml."""
    found: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return found


def requirements(extras: Sequence[str] | None = None) -> dict[str, Requirement]:
    """What the project asks for, by name as registries write it: of the base and of `extras` (all that are bounded).

    Raises:
        ValueError: a package is asked for twice with other versions: which would be tested?
    """
    table = project()
    optional = table["optional-dependencies"]
    chosen = [name for name in optional if name not in NOT_BOUNDED] if extras is None else extras
    found: dict[str, Requirement] = {}
    for text in [*table["dependencies"], *(one for extra in chosen for one in optional[extra])]:
        one = Requirement(text)
        name = canonicalize_name(one.name)
        if name == table["name"]:
            continue
        if found.setdefault(name, one).specifier != one.specifier:
            raise ValueError(f"{name} is asked for as {found[name]} and as {one}")
    return found


def lowest(one: Requirement) -> str:
    """The lower bound of a requirement.

    Raises:
        ValueError: it has none, or several.
    """
    bounds = [each.version for each in one.specifier if each.operator in LOWER]
    if len(bounds) != 1:
        raise ValueError(f"{one} has {len(bounds)} lower bounds: which version would be the oldest?")
    return bounds[0]


def constraints(row: Row) -> list[str]:
    """The lines of a constraints file that makes an environment this row: exact versions of what is held.

    Raises:
        ValueError: a held package is none of the project's, or has no lower bound.
    """
    asked = requirements()
    held = dict.fromkeys(asked) if ALL in row.held else row.held
    if held.keys() - asked.keys():
        raise ValueError(f"the project does not ask for {sorted(held.keys() - asked.keys())}")
    return [f"{name}=={version or lowest(asked[name])}" for name, version in held.items()]


def result(junit: Path) -> str:
    """What pytest's own record of a session says, as `1200 passed, 3 skipped`."""
    counts = {"tests": 0, "failures": 0, "errors": 0, "skipped": 0}
    for suite in ElementTree.parse(junit).getroot().iter("testsuite"):
        counts = {name: count + int(suite.get(name, "0")) for name, count in counts.items()}
    passed = counts["tests"] - counts["failures"] - counts["errors"] - counts["skipped"]
    said = [f"{passed} passed"]
    for name, word in (("failures", "failed"), ("errors", "in error"), ("skipped", "skipped")):
        said += [f"{counts[name]} {word}"] if counts[name] else []
    return ", ".join(said)


VERSIONS = f"""
import importlib.metadata, json, platform
print(json.dumps({{"python": platform.python_version()}} | {{one: importlib.metadata.version(one) for one in {SHOWN}}}))
"""
"""Run by the Python of a row: the versions that the page shows."""


def line(name: str, versions: Mapping[str, str], tests: str, found: str, day: str) -> str:
    """The line of a row in the page's table."""
    return "| " + " | ".join([f"`{name}`", *(versions[one] for one in ("python", *SHOWN)), tests, found, day]) + " |"


def record(name: str, printed: str, tests: Sequence[str], found: str, day: str) -> None:
    """Put a row's last result into the page.

    Args:
        name: of the row.
        printed: what `VERSIONS` printed in its environment.
        tests: paths that were run; none is the whole fast tier.
        found: `result` of the session.
        day: ISO date.
    """
    places = ", ".join(f"`{place.removeprefix('dtclaims/tests/')}`" for place in tests)
    said = "`libraries`" if tuple(tests) == LIBRARIES else places or "the fast tier"
    new = line(name, json.loads(printed), said, found, day)
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    (at,) = (i for i, one in enumerate(lines) if one.startswith(f"| `{name}` |"))
    lines[at] = new
    PAGE.write_text("\n".join(lines) + "\n", encoding="utf-8")
