"""Tiny stored runs laid out for measuring, with final parameters that a test chooses."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from dtclaims.addresses import key_of
from dtclaims.harness.store.store import Store, write_json
from dtclaims.lab.design.switches import PROTOCOLS
from dtclaims.lab.measurements import Bench
from dtclaims.lab.models import Backbone, Stack, StackConfig, build_model
from dtclaims.tests.support.examples import made_up, tiny_spec

PUBLISHED, CORRECTED = (PROTOCOLS[name].switches for name in ("published", "corrected"))

Tensors = dict[str, Tensor]
DATA = made_up([30, 25, 40] * 7)


def unchanged(initial: Tensors) -> Tensors:
    """What a run that learns nothing ends with."""
    return dict(initial)


def scaled(factor: float, *prefixes: str) -> Callable[[Tensors], Tensors]:
    """Multiplies the tensors whose names start with one of the prefixes (`transformer.h.0.`)."""
    return lambda initial: {n: t * factor if n.startswith(prefixes) else t for n, t in initial.items()}


def redrawn(*prefixes: str, seed: int = 9) -> Callable[[Tensors], Tensors]:
    """Replaces the tensors whose names start with one of the prefixes by noise."""

    def end(initial: Tensors) -> Tensors:
        stream = torch.Generator().manual_seed(seed)
        return {n: torch.randn(t.shape, generator=stream) if n.startswith(prefixes) else t for n, t in initial.items()}

    return end


def backbones(blocks: int = 2, image_blocks: int = 2) -> dict[str, Backbone]:
    """Random networks of width 8 that stand in for the pre-trained ones."""
    configs = {
        "language": StackConfig(blocks=blocks, width=8, heads=2, activation="gelu_new"),
        "image": StackConfig(blocks=image_blocks, width=8, heads=2, activation="quick_gelu", norm="rms"),
    }
    return {
        source: Backbone(config, Stack(config, torch.Generator().manual_seed(3)).state_dict(), {"label": "test"})
        for source, config in configs.items()
    }


def bench(
    folder: Path,
    arm: str = "random_init",
    end: Callable[[Tensors], Tensors] = unchanged,
    *,
    seed: int = 0,
    sources: dict[str, Backbone] | None = None,
    other: Bench | None = None,
    **spec: Any,
) -> Bench:
    """A stored run of an arm that ends with `end` of its initial parameters.

    Args:
        folder: of the store.
        arm: its name.
        end: from the initial parameters to those at the end.
        seed: of the run.
        sources: backbones; `backbones()` unless given.
        other: the run it is compared with.
        spec: other fields of the specification.
    """
    sources = sources or backbones()
    described = tiny_spec(arm, seed=seed, **{"architecture": "matched" if "random_init" in arm else "own", **spec})
    model = build_model(
        arm,
        task=DATA.task,
        head=described.head,
        architecture=described.architecture,
        backbones=sources,
        seed=seed,
    )
    final = {name: tensor.detach().clone() for name, tensor in end(model.state_dict()).items()}
    store = Store(folder / "store")
    identity = {"schema": 1, "spec": described.to_json(), "n": len(store.run_keys())}
    staging = store.workspace(key_of(identity))
    save_file(final, staging / f"epoch_{described.budget.epochs:03d}.safetensors")
    write_json(staging / "result.json", {})
    store.complete(staging, identity)
    store.publish(staging)
    (run,) = [found for key in store.run_keys() if (found := store.find(key)) and found.identity == identity]
    return Bench(run, DATA, sources, "cpu", seed, other)
