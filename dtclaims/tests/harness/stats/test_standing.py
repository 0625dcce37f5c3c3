"""Headlines together: Holm by t, and assuming no distribution."""

import pytest

from dtclaims.errors import StatisticsError
from dtclaims.harness.stats.composites import Headline
from dtclaims.harness.stats.editions import EDITION_1
from dtclaims.harness.stats.standing import seeds_to_stand, stand_twice

ONE, OTHER = ("published", "mini"), ("corrected", "mini")


def test_headlines_stand_by_t_and_by_no_distribution():
    """Each has its walk over the judged headlines of a column; only what is reproduced is told of."""
    headlines = [
        Headline("a", ONE, "reproduced", 1 / 32, 0.001, 1 / 32),
        Headline("b", ONE, "inconclusive", 0.4, 0.4, 0.4),
        Headline("c", ONE, "not_run", None),
        Headline("d", ONE, "error", None),
        Headline("a", OTHER, "reproduced", 1 / 32, 0.04, 1 / 32),
    ]
    found = stand_twice(headlines, 0.05)
    assert found.keys() == {("a", *ONE), ("a", *OTHER)}
    first, second = found["a", *ONE], found["a", *OTHER]
    assert (first.stands_t, first.stands_free, first.family, first.seeds_free) == (True, False, 2, 6)
    assert (second.stands_t, second.stands_free, second.family, second.seeds_free) == (True, True, 1, 5)


def test_what_is_not_evaluable_was_asked():
    """It counts in the family, as does a claim without a p, and never stands."""
    headlines = [Headline("a", ONE, "reproduced", 0.03, 0.03, 0.03), Headline("b", ONE, "not_evaluable", None)]
    assert stand_twice(headlines, 0.05)["a", *ONE].stands_t is False
    without = [Headline("a", ONE, "reproduced", None, None, 1 / 256), Headline("b", ONE, "inconclusive", 0.5, 0.5, 0.5)]
    found = stand_twice(without, 0.05)["a", *ONE]
    assert (found.stands_t, found.stands_free) == (False, True)


@pytest.mark.parametrize(("family", "n"), [(1, 5), (2, 6), (3, 6), (12, 8), (13, 9), (50, 10), (51, 10), (52, 11)])
def test_a_family_needs_so_many_unanimous_seeds(family, n):
    """5 for one, 8 for twelve, 10 for fifty: 2^-n is at most alpha over the family there, and not at n - 1."""
    assert seeds_to_stand(family, 0.05) == n
    assert 2.0**-n <= 0.05 / family
    assert n == 5 or 2.0 ** (1 - n) > 0.05 / family


def test_alpha_is_checked():
    """It follows the same limits as in a verdict."""
    with pytest.raises(StatisticsError, match="alpha cannot be used"):
        seeds_to_stand(1, 0.9)


def test_edition_1_stands_by_its_p_alone():
    """Its one walk is by t, on the p that it tells; it asks for no other."""
    headlines = [Headline("a", ONE, "reproduced", 0.02), Headline("b", ONE, "inconclusive", 0.4)]
    found = EDITION_1.headlines(headlines, 0.05)["a", *ONE]
    assert (found.stands_t, found.stands_free, found.family, found.seeds_free) == (True, None, 2, None)
