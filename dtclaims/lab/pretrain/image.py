"""Image pre-training of ImageGPT-shaped backbones on local photographs: from image files to a result folder."""

from collections.abc import Iterable, Sequence
from math import isqrt
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from dtclaims.lab.pretrain.corpus import Corpus
from dtclaims.lab.pretrain.examples import TileExamples
from dtclaims.lab.pretrain.image_sources import IMAGE_PACKAGES
from dtclaims.lab.pretrain.job import Job, Prepared, make_job, run_job
from dtclaims.lab.pretrain.network import IMAGE_SCALES, ImageModel
from dtclaims.lab.pretrain.palette import fit_palette, nearest_colours, palette_json
from dtclaims.lab.pretrain.photographs import HELD_OUT_PHOTOGRAPHS, SHORT_EDGES, Photograph, cut, read_photographs
from dtclaims.lab.pretrain.training import Progress
from dtclaims.seeding import derive, generator

HELD_OUT_PIXELS = 2**18
"""Held-out tiles are thinned evenly until fewer than twice so many pixels are left: measuring them takes time."""


def pretrain_image(
    scale: str,
    corpus: Sequence[Path | str],
    out: Path,
    *,
    seed: int = 1,
    device: str = "auto",
    updates: int | None = None,
    batch: int | None = None,
    resume: bool = False,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Pre-train a backbone and write `model.safetensors`, `palette.json` and `card.json` to `out`.

    Tiles of photographs, their pixels as numbers of palette colours in raster order, are predicted pixel by pixel
    after a start token, as iGPT does. The optimizer is `pretrain_language`'s, and so is what a result depends on.

    Args:
        scale: a name in `IMAGE_SCALES`.
        corpus: image files and folders of them.
        out: result folder, created if needed. Until the end it holds a checkpoint.
        seed: number of the checkpoint, and seed of its palette, weights, batches and dropout.
        device: `auto` (CUDA if there is one), `cpu`, `cuda` or `cuda:i`.
        updates: instead of the scale's.
        batch: tiles per update, instead of the scale's.
        resume: continue from the checkpoint in `out`, if there is one; a finished run returns its card.
        progress: called with `update`, `updates`, `held_out_bits_per_pixel` and `tokens_per_second` at each point of
            the held-out curve.

    Returns:
        The card.

    Raises:
        UsageError: unknown scale or device, a count below 1, or `out` belongs to another run.
        DataError: an image cannot be read, or there are too few.
        StoreError: the checkpoint cannot be read.
        RunFailed: the loss is no longer finite.
    """
    words = ("image", "--corpus", *map(str, corpus))
    job = make_job("image", words, IMAGE_SCALES, scale, seed=seed, device=device, updates=updates, batch=batch)
    photographs = read_photographs(corpus, isqrt(job.preset.context))
    return run_job(
        job, photographs.fingerprint, out, lambda: prepare(job, photographs), resume=resume, progress=progress
    )


def prepare(job: Job, photographs: Corpus[Photograph]) -> Prepared:
    """Palette, tiles and untrained network of a run."""
    side = isqrt(job.preset.context)
    train, held_out = tiles_of(photographs.train, side), tiles_of(photographs.held_out, side)
    palette = fit_palette(train.reshape(-1, 3), job.preset.vocabulary, generator(job.seed, "image/palette"))
    spread = max(1, held_out.shape[0] * held_out.shape[1] // HELD_OUT_PIXELS)
    tokens = nearest_colours(train, palette), nearest_colours(held_out[::spread], palette)
    return assemble(job, *tokens, palette, origin(photographs, tokens[0], tokens[1], side))


def assemble(
    job: Job,
    train: NDArray[np.int16],
    held_out: NDArray[np.int16],
    palette: NDArray[np.uint8],
    provenance: dict[str, Any],
) -> Prepared:
    """The run's parts around tiles of colours, (tiles, context)."""
    weights = torch.Generator().manual_seed(derive(job.seed, "image/weights"))
    redistributable = all(entry.get("package") in IMAGE_PACKAGES for entry in provenance["corpus"])
    return Prepared(
        model=ImageModel(job.preset.config, len(palette), job.preset.context, weights).to(job.device),
        examples=TileExamples(train, held_out, len(palette), job.device),
        vocabulary=len(palette) + 1,
        assets={"palette.json": palette_json(palette)},
        licence=(
            "MIT; the photographs it was trained on are credited under origin"
            if redistributable
            else "not stated: see the licences of the corpus under origin"
        ),
        origin=provenance,
        packages=["pillow", "scipy"],
    )


def tiles_of(photographs: Iterable[Photograph], side: int) -> NDArray[np.uint8]:
    """All tiles of all sizes of `photographs`, (tiles, side * side, 3)."""
    return np.concatenate([cut(size, side) for photograph in photographs for size in photograph.sizes])


def origin(
    photographs: Corpus[Photograph], train: NDArray[np.int16], held_out: NDArray[np.int16], side: int
) -> dict[str, Any]:
    """Where the images come from and how they were split."""
    return {
        "corpus": grouped(photographs.files),
        "fingerprint": photographs.fingerprint,
        "split": f"by photograph: held out are those whose file's sha256 is in the lowest {HELD_OUT_PHOTOGRAPHS:.0%}",
        "tiles": (
            f"{side} x {side} pixels without overlap, from photographs shrunk to shorter edges of "
            f"{', '.join(map(str, SHORT_EDGES))} pixels"
        ),
        "train": {"photographs": len(photographs.train), "tiles": len(train), "tokens": train.size},
        "held_out": {"photographs": len(photographs.held_out), "tiles": len(held_out), "tokens": held_out.size},
    }


def grouped(files: Iterable[dict[str, object]]) -> list[dict[str, Any]]:
    """Provenance entries that differ in the file only, made one entry with `files`: sha256 by name."""
    groups: dict[tuple[tuple[str, object], ...], dict[str, object]] = {}
    for entry in files:
        shared = {name: value for name, value in entry.items() if name not in ("file", "bytes", "sha256")}
        groups.setdefault(tuple(shared.items()), {})[str(entry["file"])] = entry["sha256"]
    return [{**dict(shared), "files": hashes} for shared, hashes in groups.items()]
