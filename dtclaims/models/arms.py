"""From an arm to its untrained network: which stack it gets, and where the weights come from."""

from dataclasses import replace
from typing import Literal, cast, get_args

from dtclaims.arms import get_arm
from dtclaims.data.tasks import Task
from dtclaims.errors import UsageError
from dtclaims.models.backbones import Backbone
from dtclaims.models.decision_transformer import DecisionTransformer, Head
from dtclaims.models.transformer import StackConfig

Architecture = Literal["reference", "matched"]


def stack_config(arm: str, architecture: str, language_config: StackConfig) -> StackConfig:
    """The stack of `arm` (DEV-04; protocol §3.2).

    A pre-trained arm always has its backbone's configuration. A fresh one has the language backbone's blocks
    and width, and: under `reference` one head and ReLU, the released code's defaults; under `matched` all else
    of the language backbone too, so that only the weights differ.

    Raises:
        UsageError: no such arm or architecture.
    """
    if architecture not in get_args(Architecture):
        raise UsageError("unknown architecture", given=repr(architecture), expected="reference or matched")
    if get_arm(arm).backbone is None and architecture == "reference":
        return replace(language_config, heads=1, activation="relu")
    return language_config


def build_model(
    arm: str, *, task: Task, head: str, architecture: str, backbone: Backbone, seed: int
) -> DecisionTransformer:
    """The untrained model of a run (epoch 0): the same arguments give the same bits.

    Arms of one seed share the embeddings, the time table and the head; fresh stacks of one seed share their
    weights whatever their heads and activation are.

    Args:
        arm: name in `ARMS`.
        task: sizes of states and actions.
        head: see `DecisionTransformer`.
        architecture: see `stack_config`.
        backbone: the language backbone; a fresh arm takes its sizes only.
        seed: of every fresh weight.

    Raises:
        UsageError: no such arm, head or architecture.
    """
    config = stack_config(arm, architecture, backbone.config)
    model = DecisionTransformer(config, task.state_dim, task.action_dim, cast(Head, head), seed=seed)
    if get_arm(arm).backbone is not None:
        model.transformer.load_state_dict(backbone.tensors)
    return model
