"""The arms of the experiment: which network a run fine-tunes, and where its weights come from.

An arm is a few lines of data; `dtclaims.lab.models.build_model` makes the network. This module needs no torch.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from dtclaims.choice import rows
from dtclaims.errors import UsageError

Source = Literal["language", "image", "iid", "markov"]
"""Kinds of pre-trained backbones: text, images, independent tokens, a one-step Markov chain."""

NORMS: Mapping[str, Literal["layer", "rms"]] = {"language": "layer", "image": "rms", "iid": "layer", "markov": "layer"}
"""The norm each source was pre-trained with: GPT-2's, or ImageGPT's (DEV-07)."""

Shape = Literal["random", "language", "image", "image_layer_norm", "mlp"]
"""Whose configuration the stack has: what the protocol gives a random arm (DEV-04), the language backbone's, the image
backbone's own (RMS norm), the image backbone's with GPT-2's LayerNorm (DEV-07), or no stack but an MLP (DEV-11)."""

Change = Literal["permuted", "moment_matched", "redrawn", "blocks_3_11_redrawn", "qk_3_10_redrawn"]
"""What is done to the weights of the source before fine-tuning: the entries of each tensor permuted; drawn from a
Gaussian with each tensor's mean and standard deviation; drawn afresh as for a random model; the same for blocks 3 to
11, or for the query and key weights of blocks 3 to 10, only."""

BLOCKS = 12
"""Blocks of every language stack, at every scale: each block claim of the paper has its block."""


@dataclass(frozen=True)
class Arm:
    """One way to start a fine-tuning run."""

    name: str
    description: str = field(metadata={"prose": True})
    shape: Shape = "random"
    source: Source | None = None
    """Backbone the weights come from; None for fresh ones."""
    change: Change | None = None
    block: int | None = None
    """Only this block comes from the source, changed by `change`; the rest is the random arm (§5.6.1)."""

    @property
    def loads_checkpoint(self) -> bool:
        """Whether the reference would start it from a checkpoint, and so with Adam's eps of 1e-6 (DEV-03)."""
        return self.source is not None and self.block is None

    @property
    def sources(self) -> tuple[Source, ...]:
        """Backbones it needs: for weights, or for sizes. A random arm has the language backbone's sizes."""
        sized_by: Source = "image" if self.shape in ("image", "image_layer_norm") else "language"
        return (sized_by,) if self.source in (None, sized_by) else (sized_by, self.source)


def _blocks() -> list[Arm]:
    shams: dict[str, tuple[Change | None, str]] = {
        "language": (None, "the language backbone's"),
        "permuted": ("permuted", "the language backbone's with the entries of each tensor permuted"),
        "moments": ("moment_matched", "drawn with the mean and standard deviation of the language backbone's tensors"),
        "random": ("redrawn", "drawn afresh, with the language backbone's heads and activation"),
    }
    return [
        Arm(
            f"block_{block}_{sham}", f"random init, block {block} {text}", source="language", change=change, block=block
        )
        for sham, (change, text) in shams.items()
        for block in range(BLOCKS)
    ]


ARMS: Mapping[str, Arm] = rows(
    {
        arm.name: arm
        for arm in (
            Arm("random_init", "every weight drawn afresh (the paper's randomly initialised model)"),
            Arm(
                "language_pretrained",
                "blocks and final norm of a language model (the paper's GPT-2)",
                "language",
                "language",
            ),
            Arm(
                "image_pretrained",
                "blocks of an image model read into LayerNorm with new zero biases (the paper's iGPT)",
                "image_layer_norm",
                "image",
            ),
            Arm("image_native", "blocks of an image model with its own RMS norm", "image", "image"),
            Arm("random_matched", "fresh weights, the language backbone's heads and activation", "language"),
            Arm("random_matched_image", "fresh weights, the image backbone's own configuration", "image"),
            Arm(
                "language_moments",
                "Gaussian weights, moments of the language backbone",
                "language",
                "language",
                "moment_matched",
            ),
            Arm(
                "language_permuted",
                "the language backbone, entries of each tensor permuted",
                "language",
                "language",
                "permuted",
            ),
            Arm(
                "language_blocks_3_11_redrawn",
                "the language backbone, blocks 3 to 11 drawn afresh",
                "language",
                "language",
                "blocks_3_11_redrawn",
            ),
            Arm(
                "language_qk_3_10_redrawn",
                "the language backbone, queries and keys of blocks 3 to 10 drawn afresh",
                "language",
                "language",
                "qk_3_10_redrawn",
            ),
            Arm("synthetic_iid", "a stack pre-trained on independent tokens", "language", "iid"),
            Arm(
                "synthetic_markov", "a stack pre-trained on a one-step Markov chain of 100 states", "language", "markov"
            ),
            Arm("mlp", "behaviour cloning by a 3-layer MLP on one step, no Transformer", "mlp"),
            *_blocks(),
        )
    }
)


def get_arm(name: str) -> Arm:
    """The arm called `name`.

    Raises:
        UsageError: no such arm.
    """
    try:
        return ARMS[name]
    except KeyError:
        listed = [arm for arm in ARMS if not arm.startswith("block_")]
        raise UsageError(
            "unknown arm", given=repr(name), expected=f"one of {', '.join(listed)}, or block_B_KIND"
        ) from None
