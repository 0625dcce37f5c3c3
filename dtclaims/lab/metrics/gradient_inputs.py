"""What gradients are taken of: models with Transformer blocks, windows with a real step, scalar losses."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from dtclaims.errors import MeasurementError, UndefinedMeasurement
from dtclaims.lab.data.windows import Batch

Loss = Callable[[nn.Module, Batch], Tensor]
"""The loss of a model on a batch, a scalar; pure torch operations, no value read back into Python."""


def is_block(name: str) -> bool:
    """Whether a parameter belongs to the Transformer blocks: `h.{b}.…`, under any prefix."""
    return ".h." in f".{name}"


def checked_loss(value: object) -> Tensor:
    """`value`, if it is a scalar tensor.

    Raises:
        MeasurementError: it is not.
    """
    if not isinstance(value, Tensor) or value.ndim:
        given = f"a tensor of shape {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
        raise MeasurementError("a gradient needs a scalar loss", given=given, expected="a tensor without axes")
    return value


def check_windows(batch: Batch) -> None:
    """Raise unless there are windows, each with a real step.

    Raises:
        MeasurementError: no window.
        UndefinedMeasurement: a window of padding only, whose mean loss is 0/0.
    """
    if len(batch.mask) == 0:
        raise MeasurementError("there is no window to take gradients of")
    empty = (~batch.mask.any(dim=1)).nonzero().flatten().tolist()
    if empty:
        raise UndefinedMeasurement(
            "a window of padding only has no loss", given=f"windows {empty[:5]}", expected="a real step in each"
        )


def block_checked(model: nn.Module) -> dict[str, Tensor]:
    """The model's parameters by name, each once.

    Raises:
        MeasurementError: none of them belongs to a block.
    """
    parameters: dict[str, Tensor] = dict(model.named_parameters())
    if not any(map(is_block, parameters)):
        raise MeasurementError(
            "the model has no Transformer blocks", given=f"{len(parameters)} parameters", expected="some named h.{b}.…"
        )
    return parameters


@contextmanager
def dropout_set(model: nn.Module, on: bool, seed: int) -> Iterator[None]:
    """Train mode with torch's generators at `seed`, or eval mode; modes and generators are put back afterwards."""
    modes = {module: module.training for module in model.modules()}
    devices = {parameter.device for parameter in model.parameters() if parameter.is_cuda}
    with torch.random.fork_rng(devices, enabled=on):
        if on:
            torch.manual_seed(seed)
        model.train(on)
        try:
            yield
        finally:
            for module, mode in modes.items():
                module.training = mode


def check_finite(squared: Tensor, names: tuple[str, ...]) -> None:
    """Raise if a number of `squared` (samples, tensors) is not finite.

    Raises:
        MeasurementError: naming the first sample and tensor.
    """
    bad = (~torch.isfinite(squared)).nonzero().tolist()
    if bad:
        sample, tensor = bad[0]
        raise MeasurementError(
            "gradients hold NaN or infinity",
            given=f"{len(bad)} of {squared.numel()} norms, first sample {sample} in {names[tensor]}",
            expected="finite gradients",
            remedy="A run that diverged has no measurement: leave it out and count it.",
        )
