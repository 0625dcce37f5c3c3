"""Speed of window sampling: ours beside the reference's loop over samples; batch 64, K=20."""

import random

import numpy as np
import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture

from dtclaims.lab.data.trajectories import Trajectories
from dtclaims.lab.data.windows import WindowSampler
from dtclaims.lab.design.tasks import get_task
from dtclaims.seeding import generator
from dtclaims.tests.support.examples import made_up

BATCH, CONTEXT = 64, 20


@pytest.fixture(scope="module")
def data() -> Trajectories:
    """400 trajectories of 500 steps."""
    return made_up([500] * 400, get_task("walker2d"))


def reference_batch(data: Trajectories, trajectories: list[dict[str, np.ndarray]], device: str) -> list[torch.Tensor]:
    """The released `get_batch`, step by step, on trajectories already cut."""
    probability = data.lengths / data.lengths.sum()
    chosen = np.random.choice(np.arange(len(trajectories)), size=BATCH, replace=True, p=probability)
    s, a, r, to_go, time, mask = [], [], [], [], [], []
    for index in chosen:
        one = trajectories[index]
        start = random.randint(0, len(one["rewards"]) - 1)
        s.append(one["observations"][start : start + CONTEXT].reshape(1, -1, data.task.state_dim))
        a.append(one["actions"][start : start + CONTEXT].reshape(1, -1, data.task.action_dim))
        r.append(one["rewards"][start : start + CONTEXT].reshape(1, -1, 1))
        length = s[-1].shape[1]
        time.append(np.arange(start, start + length).reshape(1, -1))
        time[-1][time[-1] >= 1000] = 999
        summed = np.cumsum(one["rewards"][start:][::-1])[::-1]
        to_go.append(summed[: length + 1].reshape(1, -1, 1))
        if to_go[-1].shape[1] <= length:
            to_go[-1] = np.concatenate([to_go[-1], np.zeros((1, 1, 1))], axis=1)
        pad = CONTEXT - length
        s[-1] = np.concatenate([np.zeros((1, pad, data.task.state_dim)), s[-1]], axis=1)
        s[-1] = (s[-1] - data.state_mean) / data.state_std
        a[-1] = np.concatenate([np.ones((1, pad, data.task.action_dim)) * -10.0, a[-1]], axis=1)
        r[-1] = np.concatenate([np.zeros((1, pad, 1)), r[-1]], axis=1)
        to_go[-1] = np.concatenate([np.zeros((1, pad, 1)), to_go[-1]], axis=1) / 1000.0
        time[-1] = np.concatenate([np.zeros((1, pad)), time[-1]], axis=1)
        mask.append(np.concatenate([np.zeros((1, pad)), np.ones((1, length))], axis=1))
    kinds = ((s, torch.float32), (a, torch.float32), (r, torch.float32), (to_go, torch.float32))
    tensors = [torch.from_numpy(np.concatenate(parts)).to(dtype=kind, device=device) for parts, kind in kinds]
    return [*tensors, *(torch.from_numpy(np.concatenate(parts)).to(device=device) for parts in (time, mask))]


def cut(data: Trajectories) -> list[dict[str, np.ndarray]]:
    return [
        {name: getattr(data, name)[one] for name in ("observations", "actions", "rewards")} for one in data.slices()
    ]


@pytest.mark.parametrize("way", ["ours", "reference"])
@pytest.mark.parametrize(
    "device",
    [
        "cpu",
        pytest.param(
            "cuda",
            marks=[
                pytest.mark.gpu,
                pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
            ],
        ),
    ],
)
def test_batch(benchmark: BenchmarkFixture, data: Trajectories, device: str, way: str) -> None:
    """One batch on the device, its share of an epoch's draws included; the GPU's goal is 0.2 ms."""
    benchmark.group = f"sampling, batch {BATCH}, K={CONTEXT}, {device}"
    if way == "reference":
        states = benchmark(reference_batch, data, cut(data), device)[0]
    else:
        sampler = WindowSampler(data, CONTEXT, device)
        stream = generator(0, "bench/windows")
        epochs = (
            row for _ in iter(int, 1) for row in sampler.resident(sampler.draw(2500 * BATCH, stream).reshape(-1, BATCH))
        )
        states = benchmark(lambda: sampler.gather(next(epochs))).states
    assert states.shape == (BATCH, CONTEXT, data.task.state_dim)
