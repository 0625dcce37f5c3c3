"""Speed of training: a reference-style step beside ours, from the same process, on made-up data.

On a GPU, the paper's size (12 blocks of width 768, batch 64) and the small scale's:
`python -m dtclaims.tests.benchmarks.bench_training` prints the table (`"small, language" --context 1` a part of it). On
a CPU, the mini scale.

FLOP/s are `step_operations` over time (6 per weight and token, and attention: what a plain step computes, also where
ours leaves out tokens that no loss depends on); the peak is a bfloat16 product of two random 8192 × 8192 matrices.
"""

import argparse
import random
import time
from collections.abc import Callable, Collection, Sequence

import numpy as np
import pytest
import torch

from dtclaims.lab.data.trajectories import Trajectories
from dtclaims.lab.data.windows import ACTION_PADDING, Batch, WindowSampler
from dtclaims.lab.design.scales import SCALES
from dtclaims.lab.design.spec import Budget
from dtclaims.lab.design.tasks import MAX_EPISODE_STEPS, RETURN_SCALE, get_task
from dtclaims.lab.models import DecisionTransformer, StackConfig
from dtclaims.lab.train.objective import action_loss, make_optimizer
from dtclaims.lab.train.plain import PlainSteps
from dtclaims.lab.train.stacked import WORTH_COMPILING, StackedSteps
from dtclaims.lab.train.stepping import Member
from dtclaims.tests.support.operations import step_operations

TASK = get_task("hopper")
BUDGET = Budget(1, 200, 64, 1e-4, 5000, 1)
SHAPES = {
    "paper, language": StackConfig(12, 768, 12, "gelu_new"),
    "paper, random": StackConfig(12, 768, 1, "relu"),
    "small, language": StackConfig(12, 128, 4, "gelu_new"),
    "small, random": StackConfig(12, 128, 1, "relu"),
    "small, image": StackConfig(24, 96, 3, "quick_gelu", norm="rms"),
}
TOGETHER = {"paper": (1, 4), "small": (1, 5, 30)}
"""Runs of a group, by scale."""
MINI = StackConfig(12, 32, 2, "gelu_new")


def made_up_data(trajectories: int = 400, steps: int = 500) -> Trajectories:
    source = np.random.default_rng(0)
    total = trajectories * steps
    return Trajectories(
        TASK,
        source.normal(size=(total, TASK.state_dim)).astype(np.float32),
        source.uniform(-1, 1, size=(total, TASK.action_dim)).astype(np.float32),
        source.normal(size=total).astype(np.float32),
        np.full(trajectories, steps, dtype=np.int64),
        np.ones(trajectories, dtype=bool),
    )


def network(config: StackConfig, device: str) -> DecisionTransformer:
    return DecisionTransformer(config, TASK.state_dim, TASK.action_dim, "tied").to(device)


class ReferenceTraining:
    """Batches built sample by sample in Python, eager float32, AdamW one tensor at a time."""

    def __init__(
        self, config: StackConfig, context: int, data: Trajectories, device: str, size: int = BUDGET.batch_size
    ) -> None:
        self.size = size
        self.model, self.context, self.device = network(config, device).train(), context, device
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(), lr=1e-4, weight_decay=1e-4, foreach=False, fused=False
        )
        self.schedule = torch.optim.lr_scheduler.LambdaLR(self.optimizer, lambda step: min((step + 1) / 5000, 1))
        self.parts = list(data.slices())
        self.shares = data.lengths / data.lengths.sum()
        self.data, self.mean, self.std = data, data.state_mean, data.state_std

    def batch(self) -> Batch:
        chosen = np.random.choice(len(self.parts), size=self.size, replace=True, p=self.shares)
        columns: list[list[np.ndarray]] = [[] for _ in range(5)]
        for number in chosen:
            part = self.parts[number]
            start = random.randint(0, part.stop - part.start - 1)
            window = slice(part.start + start, min(part.start + start + self.context, part.stop))
            states, actions = self.data.observations[window][None], self.data.actions[window][None]
            real = states.shape[1]
            times = np.arange(start, start + real)[None]
            times[times >= MAX_EPISODE_STEPS] = MAX_EPISODE_STEPS - 1
            rewards = self.data.rewards[window.start : part.stop]
            to_go = np.cumsum(rewards[::-1])[::-1][:real].reshape(1, -1, 1)
            empty = self.context - real
            states = np.concatenate([np.zeros((1, empty, TASK.state_dim)), states], axis=1)
            columns[0].append((states - self.mean) / self.std)
            columns[1].append(np.concatenate([np.full((1, empty, TASK.action_dim), ACTION_PADDING), actions], axis=1))
            columns[2].append(np.concatenate([np.zeros((1, empty, 1)), to_go], axis=1) / RETURN_SCALE)
            columns[3].append(np.concatenate([np.zeros((1, empty)), times], axis=1))
            columns[4].append(np.concatenate([np.zeros((1, empty)), np.ones((1, real))], axis=1))
        arrays = [torch.from_numpy(np.concatenate(column, axis=0)) for column in columns]
        kinds = (torch.float32, torch.float32, torch.float32, torch.long, torch.bool)
        return Batch(*(one.to(device=self.device, dtype=kind) for one, kind in zip(arrays, kinds, strict=True)))

    def steps(self, count: int) -> None:
        for _ in range(count):
            loss, _ = action_loss(self.model, self.batch())
            self.optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), 0.25)
            self.optimizer.step()
            self.schedule.step()
            # The reference reads the loss of every step.
            loss.detach().cpu().item()


def ours(
    config: StackConfig,
    context: int,
    data: Trajectories,
    precision: str,
    runs: int = 1,
    *,
    device: str = "cuda",
    compiling: bool = True,
) -> Callable[[int], None]:
    """A function that trains so many steps of each of so many runs, together."""
    sampler = WindowSampler(data, context)
    members = []
    for _ in range(runs):
        model = network(config, device)
        members.append(Member(model, make_optimizer(model, BUDGET, 1e-8), sampler, 0.25))
    stacked = StackedSteps(members, BUDGET, precision, steps=WORTH_COMPILING if compiling else 0)

    def steps(count: int) -> None:
        starts = sampler.draw(count * BUDGET.batch_size, np.random.default_rng(0)).reshape(count, -1)
        for begin in range(0, count, BUDGET.steps_per_epoch):
            chosen = starts[begin : begin + BUDGET.steps_per_epoch]
            logged = stacked.epoch([chosen] * runs, [begin] * runs, list(range(runs)))
            assert all(torch.isfinite(losses).all() for losses, _, _ in logged)

    return steps


def seconds(training: Callable[[int], None], count: int) -> float:
    """Time of one step of all runs of a group."""
    torch.cuda.synchronize()
    began = time.perf_counter()
    training(count)
    torch.cuda.synchronize()
    return (time.perf_counter() - began) / count


def peak() -> float:
    """FLOP/s of a large bfloat16 product."""
    a, b = (torch.randn(8192, 8192, device="cuda", dtype=torch.bfloat16) for _ in range(2))
    for _ in range(3):
        a @ b
    torch.cuda.synchronize()
    began = time.perf_counter()
    for _ in range(20):
        a @ b
    torch.cuda.synchronize()
    return 2 * 8192**3 * 20 / (time.perf_counter() - began)


def table(shapes: Collection[str] = tuple(SHAPES), contexts: Sequence[int] = (20, 1)) -> None:
    """Print reference-style and ours, for every shape, context and number of runs.

    Args:
        shapes: names of those to time.
        contexts: K of each.
    """
    data, most = made_up_data(), peak()
    print(
        f"{torch.cuda.get_device_name()}, torch {torch.__version__}, batch {BUDGET.batch_size}, peak {most / 1e12:.0f}"
    )
    print(f"{'shape':16} {'K':>2} {'training':28} {'runs':>4} {'ms/run-step':>11} {'TFLOP/s':>8} {'of peak':>7}  start")
    for name in shapes:
        config = SHAPES[name]
        for context in contexts:
            work = step_operations(network(config, "cpu"), BUDGET.batch_size, context)

            def line(training: str, runs: int, took: float, start: float = 0.0, *, of=(name, context, work)) -> None:
                rate = of[2] * runs / took
                figures = f"{took / runs * 1e3:11.3f} {rate / 1e12:8.1f} {rate / most:7.1%} {start:5.0f} s"
                print(f"{of[0]:16} {of[1]:2} {training:28} {runs:4} {figures}", flush=True)

            reference = ReferenceTraining(config, context, data, "cuda")
            reference.steps(3)
            line("reference-style float32", 1, seconds(reference.steps, 10))
            del reference
            for runs in TOGETHER[name.partition(",")[0]]:
                began = time.perf_counter()
                training = ours(config, context, data, "bfloat16", runs)
                training(3)
                start = time.perf_counter() - began
                took = min(seconds(training, BUDGET.steps_per_epoch // 2) for _ in range(2))
                line("ours bfloat16, compiled", runs, took, start)
                del training
                torch.cuda.empty_cache()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("way", ["reference-style", "float32", "bfloat16"])
@pytest.mark.parametrize("context", [1, 20])
def test_paper_size_on_gpu(benchmark, context: int, way: str) -> None:
    """Ten steps at 12 × 768, batch 64; the goal is 6 ms a step at K=20 and 1.6 ms at K=1, which takes bfloat16."""
    benchmark.group = f"10 training steps, paper size, K={context}, GPU"
    data, config = made_up_data(), SHAPES["paper, language"]
    if way == "reference-style":
        steps = ReferenceTraining(config, context, data, "cuda").steps
    else:
        steps = ours(config, context, data, way)
    benchmark.pedantic(steps, args=(10,), rounds=3, warmup_rounds=1)


@pytest.mark.parametrize("way", ["reference-style", "ours"])
@pytest.mark.parametrize("context", [1, 20])
def test_mini_on_cpu(benchmark, context: int, way: str) -> None:
    """Twenty steps, an epoch of the mini scale, at its batch size; one thread."""
    budget = SCALES["mini"].budget
    count = budget.steps_per_epoch
    benchmark.group = f"{count} training steps, mini, K={context}, batch {budget.batch_size}, CPU"
    data = made_up_data(40)
    if way == "reference-style":
        steps = ReferenceTraining(MINI, context, data, "cpu", budget.batch_size).steps
    else:
        model, sampler = network(MINI, "cpu"), WindowSampler(data, context)
        plain = PlainSteps([Member(model, make_optimizer(model, budget, 1e-8), sampler, 0.25)], budget)
        starts = sampler.draw(count * budget.batch_size, np.random.default_rng(0)).reshape(count, -1)

        def steps(count: int) -> None:
            ((losses, _, _),) = plain.epoch([starts[:count]], [0], [0])
            assert torch.isfinite(losses).all()

    benchmark.pedantic(steps, args=(count,), rounds=3, warmup_rounds=1)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Speed of training on a GPU.")
    parser.add_argument("shapes", nargs="*", default=list(SHAPES), help="of the networks; else all")
    parser.add_argument("--context", type=int, nargs="+", default=[20, 1], help="K")
    options = parser.parse_args()
    table(options.shapes, options.context)
