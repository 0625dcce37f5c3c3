"""Small inputs that several tests share: made-up trajectories, a tiny scale, a store filled without training."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st
from safetensors.torch import save_file

from dtclaims.addresses import key_of
from dtclaims.harness.plan.plan import Plan
from dtclaims.harness.store.store import NAME, Store, write_json
from dtclaims.lab.data.trajectories import Trajectories
from dtclaims.lab.design.spec import Budget, RunSpec
from dtclaims.lab.design.tasks import Task, get_task
from dtclaims.lab.models import Backbone, Stack, StackConfig

SAMPLE_CLAIMS = Path(__file__).parent / "sample_claims"

TINY_BUDGET = Budget(
    epochs=4,
    steps_per_epoch=3,
    batch_size=4,
    learning_rate=1e-3,
    warmup_steps=2,
    evaluation_episodes=2,
    held_out_steps=10,
)


def made_up(lengths: list[int], task: Task | None = None, seed: int = 0) -> Trajectories:
    """Trajectories of random numbers with the given lengths; every second one ends at a time-out."""
    task = task or get_task("hopper")
    random = np.random.default_rng(seed)
    steps = sum(lengths)
    return Trajectories(
        task,
        random.normal(size=(steps, task.state_dim)).astype(np.float32),
        random.uniform(-1, 1, size=(steps, task.action_dim)).astype(np.float32),
        random.normal(size=steps).astype(np.float32),
        np.array(lengths, dtype=np.int64),
        np.arange(len(lengths)) % 2 == 0,
    )


def tiny_backbone(seed: int = 0) -> Backbone:
    """Two random blocks that stand in for a language model."""
    config = StackConfig(blocks=2, width=8, heads=2, activation="gelu_new")
    stack = Stack(config, torch.Generator().manual_seed(seed))
    return Backbone(config, stack.state_dict(), {"label": "test"})


def tiny_spec(arm: str = "random_init", context: int = 3, seed: int = 0, **changes: Any) -> RunSpec:
    """A run of seconds."""
    values: dict[str, Any] = {
        "task": "hopper",
        "arm": arm,
        "context": context,
        "seed": seed,
        "scale": "mini",
        "architecture": "matched",
        "head": "untied",
        "adam_eps": 1e-8,
        "budget": TINY_BUDGET,
        "epochs": changes.get("budget", TINY_BUDGET).epochs,
    }
    return RunSpec(**{**values, **changes})


def write_card(folder: Path, **extra: Any) -> None:
    """A card that vouches for the weights in a folder."""
    content = (folder / "model.safetensors").read_bytes()
    files = {"model.safetensors": {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}}
    (folder / "card.json").write_text(json.dumps({"schema": 1, "files": files, **extra}))


def store_run(store: Store, identity: Mapping[str, Any], result: Mapping[str, Any], name: str = "a run") -> None:
    """Put a run in the store, as if a worker had made it."""
    folder = store.workspace(key_of(identity))
    save_file({"weight": torch.zeros(1)}, folder / "epoch_001.safetensors")
    write_json(folder / NAME, {"name": name})
    write_json(folder / "result.json", result)
    store.complete(folder, identity)
    store.publish(folder)


def fill_store(plan: Plan, store: Store, returns: Mapping[str, float], value: Any = 1.0) -> None:
    """Put a result in place of every planned run and measurement, as if it had been trained.

    Args:
        plan: what is needed.
        store: where it goes.
        returns: arm → return of every epoch, to which the seed is added.
        value: of every measurement of networks; a callable gets the planned job.
    """
    for run in plan.runs.values():
        if store.find(run.key) is not None:
            continue
        spec = run.job.order.spec
        curve = [returns[spec.arm] + spec.seed] * spec.epochs
        errors = {name: [0.5] * len(curve) for name in ("action_error", "held_out_error")}
        result = {
            "curves": {"return_mean": curve, **errors},
            "diagnostics": dict.fromkeys(("fresh_return", "fresh_return_last"), curve[-1])
            if spec.fresh_episodes
            else {},
            "seconds": 1.0,
            "provenance": {"shared": {"device": "cpu"}, "of": {"data": {spec.task: {"sha256": "made up"}}}},
        }
        store_run(store, run.identity, result, run.job.name)
    for planned in plan.values.values():
        store.put_measurement(planned.identity, value(planned) if callable(value) else value, planned.job.name)


def paths(data: Trajectories) -> list[dict[str, Any]]:
    """A set as the Decision Transformer's download script leaves it."""
    found = []
    for one, terminated in zip(data.slices(), data.terminated, strict=True):
        terminals = np.zeros(one.stop - one.start, dtype=bool)
        terminals[-1] = terminated
        found.append(
            {
                "observations": data.observations[one],
                "next_observations": data.observations[one],
                "actions": data.actions[one],
                "rewards": data.rewards[one],
                "terminals": terminals,
            }
        )
    return found


def damaged(data: st.DataObject, sound: bytes, first: int = 0) -> bytes:
    """Content cut at a place that hypothesis chooses, from `first` on, or with the byte there altered."""
    place = data.draw(st.integers(first, len(sound) - 1))
    if data.draw(st.booleans()):
        return sound[:place]
    return sound[:place] + bytes([sound[place] ^ data.draw(st.integers(1, 255))]) + sound[place + 1 :]
