"""Cards of checkpoints and policies, with a checksum of what they say.

Apart from `dtclaims.places.read_card`, which checks the files that a card names and lies in the addresses of runs.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dtclaims.errors import FixtureError
from dtclaims.files import checksum
from dtclaims.places import read_card, restoring

WEIGHTS_FILE = "model.safetensors"
"""What every checkpoint and policy has beside its card."""
DIGEST = "digest"
"""The field that holds it: SHA-256 of all others. Cards of before have none."""


def with_digest(card: Mapping[str, Any]) -> dict[str, Any]:
    """A card as it is written."""
    said = {name: value for name, value in card.items() if name != DIGEST}
    return {**said, DIGEST: checksum(said)}


def write_card(folder: Path, card: Mapping[str, Any]) -> dict[str, Any]:
    """Write a policy's card, sealed, beside its weights; what was written."""
    sealed = with_digest(card)
    (folder / "card.json").write_text(json.dumps(sealed, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return sealed


def checked_card(folder: Path) -> dict[str, Any]:
    """The card in a folder, after checking what it says and the files that it names.

    Raises:
        FixtureError: as `read_card`; or the card does not name the weights, holds no objects where there are some, or
            says something else than when it was written.
    """
    try:
        card = read_card(folder)
        for said in (card["files"][WEIGHTS_FILE], card.get("config", {}), card.get("settings", {})):
            if not isinstance(said, dict):
                raise TypeError(f"{said!r} is no object")
    except (AttributeError, KeyError, TypeError) as error:
        raise FixtureError(
            f"{folder / 'card.json'} is no card",
            given=repr(error),
            expected=f"an object whose `files` name what was written beside it, {WEIGHTS_FILE} among them",
            remedy=restoring(folder),
        ) from None
    if DIGEST in card and with_digest(card)[DIGEST] != card[DIGEST]:
        raise FixtureError(
            f"{folder / 'card.json'} is not as it was written",
            given="another digest than it states",
            remedy=f"{restoring(folder)} Whoever changes a card on purpose takes its {DIGEST!r} out.",
        )
    return card
