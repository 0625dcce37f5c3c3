"""Gradients of stored runs, against backward passes of one window at a time."""

import json
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from dtclaims.lab.data.windows import Batch
from dtclaims.lab.measurements import Bench
from dtclaims.lab.measurements.gradients import gradients
from dtclaims.lab.train.objective import action_loss
from dtclaims.tests.support.examples import TINY_BUDGET
from dtclaims.tests.support.tiny_benches import CORRECTED, PUBLISHED, bench, scaled

Vector = NDArray[np.float64]
ONE_EPOCH: dict[str, Any] = {"budget": replace(TINY_BUDGET, epochs=1), "epochs": 1}


def tiny(folder: Path, arm: str, **changes: Any) -> Bench:
    """A run of one epoch, whose end is thus the paper's epoch 1; larger weights than at the start."""
    return bench(folder, arm, scaled(3.0, "transformer.h."), **ONE_EPOCH, **changes)


def by_window(one: Bench, batch: Batch) -> tuple[list[str], list[list[torch.Tensor]]]:
    """Names of the parameters, and each window's gradient in each, without dropout."""
    model = one.network(1)
    names = [name for name, _ in model.named_parameters()]
    found = []
    for i in range(len(batch.mask)):
        window = Batch(**{field.name: getattr(batch, field.name)[i : i + 1] for field in fields(batch)})
        loss = action_loss(model, window)[0]
        got = torch.autograd.grad(loss, list(model.parameters()), materialize_grads=True)
        found.append([gradient.flatten().double() for gradient in got])
    return names, found


def joined(rows: list[list[torch.Tensor]], chosen: list[bool]) -> Vector:
    """Gradients of the chosen tensors side by side, (windows, coordinates)."""
    return np.stack([torch.cat([g for g, use in zip(row, chosen, strict=True) if use]).numpy() for row in rows])


def windows(one: Bench, count: int, *, corrected: bool) -> Batch:
    """The windows that the protocol asks for."""
    (batch,) = one.windows(count, full=corrected, per_seed=corrected, chunk=count)
    return batch


def test_corrected_is_unclipped_and_without_dropout(tmp_path: Path) -> None:
    """200 full windows, the norm over all parameters, plain cosines over the blocks, for a random arm too (DEV-05)."""
    one = tiny(tmp_path, "random_init")
    value = gradients(one, CORRECTED)
    names, rows = by_window(one, windows(one, 200, corrected=True))
    total = np.linalg.norm(joined(rows, [True] * len(names)), axis=1)
    block = joined(rows, [".h." in name for name in names])
    cosines = (block @ block.T / np.outer(*[np.linalg.norm(block, axis=1)] * 2))[np.triu_indices(200, 1)]
    factor = np.minimum(1, 0.25 / (total + 1e-6))
    low, middle, high = np.quantile(total, (0.25, 0.5, 0.75))
    expected = {
        "cosine_minimum": cosines.min(),
        "cosine_percentile_1": np.percentile(cosines, 1),
        "cosine_mean": cosines.mean(),
        "norm_median": middle,
        "norm_iqr": high - low,
        "norm_near_clip": (total > 0.24).mean(),
        "total_median": middle,
        "total_iqr": high - low,
        "share_clipped": (total > 0.25).mean(),
        "clip_factor_mean": factor.mean(),
        "clip_factor_variation": factor.std() / factor.mean(),
    }
    assert {name: value[name] for name in expected} == pytest.approx(expected, rel=1e-4, abs=1e-5)
    np.testing.assert_allclose(value["norms"], np.sort(total), rtol=1e-4)
    np.testing.assert_allclose(value["cosines"], [np.percentile(cosines, q) for q in range(101)], atol=1e-5)
    clipped_low, clipped_high = np.quantile(total * factor, (0.25, 0.75))
    assert value["total_iqr_clipped"] == pytest.approx(clipped_high - clipped_low, abs=1e-5)


def test_published_is_the_blocks_part_of_the_clipped_gradient(tmp_path: Path) -> None:
    """100 windows, padded ones too, for norms; the first 50 of them for cosines; no dropout for a pre-trained arm."""
    one = tiny(tmp_path, "language_pretrained")
    value = gradients(one, PUBLISHED)
    names, rows = by_window(one, windows(one, 100, corrected=False))
    total = np.linalg.norm(joined(rows, [True] * len(names)), axis=1)
    factor = np.minimum(1, 0.25 / (total + 1e-6))
    clipped = joined(rows, [".h." in name for name in names]) * factor[:, None]
    norm = np.linalg.norm(clipped, axis=1)
    cosines = clipped[:50] @ clipped[:50].T / (np.outer(norm[:50], norm[:50]) + 1e-6)
    np.testing.assert_allclose(value["norms"], np.sort(norm), rtol=1e-4)
    assert value["norm_median"] == pytest.approx(np.median(norm), rel=1e-4)
    assert value["norm_near_clip"] == pytest.approx((norm > 0.24).mean())
    assert value["total_median"] == pytest.approx(np.median(total), rel=1e-4)
    assert value["cosine_minimum"] == pytest.approx(cosines.min(), abs=1e-4)


@pytest.mark.parametrize("switches", [PUBLISHED, CORRECTED])
def test_what_is_stored_is_enough_for_either_reading(tmp_path: Path, switches: dict[str, str]) -> None:
    """Norms of each window, over all parameters and over the blocks, give both protocols' norms and what is read of
    them; the percentiles of cosines give the first and the lowest of distinct windows."""
    one = tiny(tmp_path, "language_pretrained")
    value = gradients(one, switches)
    other = gradients(one, {**switches, "grad_norm": "unclipped" if switches is PUBLISHED else "clipped_share"})
    totals, blocks = np.array(value["totals"]), np.array(value["blocks"])
    factor = np.minimum(1, 0.25 / (totals + 1e-6))
    clipped, whole = (value, other) if switches is PUBLISHED else (other, value)
    np.testing.assert_allclose(clipped["norms"], np.sort(factor * blocks), rtol=1e-12)
    np.testing.assert_allclose(whole["norms"], np.sort(totals), rtol=1e-12)
    assert (blocks < totals).all()
    assert value["share_clipped"] == (totals > 0.25).mean()
    assert value["cosines"][1] == value["cosine_percentile_1"]
    assert value["cosines"] == sorted(value["cosines"])
    assert value["cosines"][0] == value["cosine_minimum"]


@pytest.mark.parametrize(
    ("arm", "on"),
    [("random_init", True), ("block_1_language", True), ("language_pretrained", False), ("language_permuted", False)],
)
def test_dropout_as_built(tmp_path: Path, arm: str, on: bool) -> None:
    """As published, on unless the stack was read from a checkpoint: block replacement starts from a random one."""
    one = tiny(tmp_path, arm, architecture="matched" if on else "own")
    value = gradients(one, {**PUBLISHED, "grad_norm": "unclipped"})
    names, rows = by_window(one, windows(one, 100, corrected=False))
    total = np.sort(np.linalg.norm(joined(rows, [True] * len(names)), axis=1))
    assert np.allclose(value["norms"], total, rtol=1e-4) is not on


def test_dropout_draws_the_same_whatever_is_read(tmp_path: Path) -> None:
    """The norm before clipping is of the same gradients, dropout on, whichever norm the protocol reports."""
    one = tiny(tmp_path, "random_init", architecture="matched")
    clipped, whole = (gradients(one, {**PUBLISHED, "grad_norm": kind}) for kind in ("clipped_share", "unclipped"))
    assert clipped["total_median"] == whole["total_median"]
    assert clipped["norms"] != whole["norms"]


def test_shares_are_of_norms_or_of_squares(tmp_path: Path) -> None:
    """Of the gradient of the whole batch, over the blocks' tensors, which are named from h.0 on (DEV-34)."""
    one = tiny(tmp_path, "image_native")
    model, batch = one.network(1), windows(one, 200, corrected=True)
    got = torch.autograd.grad(action_loss(model, batch)[0], list(model.parameters()), materialize_grads=True)
    norms = {
        name.removeprefix("transformer."): float(g.norm())
        for (name, _), g in zip(model.named_parameters(), got, strict=True)
        if ".h." in name
    }
    squared = gradients(one, CORRECTED)["shares"]
    plain = gradients(one, {**CORRECTED, "grad_norm": "clipped_share"})["shares"]
    assert "h.0.ln_1.weight" in squared
    assert "h.0.ln_1.bias" not in squared
    assert plain == pytest.approx({name: norm / sum(norms.values()) for name, norm in norms.items()}, rel=1e-4)
    total = sum(norm**2 for norm in norms.values())
    assert squared == pytest.approx({name: norm**2 / total for name, norm in norms.items()}, rel=1e-4)


def test_arms_of_a_seed_share_windows_and_values_are_plain(tmp_path: Path) -> None:
    """The same measurement twice is the same, and JSON; another seed sees other windows as corrected only (DEV-21)."""
    for switches, alike in ((PUBLISHED, True), (CORRECTED, False)):
        one = tiny(tmp_path / switches["seeding"], "language_pretrained")
        value = gradients(one, switches)
        assert json.loads(json.dumps(value, allow_nan=False)) == value == gradients(one, switches)
        assert (gradients(replace(one, seed=1), switches) == value) is alike
