"""Readings of gradients at epoch 1: figures 5, 58, 63 (cosines), 6, 57, 62 (norms), 7, 18, 59-61, 64-67 (shares)."""

from collections.abc import Mapping
from typing import Any

from dtclaims.harness.lab import NotShown
from dtclaims.lab.measurements.gradients import NEAR_CLIP, PUBLISHED_NORMS
from dtclaims.lab.paper.asked import Asked, Noted, Shown
from dtclaims.lab.paper.plotted import all_plotted, plotted

CLIPPED_ONLY = "norms are drawn after clipping, over the blocks, only"


def gradients(asked: Asked, *, epoch: int = 1) -> Any:
    """The lowest cosine, the box of norms, and of the image arm the share of each tensor."""
    if epoch != 1:
        raise NotShown("gradients are drawn at epoch 1 only")
    cosine = plotted("cosine_minimum", asked.seed, asked.task, asked.arm, absent="not drawn")
    box = plotted("norms", asked.seed, asked.task, asked.arm, absent="not drawn")
    hidden = dict.fromkeys(
        (
            "totals", "blocks", "total_median", "total_iqr", "total_iqr_clipped", "share_clipped",
            "clip_factor_mean", "clip_factor_variation",
        ),
        CLIPPED_ONLY,
    )  # fmt: skip
    hidden |= dict.fromkeys(("cosines", "cosine_percentile_1", "cosine_mean"), "only the lowest cosine is drawn")
    hidden |= {"norms": "drawn as a box only", "shares": "drawn for the image pre-trained arm only"}
    near, exact = _near_clip(box)
    parts = {
        "cosine_minimum": cosine,
        "norm_median": box["median"],
        "norm_iqr": box["q3"] - box["q1"],
        "norm_near_clip": near,
    }
    if asked.arm == "image":
        parts["shares"] = _shares(asked)
    found = Shown(parts, hidden)
    return found if exact else Noted(found, f"the box bounds the share of norms above {NEAR_CLIP}: at least {near:g}")


def _near_clip(box: Mapping[str, Any]) -> tuple[float, bool]:
    """Share of norms above the line, and whether it is exact.

    Points beyond the whiskers are all drawn: where the line lies beyond them too, those on its other side are counted.
    Else the quartiles give the largest share that is proven.
    """
    fliers = box.get("fliers", ())
    if box["whisker_low"] > NEAR_CLIP:
        return 1 - sum(flier <= NEAR_CLIP for flier in fliers) / PUBLISHED_NORMS, True
    if box["whisker_high"] <= NEAR_CLIP:
        return sum(flier > NEAR_CLIP for flier in fliers) / PUBLISHED_NORMS, True
    proofs = ((0.75, "q1"), (0.5, "median"), (0.25, "q3"))
    return next((share for share, quartile in proofs if box[quartile] > NEAR_CLIP), 0.0), False


def _shares(asked: Asked) -> dict[str, float]:
    """The first norm's shares as figure 7 has them; the rest is divided as the norms of figure 18 are.

    The two figures disagree for Hopper, seed 666: by figure 18 the first norm has 0.93 there, not 0.89.
    """
    first = plotted("shares", asked.seed, asked.task, absent="not drawn")
    norms = plotted("norm_by_tensor", asked.seed, asked.task, absent="not drawn")
    tensors = all_plotted()["tensors"]
    names = [f"h.{block}.{tensor}" for block in range(len(norms) // len(tensors)) for tensor in tensors]
    rest = sum(norms[2:])
    divided = {name: first["others"] * norm / rest for name, norm in zip(names[2:], norms[2:], strict=True)}
    return {names[0]: first["0.ln_1.weight"], names[1]: first["0.ln_1.bias"], **divided}
