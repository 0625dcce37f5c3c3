"""Networks of one shape asked together: one batched program in place of as many small ones.

What a network computes is written once, for one network (`dtclaims.lab.models`). Here a function of a network is asked
of R networks whose parameters lie side by side, with a leading axis R on every parameter and every tensor; `torch.vmap`
turns each of its matrix products into one batched product. Two networks never meet in an operation, so what one of
them answers does not depend on the others beyond the rounding of the kernels that are chosen.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from dtclaims.lab.models.policy import Policy

Ask = Callable[[Callable[..., Any], nn.Module, Mapping[str, Tensor], Sequence[Tensor], Sequence[Any]], Any]


class _Part(nn.Module):
    """A network, or a block of it, as something that functions are called with."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """The function's value."""
        return function(self.module, *arguments)


def asked(
    function: Callable[..., Any],
    part: nn.Module,
    parameters: Mapping[str, Tensor],
    tensors: Sequence[Tensor],
    shared: Sequence[Any],
) -> Any:
    """`function(module, *tensors, *shared)` of every network: parameters, tensors and the answer lead with R."""

    def one(own: Mapping[str, Tensor], given: Sequence[Tensor]) -> Any:
        return functional_call(part, dict(own), (function, *given, *shared))

    return torch.vmap(one)(dict(parameters), tuple(tensors))


class Networks:
    """R networks of one shape.

    Args:
        template: one of them: its structure counts, its parameters do not.
        leaves: name of a parameter → what all of them have of it, (R, ...).
        compiling: whether what is asked of them often is worth compiling.
    """

    def __init__(self, template: Policy, leaves: Mapping[str, Tensor], compiling: bool = False) -> None:
        self.template, self.compiling = template, compiling
        self.leaves = dict(leaves)
        self.count = len(next(iter(self.leaves.values())))
        """R."""
        stack = getattr(template, "transformer", None)
        self.blocks: list[nn.Module] = [] if stack is None else list(stack.h)
        self._parts: dict[int, tuple[nn.Module, dict[str, Tensor]]] = {id(template): self._part(template, "")}
        for index, block in enumerate(self.blocks):
            self._parts[id(block)] = self._part(block, f"transformer.h.{index}.")

    def of(self, prefix: str) -> dict[str, Tensor]:
        """The leaves of a part, by their names in it."""
        return {name.removeprefix(prefix): leaf for name, leaf in self.leaves.items() if name.startswith(prefix)}

    def _part(self, module: nn.Module, prefix: str) -> tuple[nn.Module, dict[str, Tensor]]:
        return _Part(module), {f"module.{name}": leaf for name, leaf in self.of(prefix).items()}

    def ask(
        self,
        function: Callable[..., Any],
        module: nn.Module,
        *tensors: Tensor,
        shared: Sequence[Any] = (),
        how: Ask = asked,
    ) -> Any:
        """`function(module, *tensors, *shared)` of every network.

        Args:
            function: of one network or block, tensors without R, and what is shared.
            module: the template or one of its blocks.
            tensors: (R, ...) each.
            shared: given to all alike: numbers, functions, tensors without R.
            how: `asked`, or that compiled.

        Returns:
            What it returns, each tensor with a leading R.
        """
        part, parameters = self._parts[id(module)]
        return how(function, part, parameters, tensors, shared)
