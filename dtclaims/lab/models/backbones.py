"""Pre-trained stacks read from a folder, with proof of what they are."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from dtclaims.errors import BackboneError
from dtclaims.lab.models.checkpoints import read_tensors, stack_config_of
from dtclaims.lab.models.descriptions import CONFIG, hub_config
from dtclaims.lab.models.hub import hub_name
from dtclaims.lab.models.layouts import CARD, WEIGHTS, Weights, find_weights, no_checkpoint
from dtclaims.lab.models.transformer import StackConfig
from dtclaims.places import read_card


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

    The former has `model.safetensors` and `card.json`, the latter `config.json` and its weights as `layouts` says:
    safetensors, or where there are only those, pickles, from which tensors are read and nothing is run.

    Raises:
        BackboneError: no such folder, no checkpoint in it, a pickle of other things than tensors, a card or
            configuration without the network's shape, or tensors that are missing, unexpected, of another size
            or not finite.
        FixtureError: weights that are not the ones the card records.
    """
    folder = Path(folder)
    from_hub = (folder / CONFIG).is_file() and not (folder / CARD).is_file()
    weights = find_weights(folder, WEIGHTS if from_hub else WEIGHTS[:1])
    if weights is None or not (from_hub or (folder / CARD).is_file()):
        raise no_checkpoint(folder)
    config, provenance = _read_hub(folder, weights) if from_hub else _read_own(folder, weights.files[0])
    return Backbone(config, read_tensors(weights, config), provenance)


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


def _read_hub(folder: Path, weights: Weights) -> tuple[StackConfig, dict[str, Any]]:
    return stack_config_of(hub_config(folder), folder / CONFIG), {
        "label": "hub",
        "name": hub_name(folder) or folder.name,
        "sha256": weights.sha256,
        "licence": "not stated: see the checkpoint's own card",
        "origin": {"folder": str(folder)},
        "made_with": "not stated",
    }
