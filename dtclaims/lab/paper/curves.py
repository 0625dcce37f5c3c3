"""Readings of learning curves: figures 8, 68 (returns), 9, 69-73 (block replacement), 19, 20 (clipping); Table 1."""

from collections.abc import Mapping
from itertools import pairwise
from statistics import fmean, pstdev
from typing import Any

from dtclaims.harness.lab import NotShown
from dtclaims.lab.data.scores import score_reference
from dtclaims.lab.design.blocks import RB_EPOCHS
from dtclaims.lab.design.spec import Budget
from dtclaims.lab.design.tasks import get_task
from dtclaims.lab.metrics.curves import normalized_score
from dtclaims.lab.paper.asked import CONTEXT, Asked, Noted
from dtclaims.lab.paper.plotted import plotted

ENDS_AT_TEN = "of the image pre-trained arm only the first ten epochs are drawn"
NO_IMAGE_CURVE = "curves of the image pre-trained arm are drawn for seed 666 and K=20 only"
NO_ERRORS = "K=20 action errors are not drawn"
NO_ERRORS_LATER = "action errors at K=1 are drawn for the epochs of block replacement only"


def curve(asked: Asked, kind: str) -> list[float]:
    """The `return` or `error` of every epoch that is drawn, smoothing undone."""
    if asked.arm == "image":
        if asked.context != CONTEXT:
            raise NotShown(NO_IMAGE_CURVE)
        state = "clipped" if asked.clip else "unclipped"
        found = plotted("image_clipping", asked.seed, asked.task, state, kind, absent=NO_IMAGE_CURVE)
    elif kind == "return" and asked.arm in ("random", "language"):
        where = (asked.seed, asked.task, asked.context, asked.arm)
        found = plotted("returns", *where, absent="no such learning curve is drawn")
    elif asked.context == CONTEXT:
        raise NotShown(NO_ERRORS)
    else:
        found = plotted("replacement", "raw", asked.seed, asked.task, kind, asked.arm, absent=NO_ERRORS_LATER)
    return [float(value) for value in found[: asked.epochs]]


def scored(asked: Asked, returns: list[float]) -> list[float]:
    """Returns as the paper normalises them (DEV-29)."""
    reference = score_reference(get_task(asked.task), "dataset_means")
    return [float(value) for value in normalized_score(returns, reference)]


def scores(asked: Asked) -> list[float]:
    """Score of every epoch that is drawn."""
    return scored(asked, curve(asked, "return"))


def span(values: list[float], first: int, last: int, absent: str) -> list[float]:
    """Part of a curve, both ends included."""
    if last > len(values):
        raise NotShown(absent)
    return values[first - 1 : last]


def shorter(asked: Asked) -> str:
    """Why a curve ends before the run does."""
    if asked.arm.startswith("block"):
        return "runs with a replaced block are drawn for the 5 or 10 epochs of block replacement"
    return ENDS_AT_TEN if asked.arm == "image" else NO_ERRORS_LATER


def score(asked: Asked, *, minus: Mapping[str, float] | None = None) -> Any:
    """The best epoch's; the image arm's curve is not drawn to the end, so Table 1 stands in."""
    less = minus[asked.task] if minus else 0.0
    if asked.arm == "image" and asked.clip and asked.epochs == Budget.PAPER_EPOCHS:
        if asked.context != CONTEXT:
            raise NotShown("the image pre-trained arm is shown with context only")
        value, _ = plotted("tables", 1, asked.task, "image", absent=NO_IMAGE_CURVE)
        return Noted(value - less, "Table 1's mean of two seeds stands in for each seed's")
    return max(scores(asked)) - less


def score_span(asked: Asked, *, first: int = 1, last: int = 10) -> float:
    """Mean over a span."""
    return fmean(span(scores(asked), first, last, shorter(asked)))


def score_at(asked: Asked, *, epoch: int = 4) -> float:
    """At one epoch."""
    return span(scores(asked), epoch, epoch, shorter(asked))[0]


def score_curve(asked: Asked) -> list[tuple[float, float]]:
    """All epochs."""
    return list(enumerate(span(scores(asked), 1, asked.epochs, shorter(asked)), start=1))


def early(asked: Asked, kind: str) -> Any:
    """Mean over the epochs of block replacement, smoothed as it is drawn (fig. 9)."""
    found = plotted(
        "replacement", "smoothed", asked.seed, asked.task, kind, asked.arm, absent="not drawn beside block replacement"
    )[: RB_EPOCHS[asked.task]]
    value = fmean(scored(asked, found) if kind == "return" else found)
    short = f"drawn for {len(found)} epochs, not {RB_EPOCHS[asked.task]}"
    return value if len(found) == RB_EPOCHS[asked.task] else Noted(value, short)


def block_return(asked: Asked) -> Any:
    """V_b."""
    return early(asked, "return")


def block_error(asked: Asked) -> Any:
    """E_b."""
    return early(asked, "error")


def action_errors(asked: Asked, *, first: int = 1, last: int | None = None) -> list[float]:
    """Errors over a span of epochs."""
    until = asked.epochs if last is None else min(last, asked.epochs)
    return span(curve(asked, "error"), first, until, shorter(asked))


def action_error_jumps(asked: Asked, *, first: int = 1, last: int = 10) -> float:
    """How much the error's steps scatter."""
    return pstdev(after - before for before, after in pairwise(action_errors(asked, first=first, last=last)))


def errors_and_returns(asked: Asked) -> Any:
    """Of the epochs that have both; of a run whose errors are not drawn there are none, and the others remain.

    At K=1 both are taken from the figures of block replacement: those of Hopper, seed 42, show another run of the
    language arm than the figure of returns does.
    """
    try:
        errors = curve(asked, "error")
    except NotShown as reason:
        return Noted({"error": [], "return": []}, f"a run is left out: {reason}")
    if asked.context == CONTEXT:
        returns = curve(asked, "return")
    else:
        returns = plotted("replacement", "raw", asked.seed, asked.task, "return", asked.arm, absent=NO_ERRORS_LATER)
    both = {"error": errors, "return": returns[: len(errors)]}
    return both if len(errors) == asked.epochs else Noted(both, f"the first {len(errors)} epochs only")
