"""Manipulation checks that several sections share: what must be true of a claim's own runs before it can be judged.

Scores are normalised. On every task and under both references the data themselves score 40 or more, so 20 is half of
what an arm that imitates them well reaches.
"""

from collections.abc import Sequence
from statistics import median
from typing import Any

from dtclaims import Check, Need, by, check, level_above, level_below, mean
from dtclaims.errors import UndefinedMeasurement
from dtclaims.lab.design.blocks import SHAM, by_block, replaced

HALF_OF_THE_DATA = 20.0
"""In normalised points."""
WHY_HALF = "The data score 40 or more on every task; an arm at half of that imitates them badly."
SPREAD = 2.5
"""In normalised points."""
WHY_SPREAD = (
    "The spread of two seeds for a model that learns (Hopper, Table J.5): another seed of the same arm differs by as "
    "much."
)

LEARNS = level_above(
    HALF_OF_THE_DATA, why="The data score 40 or more on every task; an arm at half of that has learned from them."
)


@check(
    "the image arm fails, as the paper's does",
    needs={"image": Need("score", arm="image_pretrained")},
    trend=level_below(HALF_OF_THE_DATA, why=f"{WHY_HALF} The paper's image arm stays below 5."),
    unit="normalised points",
)
def image_fails(image: float) -> float:
    """Score of the image pre-trained arm with context (§4): what the paper says of this arm, it says of a failure."""
    return image


@check(
    "the random arm learns with context",
    needs={"random": Need("score", arm="random_for_image")},
    trend=LEARNS,
    unit="normalised points",
)
def random_learns(random: float) -> float:
    """Score of the random arm with context: without it there is no gap that the image arm could close."""
    return random


@check(
    "the language arm learns with context",
    needs={"language": Need("score", arm="language_pretrained")},
    trend=LEARNS,
    unit="normalised points",
)
def language_learns(language: float) -> float:
    """Score of the language arm with context: the baseline that its score without context is compared with (§5.5)."""
    return language


ROOM = level_below(
    HALF_OF_THE_DATA,
    why="The data score 40 or more on every task; an arm at half of that leaves room for a single block to help.",
)


@check(
    "the random arm fails without context",
    needs={"random": Need("block_return", arm="random_init", context=1)},
    trend=ROOM,
    unit="normalised points",
)
def random_fails_without_context(random: float) -> float:
    """Early score of the random arm at K = 1, which the arms of §5.6.1 are compared with: it learns later on two tasks
    of three."""
    return random


@check(
    "the random arm with a sham block fails without context",
    needs=replaced("block_return", SHAM),
    trend=ROOM,
    unit="normalised points",
)
def shams_fail_without_context(**shams: float) -> float:
    """Early score at K = 1, mean over the blocks that a sham is put in the place of."""
    return mean(shams.values())


def unlike_its_neighbours(values: Sequence[float], block: int = 1) -> float:
    """How far a block's value lies from the mean of its two neighbours', over the median of that of the other inner
    blocks. Distances drift with depth, which makes every shallow block unlike most."""
    off = {b: abs(values[b] - (values[b - 1] + values[b + 1]) / 2) for b in range(1, len(values) - 1)}
    usual = median(distance for b, distance in off.items() if b != block)
    if usual == 0:
        raise UndefinedMeasurement("the other blocks do not differ from their neighbours", given="0 for most of them")
    return off[block] / usual


UNLIKE = level_above(3.0, why="A block like any other lies at 1, and at 3 about once in twenty (of normal deviations).")


@check(
    "block 1 attends unlike its neighbours before fine-tuning",
    needs={"language": Need("attention_distance", arm="language_pretrained", context=by("context", one=1, twenty=20))},
    trend=UNLIKE,
    unit="ratio",
)
def block_1_is_unlike(language: list[float]) -> float:
    """How far block 1's attention distance at epoch 0 lies from its neighbours' mean, over the other blocks' median of
    that: what is said of block 1 is of that language model's, and another one need not have such a block."""
    return unlike_its_neighbours(language)


@check(
    "block 1 attends unlike its neighbours before fine-tuning",
    needs={"language": Need("attention_distance", arm="language_pretrained", context=1)},
    trend=UNLIKE,
    unit="ratio",
)
def block_1_is_unlike_without_context(language: list[float]) -> float:
    """How far block 1's attention distance at epoch 0 lies from its neighbours' mean, over the other blocks' median of
    that, in the arm that is trained without context (§5.6.1)."""
    return unlike_its_neighbours(language)


def _replaced_block_1_is_unlike(task: str | None = None) -> Check:
    """Where the claim has no run of the whole language arm: each block, read where it is put among random ones."""

    @check(
        "block 1 attends unlike its neighbours before fine-tuning",
        needs=replaced("attention_distance", "language", task=task),
        trend=UNLIKE,
        unit="ratio",
    )
    def replaced_block_1_is_unlike(**distances: list[float]) -> float:
        """How far block 1's attention distance at epoch 0 lies from its neighbours' mean, over the other blocks' median
        of that, each block of the language model put among random ones."""
        return unlike_its_neighbours([found[block] for block, found in enumerate(by_block(distances, task=task))])

    return replaced_block_1_is_unlike


replaced_block_1_is_unlike = _replaced_block_1_is_unlike()
replaced_block_1_is_unlike_on_hopper = _replaced_block_1_is_unlike("hopper")


def _null_is_unlike(arm: str, words: str) -> Check:
    """What a level of retention needs: a network that shares only its inputs with the trained one is unlike it."""

    @check(
        f"a network that shares only its inputs is unlike {words}",
        needs={"cka": Need("cka", arm=arm)},
        trend=level_below(
            0.5, why="From half on, most of what CKA shows is what any network shares, and little is left to be kept."
        ),
        unit="CKA",
    )
    def regressed_null(cka: dict[str, Any]) -> float:
        """Mean over layers of the CKA of another random network with the trained one, state token, kernels of the
        inputs regressed out (DEV-01)."""
        return mean(value for value in cka["regressed_null"]["state"] if value is not None)

    return regressed_null


null_network_is_unlike = _null_is_unlike("language_pretrained", "the language arm")
random_null_is_unlike = _null_is_unlike("random_init", "the random arm")
image_null_is_unlike = _null_is_unlike("image_pretrained", "the image arm")
