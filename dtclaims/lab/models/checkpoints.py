"""The tensors of a checkpoint, read from safetensors or pickles, and checked against its network."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from dtclaims.errors import BackboneError, UsageError
from dtclaims.lab.models.descriptions import ARCHITECTURE_FIELDS, check_sizes
from dtclaims.lab.models.layouts import Weights, check_fit, is_pointer, own_names, unreadable
from dtclaims.lab.models.transformer import StackConfig

FLOATS = (torch.float64, torch.float32, torch.float16, torch.bfloat16)


def read_tensors(weights: Weights, config: StackConfig) -> dict[str, Tensor]:
    """Exactly the finite parameters of a stack of `config`, in float32, named as `Stack.state_dict()` names them.

    Raises:
        BackboneError: no weights file, a pickle of other things than tensors, shards that are not what their index
            lists, or tensors that are missing, unexpected, of another size, no plain numbers, or not finite.
    """
    stored: dict[str, Tensor] = {}
    held: dict[str, list[str]] = {}
    for file in weights.files:
        tensors = _read_pickle(file) if weights.pickled else _read_safetensors(file)
        held[file.name] = list(tensors)
        stored |= tensors
    weights.check_listed(held)
    source = str(weights.files[0])
    # What is left out by name is not looked at, however it is stored.
    named = {own: stored[one] for one, own in own_names(stored, source).items()}
    sizes = {name: tuple(tensor.shape) for name, tensor in named.items()}
    # Sizes first: a hostile pickle can hold a tensor of any size that takes no memory until it is converted.
    check_fit(sizes, vars(config), source, {name: why for name, one in named.items() if (why := _unusable(one))})
    read = {name: tensor.detach().float() for name, tensor in named.items()}
    spoilt = {name: "is not finite" for name, tensor in read.items() if not bool(torch.isfinite(tensor).all())}
    check_fit(sizes, vars(config), source, spoilt)
    return read


def stack_config_of(stated: object, source: Path) -> StackConfig:
    """The stack that a card's `config`, or what was made of a hub's, describes; other entries are ignored.

    Raises:
        BackboneError: it describes none.
    """
    if not isinstance(stated, Mapping):
        raise BackboneError("the card does not state the network's shape", given=source, expected="a `config` object")
    check_sizes(stated, source)
    try:
        return StackConfig(**{name: stated[name] for name in ARCHITECTURE_FIELDS if name in stated})
    except (TypeError, UsageError) as error:
        raise BackboneError(f"{source.name} describes no network ({error})", given=dict(stated)) from None


def _unusable(tensor: Tensor) -> str | None:
    """Why a tensor's numbers cannot be used, if they cannot."""
    if tensor.dtype not in FLOATS:
        return f"is stored as {tensor.dtype}"
    if tensor.layout != torch.strided or tensor.is_quantized or tensor.device.type != "cpu":
        return f"is {tensor.layout} on {tensor.device}"
    return None


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    try:
        loaded: dict[str, Tensor] = load_file(path)
    except (SafetensorError, OSError) as error:
        raise unreadable(path, error) from None
    return loaded


def _read_pickle(path: Path) -> dict[str, Tensor]:
    try:
        loaded: Any = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        # A broken or hostile pickle can fail anywhere in the unpickler, with any type of error.
        if is_pointer(path):
            raise unreadable(path, error) from None
        reason = (str(error).strip() or repr(error)).splitlines()[0]
        raise BackboneError(
            "the pickled checkpoint cannot be read as tensors only",
            given=f"{path}: {reason}",
            remedy="Nothing in it was run. Use a checkpoint in safetensors, or convert this one where you trust it.",
        ) from None
    if not isinstance(loaded, Mapping) or not all(isinstance(value, Tensor) for value in loaded.values()):
        raise BackboneError("the pickled checkpoint holds other things than named tensors", given=str(path))
    return dict(loaded)
