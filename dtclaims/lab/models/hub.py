"""Checkpoints by their name on Hugging Face's hub, without importing torch.

The cache is the standard one: HF_HOME, HF_HUB_CACHE and HF_HUB_OFFLINE mean what they mean to every tool of the hub.
"""

import os
import ssl
import urllib.error
import urllib.request
from pathlib import Path

from dtclaims.errors import BackboneError
from dtclaims.lab.models.descriptions import CONFIG
from dtclaims.lab.models.layouts import INDEX, WEIGHTS, few, find_weights, shards_in

ALIASES = {
    "gpt2": "openai-community/gpt2",
    "gpt2-medium": "openai-community/gpt2-medium",
    "gpt2-large": "openai-community/gpt2-large",
    "gpt2-xl": "openai-community/gpt2-xl",
    "distilgpt2": "distilbert/distilgpt2",
}
"""Names under which the hub has one repository since its first ones moved to organisations: old → new. A cache has it
under the one that was asked for."""

SECONDS = 5
"""How long the hub may take to answer."""


def find_folder(given: str, *, download: bool = False) -> Path:
    """The folder of a backbone given as a path or, where there is no such folder, by its name on the hub.

    Raises:
        BackboneError: neither a folder nor a checkpoint that `hub_folder` finds.
    """
    try:
        folder = Path(given).expanduser()
        is_folder = bool(given) and folder.is_dir()
    except (OSError, ValueError, RuntimeError):
        # `~` of nobody, or a name that no folder can have.
        raise _no_folder(given) from None
    if is_folder:
        # The hub's own folder of a repository, whose snapshots are meant.
        return (_snapshot(folder) or folder) if (folder / "snapshots").is_dir() else folder
    if given.startswith(("~", os.sep)) or folder.is_file():
        raise _no_folder(given)
    return hub_folder(given, download=download)


def hub_folder(name: str, *, download: bool = False) -> Path:
    """The folder of a hub checkpoint in the local cache.

    Args:
        name: such as gpt2 or openai/imagegpt-small; where a repository has two names, either finds it under both.
        download: fetch what is not in the cache. A hub that cannot be reached costs seconds.

    Raises:
        BackboneError: no possible name, several snapshots of which none is the main one, or not in the cache and it may
            not or cannot be downloaded; then the message has the command that fetches it.
    """
    # Takes a third of a second, and most runs need no hub.
    from huggingface_hub import constants, try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    try:
        # Asked for its judgement of the name; it looks at the main snapshot of one name alone.
        try_to_load_from_cache(name, CONFIG)
    except HFValidationError:
        raise _no_folder(name) from None
    for one in _names(name):
        folder = _snapshot(Path(constants.HF_HUB_CACHE) / f"models--{one.replace('/', '--')}")
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
    """The hub's name of a checkpoint in the cache, from its folder there; None for any other folder.

    A repository with two names is called by the older, under either of them.
    """
    repository = folder.parent.parent.name
    if folder.parent.name != "snapshots" or not repository.startswith("models--"):
        return None
    name = repository.removeprefix("models--").replace("--", "/")
    return next((old for old, new in ALIASES.items() if new == name), name)


def _names(name: str) -> list[str]:
    """A repository's names: the given one first, then the other if it has two."""
    return [name, *(new if name == old else old for old, new in ALIASES.items() if name in (old, new))]


def _snapshot(repository: Path) -> Path | None:
    """The snapshot of a repository in the cache that holds a whole checkpoint: that of `refs/main`, else the only one.

    A cache that was copied, or made by other tools, may lack `refs/main`; and asking for the configuration alone moves
    it on to a snapshot without weights.

    Raises:
        BackboneError: several, none of them main.
    """
    try:
        main = (repository / "refs" / "main").read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        main = ""
    try:
        whole = sorted(folder for folder in (repository / "snapshots").iterdir() if _is_whole(folder))
    except OSError:
        return None
    chosen = [folder for folder in whole if folder.name == main] or whole
    if len(chosen) > 1:
        raise BackboneError(
            "the hub's cache has several snapshots of the checkpoint, and none is the main one",
            given=f"{repository} with {few([folder.name for folder in chosen])}",
            expected="one, or refs/main with the name of one",
            remedy="Name the folder of one snapshot with --language-model PATH or --image-model PATH.",
        )
    return chosen[0] if chosen else None


def _is_whole(folder: Path) -> bool:
    """Whether a snapshot has its configuration and all files of its weights."""
    try:
        return (folder / CONFIG).is_file() and find_weights(folder) is not None
    except BackboneError:
        return False


def _download(name: str) -> Path:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    try:
        folder = Path(hf_hub_download(name, CONFIG, etag_timeout=SECONDS)).parent
        for weights in WEIGHTS:
            try:
                path = Path(hf_hub_download(name, weights, etag_timeout=SECONDS))
                for shard in shards_in(path) if weights.endswith(INDEX) else ():
                    hf_hub_download(name, shard, etag_timeout=SECONDS)
            except LocalEntryNotFoundError:
                # The connection failed, which says nothing about the file.
                raise
            except EntryNotFoundError:
                continue
            return folder
    except BackboneError:
        raise
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
        given=repr(given[:200]),
        expected=f"a folder with {WEIGHTS[0]} and card.json or {CONFIG}, or a name on Hugging Face's hub",
    )


def _not_at_hand(name: str, reason: str) -> BackboneError:
    # ImageGPT's checkpoints are on the hub as pickles only.
    weights = WEIGHTS[2] if name.startswith("openai/imagegpt") else WEIGHTS[0]
    return BackboneError(
        "the hub checkpoint is not at hand",
        given=f"{name}: {reason}",
        remedy=f"Where there is a network: `hf download {name} {CONFIG} {weights}`, and set HF_HOME where its cache is "
        "copied to; or give a folder with --language-model PATH or --image-model PATH.",
    )
