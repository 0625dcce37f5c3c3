"""Arms: which network each gets, which weights, and what arms of one seed share."""

from collections.abc import Mapping
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from dtclaims.errors import BackboneError, UsageError
from dtclaims.lab.design.arms import ARMS, BLOCKS, get_arm
from dtclaims.lab.design.tasks import TASKS
from dtclaims.lab.models import (
    Backbone,
    BehaviourCloning,
    Block,
    DecisionTransformer,
    Stack,
    StackConfig,
    build_model,
    stack_config,
)

LANGUAGE = StackConfig(blocks=BLOCKS, width=16, heads=4, activation="gelu_new")
IMAGE = StackConfig(blocks=24, width=8, heads=2, activation="quick_gelu", norm="rms")
TRANSFORMERS = sorted(name for name, arm in ARMS.items() if arm.shape != "mlp")
PLAIN = sorted(name for name in TRANSFORMERS if ARMS[name].block is None)
REPLACED = sorted(name for name in TRANSFORMERS if ARMS[name].block is not None)
SOME_REPLACED = [name for name in REPLACED if name.startswith(("block_0_", "block_7_", "block_11_"))]
WRAPPER = ("embed_timestep", "embed_return", "embed_state", "embed_action", "embed_ln", "predict_action")

Tensors = Mapping[str, Tensor]


def made_up(config: StackConfig, seed: int) -> Backbone:
    """A backbone with weights that no fresh model has, biases and norms included."""
    source = torch.Generator().manual_seed(seed)
    tensors = {name: torch.randn(value.shape, generator=source) for name, value in Stack(config).state_dict().items()}
    return Backbone(config, tensors, {"label": "self-pre-trained"})


@pytest.fixture(scope="module")
def backbones() -> dict[str, Backbone]:
    """One backbone of each source."""
    return {
        "language": made_up(LANGUAGE, 1),
        "image": made_up(IMAGE, 2),
        "iid": made_up(LANGUAGE, 3),
        "markov": made_up(LANGUAGE, 4),
    }


def build(
    backbones: Mapping[str, Backbone], arm: str, architecture: str = "reference", head: str = "untied", seed: int = 3
) -> DecisionTransformer:
    """The hopper model of an arm with a stack."""
    model = build_model(arm, task=TASKS["hopper"], head=head, architecture=architecture, backbones=backbones, seed=seed)
    assert isinstance(model, DecisionTransformer)
    return model


def stack_of(backbones: Mapping[str, Backbone], arm: str, architecture: str = "reference", seed: int = 3) -> Tensors:
    """The tensors of an arm's stack."""
    return build(backbones, arm, architecture, seed=seed).transformer.state_dict()


def equal(first: Tensors, second: Tensors) -> bool:
    """Whether both have the same names and bits."""
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def names_that_differ(first: Tensors, second: Tensors) -> set[str]:
    """Names of tensors that are not bit-identical in both."""
    assert first.keys() == second.keys()
    return {name for name in first if not torch.equal(first[name], second[name])}


@pytest.mark.parametrize("arm", ["random_init", "block_0_language", "block_11_random"])
def test_the_reference_random_stack_has_one_head_and_relu(backbones: dict[str, Backbone], arm: str) -> None:
    """Under `reference` the random stack, host of replaced blocks too, keeps blocks and width only (DEV-04)."""
    assert stack_config(arm, "reference", backbones) == StackConfig(BLOCKS, 16, heads=1, activation="relu")
    assert stack_config(arm, "matched", backbones) == LANGUAGE


@pytest.mark.parametrize("architecture", ["reference", "matched", "own"])
@pytest.mark.parametrize(
    ("arm", "expected"),
    [
        ("language_pretrained", LANGUAGE),
        ("language_moments", LANGUAGE),
        ("random_matched", LANGUAGE),
        ("synthetic_markov", LANGUAGE),
        ("image_pretrained", replace(IMAGE, norm="layer")),
        ("image_native", IMAGE),
        ("random_matched_image", IMAGE),
    ],
)
def test_other_stacks_are_their_backbone_s(
    backbones: dict[str, Backbone], arm: str, architecture: str, expected: StackConfig
) -> None:
    """Whatever the architecture asked for, the stack is the backbone's; the published image arm has LayerNorm."""
    assert stack_config(arm, architecture, backbones) == expected
    assert build(backbones, arm, architecture).transformer.config == expected


@pytest.mark.parametrize("arm", [*PLAIN, *SOME_REPLACED, "mlp"])
@pytest.mark.parametrize("architecture", ["reference", "matched"])
def test_every_arm_builds_and_predicts(backbones: dict[str, Backbone], arm: str, architecture: str) -> None:
    """Every arm gives a network of the task's sizes, from the backbones it declares and no others."""
    task = TASKS["hopper"]
    needed = {source: backbones[source] for source in get_arm(arm).sources}
    model = build_model(arm, task=task, head="tied", architecture=architecture, backbones=needed, seed=3).eval()
    source = torch.Generator().manual_seed(0)
    with torch.no_grad():
        predicted = model(
            torch.randn(2, 3, task.state_dim, generator=source),
            torch.zeros(2, 3, task.action_dim),
            torch.zeros(2, 3, 1),
            torch.arange(3).expand(2, 3),
            torch.ones(2, 3, dtype=torch.bool),
        )
    assert predicted.shape == (2, 3, task.action_dim)
    assert torch.isfinite(predicted).all()
    assert len(predicted.unique()) > 1


@pytest.mark.parametrize("arm", [*PLAIN, "block_5_permuted", "block_5_moments", "block_5_random", "mlp"])
def test_epoch_0_is_a_function_of_the_seed(backbones: dict[str, Backbone], arm: str) -> None:
    """The same arguments give the same bits, whatever torch's global generator did, and without moving it."""
    first, other = (
        build_model(
            arm, task=TASKS["hopper"], head="tied", architecture="reference", backbones=backbones, seed=seed
        ).state_dict()
        for seed in (7, 8)
    )
    torch.manual_seed(12345)
    before = torch.get_rng_state()
    again = build_model(
        arm, task=TASKS["hopper"], head="tied", architecture="reference", backbones=backbones, seed=7
    ).state_dict()
    assert torch.equal(before, torch.get_rng_state())
    assert equal(first, again)
    assert names_that_differ(first, other)


@pytest.mark.parametrize(
    ("arm", "source"),
    [
        ("language_pretrained", "language"),
        ("image_native", "image"),
        ("synthetic_iid", "iid"),
        ("synthetic_markov", "markov"),
    ],
)
def test_pretrained_arms_have_the_weights_of_their_source(
    backbones: dict[str, Backbone], arm: str, source: str
) -> None:
    """Blocks and final norm are the source's, bit for bit, in every seed."""
    for seed in (3, 4):
        assert equal(stack_of(backbones, arm, seed=seed), backbones[source].tensors)


def test_the_published_image_arm_has_49_new_zero_biases(backbones: dict[str, Backbone]) -> None:
    """Everything the image model has is kept, and each norm, which had no bias, gets one of zeros (DEV-07)."""
    stack, image = stack_of(backbones, "image_pretrained"), backbones["image"].tensors
    new = stack.keys() - image.keys()
    assert len(new) == 49
    assert all(name.endswith(("ln_1.bias", "ln_2.bias", "ln_f.bias")) for name in new)
    assert not any(stack[name].any() for name in new)
    assert equal({name: stack[name] for name in image}, image)


def test_the_native_image_arm_has_no_norm_bias(backbones: dict[str, Backbone]) -> None:
    """RMS norm has a trainable weight and nothing else."""
    model = build(backbones, "image_native")
    norms = {name: value for name, value in model.transformer.named_parameters() if "ln_" in name}
    assert len(norms) == 49
    assert all(name.endswith("weight") and value.requires_grad for name, value in norms.items())


@pytest.mark.parametrize("arm", ["language_pretrained", "image_pretrained", "block_3_language", "block_3_moments"])
def test_training_one_model_leaves_the_backbone_as_it_was(backbones: dict[str, Backbone], arm: str) -> None:
    """A model owns its weights: changing them does not reach the backbone other runs start from."""
    source = get_arm(arm).source
    assert source is not None
    before = {name: tensor.clone() for name, tensor in backbones[source].tensors.items()}
    with torch.no_grad():
        for parameter in build(backbones, arm).parameters():
            parameter.add_(1.0)
    assert equal(before, backbones[source].tensors)


@pytest.mark.parametrize("head", ["tied", "untied", "tied_low_scale"])
def test_arms_of_one_seed_share_everything_but_the_stack(backbones: dict[str, Backbone], head: str) -> None:
    """Embeddings, time table and head are equal across arms of a width and architectures: the arms are paired."""
    for arms in (
        ("random_init", "language_pretrained", "language_permuted", "synthetic_iid", "block_2_language"),
        ("image_pretrained", "image_native", "random_matched_image"),
    ):
        first = build(backbones, arms[0], "matched", head).state_dict()
        shared = {name: tensor for name, tensor in first.items() if name.startswith(WRAPPER)}
        assert len(shared) == (11 if head == "untied" else 9)
        for arm in arms[1:]:
            second = build(backbones, arm, "reference", head).state_dict()
            assert equal(shared, {name: second[name] for name in shared})


def test_heads_share_all_other_weights(backbones: dict[str, Backbone]) -> None:
    """Switching the head redraws nothing: a head comparison is paired, too."""
    tied = build(backbones, "random_init", head="tied").state_dict()
    untied = build(backbones, "random_init", head="untied").state_dict()
    assert equal(tied, {name: untied[name] for name in tied})


def test_fresh_stacks_of_one_seed_are_equal(backbones: dict[str, Backbone]) -> None:
    """Heads and activation alone set `reference`, `matched` and `random_matched` apart, not the numbers."""
    first = stack_of(backbones, "random_init", "reference")
    assert equal(first, stack_of(backbones, "random_init", "matched"))
    assert equal(first, stack_of(backbones, "random_matched"))


@pytest.mark.parametrize("architecture", ["reference", "matched"])
@pytest.mark.parametrize("arm", SOME_REPLACED)
def test_a_replaced_block_is_all_that_sets_it_apart_from_its_host(
    backbones: dict[str, Backbone], arm: str, architecture: str
) -> None:
    """Every tensor outside the block, wrapper included, is the random arm's of that seed, bit for bit (§5.6.1)."""
    host, model = build(backbones, "random_init", architecture), build(backbones, arm, architecture)
    block = get_arm(arm).block
    differ = names_that_differ(host.state_dict(), model.state_dict())
    assert differ
    assert all(name.startswith(f"transformer.h.{block}.") for name in differ)
    for index, (ours, theirs) in enumerate(zip(model.transformer.h, host.transformer.h, strict=True)):
        assert isinstance(ours, Block)
        assert isinstance(theirs, Block)
        heads, activation = (4, "gelu_new") if index == block else (theirs.attn.heads, theirs.mlp.activation)
        assert (ours.attn.heads, ours.mlp.activation) == (heads, activation)


def test_a_replaced_block_is_the_language_model_s(backbones: dict[str, Backbone]) -> None:
    """All twelve tensors of the block are the language backbone's of the same place."""
    stack, language = stack_of(backbones, "block_6_language"), backbones["language"].tensors
    names = [name for name in stack if name.startswith("h.6.")]
    assert len(names) == 12
    assert all(torch.equal(stack[name], language[name]) for name in names)


@pytest.mark.parametrize(("sham", "whole"), [("permuted", "language_permuted"), ("moments", "language_moments")])
def test_a_sham_block_is_the_sham_model_s_block(backbones: dict[str, Backbone], sham: str, whole: str) -> None:
    """The changed block of a replacement is the one the wholly changed arm of that seed has in that place."""
    block, arm = stack_of(backbones, f"block_4_{sham}"), stack_of(backbones, whole)
    assert all(torch.equal(block[name], arm[name]) for name in block if name.startswith("h.4."))


def test_a_random_sham_block_is_not_the_one_it_replaces(backbones: dict[str, Backbone]) -> None:
    """It is drawn from a stream of its own: with the host's numbers it would be no replacement when matched."""
    host, sham = (stack_of(backbones, arm, "matched") for arm in ("random_init", "block_4_random"))
    matrices = {f"h.4.{name}.weight" for name in ("attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj")}
    assert names_that_differ(host, sham) == matrices


def test_missing_backbones_are_named(backbones: dict[str, Backbone]) -> None:
    """An arm says which backbone it lacks."""
    with pytest.raises(BackboneError, match="the arm image_native needs the image backbone: got no backbones"):
        build({}, "image_native")
    with pytest.raises(BackboneError, match=r"synthetic_iid needs the iid backbone: got backbones \['language'\]"):
        build({"language": backbones["language"]}, "synthetic_iid")
    with pytest.raises(BackboneError, match="the arm mlp needs the language backbone"):
        build({}, "mlp")


def test_exchanged_backbones_are_refused(backbones: dict[str, Backbone]) -> None:
    """A language model given as the image model, or the reverse, is noticed by its norm."""
    exchanged = {"language": backbones["image"], "image": backbones["language"]}
    for arm in ("random_init", "language_pretrained", "image_native", "image_pretrained", "block_0_language"):
        with pytest.raises(BackboneError, match="backbone is another kind of network"):
            build(exchanged, arm)


def test_a_synthetic_backbone_of_another_shape_is_refused(backbones: dict[str, Backbone]) -> None:
    """It is a control of the language backbone, so it must be the same network."""
    for change in ({"width": 32}, {"heads": 2}, {"blocks": 6}):
        other = {**backbones, "markov": made_up(replace(LANGUAGE, **change), 5)}
        with pytest.raises(BackboneError, match="has not the shape of the language backbone"):
            build(other, "synthetic_markov")


@pytest.mark.parametrize("arm", ["block_6_language", "language_blocks_3_11_redrawn", "language_qk_3_10_redrawn"])
def test_arms_that_name_blocks_need_them(arm: str) -> None:
    """A shallower language stack has no block 6, and blocks 3 to 11 or 3 to 10 would not be what is redrawn."""
    with pytest.raises(BackboneError, match="got 6 blocks"):
        build({"language": made_up(replace(LANGUAGE, blocks=6), 1)}, arm)


def test_unknown_names_are_refused(backbones: dict[str, Backbone]) -> None:
    """Arm, architecture and head that do not exist are typed errors that list what does."""
    with pytest.raises(UsageError, match="unknown arm: got 'gpt5', expected one of random_init"):
        build(backbones, "gpt5")
    with pytest.raises(UsageError, match="unknown architecture"):
        build(backbones, "random_init", "wide")
    with pytest.raises(
        UsageError, match="unknown architecture of block_0_language: got 'own', expected reference or matched"
    ):
        build(backbones, "block_0_language", "own")
    with pytest.raises(UsageError, match="unknown action head"):
        build(backbones, "random_init", head="none")
    with pytest.raises(UsageError, match="the MLP has no stack"):
        stack_config("mlp", "reference", backbones)


def test_the_mlp_is_as_wide_as_the_language_stack(backbones: dict[str, Backbone]) -> None:
    """Three hidden layers of the language backbone's width, whatever head is asked for."""
    models = [
        build_model("mlp", task=TASKS["hopper"], head=head, architecture="matched", backbones=backbones, seed=3)
        for head in ("tied", "untied")
    ]
    assert all(isinstance(model, BehaviourCloning) for model in models)
    assert equal(models[0].state_dict(), models[1].state_dict())
    assert models[0].state_dict()["hidden.2.weight"].shape == (16, 16)
