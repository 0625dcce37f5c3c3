"""What is told of networks before any update (`dtclaims.tests.support.untrained`)."""

import pytest

from dtclaims.tests.support.untrained import HEADS, table, untrained


def test_a_head_of_small_scale_says_a_tenth() -> None:
    """What tanh is taken of is a tenth, and what was past its end is not; the stack and its biases are the same."""
    tied, low, untied = (untrained("language_pretrained", head, 3, "mini", "hopper") for head in HEADS)
    assert low.sums == pytest.approx(tied.sums / 10, rel=1e-5)
    assert low.past < tied.past
    assert (tied.gain, tied.query, tied.key, tied.value) == (untied.gain, untied.query, untied.key, untied.value)
    assert tied.past > 0.5
    assert tied.key > 0


def test_fresh_weights_have_no_biases_and_a_gain_of_one() -> None:
    """As GPT-2 is initialised: all that a head's scale comes from is its own weight."""
    found = untrained("random_matched", "tied", 3, "mini", "hopper")
    assert (found.gain, found.query, found.key, found.value) == (1, 0, 0, 0)
    rows = table([found, untrained("random_matched", "tied", 4, "mini", "hopper")])
    assert [row.split(" | ")[0] for row in rows] == ["| arm", "|---|---|---|---|---|---|---|---|", "| random_matched"]
