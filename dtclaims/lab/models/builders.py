"""What builds the networks that have a stack: fresh ones, and those that start from a backbone (`arms.BUILDERS`).

Each function's arguments are the arm, the task, the head, the architecture, the backbones by source, and the run's
seed; see `arms.build_model`.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import cast

import torch

from dtclaims.errors import BackboneError
from dtclaims.lab.design.arms import Arm
from dtclaims.lab.design.tasks import Task
from dtclaims.lab.models.arms import backbone_of, stack_config
from dtclaims.lab.models.backbones import Backbone
from dtclaims.lab.models.changes import changed
from dtclaims.lab.models.decision_transformer import DecisionTransformer, Head
from dtclaims.lab.models.transformer import Block

Backbones = Mapping[str, Backbone]


def fresh(arm: Arm, task: Task, head: str, architecture: str, backbones: Backbones, seed: int) -> DecisionTransformer:
    """Every weight drawn afresh; the language or image backbone gives sizes only."""
    config = stack_config(arm.name, architecture, backbones)
    return DecisionTransformer(config, task.state_dim, task.action_dim, cast(Head, head), seed=seed)


def whole(arm: Arm, task: Task, head: str, architecture: str, backbones: Backbones, seed: int) -> DecisionTransformer:
    """The whole stack starts from the backbone, changed as the arm says.

    Raises:
        BackboneError: it is not the size of the one it is compared to.
    """
    model = fresh(arm, task, head, architecture, backbones, seed)
    backbone = _source(arm, backbones)
    stack, config = model.transformer, backbone.config
    if replace(config, norm=stack.config.norm) != stack.config:
        raise BackboneError(
            f"the {arm.source} backbone has not the shape of the {arm.sources[0]} backbone it is compared to",
            given=config,
            expected=stack.config,
            remedy="Pre-train both at one scale.",
        )
    tensors = changed(arm.change, backbone.tensors, config, seed)
    if arm.shape == "image_layer_norm":
        # DEV-07: RMS norm has no biases to read; the released code left them new.
        tensors |= {name: torch.zeros_like(new) for name, new in stack.state_dict().items() if name not in tensors}
    stack.load_state_dict(tensors)
    return model


def block(arm: Arm, task: Task, head: str, architecture: str, backbones: Backbones, seed: int) -> DecisionTransformer:
    """The random arm with one block of the backbone, changed as the arm says; it keeps its own heads and activation.

    Raises:
        BackboneError: the backbone has no such block.
    """
    model = fresh(arm, task, head, architecture, backbones, seed)
    backbone, index = _source(arm, backbones), cast(int, arm.block)
    if index >= backbone.config.blocks:
        raise BackboneError(
            f"{arm.name} needs a block that the language backbone does not have",
            given=f"{backbone.config.blocks} blocks",
            expected=f"more than {index}",
        )
    prefix = f"h.{index}."
    tensors = {name: tensor for name, tensor in backbone.tensors.items() if name.startswith(prefix)}
    replaced = Block(backbone.config)
    new = changed(arm.change, tensors, backbone.config, seed)
    replaced.load_state_dict({name.removeprefix(prefix): tensor for name, tensor in new.items()})
    model.transformer.h[index] = replaced
    return model


def _source(arm: Arm, backbones: Backbones) -> Backbone:
    assert arm.source is not None
    return backbone_of(arm, arm.source, backbones)
