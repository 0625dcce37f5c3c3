"""The forward of a training step on a GPU: the model's own function, less what no loss depends on.

Windows are moved to the left, so that a real step has no padding before it: causal attention alone then hides
padding, and the causal kernels need no mask. The stack has no position embedding, so nothing else changes. The last
action token comes after the last state token and is not run; of the last block only state tokens leave.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, cast

import torch
from torch import Tensor, nn

from dtclaims.lab.data.windows import Batch
from dtclaims.lab.models.attention import FEW_TOKENS, attend, drop
from dtclaims.lab.models.decision_transformer import TOKENS_PER_STEP, DecisionTransformer
from dtclaims.lab.models.transformer import Attention, Block
from dtclaims.lab.train.objective import action_loss, imitation_error
from dtclaims.lab.train.short_attention import offered, short_attention


@dataclass(frozen=True)
class Forward:
    """The parts of a training forward, each compiled or not.

    Blocks are compiled one by one and not the stack at once: one compilation then serves every block of a shape.
    """

    embed: Callable[..., tuple[Tensor, Tensor, Tensor]]
    block: Callable[[Block, Tensor], Tensor]
    last: Callable[[Block, Tensor], Tensor]
    error: Callable[[DecisionTransformer, Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]

    def __call__(self, model: nn.Module, batch: Batch, *, half: bool) -> tuple[Tensor, Tensor]:
        """`action_loss(model, batch)`.

        Args:
            model: on the device, in the mode it is to run in.
            batch: padded on the left.
            half: compute the blocks' matrix products in bfloat16; residual stream, norms, embeddings and action
                head stay float32.
        """
        if not isinstance(model, DecisionTransformer):
            return action_loss(model, batch)
        x, actions, mask = self.embed(
            model, batch.states, batch.actions, batch.returns_to_go, batch.timesteps, batch.mask
        )
        *blocks, last = cast(list[Block], list(model.transformer.h))
        with torch.autocast(x.device.type, torch.bfloat16, enabled=half, cache_enabled=False):
            for block in blocks:
                x = self.block(block, x)
            x = self.last(last, x)
        return self.error(model, x, actions, mask)


def embedded(
    model: DecisionTransformer, states: Tensor, actions: Tensor, returns_to_go: Tensor, timesteps: Tensor, mask: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """The stack's input (B, 3K - 1, width) after its dropout; actions and mask of the windows moved to the left."""
    if mask.shape[1] > 1:
        states, actions, returns_to_go, timesteps, mask = left_aligned(states, actions, returns_to_go, timesteps, mask)
    x = model.embed(states, actions, returns_to_go, timesteps)[:, :-1]
    return drop(x, model.transformer.config.embd_dropout, model.training), actions, mask


def left_aligned(*values: Tensor) -> list[Tensor]:
    """Windows (B, K, ...) with their padding on the right; the last of them is the mask."""
    mask = values[-1]
    steps = mask.shape[1]
    padding = steps - mask.sum(dim=1, keepdim=True)
    index = (torch.arange(steps, device=mask.device) + padding) % steps
    return [torch.take_along_dim(one, index if one.ndim == 2 else index[..., None], dim=1) for one in values]


def attended(attention: Attention, x: Tensor) -> Tensor:
    """What goes into c_proj, (B, T, width) -> (B, T, width), under causal attention."""
    qkv = attention.c_attn(x)
    dropout = attention.dropout if attention.training else 0.0
    if qkv.shape[1] > FEW_TOKENS and offered(qkv, attention.heads):
        seed = torch.randint(2**31 - 1, (1,), device=qkv.device) if dropout else None
        mixed: Tensor = short_attention(qkv, seed, attention.heads, dropout)
        return mixed
    return attend(*attention.split(qkv), None, dropout).transpose(1, 2).flatten(2)


def whole_block(block: Block, x: Tensor) -> Tensor:
    """One block under causal attention, (B, T, width) -> (B, T, width)."""
    branch = block.attn.c_proj(attended(block.attn, block.ln_1(x)))
    return _with_mlp(block, x + drop(branch, block.dropout, block.training))


def last_block(block: Block, x: Tensor) -> Tensor:
    """The last block's output at the state tokens, (B, 3K - 1, width) -> (B, K, width)."""
    at_states = slice(1, None, TOKENS_PER_STEP)
    branch = block.attn.c_proj(attended(block.attn, block.ln_1(x))[:, at_states])
    return _with_mlp(block, x[:, at_states] + drop(branch, block.dropout, block.training))


def _with_mlp(block: Block, x: Tensor) -> Tensor:
    return x + drop(block.mlp(block.ln_2(x), None), block.dropout, block.training)


def actions_at(model: DecisionTransformer, x: Tensor) -> Tensor:
    """Actions (..., A) from the last block's output (..., width) at state tokens."""
    out = model.transformer.ln_f(x).float()
    if model.predict_action is not None:
        return torch.tanh(model.predict_action(out))
    return torch.tanh(out @ model.embed_action.weight)


def error_at(model: DecisionTransformer, x: Tensor, actions: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Loss and share of saturated predictions from the last block's output at the state tokens."""
    return imitation_error(actions_at(model, x), actions, mask)


EAGER = Forward(embedded, whole_block, last_block, error_at)


@functools.cache
def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """`function` compiled once for every shape and kind of module it is called with."""
    # A process may train several kinds of stacks; past the default of 8 nothing would be compiled any more.
    torch._dynamo.config.recompile_limit = max(64, torch._dynamo.config.recompile_limit)
    return torch.compile(function, dynamic=False, fullgraph=True)


def compiled_forward() -> Forward:
    """`EAGER` with every part compiled."""
    return Forward(*(compiled(getattr(EAGER, field.name)) for field in fields(Forward)))
