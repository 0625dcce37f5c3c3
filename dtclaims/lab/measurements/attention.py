"""Attention distance, its change, and that of the maps (§5.6.2, App. I.2, J.6.2; protocol §7.6)."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from dtclaims.lab.measurements.bench import (
    ANALYSIS_CONTEXT,
    CORRECTED_WINDOWS,
    PUBLISHED_WINDOWS,
    Bench,
    Measurement,
    per_seed,
    table,
)

if TYPE_CHECKING:
    from dtclaims.lab.data.windows import Batch
    from dtclaims.lab.models import DecisionTransformer

MINI_WINDOWS = 200
"""Of the corrected form at mini: a laptop takes a second for them."""
EXCEPTED = {"hopper": (1,), "halfcheetah": (1, 2), "walker2d": (1,)}
"""Blocks whose gaps the paper calls exceptions."""
UNIFORM_DISTANCE = (1 - 1 / (3 * ANALYSIS_CONTEXT) ** 2) / 6
"""Published distance of uniform logits over the windows' 60 tokens (protocol §7.6)."""


def attention_gap(bench: Bench, switches: Mapping[str, str], *, epoch: int = 4) -> list[float]:
    """Median change of the attention distance per block, from epoch 0 to another (§5.6.2; DEV-08)."""
    from dtclaims.lab.metrics import attention_gap as gap
    from dtclaims.lab.metrics import relative_gap

    fused = switches["att_dist"] == "fused"
    corrected = MINI_WINDOWS if bench.spec["scale"] == "mini" else CORRECTED_WINDOWS
    # The reference draws other windows for each arm (DEV-22); here they share them under both protocols.
    windows = bench.windows(PUBLISHED_WINDOWS if fused else corrected, full=not fused, per_seed=per_seed(switches))
    before, after = (_attention_distances(bench.network(e), windows, fused) for e in (0, epoch))
    change = gap if fused else relative_gap
    return [float(np.median(change(late, early))) for late, early in zip(after, before, strict=True)]


def attention_gap_rest(bench: Bench, switches: Mapping[str, str], *, epoch: int = 4) -> float:
    """Mean attention gap over the blocks that the paper does not except, in units of an ordinary distance (§5.6.2).

    The unit is the distance of uniform attention under `published`; a relative gap needs none.
    """
    rest = _rest(bench, attention_gap(bench, switches, epoch=epoch))
    return rest / (UNIFORM_DISTANCE if switches["att_dist"] == "fused" else 1.0)


def _rest(bench: Bench, by_block: Iterable[float]) -> float:
    """Mean over the blocks that the paper does not except."""
    return float(np.mean([one for block, one in enumerate(by_block) if block not in EXCEPTED[bench.data.task.name]]))


def attention_change(bench: Bench, switches: Mapping[str, str], *, epoch: int = 4) -> dict[str, Any]:
    """Share of attention that has moved to other keys since epoch 0, by head: 0 none, 1 all (§5.6.2; DEV-08).

    Per head the total variation between the maps of a window at epoch 0 and at another, mean over its queries. One form
    for both protocols.

    Returns:
        blocks: by block, mean over heads and windows.
        rest: mean of `blocks` over those that the paper does not except.
        heads: by block and head, mean over windows.
        medians, spread: by block and head, median and standard deviation over windows.
        windows: how many were read.
    """
    from dtclaims.lab.metrics import attention_change as change
    from dtclaims.lab.models import capture

    count = MINI_WINDOWS if bench.spec["scale"] == "mini" else CORRECTED_WINDOWS
    models = [bench.network(e) for e in (0, epoch)]
    config = models[0].config
    chunks = []
    for batch in bench.windows(count, full=True, per_seed=per_seed(switches)):
        before, after = (capture(model, batch, points=("attn.c_attn",)) for model in models)
        mask = batch.mask.repeat_interleave(3, dim=1)
        rows = []
        for name in before:
            (query, key, _), (late_query, late_key, _) = (found[name].chunk(3, dim=-1) for found in (before, after))
            rows.append(change((query, key), (late_query, late_key), config.heads, mask))
        chunks.append(np.stack(rows))
    moved = np.concatenate(chunks, axis=1)  # (blocks, windows, heads)
    blocks = moved.mean(axis=(1, 2)).tolist()
    return {
        "blocks": blocks,
        "rest": _rest(bench, blocks),
        "heads": moved.mean(axis=1).tolist(),
        "medians": np.median(moved, axis=1).tolist(),
        "spread": moved.std(axis=1).tolist(),
        "windows": moved.shape[1],
    }


def _attention_distances(model: "DecisionTransformer", windows: "list[Batch]", fused: bool) -> npt.NDArray[np.float64]:
    """Attention distance of every block and window, shape (blocks, n)."""
    from dtclaims.lab.metrics import causal_attention_distance, fused_attention_distance
    from dtclaims.lab.models import capture

    columns = []
    for batch in windows:
        projected = capture(model, batch, points=("attn.c_attn",), attention="reference" if fused else "boolean")
        mask = batch.mask.repeat_interleave(3, dim=1)
        rows = []
        for block in range(model.config.blocks):
            query, key, _ = projected[f"h.{block}.attn.c_attn"].chunk(3, dim=-1)
            if fused:
                rows.append(fused_attention_distance(query, key))
            else:
                rows.append(causal_attention_distance(query, key, model.config.heads, mask))
        columns.append(np.stack(rows))
    return np.concatenate(columns, axis=1)


MEASUREMENTS = table(
    Measurement(
        "attention_gap",
        ("att_dist", "seeding"),
        {
            "published": "Median over 100 windows of the change in fused-head attention distance, cut after the "
            "softmax, from epoch 0 to another (4 of 40 unless said), in K=20 windows.",
            "corrected": f"Median over {CORRECTED_WINDOWS} full windows ({MINI_WINDOWS} at mini) of the relative "
            "change in causal per-head attention distance, from epoch 0 to another (4 of 40 unless said).",
        },
        from_networks=attention_gap,
    ),
    Measurement(
        "attention_gap_rest",
        ("att_dist", "seeding"),
        {
            "published": "Mean over blocks of that median gap, all blocks but 1 (on HalfCheetah but 1 and 2), over the "
            "fused-head distance of uniform attention, in 100 K=20 windows.",
            "corrected": "Mean over blocks of the median relative gap, all blocks but 1 (on HalfCheetah but 1 and 2), "
            "of causal per-head attention.",
        },
        from_networks=attention_gap_rest,
    ),
    Measurement(
        "attention_change",
        ("seeding",),
        dict.fromkeys(
            ("published", "corrected"),
            f"Share of each head's attention that has moved to other keys (total variation of causal maps) from epoch "
            f"0 to another (4 of 40 unless said), mean over queries and {CORRECTED_WINDOWS} full windows "
            f"({MINI_WINDOWS} at mini).",
        ),
        from_networks=attention_change,
    ),
)
