"""What one network computes by itself on a CPU, by kind: `forward` of several has the same two functions."""

from typing import Protocol

from torch import Tensor

from dtclaims.choice import Choice
from dtclaims.lab.data.windows import Batch

ALONE = Choice(stack="dtclaims.lab.train.alone_stack:StackAlone", mlp="dtclaims.lab.train.alone_mlp:MlpAlone")
"""By the network's kind: made with it. Parameters may change in place afterwards, and have a `grad` to add to where
gradients are wanted."""


class Alone(Protocol):
    """A network on a CPU, in the mode it is in."""

    def error(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """The network's `action_loss` of a batch."""

    def actions(self, states: Tensor, actions: Tensor, returns_to_go: Tensor, timesteps: Tensor) -> Tensor:
        """Actions (B, A) at the last step of windows without padding: the last of `model(...)`, without the rest.

        Args:
            states: (B, K, S) normalised.
            actions: (B, K, A); the last is not seen.
            returns_to_go: (B, K, 1).
            timesteps: (B or 1, K) int64.
        """
