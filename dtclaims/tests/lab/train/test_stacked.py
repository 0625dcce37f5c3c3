"""The stacked path: the reference's optimiser steps for several runs at once, captured on a GPU and not on a CPU."""

import copy
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from dtclaims.lab.data.windows import Batch, PooledWindows, WindowSampler
from dtclaims.lab.design.spec import Budget
from dtclaims.lab.models import Backbone, DecisionTransformer, Stack, StackConfig, behaviour_cloning
from dtclaims.lab.models.keyed_dropout import keyed
from dtclaims.lab.models.short_attention import short_attention
from dtclaims.lab.train import loop
from dtclaims.lab.train.company import Company
from dtclaims.lab.train.flat_adamw import FlatAdamW, update_
from dtclaims.lab.train.forward import StackForward, left_aligned
from dtclaims.lab.train.loop import Trainer
from dtclaims.lab.train.networks import Networks
from dtclaims.lab.train.objective import action_loss, make_optimizer
from dtclaims.lab.train.stacked import WORTH_COMPILING, StackedSteps, rounded_parameters
from dtclaims.lab.train.stacked_lanes import StackedRollouts
from dtclaims.lab.train.stepping import Member
from dtclaims.tests.support.examples import made_up, tiny_backbone, tiny_spec
from dtclaims.tests.support.golden import GOLDEN, check_golden_end, golden_batches, golden_clip, golden_run
from dtclaims.tests.support.gpu import gpu
from dtclaims.tests.support.operations import step_operations
from dtclaims.tests.support.training import small_case

BACKBONES = {"language": tiny_backbone()}
NO_WINDOWS = WindowSampler(made_up([3, 4]), 1)
"""Of a member whose batches come from elsewhere."""


def check_log(values: dict[str, np.ndarray], losses: Tensor, norms: Tensor) -> None:
    np.testing.assert_allclose(losses, values["loss"], rtol=1e-5)
    np.testing.assert_allclose(norms, values["grad_norm_before_clip"], rtol=1e-4)


def golden_steps(name: str, device: str, steps: int, companions: int) -> None:
    """The reference's five steps, by a run that may have companions: its network with other weights, clipped less."""
    values, model, budget, _ = golden_run(name)
    model.to(device)
    eps = 1e-6 if name == "train_gpt2" else 1e-8
    members = [Member(model, make_optimizer(model, budget, eps), NO_WINDOWS, golden_clip(name, budget))]
    for factor in range(companions):
        other = copy.deepcopy(model)
        with torch.no_grad():
            for parameter in other.parameters():
                parameter.mul_(0.5 + factor)
        members.append(Member(other, make_optimizer(other, budget, 1e-3), NO_WINDOWS, None))
    rows = [vars(batch).values() for batch in golden_batches(values, device)]
    every = Batch(*(torch.stack(column) for column in zip(*rows, strict=True)))

    def gather(starts: Tensor) -> Batch:
        return Batch(*(one.index_select(0, starts[:, 0]) for one in vars(every).values()))

    stacked = StackedSteps(members, budget, "float32", steps=steps, gather=gather)
    starts = np.repeat(np.arange(5)[:, None], budget.batch_size, axis=1)
    runs = 1 + companions
    logged = stacked.epoch([starts] * runs, [0] * runs, list(range(runs)))
    check_log(values, *logged[0][:2])
    check_golden_end(values, model, budget)
    for losses, _, _ in logged[1:]:
        assert not torch.allclose(losses, logged[0][0], rtol=1e-2)


@pytest.mark.parametrize("companions", [0, 2])
@pytest.mark.parametrize("name", GOLDEN)
def test_golden_steps(name: str, companions: int) -> None:
    """The batched step reproduces the reference's five steps, whoever trains beside the run."""
    golden_steps(name, "cpu", 0, companions)


@gpu
@pytest.mark.parametrize("companions", [0, 2])
@pytest.mark.parametrize("steps", [0, WORTH_COMPILING])
@pytest.mark.parametrize("name", GOLDEN)
def test_golden_steps_on_a_gpu(name: str, steps: int, companions: int) -> None:
    """The captured step reproduces the reference's five steps in float32, compiled or not, alone or in company."""
    golden_steps(name, "cuda", steps, companions)


@settings(max_examples=20)
@given(st.integers(0, 10_000), st.integers(1, 6), st.sampled_from(["tied", "untied"]))
def test_the_training_forward_is_the_model_s(seed: int, context: int, head: str) -> None:
    """Loss, saturation and gradients are those of the whole model on the windows as they are."""
    model, batch = small_case(seed, context, head)
    expected, saturated = action_loss(model, batch)
    leaves = {name: one.detach()[None].requires_grad_() for name, one in model.named_parameters()}
    forward, networks = StackForward(), Networks(model, leaves)
    keys = torch.zeros(1, forward.parts(networks), dtype=torch.int32)
    (found,), (share,) = forward.errors(networks, Batch(*(one[None] for one in vars(batch).values())), keys, half=False)
    torch.testing.assert_close(found, expected)
    assert share == saturated
    ours = torch.autograd.grad(found, list(leaves.values()))
    for one, whole in zip(ours, torch.autograd.grad(expected, list(model.parameters())), strict=True):
        torch.testing.assert_close(one[0], whole, rtol=1e-4, atol=1e-6)


@given(st.integers(0, 10_000))
def test_left_aligned_windows_hold_the_same_steps(seed: int) -> None:
    """Real steps keep their order and come first."""
    sampler = WindowSampler(made_up([2, 3, 9, 4], seed=seed), 5)
    batch = sampler.gather(sampler.draw(6, np.random.default_rng(seed)))
    states, timesteps, mask = left_aligned(batch.states, batch.timesteps, batch.mask)
    assert torch.equal(mask, batch.mask.sort(dim=1, descending=True, stable=True).values)
    assert torch.equal(states[mask], batch.states[batch.mask])
    assert torch.equal(timesteps[mask], batch.timesteps[batch.mask])


def test_flat_adamw_goes_on_from_a_state() -> None:
    """It takes over moments that torch's AdamW left, and the next steps are torch's."""
    torch.manual_seed(0)
    budget = Budget(1, 6, 4, 1e-2, 4, 1)
    models = [torch.nn.Sequential(torch.nn.Linear(3, 5), torch.nn.Linear(5, 2)) for _ in range(2)]
    models[1].load_state_dict(models[0].state_dict())
    theirs, ours = (make_optimizer(model, budget, 1e-8) for model in models)
    flat = None
    for step in range(6):
        x = torch.randn(4, 3)
        theirs.param_groups[0]["lr"] = ours.param_groups[0]["lr"] = 1e-2 * min((step + 1) / 4, 1)
        for model, optimizer in zip(models, (theirs, ours), strict=True):
            model.zero_grad()
            loss = model(x).square().sum()
            if optimizer is theirs or step < 3:
                loss.backward()
                torch.nn.utils.clip_grad_norm_(model.parameters(), 0.25)
                optimizer.step()
            else:
                if flat is None:
                    flat = FlatAdamW([model], [ours], budget, [0.25], (), update_)
                    flat.taken.fill_(step)
                flat.step([one[None] for one in torch.autograd.grad(loss, list(model.parameters()))])
    for a, b in zip(models[0].parameters(), models[1].parameters(), strict=True):
        torch.testing.assert_close(a, b)
        for kind in ("exp_avg", "exp_avg_sq", "step"):
            torch.testing.assert_close(theirs.state[a][kind], ours.state[b][kind])


def test_rounded_blocks_follow_their_float32_masters() -> None:
    """bfloat16 copies of the blocks' matrices and biases; norms, embeddings and head are the float32 ones."""
    model = DecisionTransformer(StackConfig(blocks=2, width=8, heads=2, activation="relu"), 11, 3, "untied")
    before = {name: value.clone() for name, value in model.state_dict().items()}
    budget = Budget(1, 1, 4, 1e-2, 1, 1)
    rounded = rounded_parameters(model)
    adam = FlatAdamW([model], [make_optimizer(model, budget, 1e-8)], budget, [0.25], rounded, update_)
    adam.step([torch.ones_like(leaf) for leaf in adam.leaves])
    masters = dict(model.named_parameters())
    for name, leaf in zip(adam.names, adam.leaves, strict=True):
        assert not torch.equal(masters[name], before[name]), name
        assert torch.equal(leaf[0], masters[name].to(leaf.dtype)), name
        assert (leaf.dtype == torch.bfloat16) == any(part in name for part in (".attn.", ".mlp.")), name


@given(st.lists(st.integers(2, 12), min_size=2, max_size=6), st.integers(1, 5), st.integers(0, 1000))
@settings(max_examples=30, deadline=None)
def test_pooled_windows_are_each_run_s_own(lengths: list[int], context: int, seed: int) -> None:
    """Runs on data of their own, or on the same, get what their own samplers gather."""
    samplers = [WindowSampler(made_up(lengths, seed=seed), context), WindowSampler(made_up([3, 9, 4]), context)]
    chosen = [samplers[0], samplers[1], samplers[0]]
    starts = [one.draw(5, np.random.default_rng(seed + i)) for i, one in enumerate(chosen)]
    together = PooledWindows(chosen, "cpu").gather(torch.from_numpy(np.stack(starts)))
    for run, (sampler, own) in enumerate(zip(chosen, starts, strict=True)):
        for name, expected in vars(sampler.gather(own)).items():
            assert torch.equal(getattr(together, name)[run], expected), name


@given(st.integers(-(2**31), 2**31 - 1), st.integers(0, 2), st.floats(0.05, 0.9))
@settings(max_examples=40, deadline=None)
def test_keyed_dropout_drops_its_share(key: int, place: int, probability: float) -> None:
    """As much as asked for, scaled so that the mean stays; the same again for the same key, and another for others."""
    x = torch.ones(64, 500)
    drop = keyed(torch.tensor(key, dtype=torch.int32))
    found = drop(x, probability, True, place)
    share = float((found == 0).float().mean())
    assert abs(share - probability) < 5 * (probability * (1 - probability) / x.numel()) ** 0.5
    kept = found[found != 0]
    torch.testing.assert_close(kept, torch.full_like(kept, 1 / (1 - probability)))
    assert torch.equal(found, drop(x, probability, True, place))
    assert not torch.equal(found, drop(x, probability, True, place + 1))
    assert not torch.equal(found, keyed(torch.tensor(key ^ 1, dtype=torch.int32))(x, probability, True, place))
    assert drop(x, probability, False, place) is x
    # Rows and columns of entries do not move together.
    dropped = (found == 0).float()
    assert dropped.mean(dim=0).std() < 3 * (probability * (1 - probability) / 64) ** 0.5


def test_operations_are_counted_as_stated() -> None:
    """GPT-2's blocks at batch 64, K=20: six per weight and token, and attention."""
    model = DecisionTransformer(StackConfig(blocks=2, width=8, heads=2, activation="relu"), 11, 3)
    weights = 2 * 12 * 8 * 8
    assert step_operations(model, 64, 20) == 64 * 60 * (6 * weights + 12 * 60 * 8 * 2)


@gpu
@pytest.mark.parametrize("dropout", [0.0, 0.1])
@pytest.mark.parametrize(("tokens", "heads", "width"), [(59, 12, 64), (59, 4, 32), (14, 2, 16), (64, 1, 128)])
def test_short_attention_is_attention(tokens: int, heads: int, width: int, dropout: float) -> None:
    """Values and gradients are those of the formula in float64, given the weights that the kernel kept."""
    source = torch.Generator("cuda").manual_seed(0)
    seed = torch.tensor([11], device="cuda") if dropout else None

    def run(qkv: Tensor) -> Tensor:
        return short_attention(qkv.flatten(2).bfloat16(), seed, heads, dropout)

    lower = torch.ones(tokens, tokens, device="cuda", dtype=torch.bool).tril()
    # With no queries all weights are equal, and one-hot values show which are kept, some columns at a time.
    share = torch.zeros(3, heads, tokens, tokens, device="cuda", dtype=torch.double)
    for begin in range(0, tokens, width):
        probe = torch.zeros(3, tokens, 3, heads, width, device="cuda")
        count = min(width, tokens - begin)
        probe[:, begin : begin + count, 2, :, :count] = torch.eye(count, device="cuda")[:, None, :]
        share[..., begin : begin + count] = run(probe).view(3, tokens, heads, width).transpose(1, 2)[..., :count]
    kept = (share > 0).double() / (1 - dropout)
    assert not share[..., ~lower].any()
    assert abs((share > 0).sum() / lower.sum() / 3 / heads - (1 - dropout)) < 0.03
    qkv = torch.randn(3, tokens, 3, heads, width, device="cuda", generator=source).bfloat16()
    above = torch.randn(3, tokens, heads * width, device="cuda", generator=source).bfloat16()
    ours, exact = qkv.clone().requires_grad_(), qkv.double().requires_grad_()
    query, key, value = exact.permute(2, 0, 3, 1, 4).unbind(0)
    logits = (query @ key.transpose(-1, -2) / width**0.5).masked_fill(~lower, -torch.inf)
    expected = ((torch.softmax(logits, dim=-1) * kept) @ value).transpose(1, 2).flatten(2)
    found = run(ours)
    for a, b in (
        (found, expected),
        (torch.autograd.grad(found, ours, above)[0], torch.autograd.grad(expected, exact, above.double())[0]),
    ):
        assert (a.double() - b).norm() / b.norm() < 1e-2


SMALL = Budget(epochs=2, steps_per_epoch=30, batch_size=32, learning_rate=1e-3, warmup_steps=10, evaluation_episodes=2)


def wide_backbone() -> dict[str, Backbone]:
    config = StackConfig(blocks=2, width=64, heads=2, activation="gelu_new")
    return {"language": Backbone(config, Stack(config).state_dict(), {"label": "test"})}


def on_gpu(seed: int = 0, precision: str = "float32", context: int = 5, arm: str = "random_init") -> Trainer:
    spec = tiny_spec(arm, context=context, seed=seed, budget=SMALL)
    return Trainer(spec, made_up([300, 400, 200]), wide_backbone(), "cuda", precision)


def losses_of(trainer: Trainer, epochs: int = 2, company: Company | None = None, index: int = 0) -> Tensor:
    """Of every update; the others of a company train on beside it."""
    kept, company = [], company or Company([trainer])
    for _ in range(epochs):
        logged = company.update()
        kept.append(logged[index][0])
        for one, log in logged.items():
            company.trainers[one].trained(log)
    return torch.cat(kept)


@pytest.fixture
def stacked_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs on the CPU take the stacked path too."""
    monkeypatch.setattr(loop, "path_of", lambda device: "stacked")


def here(seed: int = 0, arm: str = "random_init", **changes: Any) -> Trainer:
    return Trainer(
        tiny_spec(arm, context=5, seed=seed, budget=SMALL, **changes), made_up([300, 400, 200, 250]), BACKBONES
    )


def check_curves(found: Trainer, expected: Trainer) -> None:
    assert found.curves.keys() == expected.curves.keys()
    for name, curve in expected.curves.items():
        np.testing.assert_allclose(found.curves[name], curve, rtol=1e-4, err_msg=name)


@pytest.mark.usefixtures("stacked_here")
@pytest.mark.parametrize("arm", ["random_init", "mlp"])
def test_a_run_does_not_depend_on_its_companions(arm: str) -> None:
    """Sixty updates, roll-outs and held-out errors, alone and among runs of other seeds, clips, eps and data orders."""
    architecture = {"architecture": "own"} if arm == "mlp" else {}
    alone, beside = here(0, arm, held_out=True, **architecture), here(0, arm, held_out=True, **architecture)
    others = [here(1, arm, clip=False, held_out=True, **architecture), here(2, arm, adam_eps=1e-3, held_out=True)]
    company = Company([others[0], beside] if arm == "mlp" else [*others, beside])
    for _ in range(2):
        alone.run_epoch()
        assert not company.run_epoch()
    check_curves(beside, alone)
    torch.testing.assert_close(beside.parameters(), alone.parameters(), rtol=1e-4, atol=1e-6)
    assert others[0].curves["loss_mean"] != alone.curves["loss_mean"]


@pytest.mark.usefixtures("stacked_here")
def test_a_run_that_diverges_leaves_its_company() -> None:
    """Its own error ends it, at the step where its loss stopped being finite; the others end where they would have."""
    alone, beside, lost = here(0), here(0), here(1)
    with torch.no_grad():
        next(lost.model.parameters()).fill_(torch.nan)
    company = Company([lost, beside])
    (error,) = company.run_epoch().values()
    assert "stopped being finite" in str(error)
    assert company.present == [1]
    alone.run_epoch()
    check_curves(beside, alone)
    assert not company.run_epoch()
    assert len(beside.curves["loss_mean"]) == 2
    assert lost.epoch == 0


@pytest.mark.usefixtures("stacked_here")
def test_runs_at_different_epochs_train_together() -> None:
    """One that was taken up goes on where it was beside one that begins: as each does alone."""
    unbroken, first = here(0), here(1)
    for _ in range(2):
        unbroken.run_epoch()
    first.run_epoch()
    ahead, behind = here(0), here(1)
    ahead.run_epoch()
    taken_up = here(0)
    taken_up.restore(ahead.state())
    assert not Company([taken_up, behind]).run_epoch()
    for found, expected in ((taken_up, unbroken), (behind, first)):
        check_curves(found, expected)


@gpu
def test_companions_change_a_run_on_a_gpu_by_rounding_only() -> None:
    """The first 100 updates in bfloat16, alone and as one of eight: losses differ far less than those of two seeds."""
    budget = replace(SMALL, steps_per_epoch=50, epochs=2)

    def made(seed: int) -> Trainer:
        spec = tiny_spec("random_init", context=5, seed=seed, budget=budget)
        return Trainer(spec, made_up([300, 400, 200]), wide_backbone(), "cuda", "bfloat16")

    alone = [losses_of(made(seed)) for seed in range(2)]
    trainers = [made(seed) for seed in range(8)]
    beside = losses_of(trainers[0], 2, Company(trainers))
    assert len(beside) == 100
    apart = (beside - alone[0]).abs().mean()
    assert apart < 0.1 * (alone[1] - alone[0]).abs().mean()
    torch.testing.assert_close(beside[:5], alone[0][:5], rtol=2e-2, atol=1e-3)


@gpu
def test_a_resumed_run_on_a_gpu_goes_on() -> None:
    """The state after one epoch, taken up by a new trainer, leads to the unbroken run's losses and weights."""
    unbroken, resumed = on_gpu(), on_gpu()
    company = Company([unbroken])
    losses_of(unbroken, 1, company)
    resumed.restore(unbroken.state())
    found = losses_of(unbroken, 1, company), losses_of(resumed, 1)
    torch.testing.assert_close(*found, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(unbroken.parameters(), resumed.parameters(), rtol=1e-3, atol=1e-4)


@gpu
@pytest.mark.parametrize("arm", ["random_init", "mlp"])
def test_a_gpu_trains_as_the_cpu_does(arm: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without dropout, an epoch of the captured path ends where the plain loop on the CPU ends."""
    monkeypatch.setattr(behaviour_cloning, "DROPOUT", 0.0)
    ends, moved = [], []
    for device in ("cpu", "cuda"):
        spec = tiny_spec(arm, context=5, budget=replace(SMALL, steps_per_epoch=8))
        trainer = Trainer(spec, made_up([300, 400, 200]), wide_backbone(), device)
        for module in trainer.model.modules():
            if hasattr(module, "dropout"):
                module.dropout = 0.0
        if arm != "mlp":
            trainer.model.transformer.config = replace(trainer.model.transformer.config, embd_dropout=0.0)
        losses, norms, _ = Company([trainer]).update()[0]
        ends.append((losses, norms))
        moved.append(trainer.displacement())
    torch.testing.assert_close(ends[0], ends[1], rtol=2e-3, atol=1e-4)
    # What the captured steps moved is seen from outside.
    assert moved == ([None, None] if arm == "mlp" else [pytest.approx(moved[1], rel=1e-2)] * 2)
    assert moved[1] != 0


@gpu
@pytest.mark.parametrize("context", [1, 5])
def test_bfloat16_learns_as_float32_within_the_spread_of_seeds(context: int) -> None:
    """Curves of the same seed in the two precisions differ less than curves of two seeds in one."""
    curves = {
        (precision, seed): losses_of(on_gpu(seed, precision, context), 4).view(4, -1).mean(dim=1)
        for precision in ("float32", "bfloat16")
        for seed in range(4)
    }
    by_seed = {p: torch.stack([curves[p, seed] for seed in range(4)]) for p in ("float32", "bfloat16")}
    # Of all epochs together: four seeds give a poor estimate of it at one epoch.
    spread = by_seed["float32"].std(dim=0).mean()
    paired = (by_seed["bfloat16"] - by_seed["float32"]).mean(dim=0).abs()
    assert (paired < spread).all(), (paired, spread)
    assert (by_seed["bfloat16"][:, -1] < by_seed["bfloat16"][:, 0]).all()


@gpu
def test_tf32_and_bfloat16_are_really_used() -> None:
    """The three precisions give three different, close losses."""
    first = {p: losses_of(on_gpu(0, p), 1)[0] for p in ("float32", "tf32", "bfloat16")}
    torch.testing.assert_close(first["tf32"], first["float32"], rtol=2e-2, atol=0)
    torch.testing.assert_close(first["bfloat16"], first["float32"], rtol=5e-2, atol=0)
    assert len({float(value) for value in first.values()}) == 3


@gpu
def test_a_run_on_a_gpu_logs_every_epoch() -> None:
    """Training and roll-outs in bfloat16 through `Trainer`: a value per epoch, and progress to the end."""
    trainer = on_gpu(precision="bfloat16")
    seen: list[tuple[int, int]] = []
    trainer.run_epoch(lambda done, total: seen.append((done, total)))
    trainer.run_epoch()
    assert seen[-1] == (30, 60)
    assert {len(curve) for curve in trainer.curves.values()} == {2}


@gpu
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_roll_outs_on_a_gpu_are_of_the_weights_as_they_are(precision: str) -> None:
    """Every epoch's roll-outs use what was kept from the last, with today's weights, alone and in company."""
    trainers = [on_gpu(seed, precision) for seed in range(3)]
    company = Company(trainers)
    for _ in range(2):
        assert not company.run_epoch()
    kept = company._kept
    assert isinstance(kept, StackedRollouts)
    assert all(lane.graph is not None for lane in kept._lanes.values())
    for index, trainer in enumerate(trainers):
        for name, parameter in trainer.model.named_parameters():
            used = kept.networks.leaves[name][index]
            assert torch.equal(used, parameter.to(used.dtype)), name
        assert {len(curve) for curve in trainer.curves.values()} == {2}
