"""Linear centred kernel alignment (CKA) of two sets of features of the same samples.

For X (n, f) and Y (n, g) with columns centred, Grams K = XXᵀ and L = YYᵀ, and a_i = K_ii, b_i = L_ii:

    CKA(X, Y) = h(X, Y) / √(h(X, X) h(Y, Y))
    biased:    h = Σ_ij K_ij L_ij = ‖XᵀY‖²
    unbiased:  h = ‖XᵀY‖² − n/(n−2) Σ_i a_i b_i + (Σ_i a_i)(Σ_i b_i) / ((n−1)(n−2))

The unbiased h is n(n−3) times Song et al.'s (2012) estimator of HSIC, the inner product of U-centred
Grams; as the columns are centred, K1 = 0 and its three terms shrink to these. ‖XᵀY‖² is taken from the
features or from the Grams, whichever is smaller. Bias is not a detail: independent normal data of n=100
and f=g=768 have biased CKA 0.885 and unbiased 0.003.

All arithmetic is in float64, and no constant is added to a denominator (corrected DEV-33).
"""

import math
from collections.abc import Mapping
from typing import Literal, NamedTuple, TypeVar

import numpy as np
import torch
from torch import Tensor

from dtclaims.errors import MeasurementError, UndefinedMeasurement, UsageError
from dtclaims.lab.metrics.inputs import Array, Floats, as_tensor, check_same_samples

Estimator = Literal["unbiased", "biased"]

MIN_SAMPLES = {"unbiased": 4, "biased": 2}
"""Below these nothing is left after centring: the unbiased h has n(n−3)/2 degrees of freedom."""

NO_SPREAD = 1e-12
"""h(X, X) up to this share of ‖XᵀX‖² is rounding: it is 0 in exact arithmetic."""

CHUNK = 2**23
"""Gram entries that `cka_matrix` holds at once on each side (64 MiB)."""

_Number = TypeVar("_Number", float, Tensor)


def hsic(cross: _Number, dot: _Number, sums: _Number, n: int, estimator: Estimator) -> _Number:
    """h of the module's docstring, from ‖XᵀY‖², Σ a_i b_i and (Σ a_i)(Σ b_i)."""
    if estimator == "biased":
        return cross
    return cross - dot * (n / (n - 2)) + sums / ((n - 1) * (n - 2))


def check_samples(n: int, estimator: Estimator) -> None:
    """Raise unless `n` samples are enough for `estimator`.

    Raises:
        MeasurementError: too few samples.
        UsageError: no such estimator.
    """
    if estimator not in MIN_SAMPLES:
        raise UsageError("unknown CKA estimator", given=repr(estimator), expected="'unbiased' or 'biased'")
    if n < MIN_SAMPLES[estimator]:
        raise MeasurementError(
            f"too few samples for {estimator} CKA", given=n, expected=f"at least {MIN_SAMPLES[estimator]}"
        )


def check_spread(spread: float, cross: float, name: str) -> None:
    """Raise if `spread` = h(X, X) is nothing but the rounding of `cross` = ‖XᵀX‖².

    Raises:
        UndefinedMeasurement: it is, so CKA is 0/0.
    """
    if spread <= NO_SPREAD * cross:
        raise UndefinedMeasurement(
            f"CKA of {name} is 0/0",
            given="features that are constant, or differ from a constant in one sample only",
            expected="features whose similarity varies between pairs of samples",
            remedy="Leave this layer out and report it, or take more samples.",
        )


def in_own_units(features: Tensor) -> Tensor:
    """Features (..., n, f) with centred columns in units of the largest entry, which a CKA does not depend on."""
    # Relative to a sample, constant features are exact zeros; relative to their mean they are rounding noise.
    features = features - features[..., :1, :]
    largest = features.abs().amax(dim=(-2, -1), keepdim=True)
    # CKA has no scale, and fourth powers of activations could leave float64's range.
    features = features / largest.where(largest > 0, 1.0)
    return features - features.mean(dim=-2, keepdim=True)


class Centred:
    """Features with centred columns in units of their largest entry, and their squared row lengths a_i."""

    def __init__(self, values: Array, name: str, estimator: Estimator) -> None:
        features = as_tensor(values, name, ndim=2)
        check_samples(len(features), estimator)
        self.features = in_own_units(features)
        self.lengths = self.features.square().sum(dim=1)


class _Pair:
    """Two feature sets of the same samples, ready to be compared in one order of y's samples or another."""

    def __init__(self, x: Array, y: Array, estimator: Estimator) -> None:
        self.estimator = estimator
        left, right = Centred(x, "x", estimator), Centred(y, "y", estimator)
        self.n = len(left.features)
        check_same_samples([("x", left.features), ("y", right.features)])
        self.a, self.b = left.lengths, right.lengths
        self.in_grams = self.n < max(left.features.shape[1], right.features.shape[1])
        self.x, self.y = (
            (side.features @ side.features.T if self.in_grams else side.features) for side in (left, right)
        )
        self.scale = math.sqrt(self._self_hsic(self.x, self.a, "x") * self._self_hsic(self.y, self.b, "y"))

    def _cross(self, x: Tensor, y: Tensor) -> float:
        return float((x * y).sum() if self.in_grams else (x.T @ y).square().sum())

    def _hsic(self, cross: float, a: Tensor, b: Tensor) -> float:
        return hsic(cross, float(a @ b), float(a.sum() * b.sum()), self.n, self.estimator)

    def _self_hsic(self, side: Tensor, lengths: Tensor, name: str) -> float:
        cross = self._cross(side, side)
        spread = self._hsic(cross, lengths, lengths)
        check_spread(spread, cross, name)
        return spread

    def cka(self) -> float:
        return self._hsic(self._cross(self.x, self.y), self.a, self.b) / self.scale

    def cka_reordered(self, order: Tensor) -> float:
        y = self.y[order][:, order] if self.in_grams else self.y[order]
        return self._hsic(self._cross(self.x, y), self.a, self.b[order]) / self.scale


def linear_cka(x: Array, y: Array, *, estimator: Estimator = "unbiased") -> float:
    """CKA of x (n, f) and y (n, g), two descriptions of the same n samples (paper §5.1; protocol §7.1).

    1 for features equal up to rotation, isotropic scale and shift; about 0 (unbiased) for independent ones.

    Raises:
        MeasurementError: fewer than 4 (biased: 2) samples, unequal n, NaN or infinity, not (n, features).
        UndefinedMeasurement: features that do not differ between samples: 0/0.
        UsageError: no such estimator.
    """
    return _Pair(x, y, estimator).cka()


def permutation_null(
    x: Array, y: Array, draws: int, generator: np.random.Generator, *, estimator: Estimator = "unbiased"
) -> Floats:
    """CKA of x with `draws` random re-orderings of y's samples, (draws,): what chance alone aligns.

    Raises:
        MeasurementError, UndefinedMeasurement, UsageError: as `linear_cka`.
    """
    pair = _Pair(x, y, estimator)
    orders = (torch.from_numpy(generator.permutation(pair.n)).to(pair.y.device) for _ in range(draws))
    return np.array([pair.cka_reordered(order) for order in orders], dtype=np.float64)


class CkaMatrix(NamedTuple):
    """CKA of each row layer with each column layer."""

    values: Floats
    """(rows, columns); NaN where either layer has no CKA."""
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    undefined: tuple[str, ...]
    """Layers without CKA (constant features), of either side, each name once."""


def cka_matrix(xs: Mapping[str, Array], ys: Mapping[str, Array], *, estimator: Estimator = "unbiased") -> CkaMatrix:
    """CKA of every layer in `xs` with every layer in `ys`, each (n, its own width), in one pass.

    Every Gram is one row of a matrix, so that all ‖XᵀY‖² are one matrix product. It is summed over chunks of
    Gram rows, which bounds the memory at any n. Give the same mapping twice for a network with itself.

    Raises:
        MeasurementError: as `linear_cka`, naming the layer; or no layer at all.
        UsageError: no such estimator.
    """
    if not xs or not ys:
        raise MeasurementError("there is no layer to compare", given=f"{len(xs)} and {len(ys)} layers")
    left = [Centred(values, f"layer {name}", estimator) for name, values in xs.items()]
    right = left if ys is xs else [Centred(values, f"layer {name}", estimator) for name, values in ys.items()]
    check_same_samples(zip([*xs, *ys], (layer.features for layer in left + right), strict=True))
    n = len(left[0].features)
    a, b = (torch.stack([layer.lengths for layer in side]) for side in (left, right))
    cross = a.new_zeros(len(left), len(right))
    cross_left, cross_right = a.new_zeros(len(left)), a.new_zeros(len(right))
    step = max(1, CHUNK // (n * max(len(left), len(right))))
    for start in range(0, n, step):
        k = _gram_rows(left, start, start + step)
        m = k if right is left else _gram_rows(right, start, start + step)
        cross += k @ m.T
        cross_left += k.square().sum(dim=1)
        cross_right += m.square().sum(dim=1)
    spread_left, spread_right = _spread(cross_left, a, n, estimator), _spread(cross_right, b, n, estimator)
    numerator = hsic(cross, a @ b.T, torch.outer(a.sum(dim=1), b.sum(dim=1)), n, estimator)
    values = numerator / torch.outer(spread_left, spread_right).sqrt()
    lost = torch.cat([spread_left, spread_right]).isnan().tolist()
    undefined = dict.fromkeys(name for name, is_lost in zip([*xs, *ys], lost, strict=True) if is_lost)
    return CkaMatrix(values.cpu().numpy(), tuple(xs), tuple(ys), tuple(undefined))


def _gram_rows(layers: list[Centred], start: int, stop: int) -> Tensor:
    """Rows start to stop of each layer's Gram, flattened: (layers, rows · n)."""
    return torch.stack([(layer.features[start:stop] @ layer.features.T).flatten() for layer in layers])


def _spread(cross: Tensor, lengths: Tensor, n: int, estimator: Estimator) -> Tensor:
    """h(X, X) of each layer, NaN where it is nothing but rounding."""
    spread = hsic(cross, lengths.square().sum(dim=1), lengths.sum(dim=1).square(), n, estimator)
    return spread.where(spread > NO_SPREAD * cross, torch.nan)
