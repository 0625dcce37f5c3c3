"""Change of parameters of stored runs."""

import json
import math
from pathlib import Path

import pytest

from dtclaims.lab.measurements.parameters import parameter_change
from dtclaims.lab.models.displacement import block_parameters
from dtclaims.tests.support.tiny_benches import CORRECTED, PUBLISHED, bench, redrawn, scaled, unchanged


def test_a_run_that_learns_nothing_moves_nowhere(tmp_path: Path) -> None:
    """Distance 0; the cosine is 1, but 0 as published for the half of the tensors that starts at 0 (DEV-19)."""
    one = bench(tmp_path, end=unchanged)
    published, corrected = parameter_change(one, PUBLISHED), parameter_change(one, CORRECTED)
    assert published["distance"] == corrected["distance"] == 0
    assert corrected["cosine"] == pytest.approx(1)
    # Per block: two layer-norm weights and four matrices start elsewhere, six biases at 0.
    assert published["cosine"] == pytest.approx(6 / 12, abs=1e-4)
    assert published["cosines"].count(None) == 12


def test_doubled_blocks_have_moved_by_their_own_norm(tmp_path: Path) -> None:
    """Twice the initial parameters: relative distance 1, published distance the initial norm, cosine 1."""
    one = bench(tmp_path, "language_pretrained", scaled(2.0, "transformer.h."))
    published, corrected = parameter_change(one, PUBLISHED), parameter_change(one, CORRECTED)
    norm = math.sqrt(sum(float(t.square().sum()) for t in block_parameters(one.state(0)).values()))
    assert published["distance"] == pytest.approx(norm, rel=1e-6)
    assert corrected["distance"] == pytest.approx(1)
    assert published["rms"] == pytest.approx(norm / math.sqrt(sum(published["sizes"])), rel=1e-6)
    assert published["starts"] == pytest.approx(published["l2"], rel=1e-6)
    assert corrected["cosine"] == pytest.approx(1)
    assert {name: published[name] for name in ("relative", "rms", "all_cosine")} == {
        name: corrected[name] for name in ("relative", "rms", "all_cosine")
    }


def test_only_blocks_count(tmp_path: Path) -> None:
    """Embeddings, the final norm and the head are not of the blocks; every tensor of the blocks is listed once."""
    one = bench(tmp_path, end=redrawn("embed", "transformer.ln_f", "predict"))
    value = parameter_change(one, PUBLISHED)
    assert value["distance"] == 0
    assert value["names"][:2] == ["h.0.ln_1.weight", "h.0.ln_1.bias"]
    assert len(value["names"]) == len(set(value["names"])) == len(value["l2"]) == len(value["cosines"]) == 24
    assert json.loads(json.dumps(value, allow_nan=False)) == value


def test_native_image_networks_have_no_norm_biases(tmp_path: Path) -> None:
    """The image arm's own norm has a weight only; the LayerNorm that was published adds biases at 0 (DEV-07)."""
    native = parameter_change(bench(tmp_path, "image_native"), CORRECTED)
    layer_norm = parameter_change(bench(tmp_path, "image_pretrained"), PUBLISHED)
    assert len(layer_norm["names"]) - len(native["names"]) == 4
    assert "h.0.ln_1.bias" in layer_norm["names"]
    assert "h.0.ln_1.bias" not in native["names"]
