"""Pre-trained stacks read from a folder, with proof of what they are."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from dtclaims.errors import BackboneError, UsageError
from dtclaims.fixtures import read_card, sha256_file
from dtclaims.models.transformer import Stack, StackConfig

WEIGHTS = "model.safetensors"

UNUSED = ("wte.weight", "wpe.weight", "lm_head.weight", ".attn.bias", ".attn.masked_bias")
"""Ends of names that are left out: token and position embeddings and the language head, because the Decision
Transformer embeds and predicts for itself (protocol §3.1; DEV-28), and the hub's stored causal masks."""

HUB_FIELDS = {
    "n_layer": "blocks",
    "n_embd": "width",
    "n_head": "heads",
    "activation_function": "activation",
    "n_inner": "mlp_width",
    "layer_norm_epsilon": "eps",
}
"""Hugging Face's names for what a stack needs to know."""

ARCHITECTURE_FIELDS = ("blocks", "width", "heads", "activation", "mlp_width", "eps", "norm")
"""What a backbone says of its shape. Its dropouts are not taken over: fine-tuning uses the reference's
for every arm (protocol §3.2)."""


@dataclass(frozen=True)
class Backbone:
    """A pre-trained stack."""

    config: StackConfig
    tensors: Mapping[str, Tensor] = field(repr=False)
    """Float32 parameters named as `Stack.state_dict()` names them."""
    provenance: Mapping[str, Any]
    """`label` ("self-pre-trained" or "hub"), `name`, `sha256` of the weights, `licence`, `origin`, `made_with`."""


def load_backbone(folder: Path | str) -> Backbone:
    """Read a folder that `dtclaims pretrain` wrote, or a GPT-2 checkpoint as Hugging Face's hub has it.

    The former has `model.safetensors` and `card.json`, the latter `model.safetensors` and `config.json`.

    Raises:
        BackboneError: no such folder, no checkpoint in it, a pickled one only, a card or configuration without
            the network's shape, or tensors that are missing, unexpected, of another size or not finite.
        FixtureError: no readable card, or weights that are not the ones the card records.
    """
    folder = Path(folder)
    path = folder / WEIGHTS
    if not path.is_file():
        raise _no_checkpoint(folder)
    if (folder / "config.json").is_file() and not (folder / "card.json").is_file():
        config, provenance = _read_hub(folder)
    else:
        config, provenance = _read_own(folder)
    try:
        stored = load_file(path)
    except (SafetensorError, OSError) as error:
        raise BackboneError("the checkpoint cannot be read", given=f"{path}: {error}") from None
    named = {name.removeprefix("transformer."): tensor for name, tensor in stored.items()}
    tensors = {name: tensor.float() for name, tensor in named.items() if not name.endswith(UNUSED)}
    check_tensors(tensors, config, str(path))
    return Backbone(config, tensors, provenance)


def _read_own(folder: Path) -> tuple[StackConfig, dict[str, Any]]:
    card = read_card(folder)
    if WEIGHTS not in card["files"]:
        raise BackboneError(
            "the card does not vouch for the weights",
            given=f"files {sorted(card['files'])}",
            expected=f"{WEIGHTS} with its sha256",
        )
    return _config_of(card.get("config"), folder / "card.json"), {
        "label": "self-pre-trained",
        "name": card.get("name", folder.name),
        "sha256": card["files"][WEIGHTS]["sha256"],
        "licence": card.get("licence", "not stated"),
        "origin": card.get("origin", {}),
        "made_with": card.get("made_with", "not stated"),
    }


def _read_hub(folder: Path) -> tuple[StackConfig, dict[str, Any]]:
    path = folder / "config.json"
    try:
        stated = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise BackboneError("the configuration cannot be read", given=f"{path}: {error}") from None
    if not isinstance(stated, Mapping) or stated.get("model_type") != "gpt2":
        kind = stated.get("model_type") if isinstance(stated, Mapping) else stated
        raise BackboneError("only GPT-2 checkpoints are read from the hub", given=f"{path}: {kind}", expected="gpt2")
    config = _config_of({ours: stated[theirs] for theirs, ours in HUB_FIELDS.items() if theirs in stated}, path)
    return config, {
        "label": "hub",
        "name": stated.get("_name_or_path") or folder.name,
        "sha256": sha256_file(folder / WEIGHTS),
        "licence": "not stated: see the checkpoint's own card",
        "origin": {"folder": str(folder)},
        "made_with": "not stated",
    }


def check_tensors(tensors: Mapping[str, Tensor], config: StackConfig, source: str) -> None:
    """Make sure that `tensors` are exactly the finite parameters of a stack of `config`.

    Raises:
        BackboneError: they are not; the message names the first few that are wrong and counts the rest.
    """
    expected = {name: tuple(tensor.shape) for name, tensor in Stack(config).state_dict().items()}
    found = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    wrong = {
        "missing": sorted(expected.keys() - found.keys()),
        "unexpected": sorted(found.keys() - expected.keys()),
        "of another size": [
            f"{name} {found[name]} instead of {expected[name]}"
            for name in expected
            if name in found and found[name] != expected[name]
        ],
        "not finite": [name for name, tensor in tensors.items() if not bool(torch.isfinite(tensor).all())],
    }
    complaints = [f"{len(names)} {kind} ({_few(names)})" for kind, names in wrong.items() if names]
    if complaints:
        raise BackboneError(
            "the checkpoint does not fit the network of its card",
            given=f"{source}: {'; '.join(complaints)}",
            expected=f"the {len(expected)} tensors of {config.blocks} blocks of width {config.width}",
            remedy="Check `config` in card.json, or make the backbone again.",
        )


def _config_of(stated: object, source: Path) -> StackConfig:
    if not isinstance(stated, Mapping):
        raise BackboneError("the card does not state the network's shape", given=source, expected="a `config` object")
    try:
        return StackConfig(**{name: stated[name] for name in ARCHITECTURE_FIELDS if name in stated})
    except (TypeError, UsageError) as error:
        raise BackboneError(f"{source.name} describes no network ({error})", given=dict(stated)) from None


def _no_checkpoint(folder: Path) -> BackboneError:
    if not folder.is_dir():
        return BackboneError(
            "no such backbone folder",
            given=str(folder),
            remedy="Give a folder with model.safetensors and card.json, as `dtclaims pretrain` writes it.",
        )
    pickled = sorted(file.name for ending in ("bin", "pt", "pth", "ckpt") for file in folder.glob(f"*.{ending}"))
    if pickled:
        return BackboneError(
            "pickled checkpoints are not read, because unpickling can run any code",
            given=f"{folder / pickled[0]}",
            expected=WEIGHTS,
            remedy="Convert it where you trust it: safetensors.torch.save_file(torch.load(FILE, weights_only=True), "
            "'model.safetensors').",
        )
    return BackboneError(
        "the folder is no checkpoint",
        given=f"{folder} with {_few(sorted(file.name for file in folder.iterdir())) or 'no files'}",
        expected="model.safetensors and card.json",
        remedy="Give a folder that `dtclaims pretrain` wrote, or a GPT-2 checkpoint from Hugging Face's hub.",
    )


def _few(names: list[str], shown: int = 3) -> str:
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + more
