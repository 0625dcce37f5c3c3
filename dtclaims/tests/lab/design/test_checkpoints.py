"""Numbers of checkpoints, and which seeds start from which (dtclaims/lab/design/checkpoints.py)."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dtclaims.errors import UsageError
from dtclaims.lab.design.checkpoints import (
    base_in,
    draws_of,
    folder_name,
    number_for,
    number_in,
    number_of,
    numbered,
    parse_checkpoints,
)

NUMBERS = st.sets(st.integers(1, 50), min_size=1, max_size=6).map(sorted)


@given(st.sampled_from(["language-small", "image-mini", "iid-paper", "markov-mini"]), st.integers(1, 999))
def test_a_name_and_a_number_are_told_apart_again(base: str, number: int) -> None:
    """The first's folder has no number, and its name says 1 all the same."""
    name = folder_name(base, number)
    assert (base_in(name), number_in(name), numbered(name)) == (base, number, f"{base}@{number}")
    assert numbered(numbered(name)) == numbered(name)
    assert (name == base) == (number == 1)


@pytest.mark.parametrize("name", ["gpt2", "openai/imagegpt-small", "mine", "language-small@0", "language-small@two"])
def test_checkpoints_of_others_have_no_number(name: str) -> None:
    """A folder of the user's or a name on the hub stays what it is called."""
    assert (numbered(name), number_in(name)) == (name, 1)


def test_a_seed_is_a_number() -> None:
    """0 and 1 are the first, which was drawn from 0; every other number draws from itself, so no two share draws."""
    assert [number_of(seed) for seed in range(4)] == [1, 1, 2, 3]
    assert [draws_of(number) for number in (1, 2, 3)] == [0, 2, 3]
    with pytest.raises(UsageError, match="counts from 1: got -1"):
        number_of(-1)


def test_checkpoints_are_read_in_order() -> None:
    """As a set: the order they are typed in spreads no seed elsewhere; nothing means the first."""
    assert parse_checkpoints("3, 1,2") == (1, 2, 3)
    assert parse_checkpoints(None) == parse_checkpoints("") == (1,)
    for text in ("0", "1,1", "1,,2", "a", "1-3", "-1"):
        with pytest.raises(UsageError, match="--checkpoints cannot be read"):
            parse_checkpoints(text)


@given(NUMBERS, st.integers(1, 8))
def test_seeds_are_spread_evenly(numbers: list[int], rounds: int) -> None:
    """Of seeds 0 to n - 1, with n a multiple of the numbers, each number has equally many."""
    found = Counter(number_for(seed, numbers) for seed in range(rounds * len(numbers)))
    assert found == dict.fromkeys(numbers, rounds)
