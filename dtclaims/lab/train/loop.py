"""Fine-tuning of one run: the reference's loop (protocol §4), written to be read."""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from dtclaims.errors import RunFailed, UsageError
from dtclaims.lab.data.physics import BatchedEnv
from dtclaims.lab.data.split import split_trajectories
from dtclaims.lab.data.trajectories import Trajectories
from dtclaims.lab.data.windows import Batch, WindowSampler
from dtclaims.lab.design.spec import Budget, RunSpec
from dtclaims.lab.models import Backbone, build_model
from dtclaims.lab.train.evaluate import evaluate, physics_threads
from dtclaims.lab.train.fast import WORTH_COMPILING, FastTraining
from dtclaims.lab.train.lanes import LaneRollouts
from dtclaims.lab.train.objective import action_loss, learning_rate
from dtclaims.lab.train.precision import PRECISIONS, TrainPrecision
from dtclaims.lab.train.rollouts import Precision, Rollouts, View
from dtclaims.seeding import derive, generator

HELD_OUT_CHUNK = 512

Progress = Callable[[int, int], None]
"""Called with (steps done, steps in all)."""


@dataclass
class RunResult:
    """Curves and checkpoints of one finished run."""

    curves: dict[str, list[float]]
    """One value per epoch 1…E: `return_mean`, `return_std`, `length_mean` of the evaluation episodes;
    `action_error` = loss of the epoch's last minibatch, dropout on, as the reference logs it (DEV-12);
    `held_out_error` = eval-mode error on trajectories kept out, where the run keeps some; `loss_mean`;
    `gradient_norm` (mean, before clipping), `clipped` (share of steps whose gradient was longer than the
    clipping norm) and `saturated` (share of predicted action coordinates past ±0.99)."""
    checkpoints: dict[int, dict[str, Tensor]] = field(default_factory=dict)
    """Parameters at the kept epochs, on the CPU."""
    diagnostics: dict[str, float] = field(default_factory=dict)
    """`constant_error`: the error of the best constant prediction of the training actions (DEV-11)."""
    seconds: float = 0.0


def training_part(data: Trajectories, spec: RunSpec) -> tuple[Trajectories, Trajectories | None]:
    """What a run trains on, and what it keeps out of training, if anything (DEV-12)."""
    if not spec.held_out:
        return data, None
    return split_trajectories(data, seed=spec.seed, min_steps=spec.budget.held_out_steps)


def make_optimizer(model: nn.Module, budget: Budget, adam_eps: float) -> torch.optim.AdamW:
    """AdamW with decay on every parameter (DEV-03)."""
    return torch.optim.AdamW(
        model.parameters(),
        lr=budget.learning_rate,
        betas=(0.9, 0.999),
        eps=adam_eps,
        weight_decay=budget.weight_decay,
        fused=True,
    )


def update(
    model: nn.Module, batch: Batch, optimizer: torch.optim.Optimizer, rate: float, gradient_clip: float | None
) -> tuple[Tensor, Tensor, Tensor]:
    """One step of the reference: loss, clipped gradient, AdamW at a learning rate.

    Returns:
        Loss, gradient norm over all parameters before clipping, share of saturated predictions; scalars on the device.
    """
    loss, saturated = action_loss(model, batch)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    # One factor for all parameters: min(1, clip / (norm + 1e-6)).
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), math.inf if gradient_clip is None else gradient_clip)
    for group in optimizer.param_groups:
        group["lr"] = rate
    optimizer.step()
    return loss.detach(), norm, saturated


class Trainer:
    """A run between two epochs. Its state is all that the rest of the run depends on.

    Draws depend on (seed, purpose, epoch) alone. Arms of one seed see the same windows in the same order and the
    same initial states, so that the effects of a claim are paired; under `published` only weights are shared, as in
    the reference, whose data order and environments are not seeded (DEV-21).

    Args:
        spec: the run.
        data: all trajectories.
        backbones: by source, those the arm needs.
        device: where it trains: on a CPU by the plain loop below, on a GPU by the captured one (`FastTraining`).
        precision: see `TrainPrecision`; roll-outs are then in bfloat16 too, or else in float32.
        threads: that step the physics of the roll-outs; None is `physics_threads`, as if the run were alone.

    Raises:
        UsageError: another precision than float32 on a CPU.
    """

    def __init__(
        self,
        spec: RunSpec,
        data: Trajectories,
        backbones: Mapping[str, Backbone],
        device: torch.device | str = "cpu",
        precision: TrainPrecision = "float32",
        threads: int | None = None,
    ) -> None:
        self.spec = spec
        self.device = torch.device(device)
        if precision not in (PRECISIONS if self.device.type == "cuda" else ("float32",)):
            raise UsageError(
                "precision of training",
                given=f"{precision} on {self.device.type}",
                expected="float32 on a CPU; float32, tf32 or bfloat16 on a GPU",
            )
        self.precision = precision
        self.data, held_out = training_part(data, spec)
        self.task = data.task
        self.model = build_model(
            spec.arm,
            task=self.task,
            head=spec.head,
            architecture=spec.architecture,
            backbones=backbones,
            seed=spec.seed,
        ).to(device)
        self.optimizer = make_optimizer(self.model, spec.budget, spec.adam_eps)
        self.sampler = WindowSampler(self.data, spec.context, device)
        self.env = BatchedEnv(self.task, spec.budget.evaluation_episodes, threads or physics_threads(device))
        self.epoch = 0
        """Epochs done."""
        self.curves: dict[str, list[float]] = {}
        self._held_out = self._held_out_batches(held_out) if held_out is not None else []
        self._fast: FastTraining | None = None
        self._lanes: LaneRollouts | None = None

    def _held_out_batches(self, held_out: Trajectories) -> list[Batch]:
        sampler = WindowSampler(held_out, self.spec.context, self.device, statistics_of=self.data)
        count = math.ceil(self.spec.budget.held_out_steps / self.spec.context)
        starts = sampler.draw(count, generator(self.spec.seed, "held_out"))
        return [sampler.gather(starts[i : i + HELD_OUT_CHUNK]) for i in range(0, count, HELD_OUT_CHUNK)]

    def _purpose(self, what: str) -> str:
        return what if self.spec.paired else f"{what}/{self.spec.arm}/K{self.spec.context}"

    def run_epoch(self, progress: Progress | None = None) -> None:
        """Train one epoch, evaluate, log.

        Raises:
            RunFailed: the loss stopped being finite.
        """
        budget, epoch = self.spec.budget, self.epoch + 1
        losses, norms, saturated = self._train_epoch(epoch, progress)
        if not torch.isfinite(losses).all():
            step = int((~torch.isfinite(losses)).nonzero()[0]) + self.epoch * budget.steps_per_epoch + 1
            raise RunFailed(
                f"the loss of {self.spec.name} stopped being finite",
                given=f"step {step} of {self.spec.epochs * budget.steps_per_epoch}",
                remedy=f"The last sound epoch is {self.epoch}.",
            )
        rollouts = self._roll_out(epoch)
        logged = {
            "return_mean": rollouts.returns.mean(),
            "return_std": rollouts.returns.std(),
            "length_mean": rollouts.lengths.mean(),
            "action_error": losses[-1],
            "loss_mean": losses.mean(),
            "gradient_norm": norms.mean(),
            "clipped": (norms > budget.gradient_clip).float().mean(),
            "saturated": saturated.mean(),
        }
        if self._held_out:
            logged["held_out_error"] = self._held_out_error()
        for name, value in logged.items():
            self.curves.setdefault(name, []).append(self._finite(name, float(value)))
        self.epoch = epoch

    def _train_epoch(self, epoch: int, progress: Progress | None) -> tuple[Tensor, Tensor, Tensor]:
        """One epoch of updates; loss, gradient norm and saturation of every step, on the CPU."""
        budget, spec = self.spec.budget, self.spec
        stream = generator(spec.seed, f"{self._purpose('batches')}/{epoch}")
        starts = self.sampler.draw(budget.steps_per_epoch * budget.batch_size, stream).reshape(-1, budget.batch_size)
        done, total = self.epoch * budget.steps_per_epoch, spec.epochs * budget.steps_per_epoch
        report = None if progress is None else lambda step: progress(done + step, total)
        dropout = derive(spec.seed, f"dropout/{spec.arm}/K{spec.context}/{epoch}")
        if self.device.type == "cuda":
            if self._fast is None:
                self._fast = FastTraining(
                    self.model,
                    self.optimizer,
                    self.sampler.gather,
                    budget,
                    spec.gradient_clip,
                    self.precision,
                    compiling=total >= WORTH_COMPILING,
                )
            return self._fast.epoch(starts, done, dropout, report)
        torch.manual_seed(dropout)
        self.model.train()
        logged: list[tuple[Tensor, Tensor, Tensor]] = []
        for step, chosen in enumerate(starts):
            batch, rate = self.sampler.gather(chosen), learning_rate(budget, done + step)
            logged.append(update(self.model, batch, self.optimizer, rate, spec.gradient_clip))
            if report is not None:
                report(step + 1)
        losses, norms, saturated = (torch.stack(values) for values in zip(*logged, strict=True))
        return losses, norms, saturated

    def _roll_out(self, epoch: int) -> Rollouts:
        """The evaluation episodes of an epoch; on a GPU what they are computed with is kept for the next."""
        seeds = [
            derive(self.spec.seed, f"{self._purpose('evaluate')}/{epoch}/{i}") % 2**31
            for i in range(self.spec.budget.evaluation_episodes)
        ]
        view = View(
            self.task.target, self.spec.context, self.data.state_mean, self.data.state_std, self.task.action_dim
        )
        if self.device.type == "cuda":
            if self._lanes is None:
                precision: Precision = "bfloat16" if self.precision == "bfloat16" else "float32"
                self._lanes = LaneRollouts(self.model, self.env, view, self.device, precision)
            return self._lanes.run(seeds)
        return evaluate(self.model, self.env, seeds=seeds, **vars(view), device=self.device)

    @torch.no_grad()
    def _held_out_error(self) -> float:
        self.model.eval()
        errors = [(action_loss(self.model, batch)[0], batch.mask.sum()) for batch in self._held_out]
        steps = sum(int(count) for _, count in errors)
        return sum(float(error) * int(count) for error, count in errors) / steps

    def constant_error(self) -> float:
        """Error of the best constant prediction of the training actions (DEV-11)."""
        return float(self.data.actions.var(axis=0).mean())

    def parameters(self) -> dict[str, Tensor]:
        """The model's parameters, copied to the CPU."""
        return {name: tensor.detach().cpu().clone() for name, tensor in self.model.state_dict().items()}

    def state(self) -> dict[str, Any]:
        """All that the rest of the run depends on: tensors (copies, on the CPU), numbers and lists of them."""
        return {
            "epoch": self.epoch,
            "curves": {name: list(values) for name, values in self.curves.items()},
            "model": self.parameters(),
            "optimizer": _copied(self.optimizer.state_dict()),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take up a state of this run; what follows is then what it would have been."""
        self.epoch = state["epoch"]
        self.curves = {name: list(values) for name, values in state["curves"].items()}
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        # Their graphs hold the tensors that were replaced.
        self._fast = self._lanes = None

    def _finite(self, name: str, value: float) -> float:
        if not math.isfinite(value):
            raise RunFailed(f"{name} of {self.spec.name} is not finite", given=value)
        return value


def _copied(state: Any) -> Any:
    """The same nest of dicts and lists with every tensor copied to the CPU."""
    if isinstance(state, Tensor):
        return state.detach().cpu().clone()
    if isinstance(state, dict):
        return {key: _copied(value) for key, value in state.items()}
    return [_copied(value) for value in state] if isinstance(state, list | tuple) else state


def train(
    spec: RunSpec,
    data: Trajectories,
    backbones: Mapping[str, Backbone],
    *,
    device: torch.device | str = "cpu",
    precision: TrainPrecision = "float32",
    progress: Progress | None = None,
) -> RunResult:
    """Fine-tune one model and evaluate it after every epoch.

    Raises:
        RunFailed: the loss stopped being finite.
        UsageError: another precision than float32 on a CPU.
    """
    started = time.monotonic()
    trainer = Trainer(spec, data, backbones, device, precision)
    checkpoints = {}
    while trainer.epoch < spec.epochs:
        trainer.run_epoch(progress)
        if trainer.epoch in spec.kept_epochs:
            checkpoints[trainer.epoch] = trainer.parameters()
    return RunResult(
        trainer.curves, checkpoints, {"constant_error": trainer.constant_error()}, time.monotonic() - started
    )
