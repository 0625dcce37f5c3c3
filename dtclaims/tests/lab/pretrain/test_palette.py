"""The colour palette (dtclaims/lab/pretrain/palette.py)."""

import json

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from dtclaims.lab.pretrain.palette import fit_palette, nearest_colours, palette_json

Pixels = NDArray[np.uint8]
PIXELS = arrays(np.uint8, st.tuples(st.integers(1, 60), st.just(3)))


@given(PIXELS)
def test_few_colours_survive_the_round_trip(pixels: Pixels) -> None:
    """Where the palette has room for every colour, tokens give the pixels back exactly."""
    palette = fit_palette(pixels, 60, np.random.default_rng(0))
    tokens = nearest_colours(pixels, palette)
    np.testing.assert_array_equal(palette[tokens], pixels)
    assert len(palette) == len(np.unique(pixels, axis=0))


@given(PIXELS, PIXELS)
def test_tokens_are_the_nearest_colours(pixels: Pixels, palette: Pixels) -> None:
    """No other colour of the palette is closer in RGB: compared with all distances."""
    tokens = nearest_colours(pixels, palette)
    squares = ((pixels[:, None].astype(float) - palette[None].astype(float)) ** 2).sum(-1)
    np.testing.assert_array_equal(squares[np.arange(len(pixels)), tokens], squares.min(1))
    assert tokens.dtype == np.int16


def test_shape_is_kept() -> None:
    """A stack of tiles of pixels becomes a stack of tiles of numbers."""
    tiles = np.random.default_rng(0).integers(0, 256, (3, 4, 3), dtype=np.uint8)
    palette = fit_palette(tiles.reshape(-1, 3), 512, np.random.default_rng(0))
    np.testing.assert_array_equal(palette[nearest_colours(tiles, palette)], tiles)


def test_quantisation_error_is_that_of_512_colours() -> None:
    """On colours spread evenly over the cube, the worst case, the error is about a grid's of 8 x 8 x 8 cells.

    Such a grid's cells have an edge of 32 levels: a root mean square error of 32 / sqrt(12) = 9.2 per channel.
    """
    draws = np.random.default_rng(0)
    pixels = draws.integers(0, 256, (40_000, 3), dtype=np.uint8)
    palette = fit_palette(pixels, 512, draws)
    error = palette[nearest_colours(pixels, palette)].astype(float) - pixels
    assert np.sqrt((error**2).mean()) < 1.1 * 32 / np.sqrt(12)
    assert len(palette) == 512


def test_fitting_beats_the_colours_it_starts_from() -> None:
    """Lloyd's iterations reduce the error of colours drawn from the pixels, on pixels of a few clouds of colour."""
    draws = np.random.default_rng(1)
    clouds = draws.integers(40, 216, (30, 3))
    pixels = (clouds[draws.integers(0, 30, 20_000)] + draws.normal(0, 12, (20_000, 3))).clip(0, 255).astype(np.uint8)

    def error(palette: Pixels) -> float:
        return float(((palette[nearest_colours(pixels, palette)].astype(float) - pixels) ** 2).mean())

    drawn = pixels[draws.choice(len(pixels), 64, replace=False)]
    assert error(fit_palette(pixels, 64, np.random.default_rng(2))) < 0.9 * error(drawn)


def test_fitting_is_deterministic_and_sorted() -> None:
    """The same draws give the same palette, dark to bright, whatever the order of the pixels."""
    pixels = np.random.default_rng(0).integers(0, 256, (3000, 3), dtype=np.uint8)
    palette = fit_palette(pixels, 20, np.random.default_rng(5))
    np.testing.assert_array_equal(fit_palette(pixels[::-1], 20, np.random.default_rng(5)), palette)
    brightness = palette.sum(1, dtype=int)
    assert (np.diff(brightness) >= 0).all()


def test_file_holds_the_levels() -> None:
    """`palette.json` gives the palette back."""
    palette = np.array([[0, 1, 2], [255, 254, 253]], dtype=np.uint8)
    assert json.loads(palette_json(palette)) == {"clusters": palette.tolist()}
