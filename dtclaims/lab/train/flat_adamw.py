"""AdamW over one long vector: a step is a handful of kernels however many tensors a network has."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn

from dtclaims.lab.design.spec import Budget
from dtclaims.lab.train.objective import learning_rate

ALIGNMENT = 64
"""Elements that each tensor's place is rounded up to: matrix kernels want aligned addresses."""


class FlatTensors:
    """Parameters, their Adam state and gradients, each kind laid end to end in one vector.

    The parameters become views of `master`, their Adam state in `optimizer` views of `mean` and `square`: both are
    updated in place ever after, and read as before.

    Args:
        parameters: float32, on the device.
        optimizer: whose state of them is taken over, if there is one.
        leaves: what the network computes with: `parameters` themselves, or bfloat16 ones, which become views of
            `rounded` and follow.
        taken: scalar that counts the steps.
    """

    def __init__(
        self,
        parameters: Sequence[nn.Parameter],
        optimizer: torch.optim.Optimizer,
        leaves: Sequence[nn.Parameter],
        taken: Tensor,
    ) -> None:
        self.sizes = [one.shape for one in parameters]
        self.places: list[int] = []
        total = 0
        for one in parameters:
            self.places.append(total)
            total += -(-one.numel() // ALIGNMENT) * ALIGNMENT
        rounds = any(leaf is not one for leaf, one in zip(leaves, parameters, strict=True))
        device = parameters[0].device
        self.master, self.mean, self.square = (torch.zeros(total, device=device) for _ in range(3))
        self.rounded = torch.zeros(total, device=device, dtype=torch.bfloat16) if rounds else None
        self.gradient = torch.zeros(total, device=device, dtype=leaves[0].dtype)
        self.gradients = self._views(self.gradient)
        for kind, flat in (("exp_avg", self.mean), ("exp_avg_sq", self.square)):
            for one, view in zip(parameters, self._views(flat), strict=True):
                if kind in optimizer.state[one]:
                    view.copy_(optimizer.state[one][kind])
                optimizer.state[one][kind] = view
                optimizer.state[one]["step"] = taken
        for one, view in zip(parameters, self._views(self.master), strict=True):
            view.copy_(one.detach())
            one.data = view
        if self.rounded is not None:
            for leaf, view in zip(leaves, self._views(self.rounded), strict=True):
                leaf.data = view
            self.rounded.copy_(self.master)

    def _views(self, flat: Tensor) -> list[Tensor]:
        return [
            flat[place : place + size.numel()].view(size) for place, size in zip(self.places, self.sizes, strict=True)
        ]

    def tensors(self) -> list[Tensor]:
        """All that a step changes."""
        kept = [self.master, self.mean, self.square]
        return kept if self.rounded is None else [*kept, self.rounded]


class FlatAdamW:
    """The reference's update (protocol §4) with everything on the device: clip by one factor, warm-up, AdamW.

    Args:
        optimizer: holds the parameters and hyperparameters, and gets the state.
        pairs: each parameter and the leaf that the network computes with: itself, or a bfloat16 one.
        budget: of the run.
        gradient_clip: norm to clip to; None for not at all.
        update: `update_`, or that compiled: one pass over memory instead of ten.
    """

    def __init__(
        self,
        optimizer: torch.optim.AdamW,
        pairs: Sequence[tuple[nn.Parameter, nn.Parameter]],
        budget: Budget,
        gradient_clip: float | None,
        update: Callable[..., None],
    ) -> None:
        device = pairs[0][0].device
        group = optimizer.param_groups[0]
        self.beta1, self.beta2 = group["betas"]
        self.eps, self.decay = group["eps"], group["weight_decay"]
        self.budget, self.clip = budget, gradient_clip
        self.taken = torch.zeros((), device=device)
        """Steps done; set it before the first."""
        kinds = ([pair for pair in pairs if pair[0] is pair[1]], [pair for pair in pairs if pair[0] is not pair[1]])
        self.leaves = [leaf for kind in kinds for _, leaf in kind]
        self.flats = [
            FlatTensors([one for one, _ in kind], optimizer, [leaf for _, leaf in kind], self.taken)
            for kind in kinds
            if kind
        ]
        self.update = update

    @torch.no_grad()
    def step(self, gradients: Sequence[Tensor]) -> Tensor:
        """Take one step along the gradients of `leaves`; returns their norm before clipping."""
        begin = 0
        for flat in self.flats:
            count = len(flat.gradients)
            torch._foreach_copy_(flat.gradients, list(gradients[begin : begin + count]))
            begin += count
        norm: Tensor = torch.linalg.vector_norm(
            torch.stack([torch.linalg.vector_norm(flat.gradient, dtype=torch.float32) for flat in self.flats])
        )
        factor = torch.ones_like(norm) if self.clip is None else (self.clip / (norm + 1e-6)).clamp(max=1.0)
        rate = learning_rate(self.budget, self.taken)
        # In float64, because 1 - 0.999 loses half of float32's digits; and not inside the compiled update, which
        # would work them out anew for every element.
        taken = self.taken.double() + 1
        step_size = (rate / (1 - self.beta1**taken)).float()
        scale = (1 - self.beta2**taken).sqrt().float()
        keep = 1 - rate * self.decay
        for flat in self.flats:
            self.update(
                *(flat.master, flat.mean, flat.square, flat.rounded, flat.gradient),
                *(factor, step_size, scale, keep, self.beta1, self.beta2, self.eps),
            )
        self.taken += 1
        return norm


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
    eps: float,
) -> None:
    """`torch.optim.AdamW`'s step in place: with g = factor · gradient and bias corrections c1, c2,

    m <- β1 m + (1 - β1) g,  v <- β2 v + (1 - β2) g²,  θ <- (1 - η λ) θ - η / c1 · m / (sqrt(v) / sqrt(c2) + eps).

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
