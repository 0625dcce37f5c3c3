"""Behaviour of `dtclaims.harness.report.markdown`: a CI summary that GitHub shows whole and as meant."""

import html as entities

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from dtclaims.errors import ReportError
from dtclaims.harness.report import Difference, Since, markdown, parse
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


SINCE = Since(
    "expected.json",
    (
        Difference("S5.5-k1-gpt2-eq-k20", "corrected", "mini", "reproduced", "error", ("a run failed",)),
        Difference("ABS-no-context", "published", "mini", "inconclusive", "refuted"),
        Difference("gone", "published", "mini", "refuted", "absent", ("it is declared no more",)),
    ),
)
"""Three verdicts that are not as recorded."""


def test_what_changed_comes_first() -> None:
    """Before counts and verdicts stands each verdict that is not as recorded: what it was, what decided it now, why."""
    text = markdown.render(report_example.document(), SINCE)
    told = entities.unescape(text)
    assert "## 3 verdicts not as recorded in expected.json" in told
    assert "| <b>S5.5-k1-gpt2-eq-k20</b> (corrected, mini) | reproduced | ⚠ error: " in told
    assert "| <b>ABS-no-context</b> (published, mini) | inconclusive | ✗ refuted by walker2d: −5.7 " in told
    assert "| <b>gone</b> (published, mini) | refuted | absent | it is declared no more |" in told
    assert told.index("not as recorded") < told.index("## Verdicts")
    assert "Every verdict is as recorded in x." in markdown.render(report_example.document(), Since("x", ()))
    assert "recorded" not in markdown.render(report_example.document())


def test_headlines_stand_open_and_all_claims_are_folded() -> None:
    """Counts, then headlines with what decided them; every claim once in a closed block, and the paper's tables."""
    document = report_example.document()
    text = entities.unescape(markdown.render(document))
    assert "| published, mini | 3 | 1 | 2 | 1 | 0 | 0 | over the " in text
    open_, folded = text[: text.index("<details>")], text[text.index("<details>") :]
    for id_ in {claim.id for claim in document.claims}:
        assert folded.count(f"| {id_} |") + folded.count(f"| <b>{id_}</b> |") == 1
    assert "| <b>ABS-no-context</b> | ✗ refuted by walker2d: −5.7 [−8.5, −2.9]" in open_
    assert "| S5.5-k1-gpt2-eq-k20 |" not in open_
    assert "<summary>All 7 claims</summary>" in folded
    assert text.count("<details>") == text.count("</details>") == 3


def test_scale_simulator_weights_and_data_are_the_first_lines() -> None:
    """And what the verdicts are evidence of, before any of them."""
    made = {"simulator": {"mujoco": "3.3.7"}, "data": {"hopper": {"kind": "collected", "sha256": "9f2c"}}}
    text = entities.unescape(
        markdown.render(report_example.document(claims=[report_example.claim("a", provenance=made)]))
    )
    lines = text.splitlines()
    assert lines[2] == f"<b>{report_example.LABEL}</b>"
    assert lines[4].startswith("- Scale: mini, toy size: the pipeline works")
    assert lines[5:7] == ["- Simulator: mujoco 3.3.7", "- Data: hopper (collected)"]
    assert text.index("- Data: ") < text.index("## Verdicts")


def test_all_tables_are_tables() -> None:
    """Counts, headlines, claims and the paper's table are parsed as tables, and blocks do not leak."""
    tokens = [token.type for token in PARSER.parse(markdown.render(report_example.document(), SINCE))]
    assert tokens.count("table_open") == 5
    assert tokens.count("heading_open") == 4


@pytest.mark.parametrize("claims", [119, 400])
def test_a_summary_stays_below_300_lines(claims: int) -> None:
    """Of more claims than fit the last are left to report.html, and the summary says so."""
    document = parse(report_example.large(claims))
    many = Since("old.json", tuple(Difference(*one.key, "refuted", one.verdict) for one in document.claims))
    for since in (None, many):
        text = markdown.render(document, since)
        assert text.count("\n") < markdown.MAX_LINES
    assert (f"All {claims} claims, of which the first" in text) == (claims == 400)
    assert f"{2 * claims - markdown.CHANGED} more are in report.html." in text


def test_a_summary_never_passes_the_limit() -> None:
    """However long the texts of a report are, the summary is short enough to be kept."""
    entries = [report_example.claim(f"{index}{HOSTILE * 40}", quote=HOSTILE * 500) for index in range(60)]
    text = markdown.render(report_example.document(claims=entries), limit=30_000)
    assert len(text.encode()) <= 30_000
    assert "of which the first" in text


def test_an_empty_report_is_a_summary() -> None:
    """Without claims there is no table, and the summary says so."""
    assert "This report holds no claims." in markdown.render(report_example.document(claims=[]))


def test_an_invalid_report_is_refused() -> None:
    """The renderer checks what it is given."""
    with pytest.raises(ReportError, match="not a dtclaims report"):
        markdown.render({"claims": []})  # type: ignore[arg-type]


def test_the_regime_is_told() -> None:
    """A line for each row, as in the terminal, folded; a report without one has no heading for it."""
    text = markdown.render(report_example.document(regime=report_example.REGIME))
    told = entities.unescape(text)
    assert f"- {report_example.REGIME_LINE}\n" in told
    assert "Regime:" not in markdown.render(report_example.document())
