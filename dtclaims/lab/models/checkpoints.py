"""The files of a checkpoint: weights in safetensors or a pickle, and the hub's description of a network."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from dtclaims.errors import BackboneError, UsageError
from dtclaims.lab.models.hub import ARCHITECTURE_FIELDS, CONFIG, HUB_FIELDS, HUB_NORMS, HUB_VARIANTS
from dtclaims.lab.models.transformer import StackConfig

UNUSED = ("wte.weight", "wpe.weight", "lm_head.weight", ".attn.bias", ".attn.masked_bias")
"""Ends of names that are left out: token and position embeddings and the language head, because the Decision
Transformer embeds and predicts for itself (protocol §3.1; DEV-28), and the hub's stored causal masks."""


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The stack's tensors in a weights file, in float32, named as `Stack.state_dict()` names them.

    Raises:
        BackboneError: not a weights file, or a pickle of other things than tensors.
    """
    stored = _read_pickle(path) if path.suffix == ".bin" else _read_safetensors(path)
    named = {name.removeprefix("transformer."): tensor for name, tensor in stored.items()}
    return {name: tensor.float() for name, tensor in named.items() if not name.endswith(UNUSED)}


def read_hub_config(folder: Path) -> StackConfig:
    """The stack that a hub checkpoint's config.json describes.

    Raises:
        BackboneError: unreadable, not GPT-2's or ImageGPT's, or without the network's shape.
    """
    path = folder / CONFIG
    try:
        stated = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise BackboneError("the configuration cannot be read", given=f"{path}: {error}") from None
    kind = stated.get("model_type") if isinstance(stated, Mapping) else stated
    if not isinstance(kind, str) or kind not in HUB_NORMS:
        raise BackboneError(
            "only GPT-2 and ImageGPT checkpoints are read from the hub",
            given=f"{path}: {kind}",
            expected=" or ".join(HUB_NORMS),
        )
    for option, ours in HUB_VARIANTS.items():
        if stated.get(option, ours) != ours:
            raise BackboneError(
                "the checkpoint is of another variant of its network",
                given=f"{path}: {option} {stated[option]}",
                expected=ours,
            )
    shape = {ours: stated[theirs] for theirs, ours in HUB_FIELDS.items() if theirs in stated}
    return stack_config_of(shape | {"norm": HUB_NORMS[kind]}, path)


def stack_config_of(stated: object, source: Path) -> StackConfig:
    """The stack that a card's `config`, or what was made of a hub's, describes; other entries are ignored.

    Raises:
        BackboneError: it describes none.
    """
    if not isinstance(stated, Mapping):
        raise BackboneError("the card does not state the network's shape", given=source, expected="a `config` object")
    try:
        return StackConfig(**{name: stated[name] for name in ARCHITECTURE_FIELDS if name in stated})
    except (TypeError, UsageError) as error:
        raise BackboneError(f"{source.name} describes no network ({error})", given=dict(stated)) from None


def _read_safetensors(path: Path) -> Mapping[str, Tensor]:
    try:
        loaded: dict[str, Tensor] = load_file(path)
    except (SafetensorError, OSError) as error:
        raise BackboneError("the checkpoint cannot be read", given=f"{path}: {error}") from None
    return loaded


def _read_pickle(path: Path) -> Mapping[str, Tensor]:
    try:
        loaded: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        # A broken or hostile pickle can fail anywhere in the unpickler, with any type of error.
        reason = (str(error).strip() or repr(error)).splitlines()[0]
        raise BackboneError(
            "the pickled checkpoint cannot be read as tensors only",
            given=f"{path}: {reason}",
            remedy="Nothing in it was run. Use a checkpoint in safetensors, or convert this one where you trust it.",
        ) from None
    if not isinstance(loaded, Mapping) or not all(isinstance(value, Tensor) for value in loaded.values()):
        raise BackboneError("the pickled checkpoint holds other things than named tensors", given=str(path))
    return loaded
