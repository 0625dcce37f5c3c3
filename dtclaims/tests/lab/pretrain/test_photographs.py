"""Reading, shrinking, cutting and splitting photographs (dtclaims/lab/pretrain/photographs.py)."""

import hashlib
import io
import json
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from dtclaims.errors import DataError
from dtclaims.lab.pretrain.photographs import HELD_OUT_PHOTOGRAPHS, SHORT_EDGES, cut, read_photographs, shrink

Pixels = NDArray[np.uint8]


def noise(seed: int, height: int = 40, width: int = 60) -> Pixels:
    """A picture of its own for each seed."""
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def save(path: Path, pixels: Pixels, **options: object) -> Path:
    Image.fromarray(pixels).save(path, **options)
    return path


def test_split_is_by_photograph_and_depends_on_no_name(tmp_path: Path) -> None:
    """Both sides are the same whatever files are called and wherever they stand; a copy counts once."""
    for number in range(20):
        save(tmp_path / f"{number:02}.png", noise(number))
    corpus = read_photographs([tmp_path], 16)
    other = tmp_path / "other"
    other.mkdir()
    for number in range(20):
        save(other / f"{19 - number:02}.png", noise(number))
    renamed = read_photographs([other], 16)
    train, held_out = ({photo.identity for photo in side} for side in (corpus.train, corpus.held_out))
    assert len(train) + len(held_out) == 20
    assert not train & held_out
    assert held_out == {identity for identity in train | held_out if int(identity, 16) < HELD_OUT_PHOTOGRAPHS * 2**256}
    assert {photo.identity for photo in renamed.held_out} == held_out
    both = read_photographs([tmp_path], 16)
    assert len(both.train) + len(both.held_out) == 20


def test_pixels_and_identity_are_those_of_the_file(tmp_path: Path) -> None:
    """A lossless file comes back pixel by pixel at its own size, under the sha256 of its bytes."""
    files = [save(tmp_path / f"{number}.png", noise(number)) for number in range(2)]
    corpus = read_photographs(files, 16)
    found = {photo.identity: photo.sizes for photo in (*corpus.train, *corpus.held_out)}
    for number, file in enumerate(files):
        (pixels,) = found[hashlib.sha256(file.read_bytes()).hexdigest()]
        np.testing.assert_array_equal(pixels, noise(number))


@given(st.integers(1, 500), st.integers(1, 500), st.integers(1, 60))
def test_sizes_are_the_short_edges_never_enlarged(height: int, width: int, smallest: int) -> None:
    """Each size has one of `SHORT_EDGES` (or the image's own) as its shorter edge, and keeps the shape."""
    sizes = shrink(Image.new("RGB", (width, height)), smallest)
    short = min(height, width)
    expected = [edge for edge in SHORT_EDGES if smallest <= edge <= short] or [short] * (short >= smallest)
    assert [min(size.shape[:2]) for size in sizes] == expected
    for size in sizes:
        assert abs(size.shape[0] / height - size.shape[1] / width) <= 1.0 / min(height, width) + 1e-9


def test_a_shrunk_pixel_is_the_mean_of_its_area() -> None:
    """At a quarter of the size, each pixel is the mean of 4 x 4 pixels, to rounding."""
    edge = SHORT_EDGES[-1]
    pixels = noise(0, 4 * edge, 4 * edge)
    shrunk = {size.shape[0]: size for size in shrink(Image.fromarray(pixels), 16)}[edge]
    means = pixels.reshape(edge, 4, edge, 4, 3).mean((1, 3))
    assert np.abs(shrunk - means).max() <= 1.0


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 12))
def test_tiles_are_the_pictures_inner_squares(height: int, width: int, side: int) -> None:
    """Tile by tile and pixel by pixel: raster order, no overlap, the rest shared between opposite edges."""
    picture = noise(1, height, width)
    tiles = cut(picture, side)
    rows, columns = height // side, width // side
    assert tiles.shape == (rows * columns, side * side, 3)
    top, left = (height % side) // 2, (width % side) // 2
    for number, tile in enumerate(tiles):
        y, x = top + number // columns * side, left + number % columns * side
        np.testing.assert_array_equal(tile.reshape(side, side, 3), picture[y : y + side, x : x + side])


def test_every_usual_mode_is_read_upright(tmp_path: Path) -> None:
    """Grey, palette with transparency, alpha, and a photograph that its camera turned, all become RGB."""
    grey, colour = noise(0)[:, :, 0], Image.fromarray(noise(1))
    Image.fromarray(grey).save(tmp_path / "grey.png")
    colour.convert("P").save(tmp_path / "palette.png", transparency=bytes(range(256)))
    colour.convert("RGBA").save(tmp_path / "alpha.png")
    turned = Image.Exif()
    turned[274] = 6
    colour.save(tmp_path / "turned.jpg", exif=turned)
    corpus = read_photographs([tmp_path], 16)
    shapes = sorted(photo.sizes[0].shape for photo in (*corpus.train, *corpus.held_out))
    assert shapes == [(40, 60, 3)] * 3 + [(60, 40, 3)]


def test_provenance_is_the_manifests(tmp_path: Path) -> None:
    """Entries are taken over where the file is the recorded one, and a changed file is refused."""
    one, two = (save(tmp_path / f"{number}.png", noise(number)) for number in range(2))
    entry = {"file": "0.png", "licence": "CC0-1.0", "sha256": hashlib.sha256(one.read_bytes()).hexdigest()}
    (tmp_path / "manifest.json").write_text(json.dumps({"files": [entry]}))
    files = read_photographs([tmp_path], 16).files
    assert files[0] == entry
    assert files[1]["licence"] == "not recorded"
    assert files[1]["sha256"] == hashlib.sha256(two.read_bytes()).hexdigest()
    save(one, noise(7))
    with pytest.raises(DataError, match="changed after its manifest"):
        read_photographs([tmp_path], 16)


def test_a_corpus_without_images_is_a_data_error(tmp_path: Path) -> None:
    """A path that is not there, a folder with other files, icons only, a single photograph."""
    with pytest.raises(DataError, match="does not exist"):
        read_photographs([tmp_path / "nowhere"], 16)
    (tmp_path / "a.txt").write_text("no image")
    with pytest.raises(DataError, match=r"too few images: got 0 usable images in 0 files.*--kind image"):
        read_photographs([tmp_path], 16)
    for number in range(3):
        save(tmp_path / f"{number}.png", noise(number, 15, 60))
    with pytest.raises(DataError, match=r"got 0 usable images in 3 files.*16 pixels"):
        read_photographs([tmp_path], 16)
    save(tmp_path / "large.png", noise(4))
    with pytest.raises(DataError, match="got 1 usable images in 4 files"):
        read_photographs([tmp_path], 16)


@pytest.mark.parametrize("kind", ["png", "jpg", "webp"])
@pytest.mark.parametrize("kept", [0.0, 0.02, 0.5])
def test_a_damaged_image_is_a_data_error_that_names_it(tmp_path: Path, kind: str, kept: float) -> None:
    """Nothing, a header, or half of a file."""
    path = save(tmp_path / f"broken.{kind}", noise(0))
    raw = path.read_bytes()
    path.write_bytes(raw[: round(len(raw) * kept)])
    with pytest.raises(DataError, match=rf"cannot be read.*broken\.{kind}"):
        read_photographs([path], 16)


@pytest.mark.parametrize("side", [10_000, 60_000])
def test_a_decompression_bomb_is_not_decoded(tmp_path: Path, side: int) -> None:
    """A small file that claims more pixels than Pillow's limit, or than twice of it, is refused with the limit."""

    def chunk(name: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    bomb = io.BytesIO(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b""))
    (tmp_path / "bomb.png").write_bytes(bomb.getvalue())
    with pytest.raises(DataError, match=rf"too large.*bomb\.png.*at most {Image.MAX_IMAGE_PIXELS} pixels"):
        read_photographs([tmp_path], 16)
