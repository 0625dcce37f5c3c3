"""Speed of gradient confusion at the mini scale: 12 blocks of width 32, 50 windows of 20 steps, as in the paper."""

import numpy as np
import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture
from torch import Tensor

from dtclaims.lab.data.windows import Batch
from dtclaims.lab.metrics import gradient_confusion
from dtclaims.lab.models import DecisionTransformer, StackConfig
from dtclaims.seeding import generator
from dtclaims.tests.support.transcribed import loss, transcribed

WINDOWS, STEPS = 50, 20

Setting = tuple[DecisionTransformer, Batch]


@pytest.fixture(scope="module")
def setting() -> Setting:
    """A model as the language arm at the mini scale has, in eval mode, and random full windows."""
    rng = generator(0, "bench/gradients")

    def normal(*shape: int) -> Tensor:
        return torch.from_numpy(rng.normal(size=shape).astype(np.float32))

    batch = Batch(
        states=normal(WINDOWS, STEPS, 11),
        actions=torch.tanh(normal(WINDOWS, STEPS, 3)),
        returns_to_go=normal(WINDOWS, STEPS, 1),
        timesteps=torch.from_numpy(rng.integers(1000, size=(WINDOWS, STEPS))),
        mask=torch.ones(WINDOWS, STEPS, dtype=torch.bool),
    )
    return DecisionTransformer(StackConfig(12, 32, 2, "gelu_new"), 11, 3).eval(), batch


@pytest.mark.benchmark(group="gradient confusion, mini scale, 50 windows")
def test_published_loop(benchmark: BenchmarkFixture, setting: Setting) -> None:
    """The published loops."""
    benchmark(transcribed, *setting)


@pytest.mark.benchmark(group="gradient confusion, mini scale, 50 windows")
def test_confusion(benchmark: BenchmarkFixture, setting: Setting) -> None:
    """The same cosines from chunks of samples."""
    found = benchmark(gradient_confusion, *setting, loss, protocol="published", dropout=False)
    np.testing.assert_allclose(found.cosine, transcribed(*setting), rtol=0, atol=2e-4)
