"""Manipulation checks that several sections share: what must be true of a claim's own runs before it can be judged.

Scores are normalised. On every task and under both references the data themselves score 40 or more, so 20 is half of
what an arm that imitates them well reaches.
"""

from typing import Any

from dtclaims import Check, Need, check, level_above, level_below, mean

HALF_OF_THE_DATA = 20.0
"""In normalised points."""


@check(
    "the image arm fails, as the paper's does",
    needs={"image": Need("score", arm="image_pretrained")},
    trend=level_below(
        HALF_OF_THE_DATA,
        why="The data score 40 or more on every task; an arm at half of that imitates them badly. The paper's image "
        "arm stays below 5.",
    ),
    unit="normalised points",
)
def image_fails(image: float) -> float:
    """Score of the image pre-trained arm with context (§4): what the paper says of this arm, it says of a failure."""
    return image


@check(
    "the random arm learns with context",
    needs={"random": Need("score", arm="random_for_image")},
    trend=level_above(
        HALF_OF_THE_DATA,
        why="The data score 40 or more on every task; an arm at half of that has learned from them.",
    ),
    unit="normalised points",
)
def random_learns(random: float) -> float:
    """Score of the random arm with context: without it there is no gap that the image arm could close."""
    return random


@check(
    "the random arm fails without context",
    needs={"random": Need("score", arm="random_init", context=1)},
    trend=level_below(
        HALF_OF_THE_DATA,
        why="The data score 40 or more on every task; an arm at half of that imitates them badly, and leaves room for "
        "a single block to help.",
    ),
    unit="normalised points",
)
def random_fails_without_context(random: float) -> float:
    """Score of the random arm at K = 1 (§5.5), which the arms of §5.6.1 are compared with."""
    return random


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
