"""The MLP: what it computes, what it sees, and how it starts."""

import math

import pytest
import torch
from torch import Tensor

from dtclaims.errors import MeasurementError
from dtclaims.lab.data.windows import Batch
from dtclaims.lab.models import BehaviourCloning, capture

STATES, ACTIONS, WIDTH = 5, 2, 64


def inputs(batch: int = 3, steps: int = 4, seed: int = 0) -> Batch:
    """Random windows whose first step is padding."""
    source = torch.Generator().manual_seed(seed)
    return Batch(
        states=torch.randn(batch, steps, STATES, generator=source),
        actions=torch.randn(batch, steps, ACTIONS, generator=source),
        returns_to_go=torch.rand(batch, steps, 1, generator=source),
        timesteps=torch.arange(steps).expand(batch, steps),
        mask=(torch.arange(steps) >= 1).expand(batch, steps),
    )


def predict(model: BehaviourCloning, batch: Batch) -> Tensor:
    """Predictions without gradients."""
    with torch.no_grad():
        predicted: Tensor = model(batch.states, batch.actions, batch.returns_to_go, batch.timesteps, batch.mask)
    return predicted


def test_it_is_three_hidden_relu_layers_and_a_tanh() -> None:
    """tanh(W4 relu(W3 relu(W2 relu(W1 (R, s))))), biases included, against a float64 oracle."""
    model, batch = BehaviourCloning(WIDTH, STATES, ACTIONS, seed=1).eval(), inputs()
    x = torch.cat((batch.returns_to_go, batch.states), dim=-1).double()
    tensors = {name: tensor.double() for name, tensor in model.state_dict().items()}
    assert len(tensors) == 8
    for layer in range(3):
        x = (x @ tensors[f"hidden.{layer}.weight"].t() + tensors[f"hidden.{layer}.bias"]).clamp(min=0)
    expected = torch.tanh(x @ tensors["predict_action.weight"].t() + tensors["predict_action.bias"])
    torch.testing.assert_close(predict(model, batch), expected.float())


def test_steps_do_not_mix() -> None:
    """A step's prediction is the one its return-to-go and state alone give, at any place in any window."""
    model, batch = BehaviourCloning(WIDTH, STATES, ACTIONS).eval(), inputs()
    alone = Batch(*(value[:, 2:3] for value in vars(batch).values()))
    torch.testing.assert_close(predict(model, batch)[:, 2:3], predict(model, alone))


def test_it_sees_return_to_go_and_state_only() -> None:
    """Return-to-go and state change a prediction; actions, time steps and the mask do not."""
    model, batch, other = BehaviourCloning(WIDTH, STATES, ACTIONS).eval(), inputs(), inputs(seed=1)
    expected = predict(model, batch)
    ignored = Batch(batch.states, other.actions, batch.returns_to_go, batch.timesteps + 7, ~batch.mask)
    assert torch.equal(predict(model, ignored), expected)
    for changed in (
        Batch(other.states, batch.actions, batch.returns_to_go, batch.timesteps, batch.mask),
        Batch(batch.states, batch.actions, other.returns_to_go, batch.timesteps, batch.mask),
    ):
        assert (predict(model, changed) != expected).all()


def test_it_is_a_function_of_its_seed() -> None:
    """Weights are uniform in ±1/sqrt(inputs), from named streams, without touching torch's global generator."""
    before = torch.get_rng_state()
    first = BehaviourCloning(WIDTH, STATES, ACTIONS, seed=1).state_dict()
    assert torch.equal(before, torch.get_rng_state())
    torch.manual_seed(9)
    second = BehaviourCloning(WIDTH, STATES, ACTIONS, seed=1).state_dict()
    other = BehaviourCloning(WIDTH, STATES, ACTIONS, seed=2).state_dict()
    for name, tensor in first.items():
        assert torch.equal(tensor, second[name])
        assert not torch.equal(tensor, other[name])
        inputs_of_layer = first[name.replace("bias", "weight")].shape[1]
        bound = inputs_of_layer**-0.5
        assert float(tensor.abs().max()) <= bound
        error = 6 * math.sqrt(4 / 45 / tensor.numel()) * bound**2
        assert abs(float(tensor.square().mean()) - bound**2 / 3) < error


def test_dropout_acts_in_training_only() -> None:
    """Two training passes differ, two evaluation passes do not."""
    model, batch = BehaviourCloning(WIDTH, STATES, ACTIONS), inputs()
    assert not torch.equal(predict(model, batch), predict(model, batch))
    assert torch.equal(predict(model.eval(), batch), predict(model, batch))


def test_it_learns() -> None:
    """Every parameter gets a gradient, and a few steps of descent lower the error."""
    model, batch = BehaviourCloning(WIDTH, STATES, ACTIONS).eval(), inputs(batch=16)
    target = torch.tanh(batch.states[..., :ACTIONS])
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    losses = []
    for _ in range(20):
        given = (batch.states, batch.actions, batch.returns_to_go, batch.timesteps, batch.mask)
        loss = (model(*given) - target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in model.parameters())
    assert losses[-1] < 0.3 * losses[0]


def test_it_has_no_activations_of_blocks() -> None:
    """Capturing blocks, or recording, is one typed error."""
    model, batch = BehaviourCloning(WIDTH, STATES, ACTIONS), inputs()
    with pytest.raises(MeasurementError, match="the MLP has no Transformer blocks to read"):
        capture(model, batch)
    with pytest.raises(MeasurementError, match="the MLP has no Transformer blocks to read"):
        model(*vars(batch).values(), record=lambda name, value: None)
