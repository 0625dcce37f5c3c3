"""Which paper a folder of claims is about, and which lab does its work: its `paper.json`.

    {
      "title": "...", "authors": "...", "venue": "...", "year": 2026, "url": "https://...",
      "lab": "my_lab:LAB",
      "label": "what verdicts on these claims are evidence of; every rendering of a report repeats it"
    }

`lab` names a module, one beside the file or one that can be imported, and the lab in it. `label` may be left out; the
scale's own then stands in its place. `figures` asks for the figures and tables that the lab draws of the paper, and
`inventory` names a file that says what is declared otherwise than the claims were worded at first.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from dtclaims.errors import UsageError
from dtclaims.files import parse_json, plain_text

FILE = "paper.json"


@dataclass(frozen=True)
class Publication:
    """A paper, as a report names it."""

    title: str
    authors: str
    venue: str
    year: int | None
    """None only where there is no `paper.json`."""
    url: str
    lab: str | None = None
    """`module:ATTRIBUTE`; None only where there is no `paper.json`."""
    label: str | None = None
    """Replaces the scale's label in reports."""
    figures: bool = False
    """Whether reports show the figures and tables that the lab draws."""
    inventory: str | None = None
    """A JSON file, from the folder of claims: what its `claims` say by id `changed` against the first wording."""

    def to_json(self) -> dict[str, Any]:
        """What a report's `paper` holds."""
        return {
            name: value for name, value in asdict(self).items() if name not in ("lab", "label", "figures", "inventory")
        }


TYPES = {
    "title": str,
    "authors": str,
    "venue": str,
    "year": int,
    "url": str,
    "lab": str,
    "label": str,
    "figures": bool,
    "inventory": str,
}
REQUIRED = ("title", "authors", "venue", "year", "url", "lab")


def read_publication(folder: Path) -> Publication:
    """The paper that the claims in a folder are about; one without `paper.json` is called by the folder's name.

    Raises:
        UsageError: a `paper.json` that cannot be read, lacks a field, or has one that is unknown or of another type.
    """
    path = folder / FILE
    if not path.is_file():
        return Publication(folder.resolve().name, "unknown authors", f"no {FILE} beside the claims", None, "")
    expected = f"an object with {', '.join(REQUIRED)}, and perhaps label"
    try:
        content = parse_json(plain_text(path))
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be read", given=error, expected=expected) from None
    if not isinstance(content, dict):
        raise UsageError(f"{path} describes no paper", given=type(content).__name__, expected=expected)
    if unknown := sorted(set(content) - {field.name for field in fields(Publication)}):
        raise UsageError(f"{path} has unknown fields", given=", ".join(unknown), expected=expected)
    if missing := [name for name in REQUIRED if name not in content]:
        raise UsageError(f"{path} lacks {', '.join(missing)}", expected=expected)
    for name, value in content.items():
        # Exactly the type: true is an int to Python.
        if type(value) is not TYPES[name] or (
            name in ("title", "lab", "label", "inventory") and not str(value).strip()
        ):
            kind = {str: "some text", int: "a whole number", bool: "true or false"}[TYPES[name]]
            raise UsageError(f"{path} has a {name} that cannot be used", given=repr(value), expected=kind)
    return Publication(**content)


def changed_since_inventory(folder: Path) -> dict[str, str]:
    """By claim, what is declared otherwise than it was worded at first, and why; empty where no inventory is named.

    Raises:
        UsageError: a `paper.json` that is broken, or an inventory that cannot be read or is not of the form.
    """
    named = read_publication(folder).inventory
    if named is None:
        return {}
    path, expected = folder / named, '{"claims": {id: {"changed": a sentence, or null}}}'
    try:
        content = parse_json(plain_text(path))
        return {id: str(row["changed"]) for id, row in content["claims"].items() if row.get("changed")}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"the inventory {path} cannot be read", given=error, expected=expected) from None


def common_publication(folders: Iterable[Path]) -> Publication:
    """The one paper that the claims of a session are about.

    Raises:
        UsageError: claims of two papers, or a broken `paper.json`.
    """
    found = list(dict.fromkeys(read_publication(folder) for folder in dict.fromkeys(folders)))
    if len(found) != 1:
        raise UsageError(
            "a report is about one paper",
            given=" and ".join(one.title for one in found) or "no claims",
            remedy="Judge each folder of claims in a session of its own.",
        )
    return found[0]
