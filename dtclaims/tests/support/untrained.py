"""What a checkpoint brings to a network before any update: where its head stands, and what its biases are like.

    python -m dtclaims.tests.support.untrained --scale full --arm language_pretrained random_matched synthetic_markov

A study of pre-trained weights tells this beside its results, of the very checkpoints that it used
(`claims/evidence/registered/README.md`). Without context: the stack sees return-to-go and state of one step: standard
normal states, the task's target, any time of an episode, or with `--states data` steps of the data that runs at this
scale are trained on (collected first where they are not at hand). `--dropout` looks as training does, with it.
"""

import argparse
import math
from dataclasses import asdict, dataclass, fields
from functools import cache

import numpy as np
import torch
from torch import Tensor

from dtclaims.errors import DataError
from dtclaims.harness.lab import Unavailable
from dtclaims.lab.data.windows import Batch, WindowSampler
from dtclaims.lab.design.arms import get_arm
from dtclaims.lab.design.scales import SCALES, get_scale
from dtclaims.lab.design.tasks import ALL_TASKS, MAX_EPISODE_STEPS, RETURN_SCALE, get_task
from dtclaims.lab.inputs import Inputs, backbones_for, find_data
from dtclaims.lab.models import Backbone
from dtclaims.lab.models.arms import build_model
from dtclaims.lab.models.decision_transformer import DecisionTransformer
from dtclaims.seeding import derive, generator

STATES = 4096
HEADS = ("tied", "tied_low_scale", "untied")
PAST = 0.99


def normal_steps(task: str, seed: int) -> Batch:
    """Standard normal states, the task's target, any time of an episode."""
    described = get_task(task)
    draw = generator(seed, "states of untrained networks")
    states = torch.from_numpy(draw.standard_normal((STATES, 1, described.state_dim), dtype=np.float32))
    return Batch(
        states,
        actions=torch.zeros(STATES, 1, described.action_dim),
        returns_to_go=torch.full((STATES, 1, 1), described.target / RETURN_SCALE),
        timesteps=torch.from_numpy(draw.integers(MAX_EPISODE_STEPS, size=(STATES, 1))),
        mask=torch.ones(STATES, 1, dtype=torch.bool),
    )


def data_steps(sampler: WindowSampler, seed: int) -> Batch:
    """Steps of data, drawn as training draws them."""
    return sampler.gather(sampler.draw(STATES, generator(seed, "steps that untrained networks see")))


@dataclass(frozen=True)
class Untrained:
    """One network at epoch 0."""

    arm: str
    head: str
    seed: int
    past: float
    """Share of action coordinates beyond ±0.99."""
    sums: float
    """Root mean square of what tanh is taken of."""
    offset: float
    """Root mean square over action coordinates of its mean over states."""
    farthest: float
    """Largest such mean, without its sign."""
    spread: float
    """Root mean square over action coordinates of its standard deviation over states."""
    alive: float
    """Of the farthest coordinate, the share of states on which tanh has a slope in float32: past ±9.01 it is 0."""
    gain: float
    """Root mean square of the final norm's weight."""
    query: float
    """Standard deviation of the biases of queries, of keys, and of values, all blocks together."""
    key: float
    value: float
    offsets: tuple[float, ...]
    """Mean over states of each action coordinate's, where `farthest` is one of."""


@cache
def _weights(arm: str, scale: str, task: str) -> dict[str, Backbone]:
    """What an arm starts from, read once for all heads and seeds."""
    return Inputs(task, {}, backbones_for(arm, get_scale(scale))).load_backbones()


@torch.no_grad()
def untrained(
    arm: str, head: str, seed: int, scale: str, task: str, seen: Batch, *, dropout: bool = False
) -> Untrained:
    """Build a network as a run does, and look at what it says of some states, with dropout or without.

    Raises:
        BackboneError: a checkpoint that the arm needs is not at hand.
    """
    architecture = "matched" if get_arm(arm).shape == "random" else "own"
    model = build_model(
        arm,
        task=get_task(task),
        head=head,
        architecture=architecture,
        backbones=_weights(arm, scale, task),
        seed=seed,
    )
    assert isinstance(model, DecisionTransformer)
    sums: list[Tensor] = []
    head_of = model.head_sums

    def told(out: Tensor) -> Tensor:
        sums.append(head_of(out))
        return sums[-1]

    model.train(dropout)
    model.head_sums = told  # type: ignore[method-assign]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive(seed, "dropout of untrained networks"))
        predicted = model(seen.states, seen.actions, seen.returns_to_go, seen.timesteps, seen.mask)
    mean, spread = sums[0].mean((0, 1)), sums[0].std((0, 1))
    biases = torch.stack([block.attn.c_attn.bias for block in model.transformer.h])
    query, key, value = (float(one.std()) for one in biases.chunk(3, dim=1))
    return Untrained(
        arm,
        head,
        seed,
        past=float((predicted.abs() > PAST).float().mean()),
        sums=_rms(sums[0]),
        offset=_rms(mean),
        farthest=float(mean.abs().max()),
        alive=float((predicted[..., mean.abs().argmax()].abs() < 1).float().mean()),
        spread=_rms(spread),
        gain=_rms(model.transformer.ln_f.weight),
        query=query,
        key=key,
        value=value,
        offsets=tuple(mean.tolist()),
    )


def windows_of(task: str, scale: str) -> WindowSampler:
    """What runs of a scale are trained on, one step at a time.

    Raises:
        DataError: the data are not at hand and cannot be collected.
    """
    found = find_data(task, get_scale(scale))
    if isinstance(found, Unavailable):
        raise DataError(found.reason, given=f"--task {task} --scale {scale}", expected="its data", remedy=found.remedy)
    return WindowSampler(Inputs(task, found, {}).load_data(), 1)


def _rms(of: Tensor) -> float:
    return math.sqrt(float(of.square().mean()))


def table(found: list[Untrained], *, by_seed: bool = False) -> list[str]:
    """Markdown: a row for each arm and head, means over seeds, or one for each seed, with the offsets one by one."""
    same = ("arm", "head", "seed") if by_seed else ("arm", "head")
    names = [one.name for one in fields(Untrained) if one.name not in ("arm", "head", "seed", "offsets")]
    columns = (*same, *names, *["offsets"] * by_seed)
    rows = [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    told = [asdict(one) for one in found]
    for which in dict.fromkeys(tuple(one[name] for name in same) for one in told):
        some = [one for one in told if tuple(one[name] for name in same) == which]
        means = [f"{sum(one[name] for one in some) / len(some):.3g}" for name in names]
        apart = [", ".join(f"{one:.3g}" for one in some[0]["offsets"])] if by_seed else []
        rows.append(f"| {' | '.join((*map(str, which), *means, *apart))} |")
    return rows


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", choices=list(SCALES), default="small")
    parser.add_argument("--task", choices=ALL_TASKS, default="hopper")
    parser.add_argument("--arm", nargs="+", required=True)
    parser.add_argument("--head", nargs="+", choices=HEADS, default=HEADS)
    parser.add_argument("--seed", nargs="+", type=int, default=(0, 1, 2))
    parser.add_argument("--states", choices=("normal", "data"), default="normal")
    parser.add_argument("--dropout", action="store_true")
    parser.add_argument("--by-seed", action="store_true")
    options = parser.parse_args()
    windows = windows_of(options.task, options.scale) if options.states == "data" else None
    seen = {
        seed: normal_steps(options.task, seed) if windows is None else data_steps(windows, seed)
        for seed in options.seed
    }
    found = [
        untrained(arm, head, seed, options.scale, options.task, seen[seed], dropout=options.dropout)
        for arm in options.arm
        for head in options.head
        for seed in options.seed
    ]
    print(*table(found, by_seed=options.by_seed), sep="\n")


if __name__ == "__main__":
    main()
