"""The claims of a folder, by id."""

import os
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path

from dtclaims.errors import UsageError
from dtclaims.harness.declare.claim import Claim
from dtclaims.harness.declare.importing import import_claims as import_claims
from dtclaims.harness.declare.labs import load_lab as load_lab
from dtclaims.places import ROOT

DEFAULT_FOLDER = ROOT / "claims"


def load_claims(folder: Path = DEFAULT_FOLDER) -> dict[str, Claim]:
    """All claims declared in `folder/test_*.py`, in the order of files and lines.

    Raises:
        UsageError: no such folder, or none that may be read, no claim in it, a file that cannot be imported, or one id
            declared twice.
    """
    try:
        # glob takes what may not be read for empty.
        os.listdir(folder)
    except PermissionError as error:
        raise UsageError(
            "the folder of claims may not be read",
            given=f"{folder}: {error.strerror}",
            expected="one that this user can read",
        ) from None
    except OSError:
        # Not there, or no folder: nothing is found in it.
        pass
    files = sorted(folder.glob("test_*.py"))
    if not files:
        raise UsageError(
            "no claims there", given=str(folder), expected="a folder with files test_*.py that declare claims"
        )
    found: list[Claim] = []
    for file in files:
        found += [value for value in vars(import_claims(file)).values() if isinstance(value, Claim)]
    return index(found)


def parts_of(claim: Claim) -> list[Claim]:
    """The claims that a claim is made of, looked up beside it.

    Raises:
        UsageError: a part that is declared nowhere, or that has parts which lead back to it.
    """
    if not claim.parts:
        return []
    library = {claim.id: claim, **_beside(claim.file.parent)}
    unknown = [name for name in claim.parts if name not in library]
    if unknown:
        raise UsageError(f"claim {claim.id} is made of claims that do not exist", given=", ".join(unknown))
    _check_acyclic(claim.id, library)
    return [library[name] for name in claim.parts]


@lru_cache(maxsize=8)
def _beside(folder: Path) -> dict[str, Claim]:
    return load_claims(folder)


def _check_acyclic(start: str, library: dict[str, Claim]) -> None:
    seen: set[str] = set()
    waiting = list(library[start].parts)
    while waiting:
        name = waiting.pop()
        if name == start:
            raise UsageError(f"claim {start} is made of itself", given=" and ".join(sorted(seen)) or start)
        if name not in seen and name in library:
            seen.add(name)
            waiting += library[name].parts


def index(claims: Iterable[Claim]) -> dict[str, Claim]:
    """Claims by id.

    Raises:
        UsageError: one id declared twice.
    """
    by_id: dict[str, Claim] = {}
    for one in claims:
        if one.id in by_id:
            first, second = (f"{each.file}:{each.line}" for each in (by_id[one.id], one))
            raise UsageError(
                "a claim id is declared twice", given=f"{one.id} at {first} and {second}", remedy="Rename one of them."
            )
        by_id[one.id] = one
    return by_id
