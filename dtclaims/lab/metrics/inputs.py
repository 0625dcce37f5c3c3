"""What every measurement accepts, and the checks that several of them share."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dtclaims.errors import MeasurementError

Array = Tensor | NDArray[Any]
"""A torch tensor on any device, or a numpy array."""

Floats = NDArray[np.float64]
"""What measurements of more than one number return."""


def as_tensor(values: Array, name: str, ndim: int, *, keep_single: bool = False) -> Tensor:
    """`values` as a float64 tensor on their own device, without gradient history.

    Args:
        values: real numbers, any dtype.
        name: what to call them in an error.
        ndim: the number of axes they must have, none of them empty.
        keep_single: leave float32 as it is, for measurements that reproduce the reference's rounding.

    Raises:
        MeasurementError: not numbers, other axes, an empty axis, complex numbers, NaN or infinity.
    """
    try:
        # Copied if numpy's, because torch warns about the read-only arrays that memory maps give.
        tensor = values.detach() if isinstance(values, Tensor) else torch.from_numpy(np.array(values))
    except (TypeError, ValueError):
        raise MeasurementError(
            f"{name} cannot be measured",
            given=type(values).__name__,
            expected=f"an array or tensor of real numbers with {ndim} axes",
        ) from None
    if tensor.ndim != ndim or tensor.numel() == 0 or tensor.is_complex():
        raise MeasurementError(
            f"{name} cannot be measured",
            given=f"{tensor.dtype} of shape {tuple(tensor.shape)}",
            expected=f"{ndim} non-empty axes of real numbers",
        )
    if not (keep_single and tensor.dtype == torch.float32):
        tensor = tensor.to(torch.float64)
    finite = torch.isfinite(tensor)
    if not bool(finite.all()):
        raise MeasurementError(
            f"{name} holds NaN or infinity",
            given=f"{int((~finite).sum())} of {tensor.numel()} numbers",
            expected="finite numbers",
            remedy="A run that diverged has no measurement: leave it out and count it.",
        )
    return tensor


def check_same_samples(arrays: Iterable[tuple[str, Tensor]]) -> None:
    """Raise unless all named arrays hold one number of samples (first axis), on one device.

    Raises:
        MeasurementError: two arrays that differ.
    """
    (first_name, first), *others = arrays
    for name, array in others:
        if len(array) != len(first):
            raise MeasurementError(
                "unequal numbers of samples cannot be compared",
                given=f"{len(first)} in {first_name}, {len(array)} in {name}",
                expected="the same samples, in the same order, on both sides",
            )
        if array.device != first.device:
            raise MeasurementError(
                "arrays on different devices cannot be compared",
                given=f"{first_name} on {first.device}, {name} on {array.device}",
                expected="one device",
            )


def check_same_names(pre: Iterable[str], post: Iterable[str], kind: str) -> None:
    """Raise unless both sides hold the same, non-empty set of names.

    Raises:
        MeasurementError: no name at all, or names found on one side only.
    """
    before, after = set(pre), set(post)
    if before != after or not before:
        raise MeasurementError(
            f"the two sides do not hold the same {kind}s",
            given=f"only before: {sorted(before - after)}, only after: {sorted(after - before)}",
            expected=f"the same {kind} names, at least one",
        )
