"""Bits per byte, bits per pixel and their baselines (dtclaims/lab/pretrain/bits.py)."""

import math
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from dtclaims.errors import MeasurementError
from dtclaims.lab.pretrain.bits import PSEUDO_COUNT, byte_counts, previous_bits, stream_bits, tile_bits, unigram_bits

SYMBOLS = 7
STREAMS = st.lists(st.integers(0, SYMBOLS - 1), min_size=2, max_size=200).map(
    lambda row: torch.tensor(row, dtype=torch.int32)
)


class Uniform(nn.Module):
    """Knows nothing: equal logits."""

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, T) -> (B, T, SYMBOLS)."""
        return torch.zeros(*tokens.shape, SYMBOLS)


class Position(nn.Module):
    """Logits that depend on the token and on its place in the window, so that misplaced windows show."""

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, T) -> (B, T, SYMBOLS)."""
        places = torch.arange(tokens.shape[1])[None, :, None]
        return torch.sin(tokens[..., None] * 1.7 + places * 0.9 + torch.arange(SYMBOLS) * 0.6)


@given(STREAMS, st.integers(1, 12))
def test_uniform_model_has_its_closed_form(stream: Tensor, context: int) -> None:
    """Each predicted token costs log2(vocabulary) bits, whatever the text and the window."""
    assert stream_bits(Uniform(), stream, context) == pytest.approx((len(stream) - 1) * math.log2(SYMBOLS), rel=1e-6)


@given(STREAMS, st.integers(1, 12))
def test_every_token_but_the_first_is_predicted_once(stream: Tensor, context: int) -> None:
    """The sum over windows is the naive sum: token i + 1 from the window that token i stands in."""
    naive = 0.0
    for index in range(len(stream) - 1):
        start = index - index % context
        logits = Position()(stream[start : index + 1][None].long())[0, -1].double()
        naive -= float(torch.log_softmax(logits, 0)[stream[index + 1]]) / math.log(2)
    assert stream_bits(Position(), stream, context) == pytest.approx(naive, rel=1e-5)


def test_the_models_mode_is_left_as_it_was() -> None:
    """Measuring switches dropout off, and back on."""

    class Mode(Uniform):
        def forward(self, tokens: Tensor) -> Tensor:
            assert not self.training
            return super().forward(tokens)

    model = Mode().train()
    assert stream_bits(model, torch.tensor([1, 2, 3]), 2) > 0
    assert model.training


def test_nothing_to_predict_is_a_typed_error() -> None:
    """A single token has no predecessor."""
    with pytest.raises(MeasurementError, match="1 tokens"):
        stream_bits(Uniform(), torch.tensor([0]), 4)


@given(st.lists(st.integers(0, 5)), st.lists(st.integers(0, 5)))
def test_unigram_bits_match_the_definition(train: list[int], held_out: list[int]) -> None:
    """-sum of log2 p, symbol by symbol, with one added to every count."""
    counts = Counter(train)
    naive = -sum(math.log2((counts[symbol] + 1) / (len(train) + 6)) for symbol in held_out)
    result = unigram_bits(np.bincount(train, minlength=6)[:6], np.bincount(held_out, minlength=6)[:6])
    assert result == pytest.approx(naive, rel=1e-12, abs=1e-12)


@given(st.lists(st.text()))
def test_byte_counts_match_the_definition(texts: list[str]) -> None:
    """How often each of the 256 bytes occurs in the UTF-8 texts."""
    naive = Counter(byte for text in texts for byte in text.encode())
    assert byte_counts(texts).tolist() == [naive[byte] for byte in range(256)]


TILES = st.integers(1, 9).flatmap(
    lambda pixels: st.lists(st.lists(st.integers(0, SYMBOLS - 1), min_size=pixels, max_size=pixels), min_size=1)
)


@given(TILES)
def test_uniform_model_has_its_closed_form_on_tiles(rows: list[list[int]]) -> None:
    """Each pixel costs log2(colours) bits."""
    tiles = torch.tensor(rows, dtype=torch.int16)
    assert tile_bits(Uniform(), tiles, SYMBOLS) == pytest.approx(tiles.numel() * math.log2(SYMBOLS), rel=1e-6)


@given(TILES)
def test_every_pixel_is_predicted_once_from_its_own_tile(rows: list[list[int]]) -> None:
    """The sum is the naive sum: the first pixel from the start token, each other from those before it."""
    naive = 0.0
    for row in rows:
        for place, colour in enumerate(row):
            logits = Position()(torch.tensor([[SYMBOLS, *row[:place]]]))[0, -1].double()
            naive -= float(torch.log_softmax(logits, 0)[colour]) / math.log(2)
    assert tile_bits(Position(), torch.tensor(rows, dtype=torch.int16), SYMBOLS) == pytest.approx(naive, rel=1e-5)


def test_no_tile_is_a_typed_error() -> None:
    """Nothing was held out."""
    with pytest.raises(MeasurementError, match="0 tiles"):
        tile_bits(Uniform(), torch.zeros(0, 4, dtype=torch.int16), SYMBOLS)


@given(TILES, TILES)
def test_previous_pixel_bits_match_the_definition(train: list[list[int]], held_out: list[list[int]]) -> None:
    """-sum of log2 p, pixel by pixel, with the unigram model standing in for `PSEUDO_COUNT` observations."""

    def pairs(rows: list[list[int]]) -> list[tuple[int, int]]:
        return [(row[place - 1] if place else SYMBOLS, colour) for row in rows for place, colour in enumerate(row)]

    seen, colours = pairs(train), [colour for row in train for colour in row]

    def probability(before: int, colour: int) -> float:
        unigram = (colours.count(colour) + 1) / (len(colours) + SYMBOLS)
        after = [second for first, second in seen if first == before]
        return (after.count(colour) + PSEUDO_COUNT * unigram) / (len(after) + PSEUDO_COUNT)

    naive = -sum(math.log2(probability(*pair)) for pair in pairs(held_out))
    result = previous_bits(np.array(train, dtype=np.int16), np.array(held_out, dtype=np.int16), SYMBOLS)
    assert result == pytest.approx(naive, rel=1e-9)
    assert sum(probability(SYMBOLS, colour) for colour in range(SYMBOLS)) == pytest.approx(1.0)
