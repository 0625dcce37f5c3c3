"""Photographs as the trainer sees them: decoded, shrunk to a few sizes, split by photograph.

A photograph's identity is the sha256 of its file: the split depends neither on names nor on order, all tiles of a
photograph are on one side of it, and a repeated file counts once.
"""

import hashlib
import io
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from dtclaims.errors import DataError
from dtclaims.lab.pretrain.corpus import Corpus, corpus_files, provenance, read_corpus_file, split

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
"""Files of a folder that are read."""

SHORT_EDGES = (192, 96, 48)
"""Each photograph is shrunk so that its shorter edge has these many pixels, never enlarged.

A tile of 32 x 32 pixels thus shows a detail, a part, or most of the photograph."""

HELD_OUT_PHOTOGRAPHS = 0.1
"""Share of photographs held out, in expectation. More than of texts, because there are fewer."""


@dataclass(frozen=True)
class Photograph:
    """The sizes of a photograph, each (height, width, 3) uint8 RGB, and the sha256 of its file."""

    identity: str
    sizes: tuple[NDArray[np.uint8], ...] = field(repr=False, compare=False)


def read_photographs(paths: Sequence[Path | str], smallest: int) -> Corpus[Photograph]:
    """Read image files and folders of them (a folder's `manifest.json` gives their licences).

    Images whose shorter edge has fewer than `smallest` pixels, such as icons, are left out.

    Raises:
        DataError: a path does not exist, a file is not a readable image, is too large to be decoded safely or is not
            what its manifest records, or there are fewer than two photographs (nothing could be held out).
    """
    photographs: dict[str, Photograph] = {}
    files = []
    found = corpus_files([Path(path) for path in paths], SUFFIXES)
    for path in found:
        raw = read_corpus_file(path)
        sizes = tuple(shrink(decode(path, raw), smallest))
        if sizes:
            files.append(provenance(path, raw))
            identity = hashlib.sha256(raw).hexdigest()
            photographs.setdefault(identity, Photograph(identity, sizes))
    if len(photographs) < 2:
        raise DataError(
            "corpus has too few images",
            given=f"{len(photographs)} usable images in {len(found)} files ({', '.join(SUFFIXES)})",
            expected=f"at least 2 (one is held out) of {smallest} pixels along the shorter edge",
            remedy="Give other folders, or make one: `dtclaims pretrain corpus --kind image --out corpus`.",
        )
    train, held_out = split(list(photographs.values()), HELD_OUT_PHOTOGRAPHS)
    return Corpus(tuple(train), tuple(held_out), tuple(files))


def decode(path: Path, raw: bytes) -> Image.Image:
    """The image in `raw`, upright, in RGB.

    Raises:
        DataError: no image, a damaged one, or one of so many pixels that Pillow takes it for a decompression bomb.
    """
    try:
        with warnings.catch_warnings():
            # Pillow only warns up to twice its limit.
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(raw)) as image:
                # By way of RGBA, because palettes with transparency have no direct conversion.
                return ImageOps.exif_transpose(image).convert("RGBA").convert("RGB")
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise DataError(
            "image is too large to be decoded safely",
            given=f"{path} ({error})",
            expected=f"at most {Image.MAX_IMAGE_PIXELS} pixels",
            remedy="Shrink it, or leave it out.",
        ) from None
    except UnidentifiedImageError:
        # Pillow's own message names an object in memory.
        expected = "a format that Pillow knows"
        raise DataError("image cannot be read", given=path, expected=expected, remedy="Leave it out.") from None
    except (OSError, SyntaxError, ValueError) as error:  # what Pillow's readers raise on damaged files
        raise DataError("image cannot be read", given=f"{path} ({error})", remedy="Leave it out.") from error


def shrink(image: Image.Image, smallest: int) -> list[NDArray[np.uint8]]:
    """`image` at each of `SHORT_EDGES` from `smallest` up; a smaller image as it is if it has `smallest` pixels.

    A pixel is the mean of the area it covers.
    """
    short = min(image.size)
    edges = [edge for edge in SHORT_EDGES if smallest <= edge <= short]
    if not edges and short >= smallest:
        edges = [short]
    return [
        np.asarray(
            image.resize((round(image.width * edge / short), round(image.height * edge / short)), Image.Resampling.BOX)
        )
        for edge in edges
    ]


def cut(picture: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Tiles of `picture`, (height, width, 3): (tiles, side * side, 3) in raster order, tiles and pixels alike.

    Tiles do not overlap; what they leave over is shared between opposite edges.
    """
    rows, columns = picture.shape[0] // side, picture.shape[1] // side
    top, left = (picture.shape[0] - rows * side) // 2, (picture.shape[1] - columns * side) // 2
    inner = picture[top : top + rows * side, left : left + columns * side]
    return inner.reshape(rows, side, columns, side, 3).swapaxes(1, 2).reshape(rows * columns, side * side, 3)
