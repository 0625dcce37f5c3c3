"""The updates of a run on a CPU: the reference's loop (protocol §4), written to be read."""

import copy
import math
from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from dtclaims.errors import UsageError
from dtclaims.lab.data.trajectories import Integers
from dtclaims.lab.data.windows import Batch
from dtclaims.lab.design.spec import Budget
from dtclaims.lab.models.policy import Policy
from dtclaims.lab.train.objective import action_loss, learning_rate
from dtclaims.lab.train.precision import TrainPrecision
from dtclaims.lab.train.stepping import Logged, Member, Report


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
    """One update after the other of one run, in float32; see `Steps`.

    Args:
        members: the run, on the CPU.
        budget: of it.
        precision: float32.
        steps: not used.

    Raises:
        UsageError: several runs.
    """

    precisions: ClassVar[tuple[TrainPrecision, ...]] = ("float32",)

    def __init__(
        self, members: Sequence[Member], budget: Budget, precision: TrainPrecision = "float32", *, steps: int = 0
    ) -> None:
        if len(members) != 1:
            raise UsageError("the plain path trains one run at a time", given=len(members))
        (self.member,) = members
        self.networks, self.budget = self.member.model, budget

    def epoch(
        self, starts: Sequence[Integers], done: Sequence[int], seeds: Sequence[int], report: Report | None = None
    ) -> list[Logged]:
        """See `Steps.epoch`."""
        member, (own,), (before,) = self.member, starts, done
        torch.manual_seed(seeds[0])
        member.model.train()
        logged: list[Logged] = []
        for step, chosen in enumerate(own):
            batch, rate = member.sampler.gather(chosen), learning_rate(self.budget, before + step)
            logged.append(update(member.model, batch, member.optimizer, rate, member.gradient_clip))
            if report is not None:
                report(step + 1)
        losses, norms, saturated = (torch.stack(values) for values in zip(*logged, strict=True))
        return [(losses, norms, saturated)]

    @torch.no_grad()
    def errors(self, batches: Sequence[Sequence[Batch]]) -> list[float | None]:
        """See `Steps.errors`."""
        if not batches[0]:
            return [None]
        model = self.member.model.eval()
        errors = [(action_loss(model, batch)[0], batch.mask.sum()) for batch in batches[0]]
        steps = sum(int(count) for _, count in errors)
        return [sum(float(error) * int(count) for error, count in errors) / steps]

    def with_parameters(self, states: Sequence[Mapping[str, Tensor]]) -> Policy:
        """See `Steps.with_parameters`."""
        model = copy.deepcopy(self.member.model)
        model.load_state_dict(states[0])
        return model
