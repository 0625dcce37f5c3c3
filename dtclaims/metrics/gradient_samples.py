"""Gradients of single samples, reduced to what is measured before they fill the memory.

n samples of a stack of 85 M parameters have 17 GB of gradients at n = 50. What the measurements need of them is
small: the squared norm of each sample in each tensor, and the products of samples over the blocks, n × n. Both are
sums over tensors, so the tensors are taken in groups that fit into `BUDGET`, with one backward pass per group.
Within a group, samples are differentiated in chunks, all samples of a chunk at once.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel

from dtclaims.data.windows import Batch
from dtclaims.metrics.gradient_inputs import (
    Loss,
    block_checked,
    check_finite,
    check_windows,
    checked_loss,
    dropout_set,
    is_block,
)
from dtclaims.seeding import derive

Masks = Literal["off", "common", "independent"]
"""Dropout: none, the same masks for every sample, or other masks for each, as the reference's loop draws them."""

CHUNK = 50
"""Samples differentiated at once."""

BUDGET = 2**32
"""Bytes of per-sample gradients held at once (a tensor larger than this, times the samples, is held nevertheless)."""

COLUMNS = 4096
"""Gradient entries per matrix product of the Gram."""

EXACT = 2**26
"""Gradient entries held in float64 at once (512 MiB)."""


class SampleSums(NamedTuple):
    """What is kept of n samples' gradients; float64, on the model's device."""

    names: tuple[str, ...]
    """All parameters of the model, in its order."""
    squared: Tensor
    """(n, tensors): squared norm of each sample's gradient in each tensor."""
    gram: Tensor | None
    """(n, n): products of samples over the blocks' tensors; None if not asked for."""


def sample_sums(
    model: nn.Module,
    batch: Batch,
    loss: Loss,
    *,
    gram: bool,
    masks: Masks = "off",
    seed: int = 0,
    chunk: int = CHUNK,
    budget: int = BUDGET,
) -> SampleSums:
    """Squared norms, and products if `gram`, of the gradients of each window's own loss.

    The model's modes are put back afterwards; its `.grad` and torch's global random state are left alone.

    Args:
        model: on the batch's device, float32 or float64.
        batch: n windows.
        loss: called with one window at a time.
        gram: also compute the n × n products.
        masks: dropout.
        seed: of the dropout masks.
        chunk: samples differentiated at once; changes speed and memory, not results.
        budget: bytes of gradients held at once; likewise.

    Raises:
        MeasurementError: no window, no parameter in blocks, a loss that is no scalar, NaN or infinite gradients.
        UndefinedMeasurement: a window of padding only.
    """
    check_windows(batch)
    samples = len(batch.mask)
    if masks == "independent":
        # The model sees one window at a time here, so that its masks are its own whatever the chunk.
        chunk = 1
    parameters = block_checked(model)
    sizes = {name: parameter.numel() * parameter.element_size() for name, parameter in parameters.items()}
    like = next(iter(parameters.values()))
    squared = {name: like.new_zeros(samples, dtype=torch.float64) for name in parameters}
    products = like.new_zeros(samples, samples, dtype=torch.float64)
    for group in _groups(sizes, budget // (samples if gram else min(chunk, samples))):
        wanted = [name for name in group if gram and is_block(name)]
        columns = sum(parameters[name].numel() for name in wanted)
        held = like.new_zeros(samples, math.ceil(columns / COLUMNS) * COLUMNS)
        for start in range(0, samples, chunk):
            part = slice(start, min(start + chunk, samples))
            stream = derive(seed, f"dropout/{start}" if masks == "independent" else "dropout")
            gradients = sample_gradients(model, batch, loss, group, part, masks=masks, seed=stream)
            column = 0
            for name in group:
                rows = gradients.pop(name).flatten(1)
                squared[name][part] = torch.linalg.vector_norm(rows, dim=1, dtype=torch.float64).square()
                if name in wanted:
                    held[part, column : column + rows.shape[1]] = rows
                    column += rows.shape[1]
        if wanted:
            products += _gram(held)
        del held
    sums = torch.stack(list(squared.values()), dim=1)
    check_finite(sums, tuple(squared))
    return SampleSums(tuple(squared), sums, products if gram else None)


def sample_gradients(
    model: nn.Module, batch: Batch, loss: Loss, names: list[str], samples: slice, *, masks: Masks = "off", seed: int = 0
) -> dict[str, Tensor]:
    """Gradients of `samples`, each window's own loss, in the named tensors: (samples, *shape of the tensor).

    Dropout masks are drawn once, from `seed`, and are the same for all samples of the call.

    Raises:
        MeasurementError: a loss that is no scalar.
    """
    wrapped = _WindowLoss(model, loss)
    chosen = {f"model.{name}": model.get_parameter(name).detach() for name in names}

    def of_window(parameters: dict[str, Tensor], *window: Tensor) -> Tensor:
        value: Tensor = functional_call(wrapped, parameters, window)
        return value

    windows = [getattr(batch, field.name)[samples] for field in fields(batch)]
    per_sample = vmap(
        grad(of_window), in_dims=(None, *[0] * len(windows)), randomness="error" if masks == "off" else "same"
    )
    # no_grad: the parameters that are not chosen would otherwise record a graph of their own. Attention as plain
    # matrix products, because the backward pass of the fused kernels cannot be batched over samples.
    with dropout_set(model, masks != "off", seed), torch.no_grad(), sdpa_kernel(SDPBackend.MATH):
        gradients: dict[str, Tensor] = per_sample(chosen, *windows)
    return {name: gradients[f"model.{name}"] for name in names}


class _WindowLoss(nn.Module):
    """The loss of one window as a module's forward pass, which is what `functional_call` can call."""

    def __init__(self, model: nn.Module, loss: Loss) -> None:
        super().__init__()
        self.model = model
        self.loss = loss

    def forward(self, *window: Tensor) -> Tensor:
        """Scalar loss of a batch of one, from the fields of a `Batch` without their first axis."""
        return checked_loss(self.loss(self.model, Batch(*(value[None] for value in window))))


def _groups(sizes: Mapping[str, int], limit: int) -> Iterator[list[str]]:
    """Names in order, cut where the next would exceed `limit` in sum; at least one a group."""
    group: list[str] = []
    total = 0
    for name, size in sizes.items():
        if group and total + size > limit:
            yield group
            group, total = [], 0
        group.append(name)
        total += size
    yield group


def _gram(rows: Tensor) -> Tensor:
    """Products of rows (n, multiple of COLUMNS), (n, n) in float64.

    A batch of many short products, because one product with a single small result keeps few cores of a GPU busy.
    """
    samples = len(rows)
    total = rows.new_zeros(samples, samples, dtype=torch.float64)
    pieces = rows.view(samples, -1, COLUMNS).transpose(0, 1)
    step = max(1, EXACT // (COLUMNS * samples))
    for start in range(0, len(pieces), step):
        exact = pieces[start : start + step].double()
        total += (exact @ exact.mT).sum(dim=0)
    return total
