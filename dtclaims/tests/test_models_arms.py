"""Arms: which network each gets, and what arms of one seed share."""

import pytest
import torch

from dtclaims.arms import ARMS, get_arm
from dtclaims.data.tasks import TASKS
from dtclaims.errors import UsageError
from dtclaims.models import Backbone, DecisionTransformer, Stack, StackConfig, build_model, stack_config

LANGUAGE = StackConfig(blocks=2, width=16, heads=4, activation="gelu_new")
WRAPPER = ("embed_timestep", "embed_return", "embed_state", "embed_action", "embed_ln", "predict_action")


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    """A backbone with weights no fresh model has."""
    stack = Stack(LANGUAGE, torch.Generator().manual_seed(42))
    tensors = {name: tensor + 0.5 for name, tensor in stack.state_dict().items()}
    return Backbone(LANGUAGE, tensors, {"label": "self-pre-trained"})


def build(backbone: Backbone, arm: str, architecture: str = "matched", head: str = "untied") -> DecisionTransformer:
    """The hopper model of seed 3."""
    return build_model(arm, task=TASKS["hopper"], head=head, architecture=architecture, backbone=backbone, seed=3)


def test_the_reference_random_arm_has_one_head_and_relu() -> None:
    """Under `reference` the fresh stack keeps blocks and width only (DEV-04)."""
    config = stack_config("random_init", "reference", LANGUAGE)
    assert config == StackConfig(blocks=2, width=16, heads=1, activation="relu")


@pytest.mark.parametrize(
    ("arm", "architecture"),
    [("random_init", "matched"), ("language_pretrained", "matched"), ("language_pretrained", "reference")],
)
def test_other_arms_have_the_backbone_s_configuration(arm: str, architecture: str) -> None:
    """The matched fresh arm, and the pre-trained arm always, have exactly the language backbone's network."""
    assert stack_config(arm, architecture, LANGUAGE) == LANGUAGE


@pytest.mark.parametrize("arm", sorted(ARMS))
@pytest.mark.parametrize("architecture", ["reference", "matched"])
def test_every_arm_builds_and_predicts(backbone: Backbone, arm: str, architecture: str) -> None:
    """Every arm gives a model of the task's sizes."""
    model = build(backbone, arm, architecture)
    task = TASKS["hopper"]
    with torch.no_grad():
        predicted = model(
            torch.zeros(2, 3, task.state_dim),
            torch.zeros(2, 3, task.action_dim),
            torch.zeros(2, 3, 1),
            torch.zeros(2, 3, dtype=torch.int64),
            torch.ones(2, 3, dtype=torch.bool),
        )
    assert predicted.shape == (2, 3, task.action_dim)


def test_the_pretrained_arm_has_the_backbone_s_weights(backbone: Backbone) -> None:
    """Blocks and final norm are the backbone's, bit for bit."""
    stack = build(backbone, "language_pretrained").transformer.state_dict()
    assert stack.keys() == backbone.tensors.keys()
    assert all(torch.equal(stack[name], backbone.tensors[name]) for name in stack)


def test_training_one_model_leaves_the_backbone_as_it_was(backbone: Backbone) -> None:
    """A model owns its weights: changing them does not reach the backbone other runs start from."""
    before = {name: tensor.clone() for name, tensor in backbone.tensors.items()}
    with torch.no_grad():
        for parameter in build(backbone, "language_pretrained").parameters():
            parameter.add_(1.0)
    assert all(torch.equal(before[name], backbone.tensors[name]) for name in before)


@pytest.mark.parametrize("head", ["tied", "untied", "tied_low_scale"])
def test_arms_of_one_seed_share_everything_but_the_stack(backbone: Backbone, head: str) -> None:
    """Embeddings, time table and head are equal across arms and architectures: the arms are paired."""
    first = build(backbone, "language_pretrained", "matched", head).state_dict()
    for architecture in ("reference", "matched"):
        second = build(backbone, "random_init", architecture, head).state_dict()
        shared = [name for name in first if name.startswith(WRAPPER)]
        assert len(shared) == (11 if head == "untied" else 9)
        assert all(torch.equal(first[name], second[name]) for name in shared)


def test_heads_share_all_other_weights(backbone: Backbone) -> None:
    """Switching the head redraws nothing: a head comparison is paired, too."""
    tied, untied = build(backbone, "random_init", head="tied"), build(backbone, "random_init", head="untied")
    theirs = untied.state_dict()
    assert all(torch.equal(tensor, theirs[name]) for name, tensor in tied.state_dict().items())


def test_fresh_stacks_of_one_seed_are_equal(backbone: Backbone) -> None:
    """`reference` and `matched` differ in arithmetic only, not in the numbers they start from."""
    first = build(backbone, "random_init", "reference").state_dict()
    second = build(backbone, "random_init", "matched").state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_unknown_names_are_refused(backbone: Backbone) -> None:
    """Arm, architecture and head that do not exist are typed errors that list what does."""
    with pytest.raises(UsageError, match="unknown arm: got 'gpt5', expected one of random_init"):
        get_arm("gpt5")
    with pytest.raises(UsageError, match="unknown architecture"):
        build(backbone, "random_init", "wide")
    with pytest.raises(UsageError, match="unknown action head"):
        build(backbone, "random_init", head="none")
