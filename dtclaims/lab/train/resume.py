"""A run between two epochs, on disk: what a killed worker leaves for the next one.

    STORE/work/KEY/state.safetensors     the trainer's state after one of the last finished epochs (`Pauses`)
    STORE/work/KEY/epoch_NNN.safetensors checkpoints kept so far

The state is one file, replaced by one rename: tensors as safetensors, all else as JSON in its header, with checksums of
both and of the checkpoints kept so far (`dtclaims.states`). Nothing is pickled, so reading it runs no code.
"""

import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from dtclaims.errors import NotThere
from dtclaims.files import describe_file, reading
from dtclaims.harness.lab import STATE
from dtclaims.lab.tensor_files import save_tensors
from dtclaims.states import SCHEMA, check_state, digest

PAUSE = 20.0
"""How many times as long as the last saves took no others are made: about 5 % of a run at most go into saving."""
RATE = 2e8
"""Bytes a second that are saved, for all that is known before: a GB of each of four runs took 21 s on a GPU's host."""


class Pauses:
    """When runs that are trained together are saved: as often as `PAUSE` lets, the first time too.

    What that takes is not known then and is guessed by size: networks that are large and soon trained are not saved at
    all, others after their first epoch. One clock for all of them: saved after the same epochs, a stopped group is
    taken up in step.

    Args:
        size: bytes of their states together.
    """

    def __init__(self, size: int) -> None:
        self._not_before = time.monotonic() + PAUSE * size / RATE

    @contextmanager
    def saving(self) -> Iterator[bool]:
        """Whether it is time to save, for a block that saves all of them then."""
        began = time.monotonic()
        due = began >= self._not_before
        yield due
        if due:
            ended = time.monotonic()
            self._not_before = ended + PAUSE * (ended - began)


def save_state(
    folder: Path,
    state: Mapping[str, Any],
    past: Mapping[str, Any],
    kept: Mapping[str, Mapping[str, Any]] | None = None,
) -> None:
    """Write a state in place of the last one.

    Args:
        folder: of the run.
        state: nest of dicts and lists of tensors, numbers, strings, booleans and None.
        past: plain data about the run so far.
        kept: by name, what `save_checkpoint` returned of the checkpoints so far.

    Raises:
        StoreError: the disk is full, or the folder may not be written.
    """
    tensors: dict[str, Tensor] = {}
    told = {"schema": SCHEMA, "state": _packed(state, tensors), "past": dict(past), "kept": dict(kept or {})}
    content = json.dumps(told, allow_nan=False)
    parts = [(name, KINDS[one.dtype], tuple(one.shape), _bytes(one)) for name, one in tensors.items()]
    save_tensors(folder / STATE, tensors, {"content": content, "sha256": digest(content, parts)})


Saved = tuple[dict[str, Any], dict[str, Any], dict[str, dict[str, Any]]]
"""State, past and kept, as `save_state` was given them."""


def load_state(folder: Path) -> Saved | None:
    """What `save_state` wrote, or None if there is nothing yet.

    Raises:
        NotPermitted: the file, or a checkpoint beside it, may not be read.
        OtherVersion: another version of dtclaims wrote it.
        Damaged: it, or a checkpoint that was kept, is not as it was written.
    """
    try:
        content = check_state(folder, STATE)
    except NotThere:
        return None
    with reading(folder / STATE):
        tensors = load_file(folder / STATE)
    return _unpacked(content["state"], tensors), content["past"], content["kept"]


def save_checkpoint(path: Path, tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """Write parameters to a file; size and SHA-256 of what was written.

    Raises:
        StoreError: the disk is full, or the folder may not be written.
    """
    save_tensors(path, tensors)
    return describe_file(path)


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


KINDS = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.int16: "I16",
    torch.int8: "I8",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}
"""What safetensors calls them."""


def _bytes(tensor: Tensor) -> Any:
    return tensor.contiguous().reshape(-1).view(torch.uint8).numpy().data
