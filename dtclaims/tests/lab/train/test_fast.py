"""The GPU training path: the reference's optimiser steps, captured; on a CPU its parts, uncaptured."""

import threading
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from dtclaims.lab.data.windows import Batch, WindowSampler
from dtclaims.lab.design.spec import Budget
from dtclaims.lab.models import Backbone, DecisionTransformer, Stack, StackConfig, behaviour_cloning
from dtclaims.lab.models.short_attention import short_attention
from dtclaims.lab.train.captured_lanes import CapturedRollouts
from dtclaims.lab.train.fast import WORTH_COMPILING, CapturedSteps
from dtclaims.lab.train.flat_adamw import FlatAdamW, update_
from dtclaims.lab.train.forward import EAGER, left_aligned
from dtclaims.lab.train.loop import Trainer
from dtclaims.lab.train.objective import action_loss, make_optimizer
from dtclaims.lab.train.rounding import with_rounded_blocks
from dtclaims.tests.support.examples import made_up, tiny_spec
from dtclaims.tests.support.golden import GOLDEN, check_golden_end, golden_batches, golden_clip, golden_run
from dtclaims.tests.support.gpu import gpu
from dtclaims.tests.support.operations import step_operations


def check_log(values: dict[str, np.ndarray], losses: Tensor, norms: Tensor) -> None:
    np.testing.assert_allclose(losses, values["loss"], rtol=1e-5)
    np.testing.assert_allclose(norms, values["grad_norm_before_clip"], rtol=1e-4)


@pytest.mark.parametrize("name", GOLDEN)
def test_golden_steps_of_the_parts(name: str) -> None:
    """Windows moved to the left, causal attention, last block at states only, AdamW over one vector: the same steps."""
    values, model, budget, optimizer = golden_run(name)
    adam = FlatAdamW(optimizer, [(one, one) for one in model.parameters()], budget, golden_clip(name, budget), update_)
    logged = []
    for batch in golden_batches(values):
        loss, _ = EAGER(model, batch, half=False)
        norm = adam.step(torch.autograd.grad(loss, adam.leaves))
        logged.append((loss.detach(), norm))
    check_log(values, *(torch.stack(column) for column in zip(*logged, strict=True)))
    check_golden_end(values, model, budget)


@gpu
@pytest.mark.parametrize("compiling", [False, True])
@pytest.mark.parametrize("name", GOLDEN)
def test_golden_steps_on_a_gpu(name: str, compiling: bool) -> None:
    """The captured step reproduces the reference's five steps in float32, compiled or not."""
    values, model, budget, _ = golden_run(name)
    model.cuda()
    eps = 1e-6 if name == "train_gpt2" else 1e-8
    rows = [vars(batch).values() for batch in golden_batches(values, "cuda")]
    stacked = Batch(*(torch.stack(column) for column in zip(*rows, strict=True)))

    def gather(starts: Tensor) -> Batch:
        return Batch(*(one.index_select(0, starts[:1])[0] for one in vars(stacked).values()))

    fast = CapturedSteps(
        model,
        make_optimizer(model, budget, eps),
        gather,
        budget,
        golden_clip(name, budget),
        "float32",
        steps=WORTH_COMPILING if compiling else 0,
    )
    starts = np.repeat(np.arange(5)[:, None], budget.batch_size, axis=1)
    losses, norms, _ = fast.epoch(starts, 0, seed=0)
    check_log(values, losses, norms)
    check_golden_end(values, model, budget)


@settings(max_examples=20)
@given(st.integers(0, 10_000), st.integers(1, 6), st.sampled_from(["tied", "untied"]))
def test_the_training_forward_is_the_model_s(seed: int, context: int, head: str) -> None:
    """Loss, saturation and gradients are those of the whole model on the windows as they are."""
    data = made_up([2, 3, 9, 4], seed=seed)
    sampler = WindowSampler(data, context)
    batch = sampler.gather(sampler.draw(4, np.random.default_rng(seed)))
    config = StackConfig(blocks=2, width=8, heads=2, activation="gelu_new")
    model = DecisionTransformer(config, 11, 3, head, seed=seed).eval()
    expected, saturated = action_loss(model, batch)
    found, share = EAGER(model, batch, half=False)
    torch.testing.assert_close(found, expected)
    assert share == saturated
    parameters = list(model.parameters())
    gradients = (torch.autograd.grad(one, parameters) for one in (found, expected))
    for ours, whole in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, whole, rtol=1e-4, atol=1e-6)


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
                    flat = FlatAdamW(ours, [(one, one) for one in model.parameters()], budget, 0.25, update_)
                    flat.taken.fill_(step)
                flat.step(torch.autograd.grad(loss, flat.leaves))
    for a, b in zip(models[0].parameters(), models[1].parameters(), strict=True):
        torch.testing.assert_close(a, b)
        for kind in ("exp_avg", "exp_avg_sq", "step"):
            torch.testing.assert_close(theirs.state[a][kind], ours.state[b][kind])


def test_rounded_blocks_follow_their_float32_masters() -> None:
    """bfloat16 copies of the blocks' matrices; norms, embeddings and head are the model's own parameters."""
    model = DecisionTransformer(StackConfig(blocks=2, width=8, heads=2, activation="relu"), 11, 3, "untied")
    network = with_rounded_blocks(model)
    budget = Budget(1, 1, 4, 1e-2, 1, 1)
    optimizer = make_optimizer(model, budget, 1e-8)
    pairs = list(zip(model.parameters(), network.parameters(), strict=True))
    adam = FlatAdamW(optimizer, pairs, budget, 0.25, update_)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    adam.step([torch.ones_like(leaf) for leaf in adam.leaves])
    copies = dict(network.named_parameters())
    for name, master in model.named_parameters():
        assert not torch.equal(master, before[name]), name
        if any(part in name for part in (".attn.", ".mlp.")):
            assert copies[name].dtype == torch.bfloat16
            assert torch.equal(copies[name], master.bfloat16()), name
        else:
            assert copies[name] is master, name


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


def losses_of(trainer: Trainer, epochs: int = 2) -> Tensor:
    kept = []
    for epoch in range(epochs):
        kept.append(trainer._updates(epoch + 1, None)[0])
        trainer.epoch = epoch + 1
    return torch.cat(kept)


@gpu
def test_dropout_on_a_gpu_depends_on_the_seed_alone() -> None:
    """Runs in threads, on streams of their own, draw what they draw alone; other seeds draw others."""
    alone = [losses_of(on_gpu(seed)) for seed in (0, 1)]
    beside: dict[int, Tensor] = {}
    threads = [threading.Thread(target=lambda s=seed: beside.update({s: losses_of(on_gpu(s))})) for seed in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    torch.testing.assert_close(beside[0], alone[0])
    torch.testing.assert_close(beside[1], alone[1])
    assert not torch.allclose(alone[0], alone[1])


@gpu
def test_a_resumed_run_on_a_gpu_goes_on() -> None:
    """The state after one epoch, taken up by a new trainer, leads to the unbroken run's losses and weights."""
    unbroken, resumed = on_gpu(), on_gpu()
    losses_of(unbroken, 1)
    resumed.restore(unbroken.state())
    for trainer in (unbroken, resumed):
        trainer.losses = trainer._updates(2, None)[0]
    torch.testing.assert_close(unbroken.losses, resumed.losses, rtol=1e-4, atol=1e-5)
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
        losses, norms, _ = trainer._updates(1, None)
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
    """Every epoch's roll-outs use what was kept from the last, with today's weights; another state starts afresh."""
    trainer = on_gpu(precision=precision)
    trainer.run_epoch()
    kept, state = trainer._rollouts, trainer.state()
    trainer.run_epoch()
    assert isinstance(kept, CapturedRollouts)
    assert trainer._rollouts is kept
    assert all(lane.graph is not None for lane in kept._lanes.values() if lane.width == 1)
    used = dict(kept.network.named_parameters())
    for name, parameter in trainer.model.named_parameters():
        assert torch.equal(used[name], parameter.to(used[name].dtype)), name
    assert (used["transformer.h.0.mlp.c_fc.weight"].dtype == torch.bfloat16) == (precision == "bfloat16")
    trainer.restore(state)
    assert trainer._rollouts is None
    trainer.run_epoch()
    assert {len(curve) for curve in trainer.curves.values()} == {2}
