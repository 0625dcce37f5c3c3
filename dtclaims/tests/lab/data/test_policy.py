"""Tanh-Gaussian policies: inference, files and the errors of both."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from dtclaims.errors import DataError
from dtclaims.lab.data.policy import Policy
from dtclaims.lab.design.tasks import TASKS
from dtclaims.tests.support.policies import moments, random_tensors

HOPPER = TASKS["hopper"]


@settings(max_examples=25)
@given(st.integers(0, 10_000), st.integers(1, 6))
def test_deterministic_action_is_tanh_of_the_mean(seed: int, count: int) -> None:
    """Agrees with a float64 oracle, in float32 within [−1, 1], and leaves the generator untouched."""
    tensors = random_tensors(seed)
    states = np.random.default_rng(seed).normal(size=(count, 11))
    rng = np.random.default_rng(0)
    actions = Policy(HOPPER, tensors).act(states, rng, deterministic=True)
    assert actions.dtype == np.float32
    assert np.abs(actions).max() <= 1
    np.testing.assert_allclose(actions, [np.tanh(moments(tensors, state)[0]) for state in states], atol=2e-6)
    assert rng.integers(1000) == np.random.default_rng(0).integers(1000)


def test_stochastic_actions_follow_the_gaussian() -> None:
    """atanh of the actions has the network's mean and standard deviation, independently by dimension."""
    tensors = random_tensors(3)
    tensors["log_std.bias"] -= 1.5
    state = np.linspace(-1, 1, 11)
    mean, std = moments(tensors, state)
    draws = 40_000
    actions = Policy(HOPPER, tensors).act(np.tile(state, (draws, 1)), np.random.default_rng(1))
    raw = np.arctanh(actions.astype(np.float64))
    np.testing.assert_allclose(raw.mean(axis=0), mean, atol=5 * std.max() / np.sqrt(draws))
    np.testing.assert_allclose(raw.std(axis=0), std, rtol=0.02)
    np.testing.assert_allclose(np.corrcoef(raw.T), np.eye(3), atol=0.03)


@pytest.mark.parametrize(("bias", "expected"), [(50.0, np.exp(2.0)), (-50.0, np.exp(-20.0))])
def test_log_std_is_clipped(bias: float, expected: float) -> None:
    """log σ outside [−20, 2] acts as the nearer end."""
    tensors = {name: np.zeros_like(value) for name, value in random_tensors().items()}
    tensors["log_std.bias"] += np.float32(bias)
    noise = np.random.default_rng(2).standard_normal((4, 3), dtype=np.float32)
    actions = Policy(HOPPER, tensors).act(np.zeros((4, 11)), np.random.default_rng(2))
    np.testing.assert_allclose(actions, np.tanh(expected * noise), rtol=1e-5)


def test_saved_policy_is_read_back(tmp_path: Path) -> None:
    """The folder round trip keeps every bit, and half-precision weights are read as float32."""
    tensors = random_tensors(5)
    Policy(HOPPER, tensors).save(tmp_path / "model.safetensors")
    loaded = Policy.load(tmp_path, HOPPER)
    assert all(np.array_equal(loaded.tensors[name], value) for name, value in tensors.items())
    save_file({name: value.astype(np.float16) for name, value in tensors.items()}, tmp_path / "model.safetensors")
    halved = Policy.load(tmp_path, HOPPER)
    assert all(value.dtype == np.float32 for value in halved.tensors.values())
    np.testing.assert_allclose(halved.tensors["mean.weight"], tensors["mean.weight"], rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("mean.weight", None, r"tensors are missing: .*expected mean\.weight"),
        ("hidden.0.weight", np.zeros((8, 17), np.float32), r"policy tensor hidden\.0\.weight: .*\(8, 17\).*\(8, 11\)"),
        ("hidden.1.bias", np.zeros(7, np.float32), r"policy tensor hidden\.1\.bias: got float32 \(7,\)"),
        ("hidden.0.bias", np.zeros((1, 8), np.float32), r"policy tensor hidden\.0\."),
        ("mean.bias", np.zeros(3), r"policy tensor mean\.bias: got float64"),
        ("log_std.bias", np.full(3, np.nan, np.float32), r"policy tensor log_std\.bias is not finite"),
        ("extra", np.zeros(3, np.float32), "unknown policy tensors: got extra"),
    ],
)
def test_unfit_tensors_are_named(name: str, value: np.ndarray | None, message: str) -> None:
    """A tensor that is missing, misshapen, of another type, not finite or unknown is named in the error."""
    tensors = random_tensors()
    if value is None:
        del tensors[name]
    else:
        tensors[name] = value
    with pytest.raises(DataError, match=message):
        Policy(HOPPER, tensors)


def test_unreadable_files_and_states_are_refused(tmp_path: Path) -> None:
    """No file, a file of another kind and states of another width each get a DataError."""
    with pytest.raises(DataError, match="no policy weights"):
        Policy.load(tmp_path, HOPPER)
    (tmp_path / "model.safetensors").write_bytes(b"not a checkpoint")
    with pytest.raises(DataError, match="cannot be read"):
        Policy.load(tmp_path, HOPPER)
    with pytest.raises(DataError, match=r"states of hopper: got \(2, 17\), expected \(n, 11\)"):
        Policy(HOPPER, random_tensors()).act(np.zeros((2, 17)), np.random.default_rng(0))
