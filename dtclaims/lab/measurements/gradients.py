"""Gradients of single windows early in training (§5.4, App. G.2, J.4; protocol §7.4)."""

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from dtclaims.lab.design.arms import get_arm
from dtclaims.lab.measurements.bench import Bench, Measurement, per_seed, table

if TYPE_CHECKING:
    from torch import Tensor, nn

    from dtclaims.harness.lab import ProtocolName
    from dtclaims.lab.data.windows import Batch

PUBLISHED_COSINES, PUBLISHED_NORMS = 50, 100
CORRECTED_WINDOWS = 200
"""The audit asks for at least 200 windows (DEV-22)."""
NEAR_CLIP = 0.24
"""A norm above this counts as being at the clipping bound of 0.25."""


def gradients(bench: Bench, switches: Mapping[str, str], *, epoch: int = 1) -> dict[str, Any]:
    """Cosines and norms of single windows' gradients, and each tensor's share of a batch's (§5.4; DEV-05, 06, 34).

    Returns:
        `cosine_minimum`, `cosine_percentile_1`, `cosine_mean`: between windows, over the blocks;
        `cosines`: percentiles 0 to 100 of those of distinct windows;
        `totals`, `blocks`: by window, the norms before clipping over all parameters and over the blocks, from which
        `norms` of either protocol and all that is read of them follow;
        `norms`, sorted, and their `norm_median`, `norm_iqr`, `norm_near_clip` (share above 0.24): of what the
        protocol calls the norm;
        `total_median`, `total_iqr`: of the norm over all parameters before clipping, under either protocol;
        `total_iqr_clipped`: of the same after clipping; `share_clipped`; `clip_factor_mean`,
        `clip_factor_variation`; `shares`: of the blocks' tensors, without the stack's prefix.
    """
    from dtclaims.lab.metrics import gradient_confusion, gradient_norms, gradient_shares, norms_and_confusion

    as_built = switches["grad_mode"] == "as_built"
    clipped = switches["grad_norm"] == "clipped_share"
    mode: ProtocolName = "published" if as_built else "corrected"
    reading: ProtocolName = "published" if clipped else "corrected"
    model, seed = bench.network(epoch), bench.seed
    # A stack read from a checkpoint is left in eval mode by the reference, any other in train mode (DEV-05).
    dropout = as_built and not get_arm(bench.spec["arm"]).loads_checkpoint

    def windows(count: int) -> "Batch":
        (batch,) = bench.windows(count, full=not as_built, per_seed=per_seed(switches), chunk=count)
        return batch

    if as_built:
        batch = windows(PUBLISHED_NORMS)
        norms = gradient_norms(model, batch, _loss, protocol=mode, dropout=dropout, seed=seed)
        few = windows(PUBLISHED_COSINES)
        confusion = gradient_confusion(model, few, _loss, protocol=mode, dropout=dropout, seed=seed)
    else:
        batch = windows(CORRECTED_WINDOWS)
        norms, confusion = norms_and_confusion(model, batch, _loss, protocol=mode, dropout=dropout, seed=seed)
    norm = replace(norms, protocol=reading).values
    shares = gradient_shares(model, batch, _loss, protocol=reading, dropout=dropout, seed=seed)
    return {
        "cosine_minimum": confusion.minimum,
        "cosine_percentile_1": confusion.percentile_1,
        "cosine_mean": confusion.mean,
        "cosines": np.percentile(confusion.pairs, range(101)).tolist(),
        "totals": norms.total.tolist(),
        "blocks": norms.blocks.tolist(),
        "norms": sorted(norm.tolist()),
        "norm_median": float(np.median(norm)),
        "norm_iqr": _iqr(norm),
        "norm_near_clip": float((norm > NEAR_CLIP).mean()),
        "total_median": float(np.median(norms.total)),
        "total_iqr": _iqr(norms.total),
        "total_iqr_clipped": _iqr(norms.total * norms.clip_factor),
        "share_clipped": norms.share_clipped,
        "clip_factor_mean": norms.clip_factor_mean,
        "clip_factor_variation": norms.clip_factor_variation,
        "shares": {
            name.removeprefix("transformer."): float(share)
            for name, share in zip(shares.names, shares.share, strict=True)
        },
    }


def _loss(model: "nn.Module", batch: "Batch") -> "Tensor":
    from dtclaims.lab.train.objective import action_loss

    return action_loss(model, batch)[0]


def _iqr(values: npt.NDArray[np.float64]) -> float:
    low, high = np.quantile(values, (0.25, 0.75))
    return float(high - low)


MEASUREMENTS = table(
    Measurement(
        "gradients",
        ("grad_mode", "grad_norm", "seeding"),
        {
            "published": "Gradients of single windows at epoch 1 of 40, dropout on for random arms and off for "
            "pre-trained ones: cosines over the blocks of 50 windows, norms over the blocks of 100 after clipping over "
            "all parameters to 0.25, shares of a tensor as norm over the sum of norms.",
            "corrected": "Gradients of single windows at epoch 1 of 40, dropout off for every arm, the same 200 full "
            "windows for all: cosines over the blocks, norms over all parameters before clipping, shares of a tensor "
            "as squared norm over the sum of squares.",
        },
        from_networks=gradients,
    ),
)
