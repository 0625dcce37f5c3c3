"""The numbers that claims quote from the paper: what each claim's own effect makes of the paper's figures, seed 666."""

import math
import re
from collections.abc import Mapping
from functools import cache
from statistics import fmean as mean
from typing import Any

import pytest

from dtclaims.harness.declare.claim import SINGLE, Claim, Need
from dtclaims.harness.declare.registry import load_claims
from dtclaims.lab.data.scores import score_reference
from dtclaims.lab.design.blocks import RB_EPOCHS
from dtclaims.lab.design.switches import PROTOCOLS
from dtclaims.lab.design.tasks import get_task
from dtclaims.lab.figures.paper_values import paper_series
from dtclaims.lab.measurements.attention import EXCEPTED, UNIFORM_DISTANCE
from dtclaims.lab.metrics.curves import normalized_score

CLAIMS = load_claims()
PUBLISHED = PROTOCOLS["published"]

ARMS = {
    "random_init": "randomly initialised",
    "random_for_image": "randomly initialised",
    "language_pretrained": "language pre-trained",
    "image_pretrained": "image pre-trained",
}
PANELS = {"hopper": "Hopper", "halfcheetah": "HalfCheetah", "walker2d": "Walker2D"}

MODULES = "ln_1 attn.c_attn attn.c_proj attn.resid_dropout ln_2 mlp.c_fc mlp.c_proj mlp.act mlp.dropout"
LAYERS = [f"h.{block}.{module}" for block in range(12) for module in MODULES.split()]
TENSORS = [
    f"{module}.{kind}"
    for module in ("ln_1", "attn.c_attn", "attn.c_proj", "ln_2", "mlp.c_fc", "mlp.c_proj")
    for kind in ("weight", "bias")
]

OF_BOTH_SEEDS = {"S4-random-vs-DT", "S4-gpt2-better-hopper", "S4-gpt2-not-worse"}
"""Differences of Table 1's two-seed means."""
OF_SEED_42 = {name for name in CLAIMS if "seed42" in name}


class NotDrawnError(Exception):
    """The figures of the main text do not hold what a claim needs."""


def series(figure: str, panel: str, name: str | None) -> dict[str, Any]:
    """A series of the paper's."""
    found = [one for one in paper_series(figure).get(panel, ()) if one["name"] == name]
    if not found:
        raise NotDrawnError(figure, panel, name)
    return found[0]


def returns(need: Need, task: str) -> list[float]:
    """Normalised scores by epoch (fig. 8)."""
    drawn = series(
        "fig8",
        PANELS[task],
        f"{ARMS.get(need.condition.get('arm') or '')}, K={need.under(PUBLISHED).get('context', 20)}",
    )["y"]
    return [float(value) for value in normalized_score(drawn, score_reference(get_task(task), "dataset_means"))]


def curve_of_block(need: Need, panel: str) -> list[float]:
    """Moving averages over the epochs of block replacement (fig. 9)."""
    block = re.fullmatch(r"block_(\d+)_language", need.condition.get("arm") or "")
    drawn = series("fig9", panel, f"block {block[1]}" if block else ARMS.get(need.condition.get("arm") or ""))["y"]
    return [float(value) for value in drawn[: RB_EPOCHS["hopper"]]]


def gaps(need: Need, task: str) -> list[float]:
    """Medians by block (fig. 10)."""
    if need.condition.get("parameters"):
        raise NotDrawnError("other epochs are in App. J.6.2")
    return list(series("fig10", PANELS[task], ARMS[need.condition.get("arm") or ""])["y"])


def measured(need: Need, task: str) -> Any:
    """What a measurement would have read of the paper's run."""
    task, arm = need.task or task, ARMS.get(need.condition.get("arm") or "")
    if need.condition.get("next_seed") or not need.condition.get("clip", True):
        raise NotDrawnError(need)
    if need.quantity in ("score", "score_span", "score_at", "score_curve"):
        scores, span = returns(need, task), need.condition.get("parameters", {})
        return {
            "score": max(scores) - span.get("minus", {}).get(task, 0.0),
            "score_span": mean(scores[span.get("first", 1) - 1 : span.get("last", 10)]),
            "score_at": scores[span.get("epoch", 4) - 1],
            "score_curve": list(enumerate(scores, start=1)),
        }[need.quantity]
    if need.quantity == "attention_gap":
        return gaps(need, task)
    if need.quantity == "attention_gap_rest":
        return (
            mean([gap for block, gap in enumerate(gaps(need, task)) if block not in EXCEPTED[task]]) / UNIFORM_DISTANCE
        )
    if need.quantity == "cka":
        return {"layers": LAYERS, "state": series("fig1", PANELS[task], arm)["y"], "floor": 0.0}
    if task != "hopper":
        raise NotDrawnError(need)
    if need.quantity == "block_return":
        reference = score_reference(get_task(task), "dataset_means")
        return float(normalized_score(curve_of_block(need, "Mean return"), reference).mean())
    if need.quantity == "block_error":
        return mean(curve_of_block(need, "Action error"))
    if need.quantity == "information_profile":
        sides = {"x": "Input, I(X;T)", "y": "Label, I(Y;T)"}
        drawn = {side: series("fig2", panel, arm) for side, panel in sides.items()}
        places = {side: dict(zip(one["x"], one["y"], strict=True)) for side, one in drawn.items()}
        read = {side: [found.get(token) for token in range(59)] for side, found in places.items()}
        return {"tokens": list(range(59)), "lost": 0.0, "evaluable": True, **read}
    if need.quantity == "parameter_change":
        panel = (arm or "").capitalize()
        l2, cosines = (series(figure, panel, arm)["y"] for figure in ("fig3", "fig4"))
        names = [f"h.{block}.{tensor}" for block in range(len(l2) // 12) for tensor in TENSORS]
        width = 512 if arm == "image pre-trained" else 768
        coordinates = len(l2) // 12 * (12 * width**2 + 13 * width)
        distance = math.hypot(*l2)
        return {
            "distance": distance,
            "rms": distance / coordinates**0.5,
            "cosine": mean(cosines),
            "all_cosine": mean(cosines),
            "weight_cosine": mean([one for one, name in zip(cosines, names, strict=True) if name.endswith("weight")]),
            "names": names,
            "l2": l2,
            "cosines": cosines,
        }
    if need.quantity == "gradients":
        norm = series("fig6", "Hopper", arm)
        read = {
            "cosine_minimum": series("fig5", "Hopper", arm)["y"][0],
            "norm_median": norm["y"][0],
            "norm_iqr": norm["high"][0] - norm["low"][0],
        }
        if arm == "image pre-trained":
            weight, bias, others = series("fig7", "Hopper", arm)["y"]
            read["shares"] = {"h.0.ln_1.weight": weight, "h.0.ln_1.bias": bias, "others": others}
        return read
    raise NotDrawnError(need)


def quoted(claim: Claim, task: str) -> tuple[float, ...]:
    """The numbers that a claim quotes for a task."""
    numbers = claim.paper.numbers
    return numbers.get(task, ()) if isinstance(numbers, Mapping) else numbers


@cache
def drawn_effects() -> dict[tuple[str, str], dict[str, float]]:
    """By claim and task, the effect of what the figures show."""
    found = {}
    for name in set(CLAIMS) - OF_BOTH_SEEDS - OF_SEED_42:
        claim = CLAIMS[name]
        if claim.form is None or "published" not in claim.protocols:
            continue
        for task in claim.tasks or ("hopper",):
            try:
                values = {need: measured(one, task) for need, one in claim.form.needs.items()}
                found[name, task] = claim.form(**values)
            except (NotDrawnError, KeyError):
                continue
    return found


CELLS = sorted(cell for cell in drawn_effects() if quoted(CLAIMS[cell[0]], cell[1]))


def test_most_findings_of_the_main_text_are_covered() -> None:
    """Every section whose figures are known has claims whose numbers are computed again."""
    sections = {name.split("-")[0] for name, _ in CELLS}
    assert {"S5.1", "S5.2", "S5.3", "S5.4", "S5.5", "S5.6.1", "S5.6.2"} <= sections
    assert len(CELLS) >= 80


@pytest.mark.parametrize(("name", "task"), CELLS)
def test_quoted_numbers_are_those_of_the_figures(name: str, task: str) -> None:
    """A claim's function, given what the paper plotted, returns what the claim quotes, to the printed digits."""
    numbers = quoted(CLAIMS[name], task)
    for number, effect in zip(numbers, drawn_effects()[name, task].values(), strict=False):
        digits = min(3, len(f"{number!r}".partition(".")[2]))
        assert effect == pytest.approx(number, abs=10.0**-digits)


@pytest.mark.parametrize("name", sorted(CLAIMS))
def test_a_claim_of_several_parts_quotes_a_number_for_each(name: str) -> None:
    """Reports set the numbers beside the parts by place: numbers of two seeds would be taken for those of two parts."""
    claim = CLAIMS[name]
    if claim.form is not None and set(claim.form.predicates) != {SINGLE}:
        for task in claim.tasks or ("hopper",):
            assert len(quoted(claim, task)) in (0, len(claim.form.predicates)), task
