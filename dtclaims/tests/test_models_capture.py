"""Captured activations: names, shapes, what equals what, and that capturing leaves no trace."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from dtclaims.data.windows import Batch
from dtclaims.errors import MeasurementError
from dtclaims.models import (
    DISTINCT_POINTS,
    PUBLISHED_POINTS,
    RESIDUAL_POINTS,
    DecisionTransformer,
    StackConfig,
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
