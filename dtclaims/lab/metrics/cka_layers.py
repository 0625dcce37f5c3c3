"""CKA of one network's layers with another's, as published and as the paper describes it (protocol §7.1).

The two differ in what a "token type" selects from activations (n windows, T tokens, width). The paper says
the token at position −1 (action), −2 (state) or −3 (return-to-go); the reference indexes the **last** axis
instead, and so compares one hidden unit over all T positions, padded ones included (DEV-01).
"""

from collections.abc import Mapping
from typing import Literal

import torch
from torch import Tensor

from dtclaims.errors import MeasurementError, UsageError
from dtclaims.lab.metrics.cka import MIN_SAMPLES
from dtclaims.lab.metrics.cka_grams import layerwise
from dtclaims.lab.metrics.inputs import Array, Floats, as_tensor, check_same_names, check_same_samples

Token = Literal["state", "action", "return_to_go"]
Axis = Literal["unit", "token"]

OFFSETS = {"action": -1, "state": -2, "return_to_go": -3}
"""Index from the end of a window (R, s, a per step): the last action, state and return-to-go token."""

PUBLISHED_EPSILON = 1e-6
"""Added to the product of the Gram norms by the reference (DEV-33)."""


def layer_features(activations: Mapping[str, Array], *, token: Token, axis: Axis) -> dict[str, Tensor]:
    """The features that CKA compares, per layer, from activations (n, T, width).

    axis "unit" (published): the values of hidden unit −1 / −2 / −3 at every position, (n, T). axis "token"
    (corrected): all units at token position −1 / −2 / −3, (n, width). The last step of a window is never
    padding, so the latter reads no padded position. float32 activations stay float32.

    Raises:
        MeasurementError: activations that are not (n, 3K, width >= 3), or are not finite.
        UsageError: no such token or axis.
    """
    if token not in OFFSETS:
        raise UsageError("unknown token", given=repr(token), expected=f"one of {', '.join(OFFSETS)}")
    if axis not in ("unit", "token"):
        raise UsageError("unknown axis", given=repr(axis), expected="'unit' or 'token'")
    features = {}
    for name, values in activations.items():
        tensor = as_tensor(values, f"layer {name}", ndim=3, keep_single=True)
        _, tokens, width = tensor.shape
        if tokens % 3 or width < 3:
            raise MeasurementError(
                f"layer {name} does not hold whole steps",
                given=f"{tokens} tokens of width {width}",
                expected="three tokens (return-to-go, state, action) a step, width at least 3",
            )
        features[name] = tensor[:, :, OFFSETS[token]] if axis == "unit" else tensor[:, OFFSETS[token], :]
    return features


def published_cka(x: Array, y: Array) -> float:
    """CKA of x (n, f) and y (n, g) in the reference's arithmetic (DEV-33): ⟨K, L⟩ / (‖K‖‖L‖ + 1e-6).

    K and L are U-centred Grams in float32 (in float64 if the input is). The constant makes the value depend on
    the scale of the features; constant features give 0.

    Raises:
        MeasurementError: as `linear_cka`.
    """
    return float(published_cka_matrix({"x": x}, {"y": y})[0, 0])


def published_cka_matrix(xs: Mapping[str, Array], ys: Mapping[str, Array]) -> Floats:
    """`published_cka` of every layer's features in `xs` with those in `ys`, (rows, columns).

    Raises:
        MeasurementError: as `linear_cka`, naming the layer; or no layer at all.
    """
    if not xs or not ys:
        raise MeasurementError("there is no layer to compare", given=f"{len(xs)} and {len(ys)} layers")
    left = [_published_gram(values, name) for name, values in xs.items()]
    right = left if ys is xs else [_published_gram(values, name) for name, values in ys.items()]
    check_same_samples(zip([*xs, *ys], left + right, strict=True))
    k, m = (torch.stack(side).flatten(1) for side in (left, right))
    values = (k @ m.T) / (torch.outer(k.norm(dim=1), m.norm(dim=1)) + PUBLISHED_EPSILON)
    return values.double().cpu().numpy()


def _published_gram(values: Array, name: str) -> Tensor:
    """U-centred Gram (n, n): zero diagonal, row means over n − 2 off-diagonal entries."""
    features = as_tensor(values, f"layer {name}", ndim=2, keep_single=True)
    n = len(features)
    if n < MIN_SAMPLES["unbiased"]:
        raise MeasurementError("too few samples for U-centring", given=n, expected="at least 4")
    gram = (features @ features.T).fill_diagonal_(0)
    means = gram.sum(dim=0) / (n - 2)
    means -= means.sum() / (2 * (n - 1))
    return (gram - means[:, None] - means[None, :]).fill_diagonal_(0)


def layerwise_cka(pre: Mapping[str, Array], post: Mapping[str, Array], *, token: Token, axis: Axis) -> dict[str, float]:
    """CKA of each layer with itself in another network, on the same windows, in the order of `pre`.

    Args:
        pre: activations (n, T, width) by layer, of the network before training (or of one of two networks).
        post: the same layers of the other network.
        token: which token type.
        axis: "unit" is the published measurement (`published_cka` of one hidden unit, DEV-01); "token" the
            corrected one (unbiased `linear_cka` of the full width). A layer without a corrected CKA
            (constant features) is NaN; the published one has 0 there.

    Raises:
        MeasurementError: other layers on either side, or as `layer_features` and `linear_cka`.
        UsageError: no such token or axis.
    """
    check_same_names(pre, post, "layer")
    left = layer_features(pre, token=token, axis=axis)
    right = layer_features(post, token=token, axis=axis)
    if axis == "unit":
        return {name: published_cka(left[name], right[name]) for name in left}
    return layerwise(left, right)
