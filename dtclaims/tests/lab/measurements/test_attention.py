"""Attention distance of tiny stored runs, before against after fine-tuning."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from dtclaims.lab.design.tasks import get_task
from dtclaims.lab.measurements import Bench
from dtclaims.lab.measurements.attention import MINI_WINDOWS, attention_gap, attention_gap_rest
from dtclaims.lab.models import DecisionTransformer, capture
from dtclaims.tests.support.examples import TINY_BUDGET, made_up
from dtclaims.tests.support.tiny_benches import CORRECTED, PUBLISHED, bench, scaled, unchanged

QK_0 = scaled(3.0, "transformer.h.0.attn.c_attn.weight")


def distances(one: Bench, model: DecisionTransformer, block: int, heads: int, causal: bool) -> np.ndarray:
    """Attention distance of each window, query by query and key by key, as the protocol's §7.6 words it."""
    count = MINI_WINDOWS if causal else 100
    found = []
    for batch in one.windows(count, full=causal, per_seed=causal):
        captured = capture(model, batch, points=("attn.c_attn",), attention="boolean" if causal else "reference")
        projected = captured[f"h.{block}.attn.c_attn"]
        q, k, _ = projected.double().chunk(3, dim=-1)
        tokens, width = q.shape[1], q.shape[2] // heads
        total = torch.zeros(len(q), dtype=torch.float64)
        for head in range(heads):
            columns = slice(head * width, (head + 1) * width)
            for i in range(tokens):
                keys = k[:, : i + 1, columns] if causal else k[:, :, columns]
                logits = (keys @ q[:, i, columns, None])[..., 0] / math.sqrt(width)
                weights = torch.softmax(logits, dim=-1)
                total += sum((i - j) * weights[:, j] for j in range(i))
        found.append(total / (tokens * heads if causal else tokens**2))
    return torch.cat(found).numpy()


def test_a_run_that_learns_nothing_has_no_gap(tmp_path: Path) -> None:
    """Equal weights, equal distances, in every block and under both protocols."""
    one = bench(tmp_path, end=unchanged)
    for switches in (PUBLISHED, CORRECTED):
        assert attention_gap(one, switches, epoch=40) == [0.0, 0.0]
        assert attention_gap_rest(one, switches, epoch=40) == 0.0


@pytest.mark.parametrize("causal", [False, True])
def test_gaps_are_the_median_change_of_distance(tmp_path: Path, causal: bool) -> None:
    """|after - before| with heads fused; corrected: per head, causal, over the distance before (DEV-08)."""
    one = bench(tmp_path, end=QK_0)
    before, after = (
        distances(one, one.network(epoch), 0, heads=2 if causal else 1, causal=causal) for epoch in (0, 40)
    )
    change = np.abs(after - before) / (before if causal else 1.0)
    gaps = attention_gap(one, CORRECTED if causal else PUBLISHED, epoch=40)
    assert gaps[0] > 0
    # Distances are taken in float32.
    assert gaps[0] == pytest.approx(float(np.median(change)), rel=1e-3, abs=1e-6)


def test_the_epoch_is_one_of_the_papers(tmp_path: Path) -> None:
    """Epoch 4 of 40 unless said, at its share of the run's own epochs; epoch 0 is the start itself."""
    one = bench(tmp_path, end=QK_0, budget=replace(TINY_BUDGET, epochs=1))
    assert attention_gap(one, PUBLISHED) == attention_gap(one, PUBLISHED, epoch=40)
    assert attention_gap(one, PUBLISHED)[0] > 0
    assert attention_gap(one, PUBLISHED, epoch=0) == [0.0, 0.0]


@pytest.mark.parametrize(
    ("task", "expected"), [("hopper", (66 - 1) / 11), ("walker2d", 65 / 11), ("halfcheetah", 63 / 10)]
)
def test_the_rest_are_the_blocks_not_excepted(task: str, expected: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Block 1 is left out, and block 2 on HalfCheetah; published gaps are in units of the uniform distance 0.1666."""
    asked: list[int] = []

    def gaps(one: Bench, switches: object, *, epoch: int) -> list[float]:
        asked.append(epoch)
        return [float(block) for block in range(12)]

    monkeypatch.setattr("dtclaims.lab.measurements.attention.attention_gap", gaps)
    one = Bench(None, made_up([30], get_task(task)), {}, "cpu", 0)
    assert attention_gap_rest(one, CORRECTED, epoch=10) == pytest.approx(expected)
    assert attention_gap_rest(one, PUBLISHED) == pytest.approx(expected / 0.16662, rel=1e-4)
    assert asked == [10, 4]
