"""How far training moves a network's parameters, and whether their direction survives (paper §5.3; protocol §7.3)."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch

from dtclaims.errors import MeasurementError, UndefinedMeasurement
from dtclaims.lab.metrics.inputs import Array, Floats, as_tensor, check_same_names

PUBLISHED_EPSILON = 1e-6
"""Added to the product of the norms by the reference; makes the cosine of a tensor that starts at 0 read 0."""


@dataclass(frozen=True, eq=False)
class ParameterSimilarity:
    """Per-tensor sums between parameters θ0 (pre) and θ (post); arrays are (tensors,), in the order of `names`."""

    names: tuple[str, ...]
    sizes: Floats
    """Coordinates in each tensor."""
    l2: Floats
    """‖θ − θ0‖, the published distance (and the corrected one's basis)."""
    initial_norm: Floats
    """‖θ0‖."""
    published_cosine: Floats
    """⟨θ0, θ⟩ / (‖θ0‖‖θ‖ + 1e-6); 0 for a tensor that starts at 0 (DEV-19)."""
    cosine: Floats
    """⟨θ0, θ⟩ / (‖θ0‖‖θ‖); NaN for a tensor that is 0 on either side."""

    @property
    def undefined(self) -> tuple[str, ...]:
        """Tensors without a cosine, such as biases that start at 0."""
        return tuple(name for name, cosine in zip(self.names, self.cosine, strict=True) if np.isnan(cosine))

    @property
    def total_l2(self) -> float:
        """‖Δθ‖ of the whole network: root sum of squares over the tensors."""
        return float(np.linalg.norm(self.l2))

    @property
    def rms_displacement(self) -> float:
        """√(‖Δθ‖² / coordinates): comparable between networks of different size (corrected DEV-19)."""
        return self.total_l2 / float(np.sqrt(self.sizes.sum()))

    @property
    def rms_initial(self) -> float:
        """√(‖θ0‖² / coordinates)."""
        return float(np.linalg.norm(self.initial_norm) / np.sqrt(self.sizes.sum()))

    @property
    def relative_displacement(self) -> float:
        """‖Δθ‖ / ‖θ0‖ of the whole network (corrected DEV-19).

        Raises:
            UndefinedMeasurement: a network that starts at 0 everywhere.
        """
        if self.rms_initial == 0:
            raise UndefinedMeasurement("relative displacement is 0/0", given="parameters that all start at 0")
        return self.rms_displacement / self.rms_initial

    @property
    def mean_published_cosine(self) -> float:
        """Mean of `published_cosine` over all tensors, zero-start ones included."""
        return float(self.published_cosine.mean())

    @property
    def mean_cosine(self) -> float:
        """Mean of `cosine` over the tensors that have one.

        Raises:
            UndefinedMeasurement: no tensor has one.
        """
        if len(self.undefined) == len(self.names):
            raise UndefinedMeasurement("no tensor has a cosine", given="tensors that are all 0 on one side")
        return float(np.nanmean(self.cosine))


def parameter_similarity(pre: Mapping[str, Array], post: Mapping[str, Array]) -> ParameterSimilarity:
    """Distances and cosines between two states of one network, tensor by tensor, in the order of `pre`.

    The paper's text concatenates all parameters; its code and figures are per tensor, over the Transformer blocks
    only: pass those. Sums are in float64.

    Raises:
        MeasurementError: other names or shapes on either side (named), an empty tensor, NaN or infinity.
    """
    check_same_names(pre, post, "parameter")
    rows = [_tensor_sums(name, before, post[name]) for name, before in pre.items()]
    sizes, l2, before, after, dot = np.array(rows, dtype=np.float64).T
    norms = before * after
    cosine = np.divide(dot, norms, out=np.full_like(dot, np.nan), where=norms > 0)
    return ParameterSimilarity(tuple(pre), sizes, l2, before, dot / (norms + PUBLISHED_EPSILON), cosine)


def _tensor_sums(name: str, pre: Array, post: Array) -> tuple[float, float, float, float, float]:
    """Size, ‖θ − θ0‖, ‖θ0‖, ‖θ‖ and ⟨θ0, θ⟩ of one tensor."""
    if tuple(pre.shape) != tuple(post.shape):
        raise MeasurementError(
            f"parameter {name} changed its shape", given=f"{tuple(post.shape)} after", expected=f"{tuple(pre.shape)}"
        )
    before, after = (as_tensor(side.reshape(-1), f"parameter {name}", ndim=1) for side in (pre, post))
    after = after.to(before.device)
    distance, norm, norm_after = (float(torch.linalg.vector_norm(v)) for v in (after - before, before, after))
    return float(len(before)), distance, norm, norm_after, float(before @ after)
