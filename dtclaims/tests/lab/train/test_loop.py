"""The training loop: the reference's optimiser steps, and the properties its claims rest on."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from dtclaims.errors import RunFailed, UsageError
from dtclaims.lab.data.windows import Batch, WindowSampler
from dtclaims.lab.models import build_model
from dtclaims.lab.train.alone_stack import StackAlone
from dtclaims.lab.train.loop import Trainer
from dtclaims.lab.train.objective import action_loss, learning_rate
from dtclaims.lab.train.plain import PlainSteps
from dtclaims.lab.train.stepping import Member
from dtclaims.tests.support.examples import TINY_BUDGET, made_up, tiny_backbone, tiny_spec
from dtclaims.tests.support.golden import GOLDEN, check_golden_end, golden_batches, golden_clip, golden_run
from dtclaims.tests.support.training import finished, small_case

BACKBONES = {"language": tiny_backbone()}


@pytest.mark.parametrize("name", GOLDEN)
def test_golden_steps(name: str) -> None:
    """Five steps of the reference's optimiser: losses, norms, learning rate and all parameters agree."""
    values, model, budget, optimizer = golden_run(name)
    sampler = WindowSampler(made_up([30, 40]), 1)
    steps = PlainSteps([Member(model, optimizer, sampler, golden_clip(name, budget))], budget)
    for step, batch in enumerate(golden_batches(values)):
        rate = learning_rate(budget, step)
        np.testing.assert_allclose(rate, values["lr"][step, -1], rtol=1e-6)
        loss, norm, _ = steps.update(batch, rate)
        np.testing.assert_allclose(loss, values["loss"][step], rtol=1e-5)
        np.testing.assert_allclose(norm, values["grad_norm_before_clip"][step], rtol=1e-4)
    check_golden_end(values, model, budget)


@settings(max_examples=20)
@given(st.integers(0, 10_000), st.integers(1, 6), st.sampled_from(["tied", "untied"]))
def test_what_is_trained_is_the_model_s_own_function(seed: int, context: int, head: str) -> None:
    """Loss, saturation and gradients are those of the whole model on the windows as they are, padding included."""
    model, batch = small_case(seed, context, head)
    expected, saturated = action_loss(model, batch)
    wanted = torch.autograd.grad(expected, list(model.parameters()))
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    found, share = StackAlone(model).error(batch)
    found.backward()
    torch.testing.assert_close(found, expected)
    assert share == saturated
    for parameter, one in zip(model.parameters(), wanted, strict=True):
        torch.testing.assert_close(parameter.grad, one, rtol=1e-4, atol=1e-6)


@settings(max_examples=15)
@given(st.integers(0, 10_000), st.permutations(range(4)))
def test_padding_never_changes_the_loss(seed: int, order: list[int]) -> None:
    """Editing padded entries, or permuting the batch, leaves the loss as it is."""
    data = made_up([2, 3, 9, 4], seed=seed)
    sampler = WindowSampler(data, 5)
    batch = sampler.gather(sampler.draw(4, np.random.default_rng(seed)))
    model = build_model(
        "random_init", task=data.task, head="tied", architecture="matched", backbones=BACKBONES, seed=0
    ).eval()
    keep = batch.mask[..., None]
    noise = torch.Generator().manual_seed(seed)
    edited = Batch(
        torch.where(keep, batch.states, torch.randn(batch.states.shape, generator=noise)),
        torch.where(keep, batch.actions, torch.randn(batch.actions.shape, generator=noise)),
        torch.where(keep, batch.returns_to_go, 7.0),
        torch.where(batch.mask, batch.timesteps, 5),
        batch.mask,
    )
    permuted = Batch(*(value[order] for value in vars(batch).values()))
    expected = action_loss(model, batch)[0]
    torch.testing.assert_close(action_loss(model, edited)[0], expected)
    torch.testing.assert_close(action_loss(model, permuted)[0], expected)


def test_loss_is_the_mean_over_real_coordinates() -> None:
    """Masked mean squared error: divided by real steps × action dimensions, not by padded cells."""

    class Constant(torch.nn.Module):
        def forward(self, states: torch.Tensor, actions: torch.Tensor, *_: torch.Tensor) -> torch.Tensor:
            return torch.full_like(actions, 0.5)

    data = made_up([2, 3, 9])
    sampler = WindowSampler(data, 5)
    batch = sampler.gather(np.array([1, 3, 6]))
    real = batch.actions[batch.mask]
    torch.testing.assert_close(action_loss(Constant(), batch)[0], ((0.5 - real) ** 2).mean())


def test_a_run_is_deterministic_to_the_bit() -> None:
    """The same specification gives the same curves and checkpoints, whatever ran before in the process."""
    data = made_up([30, 40, 20])
    first = finished(tiny_spec(), data, BACKBONES)
    torch.rand(7)
    np.random.default_rng().random(3)
    second = finished(tiny_spec(), data, BACKBONES)
    assert first.curves == second.curves
    assert set(first.checkpoints) == set(tiny_spec().kept_epochs)
    for epoch, tensors in first.checkpoints.items():
        for name, tensor in tensors.items():
            assert torch.equal(tensor, second.checkpoints[epoch][name]), (epoch, name)


def test_curves_have_one_value_per_epoch_and_learning_happens() -> None:
    """Every logged quantity has an entry per epoch, and the parameters move."""
    result = finished(tiny_spec("language_pretrained", context=1), made_up([30, 40, 20]), BACKBONES)
    assert {len(curve) for curve in result.curves.values()} == {TINY_BUDGET.epochs}
    assert set(result.curves) == {
        "return_mean",
        "return_std",
        "length_mean",
        "action_error",
        "loss_mean",
        "gradient_norm",
        "clipped",
        "saturated",
    }
    first, last = result.checkpoints[1], result.checkpoints[TINY_BUDGET.epochs]
    assert not torch.equal(first["transformer.h.0.mlp.c_fc.weight"], last["transformer.h.0.mlp.c_fc.weight"])


def test_displacement_is_of_the_blocks_alone() -> None:
    """0 before training; embeddings and heads do not count; a network without blocks has none."""
    trainer = Trainer(tiny_spec("language_pretrained"), made_up([30, 40]), BACKBONES)
    assert trainer.displacement() == 0
    with torch.no_grad():
        for name, tensor in trainer.model.named_parameters():
            tensor.mul_(1.5 if name.startswith("transformer.h.") else 7.0)
    assert trainer.displacement() == pytest.approx(0.5, rel=1e-6)
    assert Trainer(tiny_spec("mlp"), made_up([30, 40]), BACKBONES).displacement() is None


def test_epoch_zero_is_the_backbone() -> None:
    """The pre-trained arm starts from the backbone's tensors, bit for bit."""
    start = Trainer(tiny_spec("language_pretrained"), made_up([30, 40]), BACKBONES).parameters()
    for name, tensor in BACKBONES["language"].tensors.items():
        assert torch.equal(start[f"transformer.{name}"], tensor), name


@pytest.mark.parametrize("arm", ["random_init", "mlp"])
@pytest.mark.parametrize("epochs_before", [1, 3])
def test_a_resumed_run_is_the_unbroken_one_to_the_bit(arm: str, epochs_before: int) -> None:
    """A state taken between epochs, and taken up by a new trainer, leads to the same curves, weights and moments.

    The state is a copy: it does not change while the first trainer goes on.
    """
    data = made_up([30, 40, 20, 25])
    spec = tiny_spec(arm, context=2, held_out=True, budget=replace(TINY_BUDGET, held_out_steps=8))
    unbroken = Trainer(spec, data, BACKBONES)
    for _ in range(epochs_before):
        unbroken.run_epoch()
    state = unbroken.state()
    while unbroken.epoch < spec.epochs:
        unbroken.run_epoch()
    torch.rand(3)
    resumed = Trainer(spec, data, BACKBONES)
    resumed.restore(state)
    assert resumed.epoch == epochs_before
    while resumed.epoch < spec.epochs:
        resumed.run_epoch()
    assert resumed.curves == unbroken.curves
    for name, tensor in unbroken.parameters().items():
        assert torch.equal(tensor, resumed.parameters()[name]), name
    for number, moments in unbroken.state()["optimizer"]["state"].items():
        for name, tensor in moments.items():
            assert torch.equal(tensor, resumed.state()["optimizer"]["state"][number][name]), (number, name)


def test_other_precisions_are_refused_on_a_cpu() -> None:
    """The CPU path is float32 only, and says so."""
    with pytest.raises(UsageError, match="float32 on a CPU"):
        Trainer(tiny_spec(), made_up([30, 40]), BACKBONES, precision="bfloat16")


def test_arms_of_one_seed_see_the_same_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches depend on the seed alone: effects between arms are paired."""
    seen: list[np.ndarray] = []
    gather = WindowSampler.gather

    def spy(self: WindowSampler, starts: np.ndarray) -> Batch:
        seen.append(starts)
        return gather(self, starts)

    monkeypatch.setattr(WindowSampler, "gather", spy)
    data = made_up([30, 40, 20])
    for arm in ("random_init", "language_pretrained"):
        finished(tiny_spec(arm), data, BACKBONES)
    half = len(seen) // 2
    assert all(np.array_equal(a, b) for a, b in zip(seen[:half], seen[half:], strict=True))


def test_unpaired_arms_see_other_windows_and_episodes() -> None:
    """Under the reference's seeding, data order and initial states differ between the arms of a seed (DEV-21)."""
    trainers = [
        Trainer(tiny_spec(arm, paired=paired), made_up([30, 40]), BACKBONES)
        for paired in (True, False)
        for arm in ("random_init", "language_pretrained")
    ]
    purposes = [(trainer._purpose("batches"), trainer._purpose("evaluate")) for trainer in trainers]
    assert purposes[0] == purposes[1] == ("batches", "evaluate")
    assert len(set(purposes)) == 3


def test_a_loss_that_is_not_finite_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """The run is an error that names the step, not a result with a NaN in it."""
    calls = iter(range(100))
    honest = StackAlone.error

    def poisoned(network: StackAlone, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        loss, saturated = honest(network, batch)
        return (loss * float("nan") if next(calls) == 4 else loss), saturated

    monkeypatch.setattr(StackAlone, "error", poisoned)
    with pytest.raises(RunFailed, match="step 5 of 12"):
        finished(replace(tiny_spec(), context=2), made_up([30, 40]), BACKBONES)


def test_a_state_is_a_copy(tmp_path: Path) -> None:
    """Parameters and Adam's state keep kind and shape, share memory with nothing, and stay as they were when read."""
    trainer = Trainer(tiny_spec(), made_up([30, 40]), BACKBONES)
    trainer.train_epoch()
    state, parameters = trainer.state(), trainer.parameters()
    own = trainer.model.state_dict()
    copies = [*parameters.values(), *state["model"].values()]
    copies += [one for of in state["optimizer"]["state"].values() for one in of.values()]
    assert {name: (one.dtype, one.shape) for name, one in parameters.items()} == {
        name: (one.dtype, one.shape) for name, one in own.items()
    }
    for name, one in own.items():
        assert torch.equal(parameters[name], one), name
        assert torch.equal(state["model"][name], one), name
    places = {one.untyped_storage().data_ptr() for one in copies}
    assert len(places) == len(copies)
    assert not places & {one.untyped_storage().data_ptr() for one in own.values()}
    save_file(parameters, tmp_path / "parameters.safetensors")
    before = {name: one.clone() for name, one in parameters.items()}
    trainer.train_epoch()
    assert all(torch.equal(parameters[name], one) for name, one in before.items())
