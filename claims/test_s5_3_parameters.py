"""Section 5.3, Appendices F, J.3 and L: how far the parameters move.

Cosines are those of weights: a bias that starts at 0 has no direction to keep, and the reference counts it as 0
(DEV-19), which sets the random arm apart whatever it learns.
"""

from collections.abc import Mapping
from typing import Any

from checks import image_fails, null_network_is_unlike

from dtclaims import Need, Paper, above, claim, level_below, mean
from dtclaims.lab.design.tasks import ALL_TASKS

LANGUAGE = Need("parameter_change", arm="language_pretrained")
IMAGE = Need("parameter_change", arm="image_pretrained")
RANDOM = Need("parameter_change", arm="random_init")
# The random arm with the image arm's depth and width, where that is to be had.
RANDOM_FOR_IMAGE = Need("parameter_change", arm="random_for_image")

# Modules with a weight matrix, by the end of their layer's name. A layer norm's weight turns in no arm.
MATRICES = ("attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj")
UNCHANGED = 0.99
CHANGED = 0.23
"""The paper's own line between low and high CKA (App. D.3)."""

MOVES_LESS = above(
    1.0, interest=0.25, why="A quarter further is the least that a reader would call further; less is a like distance."
)
KEEPS_DIRECTION = above(
    0.0,
    interest=0.05,
    why="0.05 is what a turn of 18 degrees costs; arms that differ by less keep their direction alike.",
)

Change = dict[str, Any]
Cka = dict[str, Any]


def block(name: str) -> int:
    """Block of a parameter or a layer."""
    return int(name.split(".")[1])


def shallow_ratio(change: Change) -> float:
    """Mean L2 distance per tensor in the first quarter of the blocks (0-2 of 12, 0-5 of 24) over that in the others."""
    tensors = [(block(name), distance) for name, distance in zip(change["names"], change["l2"], strict=True)]
    shallow = (1 + max(number for number, _ in tensors)) // 4
    return mean(d for number, d in tensors if number < shallow) / mean(d for number, d in tensors if number >= shallow)


def cosines(change: Change) -> dict[str, float]:
    """Cosine of each weight matrix, by its layer; 0 for one that starts at 0."""
    layers = (name.removesuffix(".weight") for name in change["names"])
    pairs = zip(layers, change["cosines"], strict=True)
    return {layer: cosine or 0.0 for layer, cosine in pairs if layer.endswith(MATRICES)}


def unchanged(change: Change) -> float:
    """Share of the weight matrices that hardly turn."""
    return mean(float(cosine > UNCHANGED) for cosine in cosines(change).values())


@claim(
    "S5.3-l2-small-gpt2",
    section="5.3",
    headline=True,
    quote="l2 distance is small and cosine similarity is large for pre-trained models",
    scope="Hopper, medium, K=20, blocks only, first against last epoch",
    effect="displacement of the random arm over that of the language arm",
    unit="ratio",
    needs={"random": RANDOM, "language": LANGUAGE},
    trend=MOVES_LESS,
    paper=Paper("276 / 150 = 1.84 (seed 666), 281 / 153 = 1.83 (seed 42) [fig. 3]"),
    deviations=(3, 19),
)
def test_language_moves_less(random: Change, language: Change) -> float:
    """How many times further the random arm's blocks move than the language arm's."""
    return float(random["distance"] / language["distance"])


@claim(
    "S5.3-l2-small-igpt",
    section="5.3",
    headline=True,
    quote="l2 distance is small and cosine similarity is large for pre-trained models",
    scope="Hopper, medium, K=20, blocks only, first against last epoch",
    effect="displacement per coordinate of the random arm over that of the image arm",
    unit="ratio",
    needs={"random": RANDOM_FOR_IMAGE, "image": IMAGE},
    trend=MOVES_LESS,
    checks=(image_fails,),
    # The image network has 76 million block parameters, the random one 85.
    paper=Paper("L2 276 and 80 (seed 666), 281 and 93 (seed 42); per coordinate 3.3 and 2.9 times [fig. 3]"),
    deviations=(3, 7, 19),
)
def test_image_moves_less(random: Change, image: Change) -> float:
    """How many times further a coordinate of the random arm moves, root mean square, than one of the image arm."""
    return float(random["rms"] / image["rms"])


@claim(
    "S5.3-cos-large-gpt2",
    section="5.3",
    headline=True,
    quote="l2 distance is small and cosine similarity is large for pre-trained models",
    scope="Hopper, medium, K=20, weights of the blocks, first against last epoch",
    effect="mean cosine of weights before and after, language pre-trained minus random init",
    unit="cosine",
    needs={"language": LANGUAGE, "random": RANDOM},
    trend=KEEPS_DIRECTION,
    paper=Paper("weights 0.99 vs 0.59 in both seeds; with biases that start at 0 counted as 0, 0.97 vs 0.30 [fig. 4]"),
    deviations=(3, 19),
)
def test_language_keeps_direction(language: Change, random: Change) -> float:
    """How much better the language arm's weights keep their direction than the random arm's."""
    return float(language["weight_cosine"] - random["weight_cosine"])


@claim(
    "S5.3-cos-large-igpt",
    section="5.3",
    headline=True,
    quote="l2 distance is small and cosine similarity is large for pre-trained models",
    scope="Hopper, medium, K=20, weights of the blocks, first against last epoch",
    effect="mean cosine of weights before and after, image pre-trained minus random init",
    unit="cosine",
    needs={"image": IMAGE, "random": RANDOM_FOR_IMAGE},
    trend=KEEPS_DIRECTION,
    checks=(image_fails,),
    paper=Paper(
        "weights 1.00 vs 0.59 in both seeds; over all tensors the image arm's is 0.50, its biases counted as 0 [fig. 4]"
    ),
    deviations=(7, 19),
)
def test_image_keeps_direction(image: Change, random: Change) -> float:
    """How much better the image arm's weights keep their direction than the random arm's."""
    return float(image["weight_cosine"] - random["weight_cosine"])


@claim(
    "S5.3-params-little-change",
    section="5.3",
    headline=True,
    quote="their parameters do not change that much",
    scope="three tasks, medium, K=20, blocks only, first against last epoch, both pre-trained arms",
    effect="displacement of the blocks' parameters over their initial norm, random init over a pre-trained arm: the "
    "smaller of both arms' ratios",
    unit="ratio",
    tasks=ALL_TASKS,
    needs={"language": LANGUAGE, "image": IMAGE, "random": RANDOM, "random_for_image": RANDOM_FOR_IMAGE},
    trend=above(
        1.0,
        interest=1.0,
        why="Twice: an arm that changes by more than half of what a new network does has not changed little.",
    ),
    checks=(image_fails,),
    paper=Paper(
        "not shown; figures 3 and 4 together mean about 1.2 (random), 0.12 (language) and less than 0.03 (image)"
    ),
    deviations=(3,),
)
def test_parameters_stay(language: Change, image: Change, random: Change, random_for_image: Change) -> float:
    """How many times further the random arm moves than the pre-trained arm that moves most, each in units of where it
    started."""
    return float(min(random["relative"] / language["relative"], random_for_image["relative"] / image["relative"]))


@claim(
    "S5.3-shallow-larger",
    section="5.3",
    quote="the shallow layer l2 distance of the pre-trained model shows relatively large changes",
    scope="Hopper, medium, K=20, first against last epoch; blocks 0-2 of 12, 0-5 of 24",
    effect="mean L2 distance of tensors in shallow blocks over that of the others, and that ratio over the random "
    "arm's: the smaller of both pre-trained arms'",
    unit="ratio",
    needs={"language": LANGUAGE, "random": RANDOM, "image": IMAGE, "random_for_image": RANDOM_FOR_IMAGE},
    trend={"over other blocks": MOVES_LESS, "over the random arm": MOVES_LESS},
    checks=(image_fails,),
    paper=Paper(
        "ratio 3.4 (language), 18.2 (image), 1.0 (random); blocks 0-2 hold 134 of 150, 62 of 80, 131 of 276 [fig. 3]"
    ),
    deviations=(3,),
)
def test_shallow_moves_more(
    language: Change, random: Change, image: Change, random_for_image: Change
) -> dict[str, float]:
    """Whether the shallow blocks of pre-trained arms move more than the others, and more so than in the random arm."""
    ours, theirs = shallow_ratio(language), shallow_ratio(image)
    return {
        "over other blocks": min(ours, theirs),
        "over the random arm": min(ours / shallow_ratio(random), theirs / shallow_ratio(random_for_image)),
    }


@claim(
    "S5.3-unchanged-exist",
    section="5.3",
    headline=True,
    quote="The existence of unchanged parameters",
    scope="Hopper, medium, K=20, weight matrices of the blocks, first against last epoch",
    effect="share of weight matrices with a cosine above 0.99, language pre-trained minus random init",
    unit="share of matrices",
    needs={"language": LANGUAGE, "random": RANDOM},
    trend=above(
        0.0,
        interest=0.1,
        why="A tenth: the paper takes these parameters to carry the performance, which fewer matrices could hardly do.",
    ),
    paper=Paper("38 of 48 and none (seed 666), 37 of 48 and none (seed 42), most of blocks 3-11 [fig. 4]"),
    deviations=(3,),
)
def test_unchanged_exist(language: Change, random: Change) -> float:
    """How many more of the language arm's weight matrices hardly turn than of the random arm's."""
    return unchanged(language) - unchanged(random)


def layers(similarity: Mapping[str, float | None], change: Change) -> list[tuple[int, bool, bool]]:
    """Of each layer with a weight matrix: its block, whether its representation changed, whether its weights did.

    Args:
        similarity: by layer, of its representation before and after.
        change: of the parameters.
    """
    return [
        (block(layer), (value := similarity[layer]) is not None and value < CHANGED, cosine <= UNCHANGED)
        for layer, cosine in cosines(change).items()
    ]


def representation_alone(similarity: Mapping[str, float | None], change: Change) -> float:
    """Share of the layers of blocks 3 and later whose representation changed and whose weights did not."""
    return mean(float(moved and not turned) for number, moved, turned in layers(similarity, change) if number >= 3)


def weights_alone(similarity: Mapping[str, float | None], change: Change) -> float:
    """Share of the layers whose weights changed and whose representation did not."""
    return mean(float(turned and not moved) for _, moved, turned in layers(similarity, change))


def raw(cka: Cka) -> dict[str, float | None]:
    """CKA before against after, by layer."""
    return dict(zip(cka["layers"], cka["state"], strict=True))


def retention(cka: Cka) -> dict[str, float | None]:
    """By layer, the same beyond that of another random network, kernels of the inputs regressed out of both."""
    return dict(zip(cka["layers"], cka["retention"]["state"], strict=True))


CHANGES = {
    "language": LANGUAGE,
    "random": RANDOM,
    "language_cka": Need("cka", arm="language_pretrained"),
    "random_cka": Need("cka", arm="random_init"),
}
ONE_OF_36 = above(0.0, interest=0.02, why="Less than one layer of 36: that it may happen needs one.")
ONE_OF_48 = above(0.0, interest=0.02, why="About one layer of 48: the sentence speaks of some layers.")


@claim(
    "S5.3-rep-changes-with-few-params",
    section="5.3",
    quote="representation of each layer may change significantly without changing the parameters of each layer",
    scope="Hopper, medium, K=20, state token, layers with a weight matrix in blocks 3-11, first against last epoch",
    effect="share of layers with CKA below 0.23 and cosine above 0.99, language pre-trained minus random init",
    unit="share of layers",
    needs=CHANGES,
    trend=ONE_OF_36,
    paper=Paper(
        "an argument only (App. L); figures 1 and 4 together give 34 of 36 layers (seed 666), 26 of 36 (seed 42), and "
        "none of the random arm"
    ),
    deviations=(1, 3),
)
def test_representation_changes_alone(language: Change, random: Change, language_cka: Cka, random_cka: Cka) -> float:
    """How many more later layers of the language arm than of the random arm change what they represent though their
    weights stay."""
    return representation_alone(raw(language_cka), language) - representation_alone(raw(random_cka), random)


def representation_changes_alone(
    language: Change, random: Change, language_cka: Cka, random_cka: Cka, own: float
) -> dict[str, float]:
    """Whether later layers of the language arm change what they represent though their weights stay: by share, and
    causally, as the change in CKA that goes when these blocks get their old parameters back."""
    ours, theirs = retention(language_cka), retention(random_cka)
    changed = [1 - value for layer, value in raw(language_cka).items() if value is not None and block(layer) >= 3]
    return {
        "layers": representation_alone(ours, language) - representation_alone(theirs, random),
        "own change": own / mean(changed),
    }


test_representation_changes_alone = test_representation_changes_alone.corrected(
    "cka_axis",
    effect="share of layers with retention below 0.23 and cosine above 0.99, language pre-trained minus random init; "
    "and of the language arm's change in CKA, the share that its later blocks' own change of parameters accounts for",
    unit={"layers": "share of layers", "own change": "share of the change"},
    needs={**CHANGES, "own": Need("cka_without_change", arm="language_pretrained")},
    trend={
        "layers": ONE_OF_36,
        "own change": level_below(0.5, why="From half on, the layers' own parameters account for most of the change."),
    },
    checks=(null_network_is_unlike,),
)(representation_changes_alone)


@claim(
    "L-random-vice-versa",
    section="L",
    quote="or vice versa for the randomly initialized model",
    scope="Hopper, medium, K=20, state token, layers with a weight matrix, first against last epoch",
    effect="share of layers with cosine up to 0.99 and CKA not below 0.23, random init minus language pre-trained",
    unit="share of layers",
    needs=CHANGES,
    trend=ONE_OF_48,
    paper=Paper(
        "figures 1 and 4 together give 9 of 48 layers, and 2 of the language arm (seed 666), 10 and 3 (seed 42)"
    ),
    deviations=(1, 3),
)
def test_weights_change_alone(language: Change, random: Change, language_cka: Cka, random_cka: Cka) -> float:
    """How many more layers of the random arm than of the language arm keep what they represent though their weights
    turn."""
    return weights_alone(raw(random_cka), random) - weights_alone(raw(language_cka), language)


def weights_change_alone(language: Change, random: Change, language_cka: Cka, random_cka: Cka) -> float:
    """The same, of what layers keep beyond what another random network shares with them."""
    return weights_alone(retention(random_cka), random) - weights_alone(retention(language_cka), language)


test_weights_change_alone = test_weights_change_alone.corrected(
    "cka_axis",
    effect="share of layers with cosine up to 0.99 and retention not below 0.23, random init minus language "
    "pre-trained",
    unit="share of layers",
    needs=CHANGES,
    trend=ONE_OF_48,
    checks=(null_network_is_unlike,),
)(weights_change_alone)


ALL_ARMS = {"random": RANDOM, "language": LANGUAGE, "random_for_image": RANDOM_FOR_IMAGE, "image": IMAGE}
STATED = {"moves less": MOVES_LESS, "keeps direction": KEEPS_DIRECTION}


def statements(
    random: Change, language: Change, random_for_image: Change, image: Change
) -> dict[str, tuple[float, float]]:
    """The effects of S5.3-l2-small-* and of S5.3-cos-large-*, of the language and the image arm."""
    return {
        "moves less": (random["distance"] / language["distance"], random_for_image["rms"] / image["rms"]),
        "keeps direction": (
            language["weight_cosine"] - random["weight_cosine"],
            image["weight_cosine"] - random_for_image["weight_cosine"],
        ),
    }


@claim(
    "J3-other-envs",
    section="J.3",
    quote="(figures)",
    scope="HalfCheetah and Walker2D, medium, K=20, blocks only, first against last epoch",
    effect="the effects of S5.3-l2-small-* and of S5.3-cos-large-*, each of the pre-trained arm that shows it less",
    unit={"moves less": "ratio", "keeps direction": "cosine"},
    tasks=("halfcheetah", "walker2d"),
    needs=ALL_ARMS,
    trend=STATED,
    checks=(image_fails,),
    paper=Paper(
        "L2 of random, language and image arm 273, 155 and 90; 279, 164 and 109; cosines of weights 0.59, 0.99 and "
        "1.00; 0.58, 0.99 and 1.00 [App. J.3]"
    ),
    deviations=(3, 19),
)
def test_other_tasks(random: Change, language: Change, random_for_image: Change, image: Change) -> dict[str, float]:
    """Both statements of section 5.3 on the other two tasks."""
    return {name: min(both) for name, both in statements(random, language, random_for_image, image).items()}


@claim(
    "J3-seed42",
    section="J.3",
    quote="(figures)",
    scope="three tasks, medium, K=20, blocks only, first against last epoch; the second seed, here every seed",
    effect="share of the four signs of S5.3-l2-small-* and S5.3-cos-large-* that hold in a seed",
    unit="share of signs",
    tasks=ALL_TASKS,
    needs=ALL_ARMS,
    trend=above(
        0.5,
        interest=0.25,
        why="By luck half of the signs hold; with fewer than three of four, one would not call it the same finding.",
    ),
    checks=(image_fails,),
    paper=Paper(
        "all four have; L2 of random arm 281 / 271 / 274, language 153 / 155 / 160, image 93 / 96 / 84 (seed 42) "
        "[App. J.3]"
    ),
    deviations=(),
)
def test_findings_of_a_seed(random: Change, language: Change, random_for_image: Change, image: Change) -> float:
    """How many of the four statements of section 5.3 have the paper's sign in one seed alone."""
    found = statements(random, language, random_for_image, image)
    return mean(float(STATED[name].holds_for(value)) for name, both in found.items() for value in both)


@claim(
    "SUM-5.3",
    section="5.3",
    headline=True,
    quote="The good performance of GPT2 might come from some unchanged parameters",
    scope="Hopper, medium, K=20",
    effect="score, language pre-trained minus the same with blocks 3-11 drawn afresh",
    unit="normalised points",
    needs={
        "language": Need("score", arm="language_pretrained"),
        "redrawn": Need("score", arm="language_blocks_3_11_redrawn"),
    },
    parts=("S5.3-unchanged-exist",),
    trend=above(
        0.0,
        interest=5,
        why="About twice the spread of two seeds in Tables 1 and 2 for a model that learns (2.5 and 3 points).",
    ),
    paper=Paper("an inference, not measured"),
    deviations=(),
    protocols=("corrected",),
)
def test_unchanged_matter(language: float, redrawn: float) -> float:
    """What the language arm loses if the blocks that hardly change had nothing to keep."""
    return language - redrawn
