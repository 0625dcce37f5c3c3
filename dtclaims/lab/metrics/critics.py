"""Critic networks T(x, z) of many estimation problems, trained side by side as one batched problem.

Problem p has its own network on the concatenation (x, z): Linear, (ReLU, Linear) × layers, one score out. The
networks of P problems are stacked along a first axis and every layer is one batched matrix product, so that
hundreds of small fits cost a few kernels a step. Nothing is shared: neither gradients nor Adam's moments mix
problems, and a problem that becomes NaN stays alone.

Problems of other widths are padded with zero columns, which give zero products and zero gradients.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from dtclaims.lab.metrics.inputs import Floats

FUSED = ("cpu", "cuda")
"""Devices on which Adam's fused step is used: one pass over the weights, and no wait for the device."""

_Given = TypeVar("_Given")
_Made = TypeVar("_Made")


class Samples(NamedTuple):
    """Padded data of P problems with n samples each, float32 on one device."""

    x: Tensor
    """(P, n, widest x)."""
    z: Tensor
    """(P, n, widest z)."""

    def rows(self, of_x: Tensor, of_z: Tensor) -> Tensor:
        """Inputs that pair row of_x[p, i] of x with row of_z[p, i] of z, (P, rows, both widths)."""
        return torch.cat([_take(self.x, of_x), _take(self.z, of_z)], dim=2)


def _take(values: Tensor, rows: Tensor) -> Tensor:
    problems, n, width = values.shape
    starts = torch.arange(0, problems * n, n, device=rows.device)[:, None]
    return values.reshape(-1, width)[(rows + starts).flatten()].view(problems, -1, width)


def padded(xs: Sequence[Tensor], zs: Sequence[Tensor]) -> Samples:
    """The problems (n, own width) side by side, padded with zero columns to the widest."""
    return Samples(_padded(xs), _padded(zs))


def _padded(arrays: Sequence[Tensor]) -> Tensor:
    widest = max(array.shape[1] for array in arrays)
    whole = arrays[0].new_zeros(len(arrays), len(arrays[0]), widest, dtype=torch.float32)
    for problem, array in zip(whole, arrays, strict=True):
        problem[:, : array.shape[1]] = array
    return whole


class Critics:
    """P networks as stacked layers: weights (P, in, out) and biases (P, 1, out), first to last."""

    def __init__(self, weights: Sequence[Tensor], biases: Sequence[Tensor]) -> None:
        self.weights, self.biases = list(weights), list(biases)
        for parameter in self.parameters():
            parameter.requires_grad_()

    def parameters(self) -> Iterator[Tensor]:
        """All weights and biases."""
        yield from self.weights
        yield from self.biases

    def __call__(self, inputs: Tensor) -> Tensor:
        """Scores (P, rows) of inputs (P, rows, widest x + widest z)."""
        hidden = inputs
        for i, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            hidden = torch.baddbmm(bias, hidden.relu() if i else hidden, weight)
        return hidden[:, :, 0]

    def adam(self, lr: float) -> torch.optim.Adam:
        """Adam with PyTorch's defaults on all networks; as it works entry by entry, on each one alone."""
        fused = self.weights[0].device.type in FUSED
        return torch.optim.Adam(self.parameters(), lr=lr, fused=fused or None)


def initial_critics(
    widths: Sequence[tuple[int, int]],
    hidden: int,
    layers: int,
    streams: Sequence[np.random.Generator],
    device: torch.device,
) -> Critics:
    """Networks with `layers` hidden layers, drawn as PyTorch's Linear does: uniform within ±1/√(inputs).

    Args:
        widths: (x, z) of each problem before padding; their sum is the number of inputs.
        hidden: units of each hidden layer.
        layers: hidden layers.
        streams: one generator per problem, so that its weights do not depend on its neighbours.
        device: where the networks go.
    """
    widest_x, widest_z = (max(side) for side in zip(*widths, strict=True))
    sizes = [widest_x + widest_z, *[hidden] * layers, 1]
    weights = [np.zeros((len(widths), *shape), dtype=np.float32) for shape in pairwise(sizes)]
    biases = [np.zeros((len(widths), 1, size), dtype=np.float32) for size in sizes[1:]]

    def fill(p: int) -> None:
        x, z = widths[p]
        for i, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
            bound = (hidden if i else x + z) ** -0.5
            blocks = (weight[p],) if i else (weight[p, :x], weight[p, widest_x : widest_x + z])
            for block in (*blocks, bias[p]):
                _fill_uniform(streams[p], block, bound)

    in_threads(fill, range(len(widths)))
    return Critics(*([torch.from_numpy(array).to(device) for array in side] for side in (weights, biases)))


def _fill_uniform(stream: np.random.Generator, block: NDArray[np.float32], bound: float) -> None:
    # In place, because a model's networks hold 10⁸ weights.
    stream.random(out=block, dtype=np.float32)
    block -= 0.5
    block *= 2 * bound


def in_threads(work: Callable[[_Given], _Made], given: Iterable[_Given]) -> list[_Made]:
    """`work` on each thing, in order: numpy fills arrays with random numbers without holding the interpreter."""
    with ThreadPoolExecutor() as pool:
        return list(pool.map(work, given))


def orders(stream: np.random.Generator, draws: tuple[int, ...], n: int) -> NDArray[np.int32]:
    """Random orders of n things, (*draws, n)."""
    sorted_ones = np.broadcast_to(np.arange(n, dtype=np.int32), (*draws, n))
    return stream.permuted(sorted_ones, axis=-1)


def readings(values: Tensor) -> Floats:
    """One number per problem, on the CPU in float64."""
    return values.detach().double().cpu().numpy()
