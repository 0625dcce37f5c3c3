"""What a backbone is trained on and measured by: text as a stream of tokens, images as tiles of colours."""

from collections.abc import Mapping
from math import isqrt
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from dtclaims.lab.pretrain.bits import byte_counts, previous_bits, stream_bits, tile_bits, tile_inputs, unigram_bits
from dtclaims.lab.pretrain.corpus import Corpus, Document


class Examples(Protocol):
    """Training batches and the held-out measurement of one kind of data."""

    kind: str
    """`language`, `image`, `iid` or `markov`; names the random streams."""
    unit: str
    """What held-out bits are counted per."""
    tokens: int | None
    """Training tokens; None where they are drawn without end."""
    measured: str
    """How the held-out figures were measured."""

    def batch(self, draws: np.random.Generator, count: int) -> tuple[Tensor, Tensor]:
        """`count` examples: the network's input and what it should predict, both (count, context) int64."""

    def held_out_bits(self, model: nn.Module) -> float:
        """Bits that the held-out data cost under `model`, per `unit`."""

    def baselines(self) -> Mapping[str, float]:
        """Bits per `unit` of models that need no network."""


class TextExamples:
    """Windows out of a stream of tokens."""

    kind, unit = "language", "byte"
    tokens: int | None

    def __init__(
        self,
        train: NDArray[np.int32],
        held_out: NDArray[np.int32],
        text: Corpus[Document],
        vocabulary: int,
        context: int,
        device: torch.device,
    ) -> None:
        self.train = torch.from_numpy(train).to(device)
        self.held_out = torch.from_numpy(held_out).to(device)
        self.text, self.vocabulary, self.context = text, vocabulary, context
        self.tokens = len(train)
        self.held_out_bytes = sum(len(document.text.encode()) for document in text.held_out)
        self.measured = (
            f"bits of all held-out tokens, end-of-text tokens included, over UTF-8 bytes; windows of {context} tokens "
            "that do not overlap; float32; the byte unigram model pays for no end-of-text"
        )

    def batch(self, draws: np.random.Generator, count: int) -> tuple[Tensor, Tensor]:
        """Windows from anywhere in the stream; see `Examples.batch`."""
        starts = torch.from_numpy(draws.integers(0, len(self.train) - self.context, count)).to(self.train.device)
        places = torch.arange(self.context + 1, device=self.train.device)
        windows = self.train[starts[:, None] + places].long()
        return windows[:, :-1], windows[:, 1:]

    def held_out_bits(self, model: nn.Module) -> float:
        """Bits per byte; see `stream_bits`."""
        return stream_bits(model, self.held_out, self.context) / self.held_out_bytes

    def baselines(self) -> dict[str, float]:
        """Bits per byte of the unigram models of tokens and of bytes."""
        counts = [torch.bincount(s[1:], minlength=self.vocabulary).cpu().numpy() for s in (self.train, self.held_out)]
        spelt = [byte_counts(doc.text for doc in part) for part in (self.text.train, self.text.held_out)]
        return {
            "token_unigram": unigram_bits(counts[0], counts[1]) / self.held_out_bytes,
            "byte_unigram": unigram_bits(spelt[0], spelt[1]) / self.held_out_bytes,
        }


class TileExamples:
    """Tiles of colours, mirrored left to right with probability 1/2 in training."""

    kind, unit = "image", "pixel"
    tokens: int | None

    def __init__(
        self, train: NDArray[np.int16], held_out: NDArray[np.int16], colours: int, device: torch.device
    ) -> None:
        self.train = torch.from_numpy(train).to(device)
        self.held_out = torch.from_numpy(held_out).to(device)
        self.colours = colours
        self.tokens = train.size
        self.measured = (
            f"bits of all {held_out.size} pixels of {len(held_out)} tiles of held-out photographs, each predicted "
            "from the pixels before it in its tile; not mirrored; float32"
        )

    def batch(self, draws: np.random.Generator, count: int) -> tuple[Tensor, Tensor]:
        """Tiles drawn with replacement; see `Examples.batch`."""
        chosen = torch.from_numpy(draws.integers(0, len(self.train), count)).to(self.train.device)
        mirrored = torch.from_numpy(draws.random(count) < 0.5).to(self.train.device)
        tiles = self.train[chosen].long()
        side = isqrt(tiles.shape[1])
        flipped = tiles.view(count, side, side).flip(-1).flatten(1)
        tiles = torch.where(mirrored[:, None], flipped, tiles)
        return tile_inputs(tiles, self.colours), tiles

    def held_out_bits(self, model: nn.Module) -> float:
        """Bits per pixel; see `tile_bits`."""
        return tile_bits(model, self.held_out, self.colours) / self.held_out.numel()

    def baselines(self) -> dict[str, float]:
        """Bits per pixel of the palette's histogram, and of each colour given the one before it."""
        train, held_out = self.train.cpu().numpy(), self.held_out.cpu().numpy()
        counts = [np.bincount(tiles.ravel(), minlength=self.colours) for tiles in (train, held_out)]
        return {
            "colour_unigram": unigram_bits(counts[0], counts[1]) / held_out.size,
            "previous_pixel": previous_bits(train, held_out, self.colours) / held_out.size,
        }
