"""What is told of networks before any update (`dtclaims.tests.support.untrained`)."""

import numpy as np
import pytest
import torch

from dtclaims.lab.data.windows import Batch
from dtclaims.lab.design.scales import get_scale
from dtclaims.lab.inputs import Inputs, find_data
from dtclaims.tests.support.untrained import (
    HEADS,
    STATES,
    Untrained,
    data_steps,
    normal_steps,
    table,
    untrained,
    windows_of,
)


def look(arm: str, head: str, seed: int = 3, seen: Batch | None = None) -> Untrained:
    """At mini, on Hopper."""
    return untrained(arm, head, seed, "mini", "hopper", seen or normal_steps("hopper", seed))


def test_a_head_of_small_scale_says_a_tenth() -> None:
    """What tanh is taken of is a tenth, and what was past its end is not; the stack and its biases are the same."""
    tied, low, untied = (look("language_pretrained", head) for head in HEADS)
    assert low.sums == pytest.approx(tied.sums / 10, rel=1e-5)
    assert low.past < tied.past
    assert (tied.gain, tied.query, tied.key, tied.value) == (untied.gain, untied.query, untied.key, untied.value)
    assert tied.past > 0.5
    assert tied.key > 0


def test_what_the_head_says_is_the_same_for_all_states_or_varies() -> None:
    """The sums' square is that of their mean over states and of what varies between states; the farthest is a mean."""
    for head in HEADS:
        found = look("synthetic_markov", head)
        assert found.sums**2 == pytest.approx(found.offset**2 + found.spread**2, rel=1e-3)
        assert found.offset <= found.farthest <= found.offset * 3**0.5
        assert found.farthest == pytest.approx(max(map(abs, found.offsets)))


def test_dropout_spreads_what_the_head_says() -> None:
    """As in training; the same draw each time, torch's own state left alone. On more states tanh then has a slope."""
    seen = normal_steps("hopper", 3)
    before = torch.random.get_rng_state()
    without = look("synthetic_markov", "tied", seen=seen)
    first, again = (untrained("synthetic_markov", "tied", 3, "mini", "hopper", seen, dropout=True) for _ in range(2))
    assert first == again
    assert first.spread > without.spread
    assert 0 < without.alive <= 1
    assert torch.equal(before, torch.random.get_rng_state())


def test_fresh_weights_have_no_biases_and_a_gain_of_one() -> None:
    """As GPT-2 is initialised: all that a head's scale comes from is its own weight."""
    found = [look("random_matched", "tied", seed) for seed in (3, 4)]
    assert all((one.gain, one.query, one.key, one.value) == (1, 0, 0, 0) for one in found)
    rows = table(found)
    assert [row.split(" | ")[0] for row in rows] == ["| arm", "|---" * 12 + "|", "| random_matched"]
    assert [row.split(" | ")[2] for row in table(found, by_seed=True)[2:]] == ["3", "4"]


def test_states_of_the_data_are_steps_as_runs_see_them() -> None:
    """Each is a step of an episode: its state normalised, its own return to go and time, another draw for each seed."""
    found = find_data("hopper", get_scale("mini"))
    assert isinstance(found, dict)
    data = Inputs("hopper", found, {}).load_data()
    windows = windows_of("hopper", "mini")
    seen, other = (data_steps(windows, seed) for seed in (3, 4))
    assert seen.states.shape == (STATES, 1, 11)
    assert np.allclose(seen.states.mean((0, 1)), 0, atol=0.1)
    assert np.allclose(seen.states.std((0, 1)), 1, atol=0.1)
    assert not seen.states.equal(other.states)
    assert seen.timesteps.min() == 0
    assert seen.timesteps.max() < np.diff([*data.starts, len(data.observations)]).max()
    first = [float(one) for one in seen.returns_to_go[seen.timesteps == 0]]
    begins = data.returns_to_go[data.starts]
    assert first
    assert all(np.abs(begins - one).min() < 1e-5 for one in first)
    assert 0.1 < np.median(seen.returns_to_go) < 4
