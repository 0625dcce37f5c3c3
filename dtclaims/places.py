"""Files that ship with dtclaims: where they are, and proof that they are the recorded ones."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import platformdirs

from dtclaims.errors import FixtureError, UsageError

PACKAGE = Path(__file__).resolve().parent
SHIPPED = PACKAGE / "_shipped"
"""Where a wheel carries what lies outside the package in a checkout: claims, evidence, the paper's values, examples."""

ROOT = SHIPPED if SHIPPED.is_dir() else PACKAGE.parent
"""The checkout, or what of it an installation carries: the same paths lead to the same files in both."""


def fixture_dir() -> Path:
    """The folder `fixtures/`; an installation's has no weights, policies and recorded arrays.

    Raises:
        FixtureError: it is not there.
    """
    folder = ROOT / "fixtures"
    if not folder.is_dir():
        raise FixtureError(
            "the fixtures are not beside the package",
            expected=str(folder),
            remedy="Install from a checkout: git clone the project, then `pip install -e .`.",
        )
    return folder


def home() -> Path:
    """Where dtclaims keeps what it makes: `DTCLAIMS_HOME`, or the user's cache folder.

    Raises:
        UsageError: neither is known, as for a user id without a home.
    """
    override = os.environ.get("DTCLAIMS_HOME")
    try:
        folder = Path(override or platformdirs.user_cache_dir("dtclaims")).expanduser()
    except RuntimeError:
        raise UsageError(
            "there is no home folder to keep things in",
            given=override or "a user without one",
            expected="a folder that can be written",
            remedy="Set DTCLAIMS_HOME to one.",
        ) from None
    return folder


def sha256_file(path: Path) -> str:
    """The SHA-256 of a file's bytes, as hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def restoring(folder: Path) -> str:
    """What to do about an artefact that is not as it was written: a shipped one comes back, others are made again."""
    if (ROOT / "fixtures").resolve() in folder.resolve().parents:
        return f"Restore it: `git checkout -- {folder}`, or remake it with the command in its card."
    return "Bring it back from where it was copied from, or delete it and make it again with the command in its card."


def read_card(folder: Path) -> dict[str, Any]:
    """The card of a shipped (or self-made) artefact, after checking the files it names.

    Raises:
        FixtureError: no card, an unreadable card, or a file whose SHA-256 is not the recorded one.
    """
    path = folder / "card.json"
    try:
        card: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        files: dict[str, dict[str, Any]] = card["files"]
    except FileNotFoundError:
        raise FixtureError(
            "no card in the folder", given=str(folder), expected="a card.json", remedy=restoring(folder)
        ) from None
    except (ValueError, KeyError, TypeError) as error:
        raise FixtureError(f"{path} is no card", given=repr(error), remedy=restoring(folder)) from None
    for name, recorded in files.items():
        file = folder / name
        if not file.is_file():
            raise FixtureError("a file named by the card is missing", given=str(file), remedy=restoring(folder))
        found = sha256_file(file)
        if found != recorded["sha256"]:
            raise FixtureError(
                f"{file} is not the recorded file",
                given=f"sha256 {found}",
                expected=f"sha256 {recorded['sha256']}",
                remedy=restoring(folder),
            )
    return card
