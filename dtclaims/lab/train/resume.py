"""A run between two epochs, on disk: what a killed worker leaves for the next one.

    STORE/work/KEY/state.safetensors     the trainer's state after one of the last finished epochs (`Saving`)
    STORE/work/KEY/epoch_NNN.safetensors checkpoints kept so far

The state is one file, replaced by one rename: tensors as safetensors, all else as JSON in its header. Nothing is
pickled, so reading it runs no code.
"""

import hashlib
import json
import math
import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from dtclaims.errors import StoreError
from dtclaims.files import replacing
from dtclaims.harness.lab import STATE

SCHEMA = 1

PAUSE = 20.0
"""How many times as long as the last save took no other is made: about 5 % of a run at most go into saving."""


class Saving:
    """Saves the state of a run after its first epoch, and then as often as `PAUSE` lets.

    Args:
        folder: of the run.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._not_before = -math.inf

    def save(self, state: Callable[[], Mapping[str, Any]], past: Mapping[str, Any]) -> None:
        """Write the state, if it is time.

        Args:
            state: makes it; that takes time too.
            past: see `save_state`.

        Raises:
            StoreError: see `save_state`.
        """
        began = time.monotonic()
        if began < self._not_before:
            return
        save_state(self._folder, state(), past)
        ended = time.monotonic()
        self._not_before = ended + PAUSE * (ended - began)


def save_state(folder: Path, state: Mapping[str, Any], past: Mapping[str, Any]) -> None:
    """Write a state in place of the last one.

    Args:
        folder: of the run.
        state: nest of dicts and lists of tensors, numbers, strings, booleans and None.
        past: plain data about the run so far.

    Raises:
        StoreError: the disk is full, or the folder may not be written.
    """
    tensors: dict[str, Tensor] = {}
    content = {"schema": SCHEMA, "state": _packed(state, tensors), "past": dict(past)}
    header = {"content": json.dumps(content, allow_nan=False), "sha256": _digest(tensors)}
    _save(folder / STATE, tensors, header)


def load_state(folder: Path) -> tuple[dict[str, Any], dict[str, Any]] | None:
    """The state and the past that `save_state` wrote, or None if there is none yet.

    Raises:
        StoreError: the file is not as it was written.
    """
    path = folder / STATE
    if not path.is_file():
        return None
    try:
        with safe_open(path, framework="pt") as file:
            header = file.metadata()
        content = json.loads(header["content"])
        tensors = load_file(path)
        sound = content["schema"] == SCHEMA and _digest(tensors) == header["sha256"]
    except (OSError, SafetensorError, ValueError, KeyError, TypeError) as error:
        raise StoreError(f"{path} is damaged", given=error) from None
    if not sound:
        raise StoreError(f"{path} is damaged", given="another SHA-256 or schema than was written")
    return _unpacked(content["state"], tensors), content["past"]


def save_checkpoint(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write parameters to a file.

    Raises:
        StoreError: the disk is full, or the folder may not be written.
    """
    _save(path, tensors)


def _save(path: Path, tensors: Mapping[str, Tensor], header: dict[str, str] | None = None) -> None:
    with replacing(path) as partial:
        try:
            save_file(dict(tensors), partial, header)
        except SafetensorError as error:
            # It tells the system's error in words only; as `Os { code: 27, …` in releases of 2024.
            found = re.search(r"(?:os error|\bcode:) (\d+)", str(error))
            raise OSError(int(found[1]) if found else None, str(error)) from None


def _packed(value: Any, tensors: dict[str, Tensor]) -> Any:
    """JSON that stands for a nest; its tensors go into `tensors`. Dicts become pairs: JSON's keys are all strings."""
    if isinstance(value, Tensor):
        name = f"t{len(tensors)}"
        tensors[name] = value
        return {"tensor": name}
    if isinstance(value, Mapping):
        return {"pairs": [[key, _packed(one, tensors)] for key, one in value.items()]}
    if isinstance(value, list | tuple):
        return [_packed(one, tensors) for one in value]
    return value


def _unpacked(value: Any, tensors: Mapping[str, Tensor]) -> Any:
    if isinstance(value, list):
        return [_unpacked(one, tensors) for one in value]
    if isinstance(value, dict):
        if "tensor" in value:
            return tensors[value["tensor"]]
        return {key: _unpacked(one, tensors) for key, one in value["pairs"]}
    return value


def _digest(tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(name.encode())
        digest.update(tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
