"""What a checkpoint brings to a network before any update: where its head stands, and what its biases are like.

    python -m dtclaims.tests.support.untrained --scale full --arm language_pretrained random_matched synthetic_markov

A study of pre-trained weights tells this beside its results, of the very checkpoints that it used
(`claims/evidence/registered/README.md`). Without context: the stack sees return-to-go and state of one step, standard
normal states, the task's target, any time of an episode.
"""

import argparse
import math
from dataclasses import asdict, dataclass, fields

import numpy as np
import torch
from torch import Tensor

from dtclaims.lab.design.arms import get_arm
from dtclaims.lab.design.scales import SCALES, get_scale
from dtclaims.lab.design.tasks import ALL_TASKS, MAX_EPISODE_STEPS, RETURN_SCALE, get_task
from dtclaims.lab.inputs import Inputs, backbones_for
from dtclaims.lab.models.arms import build_model
from dtclaims.lab.models.decision_transformer import DecisionTransformer
from dtclaims.seeding import generator

STATES = 4096
HEADS = ("tied", "tied_low_scale", "untied")
PAST = 0.99


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
    gain: float
    """Root mean square of the final norm's weight."""
    query: float
    """Standard deviation of the biases of queries, of keys, and of values, all blocks together."""
    key: float
    value: float


@torch.no_grad()
def untrained(arm: str, head: str, seed: int, scale: str, task: str) -> Untrained:
    """Build a network as a run does, and look at what it says of some states.

    Raises:
        BackboneError: a checkpoint that the arm needs is not at hand.
    """
    described = get_task(task)
    backbones = Inputs(task, {}, backbones_for(arm, get_scale(scale))).load_backbones()
    architecture = "matched" if get_arm(arm).shape == "random" else "own"
    model = build_model(arm, task=described, head=head, architecture=architecture, backbones=backbones, seed=seed)
    assert isinstance(model, DecisionTransformer)
    draw = generator(seed, "states of untrained networks")
    states = torch.from_numpy(draw.standard_normal((STATES, 1, described.state_dim), dtype=np.float32))
    actions = torch.zeros(STATES, 1, described.action_dim)
    target = torch.full((STATES, 1, 1), described.target / RETURN_SCALE)
    times = torch.from_numpy(draw.integers(MAX_EPISODE_STEPS, size=(STATES, 1)))
    sums: list[Tensor] = []
    head_of = model.act

    def told(out: Tensor) -> Tensor:
        acted = head_of(out)
        linear = model.predict_action
        sums.append(linear(out) if linear is not None else out @ model.embed_action.weight)
        return acted

    model.eval()
    model.act = told  # type: ignore[method-assign]
    predicted = model(states, actions, target, times, torch.ones(STATES, 1, dtype=torch.bool))
    biases = torch.stack([block.attn.c_attn.bias for block in model.transformer.h])
    query, key, value = (float(one.std()) for one in biases.chunk(3, dim=1))
    gain = model.transformer.ln_f.weight
    return Untrained(
        arm, head, seed, float((predicted.abs() > PAST).float().mean()), _rms(sums[0]), _rms(gain), query, key, value
    )


def _rms(of: Tensor) -> float:
    return math.sqrt(float(of.square().mean()))


def table(found: list[Untrained]) -> list[str]:
    """Markdown: a row for each arm and head, means over seeds."""
    names = [one.name for one in fields(Untrained) if one.name not in ("arm", "head", "seed")]
    rows = [f"| arm | head | {' | '.join(names)} |", "|---" * (2 + len(names)) + "|"]
    for arm, head in dict.fromkeys((one.arm, one.head) for one in found):
        some = [asdict(one) for one in found if (one.arm, one.head) == (arm, head)]
        means = " | ".join(f"{sum(one[name] for one in some) / len(some):.3g}" for name in names)
        rows.append(f"| {arm} | {head} | {means} |")
    return rows


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", choices=list(SCALES), default="small")
    parser.add_argument("--task", choices=ALL_TASKS, default="hopper")
    parser.add_argument("--arm", nargs="+", required=True)
    parser.add_argument("--head", nargs="+", choices=HEADS, default=HEADS)
    parser.add_argument("--seed", nargs="+", type=int, default=(0, 1, 2))
    options = parser.parse_args()
    found = [
        untrained(arm, head, seed, options.scale, options.task)
        for arm in options.arm
        for head in options.head
        for seed in options.seed
    ]
    print(*table(found), sep="\n")


if __name__ == "__main__":
    main()
