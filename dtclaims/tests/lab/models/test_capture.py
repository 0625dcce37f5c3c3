"""Captured activations: names, shapes, what equals what, and that capturing leaves no trace."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from dtclaims.errors import MeasurementError
from dtclaims.lab.data.windows import Batch
from dtclaims.lab.design.tasks import get_task
from dtclaims.lab.models import (
    DISTINCT_POINTS,
    PUBLISHED_POINTS,
    RESIDUAL_POINTS,
    Backbone,
    DecisionTransformer,
    Stack,
    StackConfig,
    build_model,
    capture,
    queries_and_keys,
)

CONFIG = StackConfig(blocks=2, width=12, heads=3, activation="quick_gelu", mlp_width=20)
WINDOWS, STEPS = 3, 4


@pytest.fixture
def model() -> DecisionTransformer:
    """A tiny model in training mode."""
    return DecisionTransformer(CONFIG, 5, 2, "untied", seed=1)


@pytest.fixture(scope="module")
def batch() -> Batch:
    """Windows of which the first has one padded step."""
    source = torch.Generator().manual_seed(0)
    mask = torch.ones(WINDOWS, STEPS, dtype=torch.bool)
    mask[0, 0] = False
    return Batch(
        states=torch.randn(WINDOWS, STEPS, 5, generator=source),
        actions=torch.randn(WINDOWS, STEPS, 2, generator=source),
        returns_to_go=torch.randn(WINDOWS, STEPS, 1, generator=source),
        timesteps=torch.arange(STEPS).expand(WINDOWS, STEPS),
        mask=mask,
    )


def test_points_come_by_block_in_the_order_asked_for(model: DecisionTransformer, batch: Batch) -> None:
    """Names are h.{block}.{point}; nothing that was not asked for is kept."""
    points = ("mlp.act", "ln_1", "resid_out")
    assert list(capture(model, batch, points)) == [f"h.{b}.{point}" for b in range(2) for point in points]


def test_shapes_are_tokens_by_width(model: DecisionTransformer, batch: Batch) -> None:
    """(B, 3K, width), three widths for c_attn and the MLP's for its hidden points; no gradient is kept."""
    widths = {"attn.c_attn": 36, "mlp.c_fc": 20, "mlp.act": 20}
    for name, value in capture(model, batch, PUBLISHED_POINTS + RESIDUAL_POINTS).items():
        width = widths.get(name.split(".", 2)[2], 12)
        assert value.shape == (WINDOWS, 3 * STEPS, width), name
        assert not value.requires_grad
        assert not value.is_inference()


def test_nine_published_points_are_seven_distinct_ones(model: DecisionTransformer, batch: Batch) -> None:
    """In eval mode the two dropout points are copies, and no other two points are equal (DEV-16)."""
    assert set(PUBLISHED_POINTS) - set(DISTINCT_POINTS) == {"attn.resid_dropout", "mlp.dropout"}
    found = capture(model, batch, PUBLISHED_POINTS)
    for b in range(2):
        assert torch.equal(found[f"h.{b}.attn.resid_dropout"], found[f"h.{b}.attn.c_proj"])
        assert torch.equal(found[f"h.{b}.mlp.dropout"], found[f"h.{b}.mlp.c_proj"])
        distinct = [found[f"h.{b}.{point}"] for point in DISTINCT_POINTS]
        pairs = [(x, y) for i, x in enumerate(distinct) for y in distinct[:i]]
        assert not any(x.shape == y.shape and torch.equal(x, y) for x, y in pairs)


def test_points_compose_to_the_block(model: DecisionTransformer, batch: Batch) -> None:
    """The points obey the block's equations, from one block's residual stream into the next (protocol §3.2)."""
    found = capture(model, batch)
    stack = model.transformer
    assert list(found) == [f"h.{b}.{p}" for b in range(2) for p in DISTINCT_POINTS + RESIDUAL_POINTS]
    with torch.no_grad():
        x = model.embed(batch.states, batch.actions, batch.returns_to_go, batch.timesteps)
        for b in range(2):
            at = {point: found[f"h.{b}.{point}"] for point in DISTINCT_POINTS + RESIDUAL_POINTS}
            torch.testing.assert_close(at["ln_1"], F.layer_norm(x, (12,)))
            torch.testing.assert_close(at["resid_mid"], x + at["attn.c_proj"])
            torch.testing.assert_close(at["ln_2"], F.layer_norm(at["resid_mid"], (12,)))
            torch.testing.assert_close(at["mlp.act"], at["mlp.c_fc"] * torch.sigmoid(1.702 * at["mlp.c_fc"]))
            weight = stack.get_parameter(f"h.{b}.mlp.c_proj.weight")
            torch.testing.assert_close(at["mlp.c_proj"], at["mlp.act"] @ weight)
            torch.testing.assert_close(at["resid_out"], at["resid_mid"] + at["mlp.c_proj"])
            x = at["resid_out"]


@pytest.mark.parametrize(
    ("arm", "blocks"), [("image_native", 24), ("random_matched_image", 24), ("image_pretrained", 24)]
)
def test_image_arms_give_24_blocks_that_compose(arm: str, blocks: int, batch: Batch) -> None:
    """Every block of an image arm is captured and obeys the block's equations with the arm's own norm (DEV-07)."""
    model = arm_model(arm)
    found = capture(model, batch)
    assert len(found) == blocks * 9
    with torch.no_grad():
        x = model.embed(batch.states, batch.actions, batch.returns_to_go, batch.timesteps)
        for b in range(blocks):
            at = {point: found[f"h.{b}.{point}"] for point in DISTINCT_POINTS + RESIDUAL_POINTS}
            weight = model.transformer.get_parameter(f"h.{b}.ln_1.weight")
            centred = x - x.mean(-1, keepdim=True) if arm == "image_pretrained" else x
            spread = (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt()
            torch.testing.assert_close(at["ln_1"], centred / spread * weight)
            torch.testing.assert_close(at["mlp.act"], at["mlp.c_fc"] * torch.sigmoid(1.702 * at["mlp.c_fc"]))
            torch.testing.assert_close(at["resid_out"], x + at["attn.c_proj"] + at["mlp.c_proj"])
            x = at["resid_out"]


@pytest.mark.parametrize("sham", ["language", "permuted", "moments", "random"])
def test_a_replaced_block_is_captured_with_its_own_activation(sham: str, batch: Batch) -> None:
    """Of a stack with one block of another model, that block has GELU and four heads, the others ReLU and one."""
    model = arm_model(f"block_5_{sham}")
    found = capture(model, batch, PUBLISHED_POINTS)
    assert len(found) == 12 * 9
    for b in range(12):
        hidden, active = found[f"h.{b}.mlp.c_fc"], found[f"h.{b}.mlp.act"]
        expected = F.gelu(hidden, approximate="tanh") if b == 5 else F.relu(hidden)
        torch.testing.assert_close(active, expected)
        query, key = queries_and_keys(model, found, b)
        assert query.shape == key.shape == ((WINDOWS, 4, 3 * STEPS, 2) if b == 5 else (WINDOWS, 1, 3 * STEPS, 8))


def arm_model(arm: str) -> DecisionTransformer:
    """An arm on made-up backbones of the paper's depths."""
    configs = {
        "language": StackConfig(blocks=12, width=8, heads=4, activation="gelu_new"),
        "image": StackConfig(blocks=24, width=8, heads=2, activation="quick_gelu", norm="rms"),
    }
    source = torch.Generator().manual_seed(6)
    backbones = {}
    for name, config in configs.items():
        fresh = Stack(config).state_dict()
        tensors = {key: value + 0.2 * torch.randn(value.shape, generator=source) for key, value in fresh.items()}
        backbones[name] = Backbone(config, tensors, {})
    small = replace(get_task("hopper"), state_dim=5, action_dim=2)
    model = build_model(arm, task=small, head="tied", architecture="reference", backbones=backbones, seed=1)
    assert isinstance(model, DecisionTransformer)
    return model.eval()


def test_modes_are_put_back(model: DecisionTransformer, batch: Batch) -> None:
    """Capturing runs in eval mode and restores every module's own mode, mixed ones included (DEV-05)."""
    model.train()
    model.transformer.eval()
    before = {name: module.training for name, module in model.named_modules()}
    assert set(before.values()) == {True, False}
    first, second = capture(model, batch), capture(model, batch)
    assert {name: module.training for name, module in model.named_modules()} == before
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_recording_does_not_change_predictions(model: DecisionTransformer, batch: Batch) -> None:
    """Predictions with and without a record are the same bits."""
    model.eval()
    given = (batch.states, batch.actions, batch.returns_to_go, batch.timesteps, batch.mask)
    seen: list[str] = []
    with torch.no_grad():
        recorded = model(*given, record=lambda name, value: seen.append(name))
        assert torch.equal(recorded, model(*given))
    assert len(seen) == 22


def test_attention_forms_differ_at_padded_tokens_only(model: DecisionTransformer, batch: Batch) -> None:
    """The reference form changes what a padded query sees, and nothing at real tokens (DEV-41)."""
    real = batch.mask.repeat_interleave(3, dim=1)
    boolean = capture(model, batch, ("attn.c_proj",))["h.0.attn.c_proj"]
    reference = capture(model, batch, ("attn.c_proj",), attention="reference")["h.0.attn.c_proj"]
    torch.testing.assert_close(reference[real], boolean[real])
    assert not torch.allclose(reference[~real], boolean[~real], rtol=1e-2)


def test_queries_and_keys_are_the_first_two_thirds_per_head(model: DecisionTransformer, batch: Batch) -> None:
    """Head j's query is columns j * width / heads … of c_attn's first third, its key of the second."""
    found = capture(model, batch, ("attn.c_attn",))
    query, key = queries_and_keys(model, found, 1)
    assert query.shape == key.shape == (WINDOWS, 3, 3 * STEPS, 4)
    columns = found["h.1.attn.c_attn"]
    for head in range(3):
        assert torch.equal(query[:, head], columns[..., 4 * head : 4 * head + 4])
        assert torch.equal(key[:, head], columns[..., 12 + 4 * head : 12 + 4 * head + 4])


def test_queries_and_keys_use_the_block_s_own_heads(model: DecisionTransformer, batch: Batch) -> None:
    """A block of another model keeps its number of heads (§5.6.1)."""
    other = DecisionTransformer(replace(CONFIG, heads=1), 5, 2, "untied", seed=1)
    blocks = model.transformer.h
    assert isinstance(blocks, nn.ModuleList)
    blocks[0] = other.transformer.h[0]
    found = capture(model, batch, ("attn.c_attn",))
    assert queries_and_keys(model, found, 0)[0].shape[1] == 1
    assert queries_and_keys(model, found, 1)[0].shape[1] == 3


def test_unknown_points_and_missing_ones_are_refused(model: DecisionTransformer, batch: Batch) -> None:
    """A point that does not exist, and queries of a block that was not captured, are typed errors."""
    with pytest.raises(MeasurementError, match=r"unknown point of a block: got 'attn\.bias'"):
        capture(model, batch, ("ln_1", "attn.bias"))
    with pytest.raises(MeasurementError, match=r"queries and keys need attn\.c_attn: got no h\.0\.attn\.c_attn"):
        queries_and_keys(model, capture(model, batch, ("ln_1",)), 0)
