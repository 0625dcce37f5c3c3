"""Windows whose padding comes after their steps, where causal attention alone hides it."""

import torch
from torch import Tensor


def left_aligned(*values: Tensor) -> list[Tensor]:
    """Windows (B, K, ...) with their padding on the right; the last of them is the mask."""
    mask = values[-1]
    steps = mask.shape[1]
    if steps == 1:
        return list(values)
    padding = steps - mask.sum(dim=1, keepdim=True)
    index = (torch.arange(steps, device=mask.device) + padding) % steps
    return [torch.take_along_dim(one, index if one.ndim == 2 else index[..., None], dim=1) for one in values]
