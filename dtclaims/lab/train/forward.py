"""The forward of a training step of several runs: the model's own function, less what no loss depends on.

Windows are moved to the left, so that a real step has no padding before it: causal attention alone then hides
padding, and the causal kernels need no mask. The stack has no position embedding, so nothing else changes. The last
action token comes after the last state token and is not run; of the last block only state tokens leave.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor

from dtclaims.choice import Choice
from dtclaims.lab.data.windows import Batch
from dtclaims.lab.models.attention import Attend
from dtclaims.lab.models.decision_transformer import STATES, DecisionTransformer
from dtclaims.lab.models.keyed_dropout import keyed, keyed_attention
from dtclaims.lab.models.transformer import Block, Record, Rows
from dtclaims.lab.train.alignment import left_aligned
from dtclaims.lab.train.networks import Ask, Networks, asked
from dtclaims.lab.train.objective import imitation_error

FORWARDS = Choice(stack="dtclaims.lab.train.forward:StackForward", mlp="dtclaims.lab.train.forward_mlp:MlpForward")
"""By the networks' kind: made with whether to compile, the `Forward` of a training step."""


class Forward(Protocol):
    """The `action_loss` of R networks on a batch each."""

    def parts(self, networks: Networks) -> int:
        """How many dropout keys a network takes."""

    def __call__(self, networks: Networks, batch: Batch, keys: Tensor, *, half: bool) -> tuple[Tensor, Tensor]:
        """Losses and shares of saturated predictions, (R,) each.

        Args:
            networks: on the device, the template in the mode they are to run in.
            batch: a leading R on everything; padded on the left.
            keys: of the dropout, (R, parts) int32 (`dtclaims.lab.models.keyed_dropout`).
            half: compute the blocks' matrix products in bfloat16; residual stream, norms, embeddings and action
                head stay float32.
        """


@dataclass(frozen=True)
class StackForward:
    """Of Transformers; see `Forward`.

    Blocks are compiled one by one and not the stack at once: one compilation then serves every block of a shape.
    """

    compiling: bool

    def parts(self, networks: Networks) -> int:
        """One for each block, and one for the embedding."""
        return len(networks.blocks) + 1

    def __call__(self, networks: Networks, batch: Batch, keys: Tensor, *, half: bool) -> tuple[Tensor, Tensor]:
        """See `Forward`."""
        how: Ask = compiled(asked) if self.compiling else asked
        model: Any = networks.template
        given = (batch.states, batch.actions, batch.returns_to_go, batch.timesteps, batch.mask)
        x, actions, mask = networks.ask(embedded, model, *given, keys[:, -1], how=how)

        def run(block: Any, x: Tensor, attend: Attend, rows: Rows | None, record: Record | None) -> Tensor:
            key = keys[:, networks.blocks.index(block)]
            found: Tensor = networks.ask(run_block, block, x, key, shared=(rows,), how=how)
            return found

        with torch.autocast(x.device.type, torch.bfloat16, enabled=half, cache_enabled=False):
            x = model.transformer.through(x, keyed_attention(keys), rows=STATES, run=run)
        losses, saturated = networks.ask(error_at, model, x, actions, mask, how=how)
        return losses, saturated


def embedded(
    model: DecisionTransformer,
    states: Tensor,
    actions: Tensor,
    returns_to_go: Tensor,
    timesteps: Tensor,
    mask: Tensor,
    key: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """The stack's input (B, 3K - 1, width) after its dropout; actions and mask of the windows moved to the left."""
    states, actions, returns_to_go, timesteps, mask = left_aligned(states, actions, returns_to_go, timesteps, mask)
    x = model.embed(states, actions, returns_to_go, timesteps)[:, :-1]
    return model.transformer.dropped(x, keyed(key)), actions, mask


def run_block(block: Block, x: Tensor, key: Tensor, rows: Rows | None) -> Tensor:
    """A block's output at the wanted tokens, its dropouts drawn by a key."""
    out: Tensor = block(x, keyed_attention(key), rows, None, keyed(key))
    return out


def error_at(model: DecisionTransformer, x: Tensor, actions: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Loss and share of saturated predictions from the last block's output at the state tokens."""
    return imitation_error(model.act(model.transformer.ln_f(x)), actions, mask)


@functools.cache
def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function` compiled once for every shape and kind of module it is called with."""
    # A process may train several kinds of stacks; past the default of 8 nothing would be compiled any more.
    torch._dynamo.config.recompile_limit = max(128, torch._dynamo.config.recompile_limit)
    return torch.compile(function, dynamic=False, fullgraph=True)
