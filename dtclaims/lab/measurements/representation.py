"""Similarity of representations: linear CKA (§5.1, App. D, J.1; protocol §7.1).

Under `published` a CKA is that of one hidden unit over the token positions (DEV-01), under `corrected` that of the full
width at one token, one window of a trajectory. It stays as it is: two random networks see the same inputs and are far
from 0, and what that gives is measured beside it.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from dtclaims.lab.measurements.bench import CORRECTED_WINDOWS, Bench, Measurement, table
from dtclaims.lab.measurements.representation_inputs import (
    MINI_WINDOWS,
    TOKENS,
    Switches,
    TokenType,
    activations,
    analysed_windows,
    block_of,
    input_kernels,
)

if TYPE_CHECKING:
    from dtclaims.lab.data.windows import Batch
    from dtclaims.lab.measurements.representation_inputs import Activations

Floats = npt.NDArray[np.float64]
Profile = dict[str, float]
"""CKA by layer."""
Profiles = dict[TokenType, Profile]

PAPER_BLOCKS = 12
"""Deeper networks have their layers averaged in adjacent pairs, as in the paper's figures (protocol §7.1)."""

NULL_NETWORKS = 4
"""Random networks of one configuration differ: beyond the inputs, their mean CKA with a trained one scatters by 0.03 to
0.09 at mini (width 32). Ours: four halve that."""

FIRST_UNCHANGED = 3
"""Blocks from here on are those whose parameters the paper finds to change little (§5.3)."""


def cka(bench: Bench, switches: Switches) -> dict[str, Any]:
    """CKA of every layer with itself before fine-tuning, at each token type (§5.1; DEV-01).

    Returns:
        layers: their names, in the network's order; under `published` pairs of a network of 24 blocks.
        state, action, return_to_go: one CKA per layer; None for a layer whose activations are constant (DEV-33).
        floor: what chance gives, the mean over layers of the CKA of the network before training on one half of the
            windows with itself on the other half, at the state token.

        Under `corrected` besides, the first four by token, a value per layer or None:
        null: CKA of another random network of the run's configuration with the network after training, mean over
            `null_networks` such; they are the same for all arms of a seed and configuration.
        regressed, regressed_null: of the same pairs, with kernels of the inputs regressed out (`InputKernels`): the
            window, what the token itself shows (at the state token, the last state) and the timestep.
        retention: regressed less regressed_null.
        permutation_sd: of raw CKA over all orders of the windows, the same for every layer; their mean is 0.
        windows: how many were compared, one of a trajectory.
        trajectories: how many have a full window.

    Raises:
        MeasurementError: fewer than eight windows, of whose halves the floor is taken.
    """
    windows = analysed_windows(bench, switches)
    before, after = (activations(bench.network(epoch), windows, switches) for epoch in (0, 40))
    profiles = {token: _profile(before, after, token, switches) for token in TOKENS}
    layers = list(profiles["state"])
    found: dict[str, Any] = {"layers": layers, "floor": _floor(before, switches)} | _by_layer(profiles, layers)
    if switches["cka_axis"] == "unit":
        return found
    return found | _beside(bench, windows, before, after, switches)


def _beside(
    bench: Bench, windows: "list[Batch]", before: "Activations", after: "Activations", switches: Switches
) -> dict[str, Any]:
    """What the corrected CKA is to be read against."""
    from dtclaims.lab.metrics import layerwise_regressed_cka, permutation_sd

    kernels = {token: input_kernels(windows, token) for token in TOKENS}

    def regressed(one: "Activations") -> Profiles:
        return {token: layerwise_regressed_cka(one, after, kernels[token], token=token) for token in TOKENS}

    raw_nulls, regressed_nulls = [], []
    for number in range(NULL_NETWORKS):
        # One at a time: the activations of a network of the paper's size take 2 GB.
        another = activations(bench.random_network(f"cka/null/{number}"), windows, switches)
        raw_nulls.append({token: _profile(another, after, token, switches) for token in TOKENS})
        regressed_nulls.append(regressed(another))
    own, null = regressed(before), _mean(regressed_nulls)
    retention: Profiles = {
        token: {layer: value - null[token][layer] for layer, value in of.items()} for token, of in own.items()
    }
    found = {"null": _mean(raw_nulls), "regressed": own, "regressed_null": null, "retention": retention}
    count = sum(len(batch.mask) for batch in windows)
    return {
        **{name: _by_layer(profiles, list(before)) for name, profiles in found.items()},
        "null_networks": NULL_NETWORKS,
        "permutation_sd": permutation_sd(count),
        "windows": count,
        "trajectories": bench.sampler.separate,
    }


def _mean(profiles: Sequence[Profiles]) -> Profiles:
    return {
        token: {layer: float(np.mean([one[token][layer] for one in profiles])) for layer in of}
        for token, of in profiles[0].items()
    }


def cka_profile_distance(bench: Bench, switches: Switches) -> float:
    """Mean over layers of the absolute difference of two runs' CKA before against after, state token (§5.1)."""
    assert bench.other is not None
    windows = analysed_windows(bench, switches)
    one, other = (_own_profile(run, windows, switches) for run in (bench, bench.other))
    return float(np.nanmean([abs(one[layer] - other[layer]) for layer in one]))


def cka_between(
    bench: Bench, switches: Switches, *, epoch: int = 40, token: TokenType = "state", null: bool = False
) -> float:
    """Mean CKA of every layer of one run with every layer of another, at a token (App. D.4, J.1).

    With `null`, of two independent random networks of the two runs' configurations, on the same windows.
    """
    assert bench.other is not None
    windows = analysed_windows(bench, switches)
    one, other = _compared(bench, bench.other, epoch, windows, switches, null=null)
    return float(np.nanmean(_matrix(one, other, token, switches)))


def cka_grid(
    bench: Bench, switches: Switches, *, epoch: int = 40, token: TokenType = "state", null: bool = False
) -> list[list[float]]:
    """Mean CKA of the layers of one block with those of another, (blocks, blocks), at a token (App. D.5, J.1).

    A layer is not compared with itself. With `null`, of the blocks of one random network of the run's configuration
    with those of another.
    """
    windows = analysed_windows(bench, switches)
    one, other = _compared(bench, bench, epoch, windows, switches, null=null)
    values = _matrix(one, other, token, switches)
    np.fill_diagonal(values, np.nan)
    blocks = np.array([block_of(layer) for layer in one])
    numbers = range(int(blocks.max()) + 1)
    return [[float(np.nanmean(values[np.ix_(blocks == i, blocks == j)])) for j in numbers] for i in numbers]


def _compared(
    bench: Bench, other: Bench, epoch: int, windows: "list[Batch]", switches: Switches, *, null: bool
) -> "tuple[Activations, Activations]":
    """Activations of two runs, the same object for a run and itself; or of random networks in their places."""
    if null:
        one, another = bench.random_network("cka/null/a"), other.random_network("cka/null/b")
        return activations(one, windows, switches), activations(another, windows, switches)
    own = activations(bench.network(epoch), windows, switches)
    return own, own if other is bench else activations(other.network(epoch), windows, switches)


def cka_without_change(bench: Bench, switches: Switches) -> float:
    """How much CKA profiles differ if blocks 3 and later get their initial parameters back after training (§5.3).

    Mean over these blocks' layers of the absolute difference in CKA with the network before fine-tuning, state token.
    """
    windows = analysed_windows(bench, switches)
    whole, part = bench.network(40), bench.network(40)
    initial = {
        name: tensor
        for name, tensor in bench.state(0).items()
        if ".h." in f".{name}" and block_of(name) >= FIRST_UNCHANGED
    }
    part.load_state_dict({**part.state_dict(), **initial})
    before, after, restored = (activations(model, windows, switches) for model in (bench.network(0), whole, part))
    one, other = (_profile(before, one, "state", switches, pairs=False) for one in (after, restored))
    return float(np.nanmean([abs(one[layer] - other[layer]) for layer in one if block_of(layer) >= FIRST_UNCHANGED]))


def _own_profile(bench: Bench, windows: "list[Batch]", switches: Switches) -> Profile:
    before, after = (activations(bench.network(epoch), windows, switches) for epoch in (0, 40))
    return _profile(before, after, "state", switches)


def _profile(
    before: "Activations", after: "Activations", token: TokenType, switches: Switches, *, pairs: bool = True
) -> Profile:
    """CKA by layer; NaN where a layer has none."""
    from dtclaims.lab.metrics import layerwise_cka

    if switches["cka_axis"] == "unit":
        values = layerwise_cka(before, after, token=token, axis="unit")
        return in_pairs(values) if pairs else values
    return layerwise_cka(before, after, token=token, axis="token")


def in_pairs(values: Mapping[str, float]) -> dict[str, float]:
    """Means of adjacent layers (0, 1), (2, 3) and so on, if there are more blocks than in the paper's figures."""
    names = list(values)
    if block_of(names[-1]) < PAPER_BLOCKS:
        return dict(values)
    return {
        f"{one} + {other}": (values[one] + values[other]) / 2
        for one, other in zip(names[::2], names[1::2], strict=True)
    }


def _matrix(one: "Activations", other: "Activations", token: TokenType, switches: Switches) -> Floats:
    """CKA of every layer with every layer at a token; NaN where a layer has none."""
    from dtclaims.lab.metrics import cka_matrix, layer_features, published_cka_matrix

    published = switches["cka_axis"] == "unit"
    rows = layer_features(one, token=token, axis="unit" if published else "token")
    columns = rows if other is one else layer_features(other, token=token, axis="unit" if published else "token")
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


def _by_layer(profiles: Profiles, layers: list[str]) -> dict[str, list[float | None]]:
    return {str(token): [_or_none(profile[layer]) for layer in layers] for token, profile in profiles.items()}


def _or_none(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


_PUBLISHED = (
    "Unbiased linear CKA of one hidden unit over the 60 token positions, 9 points per block, 100 windows, padded "
    "positions included"
)
_CORRECTED = (
    "Unbiased linear CKA of the full width at the last token of its type, a full window of each of "
    f"{CORRECTED_WINDOWS} trajectories ({MINI_WINDOWS} at mini; of all, where there are fewer), distinct points and "
    "residual stream"
)


def _cka(name: str, function: Callable[..., Any], what: str, published: str = "", corrected: str = "") -> Measurement:
    return Measurement(
        name,
        ("cka_axis", "seeding"),
        {"published": f"{_PUBLISHED}{what}{published}.", "corrected": f"{_CORRECTED}{what}{corrected}."},
        from_networks=function,
        remade={"cka_axis": "token"},
    )


_TRAINING = ", before against after fine-tuning"

MEASUREMENTS = table(
    _cka(
        "cka",
        cka,
        _TRAINING,
        "; layers of 24 blocks averaged in pairs",
        "; beside it that of another random network with the network after fine-tuning, and both with the inputs' "
        "kernels regressed out",
    ),
    _cka("cka_profile_distance", cka_profile_distance, f"{_TRAINING}; mean absolute difference between two runs"),
    _cka("cka_between", cka_between, ", mean over all pairs of layers of two runs"),
    _cka("cka_grid", cka_grid, ", mean over pairs of layers of two blocks of one network"),
    _cka(
        "cka_without_change",
        cka_without_change,
        "; mean absolute change in blocks 3 and later when their initial parameters are put back after fine-tuning",
    ),
)
