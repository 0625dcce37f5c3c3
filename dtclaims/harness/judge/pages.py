"""What a paper's own pages say of the items of its audit and of its words.

A report is one file that travels: it carries the items themselves, so that a link to one leads somewhere wherever the
report goes.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from dtclaims.harness.judge.entries import Name
from dtclaims.harness.judge.exhibits import Id
from dtclaims.harness.records import Record

Kind = Literal["audit", "glossary"]


@dataclass(frozen=True)
class Item(Record):
    """One item of a page."""

    name: Name
    """As it is called: "DEV-01", "tied head"."""
    text: tuple[str, ...] = ()
    """Its paragraphs: plain text, with `code` in backticks."""


@dataclass(frozen=True)
class Page(Record):
    """A page that explains items, each under a heading of its own."""

    url: str | None = None
    """Where it is on the web; null where only its items are known."""
    items: Mapping[Id, Item] = field(default_factory=dict)
    """By anchor (`slug` of the heading)."""


def slug(name: str) -> str:
    """The anchor of a heading, as GitHub makes it: "DEV-01" is `dev-01`, "Tied head" is `tied-head`."""
    return re.sub(r"[^\w\- ]", "", name.lower()).replace(" ", "-")


def parse(text: str) -> dict[str, Item]:
    """The items of a page of Markdown, by anchor: its headings of the second level, and what stands below each.

    Args:
        text: the page. Of Markdown, `code` stays; bold, links and list marks are taken off, and tables left out.
    """
    found = {}
    for section in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        heading, _, body = section.partition("\n")
        name = _plain(heading)
        if anchor := re.sub(r"[^A-Za-z0-9._-]", "", slug(name)):
            found[anchor] = Item(name, tuple(_paragraphs(body)))
    return found


def _paragraphs(body: str) -> list[str]:
    blocks = re.split(r"\n\s*\n|\n(?=- )", body)
    plain = (
        _plain(" ".join(block.split()).removeprefix("- ")) for block in blocks if not block.lstrip().startswith("|")
    )
    return [one for one in plain if one]


def _plain(text: str) -> str:
    return re.sub(r"\[([^\]]+)\]\([^)]*\)", r"\1", text).replace("**", "").strip()
