"""CKA of two networks beyond what their common inputs explain (corrected DEV-01).

Two networks that see the same inputs are alike for that alone: two random networks of width 128 have a raw CKA of 0.85.
U-centred Grams (zero diagonal, rows that sum to 0) form a space in which ⟨K, L⟩ is the unbiased h of `cka` and CKA a
cosine. With Z_1 … Z_p those of the inputs, and P the projection onto what is orthogonal to all of them,

    CKA(X, Y | Z) = ⟨PK, PL⟩ / (‖PK‖ ‖PL‖)

This is deconfounded CKA (Cui, Kumar, Marttinen and Kaski, NeurIPS 2022), which regresses both Grams on the inputs', in
the space of U-centred Grams, where it is a partial correlation (Székely and Rizzo, Ann. Statist. 42, 2014). A network
that weighs its inputs unevenly keeps something of them, so the value is read against a null network's.
"""

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from dtclaims.errors import MeasurementError, UndefinedMeasurement
from dtclaims.lab.metrics.cka import NO_SPREAD, Centred, check_samples
from dtclaims.lab.metrics.cka_grams import layerwise, rests, u_centred, without
from dtclaims.lab.metrics.cka_layers import Token, layer_features
from dtclaims.lab.metrics.inputs import Array, check_same_names, check_same_samples


def permutation_sd(n: int) -> float:
    """Standard deviation of unbiased CKA over all n! orders of one side's n samples: √(2 / (n(n−3))); the mean is 0.

    Both hold exactly, whatever the features: U-centred Grams are an irreducible representation of the permutations, of
    dimension n(n−3)/2, so by Schur's lemma a re-ordered one is spread evenly over all directions.

    Raises:
        MeasurementError: fewer than 4 samples.
    """
    check_samples(n, "unbiased")
    return math.sqrt(2 / (n * (n - 3)))


class InputKernels:
    """The span of the inputs' Grams, to be taken out of the Grams of many layers on the same n samples.

    Args:
        inputs: by name, (n, width) each, of which linear kernels are taken. One that is constant over the samples, or
            whose kernel the others make up, takes nothing out.

    Raises:
        MeasurementError: no input, fewer than 4 samples, unequal n, NaN or infinity, not (n, width).
    """

    def __init__(self, inputs: Mapping[str, Array]) -> None:
        if not inputs:
            raise MeasurementError("there is no input to regress on", expected="at least one")
        features = {name: Centred(values, f"input {name}", "unbiased").features for name, values in inputs.items()}
        check_same_samples(features.items())
        self._first = next(iter(features.items()))
        basis = next(iter(features.values())).new_zeros(0, len(self._first[1]) ** 2)
        for values in features.values():
            gram, size = u_centred(values[None])
            rest = without(gram, basis)
            if float(rest.norm()) > math.sqrt(NO_SPREAD) * float(size):
                basis = torch.cat([basis, rest / rest.norm()])
        self.basis = basis
        """Orthonormal directions of the inputs' kernels, (at most as many as inputs, n²)."""

    def check(self, features: tuple[str, Tensor]) -> None:
        """Raise unless named features are of as many samples.

        Raises:
            MeasurementError: they are not.
        """
        check_same_samples([self._first, features])

    def rest(self, values: Array, name: str) -> Tensor:
        """PK / ‖PK‖ of features (n, width), flattened: (n²,).

        Raises:
            MeasurementError: as `linear_cka`.
            UndefinedMeasurement: nothing is left, or the features are constant: 0/0.
        """
        features = Centred(values, name, "unbiased").features
        self.check((name, features))
        rest: Tensor = rests(features[None], self.basis)[0]
        if rest.isnan().any():
            raise UndefinedMeasurement(
                f"CKA of {name} beyond its inputs is 0/0",
                given="features whose kernel is constant, or one that the inputs' kernels make up",
                expected="features that hold something besides",
                remedy="Leave this layer out and report it.",
            )
        return rest


def regressed_cka(x: Array, y: Array, inputs: InputKernels) -> float:
    """CKA of x (n, f) and y (n, g) beyond what the inputs' kernels explain of either.

    1 for features equal up to rotation, isotropic scale and shift; about 0 where all that their kernels have in common
    is a linear combination of the inputs' kernels.

    Raises:
        MeasurementError, UndefinedMeasurement: as `InputKernels.rest`.
    """
    return float(inputs.rest(x, "x") @ inputs.rest(y, "y"))


def layerwise_regressed_cka(
    pre: Mapping[str, Array], post: Mapping[str, Array], inputs: InputKernels, *, token: Token
) -> dict[str, float]:
    """`regressed_cka` of each layer with itself in another network, NaN where it has none: as `layerwise_cka`.

    Args:
        pre: activations (n, T, width) by layer.
        post: the same layers of the other network.
        inputs: what the n windows show both.
        token: at whose position.

    Raises:
        MeasurementError: as `layerwise_cka`, or other n than the inputs'.
        UsageError: no such token.
    """
    check_same_names(pre, post, "layer")
    left, right = (layer_features(side, token=token, axis="token") for side in (pre, post))
    inputs.check(next(iter(left.items())))
    return layerwise(left, right, inputs.basis)
