"""What the reference does, written down as it does it: benchmarks measure ours beside it."""

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from dtclaims.lab.data.windows import Batch
from dtclaims.lab.models import DecisionTransformer
from dtclaims.lab.train.objective import action_loss


def loss(model: nn.Module, batch: Batch) -> Tensor:
    """The training loss."""
    return action_loss(model, batch)[0]


def transcribed(model: DecisionTransformer, batch: Batch) -> NDArray[np.float64]:
    """The published loops: a backward pass per window, all gradients kept, then all ordered pairs one by one.

    Dropout is on if the model is in train mode.
    """
    gradients = []
    for i in range(len(batch.mask)):
        one = Batch(*(value[i : i + 1] for value in vars(batch).values()))
        model.zero_grad()
        loss(model, one).backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), 0.25)
        blocks = [p.grad.flatten() for p in model.transformer.h.parameters() if p.grad is not None]
        gradients.append(torch.cat(blocks))
    return np.array([[float(x @ y / (x.norm() * y.norm() + 1e-6)) for y in gradients] for x in gradients])


class Transcribed(torch.autograd.Function):
    """log mean exp with the released gradient."""

    @staticmethod
    def forward(ctx, scores, running):  # type: ignore[no-untyped-def]
        ctx.save_for_backward(scores, running)
        return scores.exp().mean().log()

    @staticmethod
    def backward(ctx, grad):  # type: ignore[no-untyped-def]
        scores, running = ctx.saved_tensors
        return grad * scores.exp().detach() / (running + 1e-6) / scores.shape[0], None


def transcribed_fit(x: Tensor, z: Tensor, passes: int) -> float:
    """One released fit, step by step; anomaly detection is the caller's."""
    sizes = [x.shape[1] + z.shape[1], 400, 400, 400]
    layers = [part for i in range(3) for part in (nn.Linear(sizes[i], sizes[i + 1]), nn.ReLU())]
    network = nn.Sequential(*layers, nn.Linear(400, 1)).to(x.device)
    adam = torch.optim.Adam(network.parameters(), lr=1e-4)
    running: float | Tensor = 0.0
    for _ in range(passes):
        shuffle = torch.randperm(len(x))
        for start in range(0, len(x), 50):
            rows = shuffle[start : start + 50]
            adam.zero_grad()
            joint = network(torch.cat([x[rows], z[rows]], dim=1)).mean()
            marginal = network(torch.cat([x[rows], z[rows][torch.randperm(len(rows))]], dim=1))
            now = torch.exp(torch.logsumexp(marginal, 0) - math.log(len(rows))).detach()
            running = now if running == 0 else 0.01 * now + 0.99 * float(running)
            loss = Transcribed.apply(marginal, running) - joint
            loss.backward()
            adam.step()
            loss.item()
    with torch.no_grad():
        joint, marginal = (network(torch.cat([x, side], dim=1)) for side in (z, z[torch.randperm(len(z))]))
        return float(joint.mean() - marginal.exp().mean().log())
