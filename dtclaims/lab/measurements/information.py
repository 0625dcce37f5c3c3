"""Mutual information of data and activations, in nats (§5.2, App. E, H.2, J.2; protocol §7.2)."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dtclaims.lab.measurements.bench import ALL_SCALES, ANALYSIS_CONTEXT, BEYOND_MINI, Bench, Measurement, table
from dtclaims.lab.measurements.information_inputs import (
    TOKENS,
    Pairs,
    analysis_windows,
    block_outputs,
    by_step,
    counted,
    estimate,
    in_sample,
    is_mini,
    known,
    mean_known,
    profile_pairs,
    step_pairs,
)

if TYPE_CHECKING:
    from torch import Tensor

    from dtclaims.lab.data.windows import Batch
    from dtclaims.lab.metrics import Floats, MutualInformation

    Sides = Mapping[str, Sequence[MutualInformation]]

MINI_TOKENS = tuple(token for token in TOKENS if token // 3 in (4, 9, 14, 19))
"""Four steps of the twenty, which a laptop can afford."""
EPOCH = 40


def information_profile(bench: Bench, switches: Mapping[str, str]) -> dict[str, Any]:
    """I(x_t; T) and I(a_K; T_t) of the tokens t, T being the middle block's output, at the last state for x (§5.2).

    Returns:
        `tokens`, which are 59, or 11 of them at the mini scale; `x` and `y`: an estimate for each, None where there
        is none; `lost`: share of those; `evaluable` (DEV-20). Under `corrected`, where an estimate is the difference
        of two, `bound` and `null` of `x` and `y`: means over the estimators.
    """
    windows, model = analysis_windows(bench, switches), bench.network(EPOCH)
    (output,) = block_outputs(model, switches, windows, [len(model.transformer.h) // 2], slice(None))
    return _profile(bench, switches, windows, output)


def information_ends(bench: Bench, switches: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """`information_profile` of the `first` and of the `last` block (App. J.2)."""
    windows, model = analysis_windows(bench, switches), bench.network(EPOCH)
    first, last = block_outputs(model, switches, windows, [0, len(model.transformer.h) - 1], slice(None))
    return {
        "first": _profile(bench, switches, windows, first),
        "last": _profile(bench, switches, windows, last),
    }


def _profile(bench: Bench, switches: Mapping[str, str], windows: "list[Batch]", output: "Tensor") -> dict[str, Any]:
    tokens = MINI_TOKENS if is_mini(bench) else TOKENS
    found = estimate(bench, switches, profile_pairs(windows, output, tokens))
    sides = {side: [found[f"{side}/{token}"] for token in tokens] for side in ("x", "y")}
    return {"tokens": list(tokens), **_values(sides), **_raw(sides, switches), **counted(found.values(), switches)}


def information_steps(bench: Bench, switches: Mapping[str, str]) -> dict[str, Any]:
    """Mean over the steps t of I(s_t; T) and I(a_t; T) for every block's output T at the state of t (App. E.3).

    Returns:
        `state` and `action`: a mean per block over the estimates that exist, None if none does; `lost`, `evaluable`;
        under `corrected` `bound` and `null` of both, a list per block of those of its steps.
    """
    windows = analysis_windows(bench, switches)
    model = bench.network(EPOCH)
    blocks = range(len(model.transformer.h))
    outputs = block_outputs(model, switches, windows, blocks, slice(1, None, 3))
    found = estimate(bench, switches, step_pairs(windows, outputs))
    by_block = {
        kind: [[found[f"{kind}/{block}/{step}"] for step in range(ANALYSIS_CONTEXT)] for block in blocks]
        for kind in ("state", "action")
    }
    means = {kind: [mean_known([_value(one) for one in block]) for block in of] for kind, of in by_block.items()}
    raw: dict[str, dict[str, list[Any]]] = {}
    for kind, of in by_block.items():
        for block in of:
            for what, values in _raw({kind: block}, switches).items():
                raw.setdefault(what, {}).setdefault(kind, []).append(values[kind])
    return {**means, **raw, **counted(found.values(), switches)}


def data_information(bench: Bench, switches: Mapping[str, str]) -> dict[str, Any]:
    """I(s_t; a_t) and I(R_t; a_t) of the data for every step t of a window (App. H.2).

    Returns:
        `state` and `return`: an estimate per step, None where there is none; `lost`, `evaluable`.
    """
    windows = analysis_windows(bench, switches)
    actions = by_step([batch.actions for batch in windows])
    data = {
        "state": by_step([batch.states for batch in windows]),
        "return": by_step([batch.returns_to_go for batch in windows]),
    }
    steps = range(ANALYSIS_CONTEXT)
    pairs: Pairs = {f"{kind}/{step}": (values[step], actions[step]) for kind, values in data.items() for step in steps}
    found = estimate(bench, switches, pairs)
    sides = {kind: [found[f"{kind}/{step}"] for step in steps] for kind in data}
    return {**_values(sides), **_raw(sides, switches), **counted(found.values(), switches)}


def _values(sides: "Sides") -> dict[str, list[float | None]]:
    return {side: [_value(one) for one in found] for side, found in sides.items()}


def _raw(sides: "Sides", switches: Mapping[str, str]) -> dict[str, dict[str, list[float | None]]]:
    """What corrected estimates are the difference of; as published they are what was read."""
    if in_sample(switches):
        return {}
    return {
        "bound": {side: [_mean(one.bounds) for one in found] for side, found in sides.items()},
        "null": {side: [_mean(one.nulls) for one in found] for side, found in sides.items()},
    }


def _mean(values: "Floats") -> float | None:
    return known(values.mean()) if len(values) else None


def _value(estimate: "MutualInformation") -> float | None:
    return known(estimate.value)


IN_SAMPLE = "estimated by MINE on the 100 windows it was trained on, raw; estimates that failed are left out"
HELD_OUT = (
    "estimated by MINE on held-out trajectories of 5000 full windows, inputs standardised and reduced to 16 principal "
    "components, less what permuted pairs read, mean of 3 estimators; not evaluable if over 5 % failed"
)


def _information(
    name: str, function: Callable[..., Any], published: str, corrected: str, in_sample: str = "", held_out: str = ""
) -> Measurement:
    """A measurement of this file; with the last two, one that is reduced as they say at the mini scale."""
    return Measurement(
        name,
        ("mi_estimator", "seeding"),
        {
            "published": f"Mutual information in nats of {published}, {IN_SAMPLE}.{in_sample}",
            "corrected": f"Mutual information in nats of {corrected}, {HELD_OUT}.{held_out}",
        },
        from_networks=function,
        # 120 and more fits per run are more than a laptop has; the middle block's profile is cut down for it instead.
        scales=ALL_SCALES if in_sample else BEYOND_MINI,
    )


MEASUREMENTS = table(
    _information(
        "information_profile",
        information_profile,
        "each of 59 tokens and the middle block's MLP branch at the last state, and of the last action and that branch "
        "at each token",
        "each of 59 tokens and the residual stream after the middle block at the last state, and of the last action "
        "and that stream at each token",
        in_sample=" At the mini scale 11 tokens of 4 steps, and a smaller critic (64 instead of 400 units) that takes "
        "400 steps at ten times the rate.",
        held_out=" At the mini scale 11 tokens of 4 steps, 1500 windows and one smaller estimator.",
    ),
    _information(
        "information_ends",
        information_ends,
        "each of 59 tokens and the first (or last) block's MLP branch at the last state, and of the last action and "
        "that branch at each token",
        "each of 59 tokens and the residual stream after the first (or last) block at the last state, and of the last "
        "action and that stream at each token",
    ),
    _information(
        "information_steps",
        information_steps,
        "a step's state (or action) and every block's MLP branch at that state, mean over 20 steps",
        "a step's state (or action) and the residual stream after every block at that state, mean over 20 steps",
    ),
    _information(
        "data_information",
        data_information,
        *["a step's state (or return-to-go) and action in the data, for each of 20 steps"] * 2,
    ),
)
