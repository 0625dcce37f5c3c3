"""A report with every verdict, three and five seeds, components and both protocols, shared by the report's tests."""

import copy
from typing import Any

from dtclaims.harness.judge.document import Document
from dtclaims.harness.judge.entries import Component, Effect, Entry
from dtclaims.harness.judge.exhibits import Figure
from dtclaims.harness.report import parse

LABEL = "Self-pre-trained backbones, self-collected data: not the paper's own verdict."

PROVENANCE: dict[str, Any] = {
    "dtclaims": "0.1.0",
    "created": "2026-11-22T18:30:00Z",
    "command": "pytest claims --seeds 5 --claims-report json,html,md",
    "seeds": [0, 1, 2, 3, 4],
    "scale": "mini",
    "scale_reason": "Mini scale was chosen because no GPU was found; it shows direction at toy size only.",
    "protocols": ["published", "corrected"],
    "device": "cpu (2 threads)",
    "alpha": 0.05,
    "store": "~/.cache/dtclaims/runs",
    "versions": {"python": "3.11.7", "torch": "2.13.0", "mujoco": "3.3.7", "numpy": "2.3.1"},
    "label": LABEL,
}

SWITCHES = {
    "published": {"head": "tied", "random_arch": "reference", "adam_eps": "by_arm", "selection": "best"},
    "corrected": {"head": "untied", "random_arch": "matched", "adam_eps": "equal", "selection": "last_quarter"},
}

WORDS = {
    "scales": {
        "mini": "toy size: the pipeline works",
        "small": "reduced size: a conceptual replication",
        "paper": "the paper's size",
    },
    "run": "arm, task, context length",
    "values": {"context": "K={}"},
}

NOTHING: dict[str, Any] = {"mean": None, "low": None, "high": None, "per_seed": {}, "unit": "", "name": ""}


WITHIN_5 = {
    "kind": "equivalence",
    "text": "|effect| < 5",
    "null": 0.0,
    "bound": 5.0,
    "why": "within the noise of scores",
}

CHECK: dict[str, Any] = {
    "name": "random-fails",
    "verdict": "inconclusive",
    "effect": {
        "mean": 8.0,
        "low": -2.0,
        "high": 18.0,
        "per_seed": {"0": 2.0, "1": 8.0, "2": 14.0},
        "unit": "points",
        "name": "score at K=1",
    },
    "trend": {"kind": "level", "direction": -1, "bound": 10.0, "text": "< 10", "why": "a tenth of what experts reach"},
    "reason": "the 90% interval [-2, 18] includes 10",
}


def effect(mean: float, low: float, high: float, seeds: list[float], unit: str, name: str) -> dict[str, Any]:
    """An effect of a report."""
    return {
        "mean": mean,
        "low": low,
        "high": high,
        "per_seed": {str(seed): value for seed, value in enumerate(seeds)},
        "unit": unit,
        "name": name,
    }


def above(cut: float) -> dict[str, Any]:
    """A trend of a report: the effect is above no difference, or above a level of ours."""
    if not cut:
        return {"kind": "contrast", "text": "> 0", "null": 0.0, "bound": None}
    return {"kind": "level", "text": f"> {cut:g}", "null": None, "bound": cut, "why": "half of what is at stake"}


def statistics(sd: float, agree: int, p: float, bound: float, ab: float, d: float, need: int | None) -> dict[str, Any]:
    """The statistics of a report."""
    return {
        "sd": sd,
        "agree": agree,
        "p_value": p,
        "fresh_seed_bound": bound,
        "superiority": ab,
        "effect_size": d,
        "seeds_needed": need,
        "alpha": 0.05,
        "looks": 1,
    }


def run(
    key: str, arm: str, seed: int, *, cached: bool = True, task: str = "hopper", context: int = 20
) -> dict[str, Any]:
    """A run of a report."""
    return {
        "key": key,
        "arm": arm,
        "task": task,
        "context": context,
        "seed": seed,
        "cached": cached,
        "seconds": 41.5 + seed,
    }


def claim(id_: str, protocol: str = "published", **fields: Any) -> dict[str, Any]:
    """A claim that was not run, with some fields replaced."""
    return {
        "id": id_,
        "section": "5.1",
        "headline": False,
        "quote": "a sentence of the paper",
        "scope": "hopper, K=20, state token",
        "protocol": protocol,
        "scale": "mini",
        "verdict": "not_run",
        "reason": "its runs are not in the store",
        "provisional": False,
        "n": 0,
        "effect": copy.deepcopy(NOTHING),
        "statistics": None,
        "components": {},
        "trend": above(0.0),
        "paper_value": {"text": "–"},
        "deviations": [],
        "switches": SWITCHES[protocol],
        "measured": "",
        "runs": [],
        "remedy": f"pytest claims -k {id_!r}",
        "provenance": {},
        **fields,
    }


def entry(id_: str, protocol: str = "published", **fields: Any) -> Entry:
    """`claim` as a record."""
    return Entry.from_json(claim(id_, protocol, **fields))


def component(**fields: Any) -> Component:
    """A component on one side of 20, with some fields replaced."""
    judged = effect(65.1, 60.2, 70.0, [60.4, 66.0, 71.2, 63.5, 64.4], "points", "score")
    whole = {"verdict": "reproduced", "effect": judged, "trend": above(20), "statistics": None}
    return Component.from_json({**whole, **fields})


def effect_of(*values: Any) -> Effect:
    """`effect` as a record."""
    return Effect.from_json(effect(*values))


def document(**fields: Any) -> Document:
    """The example, with some fields replaced by others of JSON types."""
    return parse({**content(), **fields})


def content() -> dict[str, Any]:
    """The example as JSON."""
    arms = [
        run(f"{arm[:2]}{seed}c0ffee", arm, seed) for arm in ("random_init", "image_pretrained") for seed in range(5)
    ]
    fresh = [
        run(f"{arm[:2]}{seed}beef", arm, seed, cached=False)
        for arm in ("random_init", "language_pretrained")
        for seed in range(3)
    ]
    data = {"data": {"kind": "self-collected", "sha256": "9f2c" * 16}, "backbone": {"sha256": "41ab" * 16}}
    scores = {
        "hopper": effect(65.1, 60.2, 70.0, [60.4, 66.0, 71.2, 63.5, 64.4], "points", "score, random − image"),
        "halfcheetah": effect(47.3, 44.1, 50.5, [44.0, 47.9, 51.0, 45.2, 48.4], "points", "score, random − image"),
        "walker2d": effect(31.7, 8.9, 54.5, [2.4, 60.7, 44.0, 12.2, 39.2], "points", "score, random − image"),
    }
    claims = [
        claim(
            "ABS-no-context",
            section="Abstract",
            headline=True,
            title="Language pre-training makes context unnecessary",
            quote="the model learns efficiently even without context information",
            scope="three environments, K=1",
            verdict="refuted",
            reason="walker2d: reversed: the 96.7% interval [-9.1, -2.3] lies below 5",
            n=5,
            effect={**NOTHING, "unit": "points", "name": "score"},
            components={
                "hopper": {
                    "verdict": "reproduced",
                    "effect": effect(12.4, 8.1, 16.7, [7.0, 12.1, 17.2, 11.0, 14.7], "points", "score"),
                    "trend": above(5),
                    "statistics": statistics(4.5, 5, 0.0114, 0.549, 1.0, 2.75, 5),
                },
                "walker2d": {
                    "verdict": "refuted",
                    "effect": effect(-5.7, -8.5, -2.9, [-9.4, -3.1, -6.6, -2.8, -6.6], "points", "score"),
                    "trend": above(5),
                    "statistics": statistics(2.9, 0, 0.9995, 0.0, 0.0, -1.97, None),
                },
            },
            trend={"kind": "parts", "text": "> 5 in every environment"},
            paper_value={"text": "+12.0 / +6.1", "numbers": [12.0, 6.1]},
            deviations=["DEV-03", "DEV-11"],
            measured="Mean normalised return over epochs 1 to 10 at K=1, language pre-trained minus random.",
            runs=arms,
            remedy=None,
            provenance=data,
            turn="reversed",
            decided_by=["its own effect", "S5.5-elsewhere"],
            holm=True,
            holm_free=False,
            paper_data=[
                {"seed": 666, "component": "S5.5-elsewhere", "effect": None, "holds": True},
                {"seed": 42, "component": "S5.5-elsewhere", "effect": None, "holds": False},
            ],
            p_value=0.21,
            rule="2",
            parts=[
                {"id": "S5.5-k1-gpt2-eq-k20", "verdict": "reproduced"},
                {"id": "S5.5-elsewhere", "verdict": "refuted"},
            ],
        ),
        claim(
            "ABS-no-context",
            "corrected",
            section="Abstract",
            headline=True,
            title="Language pre-training makes context unnecessary",
            quote="the model learns efficiently even without context information",
            scope="three environments, K=1",
            holm=None,
        ),
        claim(
            "S4-igpt-worse-than-random",
            section="4",
            quote="why does the model pre-trained on image data … result in catastrophic performance?",
            title="Image pre-training is far worse than none",
            scope="three environments, K=20",
            verdict="inconclusive",
            reason="walker2d: the 90% interval [8.9, 54.5] includes 20",
            decided_by=["walker2d"],
            rule="2",
            n=5,
            effect={**NOTHING, "unit": "points", "name": "score, random − image"},
            components={
                name: {
                    "verdict": "inconclusive" if name == "walker2d" else "reproduced",
                    "effect": scores[name],
                    "trend": above(20),
                    "statistics": statistics(4.0, 5, 0.0004, 0.549, 1.0, 16.3, 3),
                    "size": {"said": "as large as reported", "reason": "the paper's 65.1 is in our interval"},
                    **({"reported": True} if name == "halfcheetah" else {}),
                }
                for name in scores
            },
            trend={"kind": "parts", "text": "> 20 in every environment"},
            paper_value={"text": "+65.1 / +47.3 / +66.7", "numbers": [65.1, 47.3, 66.7]},
            deviations=["DEV-04", "DEV-07"],
            measured="Normalised score of the best epoch, random minus image pre-trained.",
            runs=arms,
            remedy=None,
            provenance=data,
        ),
        claim(
            "S5.1-cka-random-higher-gpt2",
            quote="the CKAs of the randomly initialized model seem to be higher than pre-trained models across layers",
            title="Random networks keep more of their initial representation",
            verdict="reproduced",
            provisional=True,
            reason="the 90% interval [0.0369, 0.0711] lies above 0",
            n=3,
            trend={
                "kind": "contrast",
                "text": "> 0, of interest from 0.02",
                "null": 0.0,
                "bound": None,
                "interest": 0.02,
                "why": "two random networks differ by as much",
            },
            decided_by=["hopper"],
            size={"said": "smaller", "reason": "the paper's 0.055 against our interval", "low": 0.0369, "high": 0.0711},
            paper_data=[
                {"seed": 666, "component": "hopper", "effect": 0.055, "holds": True},
                {"seed": 42, "component": "hopper", "effect": None, "holds": None, "note": "Fig. 3 shows one seed"},
            ],
            reachable={"n": 3, "reproduced": True, "refuted": False, "reproduced_from": 3, "refuted_from": 6},
            over={"text": "3 seeds, one checkpoint (language@1): says this checkpoint"},
            rule="2",
            effect=effect(0.054, 0.0369, 0.0711, [0.048, 0.063, 0.051], "", "mean CKA, random − language"),
            statistics=statistics(0.0079, 3, 0.0035, 0.368, 1.0, 6.84, 3),
            paper_value={"text": "666: +0.055; 42: +0.039", "numbers": [0.055, 0.039]},
            deviations=["DEV-01", "DEV-03", "DEV-04"],
            measured="CKA of one hidden unit over 60 positions, as the reference indexes it; mean over 108 layers.",
            runs=fresh,
            remedy=None,
            provenance=data,
            attribution={
                "variants": {
                    "random_arch": {"effect": -0.28, "low": -0.4, "high": -0.16, "verdict": "refuted"},
                    "head": {"effect": None, "low": None, "high": None, "verdict": "not_run"},
                },
                "smallest": ["random_arch"],
            },
            diagnostics={"saturated_actions": 0.62, "constant_predictor_error": None},
        ),
        claim(
            "S5.1-cka-random-higher-gpt2",
            "corrected",
            quote="the CKAs of the randomly initialized model seem to be higher than pre-trained models across layers",
            title="Random networks keep more of their initial representation",
            verdict="refuted",
            provisional=True,
            reason="reversed: the 90% interval [-0.41, -0.19] lies below 0",
            n=3,
            turn="reversed",
            decided_by=["hopper"],
            paper_data=[
                {"seed": 666, "component": "hopper", "effect": 0.055, "holds": True},
                {"seed": 42, "component": "hopper", "effect": -0.01, "holds": False, "note": "contradicted by Fig. 3"},
            ],
            warnings=["its bound was 0.1 when 3 of these seeds were first looked at"],
            effect=effect(-0.3, -0.41, -0.19, [-0.25, -0.27, -0.38], "", "mean CKA, random − language"),
            statistics=statistics(0.07, 0, 0.989, 0.0, 0.0, -4.28, None),
            paper_value={"text": "666: +0.055; 42: +0.039", "numbers": [0.055, 0.039]},
            deviations=["DEV-01"],
            measured="Raw CKA at the last state token over a window of each of 1000 trajectories.",
            runs=fresh,
            remedy=None,
            provenance=data,
        ),
        claim(
            "S5.5-k1-gpt2-eq-k20",
            section="5.5",
            quote="consistently achieves a comparable performance with that of the baseline result (K = 20)",
            scope="hopper",
            verdict="reproduced",
            reason="the 90% interval [-1.96, 3.16] lies above -5 and below 5",
            n=5,
            effect=effect(0.6, -1.96, 3.16, [-1.5, 4.9, 0.1, 1.8, -2.3], "points", "score, K=1 − K=20"),
            statistics=statistics(2.69, 5, 0.011, 0.549, 0.6, 0.22, 5),
            trend=WITHIN_5,
            paper_value={"text": "+1.8", "numbers": [1.8]},
            measured="Best of all epochs, K=1 minus K=20.",
            runs=arms[:5],
            remedy=None,
        ),
        claim(
            "S5.5-k1-gpt2-eq-k20",
            "corrected",
            section="5.5",
            quote="consistently achieves a comparable performance with that of the baseline result (K = 20)",
            scope="hopper",
            verdict="error",
            reason="seed 3: the run ended with a nan loss at step 812",
            n=5,
            trend=WITHIN_5,
            paper_value={"text": "+1.8", "numbers": [1.8]},
            remedy="dtclaims run --only S5.5-k1-gpt2-eq-k20 --seeds 3",
        ),
        claim(
            "S5.6.2-block1-exception-gpt2",
            section="5.6.2",
            quote="except for block 1",
            verdict="inconclusive",
            reason="true in 3 of 5 seeds, a share between 0.2612 and 0.8656: one half is included",
            n=5,
            effect=effect(0.6, 0.2612, 0.8656, [1.0, 0.0, 1.0, 1.0, 0.0], "", "block 1 has the largest gap"),
            statistics={
                **statistics(0, 3, 0.327, 0.189, 0.5, 0.0, None),
                "sd": None,
                "superiority": None,
                "effect_size": None,
                "looks": 2,
            },
            trend={"kind": "share", "bound": 0.5, "text": "true in most seeds"},
            paper_value={"text": "yes in all six"},
            measured="Whether the attention gap of block 1 is the largest of 12.",
            runs=arms[5:],
            remedy=None,
        ),
        claim(
            "S5.5-k1-random-fails-hopper",
            section="5.5",
            verdict="reproduced",
            n=5,
            remedy=None,
            title=None,
            reason="the 90% interval [0.9, 1.1] lies below 10",
            scope="hopper, K=1",
            quote="the randomly initialized model fails to learn the trajectory for a dataset (Hopper)",
            effect=effect(1.0, 1.0, 1.0, [1.0] * 5, "points", "best score at K=1"),
            statistics={**statistics(0.0, 5, 0.0, 0.549, 0.0, 0.0, 5), "superiority": None, "effect_size": None},
            trend={
                "kind": "level",
                "direction": -1,
                "bound": 10.0,
                "text": "< 10",
                "why": "a tenth of what experts reach",
            },
            paper_value={"text": "−0.24; two seeds −0.3±0.1", "numbers": [-0.24]},
        ),
        claim(
            "S5.6.1-block1-like-random",
            section="5.6.1",
            quote="only the first block brings the gain",
            scope="hopper, K=1",
            verdict="not_evaluable",
            reason="random-fails: the 90% interval [-2, 18] includes 10",
            n=3,
            decided_by=["random-fails"],
            checks=[CHECK],
            remedy=None,
            rule="2",
        ),
    ]
    paper = {
        "title": "On the Effect of Pre-training for Transformer in Different Modality "
        "on Offline Reinforcement Learning",
        "authors": "Shiro Takagi",
        "venue": "NeurIPS 2022",
        "year": 2022,
        "url": "https://arxiv.org/abs/2211.09817",
    }
    return {
        "schema": 2,
        "paper": paper,
        "provenance": copy.deepcopy(PROVENANCE),
        "claims": copy.deepcopy(claims),
        "figures": {"fig1": figure()},
        "tables": {"table1": table()},
        "words": copy.deepcopy(WORDS),
    }


def series(name: str, protocol: str | None, y: list[float | None], style: str = "line", **more: Any) -> dict[str, Any]:
    """A series of a figure, of the paper where no protocol is given."""
    return {
        "name": name,
        "arm": name.replace(" ", "_"),
        "protocol": protocol,
        "seed": 666 if protocol is None else None,
        "style": style,
        "x": list(range(len(y))),
        "y": y,
        **more,
    }


def drawing(**fields: Any) -> Figure:
    """`figure` as a record, with some fields replaced by others of JSON types."""
    return Figure.from_json({**figure(), **fields})


def figure() -> dict[str, Any]:
    """A figure with lines, boxes and points, ours under one protocol and the paper's."""
    spread = {"low": [0.1, 0.3, 0.2, 0.5], "high": [0.3, 0.7, 0.4, 0.7]}
    whiskers = {"whisker_low": [0.0, 0.1, 0.1, 0.4], "whisker_high": [0.5, 0.9, 0.5, 0.8], "fliers": [[1, 1.4]]}
    panels = [
        {"title": "Hopper", "x_label": "layer", "y_label": "CKA", "series": [
            series("random", "published", [0.2, 0.5, 0.3, 0.6], **spread),
            series("language", "published", [0.1, None, 0.2, 0.1]),
            series("random", None, [0.3, 0.4, 0.35, 0.5]),
        ]},
        {"title": "Walker2D", "x_label": "block", "y_label": "gap", "series": [
            series("random", "published", [0.2, 0.5, 0.3, 0.6], "box", **spread, **whiskers),
            series("random", None, [0.25, 0.45, 0.3, 0.6], "box", **spread, **whiskers),
        ]},
        {"title": "Norms", "x_label": "", "y_label": "norm", "x_names": ["bias", "weight"], "series": [
            series("language", "published", [0.2, 0.5], "points", low=[0.1, 0.4], high=[0.3, 0.6]),
            series("language", None, [0.3, 0.4], "points"),
        ]},
    ]  # fmt: skip
    return {"title": "CKA of each layer", "note": "State token.", "panels": panels}


def table() -> dict[str, Any]:
    """A table with the paper's numbers and ours under one protocol."""
    ours = {"protocol": "published", "value": 65.13, "low": 60.2, "high": 70.0, "n": 5}
    cells = [
        {"row": "Hopper", "column": "random", "protocol": None, "value": 67.7, "plus_minus": 3.0},
        {"row": "Hopper", "column": "language", "protocol": None, "value": -0.24},
        {"row": "Hopper", "column": "random", **ours},
    ]
    return {"title": "Scores at K=20", "unit": "normalised return", "cells": cells}


def large(claims: int = 119, seeds: int = 5) -> dict[str, Any]:
    """A report, as JSON, as large as the whole paper: every claim under both protocols, with three components each."""
    base = content()
    template = base["claims"][2]
    entries = []
    for index in range(claims):
        for protocol in ("published", "corrected"):
            runs = [
                run(f"{protocol[0]}{(index + offset) % 60:03d}{seed:02d}".ljust(64, "a"), "language_pretrained", seed)
                for offset in range(6)
                for seed in range(seeds)
            ]
            entries.append(
                {
                    **template,
                    "id": f"S5.{index % 6}-claim-number-{index}",
                    "section": f"5.{index % 6}",
                    "protocol": protocol,
                    "runs": runs,
                }
            )
    return {**base, "claims": entries}
