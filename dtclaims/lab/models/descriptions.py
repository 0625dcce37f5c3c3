"""What a checkpoint says its network is, without importing torch.

A hub's `config.json` may say less than all, or in other words; both become the words of `StackConfig`.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dtclaims.errors import BackboneError

CONFIG = "config.json"

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

OTHER_WORDS = {"num_hidden_layers": "n_layer", "hidden_size": "n_embd", "num_attention_heads": "n_head"}
"""What transformers takes for the same (`attribute_map`)."""

_ALIKE = {"n_inner": None, "layer_norm_epsilon": 1e-5}
HUB_DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "gpt2": {"n_layer": 12, "n_embd": 768, "n_head": 12, "activation_function": "gelu_new", **_ALIKE},
    "imagegpt": {"n_layer": 24, "n_embd": 512, "n_head": 8, "activation_function": "quick_gelu", **_ALIKE},
}
"""What transformers takes where `config.json` is silent."""

HUB_VARIANTS = {"scale_attn_weights": True, "scale_attn_by_inverse_layer_idx": False, "add_cross_attention": False}
"""Options of the hub's GPT-2 and ImageGPT that make another network, and their values in the one we have."""

ARCHITECTURE_FIELDS = ("blocks", "width", "heads", "activation", "mlp_width", "eps", "norm")
"""What a checkpoint says of its shape. Its dropouts are not taken over: fine-tuning uses the reference's
for every arm (protocol §3.2)."""

LARGEST = {"blocks": 1000, "width": 100_000, "heads": 100_000, "mlp_width": 1_000_000}
"""Bounds of ours, beyond any GPT: a hostile number must not cost the time to lay out its network."""


def hub_config(folder: Path) -> dict[str, Any]:
    """The network that a hub checkpoint's config.json describes, in the words of `ARCHITECTURE_FIELDS`.

    Where it is silent, the model type's defaults hold; a missing model type is known from `architectures`.

    Raises:
        BackboneError: unreadable, not GPT-2's or ImageGPT's, another variant of it, or with sizes that are none.
    """
    path = folder / CONFIG
    stated = read_json(path, "the configuration cannot be read")
    kind = _kind(stated)
    if kind not in HUB_NORMS or not isinstance(stated, dict):
        raise BackboneError(
            "only GPT-2 and ImageGPT checkpoints are read from the hub",
            given=f"{path}: {kind}",
            expected=" or ".join(HUB_NORMS),
        )
    for option, ours in HUB_VARIANTS.items():
        if stated.get(option, ours) != ours:
            raise BackboneError(
                "the checkpoint is of another variant of its network",
                given=f"{path}: {option} {stated[option]}",
                expected=ours,
            )
    said = dict(HUB_DEFAULTS[kind])
    for word, value in [(name, stated[name]) for name in (*OTHER_WORDS, *HUB_FIELDS) if name in stated]:
        name = OTHER_WORDS.get(word, word)
        twice = [other for other, means in OTHER_WORDS.items() if means == name and other in stated]
        if word == name and twice and stated[twice[0]] != value:
            raise BackboneError(
                "the configuration contradicts itself",
                given=f"{path}: {name} {value}, {twice[0]} {stated[twice[0]]}",
                expected="one of them, or the same twice",
            )
        said[name] = value
    shape = {ours: said[theirs] for theirs, ours in HUB_FIELDS.items()} | {"norm": HUB_NORMS[kind]}
    check_sizes(shape, path)
    return shape


def _kind(stated: object) -> str | None:
    """The model type, or the class's that the checkpoint was saved from; None of what is no configuration."""
    if not isinstance(stated, dict):
        return None
    if "model_type" in stated:
        return str(stated["model_type"])
    classes = stated.get("architectures")
    first = str(classes[0]).lower() if isinstance(classes, list) and classes else ""
    return next((kind for kind in HUB_NORMS if first.startswith(kind)), None)


def check_sizes(shape: Mapping[str, Any], path: Path) -> None:
    """Refuse sizes that are none, before a network of them is laid out. What is not stated is not looked at.

    Raises:
        BackboneError: one is no whole number in its bounds, or epsilon is no small positive number.
    """
    for name, most in LARGEST.items():
        size = shape.get(name)
        if name not in shape or (name == "mlp_width" and size is None):
            continue
        if isinstance(size, bool) or not isinstance(size, int) or not 1 <= size <= most:
            raise BackboneError(
                f"{path.name} describes no network", given=f"{name} {size!r}", expected=f"a whole number up to {most}"
            )
    eps = shape.get("eps", 1e-5)
    if isinstance(eps, bool) or not isinstance(eps, int | float) or not 0 < eps < 1:
        raise BackboneError(f"{path.name} describes no network", given=f"eps {eps!r}", expected="between 0 and 1")


def expected_sizes(shape: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """Names and sizes of `Stack.state_dict()` for a network, in its order.

    Args:
        shape: blocks, width, mlp_width (None: 4 * width) and norm.
    """
    width, norm = shape["width"], shape.get("norm", "layer")
    hidden = shape.get("mlp_width") or 4 * width

    def normalised(name: str) -> dict[str, tuple[int, ...]]:
        parts = ("weight", "bias") if norm == "layer" else ("weight",)
        return {f"{name}.{part}": (width,) for part in parts}

    def linear(name: str, inputs: int, outputs: int) -> dict[str, tuple[int, ...]]:
        return {f"{name}.weight": (inputs, outputs), f"{name}.bias": (outputs,)}

    sizes: dict[str, tuple[int, ...]] = {}
    for index in range(shape["blocks"]):
        block = f"h.{index}"
        sizes |= normalised(f"{block}.ln_1")
        sizes |= linear(f"{block}.attn.c_attn", width, 3 * width) | linear(f"{block}.attn.c_proj", width, width)
        sizes |= normalised(f"{block}.ln_2")
        sizes |= linear(f"{block}.mlp.c_fc", width, hidden) | linear(f"{block}.mlp.c_proj", hidden, width)
    return sizes | normalised("ln_f")


def read_json(path: Path, problem: str) -> object:
    """What a JSON file says.

    Raises:
        BackboneError: `problem`, where it says nothing.
    """
    try:
        stated: object = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError, OSError) as error:
        raise BackboneError(problem, given=f"{path}: {error}") from None
    return stated
