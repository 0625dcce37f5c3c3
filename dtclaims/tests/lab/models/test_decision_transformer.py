"""What the Decision Transformer may see, how it predicts, and how it is initialised."""

import copy
import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from dtclaims.errors import UsageError
from dtclaims.lab.models import DecisionTransformer, StackConfig

STATES, ACTIONS = 5, 2
TINY = StackConfig(blocks=2, width=16, heads=2, activation="gelu_new")

Inputs = dict[str, Tensor]


def model(head: Any = "tied", config: StackConfig = TINY, seed: int = 0) -> DecisionTransformer:
    """A tiny model in eval mode."""
    return DecisionTransformer(config, STATES, ACTIONS, head, seed=seed).eval()


def inputs(batch: int, steps: int, seed: int, padding: int = 0) -> Inputs:
    """Random windows whose first `padding` steps are not real."""
    source = torch.Generator().manual_seed(seed)
    return {
        "states": torch.randn(batch, steps, STATES, generator=source),
        "actions": torch.rand(batch, steps, ACTIONS, generator=source) * 2 - 1,
        "returns_to_go": torch.rand(batch, steps, 1, generator=source),
        "timesteps": torch.arange(steps).expand(batch, steps),
        "mask": (torch.arange(steps) >= padding).expand(batch, steps),
    }


def predict(network: DecisionTransformer, given: Inputs) -> Tensor:
    """Predictions without gradients."""
    with torch.no_grad():
        predicted: Tensor = network(**given)
    return predicted


def edited(given: Inputs, name: str, steps: slice, seed: int) -> Inputs:
    """A copy of `given` with other values of one input at some steps."""
    source = torch.Generator().manual_seed(seed)
    tensor = given[name].clone()
    fresh = tensor[:, steps]
    if name == "timesteps":
        tensor[:, steps] = torch.randint(0, 1000, fresh.shape, generator=source)
    else:
        tensor[:, steps] = torch.randn(fresh.shape, generator=source) * 100
    return {**given, name: tensor}


@settings(max_examples=30)
@given(
    steps=st.integers(2, 6),
    data=st.data(),
    name=st.sampled_from(["states", "actions", "returns_to_go", "timesteps"]),
    seed=st.integers(0, 1000),
)
def test_the_future_never_changes_an_action(steps: int, data: st.DataObject, name: str, seed: int) -> None:
    """Editing an input at a step leaves the predictions of all earlier steps as they were."""
    changed = data.draw(st.integers(1, steps - 1))
    network, before = model(), inputs(2, steps, seed)
    after = edited(before, name, slice(changed, None), seed)
    old, new = predict(network, before), predict(network, after)
    torch.testing.assert_close(new[:, :changed], old[:, :changed], rtol=0, atol=1e-6)


def test_an_action_token_is_not_seen_by_its_own_prediction() -> None:
    """The action of a step follows its state token, so only later steps see it."""
    network, before = model(), inputs(2, 3, 0)
    old, new = predict(network, before), predict(network, edited(before, "actions", slice(1, 2), 1))
    torch.testing.assert_close(new[:, :2], old[:, :2], rtol=0, atol=1e-6)
    assert not torch.allclose(new[:, 2], old[:, 2], atol=1e-4)


@pytest.mark.parametrize("name", ["states", "returns_to_go", "timesteps"])
def test_a_prediction_uses_its_own_step(name: str) -> None:
    """Return-to-go, state and time of a step reach that step's action."""
    network, before = model(), inputs(2, 3, 0)
    old, new = predict(network, before), predict(network, edited(before, name, slice(2, 3), 1))
    assert not torch.allclose(new[:, 2], old[:, 2], atol=1e-4)


@settings(max_examples=30)
@given(
    steps=st.integers(2, 6),
    data=st.data(),
    name=st.sampled_from(["states", "actions", "returns_to_go", "timesteps"]),
    attention=st.sampled_from(["boolean", "reference"]),
    seed=st.integers(0, 1000),
)
def test_padding_never_changes_a_real_prediction(
    steps: int, data: st.DataObject, name: str, attention: Any, seed: int
) -> None:
    """Whatever stands at padded steps, the predictions of real steps stay as they were, in both attention forms."""
    padding = data.draw(st.integers(1, steps - 1))
    network, before = model(), inputs(2, steps, seed, padding)
    after = edited(before, name, slice(0, padding), seed)
    with torch.no_grad():
        old, new = network(**before, attention=attention), network(**after, attention=attention)
    torch.testing.assert_close(new[:, padding:], old[:, padding:], rtol=0, atol=1e-6)


def test_left_padding_equals_a_shorter_window() -> None:
    """A padded window predicts what the window without its padding predicts."""
    network, padded = model(), inputs(3, 6, 0, padding=2)
    short = {name: tensor[:, 2:] for name, tensor in padded.items()}
    torch.testing.assert_close(predict(network, padded)[:, 2:], predict(network, short))


@pytest.mark.parametrize("training", [False, True])
def test_a_window_of_padding_only_gives_numbers(training: bool) -> None:
    """A padded query sees itself at least: outputs and gradients stay finite without any real step."""
    network = model().train(training)
    predicted = network(**inputs(2, 3, 0, padding=3))
    predicted.square().sum().backward()
    assert torch.isfinite(predicted).all()
    gradients = [p.grad for p in network.parameters() if p.grad is not None]
    assert gradients
    assert all(bool(torch.isfinite(gradient).all()) for gradient in gradients)


@pytest.mark.parametrize("head", ["tied", "untied", "tied_low_scale"])
def test_actions_are_bounded(head: str) -> None:
    """tanh keeps every predicted coordinate in [-1, 1], with one prediction per step."""
    predicted = predict(model(head), edited(inputs(4, 3, 0), "states", slice(None), 1))
    assert predicted.shape == (4, 3, ACTIONS)
    assert float(predicted.abs().max()) <= 1.0


@pytest.mark.parametrize("head", ["tied", "tied_low_scale"])
def test_the_tied_head_is_tied(head: str) -> None:
    """At K=1 the action embedding is used by the head only, and gets its gradient from there."""
    network = model(head)
    network(**inputs(4, 1, 0)).sum().backward()
    gradient = network.embed_action.weight.grad
    assert gradient is not None
    assert float(gradient.norm()) > 1e-3
    assert network.predict_action is None


def test_the_untied_head_is_its_own() -> None:
    """At K=1 the untied head's layer gets the gradient and the action embedding gets none (DEV-11)."""
    network = model("untied")
    network(**inputs(4, 1, 0)).sum().backward()
    gradient = network.embed_action.weight.grad
    assert gradient is None or not gradient.any()
    assert network.predict_action is not None
    assert network.predict_action.weight.grad is not None
    assert float(network.predict_action.weight.grad.norm()) > 1e-3


def test_a_deep_copy_predicts_with_its_own_action_embedding() -> None:
    """Unlike the reference's closure, the tied head moves with a copy of the model (DEV-42)."""
    network, given = model(), inputs(2, 2, 0)
    twin = copy.deepcopy(network)
    with torch.no_grad():
        network.embed_action.weight.zero_()
    assert not predict(network, given)[:, :1].any()
    assert predict(twin, given)[:, :1].all()


def test_an_unknown_head_is_refused() -> None:
    """A head that does not exist is one typed error."""
    with pytest.raises(UsageError, match="unknown action head"):
        model("closed")


@pytest.mark.parametrize("head", ["tied", "untied", "tied_low_scale"])
def test_a_model_is_a_function_of_its_seed(head: str) -> None:
    """The epoch-0 model can be rebuilt bit for bit, whatever torch's global generator did, and without moving it."""
    first = model(head, seed=7).state_dict()
    torch.manual_seed(12345)
    before = torch.get_rng_state()
    second, other = model(head, seed=7).state_dict(), model(head, seed=8).state_dict()
    assert torch.equal(before, torch.get_rng_state())
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)
    random = [name for name in first if name.endswith("weight") and "ln_" not in name and "_ln" not in name]
    assert random
    assert not any(torch.equal(first[name], other[name]) for name in random)


def test_wrapper_initialisation_is_pytorch_s_default() -> None:
    """Linear layers uniform in ±1/sqrt(inputs), the time table N(0, 1), embed_ln (1, 0) (protocol §3.1)."""
    network = model("untied", StackConfig(blocks=1, width=128, heads=1, activation="relu"))
    for layer in (network.embed_return, network.embed_state, network.embed_action, network.predict_action):
        assert layer is not None
        bound = layer.in_features**-0.5
        for tensor in (layer.weight, layer.bias):
            assert float(tensor.detach().abs().max()) <= bound
        # Six standard errors of a uniform's mean square.
        error = 6 * math.sqrt(4 / 45 / layer.weight.numel()) * bound**2
        assert abs(float(layer.weight.detach().square().mean()) - bound**2 / 3) < error
    table = network.embed_timestep.weight.detach()
    assert table.shape == (1000, 128)
    assert abs(float(table.mean())) < 0.02
    assert abs(float(table.std()) - 1) < 0.02
    assert (network.embed_ln.weight == 1).all()
    assert (network.embed_ln.bias == 0).all()


def test_the_low_scale_head_starts_unsaturated() -> None:
    """tied_low_scale is tied with a tenth of the action weights, and starts off tanh's flat part (DEV-11)."""
    config = StackConfig(blocks=1, width=512, heads=1, activation="relu")
    tied, low = model("tied", config), model("tied_low_scale", config)
    torch.testing.assert_close(low.embed_action.weight, tied.embed_action.weight * 0.1)
    torch.testing.assert_close(low.embed_action.bias, tied.embed_action.bias)
    given = inputs(20, 4, 0)
    share = {name: (predict(net, given).abs() > 0.99).float().mean() for name, net in (("tied", tied), ("low", low))}
    assert share["tied"] > 0.5
    assert share["low"] < 0.2
