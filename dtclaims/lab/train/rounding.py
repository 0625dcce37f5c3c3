"""bfloat16 copies of what is rounded, beside float32 masters."""

import copy
import itertools
from typing import TypeVar

import torch
from torch import nn

from dtclaims.lab.models.transformer import Conv1D

Network = TypeVar("Network", bound=nn.Module)


def with_rounded_blocks(model: Network) -> Network:
    """A copy whose blocks' matrices and biases are bfloat16; every other parameter is shared with `model`."""
    rounded = {id(one) for module in model.modules() if isinstance(module, Conv1D) for one in module.parameters()}
    shared = {id(one): one for one in itertools.chain(model.parameters(), model.buffers()) if id(one) not in rounded}
    network = copy.deepcopy(model, shared)
    for module in network.modules():
        if isinstance(module, Conv1D):
            module.to(torch.bfloat16)
    return network
