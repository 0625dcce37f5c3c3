"""The released code's own forward passes on tiny models, reproduced by the arms as they are built (golden arrays)."""

import json
from typing import Any

import pytest
import torch
from torch import Tensor

from dtclaims.lab.data.windows import Batch
from dtclaims.lab.models import PUBLISHED_POINTS, DecisionTransformer, capture
from dtclaims.places import fixture_dir
from dtclaims.tests.support.golden import MODELS, WITH_ACTIVATIONS, load

# The tolerances the golden files state.
AT_REAL: dict[str, Any] = {"atol": 1e-5, "rtol": 1e-4}
AT_PADDED: dict[str, Any] = {"atol": 2e-3, "rtol": 0.0}


def predict(model: DecisionTransformer, batch: Batch, attention: Any) -> Tensor:
    """Predictions without gradients."""
    with torch.no_grad():
        predicted: Tensor = model(
            batch.states, batch.actions, batch.returns_to_go, batch.timesteps, batch.mask, attention=attention
        )
    return predicted


@pytest.mark.parametrize("attention", ["boolean", "reference"])
@pytest.mark.parametrize("name", MODELS)
def test_predictions_at_real_steps_are_the_reference_s(name: str, attention: str) -> None:
    """Both attention forms predict what the released code predicts, also with one block of another model."""
    arrays, model, batch = load(name)
    expected = torch.from_numpy(arrays["out/action_preds"])
    found = predict(model, batch, attention)
    torch.testing.assert_close(found[batch.mask], expected[batch.mask], **AT_REAL)


@pytest.mark.parametrize("name", MODELS)
def test_reference_attention_reproduces_predictions_at_padded_steps(name: str) -> None:
    """Additive masks near -1e4 give padded queries the reference's mixture, future included (DEV-41)."""
    arrays, model, batch = load(name)
    assert not batch.mask.all()
    expected = torch.from_numpy(arrays["out/action_preds"])
    found = predict(model, batch, "reference")
    torch.testing.assert_close(found[~batch.mask], expected[~batch.mask], **AT_PADDED)


@pytest.mark.parametrize("name", MODELS)
def test_the_arms_have_the_reference_s_networks(name: str) -> None:
    """Heads and activation of every block are those the golden settings state (DEV-04)."""
    _, model, _ = load(name)
    settings = json.loads((fixture_dir() / "golden" / f"{name}.json").read_text())["settings"]
    mixed = name == "forward_block_replacement"
    for index, block in enumerate(model.transformer.h):
        kind = (4, "gelu_new") if index == settings.get("replaced_block") else (1, "relu")
        expected = kind if mixed else (settings["heads"], settings["activation"])
        assert (block.attn.heads, block.mlp.activation) == expected  # type: ignore[union-attr]


@pytest.mark.parametrize("name", MODELS)
def test_stack_input_is_layer_norm_then_time(name: str) -> None:
    """The time embedding is added after the LayerNorm, to the three tokens of a step alike (DEV-28)."""
    arrays, model, batch = load(name)
    found = model.embed(batch.states, batch.actions, batch.returns_to_go, batch.timesteps)
    torch.testing.assert_close(found, torch.from_numpy(arrays["out/stack_input"]), **AT_REAL)


@pytest.mark.parametrize("name", WITH_ACTIVATIONS)
def test_activations_are_the_reference_s(name: str) -> None:
    """All nine points of every block agree, at real positions closely and at padded ones as float32 allows."""
    arrays, model, batch = load(name)
    real = batch.mask.repeat_interleave(3, dim=1)
    captured = capture(model, batch, PUBLISHED_POINTS, attention="reference")
    assert len(captured) == 27
    for point, found in captured.items():
        expected = torch.from_numpy(arrays[f"act/{point.removeprefix('h.')}"])
        torch.testing.assert_close(found[real], expected[real], **AT_REAL)
        torch.testing.assert_close(found[~real], expected[~real], **AT_PADDED)


@pytest.mark.parametrize("name", MODELS)
def test_the_residual_stream_leads_to_the_reference_s_output(name: str) -> None:
    """The final norm of the last block's captured residual is the reference's, one block of another model included."""
    arrays, model, batch = load(name)
    real = batch.mask.repeat_interleave(3, dim=1)
    last = capture(model, batch, ("resid_out",), attention="reference")["h.2.resid_out"]
    found, expected = model.transformer.ln_f(last).detach(), torch.from_numpy(arrays["out/ln_f"])
    torch.testing.assert_close(found[real], expected[real], **AT_REAL)
    torch.testing.assert_close(found[~real], expected[~real], **AT_PADDED)


@pytest.mark.parametrize("name", WITH_ACTIVATIONS)
def test_published_order_is_the_golden_order(name: str) -> None:
    """Captured points come in the published order, mlp.c_proj before mlp.act."""
    _, model, batch = load(name)
    order = json.loads((fixture_dir() / "golden" / f"{name}.json").read_text())["settings"]["activation_order"]
    assert list(capture(model, batch, PUBLISHED_POINTS)) == [f"h.{point}" for point in order]


@pytest.mark.parametrize("name", WITH_ACTIVATIONS)
def test_boolean_attention_agrees_at_real_positions_only(name: str) -> None:
    """A boolean mask gives the reference's activations at real positions and others at padded ones (DEV-41)."""
    arrays, model, batch = load(name)
    real = batch.mask.repeat_interleave(3, dim=1)
    captured = capture(model, batch, ("attn.c_proj",), attention="boolean")
    largest = 0.0
    for point, found in captured.items():
        expected = torch.from_numpy(arrays[f"act/{point.removeprefix('h.')}"])
        torch.testing.assert_close(found[real], expected[real], **AT_REAL)
        largest = max(largest, float((found - expected)[~real].abs().max()))
    assert largest > 10 * AT_PADDED["atol"]
