"""The stack against transformers' GPT-2 and ImageGPT, its initialisation, and its dropout."""

import math
import os
from dataclasses import replace
from typing import Any

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from transformers import GPT2Config, GPT2Model, ImageGPTConfig, ImageGPTModel

from dtclaims.errors import UsageError
from dtclaims.lab.models.attention import additive, attend, causal, drop, reference_attention
from dtclaims.lab.models.decision_transformer import visible
from dtclaims.lab.models.transformer import Stack, StackConfig

TINY = StackConfig(blocks=2, width=16, heads=4, activation="gelu_new")
TOKENS = 9


def stream(seed: int) -> torch.Generator:
    """A generator of its own."""
    return torch.Generator().manual_seed(seed)


def oracle(kind: str, config: StackConfig, attention: str) -> nn.Module:
    """The transformers model of `config`, eval mode."""
    config_class, model_class = {"gpt2": (GPT2Config, GPT2Model), "image": (ImageGPTConfig, ImageGPTModel)}[kind]
    settings = config_class(
        vocab_size=7,
        n_positions=TOKENS,
        n_embd=config.width,
        n_layer=config.blocks,
        n_head=config.heads,
        n_inner=config.mlp_width,
        activation_function=config.activation,
        attn_implementation=attention,
    )
    model: nn.Module = model_class(settings)
    return model.eval()


def matching_pair(
    kind: str, config: StackConfig, attention: str, dtype: torch.dtype = torch.float64, scale: float = 0.2
) -> tuple[Stack, nn.Module]:
    """Our stack and the oracle without its position embedding, with the same random weights, biases and norms too."""
    stack = Stack(config).to(dtype).eval()
    model = oracle(kind, config, attention).to(dtype)
    source = stream(1)
    with torch.no_grad():
        for name, parameter in stack.named_parameters():
            fresh = torch.randn(parameter.shape, generator=source, dtype=torch.float64)
            parameter.copy_(fresh * scale + (1.0 if "ln_" in name and name.endswith("weight") else 0.0))
        model.get_parameter("wpe.weight").zero_()
        for name, parameter in model.named_parameters():
            if not name.startswith(("wte", "wpe")):
                parameter.copy_(stack.get_parameter(name))
    return stack, model


def left_padded(batch: int, tokens: int, source: torch.Generator) -> Tensor:
    """Masks with 0, 1, 2… padded tokens on the left."""
    padding = torch.randint(0, tokens - 1, (batch, 1), generator=source)
    padding[0] = 0
    return torch.arange(tokens) >= padding


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
@pytest.mark.parametrize(
    "config",
    [
        TINY,
        replace(TINY, heads=1, activation="relu"),
        replace(TINY, activation="quick_gelu", mlp_width=24),
    ],
    ids=["gpt2", "one-head-relu", "quick-gelu-narrow-mlp"],
)
def test_stack_equals_transformers_gpt2(config: StackConfig, attention: str) -> None:
    """With equal weights, outputs and input gradients at real positions are those of GPT2Model, padding included."""
    stack, model = matching_pair("gpt2", config, attention)
    source = stream(2)
    real = left_padded(5, TOKENS, source)
    x = torch.randn(5, TOKENS, config.width, generator=source, dtype=torch.float64)
    ours, theirs = x.clone().requires_grad_(), x.clone().requires_grad_()
    found = stack(ours, visible(real))
    expected = model(inputs_embeds=theirs, attention_mask=real.long()).last_hidden_state
    torch.testing.assert_close(found[real], expected[real], atol=1e-10, rtol=1e-10)
    found[real].square().sum().backward()
    expected[real].square().sum().backward()
    torch.testing.assert_close(ours.grad, theirs.grad, atol=1e-9, rtol=1e-9)


def test_rms_stack_equals_transformers_imagegpt() -> None:
    """norm="rms" with quick_gelu is ImageGPT's own network, not the one its weights were run in (DEV-07)."""
    config = replace(TINY, activation="quick_gelu", norm="rms")
    stack, model = matching_pair("image", config, "eager")
    x = torch.randn(3, TOKENS, config.width, generator=stream(3), dtype=torch.float64)
    expected = model(inputs_embeds=x).last_hidden_state
    torch.testing.assert_close(stack(x), expected, atol=1e-10, rtol=1e-10)


@pytest.mark.parametrize(
    ("kind", "config"),
    [
        ("gpt2", StackConfig(blocks=12, width=64, heads=4, activation="gelu_new")),
        # Heads of 16, a square: transformers up to 5.17 divides ImageGPT's logits by the integer part of the root.
        ("image", StackConfig(blocks=24, width=64, heads=4, activation="quick_gelu", norm="rms")),
    ],
    ids=["gpt2", "image"],
)
def test_deep_float32_stacks_equal_transformers(kind: str, config: StackConfig) -> None:
    """At the paper's depths and in float32, real positions agree to 1e-5, left padding included."""
    stack, model = matching_pair(kind, config, "eager", torch.float32, scale=0.05)
    source = stream(4)
    real = left_padded(4, TOKENS, source)
    assert not real.all()
    x = torch.randn(4, TOKENS, config.width, generator=source)
    with torch.no_grad():
        found = stack(x, visible(real))
        expected = model(inputs_embeds=x, attention_mask=real.long()).last_hidden_state
    torch.testing.assert_close(found[real], expected[real], atol=1e-5, rtol=1e-5)
    assert float(expected.std()) > 0.5


def test_rms_norm_has_no_bias() -> None:
    """The rms stack has GPT-2's tensors less every norm bias."""
    layer = set(Stack(TINY).state_dict())
    rms = set(Stack(replace(TINY, norm="rms")).state_dict())
    assert layer - rms == {"ln_f.bias"} | {f"h.{b}.ln_{n}.bias" for b in range(2) for n in (1, 2)}
    assert rms < layer


def test_no_mask_means_causal() -> None:
    """allowed=None computes what an explicit causal mask computes."""
    stack = Stack(TINY).eval()
    x = torch.randn(2, TOKENS, TINY.width, generator=stream(4))
    torch.testing.assert_close(stack(x), stack(x, causal(TOKENS, x.device)))


@pytest.mark.parametrize("blocks", [1, 3])
def test_initialisation_is_gpt2_s(blocks: int) -> None:
    """Weights N(0, 0.02²), c_proj shrunk by sqrt(2 blocks), biases exactly 0, norms (1, 0) (protocol §3.3)."""
    stack = Stack(StackConfig(blocks=blocks, width=96, heads=3, activation="relu"), stream(5))
    matrices = 0
    for name, tensor in stack.state_dict().items():
        if name.endswith("bias"):
            assert not tensor.any(), name
        elif "ln_" in name:
            assert (tensor == 1).all(), name
        else:
            matrices += 1
            std = 0.02 / math.sqrt(2 * blocks) if "c_proj" in name else 0.02
            # Six standard errors of a standard deviation and of a mean.
            assert abs(float(tensor.std()) / std - 1) < 6 / math.sqrt(2 * tensor.numel()), name
            assert abs(float(tensor.mean())) < 6 * std / math.sqrt(tensor.numel()), name
    assert matrices == 4 * blocks


def test_initialisation_leaves_the_global_generator_alone() -> None:
    """Building a stack draws nothing from torch's global state, and the same stream gives the same bits."""
    before = torch.get_rng_state()
    first = Stack(TINY, stream(6)).state_dict()
    assert torch.equal(before, torch.get_rng_state())
    torch.manual_seed(99)
    second = Stack(TINY, stream(6)).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"blocks": 0}, "blocks of at least 1"),
        ({"heads": 3}, "heads must divide the width"),
        ({"resid_dropout": 1.0}, "resid_dropout is no dropout probability"),
        ({"activation": "gelu"}, "unknown activation"),
        ({"norm": "batch"}, "unknown norm"),
    ],
)
def test_impossible_configurations_are_refused(change: dict[str, Any], words: str) -> None:
    """A configuration that is no network is one typed error that names the field."""
    with pytest.raises(UsageError, match=words):
        replace(TINY, **change)


@settings(max_examples=25)
@given(
    probability=st.floats(0.01, 0.9),
    shape=st.tuples(st.integers(1, 5), st.integers(1, 700)),
    seed=st.integers(0, 2**31),
)
def test_dropout_drops_its_share_and_rescales(probability: float, shape: tuple[int, int], seed: int) -> None:
    """Kept elements are x / (1 - p), the others 0, and their share is p within six standard errors."""
    torch.manual_seed(seed)
    x = torch.ones(shape)
    out = drop(x, probability, training=True)
    kept = out != 0
    assert torch.allclose(out[kept], torch.tensor(1 / (1 - probability)), rtol=2e-4)
    error = math.sqrt(probability * (1 - probability) / x.numel())
    assert abs(float((~kept).float().mean()) - probability) < 6 * error + 1 / x.numel()


def test_dropout_gradient_passes_through_the_kept_elements() -> None:
    """The gradient of a kept element is its factor, that of a dropped one 0."""
    torch.manual_seed(0)
    x = torch.ones(50, 50, requires_grad=True)
    out = drop(x, 0.4, training=True)
    (gradient,) = torch.autograd.grad(out.sum(), x)
    torch.testing.assert_close(gradient, out.detach())


def test_dropout_is_free_when_off() -> None:
    """In eval mode, or with probability 0, dropout returns its input itself."""
    x = torch.ones(3)
    assert drop(x, 0.5, training=False) is x
    assert drop(x, 0.0, training=True) is x


def test_attention_with_dropout_is_attention_on_average() -> None:
    """The training form equals the fused one when nothing is dropped, and in the mean when something is."""
    query, key, value = torch.randn(3, 1, 3, TOKENS, 4, generator=stream(7)).unbind(0)
    bias = additive(causal(TOKENS, query.device), query.dtype, -math.inf)
    expected = attend(query, key, value, bias, 0.0)
    torch.testing.assert_close(attend(query, key, value, bias, 1e-9), expected)
    torch.manual_seed(1)
    repeated = [tensor.repeat(2000, 1, 1, 1) for tensor in (query, key, value)]
    many = attend(repeated[0], repeated[1], repeated[2], bias, 0.3)[:, None]
    error = many.std(0) / math.sqrt(len(many))
    assert ((many.mean(0) - expected).abs() <= 6 * error + 1e-5).all()
    assert (error > 0).any()


@pytest.mark.parametrize("site", ["embd_dropout", "attn_dropout", "resid_dropout"])
def test_each_dropout_acts_in_training_only(site: str) -> None:
    """Each of the three dropouts changes the training output, and none the evaluation output."""
    off = replace(TINY, embd_dropout=0.0, attn_dropout=0.0, resid_dropout=0.0)
    x = torch.randn(2, TOKENS, TINY.width, generator=stream(8))
    expected = Stack(off)(x)
    change: dict[str, Any] = {site: 0.5}
    stack = Stack(replace(off, **change))
    assert not torch.allclose(stack(x), expected, atol=1e-4)
    torch.testing.assert_close(stack.eval()(x), expected)


def test_both_branches_of_a_block_are_dropped() -> None:
    """resid_dropout acts on the attention branch and on the MLP branch of every block."""
    config = replace(TINY, embd_dropout=0.0, attn_dropout=0.0, resid_dropout=0.5)
    recorded: dict[str, Tensor] = {}
    Stack(config)(torch.randn(8, TOKENS, config.width, generator=stream(8)), record=recorded.__setitem__)
    for block in range(config.blocks):
        for point in ("attn.resid_dropout", "mlp.dropout"):
            share = float((recorded[f"h.{block}.{point}"] == 0).float().mean())
            assert abs(share - 0.5) < 0.1, (block, point)


def test_reference_attention_equals_boolean_for_real_queries() -> None:
    """Real queries attend alike under additive and boolean masks; padded ones see later real tokens (DEV-41)."""
    query, key, value = torch.randn(3, 1, 2, TOKENS, 4, generator=stream(9), dtype=torch.float64).unbind(0)
    real = torch.arange(TOKENS)[None] >= 4
    found = reference_attention(query, key, value, real, 0.0)
    bias = additive(visible(real), query.dtype, -math.inf)
    torch.testing.assert_close(found[:, :, 4:], attend(query, key, value, bias, 0.0)[:, :, 4:])
    later = value.clone()
    later[:, :, -1] += 1.0
    moved = reference_attention(query, key, later, real, 0.0)
    assert (moved[:, :, :4] - found[:, :, :4]).abs().min() > 1e-3
    torch.testing.assert_close(moved[:, :, 4:-1], found[:, :, 4:-1])
