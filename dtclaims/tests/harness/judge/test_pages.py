"""Pages that a paper names: read once, carried by reports."""

from dtclaims.harness.judge.pages import Item, Page, parse, slug

PAGE = """# Title

Before the first.

| a table | of links |
|---|---|
| x | [DEV-01](#dev-01) |

## DEV-01

**What it is.**

- Text: one, over
  two lines.
- Code: `f(x)` of [another](other.md#dev-02).

| a | table |
|---|---|

### Below

## Tied head

A head.
"""


def test_a_page_is_its_items() -> None:
    """Headings of the second level by anchor, their paragraphs and points as plain text with code in backticks."""
    assert parse(PAGE) == {
        "dev-01": Item(
            "DEV-01", ("What it is.", "Text: one, over two lines.", "Code: `f(x)` of another.", "### Below")
        ),
        "tied-head": Item("Tied head", ("A head.",)),
    }
    assert parse("no headings") == {}


def test_anchors_are_those_of_the_page_on_the_web() -> None:
    """As GitHub makes them of headings."""
    assert [slug(name) for name in ("DEV-01", "Tied head", "P(A > B)?")] == ["dev-01", "tied-head", "pa--b"]


def test_a_page_goes_through_json() -> None:
    """What a report carries is read as it was written, a page of which only the address is known too."""
    for page in (Page(items=parse(PAGE)), Page("https://example.org/audit")):
        assert Page.from_json(page.to_json()) == page
