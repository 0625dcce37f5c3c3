"""Behaviour of `dtclaims.harness.counting`."""

import pytest

from dtclaims.harness.counting import count
from dtclaims.harness.report import wording


@pytest.mark.parametrize(
    ("words", "text"),
    [((0, "run"), "0 runs"), ((1, "run"), "1 run"), ((2, "run"), "2 runs"), ((2, "entry", "entries"), "2 entries")],
)
def test_a_number_has_its_noun(words: tuple[int, str], text: str) -> None:
    """One is one; all other numbers have the plural, its own where it is not made by an s."""
    assert count(*words) == text


def test_templates_say_it_as_sessions_do() -> None:
    """What templates call by the name of the reports' words is the same function: there is no twin."""
    assert wording.count is count
