"""The networks that are pre-trained on language: GPT-2's architecture at three scales."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dtclaims.models.transformer import INIT_STD, Stack, StackConfig


@dataclass(frozen=True)
class Scale:
    """Shape of a backbone and what it is trained with unless told otherwise."""

    blocks: int
    width: int
    heads: int
    context: int
    vocabulary: int
    batch: int
    """Windows of `context` tokens per update."""
    updates: int
    learning_rate: float
    dropout: float
    stored: torch.dtype = torch.float32
    """Type of the shipped weights. Half precision changes small's held-out bits per byte by less than 1e-5."""

    @property
    def config(self) -> StackConfig:
        """The stack's configuration while it is pre-trained."""
        return StackConfig(
            self.blocks,
            self.width,
            self.heads,
            "gelu_new",
            embd_dropout=self.dropout,
            attn_dropout=self.dropout,
            resid_dropout=self.dropout,
        )


HALF = torch.float16

SCALES: dict[str, Scale] = {
    # A model this small cannot fit the corpus, so dropout would only slow it down.
    "mini": Scale(12, 32, 2, 128, 1024, batch=1024, updates=6000, learning_rate=4e-3, dropout=0.0),
    "small": Scale(12, 128, 4, 256, 4096, batch=512, updates=4000, learning_rate=2e-3, dropout=0.05, stored=HALF),
    # GPT-2 small's own shape, vocabulary and dropout.
    "paper": Scale(12, 768, 12, 1024, 50257, batch=32, updates=20_000, learning_rate=6e-4, dropout=0.1, stored=HALF),
}


class LanguageModel(nn.Module):
    """GPT-2: token and learned position embeddings, the stack, and an output layer tied to the token embedding.

    Embeddings are drawn N(0, 0.02^2) from `generator`, after the stack's weights.
    """

    def __init__(self, config: StackConfig, vocabulary: int, context: int, generator: torch.Generator) -> None:
        super().__init__()
        self.stack = Stack(config, generator)
        self.wte = nn.Parameter(torch.empty(vocabulary, config.width).normal_(0.0, INIT_STD, generator=generator))
        self.wpe = nn.Parameter(torch.empty(context, config.width).normal_(0.0, INIT_STD, generator=generator))

    def forward(self, tokens: Tensor) -> Tensor:
        """Token numbers (B, T), T at most the context -> logits of the next token (B, T, vocabulary)."""
        hidden = self.stack(F.embedding(tokens, self.wte) + self.wpe[: tokens.shape[1]])
        return F.linear(hidden, self.wte)

    def backbone(self, dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
        """The weights under GPT-2's names, as `dtype`, on the CPU."""
        tensors = {**self.stack.state_dict(), "wte.weight": self.wte.data, "wpe.weight": self.wpe.data}
        return {name: tensor.detach().to(device="cpu", dtype=dtype).contiguous() for name, tensor in tensors.items()}
