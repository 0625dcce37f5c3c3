"""The arms of the experiment: which stack a Decision Transformer gets, and where its weights come from."""

from dataclasses import dataclass, replace
from typing import Literal, cast, get_args

from dtclaims.data.tasks import Task
from dtclaims.errors import UsageError
from dtclaims.models.backbones import Backbone
from dtclaims.models.decision_transformer import DecisionTransformer, Head
from dtclaims.models.transformer import StackConfig

Architecture = Literal["reference", "matched"]


@dataclass(frozen=True)
class Arm:
    """One way to start a Decision Transformer."""

    name: str
    backbone: Literal["language", "image"] | None
    """Kind of the pre-trained weights the stack starts from; None for fresh ones."""
    description: str


ARMS: dict[str, Arm] = {
    arm.name: arm
    for arm in (
        Arm("random_init", None, "every weight drawn afresh (the paper's randomly initialised model)"),
        Arm("language_pretrained", "language", "blocks and final norm of a language model (the paper's GPT-2)"),
    )
}


def get_arm(name: str) -> Arm:
    """The arm called `name`.

    Raises:
        UsageError: no such arm.
    """
    try:
        return ARMS[name]
    except KeyError:
        raise UsageError("unknown arm", given=repr(name), expected=f"one of {', '.join(ARMS)}") from None


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
