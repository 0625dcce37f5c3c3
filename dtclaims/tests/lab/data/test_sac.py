"""Soft Actor-Critic: the update against a plain per-seed one, the loop, resuming, choosing, writing."""

import hashlib
import json
import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from dtclaims.errors import RunFailed, UsageError
from dtclaims.lab.data.policy import Policy
from dtclaims.lab.data.policy_selection import (
    MEDIUM_RETURN_STD,
    Measured,
    Snapshot,
    measure_afresh,
    measure_policy,
    medium_distance,
    select,
)
from dtclaims.lab.data.policy_training import CHECKPOINT_FILE, collect_snapshots, train_policy
from dtclaims.lab.data.sac import Learner, SacConfig, actor_tensors, sample_actions
from dtclaims.lab.data.sac_trainer import Episode, SacTrainer
from dtclaims.lab.data.simulators import GYM_V2
from dtclaims.lab.design.tasks import TASKS
from dtclaims.tests.support import another_world

HOPPER = TASKS["hopper"]
CPU = torch.device("cpu")
TINY = SacConfig(envs=4, warmup=64, capacity=400, hidden=16, batch=8)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """Tiny products are slower, and less repeatable, when split."""
    torch.set_num_threads(1)


def filled_learner(seeds: list[int], config: SacConfig = TINY) -> Learner:
    """A learner whose replay holds the same made-up transitions for a seed, whatever its neighbours."""
    learner = Learner(HOPPER, seeds, config, CPU)
    rows = [np.random.default_rng(seed).normal(size=(100, 27)).astype(np.float32) for seed in seeds]
    for row in rows:
        row[:, 11:14] = np.tanh(row[:, 11:14])
        row[:, 15] = row[:, 15] > 1
    learner.store(np.stack(rows))
    return learner


def network(flat_layers: list[Tensor], copy: int) -> nn.Sequential:
    """One copy of a stacked network as ordinary torch layers."""
    modules: list[nn.Module] = []
    for weight, bias in zip(flat_layers[::2], flat_layers[1::2], strict=True):
        layer = nn.Linear(weight.shape[1], weight.shape[2])
        layer.weight.data = weight[copy].detach().T.clone()
        layer.bias.data = bias[copy, 0].detach().clone()
        modules += [layer, nn.ReLU()]
    return nn.Sequential(*modules[:-1])


class PlainSac:
    """One seed's SAC as textbooks write it, with torch's own layers and distributions."""

    def __init__(self, learner: Learner, group: int) -> None:
        self.replay = learner.replay[group].clone()
        self.actor = network(learner.actor.leaves, group)
        self.critics = [network(learner.critic.leaves, 2 * group + twin) for twin in range(2)]
        self.targets = [network(learner.critic.leaves, 2 * group + twin) for twin in range(2)]
        self.log_alpha = torch.zeros(1, requires_grad=True)
        critic_parameters = [p for critic in self.critics for p in critic.parameters()]
        parameters = (critic_parameters, list(self.actor.parameters()), [self.log_alpha])
        self.optimisers = [torch.optim.Adam(group, lr=3e-4) for group in parameters]

    def draw(self, states: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Reparameterised action and its log-density."""
        mean, log_std = self.actor(states).chunk(2, dim=-1)
        normal = torch.distributions.Normal(mean, log_std.clamp(-20, 2).exp())
        raw = mean + normal.stddev * noise
        density: Tensor = normal.log_prob(raw) - torch.log(1 - raw.tanh() ** 2)  # type: ignore[no-untyped-call]
        return raw.tanh(), density.sum(-1)

    def update(self, rows: Tensor, noise: Tensor) -> None:
        """One gradient step of critics, actor and temperature, in this order."""
        s, a, reward, terminated, s_next = torch.split(self.replay[rows], [11, 3, 1, 1, 11], dim=-1)
        action, density = self.draw(s, noise[: len(rows)])
        action_next, density_next = self.draw(s_next, noise[len(rows) :])
        alpha = self.log_alpha.exp().detach()
        with torch.no_grad():
            q_next = torch.minimum(*(target(torch.cat([s_next, action_next], 1)) for target in self.targets))[:, 0]
            goal = reward[:, 0] + 0.99 * (1 - terminated[:, 0]) * (q_next - alpha * density_next)
        errors = [((critic(torch.cat([s, a], 1))[:, 0] - goal) ** 2).mean() for critic in self.critics]
        self.descend(0, errors[0] + errors[1])
        value = torch.minimum(*(critic(torch.cat([s, action], 1)) for critic in self.critics))[:, 0]
        self.descend(1, (alpha * density - value).mean())
        self.descend(2, -(self.log_alpha * (density.detach() - 3)).mean())
        for target, critic in zip(self.targets, self.critics, strict=True):
            for old, new in zip(target.parameters(), critic.parameters(), strict=True):
                old.data = 0.995 * old.data + 0.005 * new.data

    def descend(self, index: int, loss: Tensor) -> None:
        """Backward and step of one optimiser."""
        self.optimisers[index].zero_grad()
        torch.autograd.backward(loss, inputs=list(self.optimisers[index].param_groups[0]["params"]))
        self.optimisers[index].step()


def test_stacked_update_is_the_textbook_one() -> None:
    """After 8 updates each seed's actor, critics, targets and temperature are those of plain SAC."""
    learner = filled_learner([1, 2])
    plain = [PlainSac(learner, group) for group in range(2)]
    for _ in range(2):
        learner.update_block()
        for group, one in enumerate(plain):
            for rows, noise in zip(learner.rows[:, group], learner.noise[:, group], strict=True):
                one.update(rows, noise)
    for group, one in enumerate(plain):
        pairs = [(one.actor, network(learner.actor.leaves, group))]
        for twin in range(2):
            pairs.append((one.critics[twin], network(learner.critic.leaves, 2 * group + twin)))
            pairs.append((one.targets[twin], network(learner.critic.target_views, 2 * group + twin)))
        for expected, actual in pairs:
            for left, right in zip(expected.parameters(), actual.parameters(), strict=True):
                torch.testing.assert_close(left, right, rtol=1e-4, atol=2e-6)
        torch.testing.assert_close(one.log_alpha, learner.log_alpha[group], rtol=1e-5, atol=1e-7)


def test_a_seed_does_not_depend_on_its_neighbours() -> None:
    """Seed 7 trained beside another seed ends where it ends alone."""
    together, alone = filled_learner([3, 7]), filled_learner([7])
    for _ in range(5):
        together.update_block()
        alone.update_block()
    pair, single = together.policies()[1].tensors, alone.policies()[0].tensors
    for name, value in single.items():
        np.testing.assert_allclose(pair[name], value, rtol=1e-4, atol=1e-6)


def test_log_density_matches_torch_distributions() -> None:
    """log π(a) is the density of a tanh-transformed normal."""
    learner = filled_learner([0])
    generator = torch.Generator().manual_seed(0)
    states, noise = torch.randn(1, 50, 11, generator=generator), torch.randn(1, 50, 3, generator=generator)
    actions, density = sample_actions(learner.actor.frozen, states, noise)
    mean, log_std = network(learner.actor.frozen, 0)(states[0]).chunk(2, dim=-1)
    transform = torch.distributions.TanhTransform(cache_size=1)
    squashed = torch.distributions.TransformedDistribution(torch.distributions.Normal(mean, log_std.exp()), transform)
    expected_actions = transform(mean + log_std.exp() * noise[0])
    torch.testing.assert_close(actions[0], expected_actions)
    expected = squashed.log_prob(expected_actions).sum(-1)  # type: ignore[no-untyped-call]
    torch.testing.assert_close(density[0], expected, rtol=1e-4, atol=1e-4)


def test_exported_policy_acts_as_the_learner() -> None:
    """The numpy policy and the stacked torch actor give the same action for zero noise."""
    learner = filled_learner([4, 5])
    states = np.random.default_rng(0).normal(size=(2, 6, 11)).astype(np.float32)
    actions = learner.act(states, np.zeros((2, 6, 3), dtype=np.float32))
    for group, policy in enumerate(learner.policies()):
        own = policy.act(states[group], np.random.default_rng(0), deterministic=True)
        np.testing.assert_allclose(actions[group], own, atol=1e-5)


def test_exported_policy_is_a_copy() -> None:
    """A snapshot keeps its weights while training goes on."""
    learner = filled_learner([4])
    policy = learner.policies()[0]
    before = {name: value.copy() for name, value in policy.tensors.items()}
    learner.update_block()
    assert all(np.array_equal(policy.tensors[name], value) for name, value in before.items())
    assert not np.array_equal(learner.policies()[0].tensors["mean.bias"], before["mean.bias"])


def test_failed_graph_capture_leaves_the_eager_update(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a GPU cannot capture the update, the reason is kept and training goes on without a graph."""

    def refuse(*args: object, **options: object) -> None:
        raise RuntimeError("capture is not supported here")

    monkeypatch.setattr(torch.cuda, "CUDAGraph", object)
    monkeypatch.setattr(torch.cuda, "graph", refuse)
    learner = filled_learner([0])
    learner._capture()
    assert learner.graph_failure == "capture is not supported here"
    before = learner.actor.flat.clone()
    learner.update_block()
    assert not torch.equal(learner.actor.flat, before)


def test_replay_overwrites_the_oldest() -> None:
    """Beyond its capacity the buffer starts again at its first row."""
    learner = Learner(HOPPER, [0], replace(TINY, capacity=8), CPU)
    for value in range(3):
        learner.store(np.full((1, 4, 27), value, dtype=np.float32))
    assert learner.replay[0, :, 0].tolist() == [2] * 4 + [1] * 4
    learner.update_block()
    assert int(learner.rows.max()) < 8


def test_time_out_ends_the_episode_but_is_not_terminal() -> None:
    """At 1000 steps the slot restarts, and the stored transition still bootstraps."""
    trainer = SacTrainer(TASKS["halfcheetah"], [0], TINY, CPU)
    trainer.lengths[2] = 999
    trainer.returns[2] = 10.0
    ended = trainer.advance()
    assert [(episode.seed_index, episode.end_step, episode.length) for episode in ended] == [(0, 4, 1000)]
    assert trainer.lengths.tolist() == [1, 1, 0, 1]
    stored = trainer.learner.replay[0, 2]
    assert stored[24] == 0
    assert not np.allclose(stored[-17:].numpy(), trainer.states[2])


def test_two_runs_of_a_seed_are_identical_and_resuming_changes_nothing(tmp_path: Path) -> None:
    """On a CPU: same seed, same bits; stopping at 160 steps and resuming gives the uninterrupted run."""
    whole = collect_snapshots(SacTrainer(HOPPER, [1, 2], TINY, CPU), 320, every=80)
    again = collect_snapshots(SacTrainer(HOPPER, [1, 2], TINY, CPU), 320, every=80)
    path = tmp_path / "training.pt"
    first = collect_snapshots(SacTrainer(HOPPER, [1, 2], TINY, CPU), 160, every=80, checkpoint=path)
    resumed = collect_snapshots(SacTrainer(HOPPER, [1, 2], TINY, CPU), 320, every=80, checkpoint=path)
    assert [s.step for s in first] == [80, 80, 160, 160]
    assert [file.name for file in tmp_path.iterdir()] == ["training.pt"]
    for other in (again, resumed):
        assert [(s.seed, s.step) for s in other] == [(s.seed, s.step) for s in whole]
        np.testing.assert_array_equal([s.recent_mean for s in other], [s.recent_mean for s in whole])
        for left, right in zip(whole, other, strict=True):
            assert all(np.array_equal(left.policy.tensors[n], right.policy.tensors[n]) for n in left.policy.tensors)


def test_checkpoint_of_another_run_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another task, simulator, seed or hyperparameter does not continue a checkpoint."""
    another_world.install(monkeypatch)
    path = tmp_path / "training.pt"
    collect_snapshots(SacTrainer(HOPPER, [1], TINY, CPU), 100, every=50, checkpoint=path)
    for other in (
        SacTrainer(HOPPER, [2], TINY, CPU),
        SacTrainer(TASKS["walker2d"], [1], TINY, CPU),
        SacTrainer(HOPPER, [1], replace(TINY, rate=1e-3), CPU),
        SacTrainer(HOPPER, [1], TINY, CPU, simulator=GYM_V2),
    ):
        with pytest.raises(UsageError, match="the checkpoint belongs to another run"):
            collect_snapshots(other, 200, every=50, checkpoint=path)


def test_stop_ends_training_after_a_snapshot() -> None:
    """A caller's time limit keeps what was reached."""
    asked = iter([False, True])
    snapshots = collect_snapshots(SacTrainer(HOPPER, [1], TINY, CPU), 10_000, every=100, stop=lambda: next(asked))
    assert [snapshot.step for snapshot in snapshots] == [100, 200]


def test_progress_is_told_by_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines come from the first step on, warm-up included, with steps, return, pace and what is left."""
    monkeypatch.setattr("dtclaims.lab.data.policy_training.REPORT_EVERY", 0.0)
    seen: list[str] = []
    collect_snapshots(SacTrainer(HOPPER, [1], TINY, CPU), 200, every=100, progress=seen.append)
    assert seen[0].startswith("hopper: step 4/200, return -, ")
    assert re.fullmatch(r"hopper: step 200/200, return -?\d+, \d+ steps/s for each seed, about 0 min left", seen[-1])


@pytest.mark.parametrize("change", [{"capacity": 402}, {"warmup": 2}])
def test_unusable_sizes_are_refused(change: dict[str, int]) -> None:
    """Rounds of `envs` transitions must fit the buffer, and the first update needs some."""
    with pytest.raises(UsageError, match="multiple of envs"):
        SacTrainer(HOPPER, [0], replace(TINY, **change), CPU)


def snapshot(step: int, mean: float) -> Snapshot:
    """A snapshot whose training episodes returned `mean`."""
    tensors = filled_learner([0]).policies()[0].tensors
    return Snapshot(0, step, Policy(HOPPER, tensors), mean, 1.0)


def result(mean: float, std: float = MEDIUM_RETURN_STD["hopper"], bimodality: float = 0.4) -> Measured:
    """A measurement with the given moments."""
    return Measured(100, mean, std, mean - std, mean + std, 400.0, bimodality)


def test_medium_distance_prefers_mean_then_spread_then_one_mode() -> None:
    """0 for D4RL's own moments; each departure costs, and the mean costs most."""
    target = HOPPER.medium_return
    assert medium_distance(HOPPER, target, result(target)) == pytest.approx(0)
    assert medium_distance(HOPPER, target, result(target + 378.95)) == pytest.approx(1)
    assert medium_distance(HOPPER, target, result(target, std=378.95 * math.e)) == pytest.approx(0.5)
    assert medium_distance(HOPPER, target, result(target, std=378.95 / math.e)) == pytest.approx(0.5)
    assert medium_distance(HOPPER, target, result(target, bimodality=1.0)) == pytest.approx(4 / 9)


def test_selection_measures_a_shortlist_twice() -> None:
    """Training returns make the shortlist, few episodes shorten it, many decide."""
    taken = [snapshot(step, 1000.0 + step) for step in range(0, 1000, 100)]
    truth = {step: 1300.0 + step / 4 for step in range(0, 1000, 100)}
    calls: list[tuple[list[int], int]] = []

    def measure(chosen: Any, episodes: int) -> list[Measured]:
        calls.append(([s.step for s in chosen], episodes))
        return [result(truth[s.step]) for s in chosen]

    medium, measured = select(HOPPER, taken, "medium", measure, sizes=(4, 2), episodes=(5, 50))
    assert calls == [([400, 500, 300, 600], 5), ([500, 400], 50)]
    assert (medium.step, measured.mean) == (500, 1425.0)
    assert select(HOPPER, taken, "medium", measure, target_return=1350.0)[0].step == 200
    assert select(HOPPER, taken, "expert", measure)[0].step == 900


def test_selection_needs_finished_episodes_and_a_known_level() -> None:
    """Nothing to choose from is a failed run; a misspelt level is a usage error."""
    with pytest.raises(RunFailed, match="no policy snapshot"):
        select(HOPPER, [snapshot(1, math.nan)], "medium", lambda *_: [])
    with pytest.raises(UsageError, match="got good, expected medium or expert"):
        select(HOPPER, [], "good", lambda *_: [])  # type: ignore[arg-type]


def test_measured_returns_are_those_of_whole_episodes() -> None:
    """HalfCheetah never terminates, so its episodes last 1000 steps; a seed repeats its measurement."""
    learner = Learner(TASKS["halfcheetah"], [0], TINY, CPU)
    policy = learner.policies()[0]
    measured = measure_policy(policy, 3, seed=1)
    assert (measured.episodes, measured.mean_length) == (3, 1000.0)
    assert measured.min <= measured.mean <= measured.max
    assert measured == measure_policy(policy, 3, seed=1)
    assert measured != measure_policy(policy, 3, seed=2)


def test_actor_tensors_split_the_last_layer() -> None:
    """The stacked actor's output holds the means first, then the log standard deviations."""
    layers = [np.zeros((11, 4)), np.zeros((1, 4)), np.zeros((4, 4)), np.zeros((1, 4))]
    layers += [np.arange(24.0).reshape(4, 6), np.arange(6.0).reshape(1, 6)]
    tensors = actor_tensors([layer.astype(np.float32) for layer in layers])
    assert tensors["mean.bias"].tolist() == [0, 1, 2]
    assert tensors["log_std.weight"][0].tolist() == [3, 9, 15, 21]


def test_trained_policy_folder_is_complete(tmp_path: Path) -> None:
    """Weights, card with hashes, curve and provenance; and `resume` trains on from the checkpoint."""
    options: dict[str, Any] = {"seed": 3, "out": tmp_path, "device": "cpu", "parallel_seeds": 2}
    # Snapshots come every 5000 steps, so the updates start late to keep this test short.
    config = SacConfig(envs=50, warmup=9_800, capacity=10_000, hidden=16, batch=8)
    train_policy(HOPPER, steps=10_000, config=config, **options)
    card = json.loads((tmp_path / "card.json").read_text(encoding="utf-8"))
    weights = (tmp_path / "model.safetensors").read_bytes()
    assert card["files"]["model.safetensors"] == {
        "sha256": hashlib.sha256(weights).hexdigest(),
        "bytes": len(weights),
    }
    assert (card["schema"], card["kind"], card["name"]) == (1, "policy", "hopper-medium")
    assert card["made_with"] == (
        "dtclaims data train-policy hopper --seed 3 --level medium --steps 10000 --device cpu --parallel-seeds 2"
    )
    assert card["origin"]["seeds"] == [3, 4]
    assert card["origin"]["seed"] in (3, 4)
    assert card["results"]["stochastic_policy"]["episodes"] == 100
    fresh = card["results"]["fresh_episodes"]
    assert fresh == measure_afresh(Policy.load(tmp_path, HOPPER), "medium", card["origin"]["seed"])
    assert (fresh["episodes"], fresh["mean"] != card["results"]["stochastic_policy"]["mean"]) == (400, True)
    assert [row[0] for row in card["results"]["learning_curve"]["rows"]] == [10_000]
    Policy.load(tmp_path, HOPPER)
    expert = train_policy(HOPPER, steps=10_000, config=config, level="expert", resume=True, **options)
    assert expert["origin"]["step"] == 10_000
    assert (tmp_path / CHECKPOINT_FILE).exists()


def test_a_policy_is_trained_and_measured_in_the_simulator_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Training returns, choice and fresh episodes are that simulator's; card and command name it."""
    another_world.install(monkeypatch)
    config = SacConfig(envs=50, warmup=9_800, capacity=10_000, hidden=16, batch=8)
    card = train_policy(HOPPER, seed=3, steps=10_000, out=tmp_path, device="cpu", config=config, simulator=GYM_V2)
    policy, seed = Policy.load(tmp_path, HOPPER), card["origin"]["seed"]
    assert card["results"]["fresh_episodes"] == measure_afresh(policy, "medium", seed, simulator=GYM_V2)
    assert card["results"]["fresh_episodes"] != measure_afresh(policy, "medium", seed)
    assert card["made_with"].endswith("--simulator gym-v2")
    assert (card["name"], card["versions"]["mujoco"]) == ("hopper-medium-gym-v2", "2.1.0")


def test_too_few_steps_are_refused_before_training(tmp_path: Path) -> None:
    """A run that ends before its first snapshot would be for nothing: it is refused at once."""
    with pytest.raises(UsageError, match="at least 15000"):
        train_policy(HOPPER, seed=0, steps=12_000, out=tmp_path / "new", device="cpu")
    assert not (tmp_path / "new").exists()


def test_training_rejects_a_misspelt_level_before_it_starts(tmp_path: Path) -> None:
    """A wrong level is told at once, not after hours, and leaves nothing behind."""
    with pytest.raises(UsageError, match="unknown policy level"):
        train_policy(HOPPER, seed=0, out=tmp_path / "new", level="best")  # type: ignore[arg-type]
    assert not (tmp_path / "new").exists()


def test_episode_belongs_to_its_seed() -> None:
    """Slots are grouped by seed: an episode of the second group is the second seed's."""
    trainer = SacTrainer(HOPPER, [0, 1], TINY, CPU)
    trainer.lengths[:] = [0, 0, 0, 0, 0, 999, 0, 0]
    ended: list[Episode] = trainer.advance()
    assert [episode.seed_index for episode in ended] == [1]
