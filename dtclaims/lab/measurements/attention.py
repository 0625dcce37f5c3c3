"""Attention distance and its change (§5.6.2, App. I.2, J.6.2; protocol §7.6)."""

from collections.abc import Mapping
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
    import torch

    from dtclaims.lab.data.windows import Batch
    from dtclaims.lab.metrics import Floats
    from dtclaims.lab.models import DecisionTransformer

MINI_WINDOWS = 200
"""Of the corrected form at mini: a laptop takes a second for them."""
EXCEPTED = {"hopper": (1,), "halfcheetah": (1, 2), "walker2d": (1,)}
"""Blocks whose gaps the paper calls exceptions."""
UNIFORM_DISTANCE = (1 - 1 / (3 * ANALYSIS_CONTEXT) ** 2) / 6
"""Published distance of uniform logits over the windows' 60 tokens (protocol §7.6)."""


def attention_gap(bench: Bench, switches: Mapping[str, str], *, epoch: int = 4) -> list[float]:
    """Change of attention per block, from epoch 0 to another (§5.6.2; DEV-08).

    Published, the median over windows of the change of its distance; corrected, the mean over windows of the share of
    attention that lies on other keys than before (total variation).
    """
    from dtclaims.lab.metrics import attention_gap as gap

    if not _fused(switches):
        return [float(heads.mean()) for heads in _changes(bench, switches, epoch)]
    after, before = (_distances(bench, switches, e) for e in (epoch, 0))
    return [float(np.median(gap(late, early))) for late, early in zip(after, before, strict=True)]


def attention_gap_rest(bench: Bench, switches: Mapping[str, str], *, epoch: int = 4) -> float:
    """Mean attention gap over the blocks that the paper does not except, in units of an ordinary distance (§5.6.2).

    The unit is the distance of uniform attention under `published`; a share of attention needs none.
    """
    gaps = attention_gap(bench, switches, epoch=epoch)
    rest = [gap for block, gap in enumerate(gaps) if block not in EXCEPTED[bench.data.task.name]]
    return float(np.mean(rest)) / (UNIFORM_DISTANCE if _fused(switches) else 1.0)


def attention_change(bench: Bench, switches: Mapping[str, str], *, epoch: int = 4) -> dict[str, Any]:
    """The corrected gap by head, under both protocols: what `attention_gap` is the mean of (§5.6.2; DEV-08).

    Returns:
        blocks: by block, mean over heads and windows.
        heads: by block and head, mean over windows.
        medians, spread: by block and head, median and standard deviation over windows.
        windows: how many were read.
    """
    changes = _changes(bench, {**switches, "att_dist": "causal"}, epoch)
    return {
        "blocks": [float(heads.mean()) for heads in changes],
        "heads": [heads.mean(axis=0).tolist() for heads in changes],
        "medians": [np.median(heads, axis=0).tolist() for heads in changes],
        "spread": [heads.std(axis=0).tolist() for heads in changes],
        "windows": len(changes[0]),
    }


def attention_distance(bench: Bench, switches: Mapping[str, str], *, epoch: int = 0) -> list[float]:
    """Median over windows of the attention distance per block, at the start unless said (§5.6.2; DEV-08)."""
    return [float(np.median(block)) for block in _distances(bench, switches, epoch)]


def _fused(switches: Mapping[str, str]) -> bool:
    return switches["att_dist"] == "fused"


def _windows(bench: Bench, switches: Mapping[str, str]) -> "list[Batch]":
    # The reference draws other windows for each arm (DEV-22); here they share them under both protocols.
    fused = _fused(switches)
    corrected = MINI_WINDOWS if bench.spec["scale"] == "mini" else CORRECTED_WINDOWS
    return bench.windows(PUBLISHED_WINDOWS if fused else corrected, full=not fused, per_seed=per_seed(switches))


def _changes(bench: Bench, switches: Mapping[str, str], epoch: int) -> "list[Floats]":
    """Of each block, the total variation of every window and head since epoch 0, (n, heads)."""
    from dtclaims.lab.metrics import attention_change as change

    late, early = (bench.network(e) for e in (epoch, 0))
    chunks = []
    for batch in _windows(bench, switches):
        mask = _mask(batch)
        pairs = zip(_projected(late, batch, fused=False), _projected(early, batch, fused=False), strict=True)
        chunks.append([change(after[:2], before[:2], before[2], mask) for after, before in pairs])
    return [np.concatenate(block) for block in zip(*chunks, strict=True)]


def _distances(bench: Bench, switches: Mapping[str, str], epoch: int) -> npt.NDArray[np.float64]:
    """Attention distance of every block and window, shape (blocks, n)."""
    from dtclaims.lab.metrics import causal_attention_distance, fused_attention_distance

    model, fused = bench.network(epoch), _fused(switches)
    columns = []
    for batch in _windows(bench, switches):
        mask = _mask(batch)
        rows = [
            fused_attention_distance(query, key) if fused else causal_attention_distance(query, key, heads, mask)
            for query, key, heads in _projected(model, batch, fused)
        ]
        columns.append(np.stack(rows))
    return np.concatenate(columns, axis=1)


def _mask(batch: "Batch") -> "torch.Tensor":
    """Which tokens are real, (n, 60)."""
    return batch.mask.repeat_interleave(3, dim=1)


def _projected(
    model: "DecisionTransformer", batch: "Batch", fused: bool
) -> "list[tuple[torch.Tensor, torch.Tensor, int]]":
    """Of each block: query and key, (n, 60, width), and its number of heads, its own where a block was replaced."""
    from dtclaims.lab.models import capture
    from dtclaims.lab.models.transformer import Block

    projected = capture(model, batch, points=("attn.c_attn",), attention="reference" if fused else "boolean")
    found = []
    for number, block in enumerate(model.transformer.h):
        query, key, _ = projected[f"h.{number}.attn.c_attn"].chunk(3, dim=-1)
        assert isinstance(block, Block)
        found.append((query, key, block.attn.heads))
    return found


MEASUREMENTS = table(
    Measurement(
        "attention_gap",
        ("att_dist", "seeding"),
        {
            "published": "Median over 100 windows of the change in fused-head attention distance, cut after the "
            "softmax, from epoch 0 to another (4 of 40 unless said), shown K=20 windows.",
            "corrected": f"Mean over {CORRECTED_WINDOWS} full windows ({MINI_WINDOWS} at mini), heads and queries of "
            "the share of attention that lies on other keys than at epoch 0 (total variation), at another (4 of 40 "
            "unless said).",
        },
        from_networks=attention_gap,
        # Was a relative change of distance.
        remade={"att_dist": "causal"},
    ),
    Measurement(
        "attention_gap_rest",
        ("att_dist", "seeding"),
        {
            "published": "Mean over blocks of that median gap, all blocks but 1 (on HalfCheetah but 1 and 2), over the "
            "fused-head distance of uniform attention, shown 100 K=20 windows.",
            "corrected": "Mean over blocks of the share of attention that lies on other keys than at epoch 0, all "
            "blocks but 1 (on HalfCheetah but 1 and 2).",
        },
        from_networks=attention_gap_rest,
        remade={"att_dist": "causal"},
    ),
    Measurement(
        "attention_change",
        ("seeding",),
        dict.fromkeys(
            ("published", "corrected"),
            "Share of each head's attention that lies on other keys than at epoch 0 (total variation, causal), at "
            f"another (4 of 40 unless said), over {CORRECTED_WINDOWS} full windows ({MINI_WINDOWS} at mini).",
        ),
        from_networks=attention_change,
    ),
    Measurement(
        "attention_distance",
        ("att_dist", "seeding"),
        {
            "published": "Median over 100 windows of the fused-head attention distance, cut after the softmax, at "
            "epoch 0 unless said, shown K=20 windows.",
            "corrected": f"Median over {CORRECTED_WINDOWS} full windows ({MINI_WINDOWS} at mini) of the causal "
            "attention distance per head, in tokens, at epoch 0 unless said.",
        },
        from_networks=attention_distance,
    ),
)
