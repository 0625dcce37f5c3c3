"""Roll-outs: the reference's, step by step, and the masks of finished episodes."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from dtclaims.data.tasks import RETURN_SCALE
from dtclaims.fixtures import fixture_dir
from dtclaims.tests.test_models_golden import load
from dtclaims.train.evaluate import evaluate


class Linear:
    """The golden roll-outs' environment: linear dynamics, one slot."""

    def __init__(self, values: dict[str, Any], case: str) -> None:
        self.values, self.case = values, case
        self.state = values[f"{case}/s0"]
        self.stepped = 0

    def reset(self, seeds: Sequence[int]) -> np.ndarray:
        return self.state[None]

    def step(self, actions: np.ndarray, active: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        env = {name: self.values[f"env/{name}"] for name in ("M", "N", "b", "rw")}
        reward = self.values[f"{self.case}/rewards"][self.stepped]
        self.state = env["M"] @ self.state + env["N"] @ actions[0] + env["b"]
        done = self.state[int(self.values[f"{self.case}/threshold_coordinate"])] > self.values[f"{self.case}/threshold"]
        self.stepped += 1
        return self.state[None], np.array([reward]), np.array([bool(done)])


class Recorder(nn.Module):
    """Passes a model's calls through and keeps what it was given."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model
        self.fed: list[tuple[Tensor, ...]] = []

    def forward(self, *inputs: Tensor) -> Tensor:
        self.fed.append(tuple(value.clone() for value in inputs))
        predicted: Tensor = self.model(*inputs)
        return predicted


@pytest.mark.parametrize("case", ["K5/limit", "K5/terminal", "K1/limit", "K1/terminal"])
def test_golden_rollouts(case: str) -> None:
    """What the model is fed, what it does and what it earns agree with the reference, step by step.

    Our context is not padded; the reference's padding must be all zeros and masked.
    """
    with np.load(fixture_dir() / "golden" / "eval.npz") as file:
        values = dict(file)
    _, model, _ = load("forward_dt")
    recorder = Recorder(model)
    context = int(case[1])
    rollouts = evaluate(
        recorder,
        Linear(values, case),
        seeds=[0],
        target=3600.0,
        context=context,
        state_mean=values["state_mean"],
        state_std=values["state_std"],
        action_dim=3,
        max_steps=30,
    )
    assert rollouts.lengths[0] == values[f"{case}/length"]
    np.testing.assert_allclose(rollouts.returns[0], values[f"{case}/return"], rtol=1e-5)
    names = ("states", "actions", "returns_to_go", "timesteps", "mask")
    for step, fed in enumerate(recorder.fed):
        seen = min(step + 1, context)
        for name, value in zip(names, fed, strict=True):
            expected = values[f"{case}/fed/{name}"][step]
            np.testing.assert_allclose(
                value[0].numpy(), expected[context - seen :], atol=1e-4, err_msg=f"{name}, step {step}"
            )
            assert not expected[: context - seen].any()


class Countdown:
    """Episode i ends after i + 1 steps and pays 1 a step; stepping a finished one is an error."""

    def __init__(self, count: int) -> None:
        self.left = np.arange(1, count + 1)

    def reset(self, seeds: Sequence[int]) -> np.ndarray:
        return np.zeros((len(seeds), 2))

    def step(self, actions: np.ndarray, active: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        assert active is not None
        assert (self.left[active] > 0).all()
        self.left = np.where(active, self.left - 1, self.left)
        # Rewards of finished slots are poison: they must not be counted.
        return np.zeros((len(active), 2)), np.where(active, 1.0, np.nan), active & (self.left == 0)


class Still(nn.Module):
    """Always the zero action; remembers the returns-to-go it saw last."""

    def forward(self, states: Tensor, actions: Tensor, to_go: Tensor, timesteps: Tensor, mask: Tensor) -> Tensor:
        self.to_go = to_go
        return torch.zeros_like(actions)


def test_finished_episodes_are_masked() -> None:
    """Each episode counts its own steps and rewards until its end, and no longer."""
    model = Still().train()
    rollouts = evaluate(
        model,
        Countdown(5),
        seeds=range(5),
        target=10.0,
        context=3,
        state_mean=np.zeros(2, dtype=np.float32),
        state_std=np.ones(2, dtype=np.float32),
        action_dim=1,
    )
    assert rollouts.lengths.tolist() == [1, 2, 3, 4, 5]
    assert rollouts.returns.tolist() == [1.0, 2.0, 3.0, 4.0, 5.0]
    # The last call saw the longest episode's steps 3 to 5, each with the target less what was earned before it.
    np.testing.assert_allclose(model.to_go[0, :, 0] * RETURN_SCALE, [8.0, 7.0, 6.0], rtol=1e-5)
    assert model.training
