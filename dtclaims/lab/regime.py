"""The regime of a plan's runs beside the paper's: learning rate, displacement, saturation, clipping. Needs no torch."""

from collections.abc import Callable, Mapping, Sequence
from statistics import fmean
from typing import Any

from dtclaims.harness.lab import PlanView, Setting, Stored
from dtclaims.lab.design.scales import PAPER_BUDGET
from dtclaims.lab.design.spec import RunSpec, resolve

ARMS = ("language_pretrained", "random_init", "image_pretrained")
"""The paper's, as claims call them."""
CONTEXTS = (20, 1)

DISPLACEMENT = "relative displacement of the blocks"
PAPER: Mapping[str, Mapping[str, str]] = {
    "language_pretrained": {DISPLACEMENT: "0.12 to 0.13, by figures 3 and 4"},
    "random_init": {DISPLACEMENT: "about 1.2, by figure 3 and its initialisation"},
    "image_pretrained": {DISPLACEMENT: "less than 0.03, by figures 3 and 4"},
}
"""At K = 20, all tasks and both seeds. The paper draws distances and cosines, no norms: see `docs/regime.md`."""


def regime(view: PlanView, protocols: Sequence[Setting]) -> list[dict[str, Any]]:
    """How the runs of the paper's arms trained, those that went through all epochs, with clipping.

    Returns:
        A row per protocol, K and arm that has stored runs, as `dtclaims.harness.judge.regime.RegimeRow` reads it: means
        over tasks and seeds. A run that was stored before displacement was recorded has none.
    """
    runs = [(job.order.spec, key) for job, key in view.jobs()]
    rows = []
    for protocol in protocols:
        for context in CONTEXTS:
            for arm in ARMS:
                found = [
                    (spec, stored)
                    for spec, key in runs
                    if spec == _as(spec, arm, context, protocol) and (stored := view.stored(key)) is not None
                ]
                if found:
                    rows.append(_row(arm, protocol, found))
    return rows


def _as(spec: RunSpec, arm: str, context: int, protocol: Setting) -> RunSpec:
    """The whole run of an arm under a protocol that shares task, seed, budget and simulator with another run."""
    return resolve(
        task=spec.task,
        arm=arm,
        context=context,
        seed=spec.seed,
        scale=spec.scale,
        budget=spec.budget,
        protocol=protocol,
        simulator=spec.simulator,
    )


def _row(arm: str, protocol: Setting, found: Sequence[tuple[RunSpec, Stored]]) -> dict[str, Any]:
    spec, runs = found[0][0], [stored for _, stored in found]
    # The paper's figures of parameters are of K = 20.
    shown = PAPER[arm] if spec.context == CONTEXTS[0] else {}
    values = {
        "learning rate": fmean(one.budget.learning_rate for one, _ in found),
        DISPLACEMENT: _mean(runs, lambda run: run.result.get("diagnostics", {}).get("displacement")),
        "share of outputs saturated": _mean(runs, lambda run: _curve(run, "saturated")[-1]),
        "share of updates clipped": _mean(runs, lambda run: _whole(_curve(run, "clipped"))),
    }
    paper = {"learning rate": f"{PAPER_BUDGET.learning_rate:g}", **shown}
    matched = ", matched" if spec.architecture == "matched" else ""
    return {
        "of": f"{spec.arm}{matched}, K={spec.context}",
        "protocol": protocol.base,
        "scale": spec.scale,
        "n": len(runs),
        "values": [
            {"name": name, "ours": value, **({"paper": paper[name]} if name in paper else {})}
            for name, value in values.items()
        ],
    }


def _curve(run: Stored, name: str) -> Sequence[float | None]:
    """One that a run logged; of one that was not logged, nothing is known."""
    found: Sequence[float | None] = run.result["curves"].get(name) or (None,)
    return found


def _whole(values: Sequence[float | None]) -> float | None:
    """The mean of what is known."""
    said = [value for value in values if value is not None]
    return fmean(said) if said else None


def _mean(runs: Sequence[Stored], of: Callable[[Stored], float | None]) -> float | None:
    """Over the runs that say it."""
    return _whole([of(run) for run in runs])
