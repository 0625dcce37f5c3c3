"""AdamW of R networks of one shape over one matrix: a step is a handful of kernels however many tensors there are."""

from collections.abc import Callable, Collection, Sequence

import torch
from torch import Tensor, nn

from dtclaims.lab.design.spec import Budget
from dtclaims.lab.train.objective import learning_rate

ALIGNMENT = 64
"""Elements that each tensor's place is rounded up to: matrix kernels want aligned addresses."""


class FlatTensors:
    """Some parameters of R networks, their Adam state and gradients, each kind laid end to end, a row for each network.

    The parameters become views of `master`, their Adam state in the optimisers views of `mean` and `square`: both are
    updated in place ever after, and read as before.

    Args:
        parameters: of each network, float32, on the device.
        optimizers: of each network, whose state of them is taken over, if there is one.
        rounds: whether the networks compute with bfloat16 copies of them.
        taken: (R,), counts the steps of each network.
    """

    def __init__(
        self,
        parameters: Sequence[Sequence[nn.Parameter]],
        optimizers: Sequence[torch.optim.Optimizer],
        taken: Tensor,
        *,
        rounds: bool,
    ) -> None:
        self.sizes = [one.shape for one in parameters[0]]
        self.places: list[int] = []
        total = 0
        for one in parameters[0]:
            self.places.append(total)
            total += -(-one.numel() // ALIGNMENT) * ALIGNMENT
        device, runs = taken.device, len(parameters)
        self.master, self.mean, self.square = (torch.zeros(runs, total, device=device) for _ in range(3))
        self.rounded = torch.zeros(runs, total, device=device, dtype=torch.bfloat16) if rounds else None
        used = self.master if self.rounded is None else self.rounded
        self.gradient = torch.zeros_like(used)
        self.gradients = self._views(self.gradient)
        for kind, flat in (("exp_avg", self.mean), ("exp_avg_sq", self.square)):
            views = self._views(flat)
            for run, (own, optimizer) in enumerate(zip(parameters, optimizers, strict=True)):
                for one, view in zip(own, views, strict=True):
                    if kind in optimizer.state[one]:
                        view[run].copy_(optimizer.state[one][kind])
                    optimizer.state[one][kind] = view[run]
                    optimizer.state[one]["step"] = taken[run]
        views = self._views(self.master)
        for run, own in enumerate(parameters):
            for one, view in zip(own, views, strict=True):
                view[run].copy_(one.detach())
                one.data = view[run]
        if self.rounded is not None:
            self.rounded.copy_(self.master)
        self.leaves = [view.detach().requires_grad_() for view in self._views(used)]
        """What the networks compute with, (R, ...) each: views of `master`, or of their bfloat16 copies."""
        self.masters = views

    def _views(self, flat: Tensor) -> list[Tensor]:
        return [
            flat[:, place : place + size.numel()].view(len(flat), *size)
            for place, size in zip(self.places, self.sizes, strict=True)
        ]

    def tensors(self) -> list[Tensor]:
        """All that a step changes."""
        kept = [self.master, self.mean, self.square]
        return kept if self.rounded is None else [*kept, self.rounded]


class FlatAdamW:
    """The reference's update (protocol §4) with everything on the device: clip by one factor, warm-up, AdamW.

    Networks have the budget in common; clip norm, Adam's eps and the number of steps taken are each one's own.

    Args:
        models: of one shape, float32, on the device.
        optimizers: of each; they hold the hyperparameters, and get the state.
        budget: of the runs.
        gradient_clips: norm to clip to, of each; None for not at all.
        rounded: names of the parameters that the networks compute with in bfloat16.
        update: `update_`, or that compiled: one pass over memory instead of ten.
    """

    def __init__(
        self,
        models: Sequence[nn.Module],
        optimizers: Sequence[torch.optim.AdamW],
        budget: Budget,
        gradient_clips: Sequence[float | None],
        rounded: Collection[str],
        update: Callable[..., None],
    ) -> None:
        named = [dict(model.named_parameters()) for model in models]
        device = next(iter(named[0].values())).device
        groups = [optimizer.param_groups[0] for optimizer in optimizers]
        self.beta1, self.beta2 = groups[0]["betas"]
        self.decay = groups[0]["weight_decay"]
        self.budget = budget
        self.eps = torch.tensor([group["eps"] for group in groups], device=device)[:, None]
        self.clip = torch.tensor([torch.inf if clip is None else clip for clip in gradient_clips], device=device)
        self.taken = torch.zeros(len(models), device=device)
        """Steps done by each; set it before the first."""
        kinds = [[name for name in named[0] if (name in rounded) is rounds] for rounds in (False, True)]
        self.flats = [
            FlatTensors([[own[name] for name in names] for own in named], optimizers, self.taken, rounds=rounds)
            for names, rounds in zip(kinds, (False, True), strict=True)
            if names
        ]
        self.names = [name for names in kinds for name in names]
        """Of the parameters, in the order of `leaves`."""
        self.leaves = [leaf for flat in self.flats for leaf in flat.leaves]
        self.masters = [view for flat in self.flats for view in flat.masters]
        """The parameters in float32, whatever the networks compute with."""
        self.update = update

    @torch.no_grad()
    def step(self, gradients: Sequence[Tensor]) -> Tensor:
        """Take one step along the gradients of `leaves`; returns their norms before clipping, (R,)."""
        begin = 0
        for flat in self.flats:
            count = len(flat.gradients)
            torch._foreach_copy_(flat.gradients, list(gradients[begin : begin + count]))
            begin += count
        norms: Tensor = torch.linalg.vector_norm(
            torch.stack([torch.linalg.vector_norm(flat.gradient, dim=1, dtype=torch.float32) for flat in self.flats]),
            dim=0,
        )
        factor = (self.clip / (norms + 1e-6)).clamp(max=1.0)
        rate = learning_rate(self.budget, self.taken)
        # In float64, because 1 - 0.999 loses half of float32's digits; and not inside the compiled update, which
        # would work them out anew for every element.
        taken = self.taken.double() + 1
        step_size = (rate / (1 - self.beta1**taken)).float()
        scale = (1 - self.beta2**taken).sqrt().float()
        keep = 1 - rate * self.decay
        own = [one[:, None] for one in (factor, step_size, scale, keep)]
        for flat in self.flats:
            self.update(
                *(flat.master, flat.mean, flat.square, flat.rounded, flat.gradient),
                *(*own, self.beta1, self.beta2, self.eps),
            )
        self.taken += 1
        return norms


def update_(
    master: Tensor,
    mean: Tensor,
    square: Tensor,
    rounded: Tensor | None,
    gradient: Tensor,
    factor: Tensor,
    step_size: Tensor,
    scale: Tensor,
    keep: Tensor,
    beta1: float,
    beta2: float,
    eps: Tensor,
) -> None:
    """`torch.optim.AdamW`'s step in place: with g = factor · gradient and bias corrections c1, c2,

    m <- β1 m + (1 - β1) g,  v <- β2 v + (1 - β2) g²,  θ <- (1 - η λ) θ - η / c1 · m / (sqrt(v) / sqrt(c2) + eps).

    Matrices have a row for each network, and the factors a column.

    Args:
        master: θ, float32.
        mean: m.
        square: v.
        rounded: θ in bfloat16, or None.
        gradient: before clipping.
        factor: of clipping.
        step_size: η / c1.
        scale: sqrt(c2).
        keep: 1 - η λ.
        beta1: β1.
        beta2: β2.
        eps: added to the root.
    """
    clipped = gradient.float() * factor
    new_mean = mean + (1 - beta1) * (clipped - mean)
    new_square = beta2 * square + (1 - beta2) * clipped * clipped
    new = master * keep - step_size * new_mean / (new_square.sqrt() / scale + eps)
    mean.copy_(new_mean)
    square.copy_(new_square)
    master.copy_(new)
    if rounded is not None:
        rounded.copy_(new)
