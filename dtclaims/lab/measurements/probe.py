"""What a linear probe reads of the data from activations of the full width (§5.2, App. E.3, J.2; DEV-02).

The primary measure of information under `corrected`: MINE's sixteen principal components are blind to what a network
keeps in directions of low variance. One form for both protocols, of the residual stream after a block (DEV-24), with
the keys of `information`: a value is a held-out R², 1 if the data are predicted exactly, 0 if no better than by their
mean.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from dtclaims.lab.measurements.bench import ANALYSIS_CONTEXT, Bench, Measurement, table
from dtclaims.lab.measurements.information_inputs import (
    CORRECTED_WINDOWS,
    MINI_WINDOWS,
    TOKENS,
    Pairs,
    analysis_windows,
    block_outputs,
    counted,
    known,
    mean_known,
    profile_pairs,
    step_pairs,
    trajectories_of,
)

if TYPE_CHECKING:
    from torch import Tensor

    from dtclaims.lab.data.windows import Batch
    from dtclaims.lab.metrics import Floats, Probe

SIDES = ("x", "y")


def probe_profile(bench: Bench, switches: Mapping[str, str], *, epoch: int = 40) -> dict[str, Any]:
    """R² of x_t from T, and of the last action a_K from T_t, of the tokens t; T is the middle block's output (§5.2).

    T is read at the last state for x. x_t are the numbers of token t: a return-to-go, a state or an action.

    Returns:
        tokens: all 59.
        x, y: an R² for each, mean over three splits; None where the data or the activations are constant.
        spread: of `x` and `y`, standard deviations over the splits.
        columns: of `x` and `y`, lists of the R² of each number of the token.
        penalties: of `x` and `y`, lists of the ridge chosen on each split.
        lost: share of values that are None.
        evaluable: whether that is at most 5 % (DEV-20).
        windows, trajectories: how many were read, and of how many trajectories.
    """
    switches = _held_out(switches)
    windows, model = analysis_windows(bench, switches), bench.network(epoch)
    (output,) = block_outputs(model, switches, windows, [len(model.transformer.h) // 2], slice(None))
    return _profile(bench, switches, windows, output)


def probe_ends(bench: Bench, switches: Mapping[str, str], *, epoch: int = 40) -> dict[str, dict[str, Any]]:
    """`probe_profile` of the `first` and of the `last` block (App. J.2)."""
    switches = _held_out(switches)
    windows, model = analysis_windows(bench, switches), bench.network(epoch)
    first, last = block_outputs(model, switches, windows, [0, len(model.transformer.h) - 1], slice(None))
    return {
        "first": _profile(bench, switches, windows, first),
        "last": _profile(bench, switches, windows, last),
    }


def probe_steps(bench: Bench, switches: Mapping[str, str], *, epoch: int = 40) -> dict[str, Any]:
    """Mean over the steps t of the R² of s_t and of a_t from every block's output at the state of t (App. E.3).

    Returns:
        state, action: a mean per block over the steps that have a value, None if none does.
        steps: of `state` and `action`, a list per block of the R² of each step.
        lost, evaluable, windows, trajectories: as of `probe_profile`.
    """
    switches = _held_out(switches)
    windows, model = analysis_windows(bench, switches), bench.network(epoch)
    blocks = range(len(model.transformer.h))
    found, read = _probed(
        bench, switches, step_pairs(windows, block_outputs(model, switches, windows, blocks, slice(1, None, 3)))
    )
    steps = {
        kind: [[known(found[f"{kind}/{block}/{step}"].value) for step in range(ANALYSIS_CONTEXT)] for block in blocks]
        for kind in ("state", "action")
    }
    means = {kind: [mean_known(block) for block in by_block] for kind, by_block in steps.items()}
    return {**means, "steps": steps, **read}


def _held_out(switches: Mapping[str, str]) -> Mapping[str, str]:
    """What a probe reads is what the corrected estimator of information does, whatever that switch says."""
    return {**switches, "mi_estimator": "held_out"}


def _profile(bench: Bench, switches: Mapping[str, str], windows: "list[Batch]", output: "Tensor") -> dict[str, Any]:
    found, read = _probed(bench, switches, profile_pairs(windows, output, TOKENS))
    sides = {side: [found[f"{side}/{token}"] for token in TOKENS] for side in SIDES}
    return {
        "tokens": list(TOKENS),
        **{side: [known(one.value) for one in of] for side, of in sides.items()},
        "spread": {side: [known(one.spread) for one in of] for side, of in sides.items()},
        "columns": {side: [_numbers(one.columns) for one in of] for side, of in sides.items()},
        "penalties": {side: [_numbers(one.penalties) for one in of] for side, of in sides.items()},
        **read,
    }


def _numbers(values: "Floats") -> list[float | None]:
    return [known(value) for value in values]


def _probed(bench: Bench, switches: Mapping[str, str], pairs: Pairs) -> "tuple[Mapping[str, Probe], dict[str, Any]]":
    """Probes by name, and what is said of all of them."""
    from dtclaims.lab.metrics import probes

    groups = trajectories_of(bench, switches)
    found = probes(pairs, seed=bench.seed, groups=groups)
    read = {"windows": len(groups), "trajectories": len(set(groups.tolist()))}
    return found, {**counted(found.values(), switches), **read}


def _probe(name: str, function: Any, what: str) -> Measurement:
    says = (
        f"Held-out R² of {what}, by ridge regression on the full width of the residual stream, penalty chosen on a "
        f"validation part, whole trajectories held out, {CORRECTED_WINDOWS} full windows ({MINI_WINDOWS} at mini), "
        "mean of 3 splits; not evaluable if over 5 % have no value."
    )
    return Measurement(name, ("seeding",), {"published": says, "corrected": says}, from_networks=function)


MEASUREMENTS = table(
    _probe(
        "probe_profile",
        probe_profile,
        "each of 59 tokens from the middle block's output at the last state, and of the last action from it at each "
        "token",
    ),
    _probe(
        "probe_ends",
        probe_ends,
        "each of 59 tokens from the first (or last) block's output at the last state, and of the last action from it "
        "at each token",
    ),
    _probe(
        "probe_steps",
        probe_steps,
        "a step's state (or action) from every block's output at that state, mean over 20 steps",
    ),
)
