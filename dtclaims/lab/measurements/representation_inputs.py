"""What measurements of CKA share: windows, what is read of them, and the kernels of what they show (DEV-01)."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from dtclaims.lab.measurements.bench import CORRECTED_WINDOWS, PUBLISHED_WINDOWS, Bench, per_seed

if TYPE_CHECKING:
    import torch

    from dtclaims.lab.data.windows import Batch
    from dtclaims.lab.metrics import InputKernels
    from dtclaims.lab.models import DecisionTransformer

    Activations = dict[str, torch.Tensor]

Switches = Mapping[str, str]
TokenType = Literal["state", "action", "return_to_go"]

TOKENS: tuple[TokenType, ...] = ("state", "action", "return_to_go")

MINI_WINDOWS = 200
"""Instead of the audit's 1000, where a laptop measures: unbiased CKA scatters more but does not shift with fewer.

Mini's own data have about a hundred trajectories."""


def analysed_windows(bench: Bench, switches: Switches) -> "list[Batch]":
    """100 windows, padded ones too, as published; a full one of each of many trajectories as corrected (DEV-01, 23)."""
    if switches["cka_axis"] == "unit":
        return bench.windows(PUBLISHED_WINDOWS, full=False, per_seed=per_seed(switches))
    count = MINI_WINDOWS if bench.spec["scale"] == "mini" else CORRECTED_WINDOWS
    return bench.separate_windows(count, per_seed=per_seed(switches))


def input_kernels(windows: "list[Batch]", token: TokenType) -> "InputKernels":
    """Kernels of what any network is shown at a token of the last step."""
    import torch

    from dtclaims.lab.metrics import InputKernels

    states, actions, returns, times = (
        torch.cat([getattr(batch, name) for batch in windows])
        for name in ("states", "actions", "returns_to_go", "timesteps")
    )
    own = {"state": states, "action": actions, "return_to_go": returns}[token][:, -1]
    window = torch.cat([states, actions, returns], dim=2).flatten(1)
    return InputKernels({"window": window, "token": own, "timestep": times[:, -1:]})


def activations(model: "DecisionTransformer", windows: "list[Batch]", switches: Switches) -> "Activations":
    """What CKA reads of every layer: three units of all tokens, (n, 3K, 3), or all units of three, (n, 3, width)."""
    import torch

    from dtclaims.lab.models import DISTINCT_POINTS, PUBLISHED_POINTS, RESIDUAL_POINTS, capture

    published = switches["cka_axis"] == "unit"
    points = PUBLISHED_POINTS if published else (*DISTINCT_POINTS, *RESIDUAL_POINTS)
    parts: dict[str, list[torch.Tensor]] = {}
    for batch in windows:
        captured = capture(model, batch, points=points, attention="reference" if published else "boolean")
        for layer, value in captured.items():
            # Only these are compared: whole activations of a thousand windows would not fit a laptop.
            parts.setdefault(layer, []).append((value[..., -3:] if published else value[:, -3:]).clone())
    return {layer: torch.cat(values) for layer, values in parts.items()}


def block_of(name: str) -> int:
    """The block that a layer or parameter such as `h.3.ln_1` belongs to."""
    return int(f".{name}".split(".h.")[1].split(".")[0])
