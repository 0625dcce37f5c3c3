"""GPT-2's pre-LN Transformer stack, with the three activations and two norms of the paper's models.

One block (protocol §3.2), for tokens x of shape (B, T, width):

    x <- x + drop(c_proj(attention(ln_1(x))))
    x <- x + drop(c_proj(act(c_fc(ln_2(x)))))

and ln_f after the last block. There is no token and no position embedding: the caller embeds. This is written once, in
`Block`: training, roll-outs and recording differ in how it attends, which tokens leave it, and what is recorded.
Parameter names and layouts are GPT-2's, so its checkpoints fit.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dtclaims.errors import UsageError
from dtclaims.lab.models.attention import Attend, Drop, additive, as_the_reference, causal, drop, masked, split

Activation = Literal["relu", "gelu_new", "quick_gelu"]
Norm = Literal["layer", "rms"]
Record = Callable[[str, Tensor], None]
Rows = slice | Tensor
"""Which tokens' outputs are wanted: a slice of them, or their numbers (int64, on the device)."""

INIT_STD = 0.02
"""Standard deviation of fresh weights (GPT-2's)."""


def quick_gelu(x: Tensor) -> Tensor:
    """ImageGPT's activation, x * sigmoid(1.702 x)."""
    return x * torch.sigmoid(1.702 * x)


def gelu_new(x: Tensor) -> Tensor:
    """GPT-2's activation, the tanh approximation of GELU."""
    return F.gelu(x, approximate="tanh")


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"relu": F.relu, "gelu_new": gelu_new, "quick_gelu": quick_gelu}


@dataclass(frozen=True)
class StackConfig:
    """Shape and arithmetic of a stack; the defaults are the reference's (protocol §3.2).

    `norm="rms"` is ImageGPT's own normalisation, x / sqrt(mean(x^2) + eps) * weight, without a bias (DEV-07).

    Raises:
        UsageError: a size below 1, a width the heads do not divide, a dropout outside [0, 1), or an
            activation or norm that does not exist.
    """

    blocks: int
    width: int
    heads: int
    activation: Activation
    mlp_width: int | None = None
    """Hidden width of the MLP; None means 4 * width."""
    embd_dropout: float = 0.1
    attn_dropout: float = 0.1
    resid_dropout: float = 0.2
    eps: float = 1e-5
    norm: Norm = "layer"

    def __post_init__(self) -> None:
        for name in ("blocks", "width", "heads"):
            if getattr(self, name) < 1:
                raise UsageError(f"stack needs {name} of at least 1", given=getattr(self, name))
        if self.width % self.heads:
            raise UsageError(
                "heads must divide the width",
                given=f"width {self.width}, heads {self.heads}",
                remedy="Choose heads among the divisors of the width.",
            )
        for name in ("embd_dropout", "attn_dropout", "resid_dropout"):
            if not 0.0 <= getattr(self, name) < 1.0:
                raise UsageError(f"{name} is no dropout probability", given=getattr(self, name), expected="[0, 1)")
        if self.activation not in ACTIVATIONS:
            raise UsageError("unknown activation", given=repr(self.activation), expected=f"one of {list(ACTIVATIONS)}")
        if self.norm not in ("layer", "rms"):
            raise UsageError("unknown norm", given=repr(self.norm), expected="one of ['layer', 'rms']")

    @property
    def hidden(self) -> int:
        """Hidden width of the MLP."""
        return 4 * self.width if self.mlp_width is None else self.mlp_width


class Conv1D(nn.Module):
    """x @ weight + bias with the weight stored as [in, out], as in GPT-2 checkpoints."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(inputs, outputs))
        self.bias = nn.Parameter(torch.empty(outputs))

    def forward(self, x: Tensor) -> Tensor:
        """(..., inputs) -> (..., outputs)."""
        flat = torch.addmm(self.bias, x.reshape(-1, x.shape[-1]), self.weight)
        return flat.view(*x.shape[:-1], -1)


class Attention(nn.Module):
    """Multi-head self-attention; queries, keys and values are the thirds of c_attn's output."""

    def __init__(self, config: StackConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.dropout = config.attn_dropout
        self.c_attn = Conv1D(config.width, 3 * config.width)
        self.c_proj = Conv1D(config.width, config.width)

    def split(self, qkv: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Queries, keys and values of c_attn's output, see `attention.split`."""
        return split(qkv, self.heads)

    def forward(self, x: Tensor, attend: Attend, rows: Rows | None = None, record: Record | None = None) -> Tensor:
        """(B, T, width) -> (B, T or the rows, width)."""
        qkv = self.c_attn(x)
        mixed = attend(qkv, self.heads, self.dropout if self.training else 0.0)
        out: Tensor = self.c_proj(chosen(mixed, rows))
        if record is not None:
            record("attn.c_attn", qkv)
            record("attn.c_proj", out)
        return out


class Mlp(nn.Module):
    """c_proj(act(c_fc(x)))."""

    def __init__(self, config: StackConfig) -> None:
        super().__init__()
        self.activation = config.activation
        self.c_fc = Conv1D(config.width, config.hidden)
        self.c_proj = Conv1D(config.hidden, config.width)

    def forward(self, x: Tensor, record: Record | None = None) -> Tensor:
        """(B, T, width) -> (B, T, width)."""
        hidden = self.c_fc(x)
        active = ACTIVATIONS[self.activation](hidden)
        out: Tensor = self.c_proj(active)
        if record is not None:
            record("mlp.c_fc", hidden)
            record("mlp.act", active)
            record("mlp.c_proj", out)
        return out


class Block(nn.Module):
    """One pre-LN block. It owns its heads and activation, so blocks of two models can share a stack (§5.6.1)."""

    def __init__(self, config: StackConfig) -> None:
        super().__init__()
        self.dropout = config.resid_dropout
        self.ln_1 = make_norm(config)
        self.attn = Attention(config)
        self.ln_2 = make_norm(config)
        self.mlp = Mlp(config)

    def forward(
        self, x: Tensor, attend: Attend, rows: Rows | None = None, record: Record | None = None, drop: Drop = drop
    ) -> Tensor:
        """The block's output at the wanted tokens.

        Args:
            x: (B, T, width).
            attend: how queries see keys.
            rows: tokens that leave; None for all. Every token is seen, whether it leaves or not.
            record: called as record("{point}", tensor) with what is computed on the way.
            drop: what drops from the two branches.

        Returns:
            (B, T or the rows, width).
        """
        normed = self.ln_1(x)
        branch = drop(self.attn(normed, attend, rows, record), self.dropout, self.training, AFTER_ATTENTION)
        middle = chosen(x, rows) + branch
        normed_2 = self.ln_2(middle)
        branch_2 = drop(self.mlp(normed_2, record), self.dropout, self.training, AFTER_MLP)
        out = middle + branch_2
        if record is not None:
            record("ln_1", normed)
            record("attn.resid_dropout", branch)
            record("resid_mid", middle)
            record("ln_2", normed_2)
            record("mlp.dropout", branch_2)
            record("resid_out", out)
        return out


AFTER_ATTENTION, AFTER_MLP = 1, 2
"""Places of a block's dropouts; attention weights are at place 0."""

RunBlock = Callable[[nn.Module, Tensor, Attend, Rows | None, Record | None], Tensor]


def run_block(block: nn.Module, x: Tensor, attend: Attend, rows: Rows | None, record: Record | None) -> Tensor:
    """`block(x, …)`, as a function that can be compiled once for all blocks of a shape."""
    out: Tensor = block(x, attend, rows, record)
    return out


def chosen(x: Tensor, rows: Rows | None) -> Tensor:
    """The wanted tokens of x (B, T, width)."""
    if rows is None:
        return x
    return x[:, rows] if isinstance(rows, slice) else x.index_select(1, rows)


class Stack(nn.Module):
    """`config.blocks` blocks between an embedding dropout and ln_f.

    Fresh weights are N(0, 0.02^2), the c_proj weights of each block N(0, (0.02 / sqrt(2 blocks))^2), biases 0 and
    norms (1, 0), as in GPT-2 (protocol §3.3). They are drawn from `generator`, never from torch's global state;
    without one, from a generator seeded with 0.
    """

    def __init__(self, config: StackConfig, generator: torch.Generator | None = None) -> None:
        super().__init__()
        self.config = config
        self.h = nn.ModuleList(Block(config) for _ in range(config.blocks))
        self.ln_f = make_norm(config)
        self.init_weights(torch.Generator().manual_seed(0) if generator is None else generator)

    @torch.no_grad()
    def init_weights(self, generator: torch.Generator) -> None:
        """Redraw every parameter from `generator` (a CPU generator; the parameters must be on the CPU)."""
        projection_std = INIT_STD / math.sqrt(2 * len(self.h))
        for name, parameter in self.named_parameters():
            if name.endswith("bias"):
                parameter.zero_()
            elif parameter.ndim == 1:
                parameter.fill_(1.0)
            else:
                std = projection_std if name.endswith("c_proj.weight") else INIT_STD
                parameter.normal_(0.0, std, generator=generator)

    def forward(
        self,
        x: Tensor,
        allowed: Tensor | None = None,
        *,
        real_keys: Tensor | None = None,
        record: Record | None = None,
    ) -> Tensor:
        """Run the stack.

        Args:
            x: embedded tokens, (B, T, width), floating point.
            allowed: bool, (B, 1, T, T) or (1, 1, T, T); True where a query (third axis) may see a key (last axis).
                Every query must see at least one key. None means causal.
            real_keys: bool, (B, T), False at padding. Given, attention is computed as the reference does
                (`reference_attention`) and `allowed` is not used.
            record: called as record("h.{b}.{point}", tensor) with what is computed on the way.

        Returns:
            ln_f's output, (B, T, width).
        """
        if real_keys is not None:
            attend = as_the_reference(real_keys)
        else:
            if allowed is None and x.device.type == "cpu":
                # Elsewhere no mask is better: it leaves the causal kernels free to skip half of the work.
                allowed = causal(x.shape[1], x.device)
            # One conversion for all blocks; inside scaled_dot_product_attention it would be one for each.
            attend = masked(None if allowed is None else additive(allowed, x.dtype, -math.inf), x.device)
        out: Tensor = self.ln_f(self.through(self.dropped(x), attend, record=record))
        return out

    def dropped(self, x: Tensor, drop: Drop = drop) -> Tensor:
        """The embedded tokens after the embedding dropout."""
        return drop(x, self.config.embd_dropout, self.training)

    def through(
        self,
        x: Tensor,
        attend: Attend,
        *,
        rows: Rows | None = None,
        record: Record | None = None,
        run: RunBlock = run_block,
    ) -> Tensor:
        """The residual stream after the blocks: from after the embedding dropout to before ln_f.

        Args:
            x: (B, T, width).
            attend: how queries see keys.
            rows: tokens that leave the last block; None for all.
            record: see `forward`.
            run: calls a block: `run_block`, or that compiled.

        Returns:
            (B, T or the rows, width).
        """
        last = len(self.h) - 1
        for index, block in enumerate(self.h):
            recording = None if record is None else prefixed(record, f"h.{index}.")
            x = run(block, x, attend, rows if index == last else None, recording)
        return x


def make_norm(config: StackConfig) -> nn.Module:
    """The norm layer of `config`."""
    if config.norm == "rms":
        return nn.RMSNorm(config.width, eps=config.eps)
    return nn.LayerNorm(config.width, eps=config.eps)


def prefixed(record: Record, prefix: str) -> Record:
    """`record` with `prefix` before each name."""
    return lambda name, value: record(prefix + name, value)
