"""CKA of stored runs: what each value is, on runs whose outcome is known."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from dtclaims.lab.measurements import Bench
from dtclaims.lab.measurements.representation import (
    MEASUREMENTS,
    cka,
    cka_between,
    cka_grid,
    cka_profile_distance,
    cka_without_change,
    in_pairs,
)
from dtclaims.lab.metrics import layer_features, linear_cka, published_cka
from dtclaims.lab.models import DISTINCT_POINTS, PUBLISHED_POINTS, RESIDUAL_POINTS, DecisionTransformer, capture
from dtclaims.tests.support.tiny_benches import CORRECTED, PUBLISHED, backbones, bench, redrawn

BOTH = pytest.mark.parametrize("switches", [PUBLISHED, CORRECTED], ids=["published", "corrected"])
TOKENS = ("state", "action", "return_to_go")


@BOTH
def test_a_run_that_learns_nothing_keeps_everything(tmp_path: Path, switches: Mapping[str, str]) -> None:
    """Identical networks have CKA 1 at every layer and token, whatever the zero point is; the floor is near 0."""
    value = cka(bench(tmp_path), switches)
    points = PUBLISHED_POINTS if switches is PUBLISHED else DISTINCT_POINTS + RESIDUAL_POINTS
    assert value["layers"] == [f"h.{block}.{point}" for block in range(2) for point in points]
    for token in TOKENS:
        # Constant unit values, such as those of a dead unit, have CKA 0 as published.
        assert np.median(value[token]) == pytest.approx(1.0, abs=1e-3)
    assert abs(value["floor"]) < 0.2
    assert json.loads(json.dumps(value, allow_nan=False)) == value


def test_the_published_value_is_one_unit_over_positions(tmp_path: Path) -> None:
    """Unit -2 of 100 windows of any length, against the same unit after training (DEV-01)."""
    one = bench(tmp_path, end=redrawn("transformer.h."))
    value = cka(one, PUBLISHED)
    (windows,) = one.windows(100, full=False, per_seed=False)
    sides = [
        layer_features(
            capture(one.network(epoch), windows, ("attn.c_attn",), attention="reference"), token="state", axis="unit"
        )["h.1.attn.c_attn"]
        for epoch in (0, 40)
    ]
    assert sides[0].shape == (100, 60)
    assert value["state"][value["layers"].index("h.1.attn.c_attn")] == pytest.approx(published_cka(*sides), abs=1e-6)


def test_the_corrected_value_is_rescaled_between_two_random_networks_and_one(tmp_path: Path) -> None:
    """(raw - zero) / (1 - zero) of the full width at the token, zero from two other networks."""
    one = bench(tmp_path, end=redrawn("transformer.h."))
    value = cka(one, CORRECTED)
    windows = one.windows(200, full=True, per_seed=True)

    def raw(models: list[DecisionTransformer]) -> float:
        features = [
            np.concatenate([capture(model, batch, ("mlp.c_fc",))["h.0.mlp.c_fc"][:, -1].numpy() for batch in windows])
            for model in models
        ]
        return linear_cka(*features)

    trained = raw([one.network(0), one.network(40)])
    zero = raw([one.random_network("cka/zero/a"), one.random_network("cka/zero/b")])
    found = value["action"][value["layers"].index("h.0.mlp.c_fc")]
    assert found == pytest.approx((trained - zero) / (1 - zero), abs=1e-6)
    assert abs(found - trained) > 0.01


def test_layers_of_deep_networks_are_averaged_in_pairs_as_published(tmp_path: Path) -> None:
    """More than 12 blocks: adjacent layers in pairs, across blocks too, under published only."""
    deep = backbones(image_blocks=14)
    value = cka(bench(tmp_path, "image_pretrained", sources=deep), PUBLISHED)
    assert len(value["layers"]) == len(value["state"]) == 14 * 9 // 2
    assert value["layers"][4] == "h.0.mlp.dropout + h.1.ln_1"
    assert len(cka(bench(tmp_path, "image_native", sources=deep), CORRECTED)["layers"]) == 14 * 9
    layers = {f"h.{block}.{point}": block + 0.5 * (point == "b") for block in range(13) for point in "ab"}
    assert list(in_pairs(layers).values()) == [block + 0.25 for block in range(13)]
    assert in_pairs({"h.11.a": 1.0}) == {"h.11.a": 1.0}


@BOTH
def test_profiles_of_a_run_and_itself_do_not_differ(tmp_path: Path, switches: Mapping[str, str]) -> None:
    """0 from itself; from another run, the mean absolute difference of the two profiles."""
    one, other = bench(tmp_path), bench(tmp_path, end=redrawn("transformer.h."))
    assert cka_profile_distance(replace(one, other=one), switches) == 0
    a, b = (np.array(cka(run, switches)["state"], dtype=float) for run in (one, other))
    assert cka_profile_distance(replace(one, other=other), switches) == pytest.approx(np.nanmean(abs(a - b)), abs=1e-6)


@BOTH
def test_networks_are_compared_layer_by_layer(tmp_path: Path, switches: Mapping[str, str]) -> None:
    """Of a run with itself, the mean over all pairs of layers: that of its grid, and 1 for the diagonal."""
    one = bench(tmp_path, end=redrawn("transformer.h."))
    grid = np.array(cka_grid(one, switches))
    assert grid.shape == (2, 2)
    # 9 layers a block: 72 ordered pairs within each block, 81 between.
    off_diagonal = (72 * np.trace(grid) + 81 * (grid.sum() - np.trace(grid))) / (2 * 72 + 2 * 81)
    whole = cka_between(replace(one, other=one), switches)
    assert whole == pytest.approx((18 + (18 * 17) * off_diagonal) / 18**2, abs=0.02)


@BOTH
def test_other_networks_are_less_alike(tmp_path: Path, switches: Mapping[str, str]) -> None:
    """An independent network is less like a run than the run itself; the order of the two does not matter."""
    one, other = bench(tmp_path), bench(tmp_path, seed=5, end=redrawn("transformer.", "embed"))
    same = cka_between(replace(one, other=one), switches)
    assert cka_between(replace(one, other=other), switches) < same


def test_the_grid_of_the_start_ignores_what_was_learnt(tmp_path: Path) -> None:
    """Epoch 0 is the untrained network's."""
    one, other = bench(tmp_path), bench(tmp_path, end=redrawn("transformer.h."))
    assert cka_grid(one, PUBLISHED, epoch=0) == cka_grid(other, PUBLISHED, epoch=0)
    assert cka_grid(one, PUBLISHED) != cka_grid(other, PUBLISHED)


@pytest.fixture(scope="module")
def deep(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Bench]:
    """Runs of five blocks in which all blocks but the last two changed, only those, or none."""
    sources, folder = backbones(blocks=5), tmp_path_factory.mktemp("deep")
    late = ("transformer.h.3.", "transformer.h.4.")
    early = ("transformer.h.0.", "transformer.h.1.", "transformer.h.2.")
    return {
        name: bench(folder, "language_pretrained", redrawn(*prefixes), sources=sources)
        for name, prefixes in (("early", early), ("late", late), ("still", ()))
    }


@BOTH
def test_putting_back_what_did_not_change_changes_nothing(deep: dict[str, Bench], switches: Mapping[str, str]) -> None:
    """0 where only earlier blocks changed."""
    assert cka_without_change(deep["early"], switches) == 0


@BOTH
def test_putting_back_all_that_changed_undoes_it(deep: dict[str, Bench], switches: Mapping[str, str]) -> None:
    """Where only blocks 3 and later changed, the difference is that from a run that learns nothing."""
    changed, still = (cka(deep[name], switches) for name in ("late", "still"))
    distances = [
        abs(one - other)
        for layer, one, other in zip(changed["layers"], changed["state"], still["state"], strict=True)
        if layer[2] in "34"
    ]
    assert np.mean(distances) > 0.1
    assert cka_without_change(deep["late"], switches) == pytest.approx(np.mean(distances), abs=1e-5)


def test_every_measurement_says_what_it_is() -> None:
    """A sentence per protocol, different ones; all obey the switches of CKA."""
    for one in MEASUREMENTS.values():
        assert one.says["published"] != one.says["corrected"]
        assert set(one.switches) == {"cka_axis", "seeding"}
