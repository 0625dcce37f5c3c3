"""Tiny checkpoints in the layouts that people have them in."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from dtclaims.lab.models import Stack, StackConfig

GPT2 = StackConfig(blocks=2, width=8, heads=2, activation="gelu_new")
IMAGE = StackConfig(blocks=3, width=8, heads=2, activation="quick_gelu", norm="rms")
STATED: Mapping[str, Mapping[str, Any]] = {
    "layer": {"model_type": "gpt2", "n_layer": 2, "n_embd": 8, "n_head": 2, "activation_function": "gelu_new"},
    "rms": {"model_type": "imagegpt", "n_layer": 3, "n_embd": 8, "n_head": 2, "activation_function": "quick_gelu"},
}
"""config.json of the two, by their norm."""


def stack_tensors(config: StackConfig = GPT2, seed: int = 3) -> dict[str, Tensor]:
    """The parameters of a tiny stack."""
    return dict(Stack(config, torch.Generator().manual_seed(seed)).state_dict())


def write_weights(folder: Path, tensors: Mapping[str, Tensor], *, pickled: bool = False, shards: int = 1) -> Path:
    """Weights as transformers lays them out: one file, or shards with an index; the file that is looked for first."""
    folder.mkdir(parents=True, exist_ok=True)
    stem, suffix = ("pytorch_model", ".bin") if pickled else ("model", ".safetensors")

    def write(path: Path, some: dict[str, Tensor]) -> Path:
        if pickled:
            torch.save(some, path)
        else:
            save_file(some, path)
        return path

    if shards == 1:
        return write(folder / f"{stem}{suffix}", dict(tensors))
    listed = {}
    for number in range(shards):
        name = f"{stem}-{number + 1:05d}-of-{shards:05d}{suffix}"
        some = {one: tensors[one] for one in list(tensors)[number::shards]}
        write(folder / name, some)
        listed |= dict.fromkeys(some, name)
    index = folder / f"{stem}{suffix}.index.json"
    index.write_text(json.dumps({"metadata": {"total_size": 0}, "weight_map": listed}))
    return index


def hub_checkpoint(folder: Path, config: StackConfig = GPT2, **layout: Any) -> Path:
    """A checkpoint in the hub's form, with its config.json."""
    write_weights(folder, stack_tensors(config), **layout)
    (folder / "config.json").write_text(json.dumps(STATED[config.norm]))
    return folder
