"""The released code's own forward passes on tiny models, reproduced by the arms as they are built (golden arrays)."""

import json
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor

from dtclaims.lab.data.windows import Batch
from dtclaims.lab.design.tasks import TASKS
from dtclaims.lab.models import (
    PUBLISHED_POINTS,
    Backbone,
    DecisionTransformer,
    Stack,
    StackConfig,
    build_model,
    capture,
)
from dtclaims.places import fixture_dir

ARM_OF = {
    "forward_dt": "random_init",
    "forward_gpt2": "language_pretrained",
    "forward_igpt": "image_pretrained",
    "forward_block_replacement": "block_1_language",
}
MODELS = tuple(ARM_OF)
WITH_ACTIVATIONS = MODELS[:3]

LANGUAGE = StackConfig(blocks=3, width=32, heads=4, activation="gelu_new")
IMAGE = StackConfig(blocks=3, width=32, heads=2, activation="quick_gelu", norm="rms")

# The tolerances the golden files state.
AT_REAL: dict[str, Any] = {"atol": 1e-5, "rtol": 1e-4}
AT_PADDED: dict[str, Any] = {"atol": 2e-3, "rtol": 0.0}

Arrays = dict[str, npt.NDArray[Any]]


def read(name: str) -> tuple[Arrays, dict[str, Tensor]]:
    """The arrays of a golden file, and the parameters among them, less those the reference never uses."""
    with np.load(fixture_dir() / "golden" / f"{name}.npz") as file:
        arrays = dict(file)
    unused = ("transformer.wte.weight", "transformer.wpe.weight", ".attn.bias", ".attn.masked_bias")
    names = {key.removeprefix("state_dict/"): value for key, value in arrays.items() if key.startswith("state_dict/")}
    return arrays, {name: torch.from_numpy(value) for name, value in names.items() if not name.endswith(unused)}


def backbones() -> dict[str, Backbone]:
    """What the golden models were made from: the stacks of forward_gpt2 and, in ImageGPT's form, of forward_igpt."""
    stacks = {
        name: {key.removeprefix("transformer."): value for key, value in read(name)[1].items() if "transformer" in key}
        for name in ("forward_gpt2", "forward_igpt")
    }
    image = {name: tensor for name, tensor in stacks["forward_igpt"].items() if name in Stack(IMAGE).state_dict()}
    assert len(stacks["forward_igpt"]) - len(image) == 2 * IMAGE.blocks + 1
    return {
        "language": Backbone(LANGUAGE, stacks["forward_gpt2"], {}),
        "image": Backbone(IMAGE, image, {}),
    }


def load(name: str) -> tuple[Arrays, DecisionTransformer, Batch]:
    """The arrays of a golden file, the arm it is of, and its batch.

    What comes from a checkpoint is what `build_model` put there; only what the reference drew afresh is copied.
    """
    arrays, stored = read(name)
    arm = ARM_OF[name]
    model = build_model(arm, task=TASKS["hopper"], head="tied", architecture="reference", backbones=backbones(), seed=0)
    assert isinstance(model, DecisionTransformer)
    from_checkpoint = {"random_init": "nothing", "block_1_language": "transformer.h.1."}.get(arm, "transformer.")
    fresh = {key: value for key, value in stored.items() if not key.startswith(from_checkpoint)}
    with torch.no_grad():
        for key, value in fresh.items():
            parameter = model.get_parameter(key)
            # The reference's time table has fewer rows here.
            parameter[: len(value)].copy_(value)
    assert stored.keys() == model.state_dict().keys()
    batch = Batch(
        states=torch.from_numpy(arrays["in/states"]),
        actions=torch.from_numpy(arrays["in/actions"]),
        returns_to_go=torch.from_numpy(arrays["in/returns_to_go"]),
        timesteps=torch.from_numpy(arrays["in/timesteps"]),
        mask=torch.from_numpy(arrays["in/mask"]).bool(),
    )
    return arrays, model.eval(), batch


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
