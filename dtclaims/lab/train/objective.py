"""What a step minimises, and at what rate (protocol §4)."""

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


def learning_rate(budget: Budget, step: int) -> float:
    """Rate of step 0, 1, …: a linear warm-up, constant afterwards."""
    return budget.learning_rate * min((step + 1) / budget.warmup_steps, 1.0)
