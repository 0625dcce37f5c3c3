"""The updates of a run on a CPU: the reference's loop (protocol §4), written to be read."""

import math
from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor, nn

from dtclaims.lab.data.trajectories import Integers
from dtclaims.lab.data.windows import Batch
from dtclaims.lab.design.spec import Budget
from dtclaims.lab.models.policy import Policy
from dtclaims.lab.train.objective import action_loss, learning_rate
from dtclaims.lab.train.precision import TrainPrecision
from dtclaims.lab.train.stepping import Report


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


class PlainSteps:
    """One update after the other, in float32; see `Steps`.

    Args:
        model: on the CPU.
        optimizer: of its parameters.
        gather: from starts (B,) to a batch.
        budget: of the run.
        gradient_clip: norm to clip to; None for not at all.
        precision: float32.
        steps: not used.
    """

    precisions: ClassVar[tuple[TrainPrecision, ...]] = ("float32",)

    def __init__(
        self,
        model: Policy,
        optimizer: torch.optim.AdamW,
        gather: Callable[[Integers], Batch],
        budget: Budget,
        gradient_clip: float | None,
        precision: TrainPrecision = "float32",
        *,
        steps: int = 0,
    ) -> None:
        self.model, self.optimizer, self.gather = model, optimizer, gather
        self.budget, self.gradient_clip = budget, gradient_clip

    def epoch(
        self, starts: Integers, done: int, seed: int, report: Report | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """See `Steps.epoch`."""
        torch.manual_seed(seed)
        self.model.train()
        logged: list[tuple[Tensor, Tensor, Tensor]] = []
        for step, chosen in enumerate(starts):
            batch, rate = self.gather(chosen), learning_rate(self.budget, done + step)
            logged.append(update(self.model, batch, self.optimizer, rate, self.gradient_clip))
            if report is not None:
                report(step + 1)
        losses, norms, saturated = (torch.stack(values) for values in zip(*logged, strict=True))
        return losses, norms, saturated
