"""Checkpoints by their name on Hugging Face's hub, without importing torch.

The cache is the standard one: HF_HOME, HF_HUB_CACHE and HF_HUB_OFFLINE mean what they mean to every tool of the hub.
"""

import json
import os
import ssl
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from dtclaims.errors import BackboneError

CONFIG = "config.json"
WEIGHTS = ("model.safetensors", "pytorch_model.bin")
"""Files the weights can be in; the first that is there is read."""

HUB_NORMS = {"gpt2": "layer", "imagegpt": "rms"}
"""The hub's model types that are read, and the norm each has (DEV-07)."""

HUB_FIELDS = {
    "n_layer": "blocks",
    "n_embd": "width",
    "n_head": "heads",
    "activation_function": "activation",
    "n_inner": "mlp_width",
    "layer_norm_epsilon": "eps",
}
"""Hugging Face's names for what a stack needs to know."""

HUB_VARIANTS = {"scale_attn_weights": True, "scale_attn_by_inverse_layer_idx": False, "add_cross_attention": False}
"""Options of the hub's GPT-2 and ImageGPT that make another network, and their values in the one we have."""

ARCHITECTURE_FIELDS = ("blocks", "width", "heads", "activation", "mlp_width", "eps", "norm")
"""What a checkpoint says of its shape. Its dropouts are not taken over: fine-tuning uses the reference's
for every arm (protocol §3.2)."""

SECONDS = 5
"""How long the hub may take to answer."""


def hub_shape(folder: Path) -> dict[str, Any]:
    """What a hub checkpoint's config.json says of its network: the fields that are read, as they are stated.

    Raises:
        BackboneError: unreadable, or no object.
    """
    path = folder / CONFIG
    if not path.is_file():
        # Whoever reads the checkpoint says so.
        return {}
    try:
        stated = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, OSError) as error:
        raise BackboneError("the configuration cannot be read", given=f"{path}: {error}") from None
    if not isinstance(stated, dict):
        raise BackboneError("the configuration is no object", given=str(path))
    return {name: stated[name] for name in ("model_type", *HUB_FIELDS, *HUB_VARIANTS) if name in stated}


def find_folder(given: str, *, download: bool = False) -> Path:
    """The folder of a backbone given as a path or, where there is no such folder, by its name on the hub.

    Raises:
        BackboneError: neither a folder nor a checkpoint that `hub_folder` finds.
    """
    folder = Path(given).expanduser()
    if given and folder.is_dir():
        return folder
    if given.startswith(("~", os.sep)) or folder.is_file():
        raise _no_folder(given)
    return hub_folder(given, download=download)


def hub_folder(name: str, *, download: bool = False) -> Path:
    """The folder of a hub checkpoint in the local cache.

    Args:
        name: such as gpt2 or openai/imagegpt-small.
        download: fetch what is not in the cache. A hub that cannot be reached costs seconds.

    Raises:
        BackboneError: no possible name, or not in the cache and it may not or cannot be downloaded; then the message
            has the command that fetches it.
    """
    # Takes a third of a second, and most runs need no hub.
    from huggingface_hub import constants
    from huggingface_hub.errors import HFValidationError

    try:
        folder = _cached(name)
    except HFValidationError:
        raise _no_folder(name) from None
    if folder is not None:
        return folder
    if not download:
        raise _not_at_hand(name, f"it is not in the cache {constants.HF_HUB_CACHE}")
    if constants.HF_HUB_OFFLINE:
        raise _not_at_hand(name, f"it is not in the cache {constants.HF_HUB_CACHE}, and HF_HUB_OFFLINE is set")
    if not _answers(constants.ENDPOINT):
        raise _not_at_hand(name, f"{constants.ENDPOINT} does not answer")
    return _download(name)


def hub_name(folder: Path) -> str | None:
    """The hub's name of a checkpoint in the cache, from its folder there; None for any other folder."""
    repository = folder.parent.parent.name
    if folder.parent.name != "snapshots" or not repository.startswith("models--"):
        return None
    return repository.removeprefix("models--").replace("--", "/")


def _cached(name: str) -> Path | None:
    from huggingface_hub import try_to_load_from_cache

    config = try_to_load_from_cache(name, CONFIG)
    if not isinstance(config, str):
        return None
    folder = Path(config).parent
    return folder if any((folder / weights).is_file() for weights in WEIGHTS) else None


def _download(name: str) -> Path:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    try:
        folder = Path(hf_hub_download(name, CONFIG, etag_timeout=SECONDS)).parent
        for weights in WEIGHTS:
            try:
                hf_hub_download(name, weights, etag_timeout=SECONDS)
            except LocalEntryNotFoundError:
                # The connection failed, which says nothing about the file.
                raise
            except EntryNotFoundError:
                continue
            return folder
    except Exception as error:
        # What a failed download raises depends on the hub library's HTTP client, which changed with its versions.
        raise _not_at_hand(name, (str(error).strip() or repr(error)).splitlines()[0]) from None
    raise _not_at_hand(name, f"the hub has neither {' nor '.join(WEIGHTS)} of it")


def _answers(endpoint: str) -> bool:
    """Whether a server is there at all. The hub library asks an absent one six times, over half a minute."""
    try:
        with urllib.request.urlopen(urllib.request.Request(endpoint, method="HEAD"), timeout=SECONDS):
            return True
    except urllib.error.HTTPError:
        return True
    except urllib.error.URLError as error:
        # The hub library may know certificates that urllib does not.
        return isinstance(error.reason, ssl.SSLError)
    except OSError:
        return False


def _no_folder(given: str) -> BackboneError:
    return BackboneError(
        "no such backbone folder",
        given=repr(given),
        expected=f"a folder with {WEIGHTS[0]} and card.json or {CONFIG}, or a name on Hugging Face's hub",
    )


def _not_at_hand(name: str, reason: str) -> BackboneError:
    # ImageGPT's checkpoints are on the hub as pickles only.
    weights = WEIGHTS[1] if name.startswith("openai/imagegpt") else WEIGHTS[0]
    return BackboneError(
        "the hub checkpoint is not at hand",
        given=f"{name}: {reason}",
        remedy=f"Where there is a network: `hf download {name} {CONFIG} {weights}`, and set HF_HOME where its cache is "
        "copied to; or give a folder with --language-model PATH or --image-model PATH.",
    )
