"""How far training moves an arm's blocks at a learning rate: what the rates of the scales were chosen by.

The paper's language arm ends about 0.12 of its norm away from where it started. At a rate that moves ours much further
or less, another question is asked of the same words ("little change", "unchanged parameters"): see `docs/regime.md`.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from statistics import fmean
from typing import Any

from dtclaims.lab.data.trajectories import Trajectories
from dtclaims.lab.design.scales import Scale
from dtclaims.lab.design.spec import RunSpec, resolve
from dtclaims.lab.design.switches import PROTOCOLS
from dtclaims.lab.models import Backbone
from dtclaims.lab.train.company import Progress
from dtclaims.lab.train.loop import Trainer
from dtclaims.lab.train.precision import TrainPrecision

CONTEXT = 20


@dataclass(frozen=True)
class Ended:
    """One run at one learning rate."""

    arm: str
    seed: int
    learning_rate: float
    displacement: float
    """‖θ − θ0‖ / ‖θ0‖ of the blocks after all epochs."""
    saturated: float
    """Share of predicted action coordinates beyond ±0.99, last epoch."""
    clipped: float
    """Share of all updates whose gradient was clipped."""
    loss: float
    """Mean of the last epoch."""

    def to_json(self) -> dict[str, Any]:
        """As plain data."""
        return asdict(self)


def regime_spec(scale: Scale, task: str, arm: str, seed: int, learning_rate: float) -> RunSpec:
    """The published run of an arm at another rate, K = 20; no roll-outs are taken of it, so one episode is enough."""
    budget = replace(scale.budget, learning_rate=learning_rate, evaluation_episodes=1, fresh_episodes=0)
    return resolve(
        task=task, arm=arm, context=CONTEXT, seed=seed, scale=scale.name, budget=budget, protocol=PROTOCOLS["published"]
    )


def train_at(
    spec: RunSpec,
    data: Trajectories,
    backbones: Mapping[str, Backbone],
    *,
    device: str,
    progress: Progress | None = None,
) -> Ended:
    """Train a run without roll-outs, which no update depends on; on a GPU in bfloat16, as claims do.

    Raises:
        RunFailed: the loss stopped being finite.
    """
    precision: TrainPrecision = "bfloat16" if device.startswith("cuda") else "float32"
    trainer = Trainer(spec, data, backbones, device, precision)
    logged = [trainer.train_epoch(progress) for _ in range(spec.epochs)]
    displacement = trainer.displacement()
    # Arms with blocks only.
    assert displacement is not None
    return Ended(
        spec.arm,
        spec.seed,
        spec.budget.learning_rate,
        displacement,
        logged[-1]["saturated"],
        fmean(one["clipped"] for one in logged),
        logged[-1]["loss_mean"],
    )


def table(ended: list[Ended]) -> list[str]:
    """A Markdown row per arm and learning rate: means over seeds, and each seed's displacement."""
    rows = [
        "| arm | learning rate | displacement | by seed | saturated | clipped | loss |",
        "|---|---|---|---|---|---|---|",
    ]
    for arm, rate in dict.fromkeys((one.arm, one.learning_rate) for one in ended):
        some = [one for one in ended if (one.arm, one.learning_rate) == (arm, rate)]
        by_seed = ", ".join(f"{one.seed}: {one.displacement:.3f}" for one in some)
        mean = {name: fmean(getattr(one, name) for one in some) for name in asdict(some[0]) if name != "arm"}
        rows.append(
            f"| {arm} | {rate:g} | {mean['displacement']:.3f} | {by_seed} | {mean['saturated']:.2f} | "
            f"{mean['clipped']:.2f} | {mean['loss']:.4f} |"
        )
    return rows
