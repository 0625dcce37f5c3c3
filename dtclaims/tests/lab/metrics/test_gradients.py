"""Gradients of single samples: the reference's numbers, a naive loop in float64, and what the audit says of both."""

import json
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor, nn

from dtclaims.errors import MeasurementError, UndefinedMeasurement, UsageError
from dtclaims.lab.data.windows import Batch
from dtclaims.lab.metrics import (
    GradientConfusion,
    GradientShares,
    gradient_confusion,
    gradient_norms,
    gradient_shares,
    norms_and_confusion,
)
from dtclaims.lab.metrics.gradient_readings import clip_factor
from dtclaims.lab.metrics.gradient_samples import sample_gradients, sample_sums
from dtclaims.lab.models import DecisionTransformer, StackConfig
from dtclaims.lab.train.objective import action_loss
from dtclaims.places import fixture_dir
from dtclaims.seeding import derive, generator
from dtclaims.tests.support.golden import load

Matrix = NDArray[np.float64]
modest = settings(max_examples=10, deadline=None)
seeds = st.integers(0, 2**32 - 1)


def loss(model: nn.Module, batch: Batch) -> Tensor:
    """The training loss."""
    return action_loss(model, batch)[0]


def small_model(seed: int = 0, dropout: float = 0.3) -> DecisionTransformer:
    """Two blocks in float64, with dropout."""
    config = StackConfig(2, 8, 2, "gelu_new", embd_dropout=dropout, attn_dropout=dropout, resid_dropout=dropout)
    return DecisionTransformer(config, 3, 2, "untied", seed=seed, max_timestep=10).double()


def windows(n: int, seed: int = 0, steps: int = 3) -> Batch:
    """Random windows, some padded on the left, all with a real step."""
    rng = generator(seed, "test/gradients")
    real = rng.integers(1, steps + 1, size=n)
    return Batch(
        states=torch.from_numpy(rng.normal(size=(n, steps, 3))),
        actions=torch.from_numpy(rng.uniform(-1, 1, size=(n, steps, 2))),
        returns_to_go=torch.from_numpy(rng.normal(size=(n, steps, 1))),
        timesteps=torch.from_numpy(rng.integers(10, size=(n, steps))),
        mask=torch.from_numpy(np.arange(steps) >= steps - real[:, None]),
    )


def rows(batch: Batch, chosen: Any) -> Batch:
    """Some windows of a batch."""
    return Batch(**{field.name: getattr(batch, field.name)[chosen] for field in fields(batch)})


class Dial(nn.Module):
    """Two "block" tensors, of 2 (or `first`) and 1 coordinates, and one coordinate outside."""

    def __init__(self, first: int = 2) -> None:
        super().__init__()
        self.h = nn.ParameterList([torch.zeros(first, dtype=torch.float64), torch.zeros(1, dtype=torch.float64)])
        self.outside = nn.Parameter(torch.zeros(1, dtype=torch.float64))


def dialled(model: nn.Module, batch: Batch) -> Tensor:
    """A loss whose gradient in a `Dial` is the mean of the windows' states: block 0, block 1, outside."""
    assert isinstance(model, Dial)
    wanted = batch.states[:, 0].mean(dim=0)
    return torch.cat([*model.h, model.outside]) @ wanted


def dial(gradients: Any) -> Batch:
    """Windows whose gradients under `dialled` are the rows given, (n, coordinates)."""
    values = torch.tensor(np.asarray(gradients), dtype=torch.float64)[:, None]
    zeros = torch.zeros(len(values), 1, dtype=torch.int64)
    return Batch(values, values, values[..., :1], zeros, torch.ones(len(values), 1, dtype=torch.bool))


def naive_gradients(model: nn.Module, batch: Batch) -> list[dict[str, Tensor]]:
    """One backward pass per window."""
    result = []
    for i in range(len(batch.mask)):
        model.zero_grad()
        loss(model, rows(batch, slice(i, i + 1))).backward()  # type: ignore[no-untyped-call]
        result.append({name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None})
    return result


# --- the reference ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["dt", "gpt2"])
def test_golden(kind: str) -> None:
    """Clipped gradients, norms, cosines and ratios are those of the released code, padded windows included."""
    folder = fixture_dir() / "golden"
    expected = np.load(folder / f"gradients_{kind}.npz")
    tensors = json.loads((folder / f"gradients_{kind}.json").read_text())["settings"]["tensor_names"]
    _, model, _ = load(f"forward_{kind}")
    inputs = {name: torch.from_numpy(expected[f"in/{name}"]) for name in ("states", "actions", "timesteps", "mask")}
    inputs["mask"] = inputs["mask"].bool()
    batch = Batch(**inputs, returns_to_go=torch.from_numpy(expected["in/rtg"][:, :-1]))

    norms = gradient_norms(model, batch, loss, protocol="published", dropout=False)
    np.testing.assert_allclose(norms.total, expected["norm_all_before_clip"], rtol=5e-4)
    np.testing.assert_allclose(norms.values, expected["norm_blocks_clipped"], rtol=5e-4)
    # One sample was given targets near its predictions, so that it stays below the bound.
    assert norms.share_clipped == pytest.approx(5 / 6)

    gradients = sample_gradients(model, batch, loss, [f"transformer.h.{name}" for name in tensors], slice(None))
    flat = torch.cat([gradient.flatten(1) for gradient in gradients.values()], dim=1).double().numpy()
    np.testing.assert_allclose(flat * norms.clip_factor[:, None], expected["grads"], rtol=0, atol=1e-6)

    confusion = gradient_confusion(model, batch, loss, protocol="published", dropout=False)
    np.testing.assert_allclose(confusion.cosine, expected["cosine"], rtol=0, atol=2e-4)
    assert confusion.minimum == pytest.approx(float(expected["min_cosine"]), abs=2e-4)

    shares = gradient_shares(model, batch, loss, protocol="published", dropout=False)
    assert shares.names == tuple(f"transformer.h.{name}" for name in tensors)
    np.testing.assert_allclose(shares.norm, expected["per_tensor_norm_whole_batch"], rtol=5e-4)
    assert shares.norm.sum() == pytest.approx(float(expected["per_tensor_norm_sum"]), rel=5e-4)
    share = dict(zip(tensors, shares.share, strict=True))
    for name in ("0.ln_1.weight", "0.ln_1.bias"):
        assert share[name] == pytest.approx(float(expected[f"ratio/{name}"]), rel=5e-4)
    others = 1 - share["0.ln_1.weight"] - share["0.ln_1.bias"]
    assert others == pytest.approx(float(expected["ratio/others"]), rel=5e-4)


# --- exactness ----------------------------------------------------------------------------------------------


@modest
@given(seed=seeds, n=st.integers(2, 7), chunk=st.integers(1, 8), budget=st.sampled_from([1, 20_000, 2**30]))
def test_sums_are_those_of_a_loop(seed: int, n: int, chunk: int, budget: int) -> None:
    """Products and squared norms equal one backward pass per window, however samples and tensors are cut up."""
    model, batch = small_model(seed).eval(), windows(n, seed)
    sums = sample_sums(model, batch, loss, gram=True, chunk=chunk, budget=budget)
    single = naive_gradients(model, batch)
    squared = [[float(gradient.square().sum()) for gradient in one.values()] for one in single]
    blocks = torch.stack([torch.cat([g.flatten() for name, g in one.items() if ".h." in name]) for one in single])
    assert list(sums.names) == list(single[0])
    torch.testing.assert_close(sums.squared, torch.tensor(squared, dtype=torch.float64))
    torch.testing.assert_close(sums.gram, blocks @ blocks.T)


@pytest.mark.parametrize("protocol", ["published", "corrected"])
@pytest.mark.parametrize("dropout", [False, True])
def test_chunks_do_not_change_results(protocol: Any, dropout: bool) -> None:
    """Neither chunks of samples nor groups of tensors change a result, dropout masks included."""
    model, batch = small_model(), windows(5)
    whole = gradient_confusion(model, batch, loss, protocol=protocol, dropout=dropout)
    cut = gradient_confusion(model, batch, loss, protocol=protocol, dropout=dropout, chunk=2)
    np.testing.assert_allclose(cut.cosine, whole.cosine, atol=1e-12)
    masks: Any = "off" if not dropout else "common" if protocol == "corrected" else "independent"
    sums = [sample_sums(model, batch, loss, gram=True, masks=masks, budget=budget) for budget in (1, 2**30)]
    torch.testing.assert_close(sums[0].gram, sums[1].gram)
    norms = [gradient_norms(model, batch, loss, protocol=protocol, dropout=dropout, chunk=c).values for c in (2, 50)]
    np.testing.assert_allclose(norms[0], norms[1])


@modest
@given(seed=seeds, n=st.integers(2, 6), scale=st.floats(1e-3, 1e3))
def test_cosines(seed: int, n: int, scale: float) -> None:
    """Corrected cosines lie in [−1, 1], are 1 with oneself, symmetric, and blind to the scale of the loss."""
    model, batch = small_model(seed), windows(n, seed)
    found = gradient_confusion(model, batch, loss, protocol="corrected", dropout=False)
    assert np.abs(found.cosine).max() <= 1 + 1e-12
    np.testing.assert_allclose(np.diag(found.cosine), 1)
    np.testing.assert_allclose(found.cosine, found.cosine.T, atol=1e-14)
    assert len(found.pairs) == n * (n - 1) / 2
    assert found.minimum <= found.percentile_1 <= found.pairs.max()
    scaled = gradient_confusion(model, batch, lambda m, b: scale * loss(m, b), protocol="corrected", dropout=False)
    np.testing.assert_allclose(scaled.cosine, found.cosine, atol=1e-10)


@modest
@given(seed=seeds, n=st.integers(2, 6))
def test_order_of_samples(seed: int, n: int) -> None:
    """Permuting the windows permutes norms and cosines, and nothing else; so do common dropout masks."""
    model, batch = small_model(seed), windows(n, seed)
    order = generator(seed, "test/order").permutation(n)
    for dropout in (False, True):
        one, other = (
            gradient_confusion(model, b, loss, protocol="corrected", dropout=dropout)
            for b in (batch, rows(batch, torch.from_numpy(order)))
        )
        np.testing.assert_allclose(other.cosine, one.cosine[np.ix_(order, order)], atol=1e-12)
    one_norms, other_norms = (
        gradient_norms(model, b, loss, protocol="corrected", dropout=False).values
        for b in (batch, rows(batch, torch.from_numpy(order)))
    )
    np.testing.assert_allclose(other_norms, one_norms[order])


@modest
@given(seed=seeds, n=st.integers(1, 5))
def test_readings_are_their_definitions(seed: int, n: int) -> None:
    """Totals, block norms, clip factors, shares and whole-batch norms from gradients that are known."""
    gradients = generator(seed, "test/dial").normal(scale=0.2, size=(n, 4))
    norms = gradient_norms(Dial(), dial(gradients), dialled, protocol="corrected", dropout=False)
    total, blocks = (np.linalg.norm(part, axis=1) for part in (gradients, gradients[:, :3]))
    by_name = dict(zip(norms.names, norms.squared.T, strict=True))
    np.testing.assert_allclose(by_name["h.0"], (gradients[:, :2] ** 2).sum(axis=1))
    np.testing.assert_allclose(norms.values, total)
    np.testing.assert_allclose(norms.blocks, blocks)
    factor = np.array([min(1, 0.25 / (t + 1e-6)) for t in total])
    np.testing.assert_allclose(norms.clip_factor, factor)
    assert norms.share_clipped == np.mean(total > 0.25)
    assert norms.clip_factor_mean == pytest.approx(factor.mean())
    assert norms.clip_factor_variation == pytest.approx(factor.std() / factor.mean())
    np.testing.assert_allclose(norms.squared_shares, norms.squared / total[:, None] ** 2)
    published = gradient_norms(Dial(), dial(gradients), dialled, protocol="published", dropout=False)
    np.testing.assert_allclose(published.values, factor * blocks)
    mean = gradients.mean(axis=0)
    parts = np.array([np.linalg.norm(mean[:2]), abs(mean[2])])
    whole = gradient_shares(Dial(), dial(gradients), dialled, protocol="corrected", dropout=False)
    np.testing.assert_allclose(whole.norm, parts)
    np.testing.assert_allclose(whole.share, parts**2 / (parts**2).sum())


# --- dropout and state --------------------------------------------------------------------------------------


def test_masks() -> None:
    """Common masks give two copies of a window one gradient; the published ones are drawn for each."""
    model = small_model()
    twice = rows(windows(1), torch.tensor([0, 0]))
    common = gradient_norms(model, twice, loss, protocol="corrected", dropout=True)
    own = gradient_norms(model, twice, loss, protocol="published", dropout=True)
    np.testing.assert_allclose(common.squared[0], common.squared[1])
    assert abs(own.total[0] - own.total[1]) > 1e-3 * own.total[0]
    again = gradient_norms(model, twice, loss, protocol="published", dropout=True)
    np.testing.assert_array_equal(own.squared, again.squared)
    other = gradient_norms(model, twice, loss, protocol="published", dropout=True, seed=1)
    assert abs(own.total[0] - other.total[0]) > 1e-3 * own.total[0]


def test_dropout_is_the_models_own() -> None:
    """With dropout, a gradient is that of the model in train mode under the seed's masks."""
    model, batch = small_model(), windows(1)
    found = gradient_norms(model, batch, loss, protocol="corrected", dropout=True, seed=3)
    model.train()
    torch.manual_seed(derive(3, "dropout"))
    squared = [float(gradient.square().sum()) for gradient in naive_gradients(model, batch)[0].values()]
    np.testing.assert_allclose(found.squared[0], squared)
    whole = gradient_shares(model, batch, loss, protocol="corrected", dropout=True, seed=3)
    inside = [".h." in name for name in found.names]
    np.testing.assert_allclose(whole.norm, np.sqrt(found.squared[0][inside]))


def test_published_masks_are_those_of_a_loop() -> None:
    """With masks of its own, a window's gradient is that of a backward pass in train mode after its own seed."""
    model, batch = small_model(), windows(3)
    found = gradient_norms(model, batch, loss, protocol="published", dropout=True, seed=3)
    model.train()
    for i in range(3):
        torch.manual_seed(derive(3, f"dropout/{i}"))
        single = naive_gradients(model, rows(batch, slice(i, i + 1)))[0]
        np.testing.assert_allclose(found.squared[i], [float(gradient.square().sum()) for gradient in single.values()])


@pytest.mark.parametrize("dropout", [False, True])
def test_frozen_parameters_have_gradients_too(dropout: bool) -> None:
    """A model whose parameters are frozen is measured like any other."""
    model, batch = small_model(), windows(2)
    free = gradient_norms(model, batch, loss, protocol="published", dropout=dropout)
    frozen = gradient_norms(model.requires_grad_(False), batch, loss, protocol="published", dropout=dropout)
    np.testing.assert_allclose(frozen.squared, free.squared)


@pytest.mark.parametrize("dropout", [False, True])
def test_nothing_is_left_behind(dropout: bool) -> None:
    """Modes of all modules, `.grad` and torch's random state are as before, also after an error."""
    model, batch = small_model().eval(), windows(2)
    model.transformer.h[1].train()
    before = [module.training for module in model.modules()]
    torch.manual_seed(0)
    state = torch.get_rng_state()

    def broken(model: nn.Module, batch: Batch) -> Tensor:
        raise ValueError("broken")

    for measure in (gradient_norms, gradient_confusion, gradient_shares):
        measure(model, batch, loss, protocol="corrected", dropout=dropout)
        with pytest.raises(ValueError, match="broken"):
            measure(model, batch, broken, protocol="corrected", dropout=dropout)
    assert [module.training for module in model.modules()] == before
    assert all(parameter.grad is None for parameter in model.parameters())
    assert torch.equal(torch.get_rng_state(), state)


# --- the audit ----------------------------------------------------------------------------------------------


def opposed() -> Batch:
    """Four pairs of one-step windows with the same input and far, opposite targets (at K = 1 no action is seen)."""
    batch = rows(windows(4, steps=1), torch.arange(8) % 4)
    return replace(batch, actions=100 * torch.sign(torch.cat([batch.actions[:4], -batch.actions[:4]])))


def test_dev05_dropout_hides_confusion() -> None:
    """DEV-05: with dropout on, as for random arms only, the minimum cosine of one and the same model moves to 0.

    Targets that are opposite give gradients that are opposite, a minimum of −1. Published, each sample has masks of
    its own, which hides that; the corrected forms, without dropout or with common masks, show it.
    """
    model, batch = small_model(dropout=0.5), opposed()

    def minimum(protocol: Any, dropout: bool) -> float:
        return gradient_confusion(model, batch, loss, protocol=protocol, dropout=dropout).minimum

    assert minimum("published", False) < -0.99
    assert minimum("published", True) > -0.8
    assert minimum("corrected", False) < -0.99
    assert minimum("corrected", True) < -0.99


@pytest.mark.parametrize("scale", [1, 10, 1000])
def test_dev06_clipped_block_norm_says_nothing_of_the_gradient(scale: float) -> None:
    """DEV-06: once all samples are clipped, the published norm is the blocks' share, just under 0.25 at any size.

    "Below the bound" then looks like unclipped gradients, and a narrow band like gradients of equal size. The
    corrected norm has the size and its spread, and says that every sample is clipped.
    """
    rng = generator(0, "test/dev06")
    size = scale * np.exp(rng.normal(size=40))
    direction = np.array([0.6, 0.6, 0.4, 0.35]) / np.linalg.norm([0.6, 0.6, 0.4, 0.35])
    batch = dial((0.3 * scale + size)[:, None] * direction)
    published, corrected = (
        gradient_norms(Dial(), batch, dialled, protocol=protocol, dropout=False)
        for protocol in ("published", "corrected")
    )
    share = 1 - direction[3] ** 2
    np.testing.assert_allclose(published.values, 0.25 * np.sqrt(share), rtol=1e-5)
    assert 0.23 < published.values.min() <= published.values.max() < 0.24
    assert corrected.values.max() > 5 * corrected.values.min() > 5 * 0.25
    assert corrected.share_clipped == 1
    assert corrected.clip_factor_mean < 0.5 / scale
    assert corrected.clip_factor_variation > 0.3


def test_dev06_scale_of_the_loss() -> None:
    """DEV-06: a loss ten times larger leaves published norms where they are; corrected ones are ten times larger."""
    model, batch = small_model(), windows(6)

    def values(protocol: Any, scale: float) -> Matrix:
        return gradient_norms(model, batch, lambda m, b: scale * loss(m, b), protocol=protocol, dropout=False).values

    np.testing.assert_allclose(values("corrected", 1000), 10 * values("corrected", 100))
    np.testing.assert_allclose(values("published", 1000), values("published", 100), rtol=1e-5)
    # Below the bound they do follow: one published number mixes two regimes.
    np.testing.assert_allclose(values("published", 1e-3), 10 * values("published", 1e-4), rtol=1e-9)


def test_dev22_other_windows_are_another_measurement() -> None:
    """DEV-22: measured on different windows, as published, a model differs from itself by more than the margin (0.1).

    On the same windows it does not.
    """
    model = small_model()
    first, second, again = (
        gradient_confusion(model, windows(4, seed), loss, protocol="published", dropout=False).minimum
        for seed in (1, 2, 1)
    )
    assert abs(first - second) > 0.1
    assert first == again


def test_dev22_minimum_falls_with_the_number_of_samples() -> None:
    """DEV-22: the minimum is an extreme value: 200 samples have a lower one than 20; the first percentile stays."""
    samples = generator(0, "test/dev22").normal(size=(200, 20))

    def confusion(chosen: Matrix) -> GradientConfusion:
        return gradient_confusion(Dial(18), dial(chosen), dialled, protocol="corrected", dropout=False)

    whole, parts = confusion(samples), [confusion(samples[i : i + 20]) for i in range(0, 200, 20)]
    falls = np.mean([part.minimum for part in parts]) - whole.minimum
    drifts = abs(np.mean([part.percentile_1 for part in parts]) - whole.percentile_1)
    assert all(part.minimum >= whole.minimum - 1e-12 for part in parts)
    assert falls > 0.1
    assert drifts < falls / 4


def test_dev34_shares_of_norms_do_not_add_up() -> None:
    """DEV-34: a layer of two tensors outranks a larger one in shares of norms, and not in shares of squared norms."""
    names, norm = ("h.0.ln_1.weight", "h.0.ln_1.bias", "h.0.mlp.c_fc.weight"), np.array([1.0, 1.0, 1.5])
    published, corrected = (GradientShares(protocol, names, norm).share for protocol in ("published", "corrected"))
    assert published[:2].sum() == pytest.approx(2 / 3.5)
    assert corrected[:2].sum() == pytest.approx(2 / 4.25)
    assert published[:2].sum() > 0.5 > corrected[:2].sum()


def test_dev42_constant_in_the_cosine() -> None:
    """DEV-42: the +1e-6 pulls the published cosine of a small gradient with itself to 0; corrected, it is 1."""
    batch = dial([[1e-3, 0, 0, 0], [1e-1, 0, 0, 0]])
    published, corrected = (
        gradient_confusion(Dial(), batch, dialled, protocol=protocol, dropout=False).cosine
        for protocol in ("published", "corrected")
    )
    assert published[0, 0] == pytest.approx(0.5)
    assert published[1, 1] == pytest.approx(1, abs=2e-4)
    np.testing.assert_allclose(corrected, 1)


def test_dev42_key_bias_has_no_gradient() -> None:
    """DEV-42: the key third of c_attn.bias has an exact gradient of 0: in float64 it is rounding."""
    name = "transformer.h.0.attn.c_attn.bias"
    query, key, value = sample_gradients(small_model(), windows(4), loss, [name], slice(None))[name].chunk(3, dim=1)
    assert float(key.abs().max()) < 1e-12 * float(value.abs().max())
    assert float(query.abs().max()) > 1e-6 * float(value.abs().max())


@given(norm=st.floats(0, 1e6))
def test_clip_factor(norm: float) -> None:
    """Clipping never raises a norm, and never leaves one above 0.25."""
    factor = float(clip_factor(np.array(norm)))
    assert 0 < factor <= 1
    assert factor * norm <= 0.25
    assert factor == 1 or norm > 0.25 - 1e-6


# --- bad input ----------------------------------------------------------------------------------------------


def test_zero_gradients() -> None:
    """A gradient of 0 has published cosines 0 as in the reference, and no corrected cosine or share."""
    batch = dial([[0, 0, 0, 0], [1, 2, 3, 4], [0, 0, 0, 1]])
    published = gradient_confusion(Dial(), batch, dialled, protocol="published", dropout=False)
    assert published.cosine[0].tolist() == published.cosine[2].tolist() == [0, 0, 0]
    assert published.minimum == 0
    with pytest.raises(UndefinedMeasurement, match="2 of 3 gradients that are 0"):
        gradient_confusion(Dial(), batch, dialled, protocol="corrected", dropout=False)
    norms = gradient_norms(Dial(), batch, dialled, protocol="corrected", dropout=False)
    assert norms.values[0] == 0
    with pytest.raises(UndefinedMeasurement, match="1 of 3"):
        _ = norms.squared_shares
    nothing = gradient_shares(Dial(), rows(batch, slice(0, 1)), dialled, protocol="published", dropout=False)
    with pytest.raises(UndefinedMeasurement, match="0/0"):
        _ = nothing.share


@pytest.mark.parametrize("measure", [gradient_norms, gradient_confusion, gradient_shares])
def test_bad_input(measure: Any) -> None:
    """NaN, padding-only windows, no windows, models without blocks and losses that are no scalars are refused."""
    model, batch = small_model(), windows(3)

    def refused(kind: type[Exception], match: str, **other: Any) -> None:
        arguments = {"model": model, "batch": batch, "loss": loss, "protocol": "corrected", "dropout": False}
        with pytest.raises(kind, match=match):
            measure(**arguments | other)

    empty = replace(batch, mask=batch.mask & torch.tensor([True, False, True])[:, None])
    refused(UndefinedMeasurement, r"padding only has no loss: got windows \[1\]", batch=empty)
    refused(MeasurementError, "no window|between samples", batch=rows(batch, slice(0, 0)))
    refused(MeasurementError, "no Transformer blocks", model=nn.Linear(2, 2))
    refused(MeasurementError, "scalar loss: got tuple", loss=action_loss)
    refused(MeasurementError, r"scalar loss: got a tensor of shape \(1,\)", loss=lambda m, b: loss(m, b)[None])
    refused(UsageError, "unknown protocol", protocol="corect")
    states = batch.states.clone()
    states[0] = torch.nan
    refused(MeasurementError, "gradients hold NaN or infinity", batch=replace(batch, states=states))


def test_bad_numbers() -> None:
    """Confusion of one sample and chunks of none are refused."""
    with pytest.raises(MeasurementError, match="confusion is between samples: got 1 windows"):
        gradient_confusion(small_model(), windows(1), loss, protocol="corrected", dropout=False)
    with pytest.raises(UsageError, match="chunk"):
        gradient_norms(small_model(), windows(1), loss, protocol="corrected", dropout=False, chunk=0)


@pytest.mark.parametrize("protocol", ["published", "corrected"])
@pytest.mark.parametrize("dropout", [False, True])
def test_norms_and_confusion_are_the_two_readings(protocol: Any, dropout: bool) -> None:
    """One pass gives what the two functions give, dropout masks included."""
    model, batch = small_model(), windows(5)
    options = {"protocol": protocol, "dropout": dropout, "seed": 3}
    norms, confusion = norms_and_confusion(model, batch, loss, **options)
    np.testing.assert_allclose(norms.values, gradient_norms(model, batch, loss, **options).values)
    np.testing.assert_allclose(confusion.cosine, gradient_confusion(model, batch, loss, **options).cosine)
