"""The forward of a training step on a GPU: the model's own function, less what no loss depends on.

Windows are moved to the left, so that a real step has no padding before it: causal attention alone then hides
padding, and the causal kernels need no mask. The stack has no position embedding, so nothing else changes. The last
action token comes after the last state token and is not run; of the last block only state tokens leave.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, Protocol

import torch
from torch import Tensor

from dtclaims.choice import Choice
from dtclaims.lab.data.windows import Batch
from dtclaims.lab.models.attention import CAUSAL
from dtclaims.lab.models.decision_transformer import STATES, DecisionTransformer
from dtclaims.lab.models.transformer import RunBlock, run_block
from dtclaims.lab.train.objective import imitation_error

FORWARDS = Choice(stack="dtclaims.lab.train.forward:of_stack", mlp="dtclaims.lab.train.forward_mlp:of_mlp")
"""By the network's kind: from whether to compile to the `Forward` of a training step."""


class Forward(Protocol):
    """`action_loss(model, batch)`, perhaps faster."""

    def __call__(self, model: Any, batch: Batch, *, half: bool) -> tuple[Tensor, Tensor]:
        """Loss and share of saturated predictions.

        Args:
            model: on the device, in the mode it is to run in.
            batch: padded on the left.
            half: compute the blocks' matrix products in bfloat16; residual stream, norms, embeddings and action
                head stay float32.
        """


@dataclass(frozen=True)
class StackForward:
    """The parts of a training forward, each compiled or not; see `Forward`.

    Blocks are compiled one by one and not the stack at once: one compilation then serves every block of a shape.
    """

    embed: Callable[..., tuple[Tensor, Tensor, Tensor]]
    block: RunBlock
    error: Callable[[DecisionTransformer, Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]

    def __call__(self, model: DecisionTransformer, batch: Batch, *, half: bool) -> tuple[Tensor, Tensor]:
        """See `Forward`."""
        x, actions, mask = self.embed(
            model, batch.states, batch.actions, batch.returns_to_go, batch.timesteps, batch.mask
        )
        attend = CAUSAL[x.device.type]
        with torch.autocast(x.device.type, torch.bfloat16, enabled=half, cache_enabled=False):
            x = model.transformer.through(x, attend, rows=STATES, run=self.block)
        return self.error(model, x, actions, mask)


def embedded(
    model: DecisionTransformer, states: Tensor, actions: Tensor, returns_to_go: Tensor, timesteps: Tensor, mask: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """The stack's input (B, 3K - 1, width) after its dropout; actions and mask of the windows moved to the left."""
    if mask.shape[1] > 1:
        states, actions, returns_to_go, timesteps, mask = left_aligned(states, actions, returns_to_go, timesteps, mask)
    x = model.embed(states, actions, returns_to_go, timesteps)[:, :-1]
    return model.transformer.dropped(x), actions, mask


def left_aligned(*values: Tensor) -> list[Tensor]:
    """Windows (B, K, ...) with their padding on the right; the last of them is the mask."""
    mask = values[-1]
    steps = mask.shape[1]
    padding = steps - mask.sum(dim=1, keepdim=True)
    index = (torch.arange(steps, device=mask.device) + padding) % steps
    return [torch.take_along_dim(one, index if one.ndim == 2 else index[..., None], dim=1) for one in values]


def error_at(model: DecisionTransformer, x: Tensor, actions: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Loss and share of saturated predictions from the last block's output at the state tokens."""
    return imitation_error(model.act(model.transformer.ln_f(x)), actions, mask)


EAGER = StackForward(embedded, run_block, error_at)


@functools.cache
def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function` compiled once for every shape and kind of module it is called with."""
    # A process may train several kinds of stacks; past the default of 8 nothing would be compiled any more.
    torch._dynamo.config.recompile_limit = max(128, torch._dynamo.config.recompile_limit)
    return torch.compile(function, dynamic=False, fullgraph=True)


def of_stack(compiling: bool) -> StackForward:
    """`EAGER`, or with every part compiled."""
    return StackForward(*(compiled(getattr(EAGER, one.name)) for one in fields(StackForward))) if compiling else EAGER
