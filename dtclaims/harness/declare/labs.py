"""The lab of a paper, found by the `paper.json` beside its claims. Nothing else names a lab."""

from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

from dtclaims.errors import UsageError
from dtclaims.harness.declare.importing import CannotImport, import_claims, import_module
from dtclaims.harness.declare.papers import FILE, read_publication
from dtclaims.harness.lab import Lab
from dtclaims.harness.options import KNOWN
from dtclaims.places import sha256_file

MEMBERS = (*Lab.__annotations__, *(name for name, value in vars(Lab).items() if callable(value) and name[0] != "_"))
"""What a lab has."""

_known: dict[str, tuple[Lab, object]] = {}
"""By name: the lab, and where its code is (of a file, its content: a copy of a paper's folder is the same paper)."""


def load_lab(folder: Path) -> Lab:
    """The lab of the paper that the claims in a folder are about.

    Raises:
        UsageError: no `paper.json`, none named in it, no such module or attribute, something there that is no lab, a
            lab without a name or with an option of the harness's, or another lab of its name.
    """
    return _load(folder.resolve())


@lru_cache(maxsize=32)
def _load(folder: Path) -> Lab:
    path = folder / FILE
    address = read_publication(folder).lab
    module, colon, attribute = address.partition(":")
    if not colon or not attribute.isidentifier() or not all(part.isidentifier() for part in module.split(".")):
        raise UsageError(f"{path} has a lab that cannot be found", given=repr(address), expected='"module:ATTRIBUTE"')
    beside = folder / f"{module}.py"
    found = _module(beside if beside.is_file() else module, path)
    try:
        lab = getattr(found, attribute)
    except AttributeError:
        raise UsageError(
            f"{path} names a lab that its module does not have", given=address, expected=f"{attribute} in {module}"
        ) from None
    return _checked(lab, address, sha256_file(beside) if beside.is_file() else found.__name__, path)


def _module(where: Path | str, path: Path) -> ModuleType:
    try:
        return import_claims(where) if isinstance(where, Path) else import_module(where)
    except CannotImport as error:
        raise UsageError(
            f"the lab named in {path} cannot be imported",
            given=error.given,
            expected="a module beside it, or one that is installed with all it needs",
        ) from None


def _checked(lab: Any, address: str, code: object, path: Path) -> Lab:
    if missing := [name for name in MEMBERS if not hasattr(lab, name)]:
        raise UsageError(
            f"{address} of {path} is no lab",
            given=f"{type(lab).__name__} without {', '.join(missing)}",
            expected="what `dtclaims.harness.lab.Lab` has",
        )
    if not isinstance(lab.name, str) or not lab.name.strip():
        raise UsageError(f"{address} of {path} is a lab without a name", given=repr(lab.name), expected="some text")
    if taken := [option.name for option in lab.options if option.name in KNOWN]:
        raise UsageError(
            f"the lab {lab.name} has options that every lab has",
            given=", ".join(taken),
            expected="other names: one word means one thing",
        )
    known, origin = _known.setdefault(lab.name, (lab, code))
    if known is not lab and origin != code:
        raise UsageError(
            f"two labs are called {lab.name}",
            given=f"{address} of {path}, and one that was loaded before",
            remedy="Give one of them another name.",
        )
    checked: Lab = lab
    return checked
