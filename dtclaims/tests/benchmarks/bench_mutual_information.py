"""Speed of the published MINE: pairs trained side by side, against the reference's way, one after another.

16 pairs of the mini models' sizes (x of 11, z of 32 columns, 100 windows), 20 of the published 1000 passes.
"""

import math

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from pytest_benchmark.fixture import BenchmarkFixture
from torch import Tensor, nn

from dtclaims.lab.metrics import PublishedMine, mutual_informations
from dtclaims.seeding import generator

PASSES = 20
GROUP = "MINE, 16 pairs of 11 and 32 columns, 20 passes"
Pairs = dict[str, tuple[NDArray[np.float32], NDArray[np.float32]]]


@pytest.fixture(scope="module")
def pairs() -> Pairs:
    """Independent data of 16 (layer, token) pairs."""
    rng = generator(0, "bench/mine")
    return {
        f"{i}": (rng.normal(size=(100, 11)).astype(np.float32), rng.normal(size=(100, 32)).astype(np.float32))
        for i in range(16)
    }


class Transcribed(torch.autograd.Function):
    """log mean exp with the released gradient."""

    @staticmethod
    def forward(ctx, scores, running):  # type: ignore[no-untyped-def]
        ctx.save_for_backward(scores, running)
        return scores.exp().mean().log()

    @staticmethod
    def backward(ctx, grad):  # type: ignore[no-untyped-def]
        scores, running = ctx.saved_tensors
        return grad * scores.exp().detach() / (running + 1e-6) / scores.shape[0], None


def transcribed_fit(x: Tensor, z: Tensor, passes: int = PASSES) -> float:
    """One released fit, step by step; anomaly detection is the caller's."""
    sizes = [x.shape[1] + z.shape[1], 400, 400, 400]
    layers = [part for i in range(3) for part in (nn.Linear(sizes[i], sizes[i + 1]), nn.ReLU())]
    network = nn.Sequential(*layers, nn.Linear(400, 1)).to(x.device)
    adam = torch.optim.Adam(network.parameters(), lr=1e-4)
    running: float | Tensor = 0.0
    for _ in range(passes):
        shuffle = torch.randperm(len(x))
        for start in range(0, len(x), 50):
            rows = shuffle[start : start + 50]
            adam.zero_grad()
            joint = network(torch.cat([x[rows], z[rows]], dim=1)).mean()
            marginal = network(torch.cat([x[rows], z[rows][torch.randperm(len(rows))]], dim=1))
            now = torch.exp(torch.logsumexp(marginal, 0) - math.log(len(rows))).detach()
            running = now if running == 0 else 0.01 * now + 0.99 * float(running)
            loss = Transcribed.apply(marginal, running) - joint
            loss.backward()
            adam.step()
            loss.item()
    with torch.no_grad():
        joint, marginal = (network(torch.cat([x, side], dim=1)) for side in (z, z[torch.randperm(len(z))]))
        return float(joint.mean() - marginal.exp().mean().log())


def transcribed_loop(pairs: Pairs) -> list[float]:
    """All fits, one after another, with the anomaly detection that the reference switches on for all of them."""
    with torch.autograd.set_detect_anomaly(True):
        return [transcribed_fit(torch.from_numpy(x), torch.from_numpy(z)) for x, z in pairs.values()]


@pytest.mark.filterwarnings("ignore:Anomaly Detection has been enabled")
@pytest.mark.benchmark(group=GROUP)
def test_released_loop(benchmark: BenchmarkFixture, pairs: Pairs) -> None:
    """The released way: one pair after another."""
    benchmark.pedantic(transcribed_loop, args=(pairs,), rounds=3)  # type: ignore[no-untyped-call]


@pytest.mark.benchmark(group=GROUP)
def test_side_by_side(benchmark: BenchmarkFixture, pairs: Pairs) -> None:
    """The same fits as one batched problem."""
    how = PublishedMine(passes=PASSES, null=False)
    arguments = {"protocol": "published", "seed": 0, "settings": how}
    found = benchmark.pedantic(mutual_informations, args=(pairs,), kwargs=arguments, rounds=3)  # type: ignore[no-untyped-call]
    batched = np.mean([estimate.value for estimate in found.values()])
    torch.manual_seed(0)
    assert batched == pytest.approx(np.mean(transcribed_loop(dict(list(pairs.items())[:4]))), abs=0.3)
