"""How well held-out data are predicted, in bits.

Text: bits per byte, a unit that does not depend on the tokenizer,

bits per byte = (- sum of log2 p(token | context) over the text's tokens) / (UTF-8 bytes of the text)

The sum includes the end-of-text token of every document: a model must also say where texts end.
Images: bits per pixel, with the mean of - log2 p(colour | earlier pixels of the tile) over all pixels.
"""

import math
from collections.abc import Iterable

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from dtclaims.errors import MeasurementError

WINDOWS_PER_BATCH = 32
IGNORED = -100
PSEUDO_COUNT = 16.0
"""Weight of the unigram model in the previous-pixel model, in observations."""


def byte_counts(texts: Iterable[str]) -> NDArray[np.int64]:
    """How often each byte occurs in `texts`, (256,)."""
    counts = np.zeros(256, dtype=np.int64)
    for text in texts:
        counts += np.bincount(np.frombuffer(text.encode(), dtype=np.uint8), minlength=256)
    return counts


def unigram_bits(train: NDArray[np.int64], held_out: NDArray[np.int64]) -> float:
    """Total bits of symbols that occur `held_out` times each, (symbols,), under the unigram model of counts `train`.

    p(s) = (train[s] + 1) / sum over s' of (train[s'] + 1): one is added so that an unseen symbol costs finitely much.
    """
    smoothed = train.astype(np.float64) + 1.0
    return float(held_out @ -np.log2(smoothed / smoothed.sum()))


def stream_bits(model: nn.Module, stream: Tensor, context: int) -> float:
    """Total bits of tokens 1, 2, ... of `stream`, (tokens,) integer, under `model` in float32.

    The stream is cut into windows of `context` tokens that do not overlap. Every token but the first is predicted
    exactly once, from at most `context` tokens before it: those of its own window, so the figure is an upper
    bound of what longer contexts would give.

    Raises:
        MeasurementError: a stream of fewer than two tokens.
    """
    if len(stream) < 2:
        raise MeasurementError("nothing to predict", given=f"{len(stream)} tokens", expected="at least 2")
    windows = math.ceil((len(stream) - 1) / context)
    padding = windows * context - (len(stream) - 1)
    inputs = F.pad(stream[:-1].long(), (0, padding)).view(windows, context)
    targets = F.pad(stream[1:].long(), (0, padding), value=IGNORED).view(windows, context)
    return total_bits(model, inputs, targets)


def tile_inputs(tiles: Tensor, colours: int) -> Tensor:
    """What predicts `tiles`, (B, T): the start token, whose number is `colours`, and all pixels but the last."""
    return F.pad(tiles[:, :-1], (1, 0), value=colours)


def tile_bits(model: nn.Module, tiles: Tensor, colours: int) -> float:
    """Total bits of the pixels of `tiles`, (tiles, pixels) integer, under `model` in float32.

    Raises:
        MeasurementError: no tile.
    """
    if not len(tiles):
        raise MeasurementError("nothing to predict", given="0 tiles", expected="at least 1")
    targets = tiles.long()
    return total_bits(model, tile_inputs(targets, colours), targets)


def total_bits(model: nn.Module, inputs: Tensor, targets: Tensor) -> float:
    """- sum of log2 p(target) over `targets`, (rows, T), without those that are `IGNORED`; dropout is off."""
    was_training = model.training
    model.eval()
    nats = torch.zeros((), dtype=torch.float64, device=inputs.device)
    with torch.no_grad():
        for start in range(0, len(inputs), WINDOWS_PER_BATCH):
            batch = slice(start, start + WINDOWS_PER_BATCH)
            logits = model(inputs[batch]).float().flatten(0, 1)
            losses = F.cross_entropy(logits, targets[batch].flatten(), ignore_index=IGNORED, reduction="none")
            nats += losses.double().sum()
    model.train(was_training)
    return float(nats) / math.log(2.0)


def previous_bits(train: NDArray[np.integer], held_out: NDArray[np.integer], colours: int) -> float:
    """Total bits of `held_out`, (tiles, pixels), when each colour is predicted from the one before it in its tile.

    p(c | b) = (train's pairs (b, c) + a u(c)) / (train's pairs (b, any) + a), with a = `PSEUDO_COUNT` and u the
    unigram model of `unigram_bits`; b is the start token for the first pixel.
    """

    def pairs(tiles: NDArray[np.integer]) -> NDArray[np.int64]:
        before = np.pad(tiles[:, :-1].astype(np.int64), ((0, 0), (1, 0)), constant_values=colours)
        return np.bincount((before * colours + tiles).ravel(), minlength=(colours + 1) * colours).reshape(-1, colours)

    seen = pairs(train)
    smoothed = seen.sum(0) + 1.0
    unigram = smoothed / smoothed.sum()
    probability = (seen + PSEUDO_COUNT * unigram) / (seen.sum(1, keepdims=True) + PSEUDO_COUNT)
    return float((pairs(held_out) * -np.log2(probability)).sum())
