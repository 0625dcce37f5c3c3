"""A run as a job: what it returns, what its folder holds, and how it goes on after a stop."""

import math
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.torch import load_file

from dtclaims.errors import UsageError
from dtclaims.lab.design.spec import RunSpec
from dtclaims.lab.metrics import parameter_similarity
from dtclaims.lab.models.displacement import block_parameters
from dtclaims.lab.train import job, loop, resume
from dtclaims.lab.train.job import Asked, train_runs
from dtclaims.lab.train.loop import Trainer
from dtclaims.tests.support.examples import TINY_BUDGET, made_up, tiny_backbone, tiny_spec
from dtclaims.tests.support.tiny_benches import backbones
from dtclaims.tests.support.training import Desk, finished, train_run

BACKBONES = {"language": tiny_backbone()}
DATA = made_up([30, 40, 25, 35])
SPEC = tiny_spec(budget=replace(TINY_BUDGET, epochs=6), epochs=6)


@pytest.fixture(autouse=True)
def saved_after_every_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Epochs of milliseconds would hardly ever be worth saving."""
    monkeypatch.setattr(resume, "PAUSE", 0.0)


class Stopped(Exception):
    pass


def stopped_after(folder: Path, epochs: int, spec: RunSpec = SPEC, **listeners: Any) -> None:
    """A worker that dies after so many epochs of its own, the last of them not saved."""
    left = iter(range(epochs - 1))

    def check() -> None:
        if next(left, None) is None:
            raise Stopped

    with pytest.raises(Stopped):
        train_run(spec, DATA, BACKBONES, folder, check=check, **listeners)


def test_a_run_returns_its_curves_and_keeps_its_epochs(tmp_path: Path) -> None:
    """The curves and parameters are those of `Trainer`, epoch by epoch; listeners are told of each."""
    (tmp_path / "identity.json").write_text("{}")
    told: list[tuple[int, float]] = []
    steps: list[tuple[int, int]] = []
    result = train_run(
        SPEC,
        DATA,
        BACKBONES,
        tmp_path,
        report=lambda done, total: steps.append((done, total)),
        tell=lambda epoch, values: told.append((epoch, values["return_mean"])),
    )
    expected = finished(SPEC, DATA, BACKBONES)
    assert result["curves"] == expected.curves
    trained = block_parameters(expected.checkpoints[SPEC.epochs])
    start = block_parameters(Trainer(SPEC, DATA, BACKBONES).parameters())
    assert result["diagnostics"] == {
        "constant_error": float(DATA.actions.var(axis=0).mean()),
        "displacement": pytest.approx(parameter_similarity(start, trained).relative_displacement, rel=1e-9),
    }
    assert result["resumed"] == []
    assert result["seconds"] > 0
    assert told == list(enumerate(expected.curves["return_mean"], start=1))
    assert steps == [(done, 18) for done in range(1, 19)]
    kept = {f"epoch_{epoch:03d}.safetensors": tensors for epoch, tensors in expected.checkpoints.items()}
    assert {path.name for path in tmp_path.iterdir()} == {*kept, "identity.json", "state.safetensors"}
    for name, tensors in kept.items():
        found = load_file(tmp_path / name)
        assert all((found[one] == tensor).all() for one, tensor in tensors.items())


@pytest.mark.parametrize("arm", ["random_init", "language_pretrained", "image_native", "block_1_language"])
def test_a_run_says_how_far_its_blocks_moved(arm: str, tmp_path: Path) -> None:
    """Over all tensors of the blocks, from its own start to its end, whatever network it is and also after a stop."""
    spec = tiny_spec(arm, architecture="matched" if arm in ("random_init", "block_1_language") else "own")
    sources = backbones()
    found = train_run(spec, DATA, sources, tmp_path)["diagnostics"]["displacement"]
    trainer = Trainer(spec, DATA, sources)
    start = trainer.parameters()
    while trainer.epoch < spec.epochs:
        trainer.run_epoch()
    blocks = [name for name in start if name.startswith("transformer.h.")]
    before, after = (
        np.concatenate([state[name].double().numpy().ravel() for name in blocks])
        for state in (start, trainer.parameters())
    )
    assert found == pytest.approx(np.linalg.norm(after - before) / np.linalg.norm(before), rel=1e-9)
    assert found > 0
    taken_up = Trainer(spec, DATA, sources)
    assert taken_up.displacement() == 0
    taken_up.restore(trainer.state())
    assert taken_up.displacement() == found


def test_a_network_without_blocks_has_no_displacement(tmp_path: Path) -> None:
    """The MLP's run says nothing of blocks."""
    result = train_run(tiny_spec("mlp", architecture="own"), DATA, BACKBONES, tmp_path)
    assert set(result["diagnostics"]) == {"constant_error"}


def test_the_best_and_the_last_epoch_are_evaluated_afresh(tmp_path: Path) -> None:
    """Their own checkpoints, on as many episodes as are asked for, none that one was chosen by; also after a stop."""
    plain = replace(SPEC, seed=3)
    spec = replace(plain, budget=replace(SPEC.budget, fresh_episodes=3))
    for name in "abc":
        (tmp_path / name).mkdir()
    result = train_run(spec, DATA, BACKBONES, tmp_path / "a")
    fresh, curve = result["fresh"], result["curves"]["return_mean"]
    best, last = fresh["best"], fresh["last"]
    assert curve[best["epoch"] - 1] == max(curve)
    assert best["epoch"] < last["epoch"] == 6
    for one, name in ((best, "fresh_return"), (last, "fresh_return_last")):
        assert len(one["returns"]) == len(one["lengths"]) == 3
        assert result["diagnostics"][name] == pytest.approx(sum(one["returns"]) / 3)
    assert best["returns"] != last["returns"]
    assert result["curves"] == train_run(plain, DATA, BACKBONES, tmp_path / "b")["curves"]
    broken = tmp_path / "c"
    for epochs in (3, 2):
        stopped_after(broken, epochs, spec=spec)
    again = train_run(spec, DATA, BACKBONES, broken)
    assert again["fresh"] == fresh
    # Of where the run began, not of where it was taken up.
    assert again["diagnostics"] == result["diagnostics"]
    # A run that ends where it is best is evaluated once, as the checkpoint that it is.
    trainer = Trainer(spec, DATA, BACKBONES)
    for one in (best, last):
        while trainer.epoch < one["epoch"]:
            trainer.run_epoch()
        trainer.curves["return_mean"][-1] += 1000.0 * trainer.epoch
        assert trainer.evaluate_afresh() == {"best": one, "last": one}


def test_block_replacement_has_no_fresh_evaluation() -> None:
    """Its score is read by no claim."""
    budget = replace(SPEC.budget, fresh_episodes=3)
    assert replace(SPEC, budget=budget).fresh_episodes == 3
    assert replace(SPEC, arm="block_1_language", budget=budget).fresh_episodes == 0


def test_a_stopped_run_goes_on(tmp_path: Path) -> None:
    """It ends with the unbroken run's curves; what was trained before is told, counted and not trained again."""
    notes: list[str] = []
    stopped_after(tmp_path, 3)
    stopped_after(tmp_path, 2, note=notes.append)
    result = train_run(SPEC, DATA, BACKBONES, tmp_path, note=notes.append)
    assert notes == ["goes on after epoch 2 of 6", "goes on after epoch 3 of 6"]
    assert result["resumed"] == [2, 3]
    assert result["curves"] == finished(SPEC, DATA, BACKBONES).curves


def test_runs_that_train_together_are_saved_after_the_same_epochs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long the saves of each take: a group that was stopped is taken up in step."""
    now = 0.0
    monkeypatch.setattr(loop, "path_of", lambda device: "stacked")
    monkeypatch.setattr("dtclaims.lab.train.resume.time.monotonic", lambda: now)
    monkeypatch.setattr(resume, "PAUSE", 1.0)
    monkeypatch.setattr(resume, "RATE", math.inf)
    told: dict[int, list[int]] = {seed: [] for seed in range(3)}
    saved: dict[int, list[int]] = {seed: [] for seed in range(3)}

    def save(folder: Path, *_: Any) -> None:
        nonlocal now
        seed = int(folder.name)
        now += 0.1 * (1 + seed)
        saved[seed].append(len(told[seed]) + 1)

    def tell(seed: int, epoch: int) -> None:
        nonlocal now
        told[seed].append(epoch)
        now += 0.15

    monkeypatch.setattr(job, "save_state", save)
    asked = []
    for seed in range(3):
        folder = tmp_path / str(seed)
        folder.mkdir()
        desk = Desk(folder, tell=lambda epoch, _, seed=seed: tell(seed, epoch))  # type: ignore[misc]
        asked.append(Asked(replace(SPEC, seed=seed), DATA, BACKBONES, desk))
    train_runs(asked, lambda *_: None)
    assert saved == {seed: [1, 5] for seed in range(3)}


def test_a_damaged_state_starts_the_run_again(tmp_path: Path) -> None:
    """It is told; what the lost run left is removed, half-written files too, and the caller's files stay."""
    stopped_after(tmp_path, 3)
    (tmp_path / "state.safetensors").write_bytes(b"x" * 99)
    (tmp_path / "epoch_099.safetensors").write_bytes(b"")
    (tmp_path / ".state.safetensors.1-ab.partial").write_bytes(b"")
    (tmp_path / "identity.json").write_text("{}")
    notes: list[str] = []
    result = train_run(SPEC, DATA, BACKBONES, tmp_path, note=notes.append)
    assert len(notes) == 1
    assert re.match("starts again: .* is damaged", notes[0])
    assert result["resumed"] == []
    kept = {f"epoch_{epoch:03d}.safetensors" for epoch in SPEC.kept_epochs}
    assert {path.name for path in tmp_path.iterdir()} == {*kept, "identity.json", "state.safetensors"}


def test_a_precision_that_is_not_offered_is_one_error(tmp_path: Path) -> None:
    """Nothing is written."""
    with pytest.raises(UsageError, match="float32 on a CPU"):
        train_run(SPEC, DATA, BACKBONES, tmp_path, precision="tf32")
    assert list(tmp_path.iterdir()) == []
