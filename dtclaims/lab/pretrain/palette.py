"""iGPT's colour palette: 512 colours found by k-means in RGB, so that a pixel is one token instead of three."""

import json

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

ITERATIONS = 20
SAMPLE = 200_000
"""Pixels that the palette is fitted to."""


def fit_palette(pixels: NDArray[np.uint8], colours: int, draws: np.random.Generator) -> NDArray[np.uint8]:
    """At most `colours` colours for `pixels`, (n, 3): (colours, 3) uint8, dark to bright.

    Lloyd's algorithm on a sample of `SAMPLE` pixels, from colours drawn out of the sample, each once; a cluster that
    loses all its pixels keeps its place. If the sample has no more than `colours` colours they are the palette.
    """
    if len(pixels) > SAMPLE:
        pixels = pixels[draws.integers(0, len(pixels), SAMPLE)]
    distinct, counts = np.unique(pixels, axis=0, return_counts=True)
    centres = distinct.astype(np.float64)
    if len(distinct) > colours:
        centres = centres[draws.choice(len(distinct), colours, replace=False, p=counts / counts.sum())]
        for _ in range(ITERATIONS):
            nearest = cKDTree(centres).query(distinct)[1]
            weights = np.bincount(nearest, counts, minlength=colours)
            sums = np.stack([np.bincount(nearest, counts * distinct[:, c], minlength=colours) for c in range(3)], 1)
            centres = np.where(weights[:, None] > 0, sums / np.maximum(weights, 1)[:, None], centres)
    rounded = np.unique(np.rint(centres).astype(np.uint8), axis=0)
    return rounded[np.argsort(rounded.sum(1, dtype=np.int64), kind="stable")]


def nearest_colours(pixels: NDArray[np.uint8], palette: NDArray[np.uint8]) -> NDArray[np.int16]:
    """The number of the palette's colour nearest in RGB to each pixel: (..., 3) -> (...)."""
    flat = pixels.reshape(-1, 3).astype(np.int64)
    keys, back = np.unique(flat @ np.array([65536, 256, 1]), return_inverse=True)
    distinct = np.stack([keys >> 16, keys >> 8 & 255, keys & 255], 1)
    tokens: NDArray[np.int16] = cKDTree(palette.astype(np.float64)).query(distinct)[1].astype(np.int16)
    return tokens[back].reshape(pixels.shape[:-1])


def palette_json(palette: NDArray[np.uint8]) -> bytes:
    """`palette.json`: colour numbers are places in `clusters`, whose RGB levels go from 0 to 255.

    Transformers' ImageGPT has the same list with levels from -1 to 1, level / 127.5 - 1.
    """
    return (json.dumps({"clusters": palette.tolist()}) + "\n").encode()
