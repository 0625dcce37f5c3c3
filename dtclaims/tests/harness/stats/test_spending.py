"""What a look may spend."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dtclaims.errors import StatisticsError
from dtclaims.harness.stats.spending import level_of_look

PLANS = st.lists(st.integers(3, 40), min_size=1, max_size=5, unique=True).map(lambda sizes: tuple(sorted(sizes)))


@given(PLANS, st.floats(0.001, 0.4))
def test_declared_looks_spend_alpha_and_no_more(plan, alpha):
    """Taken in turn, whatever was skipped at the start, they add up to alpha: so likely is a false verdict at most."""
    for first in range(len(plan)):
        spent = [level_of_look(alpha, plan, n, earlier) for earlier, n in enumerate(plan[first:])]
        assert all(level > 0 for level in spent)
        assert sum(spent) <= alpha * (1 + 1e-12)
    assert sum(level_of_look(alpha, plan, n, earlier) for earlier, n in enumerate(plan)) == pytest.approx(alpha)


@pytest.mark.parametrize(
    ("declared", "n", "earlier", "level"),
    [
        ((5, 8), 5, 0, 0.035),
        ((5, 8), 8, 1, 0.015),
        ((5, 8), 8, 0, 0.05),
        ((5, 8), 5, 1, 0.025),
        ((5, 8), 8, 4, 0.01),
        ((5, 8), 6, 0, 0.05 / 3),
        ((5, 8), 10, 2, 0.01),
        ((5, 8, 10), 10, 2, 0.0045),
        ((8,), 8, 0, 0.05),
        (None, 5, 0, 0.05),
        (None, 8, 1, 0.025),
    ],
)
def test_looks_by_hand(declared, n, earlier, level):
    """Declared, skipped, too many, and not declared: each look's share of 0.05."""
    assert level_of_look(0.05, declared, n, earlier) == pytest.approx(level)


@given(st.none() | PLANS, st.integers(3, 40), st.integers(0, 9))
def test_a_further_look_never_has_more(plan, n, earlier):
    """One more earlier look only lowers what this one may spend."""
    assert level_of_look(0.05, plan, n, earlier + 1) <= level_of_look(0.05, plan, n, earlier)


@pytest.mark.parametrize(
    ("declared", "earlier", "message"),
    [
        ((), 0, "looks cannot be declared so"),
        ((8, 5), 0, r"looks cannot be declared so: got \(8, 5\), expected growing numbers of seeds from 3 on"),
        ((2, 5), 0, "looks cannot be declared so"),
        ((5, 5), 0, "looks cannot be declared so"),
        ((5, 8.0), 0, "looks cannot be declared so"),
        (None, -1, "earlier looks cannot be counted"),
    ],
)
def test_looks_that_make_no_sense_are_refused(declared, earlier, message):
    """Sizes that do not grow from three on, and negative counts, are typed errors."""
    with pytest.raises(StatisticsError, match=message):
        level_of_look(0.05, declared, 5, earlier)
