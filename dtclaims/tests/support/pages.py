"""Pages as tests read them, and reports that try to break them."""

from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

from dtclaims.harness.stats.composites import OWN
from dtclaims.tests.support.report_strategies import HOSTILE

FIXED = frozenset(
    ["created", "scale", "protocols", "protocol", "verdict", "kind", "url", "style", "schema", "turn", "said", "rule"]
)
"""Fields whose text is not free."""


class Page(HTMLParser):
    """A page as its tags with attributes, in order, and its visible text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        """Note a tag."""
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        """Collect text."""
        self.text += data

    def all(self, *names: str) -> Iterator[dict[str, str | None]]:
        """The attributes of every tag of some names."""
        return (attributes for tag, attributes in self.tags if tag in names)


def hostile(document: Any) -> Any:
    """A report with hostile text before every free text that is not empty.

    Keys stay as they are, and so do texts that name one, such as a component.
    """
    kept = {OWN, *(name for entry in document["claims"] for name in entry["components"])}

    def spoilt(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: item if key in FIXED else spoilt(item) for key, item in value.items()}
        if isinstance(value, list):
            return [spoilt(item) for item in value]
        return HOSTILE + value if isinstance(value, str) and value and value not in kept else value

    return spoilt(document)
