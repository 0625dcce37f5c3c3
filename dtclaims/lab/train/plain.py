"""The updates of a run on a CPU: the reference's step (protocol §4), its parameters and gradients laid end to end."""

import copy
import math
from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from torch import Tensor
from torch.optim.adamw import adamw

from dtclaims.errors import UsageError
from dtclaims.lab.data.trajectories import Integers
from dtclaims.lab.data.windows import Batch
from dtclaims.lab.design.spec import Budget
from dtclaims.lab.models.policy import Policy
from dtclaims.lab.train.alone import ALONE, Alone
from dtclaims.lab.train.flat_adamw import FlatTensors
from dtclaims.lab.train.objective import learning_rate
from dtclaims.lab.train.precision import TrainPrecision
from dtclaims.lab.train.stepping import Logged, Member, Report


class PlainSteps:
    """One update after the other of one run, in float32; see `Steps`.

    The network's parameters, their gradients and their moments are views of one vector each, so that clipping and AdamW
    are a few operations: the networks of the mini scale have 150 to 300 tensors of a few hundred numbers.

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
        self.taken = torch.zeros(1)
        """Steps done."""
        parameters = list(self.networks.parameters())
        self.flat = FlatTensors([parameters], [self.member.optimizer], self.taken, rounds=False)
        for parameter, gradient in zip(parameters, self.flat.gradients, strict=True):
            parameter.grad = gradient[0]
        self.network: Alone = ALONE[self.networks.kind](self.networks)

    def epoch(
        self, starts: Sequence[Integers], done: Sequence[int], seeds: Sequence[int], report: Report | None = None
    ) -> list[Logged]:
        """See `Steps.epoch`."""
        (own,), (before,) = starts, done
        torch.manual_seed(seeds[0])
        self.networks.train()
        self.taken.fill_(before)
        logged: list[Logged] = []
        for step, chosen in enumerate(own):
            logged.append(self.update(self.member.sampler.gather(chosen), learning_rate(self.budget, before + step)))
            if report is not None:
                report(step + 1)
        losses, norms, saturated = (torch.stack(values) for values in zip(*logged, strict=True))
        return [(losses, norms, saturated)]

    def update(self, batch: Batch, rate: float) -> tuple[Tensor, Tensor, Tensor]:
        """One step of the reference: loss, clipped gradient, AdamW at a learning rate.

        Returns:
            Loss, gradient norm over all parameters before clipping, share of saturated predictions; scalars.
        """
        flat, gradient = self.flat, self.flat.gradient
        gradient.zero_()
        loss, saturated = self.network.error(batch)
        loss.backward()  # type: ignore[no-untyped-call]
        norm: Tensor = torch.linalg.vector_norm(gradient)
        clip = math.inf if self.member.gradient_clip is None else self.member.gradient_clip
        # One factor for all parameters: min(1, clip / (norm + 1e-6)).
        gradient.mul_((clip / (norm + 1e-6)).clamp(max=1.0))
        group = self.member.optimizer.param_groups[0]
        beta1, beta2 = group["betas"]
        adamw(
            *([flat.master], [gradient], [flat.mean], [flat.square], [], [self.taken[0]]),
            fused=True,
            amsgrad=False,
            maximize=False,
            lr=rate,
            beta1=beta1,
            beta2=beta2,
            weight_decay=group["weight_decay"],
            eps=group["eps"],
        )
        return loss.detach(), norm, saturated

    @torch.no_grad()
    def errors(self, batches: Sequence[Sequence[Batch]]) -> list[float | None]:
        """See `Steps.errors`."""
        if not batches[0]:
            return [None]
        self.networks.eval()
        errors = [(self.network.error(batch)[0], batch.mask.sum()) for batch in batches[0]]
        steps = sum(int(count) for _, count in errors)
        return [sum(float(error) * int(count) for error, count in errors) / steps]

    def with_parameters(self, states: Sequence[Mapping[str, Tensor]]) -> Policy:
        """See `Steps.with_parameters`."""
        model = copy.deepcopy(self.networks)
        model.load_state_dict(states[0])
        return model
