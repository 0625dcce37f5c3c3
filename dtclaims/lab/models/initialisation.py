"""Fresh weights from named streams, never from torch's global generator."""

import torch
from torch import nn
from torch.nn.utils import skip_init

from dtclaims.seeding import derive


def unfilled_linear(inputs: int, outputs: int) -> nn.Linear:
    """A linear layer that has drawn nothing yet: its own initialisation would use torch's global generator."""
    layer: nn.Linear = skip_init(nn.Linear, inputs, outputs)  # type: ignore[no-untyped-call]
    return layer


@torch.no_grad()
def fill_linear(layer: nn.Linear, generator: torch.Generator) -> None:
    """nn.Linear's own default: weight and bias uniform in ±1/sqrt(inputs)."""
    bound = layer.in_features**-0.5
    layer.weight.uniform_(-bound, bound, generator=generator)
    layer.bias.uniform_(-bound, bound, generator=generator)


def stream(seed: int, purpose: str) -> torch.Generator:
    """The generator of one kind of fresh weights of a run's seed."""
    return torch.Generator().manual_seed(derive(seed, f"init/{purpose}"))
