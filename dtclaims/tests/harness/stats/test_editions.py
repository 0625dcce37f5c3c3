"""Editions of the rule: one is found by its version, and any of them is called alike."""

import pytest

from dtclaims.errors import StatisticsError
from dtclaims.harness.stats.composites import Headline, Said
from dtclaims.harness.stats.editions import EDITION_1, EDITION_2, EDITIONS, TODAY, get_edition
from dtclaims.harness.stats.predicates import above as above_1
from dtclaims.harness.stats.trends import above

BAD = {seed: -1 - 0.1 * seed for seed in range(5)}
GOOD = {seed: 1 + 0.1 * seed for seed in range(5)}


def test_editions_are_known_by_their_version() -> None:
    """Today's is one of them; of another one the remedy is a newer dtclaims."""
    assert EDITIONS[TODAY.version] is TODAY
    assert [get_edition(version) for version in ("1", "2")] == [EDITION_1, EDITION_2]
    with pytest.raises(StatisticsError, match=r"got '2b', expected one of .*made by a newer dtclaims"):
        get_edition("2b")


@pytest.mark.parametrize(("edition", "statement"), [(EDITION_1, above_1(0)), (EDITION_2, above())], ids=["1", "2"])
def test_each_edition_reads_and_judges_its_own_statements(edition, statement) -> None:
    """By the same call; of two parts one reversed, five seeds refute by edition 2 and leave open by edition 1."""
    assert edition.statement(statement.to_json()) == statement
    effects, statements = {"a": GOOD, "b": BAD}, {"a": statement, "b": statement}
    found = edition.components(effects, statements, any_of=(), deciding=None, alpha=0.05, looks=1, level=None)
    assert found.outcome == {"1": "inconclusive", "2": "refuted"}[edition.version]
    assert found.components["b"].outcome == "refuted"


def test_a_part_refutes_a_composite_by_what_the_edition_asks() -> None:
    """Edition 1 at alpha, whatever the number of parts; edition 2 at a share of it."""
    parts = {"a": Said("refuted", p_against=0.03, gate_against=True), "b": Said("reproduced")}
    assert EDITION_1.composite(parts, own=None, left_out=(), alpha=0.05).outcome == "refuted"
    assert EDITION_2.composite(parts, own=None, left_out=(), alpha=0.05).outcome == "inconclusive"


def test_each_edition_says_which_headlines_stand() -> None:
    """Under one form: by the p that it tells, and by t."""
    one = Headline("a", ("published", "mini"), "reproduced", 0.031, 0.001, 0.031)
    other = Headline("b", ("published", "mini"), "inconclusive", 0.4, 0.4, 0.4)
    stands = [edition.headlines([one, other], 0.05)["a", "published", "mini"] for edition in (EDITION_1, EDITION_2)]
    assert [found.stands_t for found in stands] == [False, True]


@pytest.mark.parametrize("asked", [{"deciding": frozenset("a")}, {"level": 0.035}])
def test_edition_1_refuses_what_it_does_not_know(asked) -> None:
    """Primary parts and declared looks came later."""
    with pytest.raises(StatisticsError, match="edition 1 of the rule knows no primary parts and no declared looks"):
        EDITION_1.components({"a": GOOD}, {"a": above_1(0)}, **asked)
