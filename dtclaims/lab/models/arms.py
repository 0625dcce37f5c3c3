"""From an arm to its untrained network: which stack it gets, and what builds it."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal, get_args

from dtclaims.choice import Choice
from dtclaims.errors import BackboneError, UsageError
from dtclaims.lab.design.arms import NORMS, Arm, Source, get_arm
from dtclaims.lab.design.tasks import Task
from dtclaims.lab.models.backbones import Backbone
from dtclaims.lab.models.choices import builder_of
from dtclaims.lab.models.policy import Policy
from dtclaims.lab.models.transformer import StackConfig

Architecture = Literal["reference", "matched", "own"]
"""Of a random arm, the first two (DEV-04); every other arm has its own, whatever is asked for."""

BUILDERS = Choice(
    fresh="dtclaims.lab.models.builders:fresh",
    whole="dtclaims.lab.models.builders:whole",
    block="dtclaims.lab.models.builders:block",
    mlp="dtclaims.lab.models.behaviour_cloning:build",
)
"""By `builder_of`: (arm, task, head, architecture, backbones, seed) to the network of epoch 0."""


def stack_config(arm: str, architecture: str, backbones: Mapping[str, Backbone]) -> StackConfig:
    """The stack of `arm` (DEV-04, DEV-07; protocol §3.2).

    A pre-trained arm, or a control of one, has its backbone's configuration; `image_pretrained` has LayerNorm in the
    place of RMS norm. A random arm, and the host of a replaced block, has the language backbone's blocks and
    width, and: under `reference` one head and ReLU, the released code's defaults; under `matched` all else of
    the language backbone too, so that only the weights differ.

    Raises:
        UsageError: no such arm or architecture, `own` for a random stack, or an arm without a stack.
        BackboneError: a backbone that is needed is not given, or has another network's norm.
    """
    described = get_arm(arm)
    if architecture not in get_args(Architecture) or (described.shape == "random" and architecture == "own"):
        raise UsageError(f"unknown architecture of {arm}", given=repr(architecture), expected="reference or matched")
    if described.shape == "mlp":
        raise UsageError("the MLP has no stack", given=arm, expected="an arm with a Transformer")
    config = backbone_of(described, described.sources[0], backbones).config
    if described.shape == "random" and architecture == "reference":
        return replace(config, heads=1, activation="relu")
    if described.shape == "image_layer_norm":
        return replace(config, norm="layer")
    return config


def build_model(
    arm: str, *, task: Task, head: str, architecture: str, backbones: Mapping[str, Backbone], seed: int
) -> Policy:
    """The untrained model of a run (epoch 0): the same arguments give the same bits.

    Arms of one seed and width share the embeddings, the time table and the head; fresh stacks of one seed share
    their weights whatever their heads and activation are. A model with a replaced block shares every other
    tensor with the random arm.

    Args:
        arm: name in `ARMS`.
        task: sizes of states and actions.
        head: see `DecisionTransformer`; the MLP has an output layer of its own whatever is asked for.
        architecture: see `stack_config`.
        backbones: source → backbone; those in the arm's `sources` are needed, others are not looked at. A random
            arm takes the language backbone's sizes only.
        seed: of every fresh weight and every change.

    Raises:
        UsageError: no such arm, head or architecture.
        BackboneError: a backbone that is needed is not given, has another network's norm, is not the size of
            the language backbone, or has fewer blocks than the arm speaks of.
    """
    described = get_arm(arm)
    built: Policy = BUILDERS[builder_of(described)](described, task, head, architecture, backbones, seed)
    return built


def backbone_of(arm: Arm, source: Source, backbones: Mapping[str, Backbone]) -> Backbone:
    """The backbone of one of the arm's sources.

    Raises:
        BackboneError: it is not given, or has another network's norm.
    """
    if source not in backbones:
        raise BackboneError(
            f"the arm {arm.name} needs the {source} backbone",
            given=f"backbones {sorted(backbones)}" if backbones else "no backbones",
            expected=" and ".join(arm.sources),
        )
    backbone = backbones[source]
    if backbone.config.norm != NORMS[source]:
        raise BackboneError(
            f"the {source} backbone is another kind of network",
            given=f"norm {backbone.config.norm!r}",
            expected=f"norm {NORMS[source]!r}",
            remedy="Language models have GPT-2's LayerNorm, image models ImageGPT's RMS norm: are the two exchanged?",
        )
    return backbone
