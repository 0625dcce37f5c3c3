"""Behaviour of `dtclaims.harness.report.terms`: words and audit items lead to what a report says of them."""

from dtclaims.harness.judge.pages import Item, Page
from dtclaims.harness.report.terms import Terms, coded

AUDIT = Page(None, {"dev-01": Item("DEV-01", ("The head is `tied`.",))})
WORDS = Page(
    "https://example.org/words", {name: Item(name.capitalize(), ("What it is.",)) for name in ("look", "holm")}
)


def test_an_item_is_a_link_to_where_it_is_explained() -> None:
    """In the report, else on the web, else nowhere; only an address of the web is linked."""
    assert Terms({"audit": AUDIT}).audit("DEV-01") == '<a href="#audit-dev-01"><code>DEV-01</code></a>'
    assert Terms({"audit": AUDIT}).audit("DEV-02") == "<code>DEV-02</code>"
    assert Terms({}).audit("<b>") == "<code>&lt;b&gt;</code>"
    assert 'href="https://x.org#dev-02"' in Terms({"audit": Page("https://x.org", {})}).audit("DEV-02")
    assert Terms({"audit": Page("javascript:x", {})}).audit("DEV-02") == "<code>DEV-02</code>"


def test_each_word_is_linked_where_it_first_occurs() -> None:
    """Whole words, whatever their case and number; what is not explained stays as it is, and text is no markup."""
    terms = Terms({"glossary": WORDS})
    linked = terms.linked("Looks, <looks> and Holm, overlooked")
    assert linked == (
        '<a class="term" href="#words-look">Looks</a>, &lt;looks&gt; and '
        '<a class="term" href="#words-holm">Holm</a>, overlooked'
    )
    assert Terms({}).linked("a < b") == "a &lt; b"


def test_sections_have_anchors_of_their_own() -> None:
    """So that a word never has the anchor of a part of the page."""
    audit, words = Terms({"glossary": WORDS, "audit": AUDIT}).sections
    assert (audit.anchor, list(audit.items), audit.url) == ("audit", ["audit-dev-01"], "")
    assert (words.anchor, list(words.items), words.url) == (
        "words",
        ["words-look", "words-holm"],
        "https://example.org/words",
    )
    assert Terms({"audit": Page("https://x.org", {})}).sections == []


def test_backticks_are_code() -> None:
    """And nothing else is markup."""
    assert coded("a `b<c` d & e") == "a <code>b&lt;c</code> d &amp; e"
