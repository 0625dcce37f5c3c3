"""What several networks compute at once: the model's own functions, less what no loss or action depends on.

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
from dtclaims.lab.models import fused_stack
from dtclaims.lab.models.attention import Attend
from dtclaims.lab.models.decision_transformer import STATES, TOKENS_PER_STEP, DecisionTransformer
from dtclaims.lab.models.keyed_dropout import keyed, keyed_attention
from dtclaims.lab.models.transformer import Block, Record, Rows
from dtclaims.lab.train.alignment import left_aligned
from dtclaims.lab.train.networks import Ask, Networks, asked
from dtclaims.lab.train.objective import imitation_error

FORWARDS = Choice(stack="dtclaims.lab.train.forward:StackForward", mlp="dtclaims.lab.train.forward_mlp:MlpForward")
"""By the networks' kind: made with the updates of a run, what they compute."""


class Forward(Protocol):
    """What R networks of a kind compute, with a leading R on everything."""

    def parts(self, networks: Networks) -> int:
        """How many dropout keys a network takes."""

    def errors(self, networks: Networks, batch: Batch, keys: Tensor, *, half: bool) -> tuple[Tensor, Tensor]:
        """The `action_loss` of each network on its batch: losses and shares of saturated predictions, (R,) each.

        Args:
            networks: on the device, the template in the mode they are to run in.
            batch: padded on the left.
            keys: of the dropout, (R, parts) int32 (`dtclaims.lab.models.keyed_dropout`).
            half: compute the blocks' matrix products in bfloat16; residual stream, norms, embeddings and action
                head stay float32.
        """

    def actions(
        self,
        networks: Networks,
        states: Tensor,
        actions: Tensor,
        returns_to_go: Tensor,
        timesteps: Tensor,
        step: Tensor,
        *,
        half: bool,
    ) -> Tensor:
        """Actions (R, B, A) at a step, (1,) int64, of windows (R, B, K, ...) without padding before it; nothing drops.

        What comes after the step is not seen, but must be finite.
        """


@dataclass(frozen=True)
class StackForward:
    """Of Transformers; see `Forward`.

    Of a network that is compiled it is the blocks: one by one, not the stack at once, so that one compilation serves
    every block of a shape. What is around them is a tenth of the kernels, and its compilation took as long as theirs.

    Args:
        steps: updates of a run. From `WORTH_A_LAST_BLOCK` on the last block is compiled once more, for the state tokens
            alone: a twentieth of the arithmetic.
    """

    steps: int = 0

    def parts(self, networks: Networks) -> int:
        """One for each block, and one for the embedding."""
        return len(networks.blocks) + 1

    def errors(self, networks: Networks, batch: Batch, keys: Tensor, *, half: bool) -> tuple[Tensor, Tensor]:
        """See `Forward.errors`."""
        model = networks.template
        given = (batch.states, batch.actions, batch.returns_to_go, batch.timesteps, batch.mask)
        x, actions, mask = networks.ask(embedded, model, *given, keys[:, -1])
        apart = not networks.compiling or self.steps >= WORTH_A_LAST_BLOCK
        x = _through(networks, x, keys, STATES if apart else None, half)
        losses, saturated = networks.ask(error_at, model, x if apart else x[:, :, STATES], actions, mask)
        return losses, saturated

    def actions(
        self,
        networks: Networks,
        states: Tensor,
        actions: Tensor,
        returns_to_go: Tensor,
        timesteps: Tensor,
        step: Tensor,
        *,
        half: bool,
    ) -> Tensor:
        """See `Forward.actions`."""
        model: Any = networks.template
        x = networks.ask(embedded_now, model, states, actions, returns_to_go, shared=(timesteps,))
        rows = TOKENS_PER_STEP * step + 1
        fused = half and fused_stack.offered(model.config, x.shape[2], x.device)
        if fused:
            x = fused_stack.through(x, model.config, list(model.transformer.h), networks.of("transformer."))
        else:
            keys = torch.zeros(networks.count, self.parts(networks), dtype=torch.int32, device=x.device)
            x = _through(networks, x, keys, None if networks.compiling else rows, half)
        if fused or networks.compiling:
            x = x.index_select(2, rows)
        found: Tensor = networks.ask(action_at, model, x)
        return found


WORTH_A_LAST_BLOCK = 50_000
"""Ours: compiling it takes ten seconds, which so many steps win back."""


def _through(networks: Networks, x: Tensor, keys: Tensor, rows: Rows | None, half: bool) -> Tensor:
    """The blocks one after the other, (R, B, T, width)."""
    model: Any = networks.template
    how: Ask = compiled(asked) if networks.compiling else asked

    def run(block: Any, x: Tensor, attend: Attend, rows: Rows | None, record: Record | None) -> Tensor:
        key = keys[:, networks.blocks.index(block)]
        found: Tensor = networks.ask(run_block, block, x, key, shared=(rows,), how=how)
        return found

    with torch.autocast(x.device.type, torch.bfloat16, enabled=half, cache_enabled=False):
        out: Tensor = model.transformer.through(x, keyed_attention(keys), rows=rows, run=run)
    return out


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


def embedded_now(
    model: DecisionTransformer, states: Tensor, actions: Tensor, returns_to_go: Tensor, timesteps: Tensor
) -> Tensor:
    """The stack's input (B, 3K - 1, width) of windows without padding: the last action token is not run."""
    return model.embed(states, actions, returns_to_go, timesteps)[:, :-1]


def action_at(model: DecisionTransformer, x: Tensor) -> Tensor:
    """Actions (B, A) from the last block's output (B, 1, width) at a state token."""
    return model.act(model.transformer.ln_f(x[:, 0]))


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
