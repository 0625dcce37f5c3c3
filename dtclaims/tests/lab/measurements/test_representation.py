"""CKA of stored runs: what each value is, on runs whose outcome is known."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from dtclaims.errors import MeasurementError
from dtclaims.lab.data.windows import Batch
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
from dtclaims.tests.support.examples import made_up
from dtclaims.tests.support.tiny_benches import CORRECTED, DATA, PUBLISHED, backbones, bench, redrawn, unchanged

Matrix = NDArray[np.float64]
BOTH = pytest.mark.parametrize("switches", [PUBLISHED, CORRECTED], ids=["published", "corrected"])
TOKENS = ("state", "action", "return_to_go")


@BOTH
def test_a_run_that_learns_nothing_keeps_everything(tmp_path: Path, switches: Mapping[str, str]) -> None:
    """Identical networks have CKA 1 at every layer and token; the floor is near 0."""
    value = cka(bench(tmp_path), switches)
    points = PUBLISHED_POINTS if switches is PUBLISHED else DISTINCT_POINTS + RESIDUAL_POINTS
    assert value["layers"] == [f"h.{block}.{point}" for block in range(2) for point in points]
    for token in TOKENS:
        # Constant unit values, such as those of a dead unit, have CKA 0 as published.
        assert np.median(value[token]) == pytest.approx(1.0, abs=1e-3)
    assert abs(value["floor"]) < 0.3
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


def features(models: list[DecisionTransformer], windows: list[Batch], point: str = "mlp.c_fc") -> list[Matrix]:
    """Each network's first block at a point, all windows and positions, (n, 3K, width)."""
    return [
        np.concatenate([capture(model, batch, (point,))[f"h.0.{point}"].double().numpy() for batch in windows])
        for model in models
    ]


def partial_correlation(x: Matrix, y: Matrix, inputs: list[Matrix]) -> float:
    """Regressed CKA by least squares on entries: what is left of both Grams, correlated off the diagonal."""

    def entries(values: Matrix) -> Matrix:
        n = len(values)
        gram = values @ values.T
        ones = np.ones((n, n)) - np.eye(n)
        rows = [np.outer(np.eye(n)[i], np.ones(n)) + np.outer(np.ones(n), np.eye(n)[i]) for i in range(n)]
        # U-centring is the residual of a Gram's off-diagonal entries on row and column effects.
        off = ones.astype(bool)
        effects = np.stack([row[off] for row in rows], axis=1)
        flat: Matrix = gram[off]
        fitted: Matrix = flat - effects @ np.linalg.lstsq(effects, flat, rcond=None)[0]
        return fitted

    known = np.stack([entries(values) for values in inputs], axis=1)
    left = [side - known @ np.linalg.lstsq(known, side, rcond=None)[0] for side in (entries(x), entries(y))]
    return float(left[0] @ left[1] / np.sqrt((left[0] @ left[0]) * (left[1] @ left[1])))


def test_the_corrected_value_is_raw_with_its_nulls_beside_it(tmp_path: Path) -> None:
    """Unbiased CKA of the full width as it is; that of other random networks, and both beyond the inputs, beside it."""
    one = bench(tmp_path, end=redrawn("transformer.h."))
    value = cka(one, CORRECTED)
    windows = one.separate_windows(200, per_seed=True)
    before, after = features([one.network(0), one.network(40)], windows)
    others = features([one.random_network(f"cka/null/{number}") for number in range(4)], windows)
    place = value["layers"].index("h.0.mlp.c_fc")
    states, actions, returns, times = (
        torch.cat([getattr(batch, name) for batch in windows]).double().numpy()
        for name in ("states", "actions", "returns_to_go", "timesteps")
    )
    n = len(states)
    window = np.concatenate([side.reshape(n, -1) for side in (states, actions, returns)], axis=1)
    for token, offset, shown in (("state", -2, states), ("action", -1, actions), ("return_to_go", -3, returns)):
        inputs = [window, shown[:, -1], times[:, -1:]]
        mine, final, null = before[:, offset], after[:, offset], [other[:, offset] for other in others]
        assert value[token][place] == pytest.approx(linear_cka(mine, final), abs=1e-6)
        assert value["null"][token][place] == pytest.approx(np.mean([linear_cka(one, final) for one in null]), abs=1e-6)
        regressed = partial_correlation(mine, final, inputs)
        regressed_null = np.mean([partial_correlation(one, final, inputs) for one in null])
        assert value["regressed"][token][place] == pytest.approx(regressed, abs=1e-5)
        assert value["regressed_null"][token][place] == pytest.approx(regressed_null, abs=1e-5)
        assert value["retention"][token][place] == pytest.approx(regressed - regressed_null, abs=1e-5)
    assert (value["windows"], value["trajectories"], value["null_networks"]) == (n, n, 4)
    assert value["permutation_sd"] == pytest.approx(np.sqrt(2 / (n * (n - 3))))


def test_a_trajectory_gives_one_window(tmp_path: Path) -> None:
    """Of all 20 trajectories but the one the sampler leaves out, or of as many as are asked for; arms share them."""
    one, other = bench(tmp_path), bench(tmp_path, "language_pretrained")
    (windows,) = one.separate_windows(200, per_seed=True)
    assert len(windows.mask) == len(DATA.lengths) - 1
    assert bool(windows.mask.all())
    (few,) = one.separate_windows(12, per_seed=True)
    assert torch.equal(few.states, windows.states[:12])
    assert torch.equal(other.separate_windows(200, per_seed=True)[0].states, windows.states)
    elsewhere = replace(one, seed=4)
    assert not torch.equal(elsewhere.separate_windows(200, per_seed=True)[0].states, windows.states)
    assert torch.equal(*(run.separate_windows(200, per_seed=False)[0].states for run in (one, elsewhere)))


def test_what_a_run_keeps_is_more_than_its_inputs_give(tmp_path: Path) -> None:
    """A run that learns nothing retains 1 less its null; one whose blocks and embeddings are redrawn, about nothing."""
    still = cka(bench(tmp_path), CORRECTED)
    gone = cka(bench(tmp_path, end=redrawn("transformer.", "embed")), CORRECTED)
    for token in TOKENS:
        assert np.mean(still["regressed"][token]) == pytest.approx(1)
        assert np.mean(still["retention"][token]) == pytest.approx(1 - np.mean(still["regressed_null"][token]))
        assert np.mean(still["null"][token]) > np.mean(still["regressed_null"][token])
        assert abs(np.mean(gone["retention"][token])) < 0.25 < np.mean(still["retention"][token])


def test_the_published_value_has_nothing_beside_it(tmp_path: Path) -> None:
    """The reference's CKA and what unrelated windows give, no more."""
    assert set(cka(bench(tmp_path), PUBLISHED)) == {"layers", *TOKENS, "floor"}


def test_too_few_trajectories_are_an_error(tmp_path: Path) -> None:
    """Four trajectories, of which one is left out, have no CKA of two halves."""
    few = replace(bench(tmp_path), all_data=made_up([30] * 4))
    with pytest.raises(MeasurementError, match="too few samples for unbiased CKA"):
        cka(few, CORRECTED)


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


@BOTH
def test_null_networks_take_the_runs_places(tmp_path: Path, switches: Mapping[str, str]) -> None:
    """With `null`, what a run learnt does not matter, only its configuration; the trained ones are more alike."""
    one, other = (bench(tmp_path, end=end) for end in (unchanged, redrawn("transformer.h.")))
    grids = [cka_grid(run, switches, null=True) for run in (one, other)]
    assert grids[0] == grids[1]
    assert np.shape(grids[0]) == (2, 2)
    between = [cka_between(replace(run, other=one), switches, null=True) for run in (one, other)]
    assert between[0] == between[1] < cka_between(replace(one, other=one), switches)


def test_the_null_of_a_grid_is_of_two_random_networks(tmp_path: Path) -> None:
    """Layers of one against those of another, as `cka_between` reads them, without a layer and itself."""
    one = bench(tmp_path, end=redrawn("transformer.h."))
    windows = one.separate_windows(200, per_seed=True)
    networks = [one.random_network(f"cka/null/{name}") for name in "ab"]
    sides = [features(networks, windows, point) for point in ("ln_1", "mlp.act")]
    cells = [linear_cka(sides[0][0][:, -2], sides[1][1][:, -2]), linear_cka(sides[1][0][:, -2], sides[0][1][:, -2])]
    points = DISTINCT_POINTS + RESIDUAL_POINTS
    value = cka_grid(one, CORRECTED, null=True)[0][0]
    whole = [
        linear_cka(a[:, -2], b[:, -2])
        for i, a in enumerate([features(networks[:1], windows, point)[0] for point in points])
        for j, b in enumerate([features(networks[1:], windows, point)[0] for point in points])
        if i != j
    ]
    assert value == pytest.approx(np.mean(whole), abs=1e-6)
    assert set(np.round(cells, 8)) <= set(np.round(whole, 8))


@pytest.mark.parametrize("switches", [PUBLISHED, CORRECTED], ids=["published", "corrected"])
def test_grids_are_of_the_token_asked_for(tmp_path: Path, switches: dict[str, str]) -> None:
    """The state's unless said; each token has one of its own, and so have two runs that are compared."""
    one, other = bench(tmp_path), bench(tmp_path, "language_pretrained")
    grids = [cka_grid(one, switches, token=token) for token in TOKENS]
    assert grids[0] == cka_grid(one, switches)
    assert not any(np.allclose(grids[i], grids[j]) for i, j in ((0, 1), (0, 2), (1, 2)))
    between = {cka_between(replace(one, other=other), switches, token=token) for token in TOKENS}
    assert len(between) == 3


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
