"""Words and items of the audit, linked to where the report explains them: the paper's own pages travel in it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from markupsafe import Markup, escape

from dtclaims.harness.judge.pages import Item, Kind, Page, slug

HEADINGS: Mapping[Kind, tuple[str, str]] = {"audit": ("audit", "Audit items"), "glossary": ("words", "Words")}
"""Anchor and name of the section that explains each kind."""

CODE = re.compile(r"`([^`]+)`")


@dataclass(frozen=True)
class Section:
    """Items that a report explains, each under an anchor of its own."""

    anchor: str
    name: str
    url: str
    """Where the whole page is on the web; empty where that is not known."""
    items: Mapping[str, Item]


class Terms:
    """What a report explains.

    Args:
        pages: of the report.
    """

    def __init__(self, pages: Mapping[Kind, Page]) -> None:
        self._pages = pages
        names = {item.name for item in pages["glossary"].items.values()} if "glossary" in pages else set()
        found = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
        self._words = re.compile(rf"\b({found})s?\b", re.IGNORECASE) if found else None

    @property
    def sections(self) -> list[Section]:
        """Of the pages that have items, the audit's first. Anchors begin with the section's: `words-holm`."""
        return [
            Section(anchor, name, _web(page.url), {f"{anchor}-{key}": item for key, item in page.items.items()})
            for kind, (anchor, name) in HEADINGS.items()
            if (page := self._pages.get(kind)) is not None and page.items
        ]

    def audit(self, name: str) -> Markup:
        """An item of the audit as a link to what is said of it, or by itself where nothing is."""
        page = self._pages.get("audit")
        shown = Markup("<code>{}</code>").format(name)
        if page is None:
            return shown
        if slug(name) in page.items:
            return Markup('<a href="#audit-{}">{}</a>').format(slug(name), shown)
        if url := _web(page.url):
            return Markup('<a href="{}#{}" rel="noopener noreferrer">{}</a>').format(url, slug(name), shown)
        return shown

    def linked(self, text: str) -> Markup:
        """A text with each word of the glossary linked where it first occurs."""
        if self._words is None:
            return escape(text)
        pieces: list[Markup] = []
        end, known = 0, set()
        for match in self._words.finditer(text):
            anchor = slug(match[1])
            if anchor in known:
                continue
            known.add(anchor)
            link = Markup('<a class="term" href="#words-{}">{}</a>').format(anchor, match[0])
            pieces += [escape(text[end : match.start()]), link]
            end = match.end()
        return Markup("").join([*pieces, escape(text[end:])])


def coded(text: str) -> Markup:
    """A paragraph of an item: what stands in backticks is code."""
    pieces = CODE.split(text)
    return Markup("").join(
        Markup("<code>{}</code>").format(piece) if place % 2 else escape(piece) for place, piece in enumerate(pieces)
    )


def _web(url: str | None) -> str:
    """An address that a page may link to; of other kinds none."""
    return url if url is not None and url.startswith(("https://", "http://")) else ""
