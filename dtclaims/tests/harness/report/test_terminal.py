"""Behaviour of `dtclaims.harness.report.terminal`: one aligned line per verdict."""

import pytest

from dtclaims.errors import ReportError
from dtclaims.harness.report import summary_lines
from dtclaims.tests.support.report_example import (
    LABEL,
    PROVENANCE,
    REGIME,
    REGIME_LINE,
    above,
    claim,
    content,
    document,
)
from dtclaims.tests.support.report_strategies import HOSTILE

WORDS = {"REPRODUCED", "REFUTED", "INCONCLUSIVE", "NOT EVALUABLE", "NOT RUN", "ERROR"}


def test_a_wide_terminal_gets_every_column_in_full() -> None:
    """Each line has id, protocol, scale, verdict, effect with interval, trend, n and the paper's value."""
    lines = summary_lines(document(), 200)
    assert lines[0] == LABEL
    assert lines[1].split() == ["claim", "protocol", "scale", "verdict", "effect", "claimed", "n", "paper"]
    (line,) = [line for line in lines if line.startswith("S5.1-cka") and "published" in line]
    assert [cell.strip() for cell in line.split("  ") if cell] == [
        "S5.1-cka-random-higher-gpt2",
        "published",
        "mini",
        "REPRODUCED [provisional]",
        "0.054 [0.037, 0.071]",
        "> 0",
        "3",
        "666: +0.055; 42: +0.039",
    ]


@pytest.mark.parametrize("width", [80, 90, 100, 120, 132, 160])
def test_columns_are_aligned_and_fit(width: int) -> None:
    """At any width the verdicts stand in one column, every verdict word is whole, and no line is longer."""
    lines = summary_lines(document(), width)
    table = lines[1 : 2 + len(document().claims)]
    start = table[0].index("verdict")
    assert {next(word for word in WORDS if line[start:].startswith(word)) for line in table[1:]} == WORDS
    assert all(line[start - 1] == " " for line in table)
    assert max(map(len, lines)) <= width


def test_headlines_come_first_and_protocols_stand_together() -> None:
    """The composites lead; the two protocols of one claim are neighbours."""
    lines = summary_lines(document(claims=content()["claims"][::-1]), 200)[2:]
    assert [line.split()[:2] for line in lines[:2]] == [
        ["ABS-no-context", "published"],
        ["ABS-no-context", "corrected"],
    ]


def test_label_and_counts_enclose_the_summary() -> None:
    """What these verdicts are of comes first; after the claims come the counts of each protocol."""
    lines = summary_lines(document(), 120)
    assert lines[-6:-3] == [
        "published (mini): 3 reproduced, 1 refuted, 2 inconclusive, 1 not evaluable; after Holm 1 of 1 reproduced "
        "headlines stand",
        "  if seeds are normal, 0 without assumptions (n ≥ 5 could); size: 1 smaller; checks passed: random-fails 0 "
        "of 1",
        "corrected (mini): 1 refuted, 1 not run, 1 error",
    ]
    assert lines[0] == LABEL


def test_what_must_be_known_of_a_verdict_is_said() -> None:
    """Warnings, and refutations that the paper's own data share, stand below the table."""
    text = " ".join(line.strip() for line in summary_lines(document(), 120))
    assert (
        "S5.1-cka-random-higher-gpt2 (corrected, mini): its bound was 0.1 when 3 of these seeds were first looked at; "
        "The paper's own seed 42 fails this too." in text
    )
    assert "ABS-no-context (published, mini): The paper's own seed 42 fails this too: S5.5-elsewhere." in text


def test_a_registration_is_told() -> None:
    """When it was sealed, whether that was before the first run, and what was judged as declared otherwise."""
    sealed = {"digest": "ab" * 32, "created": "2026-11-20T10:00:00Z", "before_first_run": True, "matches": False}
    provenance = {**PROVENANCE, "registration": {**sealed, "differs": ["S4-not-worse"]}}
    assert summary_lines(document(claims=[], provenance=provenance), 200)[1] == (
        "declared in abababababababab, sealed 2026-11-20T10:00:00Z, before the first of these runs ended; "
        "judged as declared otherwise: S4-not-worse"
    )


def test_narrow_terminals_keep_what_tells_ids_apart() -> None:
    """Where ids are cut they keep both ends."""
    example = document(claims=[claim(f"S5.2-mi-{'x' * 60}-{arm}") for arm in ("gpt2", "igpt")])
    ids = [line.split()[0] for line in summary_lines(example, 80)[2:4]]
    assert len(set(ids)) == 2
    assert all(id_.startswith("S5.2-mi-") and "..." in id_ for id_ in ids)


def test_a_table_that_cannot_fit_is_shown_all_the_same() -> None:
    """No verdict is dropped for want of room."""
    long = claim("a" * 40, n=10**19, paper_value={"text": "x" * 99}, trend={**above(0), "text": "y" * 99})
    example = document(claims=[long])
    assert any(line.startswith("aaa") and "NOT RUN" in line for line in summary_lines(example, 80))


def test_hostile_text_neither_breaks_lines_nor_colours() -> None:
    """Newlines and escape sequences of a report's text do not reach the terminal."""
    example = document(claims=[claim(HOSTILE, paper_value={"text": "\x1b[2J\r\n\u202e"})])
    lines = summary_lines(example, 400)
    assert len(lines) == 4
    assert all(line.isprintable() for line in lines)


def test_an_empty_report_is_its_label() -> None:
    """Without claims there is no table."""
    assert summary_lines(document(claims=[])) == [LABEL]


def test_an_invalid_report_is_refused() -> None:
    """The summary checks what it is given."""
    with pytest.raises(ReportError, match="not a dtclaims report"):
        summary_lines({})  # type: ignore[arg-type]


def test_the_regime_is_told() -> None:
    """Ours beside the paper's, below the label."""
    assert summary_lines(document(claims=[], regime=REGIME), 400) == [LABEL, f"regime: {REGIME_LINE}"]
