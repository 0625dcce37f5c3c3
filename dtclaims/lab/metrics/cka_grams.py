"""Unbiased CKA of many layers at once, as cosines of their U-centred Grams (see `cka_regressed`).

A U-centred Gram has a zero diagonal and rows that sum to 0. In their space ⟨K, L⟩ is the unbiased h of `cka`.
"""

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from dtclaims.lab.metrics.cka import NO_SPREAD, check_samples, in_own_units
from dtclaims.lab.metrics.inputs import check_same_samples

CHUNK = 2**23
"""Gram entries that are held at once on each side (64 MiB)."""


def u_centred(features: Tensor) -> tuple[Tensor, Tensor]:
    """U-centred Grams of centred features (layers, n, f), flattened, and the Grams' norms, beside which they may be
    rounding: (layers, n²) and (layers,)."""
    n = features.shape[1]
    gram = features @ features.mT
    size = gram.flatten(1).norm(dim=1)
    # Rows of a Gram of centred columns sum to 0, so without the diagonal they sum to its negative.
    lengths = gram.diagonal(dim1=1, dim2=2).clone()
    rows = lengths / (n - 2)
    gram += rows[:, :, None]
    gram += rows[:, None, :]
    gram -= (lengths.sum(dim=1) / ((n - 1) * (n - 2)))[:, None, None]
    gram.diagonal(dim1=1, dim2=2).zero_()
    return gram.flatten(1), size


def without(grams: Tensor, basis: Tensor | None) -> Tensor:
    """Grams (layers, n²) less their parts along orthonormal directions (k, n²); they may be changed in place."""
    if basis is not None:
        # Twice: once leaves rounding of what was taken out, which a near copy of an input would be all that is left of.
        for _ in range(2):
            grams = torch.addmm(grams, grams @ basis.T, basis, alpha=-1)
    return grams


def rests(features: Tensor, basis: Tensor | None = None) -> Tensor:
    """PK / ‖PK‖ of features (layers, n, f) in float64, (layers, n²), with P as in `without`; NaN where nothing is left.

    Nothing is left of constant features, or of a kernel that the directions make up.
    """
    grams, size = u_centred(in_own_units(features))
    grams = without(grams, basis)
    length = grams.norm(dim=1)
    found: Tensor = grams / length.where(length > math.sqrt(NO_SPREAD) * size, math.nan)[:, None]
    return found


def layerwise(pre: Mapping[str, Tensor], post: Mapping[str, Tensor], basis: Tensor | None = None) -> dict[str, float]:
    """CKA of each layer's features (n, f) with those of the same name (n, g), NaN where there is none.

    Args:
        pre: finite, by layer.
        post: the same layers.
        basis: of what is taken out of either Gram before, see `without`.

    Raises:
        MeasurementError: fewer than 4 samples, or unequal n.
    """
    sides = (pre, post)
    check_same_samples([(name, side[name]) for side in sides for name in side])
    n = len(next(iter(pre.values())))
    check_samples(n, "unbiased")
    by_width: dict[tuple[int, int], list[str]] = {}
    for name in pre:
        by_width.setdefault((pre[name].shape[1], post[name].shape[1]), []).append(name)
    step = max(1, CHUNK // n**2)
    found: dict[str, float] = {}
    for names in by_width.values():
        for start in range(0, len(names), step):
            some = names[start : start + step]
            one, other = (rests(torch.stack([side[name] for name in some]).double(), basis) for side in sides)
            found |= zip(some, (one * other).sum(dim=1).tolist(), strict=True)
    return {name: found[name] for name in pre}
