"""Attention distance of tiny stored runs, before against after fine-tuning."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from dtclaims.lab.design.tasks import get_task
from dtclaims.lab.measurements import Bench
from dtclaims.lab.measurements.attention import (
    MINI_WINDOWS,
    attention_change,
    attention_distance,
    attention_gap,
    attention_gap_rest,
)
from dtclaims.lab.models import DecisionTransformer, capture
from dtclaims.tests.support.examples import TINY_BUDGET, made_up
from dtclaims.tests.support.tiny_benches import CORRECTED, PUBLISHED, Tensors, bench, scaled, unchanged

QK_0 = scaled(3.0, "transformer.h.0.attn.c_attn.weight")


def distances(
    one: Bench, model: DecisionTransformer, block: int, heads: int, causal: bool, per_seed: bool | None = None
) -> np.ndarray:
    """Attention distance of each window, query by query and key by key, as the protocol's §7.6 words it."""
    count = MINI_WINDOWS if causal else 100
    found = []
    for batch in one.windows(count, full=causal, per_seed=causal if per_seed is None else per_seed):
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
        change = attention_change(one, switches, epoch=40)
        assert change["blocks"] == [0.0, 0.0]
        assert change["heads"] == change["medians"] == change["spread"] == [[0.0, 0.0]] * 2


def test_published_gaps_are_the_median_change_of_distance(tmp_path: Path) -> None:
    """|after - before| with heads fused (DEV-08)."""
    one = bench(tmp_path, end=QK_0)
    before, after = (distances(one, one.network(epoch), 0, heads=1, causal=False) for epoch in (0, 40))
    gaps = attention_gap(one, PUBLISHED, epoch=40)
    assert gaps[0] > 0
    # Distances are taken in float32.
    assert gaps[0] == pytest.approx(float(np.median(np.abs(after - before))), rel=1e-3, abs=1e-6)


def test_corrected_gaps_are_of_attention_itself(tmp_path: Path) -> None:
    """Mean total variation of causal attention per head: in block 0, whose queries and keys have grown, and after it
    only by what reaches block 1 (DEV-08)."""
    one = bench(tmp_path, end=QK_0)
    moved = []
    for batch in one.windows(MINI_WINDOWS, full=True, per_seed=True):
        maps = []
        for epoch in (40, 0):
            captured = capture(one.network(epoch), batch, points=("attn.c_attn",))["h.0.attn.c_attn"]
            q, k, _ = (side.view(len(side), 60, 2, 4).transpose(1, 2) for side in captured.chunk(3, dim=-1))
            logits = (q @ k.transpose(2, 3) / 2).masked_fill(torch.ones(60, 60).triu(1).bool(), -math.inf)
            maps.append(logits.softmax(dim=-1))
        moved.append((maps[0] - maps[1]).abs().sum(dim=-1).mean(dim=(1, 2)) / 2)
    gaps = attention_gap(one, CORRECTED, epoch=40)
    assert gaps[0] == pytest.approx(float(torch.cat(moved).mean()), rel=1e-4)
    assert gaps[0] > gaps[1] >= 0


@pytest.mark.parametrize("causal", [False, True])
def test_the_distance_is_that_of_the_start(tmp_path: Path, causal: bool) -> None:
    """Median over windows, heads fused or causal per head, of epoch 0 unless said (DEV-08)."""
    one, switches = bench(tmp_path, end=QK_0), CORRECTED if causal else PUBLISHED
    for epoch in (0, 40):
        expected = np.median(distances(one, one.network(epoch), 0, heads=2 if causal else 1, causal=causal))
        assert attention_distance(one, switches, epoch=epoch)[0] == pytest.approx(float(expected), rel=1e-3)
    assert attention_distance(one, switches) == attention_distance(one, switches, epoch=0)


def test_a_replaced_block_is_read_by_its_own_heads(tmp_path: Path) -> None:
    """As published the random arm has one head; the language block in it keeps its two (§5.6.1)."""
    one = bench(tmp_path, "block_1_language", architecture="reference")
    own = {**PUBLISHED, "att_dist": "causal"}
    expected = distances(one, one.network(0), 1, heads=2, causal=True, per_seed=False)
    assert attention_distance(one, own)[1] == pytest.approx(float(np.median(expected)), rel=1e-3)


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


def one_head(initial: Tensors) -> Tensors:
    """Queries of the second of block 0's two heads are turned round; nothing else."""
    name = "transformer.h.0.attn.c_attn.weight"
    weight = initial[name].clone()
    weight[:, 4:8] *= -3
    return {**initial, name: weight}


def maps(one: Bench, model: DecisionTransformer, block: int, head: int) -> np.ndarray:
    """A head's attention in each window, (windows, T, T), query by query."""
    found = []
    for batch in one.windows(MINI_WINDOWS, full=True, per_seed=True):
        q, k, _ = capture(model, batch, points=("attn.c_attn",))[f"h.{block}.attn.c_attn"].double().chunk(3, dim=-1)
        columns = slice(4 * head, 4 * head + 4)
        weights = torch.zeros(len(q), q.shape[1], q.shape[1], dtype=torch.float64)
        for i in range(q.shape[1]):
            logits = (k[:, : i + 1, columns] @ q[:, i, columns, None])[..., 0] / 2.0
            weights[:, i, : i + 1] = torch.softmax(logits, dim=-1)
        found.append(weights)
    return torch.cat(found).numpy()


def test_change_is_the_share_of_attention_that_moved_by_head(tmp_path: Path) -> None:
    """Mean, median and spread over windows of half the L1 distance of a head's rows, K=20 windows whatever the run."""
    one = bench(tmp_path, end=one_head)
    value = attention_change(one, CORRECTED, epoch=40)
    for block, head in ((0, 1), (1, 0), (1, 1)):
        before, after = (maps(one, one.network(epoch), block, head) for epoch in (0, 40))
        moved = np.abs(after - before).sum(axis=2).mean(axis=1) / 2
        stored = [value[name][block][head] for name in ("heads", "medians", "spread")]
        assert stored == pytest.approx([moved.mean(), np.median(moved), moved.std()], rel=1e-4, abs=1e-7)
    assert value["heads"][0][0] == 0.0 < value["heads"][0][1] < 1
    assert value["blocks"] == pytest.approx([np.mean(heads) for heads in value["heads"]])
    assert value["blocks"] == attention_gap(one, CORRECTED, epoch=40)
    assert value["windows"] == MINI_WINDOWS
    assert value == json.loads(json.dumps(value, allow_nan=False))


def test_change_has_one_form_and_windows_of_the_seeding(tmp_path: Path) -> None:
    """Both protocols read it alike on windows of their own; epoch 4 of 40 unless said, epoch 0 is the start."""
    one = bench(tmp_path, end=QK_0, seed=3, budget=replace(TINY_BUDGET, epochs=1))
    paired = {**PUBLISHED, "seeding": "everything"}
    assert attention_change(one, paired) == attention_change(one, CORRECTED, epoch=40)
    assert attention_change(one, PUBLISHED)["blocks"] != attention_change(one, CORRECTED)["blocks"]
    assert attention_change(one, CORRECTED, epoch=0)["blocks"] == [0.0, 0.0]


def test_a_replaced_block_changes_by_its_own_heads(tmp_path: Path) -> None:
    """As published the random arm has one head; the language block in it keeps its two (§5.6.1)."""
    one = bench(tmp_path, "block_1_language", architecture="reference", end=QK_0)
    heads = attention_change(one, PUBLISHED, epoch=40)["heads"]
    assert [len(block) for block in heads] == [1, 2]
    assert min(heads[0]) > 0
