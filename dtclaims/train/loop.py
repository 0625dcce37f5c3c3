"""Fine-tuning of one run: the reference's loop (protocol §4), written to be read."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from dtclaims.data.physics import BatchedEnv
from dtclaims.data.trajectories import Trajectories
from dtclaims.data.windows import Batch, WindowSampler
from dtclaims.errors import RunFailed
from dtclaims.models import Backbone, DecisionTransformer, build_model
from dtclaims.runs.spec import Budget, RunSpec
from dtclaims.seeding import derive, generator
from dtclaims.train.evaluate import evaluate, physics_threads

SATURATED = 0.99
"""A tanh output past this counts as saturated (DEV-11)."""

Progress = Callable[[int, int], None]
"""Called with (steps done, steps in all)."""


@dataclass
class RunResult:
    """Curves and checkpoints of one finished run."""

    curves: dict[str, list[float]]
    """One value per epoch 1…E: `return_mean`, `return_std`, `length_mean` of the evaluation episodes;
    `action_error` = loss of the epoch's last minibatch, dropout on, as the reference logs it (DEV-12);
    `loss_mean`; `gradient_norm` (mean, before clipping), `clipped` (share of steps whose gradient was
    clipped) and `saturated` (share of predicted action coordinates past ±0.99)."""
    checkpoints: dict[int, dict[str, Tensor]] = field(default_factory=dict)
    """Parameters at the kept epochs, on the CPU."""
    seconds: float = 0.0


def action_loss(model: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
    """Mean squared error over real steps and action dimensions, and the share of saturated predictions (DEV-11)."""
    predicted = model(batch.states, batch.actions, batch.returns_to_go, batch.timesteps, batch.mask)
    real = batch.mask[..., None]
    count = real.sum() * predicted.shape[-1]
    loss = torch.where(real, predicted - batch.actions, 0.0).square().sum() / count
    saturated = ((predicted.detach().abs() > SATURATED) & real).sum() / count
    return loss, saturated


def update(
    model: nn.Module,
    batch: Batch,
    optimizer: torch.optim.Optimizer,
    schedule: torch.optim.lr_scheduler.LRScheduler,
    gradient_clip: float | None,
) -> tuple[Tensor, Tensor, Tensor]:
    """One step of the reference: loss, clipped gradient, AdamW, learning rate.

    Returns:
        Loss, gradient norm over all parameters before clipping, share of saturated predictions; scalars on the device.
    """
    loss, saturated = action_loss(model, batch)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    # One factor for all parameters: min(1, clip / (norm + 1e-6)).
    norm = torch.nn.utils.clip_grad_norm_(model.parameters(), math.inf if gradient_clip is None else gradient_clip)
    optimizer.step()
    schedule.step()
    return loss.detach(), norm, saturated


def make_optimizer(
    model: nn.Module, budget: Budget, adam_eps: float
) -> tuple[torch.optim.AdamW, torch.optim.lr_scheduler.LambdaLR]:
    """AdamW with decay on every parameter (DEV-03) and a linear warm-up, constant afterwards."""
    optimizer = torch.optim.AdamW(
        model.parameters(),
        lr=budget.learning_rate,
        betas=(0.9, 0.999),
        eps=adam_eps,
        weight_decay=budget.weight_decay,
        fused=True,
    )
    warmup = budget.warmup_steps
    return optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min((step + 1) / warmup, 1.0))


def train(
    spec: RunSpec,
    data: Trajectories,
    backbone: Backbone,
    *,
    device: torch.device | str = "cpu",
    progress: Progress | None = None,
) -> RunResult:
    """Fine-tune one model and evaluate it after every epoch.

    Batches and evaluation seeds depend on the run's seed alone, so arms of one seed see the same data
    in the same order and the same initial states: the effects of a claim are paired.

    Raises:
        RunFailed: the loss stopped being finite.
    """
    started = time.monotonic()
    budget, task = spec.budget, data.task
    model = build_model(
        spec.arm, task=task, head=spec.head, architecture=spec.architecture, backbone=backbone, seed=spec.seed
    ).to(device)
    optimizer, schedule = make_optimizer(model, budget, spec.adam_eps)
    sampler = WindowSampler(data, spec.context, device)
    env = BatchedEnv(task, budget.evaluation_episodes, physics_threads(device))
    batches = generator(spec.seed, "batches")
    torch.manual_seed(derive(spec.seed, f"dropout/{spec.name}"))

    curves: dict[str, list[float]] = {}
    checkpoints = {0: _snapshot(model)}
    total = budget.epochs * budget.steps_per_epoch
    for epoch in range(1, budget.epochs + 1):
        model.train()
        starts = sampler.draw(budget.steps_per_epoch * budget.batch_size, batches).reshape(-1, budget.batch_size)
        losses: list[Tensor] = []
        norms: list[Tensor] = []
        saturated: list[Tensor] = []
        for step, chosen in enumerate(starts):
            batch = sampler.gather(chosen)
            logged_step = update(model, batch, optimizer, schedule, budget.gradient_clip)
            for values, value in zip((losses, norms, saturated), logged_step, strict=True):
                values.append(value)
            if progress is not None:
                progress((epoch - 1) * budget.steps_per_epoch + step + 1, total)
        loss_values, norm_values = torch.stack(losses).cpu(), torch.stack(norms).cpu()
        if not torch.isfinite(loss_values).all():
            bad = int((~torch.isfinite(loss_values)).nonzero()[0]) + (epoch - 1) * budget.steps_per_epoch + 1
            raise RunFailed(
                f"the loss of {spec.name} stopped being finite",
                given=f"step {bad} of {total}",
                remedy=f"The last sound checkpoint is of epoch {max(checkpoints)}.",
            )
        rollouts = evaluate(
            model,
            env,
            seeds=[derive(spec.seed, f"evaluate/{epoch}/{i}") % 2**31 for i in range(budget.evaluation_episodes)],
            target=task.target,
            context=spec.context,
            state_mean=data.state_mean,
            state_std=data.state_std,
            action_dim=task.action_dim,
            device=device,
        )
        logged = {
            "return_mean": rollouts.returns.mean(),
            "return_std": rollouts.returns.std(),
            "length_mean": rollouts.lengths.mean(),
            "action_error": loss_values[-1],
            "loss_mean": loss_values.mean(),
            "gradient_norm": norm_values.mean(),
            "clipped": (norm_values > budget.gradient_clip).float().mean(),
            "saturated": torch.stack(saturated).mean(),
        }
        for name, value in logged.items():
            curves.setdefault(name, []).append(_finite(name, float(value), spec))
        if epoch in spec.kept_epochs:
            checkpoints[epoch] = _snapshot(model)
    return RunResult(curves, checkpoints, time.monotonic() - started)


def _snapshot(model: DecisionTransformer) -> dict[str, Tensor]:
    return {name: tensor.detach().cpu().clone() for name, tensor in model.state_dict().items()}


def _finite(name: str, value: float, spec: RunSpec) -> float:
    if not math.isfinite(value):
        raise RunFailed(f"{name} of {spec.name} is not finite", given=value)
    return value
