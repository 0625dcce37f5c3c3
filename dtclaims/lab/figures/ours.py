"""The paper's figures and tables from our runs: what a report's `figures` and `tables` hold of ours.

Read from the same stored measurements and curves that the claims rest on, nothing is measured for a picture. What the
session's plan does not have is left out, and the paper's values then stand alone (`paper_values` says which panels and
series there are).
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean, stdev
from typing import Any

from scipy.special import stdtrit

from dtclaims.harness.lab import Job, PlanView, Setting, Stored
from dtclaims.lab.design.blocks import RB_EPOCHS
from dtclaims.lab.design.spec import arm_under
from dtclaims.lab.design.tasks import ALL_TASKS, get_task
from dtclaims.lab.figures.paper_values import across_seeds, box
from dtclaims.lab.measurements.curves import error_curve, score
from dtclaims.lab.results import budget_of

Series = dict[str, Any]
Panel = dict[str, Any]

ARMS = {
    "random_init": "randomly initialised",
    "language_pretrained": "language pre-trained",
    "image_pretrained": "image pre-trained",
}
TITLES = {"hopper": "Hopper", "halfcheetah": "HalfCheetah", "walker2d": "Walker2D"}
FIRST_TWO = ("h.0.ln_1.weight", "h.0.ln_1.bias")


class OurFigures:
    """What one plan's results say, arranged as the paper's figures are.

    Args:
        plan: whose runs and measurements to look at.
        protocols: those to draw.
        alpha: of the intervals in tables, on each side.
    """

    def __init__(self, plan: PlanView, protocols: Iterable[Setting], alpha: float) -> None:
        self._plan = plan
        self._protocols = list(protocols)
        self._alpha = alpha
        self._runs: dict[str, Stored | None] = {}

    def figures(self) -> dict[str, Any]:
        """Figures 1 to 10, those that have something of ours."""
        made = {
            "fig1": self._per_task(self._similarity),
            "fig2": [
                self._panel("Input, I(X;T)", self._of_hopper(self._information, "x")),
                self._panel("Label, I(Y;T)", self._of_hopper(self._information, "y")),
            ],
            "fig3": self._by_arm("l2"),
            "fig4": self._by_arm("cosines"),
            "fig5": [self._panel("Hopper", self._of_hopper(self._confusion))],
            "fig6": [self._panel("Hopper", self._of_hopper(self._norms))],
            "fig7": [self._panel("Hopper", self._of_hopper(self._shares))],
            "fig8": self._per_task(self._returns),
            "fig9": [
                self._panel("Action error", self._of_hopper(self._blocks, "action_error")),
                self._panel("Mean return", self._of_hopper(self._blocks, "return_mean")),
            ],
            "fig10": self._per_task(self._gaps),
        }
        drawn = {name: [panel for panel in panels if panel["series"]] for name, panels in made.items()}
        return {name: {"title": name, "panels": panels} for name, panels in drawn.items() if panels}

    def tables(self) -> dict[str, Any]:
        """Tables 1 and 2, those that have something of ours."""
        arms = list(ARMS)
        made = {"table1": self._cells(arms, 20), "table2": self._cells(arms[:2], 1)}
        return {name: {"title": name, "unit": "", "cells": cells} for name, cells in made.items() if cells}

    # --- what is stored -------------------------------------------------------------------------------

    def _measured(
        self, name: str, arm: str, context: int, protocol: Setting, task: str, **wanted: Any
    ) -> dict[int, Any]:
        """Seed → value of a measurement of one arm, as far as it is stored."""
        found: dict[int, Any] = {}
        for reading, keys in self._plan.readings():
            if reading.quantity != name or reading.derived or dict(reading.parameters) != wanted:
                continue
            switches = {switch: protocol[switch] for switch in reading.switches}
            runs = reading.jobs[0].needs
            if len(runs) != 1 or switches != dict(reading.switches):
                continue
            if not self._is(runs[0], arm, context, protocol, task):
                continue
            value = self._plan.value(keys[0])
            if value is not None:
                found[runs[0].order.spec.seed] = value
        return dict(sorted(found.items()))

    def _curves(self, arm: str, context: int, protocol: Setting, task: str) -> dict[int, Stored]:
        """Seed → stored run of one arm."""
        found: dict[int, Stored] = {}
        for job, key in self._plan.jobs():
            if self._is(job, arm, context, protocol, task):
                if key not in self._runs:
                    self._runs[key] = self._plan.stored(key)
                stored, seed = self._runs[key], job.order.spec.seed
                if stored is not None and (seed not in found or len(_curve(stored)) > len(_curve(found[seed]))):
                    found[seed] = stored
        return dict(sorted(found.items()))

    @staticmethod
    def _is(run: Job, arm: str, context: int, protocol: Setting, task: str) -> bool:
        """Whether a planned run is one of an arm under a protocol, all its switches as the protocol has them."""
        spec = run.order.spec
        name, architecture = arm_under(arm, protocol)
        return (
            (spec.arm, spec.architecture, spec.context, spec.task) == (name, architecture, context, task)
            and spec.clip
            and spec.head == protocol["head"]
            and spec.paired == (protocol["seeding"] == "everything")
            and spec.held_out == (protocol["action_error"] == "held_out")
        )

    # --- panels -----------------------------------------------------------------------------------------

    def _panel(self, title: str, series: list[Series]) -> Panel:
        return {"title": title, "x_label": "", "y_label": "", "series": series}

    def _per_task(self, draw: Any) -> list[Panel]:
        return [
            self._panel(TITLES[task], [one for protocol in self._protocols for one in draw(protocol, task)])
            for task in ALL_TASKS
        ]

    def _of_hopper(self, draw: Any, *what: str) -> list[Series]:
        return [one for protocol in self._protocols for one in draw(protocol, *what)]

    def _lines(self, name: str, protocol: Setting, task: str, key: str, places: str | None = None) -> list[Series]:
        """A line per arm: one list in the value of a measurement of the K = 20 runs.

        Args:
            name: of the measurement.
            protocol: of the runs.
            task: of the runs.
            key: of the list in the value.
            places: key of the list of x; None counts from 0.
        """
        series = []
        for arm, called in ARMS.items():
            found = self._measured(name, arm, 20, protocol, task)
            values = {seed: _numbers(value[key]) for seed, value in found.items()}
            if values:
                first = next(iter(found.values()))
                x = first[places] if places else range(len(first[key]))
                series.append(_line(called, arm, protocol, x, values))
        return series

    def _similarity(self, protocol: Setting, task: str) -> list[Series]:
        """CKA by layer; a network of 24 blocks over the same axis as one of 12, as in the paper (protocol §7.1)."""
        series = self._lines("cka", protocol, task, "state")
        shortest = min((len(one["x"]) for one in series), default=0)
        for one in series:
            one["x"] = [place * shortest / len(one["x"]) for place in one["x"]]
        return series

    def _information(self, protocol: Setting, side: str) -> list[Series]:
        return self._lines("information_profile", protocol, "hopper", side, "tokens")

    def _by_arm(self, what: str) -> list[Panel]:
        panels = []
        for arm, called in ARMS.items():
            series = []
            for protocol in self._protocols:
                # The reference reads 0 where a tensor starts at 0 (DEV-19).
                undefined = math.nan if protocol.corrects("cos_tensors") else 0.0
                values = {
                    seed: [undefined if one is None else float(one) for one in value[what]]
                    for seed, value in self._measured("parameter_change", arm, 20, protocol, "hopper").items()
                }
                if values:
                    one = _line(called, arm, protocol, range(len(next(iter(values.values())))), values)
                    series.append({**one, "style": "points"})
            panels.append(self._panel(called[0].upper() + called[1:], series))
        return panels

    def _gradients(self, arm: str, protocol: Setting) -> dict[int, Any]:
        return self._measured("gradients", arm, 20, protocol, "hopper")

    def _confusion(self, protocol: Setting) -> list[Series]:
        return [
            {
                **_line(called, arm, protocol, [place], {s: [v["cosine_minimum"]] for s, v in found.items()}),
                "style": "points",
            }
            for place, (arm, called) in enumerate(ARMS.items())
            if (found := self._gradients(arm, protocol))
        ]

    def _norms(self, protocol: Setting) -> list[Series]:
        return [
            _series(called, arm, protocol, "box", **box({place: [norm for v in found.values() for norm in v["norms"]]}))
            for place, (arm, called) in enumerate(ARMS.items())
            if (found := self._gradients(arm, protocol))
        ]

    def _shares(self, protocol: Setting) -> list[Series]:
        arm = "image_pretrained"
        values = {}
        for seed, value in self._gradients(arm, protocol).items():
            first = [value["shares"].get(name, 0.0) for name in FIRST_TWO]
            values[seed] = [*first, 1.0 - sum(first)]
        if not values:
            return []
        return [{**_line(ARMS[arm], arm, protocol, range(3), values), "style": "points"}]

    def _returns(self, protocol: Setting, task: str) -> list[Series]:
        series = []
        for context in (1, 20):
            for arm, called in list(ARMS.items())[:2]:
                runs = self._curves(arm, context, protocol, task)
                if runs:
                    values = {seed: _curve(run) for seed, run in runs.items()}
                    epochs = _paper_epochs(next(iter(runs.values())))
                    series.append(_line(f"{called}, K={context}", arm, protocol, epochs, values))
        return series

    def _blocks(self, protocol: Setting, curve: str) -> list[Series]:
        from dtclaims.lab.metrics.curves import published_ema

        names = dict(list(ARMS.items())[:2])
        names |= {f"block_{block}_language": f"block {block}" for block in range(12)}
        series = []
        for arm, called in names.items():
            runs = self._curves(arm, 1, protocol, "hopper")
            values, epochs = {}, []
            for seed, run in runs.items():
                epochs = [epoch for epoch in _paper_epochs(run) if epoch <= RB_EPOCHS["hopper"]]
                own = error_curve(protocol.switches) if curve == "action_error" else curve
                raw = run.result["curves"][own][: len(epochs)]
                values[seed] = list(map(float, raw if protocol.corrects("action_error") else published_ema(raw)))
            if values:
                series.append(_line(called, arm, protocol, epochs, values))
        return series

    def _gaps(self, protocol: Setting, task: str) -> list[Series]:
        if protocol.corrects("att_dist"):
            # A relative change of another distance, in another unit than the paper's axis.
            return []
        series = []
        for arm, called in list(ARMS.items())[:2]:
            values = self._measured("attention_gap", arm, 1, protocol, task)
            if len(values) > 1:
                blocks = range(len(next(iter(values.values()))))
                by_block = {block: [gaps[block] for gaps in values.values()] for block in blocks}
                series.append(_series(called, arm, protocol, "box", **box(by_block)))
        return series

    # --- tables -----------------------------------------------------------------------------------------

    def _cells(self, arms: Sequence[str], context: int) -> list[dict[str, Any]]:
        cells = []
        for protocol in self._protocols:
            switches = {switch: protocol[switch] for switch in ("selection", "score_refs")}
            for task in ALL_TASKS:
                for arm in arms:
                    runs = self._curves(arm, context, protocol, task)
                    values = [score(run, switches) for run in runs.values()]
                    if values:
                        cells.append(
                            {
                                "row": TITLES[get_task(task).name],
                                "column": ARMS[arm],
                                "protocol": protocol.name,
                                "n": len(values),
                                **_interval(values, self._alpha),
                            }
                        )
        return cells


def _curve(run: Stored) -> list[float]:
    found: list[float] = run.result["curves"]["return_mean"]
    return found


def _paper_epochs(run: Stored) -> list[float]:
    """The paper's epoch that each of the run's stands for."""
    return [budget_of(run).paper_epoch(epoch) for epoch in range(1, len(_curve(run)) + 1)]


def _numbers(values: Sequence[float | None]) -> list[float]:
    return [math.nan if value is None else float(value) for value in values]


def _line(
    called: str, arm: str, protocol: Setting, x: Iterable[float], values: Mapping[int, Sequence[float]]
) -> Series:
    """A line over the seeds: mean, least and greatest; a gap where a seed has none."""
    columns = across_seeds(values)
    gaps = {name: [None if math.isnan(value) else value for value in column] for name, column in columns.items()}
    return _series(called, arm, protocol, "line", x=[float(value) for value in x], **gaps)


def _series(called: str, arm: str, protocol: Setting, style: str, **values: Any) -> Series:
    return {"name": called, "arm": arm, "protocol": protocol.name, "seed": None, "style": style, **values}


def _interval(values: Sequence[float], alpha: float) -> dict[str, float | None]:
    """Mean and its t interval, alpha on each side; none for a single seed."""
    if len(values) < 2:
        return {"value": values[0], "low": None, "high": None}
    half = float(stdtrit(len(values) - 1, 1 - alpha)) * stdev(values) / math.sqrt(len(values))
    return {"value": fmean(values), "low": fmean(values) - half, "high": fmean(values) + half}
