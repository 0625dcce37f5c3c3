"""Layer-wise CKA: the published index (DEV-01) and arithmetic (DEV-33) against the reference, and the correction."""

import json

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import layer_norm

from dtclaims.errors import MeasurementError, UsageError
from dtclaims.lab.metrics import (
    Axis,
    Token,
    cka_matrix,
    layer_features,
    layerwise_cka,
    linear_cka,
    published_cka,
    published_cka_matrix,
)
from dtclaims.places import fixture_dir
from dtclaims.seeding import derive, generator

Arrays = dict[str, NDArray[np.float32]]
TOKENS: dict[Token, str] = {"state": "state", "action": "action", "return_to_go": "reward"}
"""Our token names and the reference's."""


def golden(name: str) -> Arrays:
    """One golden file, read whole."""
    with np.load(fixture_dir() / "golden" / f"{name}.npz") as file:
        return dict(file)


ORDER: list[str] = json.loads((fixture_dir() / "golden" / "cka_activations.json").read_text())["settings"]["order"]
EXPECTED = golden("cka_activations")


def reference_activations(model: str, heads: int, inputs: Arrays) -> dict[str, Tensor]:
    """A plain transcription of the reference's forward pass (additive masks included), hooked 9 times a block."""
    p = {name[len("state_dict/") :]: torch.from_numpy(v) for name, v in golden(model).items() if "state_dict" in name}
    x = {name: torch.from_numpy(value) for name, value in inputs.items()}
    kinds = {"return": x["rtg"][:, :-1], "state": x["states"], "action": x["actions"]}
    embedded = [v @ p[f"embed_{kind}.weight"].T + p[f"embed_{kind}.bias"] for kind, v in kinds.items()]
    batch, steps, width = embedded[0].shape
    h = torch.stack(embedded, dim=2).reshape(batch, 3 * steps, width)
    h = layer_norm(h, (width,), p["embed_ln.weight"], p["embed_ln.bias"])
    h = h + p["embed_timestep.weight"][x["timesteps"]].repeat_interleave(3, dim=1)
    padding = (1 - x["mask"].float()).repeat_interleave(3, dim=1)[:, None, None, :] * -10000.0
    causal = torch.ones(3 * steps, 3 * steps).tril().bool()
    act: dict[str, Tensor] = {}
    for block in range(3):

        def norm(name: str, v: Tensor, block: int = block) -> Tensor:
            weight, bias = (p[f"transformer.h.{block}.{name}.{part}"] for part in ("weight", "bias"))
            act[f"{block}.{name}"] = layer_norm(v, (width,), weight, bias)
            return act[f"{block}.{name}"]

        def convolution(name: str, v: Tensor, block: int = block) -> Tensor:
            weight, bias = (p[f"transformer.h.{block}.{name}.{part}"] for part in ("weight", "bias"))
            act[f"{block}.{name}"] = v @ weight + bias
            return act[f"{block}.{name}"]

        qkv = convolution("attn.c_attn", norm("ln_1", h)).chunk(3, dim=2)
        q, k, v = (t.reshape(batch, -1, heads, width // heads).transpose(1, 2) for t in qkv)
        logits = q @ k.transpose(2, 3) / (width // heads) ** 0.5
        weights = torch.softmax(torch.where(causal, logits, torch.tensor(-10000.0)) + padding, dim=-1)
        mixed = (weights @ v).transpose(1, 2).reshape(batch, -1, width)
        h = h + convolution("attn.c_proj", mixed)
        act[f"{block}.attn.resid_dropout"] = act[f"{block}.attn.c_proj"]
        hidden = convolution("mlp.c_fc", norm("ln_2", h))
        hidden = torch.relu(hidden) if model == "forward_dt" else torch.nn.functional.gelu(hidden, approximate="tanh")
        act[f"{block}.mlp.act"] = hidden
        h = h + convolution("mlp.c_proj", hidden)
        act[f"{block}.mlp.dropout"] = act[f"{block}.mlp.c_proj"]
    return {name: act[name] for name in ORDER}


@pytest.fixture(scope="module")
def activations() -> dict[str, dict[str, Tensor]]:
    """Both golden models' activations on the 12 golden windows, by reference_activations."""
    inputs = {name.removeprefix("in12/"): value for name, value in EXPECTED.items() if name.startswith("in12/")}
    heads = {"forward_dt": 1, "forward_gpt2": 4}
    return {name.removeprefix("forward_"): reference_activations(name, h, inputs) for name, h in heads.items()}


def test_published_cka_golden() -> None:
    """The reference's U-centred CKA, +1e-6 and all-zero features included, in float64 and in float32."""
    random = golden("cka_random")
    for pair in ("X_Y", "X_X", "X_Z", "Y_Z", "X_shifted", "X_zero", "Y_shifted"):
        x, y = (random[f"mat/{side}"] for side in pair.split("_"))
        double, single = (float(random[f"cka/{pair}/{kind}/debiased"]) for kind in ("float64", "float32"))
        assert published_cka(x, y) == pytest.approx(double, rel=1e-10)
        assert published_cka(x.astype(np.float32), y.astype(np.float32)) == pytest.approx(single, abs=1e-5)


@pytest.mark.parametrize("token", TOKENS)
def test_published_axis_golden_on_reference_activations(token: Token) -> None:
    """On the reference's own activations (n=4) all 27 x 27 cells agree to float32 rounding."""
    dt, gpt2 = ({k[4:]: v for k, v in golden(f"forward_{m}").items() if k.startswith("act/")} for m in ("dt", "gpt2"))
    pre, post = ({name: act[name] for name in ORDER} for act in (dt, gpt2))
    expected = EXPECTED[f"batch_of_forward/{TOKENS[token]}/dt_gpt2"]
    features = [layer_features(side, token=token, axis="unit") for side in (pre, post)]
    np.testing.assert_allclose(published_cka_matrix(*features), expected, atol=1e-5)
    diagonal = layerwise_cka(pre, post, token=token, axis="unit")
    assert list(diagonal) == ORDER
    np.testing.assert_allclose(list(diagonal.values()), np.diag(expected), atol=1e-5)


@pytest.mark.parametrize("other", ["gpt2", "dt"])
@pytest.mark.parametrize("token", TOKENS)
def test_published_axis_golden_on_twelve_windows(
    token: Token, other: str, activations: dict[str, dict[str, Tensor]]
) -> None:
    """Across two models and within one (n=12): every cell within 1e-3, the median within 1e-5."""
    features = [layer_features(activations[m], token=token, axis="unit") for m in ("dt", other)]
    error = np.abs(published_cka_matrix(*features) - EXPECTED[f"batch_in12/{TOKENS[token]}/dt_{other}"])
    assert error.max() < 1e-3
    assert np.median(error) < 1e-5


@pytest.mark.parametrize("token", TOKENS)
def test_token_axis_golden(token: Token, activations: dict[str, dict[str, Tensor]]) -> None:
    """At the token position the reference's function gives our corrected values, up to float32 and its constant."""
    pre, post = activations["dt"], activations["gpt2"]
    expected = EXPECTED[f"batch_in12/{TOKENS[token]}/dt_gpt2_token_axis"]
    features = [layer_features(side, token=token, axis="token") for side in (pre, post)]
    np.testing.assert_allclose(cka_matrix(*features).values, expected, atol=1e-4)
    diagonal = layerwise_cka(pre, post, token=token, axis="token")
    np.testing.assert_allclose(list(diagonal.values()), np.diag(expected), atol=1e-4)


def test_dev01_published_reads_a_shared_time_component() -> None:
    """DEV-01: the published index selects a hidden unit, so one unit that follows time is taken for similarity.

    Two toy networks of 64 units share nothing but unit −2, which holds a time signal. Read as published, their
    "state" CKA is near 1 and their "action" CKA near 0; read at the state token they are unrelated.
    """
    rng = generator(0, "test/dev01")
    time = rng.normal(size=(200, 60))
    pre, post = ({"ln_1": rng.normal(size=(200, 60, 64))} for _ in range(2))
    for network in (pre, post):
        network["ln_1"][:, :, -2] = time
    assert layerwise_cka(pre, post, token="state", axis="unit")["ln_1"] > 0.99
    assert abs(layerwise_cka(pre, post, token="action", axis="unit")["ln_1"]) < 0.1
    assert abs(layerwise_cka(pre, post, token="state", axis="token")["ln_1"]) < 0.1


def test_dev01_published_reads_padded_positions() -> None:
    """DEV-01: values at padded positions move the published CKA and never the corrected one."""
    rng = generator(1, "test/dev01")
    pre, post = ({"ln_1": rng.normal(size=(30, 15, 8))} for _ in range(2))
    padded = {"ln_1": post["ln_1"].copy()}
    padded["ln_1"][:10, :6] = 5.0
    cases: list[tuple[Axis, bool]] = [("unit", True), ("token", False)]
    for axis, changed in cases:
        before, after = (layerwise_cka(pre, side, token="state", axis=axis)["ln_1"] for side in (post, padded))
        assert (before != after) is changed


def test_dev33_constant_in_the_denominator() -> None:
    """DEV-33: scaling both activations by 1e-4 all but erases the published CKA; the corrected one has no scale."""
    rng = generator(0, "test/dev33")
    x = rng.normal(size=(20, 15, 6))
    pre, post = {"ln_1": x}, {"ln_1": x + 0.1 * rng.normal(size=x.shape)}
    small_pre, small_post = ({"ln_1": 1e-4 * side["ln_1"]} for side in (pre, post))
    published = layerwise_cka(pre, post, token="state", axis="unit")["ln_1"]
    assert published > 0.9
    assert layerwise_cka(small_pre, small_post, token="state", axis="unit")["ln_1"] < 0.01 * published
    corrected = layerwise_cka(pre, post, token="state", axis="token")["ln_1"]
    assert layerwise_cka(small_pre, small_post, token="state", axis="token")["ln_1"] == pytest.approx(corrected)


def test_a_dead_layer_is_zero_published_and_nan_corrected() -> None:
    """Constant activations read 0 in the published form; the corrected one says that there is no value."""
    dead, alive = {"act": np.zeros((8, 6, 5))}, {"act": generator(0, "test/dead").normal(size=(8, 6, 5))}
    assert layerwise_cka(alive, dead, token="state", axis="unit")["act"] == 0.0
    assert np.isnan(layerwise_cka(alive, dead, token="state", axis="token")["act"])


@pytest.mark.parametrize(("token", "offset"), [("action", -1), ("state", -2), ("return_to_go", -3)])
def test_features_selected(token: Token, offset: int) -> None:
    """Offsets −1, −2, −3 index units (n, T) or positions (n, width); float32 is kept, half precision widened."""
    values = torch.randn(5, 6, 7, generator=torch.Generator().manual_seed(derive(0, "test/features")))
    unit = layer_features({"a": values}, token=token, axis="unit")["a"]
    position = layer_features({"a": values.numpy()}, token=token, axis="token")["a"]
    assert torch.equal(unit, values[:, :, offset])
    assert torch.equal(position, values[:, offset, :])
    assert layer_features({"a": values.half()}, token=token, axis="unit")["a"].dtype == torch.float64


def test_layerwise_is_linear_cka_at_the_token() -> None:
    """The corrected diagonal is unbiased linear CKA of the full width at the chosen token."""
    rng = generator(5, "test/layerwise")
    pre, post = ({"a": rng.normal(size=(9, 6, 4)), "b": rng.normal(size=(9, 6, 12))} for _ in range(2))
    result = layerwise_cka(pre, post, token="action", axis="token")
    expected = {name: linear_cka(pre[name][:, -1], post[name][:, -1]) for name in ("a", "b")}
    assert result == pytest.approx(expected, rel=1e-12)


def test_errors() -> None:
    """Other layers, partial steps, too few or unequal windows, NaN and unknown words: typed errors that name it."""
    rng = generator(0, "test/errors")
    good = {"a": rng.normal(size=(5, 6, 4))}
    with pytest.raises(MeasurementError, match=r"only before: \['a'\], only after: \['b'\]"):
        layerwise_cka(good, {"b": good["a"]}, token="state", axis="token")
    with pytest.raises(MeasurementError, match="same layers"):
        layerwise_cka({}, {}, token="state", axis="token")
    with pytest.raises(MeasurementError, match="layer a does not hold whole steps: got 5 tokens"):
        layer_features({"a": good["a"][:, :5]}, token="state", axis="unit")
    with pytest.raises(MeasurementError, match="layer a holds NaN"):
        layer_features({"a": good["a"] * np.nan}, token="state", axis="unit")
    with pytest.raises(MeasurementError, match="got 3, expected at least 4"):
        layerwise_cka({"a": good["a"][:3]}, {"a": good["a"][:3]}, token="state", axis="unit")
    with pytest.raises(MeasurementError, match="5 in x, 4 in y"):
        published_cka(good["a"][:, 0], good["a"][:4, 0])
    with pytest.raises(MeasurementError, match="no layer"):
        published_cka_matrix({}, {})
    with pytest.raises(UsageError, match="one of action, state, return_to_go"):
        layerwise_cka(good, good, token="reward", axis="unit")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="'unit' or 'token'"):
        layerwise_cka(good, good, token="state", axis="units")  # type: ignore[arg-type]
