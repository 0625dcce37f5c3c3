"""What a run's matrix products are computed in."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, get_args

import torch

TrainPrecision = Literal["float32", "tf32", "bfloat16"]
"""The last two are offered on a GPU only. Weights, residual stream, norms and Adam's state are float32 in all three."""

PRECISIONS: tuple[TrainPrecision, ...] = get_args(TrainPrecision)


@contextmanager
def float32_products(precision: TrainPrecision) -> Iterator[None]:
    """Let float32 matrix products round their factors to TF32, or not."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
