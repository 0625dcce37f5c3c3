"""What a pre-training run leaves behind: an atomically written checkpoint on the way, a card at the end."""

import json
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

import dtclaims
from dtclaims.errors import StoreError, UsageError
from dtclaims.files import replacing, try_writing
from dtclaims.lab.cards import checked_card, with_digest
from dtclaims.places import sha256_file

CHECKPOINT = "checkpoint.pt"


def make_folder(out: Path) -> None:
    """Make the folder that results go to, unless it is there.

    Raises:
        UsageError: it cannot be made or written to.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(f"cannot make folder {out}", given=error.strerror, remedy="Choose another --out.") from None
    try:
        try_writing(out)
    except OSError as error:
        raise UsageError(f"cannot write to {out}", given=error.strerror, remedy="Choose another --out.") from None


def save_checkpoint(folder: Path, settings: Mapping[str, object], state: Mapping[str, object]) -> None:
    """Write the state of a run and the settings it belongs to."""
    with replacing(folder / CHECKPOINT) as partial:
        torch.save({"settings": dict(settings), "state": dict(state)}, partial)


def load_checkpoint(folder: Path, settings: Mapping[str, object]) -> dict[str, Any] | None:
    """The state saved in `folder`; None if there is none.

    Raises:
        StoreError: the file cannot be read.
        UsageError: it belongs to a run with other settings.
    """
    path = folder / CHECKPOINT
    if not path.exists():
        return None
    try:
        saved = torch.load(path, map_location="cpu", weights_only=True)
        found, state = saved["settings"], saved["state"]
    except Exception as error:  # torch.load raises many kinds on a damaged file
        raise StoreError("checkpoint cannot be read", given=f"{path} ({error})", remedy="Delete it.") from error
    require_same_settings(path, found, settings)
    return dict(state)


def require_same_settings(path: Path, found: Mapping[str, object], wanted: Mapping[str, object]) -> None:
    """Refuse to continue a run under other settings.

    Raises:
        UsageError: names the settings that differ.
    """
    differing = [name for name in wanted if found.get(name) != wanted[name]]
    if differing:
        raise UsageError(
            f"{path} belongs to a run with other settings",
            given=", ".join(f"{name}={wanted[name]}" for name in differing),
            expected=", ".join(f"{name}={found.get(name)}" for name in differing),
            remedy="Use another output folder, or the settings of the run to resume.",
        )


def finished_card(folder: Path, settings: Mapping[str, object], *, resume: bool) -> dict[str, Any] | None:
    """The card of a run that already ended in `folder`; None if there is none.

    Raises:
        UsageError: there is one, and `resume` was not asked for or the settings differ.
        FixtureError: the card's files are not the recorded ones.
    """
    path = folder / "card.json"
    if not path.exists():
        return None
    card = checked_card(folder)
    if not resume:
        raise UsageError(
            "output folder already holds a finished run", given=folder, remedy="Use another folder, or delete this one."
        )
    require_same_settings(path, card["settings"], settings)
    return card


def write_card(
    folder: Path, card: Mapping[str, object], files: Sequence[str], packages: Sequence[str]
) -> dict[str, Any]:
    """Complete `card` with the versions of `packages` and the sha256 of `files`, seal it, write it, and return it."""
    complete: dict[str, Any] = {
        "schema": 1,
        **card,
        "versions": {
            "dtclaims": dtclaims.__version__,
            "python": platform.python_version(),
            **{package: version(package) for package in packages},
        },
        "files": {
            name: {"sha256": sha256_file(folder / name), "bytes": (folder / name).stat().st_size} for name in files
        },
    }
    complete = with_digest(complete)
    with replacing(folder / "card.json") as partial:
        partial.write_text(json.dumps(complete, indent=2) + "\n", encoding="utf-8")
    return complete
