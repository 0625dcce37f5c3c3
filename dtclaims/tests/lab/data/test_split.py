"""The held-out part: whole trajectories, each in one part, chosen by (seed, task) alone."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dtclaims.errors import DataError, UsageError
from dtclaims.lab.data.split import split_trajectories
from dtclaims.lab.data.trajectories import Trajectories
from dtclaims.lab.data.windows import WindowSampler
from dtclaims.tests.support.examples import made_up

LENGTHS = st.lists(st.integers(1, 30), min_size=4, max_size=25)


def episodes(data: Trajectories) -> list[bytes]:
    """Each trajectory's content, in order."""
    return [
        b"".join(array[one].tobytes() for array in (data.observations, data.actions, data.rewards))
        for one in data.slices()
    ]


@given(LENGTHS, st.integers(0, 50), st.sampled_from([0.05, 0.1, 0.5]), st.sampled_from([1, 40, 10_000]))
def test_parts_are_disjoint_and_complete(lengths: list[int], seed: int, share: float, least: int) -> None:
    """Every trajectory is in exactly one part, whole, in the order of the data, with its own end."""
    data = made_up(lengths)
    parts = split_trajectories(data, share, seed=seed, min_steps=least)
    train, held_out = (episodes(part) for part in parts)
    everything = episodes(data)
    assert len(set(everything)) == len(everything)
    assert not set(train) & set(held_out)
    assert sorted(train + held_out) == sorted(everything)
    ends = dict(zip(everything, data.terminated, strict=True))
    for names, part in zip((train, held_out), parts, strict=True):
        assert names == [name for name in everything if name in set(names)]
        assert part.terminated.tolist() == [ends[name] for name in names]
        assert len(names) >= 2


@given(LENGTHS, st.integers(0, 50), st.sampled_from([0.05, 0.1, 0.5]), st.sampled_from([1, 40, 10_000]))
def test_held_out_steps_are_enough_or_as_many_as_half_allows(
    lengths: list[int], seed: int, share: float, least: int
) -> None:
    """The share and the minimum are met, or one more trajectory would pass half of the steps."""
    data = made_up(lengths)
    train, held_out = split_trajectories(data, share, seed=seed, min_steps=least)
    steps, held = len(data.rewards), len(held_out.rewards)
    if held < max(share * steps, least):
        assert len(train.lengths) == 2 or held + max(train.lengths) > steps / 2
    if len(held_out.lengths) > 2:
        assert held <= steps / 2
        assert held - max(held_out.lengths) < max(share * steps, least)


def test_ten_thousand_steps_are_held_out_where_a_tenth_is_less() -> None:
    """The default minimum: 10,000 of 50,000 transitions; a tenth of 200,000."""
    for count, least, most in ((500, 10_000, 10_100), (2000, 20_000, 20_100)):
        _, held_out = split_trajectories(made_up([100] * count), seed=3)
        assert least <= len(held_out.rewards) < most


def test_split_depends_on_seed_and_task_only() -> None:
    """The same data and seed give the same parts; another seed gives others."""
    data = made_up(list(range(5, 45)))
    first, again, other = (split_trajectories(data, 0.2, seed=seed, min_steps=1) for seed in (1, 1, 2))
    assert [part.sha256 for part in first] == [part.sha256 for part in again]
    assert first[1].sha256 != other[1].sha256
    assert first[1].provenance["split"] == {"part": "held-out", "seed": 1, "share": 0.2, "min_steps": 1}


def test_held_out_windows_are_normalised_with_the_training_part() -> None:
    """State mean and std come from the training part, on either part."""
    train, held_out = split_trajectories(made_up([9, 8, 7, 6, 5, 30]), 0.3, seed=0, min_steps=1)
    sampler = WindowSampler(held_out, 4, statistics_of=train)
    starts = held_out.starts[:1]
    expected = (held_out.observations[:4].astype(np.float64) - train.state_mean) / train.state_std
    np.testing.assert_allclose(sampler.gather(starts).states[0], expected, rtol=1e-5, atol=1e-6)
    own = WindowSampler(held_out, 4).gather(starts).states[0]
    assert not np.allclose(own, expected, atol=1e-3)


def test_unusable_requests_are_named() -> None:
    """A share that is none, and too few trajectories."""
    with pytest.raises(UsageError, match=r"share to hold out: got 0\.6"):
        split_trajectories(made_up([5] * 9), 0.6, seed=0)
    with pytest.raises(DataError, match="too few trajectories"):
        split_trajectories(made_up([5] * 3), seed=0)
