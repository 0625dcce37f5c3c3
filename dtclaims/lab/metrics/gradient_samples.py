"""Gradients of single samples, reduced to what is measured before they fill the memory.

n samples of a stack of 85 M parameters have 17 GB of gradients at n = 50. What the measurements need of them is
small: the squared norm of each sample in each tensor, and the products of samples over the blocks, n × n. Both are
sums over tensors, so the tensors are taken in groups that fit into `BUDGET`, with one backward pass per group.
Within a group, samples are differentiated in chunks, all samples of a chunk at once, or one by one if each has dropout
masks of its own.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel

from dtclaims.lab.data.windows import Batch
from dtclaims.lab.metrics.gradient_inputs import (
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

BUDGET = 17 * 2**30
"""Bytes of gradients in memory at once (a single tensor that takes more, times the samples, is held nevertheless):
as many as 50 samples of 85 M parameters have, so that windows with masks of their own take one backward pass each."""

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
        budget: bytes of gradients in memory at once; likewise.

    Raises:
        MeasurementError: no window, no parameter in blocks, a loss that is no scalar, NaN or infinite gradients.
        UndefinedMeasurement: a window of padding only.
    """
    check_windows(batch)
    samples = len(batch.mask)
    parameters = block_checked(model)
    sizes = {name: parameter.numel() * parameter.element_size() for name, parameter in parameters.items()}
    like = next(iter(parameters.values()))
    squared = {name: like.new_zeros(samples, dtype=torch.float64) for name in parameters}
    products = like.new_zeros(samples, samples, dtype=torch.float64)
    chunk = min(chunk, samples)
    # Products need the gradients of all samples side by side, norms those of a chunk; vmap returns a chunk of its own
    # and works in as much again at most.
    kept, working = samples if gram else chunk, 1 if masks == "independent" else 2 * chunk
    for group in _groups(sizes, budget // (kept + working)):
        # Blocks first: products are taken of them alone.
        group.sort(key=is_block, reverse=True)
        widths = [parameters[name].numel() for name in group]
        held = like.new_zeros(kept, math.ceil(sum(widths) / COLUMNS) * COLUMNS)
        for start in range(0, samples, chunk):
            part = slice(start, min(start + chunk, samples))
            rows = (held[part] if gram else held[: part.stop - start])[:, : sum(widths)]
            if masks == "independent":
                _fill_by_window(rows, model, batch, loss, group, part, seed)
            else:
                stream = derive(seed, "dropout")
                gradients = sample_gradients(model, batch, loss, group, part, dropout=masks == "common", seed=stream)
                for name, columns in zip(group, rows.split_with_sizes(widths, dim=1), strict=True):
                    columns.copy_(gradients.pop(name).flatten(1))
            for name, columns in zip(group, rows.split_with_sizes(widths, dim=1), strict=True):
                squared[name][part] = torch.linalg.vector_norm(columns, dim=1, dtype=torch.float64).square()
        if gram:
            held[:, sum(width for name, width in zip(group, widths, strict=True) if is_block(name)) :] = 0
            products += _gram(held)
        # Views too: any of them would keep this group in memory while the next is computed.
        del held, rows, columns
    sums = torch.stack(list(squared.values()), dim=1)
    check_finite(sums, tuple(squared))
    return SampleSums(tuple(squared), sums, products if gram else None)


def sample_gradients(
    model: nn.Module,
    batch: Batch,
    loss: Loss,
    names: list[str],
    samples: slice,
    *,
    dropout: bool = False,
    seed: int = 0,
) -> dict[str, Tensor]:
    """Gradients of `samples`, each window's own loss, in the named tensors: (samples, *shape of the tensor).

    Dropout masks are drawn once, from `seed`, and are the same for all samples of the call.

    Raises:
        MeasurementError: a loss that is no scalar.
    """
    wrapped = _WindowLoss(model, loss)

    def of_window(parameters: dict[str, Tensor], *window: Tensor) -> Tensor:
        value: Tensor = functional_call(wrapped, parameters, window)
        return value

    windows = [getattr(batch, field.name)[samples] for field in fields(batch)]
    per_sample = vmap(grad(of_window), in_dims=(None, *[0] * len(windows)), randomness="same" if dropout else "error")
    # no_grad: the parameters that are not chosen would otherwise record a graph of their own. Attention as plain
    # matrix products, because the backward pass of the fused kernels cannot be batched over samples.
    with dropout_set(model, dropout, seed), torch.no_grad(), sdpa_kernel(SDPBackend.MATH):
        gradients: dict[str, Tensor] = per_sample(_leaves(model, names), *windows)
    return {name: gradients[f"model.{name}"] for name in names}


def _fill_by_window(
    rows: Tensor, model: nn.Module, batch: Batch, loss: Loss, names: list[str], samples: slice, seed: int
) -> None:
    """Write the gradients of `samples` in the named tensors into `rows`, (samples, coordinates of all), with dropout.

    Each window has a backward pass and masks of its own, whatever the samples beside it.
    """
    wrapped = _WindowLoss(model, loss)
    leaves = {name: leaf.requires_grad_() for name, leaf in _leaves(model, names).items()}
    with dropout_set(model, True, seed), torch.enable_grad(), sdpa_kernel(SDPBackend.MATH):
        for row, number in zip(rows, range(samples.start, samples.stop), strict=True):
            torch.manual_seed(derive(seed, f"dropout/{number}"))
            window = tuple(getattr(batch, field.name)[number] for field in fields(batch))
            value = functional_call(wrapped, leaves, window)
            gradients = torch.autograd.grad(value, list(leaves.values()), materialize_grads=True)
            torch.cat([gradient.flatten() for gradient in gradients], out=row)


def _leaves(model: nn.Module, names: list[str]) -> dict[str, Tensor]:
    """The named parameters of a `_WindowLoss`, as tensors of their own that share the values."""
    return {f"model.{name}": model.get_parameter(name).detach() for name in names}


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
