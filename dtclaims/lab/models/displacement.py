"""How far a network's blocks have moved. Apart from the metrics: a run does not depend on how others are measured."""

import math
from collections.abc import Iterable, Mapping

from torch import Tensor


def block_parameters(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The parameters of the Transformer blocks, named from `h.0` on."""
    return {name.removeprefix("transformer."): tensor for name, tensor in state.items() if ".h." in f".{name}"}


def relative_displacement(before: Mapping[str, Tensor], after: Mapping[str, Tensor]) -> float:
    """‖θ − θ0‖ / ‖θ0‖ over all tensors together, summed in float64 (corrected DEV-19).

    Args:
        before: θ0, not all 0.
        after: θ, the same names and shapes.
    """
    moved = _norm(after[name].double() - tensor.double() for name, tensor in before.items())
    return moved / _norm(tensor.double() for tensor in before.values())


def _norm(tensors: Iterable[Tensor]) -> float:
    return math.hypot(*(float(tensor.norm()) for tensor in tensors))
