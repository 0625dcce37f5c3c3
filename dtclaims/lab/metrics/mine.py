"""MINE as released with the paper: in-sample estimates of mutual information (protocol §7.2, DEV-02, 20, 42).

A critic T is trained on the n samples to raise mean T(x, z) − log mean exp T(x, z′), where z′ is z re-ordered
within the minibatch, and the same quantity on **the same n samples** is the estimate, in nats. With n = 100 and
512 401 weights it measures how well 100 pairs can be memorised: on independent data it reads 0.7 to 5 nats, less
the larger the scale of z.

In training, the gradient of the second term divides by m = 0.99 m + 0.01 mean exp T(x, z′) (first value: the
minibatch's; also after m = 0), plus 1e-6:

    ∇ log mean exp T ≈ mean(exp(T) ∇T) / (m + 1e-6)
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from dtclaims.errors import UsageError
from dtclaims.lab.metrics.critics import Critics, Samples, in_threads, initial_critics, orders, padded, readings
from dtclaims.lab.metrics.inputs import Floats

PUBLISHED_EPSILON = 1e-6
"""Added to the running mean in the gradient's denominator."""


@dataclass(frozen=True)
class PublishedMine:
    """Settings of the released estimator; the defaults are the published ones.

    Raises:
        UsageError: a setting with which it cannot run; fewer than 3 passes divide by zero in the reference.
    """

    passes: int = 1000
    """Passes over the samples; the text calls them iterations."""
    batch: int = 50
    """Samples a minibatch; an incomplete last one is dropped."""
    lr: float = 1e-4
    hidden: int = 400
    layers: int = 3
    """Hidden layers; the text says two (DEV-20)."""
    rate: float = 0.01
    """How fast the running mean follows."""
    null: bool = True
    """Also estimate pairs whose z is permuted once, which is shown beside the estimate and doubles the work."""

    def __post_init__(self) -> None:
        if self.passes < 3 or self.batch < 2 or self.hidden < 1 or self.layers < 1 or not 0 < self.rate <= 1:
            raise UsageError(
                "the published estimator cannot run with these settings",
                given=self,
                expected="at least 3 passes, minibatches of 2, a hidden layer, and a rate in (0, 1]",
            )


class Draws(NamedTuple):
    """The random orders that one fit of P problems uses."""

    shuffles: Tensor
    """(P, passes, n): the order of the samples in each pass."""
    marginals: Tensor
    """(P, passes, minibatches, batch): the order of z within each minibatch."""
    final: Tensor
    """(P, n): the order of z in the estimate."""


def published_estimates(
    xs: Sequence[Tensor], zs: Sequence[Tensor], settings: PublishedMine, streams: Sequence[np.random.Generator]
) -> Floats:
    """In-sample estimates in nats, (P,), of problems (n, own width), each with a stream of its own.

    NaN where the reference would have raised (overflow in training); ±inf as the reference gives them:
    −inf if the exponentials overflow only in the estimate, +inf if they underflow.
    """
    data = padded(xs, zs)
    widths = [(x.shape[1], z.shape[1]) for x, z in zip(xs, zs, strict=True)]
    critics = initial_critics(widths, settings.hidden, settings.layers, streams, data.x.device)
    draws = draw(data.x.shape[1], settings, streams, data.x.device)
    fit(critics, data, draws, settings)
    return readings(estimate(critics, data, draws.final))


def draw(n: int, settings: PublishedMine, streams: Sequence[np.random.Generator], device: torch.device) -> Draws:
    """All random orders that the streams' problems of n samples need."""
    shapes = [((settings.passes,), n), ((settings.passes, n // settings.batch), settings.batch), ((), n)]
    drawn = in_threads(lambda stream: [orders(stream, *shape) for shape in shapes], streams)
    return Draws(*(torch.from_numpy(np.stack(kind)).to(device) for kind in zip(*drawn, strict=True)))


def fit(critics: Critics, data: Samples, draws: Draws, settings: PublishedMine) -> Tensor:
    """Train the critics in place and return their running means (P,).

    A problem whose gradient becomes NaN is NaN from then on, weights and estimate (0·NaN is NaN in every layer);
    the reference raises there. The loop never waits for the device.
    """
    adam = critics.adam(settings.lr)
    running = data.x.new_zeros(len(data.x))
    for of_pass, of_marginal in zip(draws.shuffles.unbind(1), draws.marginals.unbind(1), strict=True):
        for number, order in enumerate(of_marginal.long().unbind(1)):
            rows = of_pass[:, number * settings.batch : (number + 1) * settings.batch].long()
            joint, marginal = scores(critics, data, rows, order)
            loss, running = objective(joint, marginal, running, settings.rate)
            adam.zero_grad()
            loss.sum().backward()  # type: ignore[no-untyped-call]
            adam.step()
    return running


def scores(critics: Critics, data: Samples, rows: Tensor, order: Tensor) -> tuple[Tensor, Tensor]:
    """T of the samples `rows` (P, m) and of the same with z taken in `order` (P, m): (P, m) each."""
    both = critics(data.rows(rows.repeat(1, 2), torch.cat([rows, rows.gather(1, order)], dim=1)))
    joint, marginal = both.tensor_split(2, dim=1)
    return joint, marginal


def objective(joint: Tensor, marginal: Tensor, running: Tensor, rate: float) -> tuple[Tensor, Tensor]:
    """A function with the published gradient, (P,), and the running means that it divides by, (P,).

    Its value is not the loss, −`bound`: only its gradient is used.
    """
    now = (marginal.detach().logsumexp(dim=1) - math.log(marginal.shape[1])).exp()
    running = torch.where(running == 0, now, rate * now + (1 - rate) * running)
    weight = marginal.detach().exp() / (running[:, None] + PUBLISHED_EPSILON)
    return (weight * marginal).mean(dim=1) - joint.mean(dim=1), running


def bound(joint: Tensor, marginal: Tensor) -> Tensor:
    """mean T(x, z) − log mean exp T(x, z′) as released, (P,): the exponentials may leave float32's range."""
    return joint.mean(dim=1) - marginal.exp().mean(dim=1).log()


@torch.no_grad()
def estimate(critics: Critics, data: Samples, order: Tensor) -> Tensor:
    """The bound on all samples with z in `order` (P, n) for the second term, (P,)."""
    rows = torch.arange(data.x.shape[1], device=order.device).expand(len(data.x), -1)
    return bound(*scores(critics, data, rows, order.long()))
