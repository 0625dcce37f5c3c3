"""What a step minimises, with which optimiser, and at what rate (protocol §4)."""

from typing import overload

import torch
from torch import Tensor, nn

from dtclaims.lab.data.windows import Batch
from dtclaims.lab.design.spec import Budget

SATURATED = 0.99
"""A tanh output past this counts as saturated (DEV-11)."""


def imitation_error(predicted: Tensor, actions: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Mean squared error over real steps and action dimensions, and the share of saturated predictions (DEV-11).

    Args:
        predicted: (B, K, A).
        actions: (B, K, A).
        mask: (B, K) bool, True on real steps.
    """
    real = mask[..., None]
    count = real.sum() * predicted.shape[-1]
    loss = torch.where(real, predicted - actions, 0.0).square().sum() / count
    saturated = ((predicted.detach().abs() > SATURATED) & real).sum() / count
    return loss, saturated


def action_loss(model: nn.Module, batch: Batch) -> tuple[Tensor, Tensor]:
    """`imitation_error` of what `model` predicts for `batch`."""
    predicted = model(batch.states, batch.actions, batch.returns_to_go, batch.timesteps, batch.mask)
    return imitation_error(predicted, batch.actions, batch.mask)


@overload
def learning_rate(budget: Budget, step: int) -> float: ...
@overload
def learning_rate(budget: Budget, step: Tensor) -> Tensor: ...
def learning_rate(budget: Budget, step: int | Tensor) -> float | Tensor:
    """Rate of step 0, 1, …: a linear warm-up, constant afterwards. A step on a device gives the rate there."""
    share = (step + 1) / budget.warmup_steps
    return budget.learning_rate * (share.clamp(max=1.0) if isinstance(share, Tensor) else min(share, 1.0))


def make_optimizer(model: nn.Module, budget: Budget, adam_eps: float) -> torch.optim.AdamW:
    """AdamW with decay on every parameter (DEV-03).

    It holds the hyperparameters and the state of a run on any device. On a CPU it takes the steps too; the captured
    ones (`FlatAdamW`) are the same formula over one vector.
    """
    return torch.optim.AdamW(
        model.parameters(),
        lr=budget.learning_rate,
        betas=(0.9, 0.999),
        eps=adam_eps,
        weight_decay=budget.weight_decay,
        fused=True,
    )
