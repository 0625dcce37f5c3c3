"""MINE with held-out readings: the corrected estimate of mutual information (DEV-02, 20).

The critic is trained on one part of the windows, the step is chosen on a second and the Donsker–Varadhan bound

    mean T(x, z) − log mean exp T(x, z′)        in nats, z′ = z re-ordered

is read at that step on a third, with the exponentials summed in log space. Inputs are scaled on the training part.
The same is done with pairs that are permuted within each part (so that nothing links x and z), and the estimate is
the difference: what the bound reads above chance. It is an estimate of a lower bound and may be slightly negative.
It reads too low above about 3 nats with 5000 windows, and for heavy-tailed data, where few samples decide the bound.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from dtclaims.errors import UsageError
from dtclaims.lab.metrics.critics import Critics, Samples, initial_critics, padded, readings
from dtclaims.lab.metrics.heldout import Rows, Split
from dtclaims.lab.metrics.inputs import Floats


@dataclass(frozen=True)
class HeldOutMine:
    """Settings of the corrected estimator.

    Raises:
        UsageError: a setting with which it cannot run.
    """

    seeds: int = 3
    """Estimators per problem, each with its own split, weights and draws."""
    components: int | None = 16
    """Principal components that wider inputs are reduced to; None keeps all columns."""
    least: int = 5000
    """Fewest windows accepted; with fewer, test readings are too noisy to compare models by."""
    steps: int = 600
    batch: int = 256
    every: int = 25
    """Steps between two readings of the validation and test parts."""
    lr: float = 1e-3
    hidden: int = 64
    layers: int = 2
    rate: float = 0.1
    """How fast the running mean of the exponentials follows."""
    shuffles: int = 4
    """Re-orderings of z in each reading's second term."""

    def __post_init__(self) -> None:
        if min(self.seeds, self.steps, self.every, self.hidden, self.layers, self.shuffles) < 1 or self.batch < 2:
            raise UsageError("the held-out estimator cannot run with these settings", given=self)


def permuted_pairs(z: Tensor, parts: Split, stream: np.random.Generator) -> Tensor:
    """z (n, d) with its rows re-ordered at random within each part."""
    permuted = z.clone()
    for part in parts:
        permuted[torch.from_numpy(part)] = z[torch.from_numpy(stream.permutation(part))]
    return permuted


def held_out_estimates(
    xs: Sequence[Tensor],
    zs: Sequence[Tensor],
    parts: Split,
    settings: HeldOutMine,
    streams: Sequence[np.random.Generator],
    shared: np.random.Generator,
) -> Floats:
    """Test-set bounds in nats, (P,), of scaled problems (n, own width) that share one split.

    Each is read at the step whose bound on the validation part is largest, the untrained network's included; NaN
    if no validation reading is finite. `streams` draw each problem's weights, `shared` the minibatches of all.
    """
    data = padded(xs, zs)
    widths = [(x.shape[1], z.shape[1]) for x, z in zip(xs, zs, strict=True)]
    critics = initial_critics(widths, settings.hidden, settings.layers, streams, data.x.device)
    adam = critics.adam(settings.lr)
    readers = [_Reader(critics, data, part, settings.shuffles, shared) for part in (parts.validation, parts.test)]
    drawn = parts.train[shared.integers(len(parts.train), size=(settings.steps, 2, settings.batch))]
    best, reading = (data.x.new_full((len(xs),), start) for start in (-math.inf, math.nan))
    running: Tensor | None = None
    for step, (together, apart) in enumerate(torch.from_numpy(drawn).to(data.x.device)):
        if step % settings.every == 0:
            best, reading = _better(best, reading, readers)
        # z of the second term comes from rows of its own: pairs of independent rows.
        both = critics(_rows(data, torch.cat([together, together]), torch.cat([together, apart])))
        joint, marginal = both.tensor_split(2, dim=1)
        loss, running = objective(joint, marginal, running, settings.rate)
        adam.zero_grad()
        loss.sum().backward()  # type: ignore[no-untyped-call]
        adam.step()
    return readings(_better(best, reading, readers)[1])


def objective(joint: Tensor, marginal: Tensor, running: Tensor | None, rate: float) -> tuple[Tensor, Tensor]:
    """A function with MINE's corrected gradient, (P,), and the log of the running means it divides by, (P,).

    As the published one but in log space: neither large nor small scores leave float32's range there.
    """
    now = marginal.detach().logsumexp(dim=1) - math.log(marginal.shape[1])
    if running is not None:
        now = torch.logaddexp(now + math.log(rate), running + math.log1p(-rate))
    weight = (marginal.detach() - now[:, None]).exp()
    return (weight * marginal).mean(dim=1) - joint.mean(dim=1), now


def bound(joint: Tensor, marginal: Tensor) -> Tensor:
    """mean T(x, z) − log mean exp T(x, z′), (P,), summed in log space."""
    return joint.mean(dim=1) - (marginal.logsumexp(dim=1) - math.log(marginal.shape[1]))


class _Reader:
    """Reads the bound of all problems on one part of the windows, always with the same re-orderings of z."""

    def __init__(self, critics: Critics, data: Samples, part: Rows, shuffles: int, stream: np.random.Generator) -> None:
        orders = np.stack([part, *(stream.permutation(part) for _ in range(shuffles))])
        self.critics, self.data, self.rows = critics, data, torch.from_numpy(part).to(data.x.device)
        self.orders = torch.from_numpy(orders).to(data.x.device)

    @torch.no_grad()
    def __call__(self) -> Tensor:
        # One order at a time: all of them at once would hold shuffles times the hidden units in memory.
        joint, *marginals = (self.critics(_rows(self.data, self.rows, order)) for order in self.orders)
        return bound(joint, torch.cat(marginals, dim=1))


def _rows(data: Samples, of_x: Tensor, of_z: Tensor) -> Tensor:
    return torch.cat([data.x[:, of_x], data.z[:, of_z]], dim=2)


def _better(best: Tensor, reading: Tensor, readers: Sequence[_Reader]) -> tuple[Tensor, Tensor]:
    """The larger validation bound so far and the test bound beside it. NaN is never larger."""
    validation, test = (reader() for reader in readers)
    larger = validation > best
    return torch.where(larger, validation, best), torch.where(larger, test, reading)
