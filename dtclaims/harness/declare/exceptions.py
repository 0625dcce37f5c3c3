"""Claims whose direction the paper's own data fail: `exceptions.json` beside the claims, each with its reason.

    [{"claim": "D3-threshold", "seed": 666, "component": "hopper", "reason": "contradicted by Fig. 1: …"}]

A claim's test has to hold on the paper's own values of the main text (`dtclaims calibrate`), or stand here. `component`
is a part, a task or both, as the table names it; without it all that fails of the claim is meant.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from dtclaims.errors import UsageError
from dtclaims.files import parse_json, plain_text

FILE = "exceptions.json"
FIELDS = {"claim": str, "seed": int, "component": str, "reason": str}
OPTIONAL = ("component",)
EXPECTED = 'a list of {"claim": id, "seed": of the paper, "component": a part or task (optional), "reason": a sentence}'


@dataclass(frozen=True)
class Exempt:
    """One failure on the paper's own values that is the paper's."""

    claim: str
    seed: int
    """Of the paper."""
    reason: str
    """As a reader is told it: "contradicted by Fig. 8"."""
    component: str | None = None
    """None: whatever fails of the claim on that seed."""

    def covers(self, seed: int, component: str) -> bool:
        """Whether it is about what one reading says."""
        return self.seed == seed and self.component in (None, component)


def exceptions_beside(folder: Path) -> tuple[Exempt, ...]:
    """The exceptions of a folder of claims; none where there is no such file.

    Raises:
        UsageError: a file that cannot be read, or is not of the form.
    """
    path = folder / FILE
    try:
        changed = path.stat().st_mtime_ns
    except OSError:
        return ()
    return _read(path, changed)


@lru_cache(maxsize=8)
def _read(path: Path, _changed: int) -> tuple[Exempt, ...]:
    try:
        content = parse_json(plain_text(path))
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be read", given=error, expected=EXPECTED) from None
    if not isinstance(content, list):
        raise UsageError(f"{path} lists no exceptions", given=type(content).__name__, expected=EXPECTED)
    found = tuple(_exempt(one, f"{path}, entry {place}") for place, one in enumerate(content))
    named = [(one.claim, one.seed, one.component) for one in found]
    if twice := [one for one in named if named.count(one) > 1]:
        raise UsageError(f"{path} has an exception twice", given=" ".join(str(part) for part in twice[0] if part))
    return found


def _exempt(entry: Any, where: str) -> Exempt:
    if not isinstance(entry, dict):
        raise UsageError(f"{where} is no exception", given=type(entry).__name__, expected=EXPECTED)
    if unknown := sorted(set(entry) - set(FIELDS)):
        raise UsageError(f"{where} has unknown fields", given=", ".join(unknown), expected=EXPECTED)
    if missing := [name for name in FIELDS if name not in entry and name not in OPTIONAL]:
        raise UsageError(f"{where} lacks {', '.join(missing)}", expected=EXPECTED)
    for name, value in entry.items():
        # Exactly the type: true is an int to Python.
        if type(value) is not FIELDS[name] or (isinstance(value, str) and not value.strip()):
            raise UsageError(f"{where} has a {name} that cannot be used", given=repr(value), expected=EXPECTED)
    return Exempt(**entry)


def known_only(found: Iterable[Exempt], claims: Iterable[str], folder: Path) -> None:
    """Refuse exceptions of claims that there are not.

    Raises:
        UsageError: it names them.
    """
    known = set(claims)
    if unknown := sorted({one.claim for one in found if one.claim not in known}):
        raise UsageError(
            f"{folder / FILE} excepts claims that are not declared", given=", ".join(unknown), expected="their ids"
        )
