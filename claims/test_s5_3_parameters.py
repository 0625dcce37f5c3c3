"""Section 5.3, Appendices F and J.3: how far the parameters move.

1.25 is the smallest ratio that the inventory of claims calls larger.
"""

from typing import Any

from dtclaims import Need, Paper, above, claim, in_most_seeds, level_above, level_below, mean
from dtclaims.lab.design.tasks import ALL_TASKS

LANGUAGE = Need("parameter_change", arm="language_pretrained")
IMAGE = Need("parameter_change", arm="image_pretrained")
RANDOM = Need("parameter_change", arm="random_init")
# The random arm with the image arm's depth and width, where that is to be had.
RANDOM_FOR_IMAGE = Need("parameter_change", arm="random_for_image")

# Modules that have parameters of their own, by the end of their layer's name.
MODULES = ("ln_1", "attn.c_attn", "attn.c_proj", "ln_2", "mlp.c_fc", "mlp.c_proj")
UNCHANGED = 0.99

Change = dict[str, Any]


def block(name: str) -> int:
    """Block of a parameter or a layer."""
    return int(name.split(".")[1])


def shallow_ratio(change: Change) -> float:
    """Mean L2 distance per tensor in the first quarter of the blocks (0-2 of 12, 0-5 of 24) over that in the others."""
    tensors = [(block(name), distance) for name, distance in zip(change["names"], change["l2"], strict=True)]
    shallow = (1 + max(number for number, _ in tensors)) // 4
    return mean(d for number, d in tensors if number < shallow) / mean(d for number, d in tensors if number >= shallow)


def cosines(change: Change) -> dict[str, float]:
    """Cosine by weight tensor, 0 for one that starts at 0."""
    pairs = zip(change["names"], change["cosines"], strict=True)
    return {name: cosine or 0.0 for name, cosine in pairs if name.endswith("weight")}


@claim(
    "S5.3-l2-small-gpt2",
    section="5.3",
    headline=True,
    quote="l2 distance is small and cosine similarity is large for pre-trained models",
    scope="Hopper, medium, K=20, blocks only, first against last epoch",
    effect="displacement of the random arm over that of the language arm",
    unit="ratio",
    needs={"random": RANDOM, "language": LANGUAGE},
    trend=above(1.0, interest=0.25, why="?"),
    paper=Paper("276 / 150 = 1.84 (seed 666), 281 / 153 = 1.84 (seed 42) [fig. 3]", (276 / 150, 281 / 153)),
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
    trend=above(1.0, interest=0.25, why="?"),
    # L2 276 and 80, 281 and 93; the image network has 76 million block parameters, the random one 85.
    paper=Paper("L2 276 and 80 (seed 666), 281 and 93 (seed 42); per coordinate 3.3 and 2.9 [fig. 3]", (3.26, 2.85)),
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
    scope="Hopper, medium, K=20, blocks only, first against last epoch",
    effect="mean cosine of parameters before and after, language pre-trained minus random init",
    unit="cosine",
    needs={"language": LANGUAGE, "random": RANDOM},
    # 0.1: a seventh of the gap that the paper's figure shows.
    trend=above(0.0, interest=0.1, why="?"),
    paper=Paper("0.97 vs 0.30; weights only, about 0.99 vs 0.60 [fig. 4]", (0.67,)),
    deviations=(3, 19),
)
def test_language_keeps_direction(language: Change, random: Change) -> float:
    """How much better the language arm's parameters keep their direction than the random arm's."""
    return float(language["cosine"] - random["cosine"])


@claim(
    "S5.3-cos-large-igpt",
    section="5.3",
    headline=True,
    quote="l2 distance is small and cosine similarity is large for pre-trained models",
    scope="Hopper, medium, K=20, blocks only, first against last epoch",
    effect="mean cosine of parameters before and after, image pre-trained",
    unit="cosine",
    needs={"image": IMAGE},
    # 0.9: turned by less than 26 degrees.
    trend={"all tensors": level_above(0.9, why="?"), "weights": level_above(0.9, why="?")},
    paper=Paper("0.50 over all tensors (biases 0), 0.99 to 1.00 over weights [fig. 4]", (0.50, 1.00)),
    deviations=(7, 19),
)
def test_image_keeps_direction(image: Change) -> dict[str, float]:
    """How well the image arm's parameters keep their direction, biases that start at 0 counted as 0 or left out."""
    return {"all tensors": image["all_cosine"], "weights": image["weight_cosine"]}


def image_weights_keep_direction(image: Change) -> float:
    """How well the image arm's weights keep their direction; a tensor that starts at 0 has none to keep (DEV-19)."""
    return float(image["weight_cosine"])


test_image_keeps_direction = test_image_keeps_direction.corrected(
    "cos_tensors",
    effect="mean cosine of weights before and after, image pre-trained",
    unit="cosine",
    needs={"image": IMAGE},
    trend=level_above(0.9, why="?"),
)(image_weights_keep_direction)


@claim(
    "S5.3-params-little-change",
    section="5.3",
    headline=True,
    quote="their parameters do not change that much",
    scope="three tasks, medium, K=20, blocks only, first against last epoch, both pre-trained arms",
    effect="displacement of the blocks' parameters over their initial norm",
    unit="ratio",
    tasks=ALL_TASKS,
    needs={"language": LANGUAGE, "image": IMAGE},
    # 0.25: the move that would make a network 1.25 times as large, the smallest ratio called larger.
    trend={"language": level_below(0.25, why="?"), "image": level_below(0.25, why="?")},
    paper=Paper("not shown"),
    deviations=(3,),
)
def test_parameters_stay(language: Change, image: Change) -> dict[str, float]:
    """How far both pre-trained arms move, in units of where they started."""
    return {"language": language["relative"], "image": image["relative"]}


@claim(
    "S5.3-shallow-larger",
    section="5.3",
    quote="the shallow layer l2 distance of the pre-trained model shows relatively large changes",
    scope="Hopper, medium, K=20, first against last epoch; blocks 0-2 of 12, 0-5 of 24",
    effect="mean L2 distance of tensors in shallow blocks over that of the others",
    unit="ratio",
    needs={"language": LANGUAGE, "random": RANDOM, "image": IMAGE, "random_for_image": RANDOM_FOR_IMAGE},
    trend={
        "language": above(1.0, interest=0.25, why="?"),
        "image": above(1.0, interest=0.25, why="?"),
        "language minus random": above(0.0),
        "image minus random": above(0.0),
    },
    paper=Paper(
        "ratio 3.4 (language), 18.2 (image), 1.0 (random); blocks 0-2 hold 134 of 150, 62 of 80, 131 of 276 [fig. 3]",
        (3.4, 18.2, 2.4, 17.2),
    ),
    deviations=(3,),
)
def test_shallow_moves_more(
    language: Change, random: Change, image: Change, random_for_image: Change
) -> dict[str, float]:
    """Whether the shallow blocks of pre-trained arms move more than the others, and more so than in the random arm."""
    ours, theirs = shallow_ratio(language), shallow_ratio(image)
    return {
        "language": ours,
        "image": theirs,
        "language minus random": ours - shallow_ratio(random),
        "image minus random": theirs - shallow_ratio(random_for_image),
    }


@claim(
    "S5.3-unchanged-exist",
    section="5.3",
    headline=True,
    quote="The existence of unchanged parameters",
    scope="Hopper, medium, K=20, blocks only, first against last epoch, language arm",
    effect="share of weight tensors with a cosine above 0.99, language pre-trained",
    unit="share of tensors",
    needs={"language": LANGUAGE},
    # 0.5: the paper's figure shows most of blocks 3 to 11.
    trend=level_above(0.5, why="?"),
    paper=Paper("57 of 72, most of blocks 3-11 [fig. 4]", (57 / 72,)),
    deviations=(3,),
)
def test_unchanged_exist(language: Change) -> float:
    """How many of the language arm's weight tensors hardly turn."""
    return mean(float(cosine > UNCHANGED) for cosine in cosines(language).values())


@claim(
    "S5.3-rep-changes-with-few-params",
    section="5.3",
    quote="representation of each layer may change significantly without changing the parameters of each layer",
    scope="Hopper, medium, K=20, state token, blocks 3-11 of the language arm, first against last epoch",
    effect="share of layers with CKA below 0.23 and cosine above 0.99, and the CKA that their own change accounts for",
    unit={"share": "share of layers", "own change": "CKA"},
    needs={
        "language": LANGUAGE,
        "cka": Need("cka", arm="language_pretrained"),
        "own": Need("cka_without_change", arm="language_pretrained"),
    },
    # 0.5: a majority. 0.05: the scatter of CKA, so giving these blocks their old parameters back makes no difference.
    trend={"share": level_above(0.5, why="?"), "own change": level_below(0.05, why="?")},
    paper=Paper("an argument only (App. L); figures 1 and 4 together give 51 of 54 layers"),
    deviations=(1, 3),
)
def test_representation_changes_alone(language: Change, cka: Change, own: float) -> dict[str, float]:
    """Whether later layers change what they represent though their parameters stay: by share, and causally."""
    kept = cosines(language)
    layers = [
        value is not None and value < 0.23 and kept[f"{layer}.weight"] > UNCHANGED
        for layer, value in zip(cka["layers"], cka["state"], strict=True)
        if layer.endswith(MODULES) and block(layer) >= 3
    ]
    return {"share": mean(layers), "own change": own}


ALL_ARMS = {"random": RANDOM, "language": LANGUAGE, "random_for_image": RANDOM_FOR_IMAGE, "image": IMAGE}
# The thresholds of S5.3-l2-small-* and S5.3-cos-large-*.
STATED = {
    "language moves less": above(1.0, interest=0.25, why="?"),
    "image moves less": above(1.0, interest=0.25, why="?"),
    "language keeps direction": above(0.0, interest=0.1, why="?"),
    "image keeps direction": level_above(0.9, why="?"),
}


def four_findings(random: Change, language: Change, random_for_image: Change, image: Change) -> dict[str, float]:
    """The effects of S5.3-l2-small-* and S5.3-cos-large-*."""
    return {
        "language moves less": random["distance"] / language["distance"],
        "image moves less": random_for_image["rms"] / image["rms"],
        "language keeps direction": language["cosine"] - random["cosine"],
        "image keeps direction": image["cosine"],
    }


@claim(
    "J3-other-envs",
    section="J.3",
    quote="(figures)",
    scope="HalfCheetah and Walker2D, medium, K=20, blocks only, first against last epoch",
    effect="the effects of S5.3-l2-small-* and S5.3-cos-large-*",
    unit={
        "language moves less": "ratio",
        "image moves less": "ratio",
        "language keeps direction": "cosine",
        "image keeps direction": "cosine",
    },
    tasks=("halfcheetah", "walker2d"),
    needs=ALL_ARMS,
    trend=STATED,
    paper=Paper(
        "L2 of random, language and image arm 273, 155 and 90; 279, 164 and 109; cosines of language minus random "
        "0.68 and 0.69, of image 0.50 and 0.50 [App. J.3]",
        {"halfcheetah": (1.77, 2.86, 0.68, 0.50), "walker2d": (1.70, 2.42, 0.69, 0.50)},
    ),
    deviations=(3, 19),
)
def test_other_tasks(random: Change, language: Change, random_for_image: Change, image: Change) -> dict[str, float]:
    """The four statements of section 5.3 on the other two tasks."""
    return four_findings(random, language, random_for_image, image)


@claim(
    "J3-seed42",
    section="J.3",
    quote="(figures)",
    scope="three tasks, medium, K=20, blocks only, first against last epoch; the second seed, here every seed",
    effect="whether all effects of S5.3-l2-small-* and S5.3-cos-large-* hold in one seed",
    unit="true or false",
    tasks=ALL_TASKS,
    needs=ALL_ARMS,
    trend=in_most_seeds(),
    # Three hold in each cell of the paper; the image arm's cosine over all tensors is 0.50.
    paper=Paper(
        "L2 of random arm 281 / 271 / 274, language 153 / 155 / 160, image 93 / 96 / 84; cosine of image 0.50 "
        "(seed 42) [App. J.3]",
        {"hopper": (0.0,), "halfcheetah": (0.0,), "walker2d": (0.0,)},
    ),
    deviations=(),
)
def test_findings_of_a_seed(random: Change, language: Change, random_for_image: Change, image: Change) -> float:
    """Whether the four statements of section 5.3 hold in one seed alone."""
    found = four_findings(random, language, random_for_image, image)
    return float(all(STATED[name].holds_for(value) for name, value in found.items()))


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
    # 5: twice the largest two-seed ± of Tables 1 and 2 for a model that learns.
    trend=above(0.0, interest=5, why="?"),
    paper=Paper("an inference, not measured"),
    deviations=(),
    protocols=("corrected",),
)
def test_unchanged_matter(language: float, redrawn: float) -> float:
    """What the language arm loses if the blocks that hardly change had nothing to keep."""
    return language - redrawn
