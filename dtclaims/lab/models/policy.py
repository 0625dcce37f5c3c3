"""What a run fine-tunes: a network that predicts actions, whatever it is inside."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Literal

from torch import Tensor, nn

from dtclaims.errors import MeasurementError

Kind = Literal["stack", "mlp"]
"""A Transformer's stack, whose blocks' matrix products may be computed in less than float32; or an MLP."""


class Policy(nn.Module, ABC):
    """From states, actions so far and returns-to-go to actions."""

    kind: ClassVar[Kind]

    @abstractmethod
    def forward(
        self,
        states: Tensor,
        actions: Tensor,
        returns_to_go: Tensor,
        timesteps: Tensor,
        mask: Tensor,
        *,
        attention: Any = "boolean",
        record: Any = None,
    ) -> Tensor:
        """Actions (B, K, A) of every step of B windows of K steps; see `DecisionTransformer.forward`."""


def no_blocks(model: nn.Module) -> MeasurementError:
    """The error of a measurement of blocks on a network that has none."""
    return MeasurementError(
        "the MLP has no Transformer blocks to read",
        given=f"a {type(model).__name__} network",
        expected="a DecisionTransformer",
    )
