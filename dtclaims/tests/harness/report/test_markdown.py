"""Behaviour of `dtclaims.harness.report.markdown`: a CI summary that GitHub shows whole and as meant."""

import html as entities

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from dtclaims.errors import ReportError
from dtclaims.harness.report import markdown, parse
from dtclaims.harness.report.wording import UNPRINTABLE
from dtclaims.tests.support import report_example
from dtclaims.tests.support.pages import hostile
from dtclaims.tests.support.report_strategies import HOSTILE, texts

PARSER = MarkdownIt("commonmark").enable(["table", "strikethrough"])


def shape(text: str) -> list[tuple[str, str]]:
    """What a Markdown reader makes of a text: its blocks and inline markup, without the words."""

    def visit(token: Token) -> list[tuple[str, str]]:
        children = [pair for child in token.children or () for pair in visit(child)]
        raw = token.content.partition("\n")[0][:8] if token.type.startswith("html") else ""
        return [] if token.type == "text" else [(token.type, raw), *children]

    return [pair for token in PARSER.parse(text) for pair in visit(token)]


def test_text_never_becomes_markup() -> None:
    """With hostile text everywhere the summary has the same headings, tables, blocks and inline markup."""
    assert shape(markdown.render(parse(hostile(report_example.content())))) == shape(
        markdown.render(report_example.document())
    )


@given(texts)
def test_escaped_text_is_one_run_of_plain_text(text: str) -> None:
    """A value within a line is text alone, and what is shown is what was given, spaces joined."""
    (paragraph,) = [token for token in PARSER.parse(f"x {markdown.escape(text)} x") if token.type == "inline"]
    assert {token.type for token in paragraph.children or ()} <= {"text", "text_special"}
    shown = "".join(token.content for token in paragraph.children or ())
    assert shown.split() == f"x {text.translate(UNPRINTABLE)} x".split()


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=40))
def test_escaped_text_holds_no_active_character(text: str) -> None:
    """Nothing is left that could open markup, a mention, an emoji or a cell, and it can be read back."""
    escaped = str(markdown.escape(text))
    plain = entities.unescape(escaped)
    for reference in {f"&#{ord(char)};" for char in plain}:
        escaped = escaped.replace(reference, "")
    assert not set(escaped) & set("\\`*_{}[]<>#|~&@$\n")


def test_the_table_comes_first_and_the_rest_is_folded() -> None:
    """Counts and verdicts stand open; each claim, and each table of the paper, follows in a closed block."""
    text = markdown.render(report_example.document())
    assert text.index(
        "| published, mini | 3 | 1 | 2 | 1 | 0 | 0 | 1 of 1 stand if seeds are normal, 0 without assumptions |"
    ) < text.index("<details>")
    ids = {claim.id for claim in report_example.document().claims}
    assert text.count("<details>") == text.count("</details>") == len(ids) + 1
    assert (
        "| S5.5-k1-gpt2-eq-k20 | ✓ <b>reproduced</b><br>0.6 &#91;−2.0, 3.2&#93;, claimed &#124;effect&#124; &#60; 5 "
        "(our margin) | ⚠ <b>error</b> | +1.8 |" in text
    )


def test_both_tables_of_a_claim_are_tables() -> None:
    """Overview, counts, parts of two claims and the paper's table are parsed as tables, and blocks do not leak."""
    tokens = [token.type for token in PARSER.parse(markdown.render(report_example.document()))]
    assert tokens.count("table_open") == 5
    assert tokens.count("blockquote_open") == len({claim.id for claim in report_example.document().claims})
    assert tokens.count("heading_open") == 1


def test_a_claim_not_run_shows_its_command() -> None:
    """The command that would run it is in the summary."""
    assert "- To run it: <code>pytest claims -k 'ABS-no-context'</code>" in markdown.render(report_example.document())


def test_details_give_way_before_the_table_does() -> None:
    """Above the limit, details stay for the headlines only, then go, then the table is cut; it says so."""
    document = report_example.document()
    ids = {claim.id for claim in document.claims}

    def sizes(text: str) -> tuple[int, int]:
        return text.count("<details>") - text.count("<b>Table 1</b>"), sum(
            f"{id_} |" in text or f"{id_}</b> |" in text for id_ in ids
        )

    full = markdown.render(document)
    assert sizes(full) == (len(ids), len(ids))
    headlines = markdown.render(document, len(full.encode()) - 1)
    assert sizes(headlines) == (1, len(ids))
    assert "Details follow for the headline claims only. A job summary holds 1 MiB" in headlines
    table = markdown.render(document, len(headlines.encode()) - 1)
    assert sizes(table) == (0, len(ids))
    assert "Details are left out. A job summary holds 1 MiB" in table
    half = markdown.render(document, len(table.encode()) - 1)
    assert sizes(half) == (0, len(ids) // 2)
    assert f"The first {len(ids) // 2} of {len(ids)} claims. A job summary holds 1 MiB" in half
    assert sizes(markdown.render(document, 0)) == (0, 0)


def test_a_summary_never_passes_the_limit() -> None:
    """However long the texts of a report are, the summary is short enough to be kept."""
    entries = [report_example.claim(f"{index}{HOSTILE * 40}", quote=HOSTILE * 500) for index in range(60)]
    text = markdown.render(report_example.document(claims=entries), 60_000)
    assert len(text.encode()) <= 60_000
    assert "of 60 claims. A job summary holds 1 MiB" in text


def test_an_empty_report_is_a_summary() -> None:
    """Without claims there is no table, and the summary says so."""
    assert "This report holds no claims." in markdown.render(report_example.document(claims=[]))


def test_an_invalid_report_is_refused() -> None:
    """The renderer checks what it is given."""
    with pytest.raises(ReportError, match="not a dtclaims report"):
        markdown.render({"claims": []})  # type: ignore[arg-type]
