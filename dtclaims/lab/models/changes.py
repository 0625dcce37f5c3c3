"""What a control does to a backbone's weights before fine-tuning (`dtclaims.lab.design.arms.Change`).

Each tensor's randomness comes from a stream named by (seed, change, tensor): the changed block of a block
replacement is the block that the wholly changed arm of that seed has.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from dtclaims.choice import Choice
from dtclaims.errors import BackboneError
from dtclaims.lab.design.arms import BLOCKS, Change
from dtclaims.lab.models.transformer import Stack, StackConfig
from dtclaims.seeding import derive

Tensors = Mapping[str, Tensor]


def unchanged(tensors: Tensors, config: StackConfig, seed: int) -> dict[str, Tensor]:
    """As the backbone has them."""
    return dict(tensors)


def permuted(tensors: Tensors, config: StackConfig, seed: int) -> dict[str, Tensor]:
    """The entries of each tensor in a random order: its values stay, its structure goes."""
    return {
        name: tensor.flatten()[torch.randperm(tensor.numel(), generator=_stream(seed, f"permuted/{name}"))].view_as(
            tensor
        )
        for name, tensor in tensors.items()
    }


def moment_matched(tensors: Tensors, config: StackConfig, seed: int) -> dict[str, Tensor]:
    """Gaussian with each tensor's mean and standard deviation (over n); a constant tensor stays as it is."""
    return {
        name: _like(tensor, _stream(seed, f"moment_matched/{name}")) if tensor.min() < tensor.max() else tensor
        for name, tensor in tensors.items()
    }


def redrawn(tensors: Tensors, config: StackConfig, seed: int) -> dict[str, Tensor]:
    """As a fresh stack starts (protocol §3.3), with other numbers than the random arm of the seed has.

    Its own numbers, because a redrawn block in the random arm would otherwise be the block that was there.
    """
    fresh = Stack(config, _stream(seed, "redrawn")).state_dict()
    return {name: fresh[name] for name in tensors}


def blocks_3_11_redrawn(tensors: Tensors, config: StackConfig, seed: int) -> dict[str, Tensor]:
    """Blocks 3 to 11 redrawn; blocks 0 to 2 and the final norm stay (§5.3: most change is in the early blocks)."""
    _need_the_paper_s_depth("blocks_3_11_redrawn", config)
    later = tuple(f"h.{block}." for block in range(3, BLOCKS))
    fresh = redrawn(tensors, config, seed)
    return {name: fresh[name] if name.startswith(later) else tensor for name, tensor in tensors.items()}


def qk_3_10_redrawn(tensors: Tensors, config: StackConfig, seed: int) -> dict[str, Tensor]:
    """Query and key thirds of c_attn, weight and bias, redrawn in blocks 3 to 10; values and all else stay."""
    _need_the_paper_s_depth("qk_3_10_redrawn", config)
    attentions = tuple(f"h.{block}.attn.c_attn." for block in range(3, BLOCKS - 1))
    fresh = redrawn(tensors, config, seed)
    queries_and_keys = 2 * config.width
    return {
        name: torch.cat((fresh[name][..., :queries_and_keys], tensor[..., queries_and_keys:]), dim=-1)
        if name.startswith(attentions)
        else tensor
        for name, tensor in tensors.items()
    }


CHANGES = Choice(
    unchanged="dtclaims.lab.models.changes:unchanged",
    permuted="dtclaims.lab.models.changes:permuted",
    moment_matched="dtclaims.lab.models.changes:moment_matched",
    redrawn="dtclaims.lab.models.changes:redrawn",
    blocks_3_11_redrawn="dtclaims.lab.models.changes:blocks_3_11_redrawn",
    qk_3_10_redrawn="dtclaims.lab.models.changes:qk_3_10_redrawn",
)
"""Each maps (some of the backbone's tensors, its configuration, the run's seed) to new tensors of the same names; the
given ones are left as they are."""


def changed(change: Change | None, tensors: Tensors, config: StackConfig, seed: int) -> dict[str, Tensor]:
    """`tensors` after `change`.

    Raises:
        BackboneError: the change is of blocks that the stack does not have.
    """
    new: dict[str, Tensor] = CHANGES[change or "unchanged"](tensors, config, seed)
    return new


def _need_the_paper_s_depth(change: Change, config: StackConfig) -> None:
    if config.blocks != BLOCKS:
        raise BackboneError(
            f"{change} is defined for a language stack of the paper's depth",
            given=f"{config.blocks} blocks",
            expected=f"{BLOCKS} blocks",
        )


def _like(tensor: Tensor, stream: torch.Generator) -> Tensor:
    values = tensor.double()
    gaussian = torch.randn(tensor.shape, generator=stream, dtype=torch.float64)
    return (values.mean() + values.std(correction=0) * gaussian).to(tensor.dtype)


def _stream(seed: int, purpose: str) -> torch.Generator:
    return torch.Generator().manual_seed(derive(seed, f"change/{purpose}"))
