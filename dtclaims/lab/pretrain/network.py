"""The networks that are pre-trained: GPT-2's architecture on text or synthetic tokens, ImageGPT's on images."""

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dtclaims.lab.models.transformer import INIT_STD, Activation, Norm, Stack, StackConfig


@dataclass(frozen=True)
class Scale:
    """Shape of a backbone and what it is trained with unless told otherwise."""

    blocks: int
    width: int
    heads: int
    context: int
    """Tokens that are predicted at a time; of an image the pixels of a tile, so a square."""
    vocabulary: int
    """Tokens; for images colours, and the token that starts a tile comes on top."""
    batch: int
    """Windows, or tiles, of `context` tokens per update."""
    updates: int
    learning_rate: float
    dropout: float
    stored: torch.dtype = torch.float32
    """Type of the shipped weights."""
    activation: Activation = "gelu_new"
    norm: Norm = "layer"

    @property
    def config(self) -> StackConfig:
        """The stack's configuration while it is pre-trained."""
        return StackConfig(
            self.blocks,
            self.width,
            self.heads,
            self.activation,
            embd_dropout=self.dropout,
            attn_dropout=self.dropout,
            resid_dropout=self.dropout,
            norm=self.norm,
        )


def image_scale(
    width: int, heads: int, side: int, batch: int, updates: int, learning_rate: float, dropout: float = 0.0
) -> Scale:
    """An ImageGPT of 24 blocks and 512 colours on tiles of side x side pixels."""
    return Scale(24, width, heads, side**2, 512, batch, updates, learning_rate, dropout, HALF, "quick_gelu", norm="rms")


HALF = torch.float16

SCALES: dict[str, Scale] = {
    # A model this small cannot fit the corpus, so dropout would only slow it down.
    "mini": Scale(12, 32, 2, 128, 1024, batch=1024, updates=6000, learning_rate=4e-3, dropout=0.0),
    "small": Scale(12, 128, 4, 256, 4096, batch=512, updates=4000, learning_rate=2e-3, dropout=0.05, stored=HALF),
    # GPT-2 small's own shape, vocabulary and dropout.
    "paper": Scale(12, 768, 12, 1024, 50257, batch=32, updates=20_000, learning_rate=6e-4, dropout=0.1, stored=HALF),
}

# Twice the language scale's blocks, as in the paper, whose layer averages pair iGPT's 24 blocks with GPT-2's 12.
# At small and paper heads are as wide as the language scale's and the stack is narrower, as in the paper (512 and 768).
IMAGE_SCALES: dict[str, Scale] = {
    "mini": image_scale(32, 2, side=16, batch=512, updates=4000, learning_rate=3e-3),
    "small": image_scale(96, 3, side=32, batch=128, updates=3000, learning_rate=1.5e-3, dropout=0.05),
    # iGPT-S's own shape, tiles, colours and batch.
    "paper": image_scale(512, 8, side=32, batch=128, updates=20_000, learning_rate=6e-4, dropout=0.1),
}

# The language scales on tokens of 100 states, as many per update as Wang et al. (ICLR 2024) take.
SYNTHETIC_SCALES: dict[str, Scale] = {
    name: replace(scale, vocabulary=100, batch=65_536 // scale.context, updates=2000, stored=HALF)
    for name, scale in SCALES.items()
}


class TokenModel(nn.Module):
    """Token and learned position embeddings under a stack.

    Embeddings are drawn N(0, 0.02^2) from `generator`, after the stack's weights.
    """

    def __init__(self, config: StackConfig, vocabulary: int, context: int, generator: torch.Generator) -> None:
        super().__init__()
        self.stack = Stack(config, generator)
        self.wte = fresh(vocabulary, config.width, generator)
        self.wpe = fresh(context, config.width, generator)

    def hidden(self, tokens: Tensor) -> Tensor:
        """Token numbers (B, T), T at most the context -> the stack's output (B, T, width)."""
        out: Tensor = self.stack(F.embedding(tokens, self.wte) + self.wpe[: tokens.shape[1]])
        return out

    def backbone(self, dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
        """The weights under Hugging Face's names, as `dtype`, on the CPU."""
        others = {f"{name}.weight": parameter.data for name, parameter in self.named_parameters(recurse=False)}
        tensors = {**self.stack.state_dict(), **others}
        return {name: tensor.detach().to(device="cpu", dtype=dtype).contiguous() for name, tensor in tensors.items()}


class LanguageModel(TokenModel):
    """GPT-2: its output layer is tied to the token embedding."""

    def forward(self, tokens: Tensor) -> Tensor:
        """Token numbers (B, T), T at most the context -> logits of the next token (B, T, vocabulary)."""
        return F.linear(self.hidden(tokens), self.wte)


class ImageModel(TokenModel):
    """ImageGPT: an output layer of its own, without a bias, over the colours only.

    Token numbers are colours (0, 1, ...) and one more, `colours`, that starts a tile and is never predicted.
    """

    def __init__(self, config: StackConfig, colours: int, context: int, generator: torch.Generator) -> None:
        super().__init__(config, colours + 1, context, generator)
        self.lm_head = fresh(colours, config.width, generator)

    def forward(self, tokens: Tensor) -> Tensor:
        """Token numbers (B, T), T at most the context -> logits of the next colour (B, T, colours)."""
        return F.linear(self.hidden(tokens), self.lm_head)


def fresh(rows: int, width: int, generator: torch.Generator) -> nn.Parameter:
    """A matrix drawn N(0, 0.02^2)."""
    return nn.Parameter(torch.empty(rows, width).normal_(0.0, INIT_STD, generator=generator))
