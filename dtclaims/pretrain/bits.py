"""Bits per byte: how well text is predicted, in a unit that does not depend on the tokenizer.

bits per byte = (- sum of log2 p(token | context) over the text's tokens) / (UTF-8 bytes of the text)

The sum includes the end-of-text token of every document: a model must also say where texts end.
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
    was_training = model.training
    model.eval()
    nats = torch.zeros((), dtype=torch.float64, device=stream.device)
    with torch.no_grad():
        for start in range(0, windows, WINDOWS_PER_BATCH):
            batch = slice(start, start + WINDOWS_PER_BATCH)
            logits = model(inputs[batch]).float().flatten(0, 1)
            losses = F.cross_entropy(logits, targets[batch].flatten(), ignore_index=IGNORED, reduction="none")
            nats += losses.double().sum()
    model.train(was_training)
    return float(nats) / math.log(2.0)
