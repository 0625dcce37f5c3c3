"""Similarity of representations: linear CKA (§5.1, App. D, J.1; protocol §7.1).

Under `published` a CKA is that of one hidden unit over the token positions, as it is (DEV-01). Under `corrected` it is
that of the full width at one token, (raw − zero) / (1 − zero), with the raw CKA of two independent random networks of
the same configuration on the same windows as the zero point: unrelated networks see the same inputs.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from dtclaims.lab.measurements.bench import CORRECTED_WINDOWS, PUBLISHED_WINDOWS, Bench, Measurement, per_seed, table

if TYPE_CHECKING:
    import torch

    from dtclaims.lab.data.windows import Batch
    from dtclaims.lab.models import DecisionTransformer

    Activations = dict[str, torch.Tensor]

Switches = Mapping[str, str]
Floats = npt.NDArray[np.float64]
TokenType = Literal["state", "action", "return_to_go"]

TOKENS: tuple[TokenType, ...] = ("state", "action", "return_to_go")

MINI_WINDOWS = 200
"""Instead of the audit's 1000, where a laptop measures: unbiased CKA scatters more but does not shift with fewer."""

PAPER_BLOCKS = 12
"""Deeper networks have their layers averaged in adjacent pairs, as in the paper's figures (protocol §7.1)."""

FIRST_UNCHANGED = 3
"""Blocks from here on are those whose parameters the paper finds to change little (§5.3)."""


def cka(bench: Bench, switches: Switches) -> dict[str, Any]:
    """CKA of every layer with itself before fine-tuning, at each token type (§5.1; DEV-01).

    Returns:
        layers: their names, in the network's order; under `published` pairs of a network of 24 blocks.
        state, action, return_to_go: one CKA per layer; None for a layer whose activations are constant (DEV-33).
        floor: what chance gives, the mean over layers of the CKA of the network before training on one half of the
            windows with itself on the other half, at the state token.
    """
    windows = _windows(bench, switches)
    before, after = (_activations(bench.network(epoch), windows, switches) for epoch in (0, 40))
    zeros = _zeros(bench, windows, switches)
    profiles = {token: _profile(before, after, zeros, token, switches) for token in TOKENS}
    found: dict[str, Any] = {"layers": list(profiles["state"]), "floor": _floor(before, switches)}
    return found | {
        str(token): [_or_none(profile[layer]) for layer in found["layers"]] for token, profile in profiles.items()
    }


def cka_profile_distance(bench: Bench, switches: Switches) -> float:
    """Mean over layers of the absolute difference of two runs' CKA before against after, state token (§5.1)."""
    assert bench.other is not None
    windows = _windows(bench, switches)
    one, other = (_own_profile(run, windows, switches) for run in (bench, bench.other))
    return float(np.nanmean([abs(one[layer] - other[layer]) for layer in one]))


def cka_between(bench: Bench, switches: Switches, *, epoch: int = 40) -> float:
    """Mean CKA of every layer of one run with every layer of another, state token (App. D.4)."""
    assert bench.other is not None
    windows = _windows(bench, switches)
    one, other = (_activations(run.network(epoch), windows, switches) for run in (bench, bench.other))
    values = _matrix(one, other, switches)
    if switches["cka_axis"] == "token":
        zero = _matrix(
            _activations(bench.random_network("cka/zero/a"), windows, switches),
            _activations(bench.other.random_network("cka/zero/b"), windows, switches),
            switches,
        )
        values = (values - zero) / (1 - zero)
    return float(np.nanmean(values))


def cka_grid(bench: Bench, switches: Switches, *, epoch: int = 40) -> list[list[float]]:
    """Mean CKA of the layers of one block with those of another, (blocks, blocks), state token (App. D.5).

    A layer is not compared with itself.
    """
    windows = _windows(bench, switches)
    own = _activations(bench.network(epoch), windows, switches)
    values = _matrix(own, own, switches)
    if zeros := _zeros(bench, windows, switches):
        zero = _matrix(*zeros, switches)
        values = (values - zero) / (1 - zero)
    np.fill_diagonal(values, np.nan)
    blocks = np.array([_block(layer) for layer in own])
    numbers = range(int(blocks.max()) + 1)
    return [[float(np.nanmean(values[np.ix_(blocks == i, blocks == j)])) for j in numbers] for i in numbers]


def cka_without_change(bench: Bench, switches: Switches) -> float:
    """How much CKA profiles differ if blocks 3 and later get their initial parameters back after training (§5.3).

    Mean over these blocks' layers of the absolute difference in CKA with the network before fine-tuning, state token.
    """
    windows = _windows(bench, switches)
    whole, part = bench.network(40), bench.network(40)
    initial = {
        name: tensor
        for name, tensor in bench.state(0).items()
        if ".h." in f".{name}" and _block(name) >= FIRST_UNCHANGED
    }
    part.load_state_dict({**part.state_dict(), **initial})
    before, after, restored = (_activations(model, windows, switches) for model in (bench.network(0), whole, part))
    zeros = _zeros(bench, windows, switches)
    one, other = (_profile(before, one, zeros, "state", switches, pairs=False) for one in (after, restored))
    return float(np.nanmean([abs(one[layer] - other[layer]) for layer in one if _block(layer) >= FIRST_UNCHANGED]))


def _windows(bench: Bench, switches: Switches) -> "list[Batch]":
    if switches["cka_axis"] == "unit":
        return bench.windows(PUBLISHED_WINDOWS, full=False, per_seed=per_seed(switches))
    count = MINI_WINDOWS if bench.spec["scale"] == "mini" else CORRECTED_WINDOWS
    return bench.windows(count, full=True, per_seed=per_seed(switches))


def _activations(model: "DecisionTransformer", windows: "list[Batch]", switches: Switches) -> "Activations":
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


def _zeros(bench: Bench, windows: "list[Batch]", switches: Switches) -> "tuple[Activations, Activations] | None":
    """Activations of two independent random networks of the run's configuration; None under `published`."""
    if switches["cka_axis"] == "unit":
        return None
    one, other = (bench.random_network(f"cka/zero/{name}") for name in "ab")
    return _activations(one, windows, switches), _activations(other, windows, switches)


def _own_profile(bench: Bench, windows: "list[Batch]", switches: Switches) -> dict[str, float]:
    before, after = (_activations(bench.network(epoch), windows, switches) for epoch in (0, 40))
    return _profile(before, after, _zeros(bench, windows, switches), "state", switches)


def _profile(
    before: "Activations",
    after: "Activations",
    zeros: "tuple[Activations, Activations] | None",
    token: TokenType,
    switches: Switches,
    *,
    pairs: bool = True,
) -> dict[str, float]:
    """CKA by layer; NaN where a layer has none."""
    from dtclaims.lab.metrics import layerwise_cka

    if zeros is None:
        values = layerwise_cka(before, after, token=token, axis="unit")
        return in_pairs(values) if pairs else values
    raw = layerwise_cka(before, after, token=token, axis="token")
    zero = layerwise_cka(*zeros, token=token, axis="token")
    return {layer: (raw[layer] - zero[layer]) / (1 - zero[layer]) for layer in raw}


def in_pairs(values: Mapping[str, float]) -> dict[str, float]:
    """Means of adjacent layers (0, 1), (2, 3) and so on, if there are more blocks than in the paper's figures."""
    names = list(values)
    if _block(names[-1]) < PAPER_BLOCKS:
        return dict(values)
    return {
        f"{one} + {other}": (values[one] + values[other]) / 2
        for one, other in zip(names[::2], names[1::2], strict=True)
    }


def _matrix(one: "Activations", other: "Activations", switches: Switches) -> Floats:
    """CKA of every layer with every layer at the state token; NaN where a layer has none."""
    from dtclaims.lab.metrics import cka_matrix, layer_features, published_cka_matrix

    published = switches["cka_axis"] == "unit"
    rows = layer_features(one, token="state", axis="unit" if published else "token")
    columns = rows if other is one else layer_features(other, token="state", axis="unit" if published else "token")
    return published_cka_matrix(rows, columns) if published else cka_matrix(rows, columns).values


def _floor(before: "Activations", switches: Switches) -> float:
    """Mean over layers of the raw CKA between two halves of the windows: unrelated samples."""
    from dtclaims.lab.metrics import layerwise_cka

    half = len(next(iter(before.values()))) // 2
    one, other = (
        {layer: value[part] for layer, value in before.items()} for part in (slice(half), slice(half, 2 * half))
    )
    values = layerwise_cka(one, other, token="state", axis="unit" if switches["cka_axis"] == "unit" else "token")
    return float(np.nanmean(list(values.values())))


def _block(name: str) -> int:
    """The block that a layer or parameter such as `h.3.ln_1` belongs to."""
    return int(f".{name}".split(".h.")[1].split(".")[0])


def _or_none(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


_PUBLISHED = (
    "Unbiased linear CKA of one hidden unit over the 60 token positions, 9 points per block, 100 windows, padded "
    "positions included"
)
_CORRECTED = (
    f"Unbiased linear CKA of the full width at the last token of its type, {CORRECTED_WINDOWS} full windows "
    f"({MINI_WINDOWS} at mini), distinct points and residual stream, rescaled so that two independent random networks "
    "are 0 and identity is 1"
)
_SWITCHES = ("cka_axis", "seeding")

MEASUREMENTS = table(
    Measurement(
        "cka",
        _SWITCHES,
        {
            "published": f"{_PUBLISHED}, before against after fine-tuning; layers of 24 blocks averaged in pairs.",
            "corrected": f"{_CORRECTED}, before against after fine-tuning.",
        },
        from_networks=cka,
    ),
    Measurement(
        "cka_profile_distance",
        _SWITCHES,
        {
            "published": f"{_PUBLISHED}, before against after fine-tuning; mean absolute difference between two runs.",
            "corrected": f"{_CORRECTED}, before against after fine-tuning; mean absolute difference between two runs.",
        },
        from_networks=cka_profile_distance,
    ),
    Measurement(
        "cka_between",
        _SWITCHES,
        {
            "published": f"{_PUBLISHED}, mean over all pairs of layers of two runs.",
            "corrected": f"{_CORRECTED}, mean over all pairs of layers of two runs.",
        },
        from_networks=cka_between,
    ),
    Measurement(
        "cka_grid",
        _SWITCHES,
        {
            "published": f"{_PUBLISHED}, mean over pairs of layers of two blocks of one network.",
            "corrected": f"{_CORRECTED}, mean over pairs of layers of two blocks of one network.",
        },
        from_networks=cka_grid,
    ),
    Measurement(
        "cka_without_change",
        _SWITCHES,
        {
            "published": f"{_PUBLISHED}; mean absolute change in blocks 3 and later when their initial parameters are "
            "put back after fine-tuning.",
            "corrected": f"{_CORRECTED}; mean absolute change in blocks 3 and later when their initial parameters are "
            "put back after fine-tuning.",
        },
        from_networks=cka_without_change,
    ),
)
