"""Which paper a folder of claims is about, and which lab does its work: its `paper.json`.

    {
      "title": "...", "authors": "...", "venue": "...", "year": 2026, "url": "https://...",
      "lab": "my_lab:LAB",
      "label": "what verdicts on these claims are evidence of; every rendering of a report repeats it"
    }

`lab` names a module, one beside the file or one that can be imported, and the lab in it. `label` may be left out; the
scale's own then stands in its place. `figures` asks for the figures and tables that the lab draws of the paper, and
`inventory` names a file that says what is declared otherwise than the claims were worded at first. `audit` and
`glossary` name pages that explain the audit's items and the words: Markdown with a heading (`## NAME`) for each, by its
path from the folder of claims, or an address on the web.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path, PurePosixPath
from typing import Any, get_args

from dtclaims.errors import UsageError
from dtclaims.files import parse_json, plain_text
from dtclaims.harness.judge.pages import Kind, Page, parse

FILE = "paper.json"


@dataclass(frozen=True)
class Publication:
    """A paper, as a report names it."""

    title: str
    authors: str
    venue: str
    year: int
    url: str
    lab: str
    """`module:ATTRIBUTE`."""
    label: str | None = None
    """Replaces the scale's label in reports."""
    figures: bool = False
    """Whether reports show the figures and tables that the lab draws."""
    inventory: str | None = None
    """A JSON file, from the folder of claims: what its `claims` say by id `changed` against the first wording."""
    audit: str | None = None
    """The page of the items that `deviations` and switches name: a path from the folder of claims, or a URL."""
    glossary: str | None = None
    """The page of the paper's words; likewise."""

    def to_json(self) -> dict[str, Any]:
        """What a report's `paper` holds."""
        return {name: value for name, value in asdict(self).items() if name not in BESIDE}


BESIDE = ("lab", "label", "figures", "inventory", "audit", "glossary")
"""What is no part of the paper itself."""

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
    "audit": str,
    "glossary": str,
}
REQUIRED = ("title", "authors", "venue", "year", "url", "lab")
EXAMPLE = '{"title": "...", "authors": "...", "venue": "...", "year": 2026, "url": "", "lab": "my_lab:LAB"}'
"""The least that the file holds."""


def read_publication(folder: Path) -> Publication:
    """The paper that the claims in a folder are about.

    Raises:
        UsageError: no `paper.json`, or one that cannot be read, lacks a field, or has one that is unknown or of another
            type.
    """
    path = folder / FILE
    if not path.is_file():
        raise UsageError(
            f"no {FILE} beside the claims",
            given=str(folder),
            expected=f"a {FILE} that names the paper and its lab",
            remedy=f'Write {path}: {EXAMPLE}; "lab" is "module:ATTRIBUTE", of a module beside it or one that can be '
            'imported, and a "label" may say what verdicts are evidence of.',
        )
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
        if type(value) is not TYPES[name] or (name in ("title", *BESIDE) and not str(value).strip()):
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


def pages_of(folder: Path) -> dict[Kind, Page]:
    """The pages that explain a paper's audit and its words, as a report carries them; those that are named.

    Raises:
        UsageError: a `paper.json` that is broken, or a page that cannot be read or explains nothing.
    """
    paper = read_publication(folder)
    kinds: tuple[Kind, ...] = get_args(Kind)
    named = {kind: getattr(paper, kind) for kind in kinds}
    return {kind: _page(folder, where) for kind, where in named.items() if where is not None}


def _page(folder: Path, where: str) -> Page:
    if where.startswith(("https://", "http://")):
        return Page(where)
    path, expected = folder / where, "a page of Markdown with a heading `## NAME` for each item"
    try:
        items = parse(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"the page {path} cannot be read", given=error, expected=expected) from None
    if not items:
        raise UsageError(f"the page {path} explains nothing", expected=expected)
    return Page(items=items)


def pages_here(named: str, paper: Mapping[str, Any], roots: Iterable[Path]) -> dict[Kind, Page]:
    """The pages of a paper whose claims may be here; none where they are not, or are another paper's.

    Args:
        named: folder of the claims as a file from elsewhere calls it: a relative path.
        paper: what that file says of the paper.
        roots: folders that it may lie in.
    """
    place = PurePosixPath(named)
    # A file from elsewhere must not choose what is read of this machine.
    if place.is_absolute() or ".." in place.parts or not place.parts:
        return {}
    for root in roots:
        folder = root / place
        try:
            if (folder / FILE).is_file() and read_publication(folder).to_json() == dict(paper):
                return pages_of(folder)
        except UsageError:
            # A verdict on recorded results does not depend on what lies here.
            continue
    return {}
