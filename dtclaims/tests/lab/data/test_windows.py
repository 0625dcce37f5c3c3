"""Training windows: the reference's batches, and the law of the draws."""

import json
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dtclaims.errors import DataError
from dtclaims.lab.data.trajectories import Trajectories
from dtclaims.lab.data.windows import ACTION_PADDING, Batch, WindowSampler
from dtclaims.lab.design.tasks import Task
from dtclaims.places import fixture_dir
from dtclaims.seeding import generator
from dtclaims.tests.support.examples import made_up


def golden(name: str) -> tuple[dict[str, Any], WindowSampler, Trajectories]:
    """Arrays of the reference's sampler, and ours on the same trajectories."""
    folder = fixture_dir() / "golden"
    with np.load(folder / f"{name}.npz") as file:
        values = dict(file)
    settings = json.loads((folder / f"{name}.json").read_text())["settings"]
    task = Task("toy", "", settings["S"], settings["A"], 0.0, (0.0, 1.0), (0.0, 1.0), 0.0)
    lengths = values["traj_lengths"]
    data = Trajectories(
        task,
        values["traj/observations"],
        # The golden actions are unbounded noise; the sampler does not look at their size.
        np.clip(values["traj/actions"], -1, 1),
        values["traj/rewards"],
        lengths,
        np.ones(len(lengths), dtype=bool),
    )
    return values, WindowSampler(data, settings["K"]), data


def compare(batch: Batch, values: dict[str, Any], prefix: str, to_go_rtol: float = 1e-6) -> None:
    mask = values[f"{prefix}mask"].astype(bool)
    np.testing.assert_array_equal(batch.mask.numpy(), mask)
    np.testing.assert_array_equal(batch.timesteps.numpy(), values[f"{prefix}timesteps"])
    np.testing.assert_allclose(batch.states.numpy(), values[f"{prefix}states"], rtol=1e-6, atol=1e-6)
    expected = np.where(mask[..., None], np.clip(values[f"{prefix}actions"], -1, 1), values[f"{prefix}actions"])
    np.testing.assert_allclose(batch.actions.numpy(), expected, rtol=1e-6, atol=1e-6)
    # The reference's last column is never fed to the model.
    np.testing.assert_allclose(batch.returns_to_go.numpy(), values[f"{prefix}rtg"][:, :-1], rtol=to_go_rtol, atol=1e-6)


@pytest.mark.parametrize("prefix", ["b0/", "b1/"])
def test_golden_batches(prefix: str) -> None:
    """Given the reference's draws, its batches: paddings, normalisation, time index, return-to-go, float types."""
    values, sampler, data = golden("batch")
    np.testing.assert_allclose(data.state_mean, values["state_mean"], rtol=1e-5)
    np.testing.assert_allclose(data.state_std, values["state_std"], rtol=1e-5)
    starts = data.starts[values[f"{prefix}drawn_trajectory"]] + values[f"{prefix}drawn_start"]
    compare(sampler.gather(starts), values, prefix)


@pytest.mark.parametrize("prefix", ["b0/", "b1/"])
def test_golden_analysis_batches(prefix: str) -> None:
    """The batches of the reference's analyses, which come from the same sampler one integer later."""
    values, sampler, data = golden("batch_analysis")
    starts = data.starts[values[f"{prefix}drawn_trajectory"]] + values[f"{prefix}drawn_start"]
    compare(sampler.gather(starts), values, prefix)


def test_resident_starts_give_the_same_batch() -> None:
    """Starts moved to the device together gather as starts passed one batch at a time."""
    sampler = WindowSampler(made_up([9, 7, 20]), 5)
    starts = sampler.draw(12, generator(0, "batches")).reshape(3, 4)
    for row, moved in zip(starts, sampler.resident(starts), strict=True):
        for one, other in zip(vars(sampler.gather(row)).values(), vars(sampler.gather(moved)).values(), strict=True):
            assert torch.equal(one, other)


def test_golden_time_cap() -> None:
    """Steps past 999 of a long trajectory are shown as 999."""
    values, sampler, data = golden("batch_time_cap")
    starts = data.starts[values["drawn_trajectory"]] + values["drawn_start"]
    compare(sampler.gather(starts), values, "", to_go_rtol=2e-6)


def test_lowest_return_is_never_drawn() -> None:
    """The reference's strict comparison leaves out exactly the trajectory with the lowest return (DEV-32)."""
    values, sampler, data = golden("batch")
    left_out = int(values["never_sampled"][0])
    steps = set(range(*next(one for i, one in enumerate(data.slices()) if i == left_out).indices(len(data.rewards))))
    assert set(range(len(data.rewards))) - set(sampler.positions.tolist()) == steps


def test_draws_follow_the_reference_law() -> None:
    """Trajectory ∝ length, then a uniform start: the frequencies of a naive two-stage sampler, within 5 sigma."""
    values, sampler, data = golden("batch")
    count = 60_000
    drawn = sampler.draw(count, generator(0, "test"))
    kept = values["sorted_trajectory_indices"]
    probability = np.zeros(len(data.rewards))
    for trajectory, chance in zip(kept, values["sampling_probability"], strict=True):
        one = list(data.slices())[int(trajectory)]
        probability[one] = chance / data.lengths[trajectory]
    found = np.bincount(drawn, minlength=len(probability)) / count
    spread = np.sqrt(probability * (1 - probability) / count)
    assert (np.abs(found - probability) <= 5 * spread + 1e-12).all()


@given(st.lists(st.integers(1, 12), min_size=2, max_size=6), st.integers(1, 8), st.integers(0, 100))
def test_windows_match_a_naive_loop(lengths: list[int], context: int, seed: int) -> None:
    """Every window equals the one that a plain loop over steps builds."""
    data = made_up(lengths, seed=seed)
    sampler = WindowSampler(data, context)
    starts = sampler.draw(5, generator(seed, "windows"))
    batch = sampler.gather(starts)
    normalised = (data.observations - data.state_mean.astype(np.float64)) / data.state_std
    for row, start in enumerate(starts):
        trajectory = np.searchsorted(data.starts, start, side="right") - 1
        end = min(start + context, data.starts[trajectory] + data.lengths[trajectory])
        real = end - start
        pad = context - real
        assert batch.mask[row].tolist() == [False] * pad + [True] * real
        np.testing.assert_allclose(batch.states[row, pad:], normalised[start:end], rtol=1e-5, atol=1e-6)
        np.testing.assert_array_equal(batch.actions[row, pad:], data.actions[start:end])
        np.testing.assert_array_equal(batch.returns_to_go[row, pad:, 0], data.returns_to_go[start:end])
        assert batch.timesteps[row, pad:].tolist() == list(
            range(start - data.starts[trajectory], end - data.starts[trajectory])
        )
        assert (batch.actions[row, :pad] == ACTION_PADDING).all()
        assert (batch.returns_to_go[row, :pad] == 0).all()
        assert (batch.timesteps[row, :pad] == 0).all()


@given(st.integers(0, 1000))
def test_full_draws_have_no_padding(seed: int) -> None:
    """Corrected analyses see full windows only (DEV-23)."""
    sampler = WindowSampler(made_up([3, 9, 7, 20]), 5)
    assert bool(sampler.gather(sampler.draw(16, generator(seed, "full"), full=True)).mask.all())


def test_draws_depend_on_seed_and_purpose_only() -> None:
    """The same stream gives the same windows on any sampler of the data: arms of one seed are paired."""
    data = made_up([9, 7, 20])
    first, second = (WindowSampler(data, 5).draw(10, generator(3, "batches")) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, WindowSampler(data, 5).draw(10, generator(4, "batches")))


def test_unusable_requests_are_named() -> None:
    """No window, one trajectory, or none long enough: a DataError each."""
    with pytest.raises(DataError, match="at least one step"):
        WindowSampler(made_up([4, 5]), 0)
    with pytest.raises(DataError, match="left out"):
        WindowSampler(made_up([4]), 2)
    with pytest.raises(DataError, match="as long as the window"):
        WindowSampler(made_up([4, 5]), 9).draw(1, generator(0, "x"), full=True)


def test_batches_are_float32_on_the_device() -> None:
    """The model's types: float32 throughout, int64 time index, boolean mask."""
    batch = WindowSampler(made_up([4, 5]), 3).gather(np.array([0, 5]))
    assert {batch.states.dtype, batch.actions.dtype, batch.returns_to_go.dtype} == {torch.float32}
    assert (batch.timesteps.dtype, batch.mask.dtype) == (torch.int64, torch.bool)


@given(lengths=st.lists(st.integers(1, 12), min_size=3, max_size=12), count=st.integers(1, 14), seed=st.integers(0, 99))
def test_separate_windows_are_of_different_trajectories(lengths: list[int], count: int, seed: int) -> None:
    """At most one full window of each trajectory but the one left out, as many as there are; the stream decides."""
    data = made_up([*lengths, 9, 9])
    sampler = WindowSampler(data, 5)
    starts = sampler.draw_separate(count, generator(seed, "test/separate"))
    whose = np.searchsorted(data.starts, starts, side="right") - 1
    left_out = int(np.argsort(data.returns)[0])
    fitting = [i for i, length in enumerate(data.lengths) if length >= 5 and i != left_out]
    assert sampler.separate == len(fitting)
    assert len(set(whose)) == len(starts) == min(count, len(fitting))
    assert set(whose) <= set(fitting)
    assert bool((starts + 5 <= data.starts[whose] + data.lengths[whose]).all())
    np.testing.assert_array_equal(starts, sampler.draw_separate(count, generator(seed, "test/separate")))


def test_separate_windows_start_anywhere() -> None:
    """Every full window of a trajectory is as likely as another, and every trajectory if fewer are asked for."""
    data = made_up([8, 12, 12, 5])
    sampler, stream = WindowSampler(data, 5), generator(0, "test/separate")
    starts = np.concatenate([sampler.draw_separate(1, stream) for _ in range(6000)])
    whose = np.searchsorted(data.starts, starts, side="right") - 1
    found, counts = np.unique(starts, return_counts=True)
    np.testing.assert_array_equal(found, sampler.full_positions)
    for trajectory in set(whose):
        own = counts[np.searchsorted(data.starts, found, side="right") - 1 == trajectory]
        assert own.sum() == pytest.approx(2000, rel=0.1)
        np.testing.assert_allclose(own, own.mean(), rtol=0.25)


def test_no_trajectory_is_long_enough() -> None:
    """An error, as for other full windows."""
    with pytest.raises(DataError, match="as long as the window"):
        WindowSampler(made_up([4, 4, 4]), 5).draw_separate(2, generator(0, "test/separate"))
