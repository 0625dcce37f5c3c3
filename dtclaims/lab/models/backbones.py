"""Pre-trained stacks read from a folder, with proof of what they are."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from dtclaims.errors import BackboneError
from dtclaims.lab.models.checkpoints import read_hub_config, read_tensors, stack_config_of
from dtclaims.lab.models.hub import CONFIG, WEIGHTS, hub_name
from dtclaims.lab.models.transformer import Stack, StackConfig
from dtclaims.places import read_card, sha256_file

CARD = "card.json"


@dataclass(frozen=True)
class Backbone:
    """A pre-trained stack."""

    config: StackConfig
    tensors: Mapping[str, Tensor] = field(repr=False)
    """Float32 parameters named as `Stack.state_dict()` names them."""
    provenance: Mapping[str, Any]
    """`label` ("self-pre-trained" or "hub"), `name`, `sha256` of the weights, `licence`, `origin`, `made_with`."""


def load_backbone(folder: Path | str) -> Backbone:
    """Read a folder that `dtclaims pretrain` wrote, or a GPT-2 or ImageGPT checkpoint as Hugging Face's hub has it.

    The former has `model.safetensors` and `card.json`, the latter `config.json` and `model.safetensors` or, where there
    is only that, `pytorch_model.bin`, from which tensors are read and nothing is run.

    Raises:
        BackboneError: no such folder, no checkpoint in it, a pickle of other things than tensors, a card or
            configuration without the network's shape, or tensors that are missing, unexpected, of another size
            or not finite.
        FixtureError: weights that are not the ones the card records.
    """
    folder = Path(folder)
    from_hub = (folder / CONFIG).is_file() and not (folder / CARD).is_file()
    weights = next((folder / name for name in WEIGHTS[: 2 if from_hub else 1] if (folder / name).is_file()), None)
    if weights is None or not (from_hub or (folder / CARD).is_file()):
        raise _no_checkpoint(folder)
    config, provenance = _read_hub(folder, weights) if from_hub else _read_own(folder, weights)
    tensors = read_tensors(weights)
    check_tensors(tensors, config, str(weights))
    return Backbone(config, tensors, provenance)


def _read_own(folder: Path, weights: Path) -> tuple[StackConfig, dict[str, Any]]:
    card = read_card(folder)
    if weights.name not in card["files"]:
        raise BackboneError(
            "the card does not vouch for the weights",
            given=f"files {sorted(card['files'])}",
            expected=f"{weights.name} with its sha256",
        )
    return stack_config_of(card.get("config"), folder / CARD), {
        "label": "self-pre-trained",
        "name": card.get("name", folder.name),
        "sha256": card["files"][weights.name]["sha256"],
        "licence": card.get("licence", "not stated"),
        "origin": card.get("origin", {}),
        "made_with": card.get("made_with", "not stated"),
    }


def _read_hub(folder: Path, weights: Path) -> tuple[StackConfig, dict[str, Any]]:
    return read_hub_config(folder), {
        "label": "hub",
        "name": hub_name(folder) or folder.name,
        "sha256": sha256_file(weights),
        "licence": "not stated: see the checkpoint's own card",
        "origin": {"folder": str(folder)},
        "made_with": "not stated",
    }


def check_tensors(tensors: Mapping[str, Tensor], config: StackConfig, source: str) -> None:
    """Make sure that `tensors` are exactly the finite parameters of a stack of `config`.

    Raises:
        BackboneError: they are not; the message names the first few that are wrong and counts the rest.
    """
    with torch.device("meta"):
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
            remedy=f"Check the network's shape in {CARD} or {CONFIG}, or make or fetch the checkpoint again.",
        )


def _no_checkpoint(folder: Path) -> BackboneError:
    if not folder.is_dir():
        return BackboneError(
            "no such backbone folder",
            given=str(folder),
            remedy=f"Give a folder with {WEIGHTS[0]} and {CARD}, as `dtclaims pretrain` writes it.",
        )
    return BackboneError(
        "the folder is no checkpoint",
        given=f"{folder} with {_few(sorted(file.name for file in folder.iterdir())) or 'no files'}",
        expected=f"{WEIGHTS[0]} and {CARD}, or {CONFIG} and {' or '.join(WEIGHTS)}",
        remedy="Give a folder that `dtclaims pretrain` wrote, or a GPT-2 or ImageGPT checkpoint from the hub.",
    )


def _few(names: list[str], shown: int = 3) -> str:
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + more
