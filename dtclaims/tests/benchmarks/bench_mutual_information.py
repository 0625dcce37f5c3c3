"""Speed of the published MINE: pairs trained side by side, against the reference's way, one after another.

16 pairs of the mini models' sizes (x of 11, z of 32 columns, 100 windows), 20 of the published 1000 passes.
"""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from pytest_benchmark.fixture import BenchmarkFixture

from dtclaims.lab.metrics import PublishedMine, mutual_informations
from dtclaims.seeding import generator
from dtclaims.tests.support.transcribed import transcribed_fit

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


def transcribed_loop(pairs: Pairs) -> list[float]:
    """All fits, one after another, with the anomaly detection that the reference switches on for all of them."""
    with torch.autograd.set_detect_anomaly(True):
        return [transcribed_fit(torch.from_numpy(x), torch.from_numpy(z), PASSES) for x, z in pairs.values()]


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
