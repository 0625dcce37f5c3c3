"""Train policies, keep snapshots on the way, and write the chosen one with its card."""

import hashlib
import math
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import torch

from dtclaims import __version__
from dtclaims.errors import UsageError
from dtclaims.lab.cards import WEIGHTS_FILE, write_card
from dtclaims.lab.data.policy import Policy
from dtclaims.lab.data.policy_selection import (
    Level,
    Measured,
    Snapshot,
    check_level,
    measure_afresh,
    measure_policy,
    rounded,
    select,
)
from dtclaims.lab.data.sac import SacConfig
from dtclaims.lab.data.sac_trainer import Episode, SacTrainer
from dtclaims.lab.data.simulators import V4, world
from dtclaims.lab.design.tasks import Task
from dtclaims.seeding import derive

Progress = Callable[[str], None]

CHECKPOINT_FILE = "training.pt"

SNAPSHOT_EVERY = 5000

REPORT_EVERY = 10.0
"""Seconds between two lines of progress."""


def collect_snapshots(
    trainer: SacTrainer,
    steps: int,
    *,
    every: int,
    progress: Progress | None = None,
    checkpoint: Path | None = None,
    checkpoint_every: int = 50_000,
    stop: Callable[[], bool] = lambda: False,
) -> list[Snapshot]:
    """Train to `steps` environment steps for each seed, keeping each seed's actor every `every` steps.

    With `checkpoint`, the whole run is written there at intervals, and continued from there if the
    file exists. `stop` is asked after every snapshot, `progress` told every `REPORT_EVERY` seconds.
    """
    recent: list[list[Episode]] = [[] for _ in trainer.seeds]
    snapshots: list[Snapshot] = []
    if checkpoint is not None and checkpoint.exists():
        saved = torch.load(checkpoint, map_location="cpu", weights_only=True)
        trainer.load_state(saved["trainer"])
        recent = [[Episode(**episode) for episode in episodes] for episodes in saved["recent"]]
        snapshots = [_unpack(trainer.task, values) for values in saved["snapshots"]]
    started, first_step = time.monotonic(), trainer.step_count
    reported = started
    while trainer.step_count < steps:
        before = trainer.step_count
        for episode in trainer.advance():
            recent[episode.seed_index].append(episode)
        step = trainer.step_count
        if progress is not None and time.monotonic() - reported >= REPORT_EVERY:
            reported = time.monotonic()
            progress(_standing(trainer, recent, steps, (step - first_step) / (reported - started)))
        if step > trainer.config.warmup and step // every > before // every:
            recent = [episodes[-trainer.config.envs :] for episodes in recent]
            snapshots += _snap(trainer, recent)
            if stop():
                break
        if checkpoint is not None and step // checkpoint_every > before // checkpoint_every:
            _write_checkpoint(checkpoint, trainer, recent, snapshots)
    if checkpoint is not None and trainer.step_count > first_step:
        _write_checkpoint(checkpoint, trainer, recent, snapshots)
    return snapshots


def train_policy(
    task: Task,
    *,
    seed: int,
    out: Path,
    level: Level = "medium",
    target_return: float | None = None,
    steps: int = 1_000_000,
    device: str = "auto",
    parallel_seeds: int = 1,
    workers: int = 1,
    config: SacConfig | None = None,
    simulator: str = V4,
    resume: bool = False,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Train, select and write `out`/model.safetensors and `out`/card.json; the card.

    Seeds `seed` … `seed + parallel_seeds − 1` are trained side by side, and the snapshot is chosen among
    all of them, then measured on fresh episodes. `out`/training.pt is the running checkpoint, which
    `resume` continues from; it stays.

    Args:
        target_return: mean return wanted of `medium`; None is the task's `medium_return`.
        steps: environment steps for each seed.
        device: "auto", "cpu" or "cuda[:n]".
        simulator: that it is trained, chosen and measured in.

    Raises:
        SimulatorError: the simulator is not here.
        UsageError: unknown level or simulator, too few steps for a snapshot, or `resume` on another run's checkpoint.
    """
    check_level(level)
    on = torch.device(("cuda" if torch.cuda.is_available() else "cpu") if device == "auto" else device)
    if config is None:
        # Few environments on a CPU: the update costs far more than the physics there.
        config = SacConfig() if on.type == "cuda" else replace(SacConfig(), envs=8)
    least = (config.warmup // SNAPSHOT_EVERY + 1) * SNAPSHOT_EVERY
    if steps < least:
        raise UsageError("too few steps to learn anything", given=steps, expected=f"at least {least}")
    out.mkdir(parents=True, exist_ok=True)
    checkpoint = out / CHECKPOINT_FILE
    if not resume:
        checkpoint.unlink(missing_ok=True)
    seeds = list(range(seed, seed + parallel_seeds))
    trainer = SacTrainer(task, seeds, config, on, workers, simulator=simulator)
    snapshots = collect_snapshots(trainer, steps, every=SNAPSHOT_EVERY, progress=progress, checkpoint=checkpoint)

    def measure(chosen: Sequence[Snapshot], episodes: int) -> list[Measured]:
        found = []
        for one in chosen:
            own = derive(one.seed, str(one.step))
            found.append(measure_policy(one.policy, episodes, seed=own, workers=workers, simulator=simulator))
        return found

    snapshot, result = select(task, snapshots, level, measure, target_return=target_return)
    command = f"dtclaims data train-policy {task.name} --seed {seed} --level {level} --steps {steps} --device {on.type}"
    if parallel_seeds > 1:
        command += f" --parallel-seeds {parallel_seeds}"
    if simulator != V4:
        command += f" --simulator {simulator}"
    return write_policy(
        out,
        level,
        snapshot,
        result,
        snapshots,
        fresh=measure_afresh(snapshot.policy, level, snapshot.seed, workers=workers, simulator=simulator),
        command=command,
        config=config,
        device=on,
        simulator=simulator,
        target_return=target_return,
    )


def _standing(trainer: SacTrainer, recent: Sequence[Sequence[Episode]], steps: int, rate: float) -> str:
    """One line: steps, mean return of each seed's latest episodes, pace and what is left."""
    latest = [episodes[-trainer.config.envs :] for episodes in recent]
    means = " ".join(f"{fmean(one.total_reward for one in episodes):.0f}" if episodes else "-" for episodes in latest)
    left = (steps - trainer.step_count) / rate / 60
    return (
        f"{trainer.task.name}: step {trainer.step_count}/{steps}, return {means}, "
        f"{rate:.0f} steps/s for each seed, about {left:.0f} min left"
    )


def write_policy(
    out: Path,
    level: Level,
    snapshot: Snapshot,
    result: Measured,
    snapshots: Sequence[Snapshot],
    *,
    fresh: Mapping[str, Any],
    command: str,
    config: SacConfig,
    device: torch.device,
    simulator: str = V4,
    target_return: float | None = None,
) -> dict[str, Any]:
    """Write the chosen snapshot's weights and card into the folder `out`; the card.

    `result` is what the snapshot was chosen on, `fresh` its `measure_afresh`.
    """
    task = snapshot.policy.task
    weights = out / WEIGHTS_FILE
    out.mkdir(parents=True, exist_ok=True)
    snapshot.policy.save(weights)
    content = weights.read_bytes()
    own = [s for s in snapshots if s.seed == snapshot.seed and not math.isnan(s.recent_mean)]
    target = task.medium_return if target_return is None else target_return
    card = {
        "schema": 1,
        "kind": "policy",
        "name": f"{task.name}-{level}" + ("" if simulator == V4 else f"-{simulator}"),
        "made_with": command,
        "licence": "MIT",
        "origin": {
            "method": "soft actor-critic with automatic temperature (arXiv:1812.05905)",
            "environment": task.gym_id if simulator == V4 else f"{task.name} of {simulator}",
            "level": level,
            "target_return": target if level == "medium" else None,
            "seed": snapshot.seed,
            "seeds": sorted({s.seed for s in snapshots}),
            "step": snapshot.step,
            "config": asdict(config),
            "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        },
        "versions": {"dtclaims": __version__, "torch": torch.__version__, "numpy": np.__version__}
        | world(simulator).version(),
        "results": {
            "stochastic_policy": rounded(result),
            "fresh_episodes": dict(fresh),
            "learning_curve": {
                "columns": ["environment steps", f"mean return of the last {config.envs} training episodes"],
                "rows": [[s.step, round(s.recent_mean, 1)] for s in own],
            },
        },
        "files": {WEIGHTS_FILE: {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}},
    }
    return write_card(out, card)


def _snap(trainer: SacTrainer, recent: Sequence[Sequence[Episode]]) -> list[Snapshot]:
    policies = trainer.learner.policies()
    snapshots = []
    for seed, policy, episodes in zip(trainer.seeds, policies, recent, strict=True):
        returns = np.array([episode.total_reward for episode in episodes] or [math.nan])
        snapshots.append(Snapshot(seed, trainer.step_count, policy, float(returns.mean()), float(returns.std())))
    return snapshots


def _write_checkpoint(
    path: Path, trainer: SacTrainer, recent: Sequence[Sequence[Episode]], snapshots: Sequence[Snapshot]
) -> None:
    partial = path.with_name(path.name + ".partial")
    torch.save(
        {
            "trainer": trainer.state(),
            "recent": [[asdict(episode) for episode in episodes] for episodes in recent],
            "snapshots": [_pack(snapshot) for snapshot in snapshots],
        },
        partial,
    )
    # Renamed when complete: a run killed while writing keeps the previous checkpoint.
    os.replace(partial, path)


def _pack(snapshot: Snapshot) -> dict[str, Any]:
    tensors = {name: torch.from_numpy(value) for name, value in snapshot.policy.tensors.items()}
    return {name: getattr(snapshot, name) for name in ("seed", "step", "recent_mean", "recent_std")} | {
        "tensors": tensors
    }


def _unpack(task: Task, values: dict[str, Any]) -> Snapshot:
    tensors = {name: value.numpy() for name, value in values.pop("tensors").items()}
    return Snapshot(policy=Policy(task, tensors), **values)
