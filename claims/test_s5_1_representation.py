"""Section 5.1, Appendices D and J.1: representations before and after fine-tuning (CKA).

A profile is the CKA of each layer before against after fine-tuning, at the state token unless said. Two networks that
share nothing but their inputs have a high CKA where it is taken over the full width (DEV-01). So contrasts of two arms
are of CKA as it is, and what is said of one arm's level is, under `corrected`, said of its retention: CKA less that of
another random network, the inputs' kernels regressed out of both.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

from checks import HALF_OF_THE_DATA, image_fails, image_null_is_unlike, null_network_is_unlike, random_null_is_unlike

from dtclaims import (
    Check,
    Claim,
    Need,
    Paper,
    above,
    claim,
    composite,
    in_most_seeds,
    level_below,
    mean,
    not_above,
)
from dtclaims.lab.design.tasks import ALL_TASKS

LOW = 0.23
"""The paper's own line between low and high."""
LESS_THAN_HALF = level_below(0.5, why="From half on, more is kept than changed. No change would be 1.")
NORMS = ("ln_1", "ln_2")

# App. D.3: the ten layers that it lists beside all 24 layer norms.
LISTED = {f"h.{number}.attn.c_attn" for number in (0, 1, 4, 5, 6, 10)}
LISTED |= {"h.0.mlp.c_fc", "h.0.mlp.c_proj", "h.0.mlp.dropout", "h.3.mlp.c_fc"}

RANDOM = Need("cka", arm="random_init")
LANGUAGE = Need("cka", arm="language_pretrained")
IMAGE = Need("cka", arm="image_pretrained")
# The random arm with the image arm's depth and width, where that is to be had.
RANDOM_FOR_IMAGE = Need("cka", arm="random_for_image")

RANDOM_GRID = Need("cka_grid", arm="random_init")
LANGUAGE_GRID = Need("cka_grid", arm="language_pretrained")
IMAGE_GRID = Need("cka_grid", arm="image_pretrained")

OTHER_TASKS = ("halfcheetah", "walker2d")
TOKENS = ("state", "action", "return_to_go")

Cka = dict[str, Any]
Grid = list[list[float]]


def profile(cka: Cka, token: str = "state") -> dict[str, float]:
    """CKA by layer, without the layers that have none."""
    return {layer: value for layer, value in zip(cka["layers"], cka[token], strict=True) if value is not None}


def level(cka: Cka, token: str = "state") -> float:
    """Mean CKA over layers."""
    return mean(profile(cka, token).values())


def low_share(cka: Cka) -> float:
    """Share of layers below the paper's line."""
    return mean(float(value < LOW) for value in profile(cka).values())


def as_retention(*checks: Check) -> Callable[[Claim], Claim]:
    """The same claim about what layers keep beyond what any network shares, where CKA is of the full width (DEV-01).

    Args:
        checks: what must be true of that measurement, too.
    """

    def add(one: Claim) -> Claim:
        form = one.form
        assert form is not None

        @wraps(form.function)
        def of_retention(**ckas: Cka) -> Any:
            return form.function(**{arm: {**cka, **cka["retention"], "floor": 0.0} for arm, cka in ckas.items()})

        return one.corrected(
            "cka_axis",
            effect=f"{form.effect}, as retention",
            needs=form.needs,
            trend=form.trends,
            unit=form.units,
            checks=(*form.checks, *checks),
        )(of_retention)

    return add


def block(layer: str) -> int:
    """Block of a layer of a network that is not averaged in pairs."""
    return int(layer.split(".")[1])


def is_norm(layer: str) -> bool:
    """Whether a layer is a layer norm."""
    return layer.endswith(NORMS)


def excess(random: Cka, language: Cka) -> dict[str, float]:
    """CKA by layer, random minus language, of the layers that both have."""
    ours, theirs = profile(random), profile(language)
    return {layer: ours[layer] - theirs[layer] for layer in ours if layer in theirs}


def off_diagonal(grid: Grid) -> float:
    """Mean CKA between layers of different blocks."""
    return mean(value for i, row in enumerate(grid) for j, value in enumerate(row) if i != j)


def grouped(grid: Grid) -> float:
    """How much more alike different blocks of one group (0-2, 3-11) are than blocks of both."""
    pairs = [(i, j, value) for i, row in enumerate(grid) for j, value in enumerate(row) if i != j]
    within = mean(value for i, j, value in pairs if (i < 3) == (j < 3))
    return within - mean(value for i, j, value in pairs if (i < 3) != (j < 3))


def contrast(grid: Grid) -> float:
    """How much more alike layers of one block are than layers of two."""
    return mean(row[i] for i, row in enumerate(grid)) - off_diagonal(grid)


@as_retention(null_network_is_unlike)
@claim(
    "S5.1-cka-gpt2-low",
    section="5.1",
    headline=True,
    quote="CKAs of pre-trained models (GPT2 and iGPT) are uniformly low across layers except for a few layers",
    scope="three tasks, medium, K=20, state token, first against last epoch, language arm",
    effect="share of layers with CKA below 0.23, language pre-trained minus random init",
    unit="share of layers",
    tasks=ALL_TASKS,
    needs={"language": LANGUAGE, "random": RANDOM},
    trend=above(0.0),
    paper=Paper(
        "100, 95 and 99 of 108 layers, of random init 74, 64 and 77: +0.24 / +0.29 / +0.20 (seed 666); "
        "+0.06 / +0.08 / -0.01 (seed 42, against the sentence on Walker2d) [fig. 1, J.1]"
    ),
    deviations=(1, 3),
)
def test_language_low(language: Cka, random: Cka) -> float:
    """How many more layers of the language arm than of the random arm end far from where they started."""
    return low_share(language) - low_share(random)


@as_retention(image_null_is_unlike)
@claim(
    "S5.1-cka-igpt-low",
    section="5.1",
    headline=True,
    quote="CKAs of pre-trained models (GPT2 and iGPT) are uniformly low across layers except for a few layers",
    scope="three tasks, medium, K=20, state token, first against last epoch, image arm",
    effect="share of layers with CKA below 0.23, image pre-trained minus random init",
    unit="share of layers",
    tasks=ALL_TASKS,
    needs={"image": IMAGE, "random": RANDOM_FOR_IMAGE},
    trend=above(0.0),
    checks=(image_fails,),
    paper=Paper(
        "107, 106 and 97 of 108 layer pairs, of random init's layers 74, 64 and 77: +0.31 / +0.39 / +0.19 (seed 666), "
        "+0.31 / +0.38 / +0.26 (seed 42) [fig. 1, J.1]"
    ),
    deviations=(1, 7, 18),
)
def test_image_low(image: Cka, random: Cka) -> float:
    """How many more layers of the image arm than of the random arm end far from where they started."""
    return low_share(image) - low_share(random)


@as_retention(null_network_is_unlike, image_null_is_unlike)
@claim(
    "S5.1-pretrained-change-rep",
    section="5.1",
    headline=True,
    quote="pre-trained models largely change representation",
    scope="three tasks, medium, K=20, state token, first against last epoch, both pre-trained arms",
    effect="mean CKA over layers, less what unrelated windows give, of the pre-trained arm that keeps more",
    unit="CKA",
    tasks=ALL_TASKS,
    needs={"language": LANGUAGE, "image": IMAGE},
    trend=LESS_THAN_HALF,
    checks=(image_fails,),
    paper=Paper("language 0.116 / 0.154 / 0.101, image 0.065 / 0.040 / 0.113, nothing subtracted [fig. 1]"),
    deviations=(1,),
)
def test_pretrained_change(language: Cka, image: Cka) -> float:
    """What a pre-trained arm keeps at most of its initial representation, above the level of chance."""
    return max(level(arm) - float(arm["floor"]) for arm in (language, image))


@as_retention()
@claim(
    "S5.1-cka-random-shallow-mid",
    section="5.1",
    quote="representations have a higher similarity to the initial state from the middle to the shallow layers",
    scope="three tasks, medium, K=20, state token, first against last epoch, random init",
    effect="mean CKA of blocks 0-5 minus that of blocks 6-11, random init",
    unit="CKA",
    tasks=ALL_TASKS,
    needs={"random": RANDOM},
    trend=above(0.0),
    paper=Paper(
        "+0.081 / +0.005 / +0.083 (seed 666), +0.036 / -0.004 / +0.079 (seed 42, against the sentence on HalfCheetah) "
        "[fig. 1, J.1]"
    ),
    deviations=(1,),
)
def test_random_shallow(random: Cka) -> float:
    """How much more of the first half of the random arm than of the second stays as it was."""
    layers = profile(random)
    return mean(layers[one] for one in layers if block(one) < 6) - mean(layers[one] for one in layers if block(one) > 5)


@claim(
    "S5.1-cka-random-higher-gpt2",
    section="5.1",
    headline=True,
    quote="the CKAs of the randomly initialized model seem to be higher than pre-trained models across layers",
    scope="three tasks, medium, K=20, state token, first against last epoch",
    effect="mean CKA over layers, random init minus language pre-trained",
    unit="CKA",
    tasks=ALL_TASKS,
    needs={"random": RANDOM, "language": LANGUAGE},
    trend=above(0.0),
    paper=Paper(
        "+0.055 / +0.106 / +0.078 (seed 666), +0.039 / +0.003 / -0.001 (seed 42, no difference on two tasks) "
        "[fig. 1, J.1]"
    ),
    deviations=(1, 3, 4, 40),
)
def test_random_higher_than_language(random: Cka, language: Cka) -> float:
    """How much closer to its initial representation the random arm stays than the language arm."""
    return level(random) - level(language)


@claim(
    "S5.1-cka-random-higher-igpt",
    section="5.1",
    headline=True,
    quote="the CKAs of the randomly initialized model seem to be higher than pre-trained models across layers",
    scope="three tasks, medium, K=20, state token, first against last epoch",
    effect="mean CKA over layers, random init minus image pre-trained",
    unit="CKA",
    tasks=ALL_TASKS,
    needs={"random": RANDOM_FOR_IMAGE, "image": IMAGE},
    trend=above(0.0),
    checks=(image_fails,),
    paper=Paper("+0.106 / +0.221 / +0.067 (seed 666), +0.150 / +0.156 / +0.133 (seed 42) [fig. 1, J.1]"),
    deviations=(1, 7, 18),
)
def test_random_higher_than_image(random: Cka, image: Cka) -> float:
    """How much closer to its initial representation the random arm stays than the image arm."""
    return level(random) - level(image)


@claim(
    "S5.1-cka-random-higher-uniform",
    section="5.1",
    quote="across layers",
    scope="three tasks, medium, K=20, state token, first against last epoch",
    effect="share of layers whose CKA is higher in the random than in the language arm",
    unit="share of layers",
    tasks=ALL_TASKS,
    needs={"random": RANDOM, "language": LANGUAGE},
    trend=above(0.5),
    paper=Paper(
        "0.61 / 0.56 / 0.66 (seed 666); 0.52 / 0.40 / 0.37 (seed 42, against the sentence on two tasks) [fig. 1, J.1]"
    ),
    deviations=(1, 40),
)
def test_random_higher_in_most_layers(random: Cka, language: Cka) -> float:
    """In how many layers, rather than by how much on average, the random arm stays closer."""
    return mean(float(value > 0) for value in excess(random, language).values())


@claim(
    "S5.1-structure-differs",
    section="5.1",
    quote="structure their representations in very different ways",
    scope="three tasks, medium, K=20, state token, first against last epoch",
    effect="distance of the CKA profiles of random and language arm, less that of two random seeds",
    unit="CKA",
    tasks=ALL_TASKS,
    needs={
        "random": RANDOM,
        "language": LANGUAGE,
        "seeds": Need("cka_profile_distance", arm="random_init", next_seed=True),
    },
    trend=above(0.0),
    paper=Paper(
        "not quantified; its curves of both seeds give 0.111 - 0.109, 0.192 - 0.095, 0.134 - 0.065 [fig. 1, J.1]"
    ),
    deviations=(1,),
)
def test_structure_differs(random: Cka, language: Cka, seeds: float) -> float:
    """Whether the profiles of two arms differ more, layer by layer, than those of one arm's two seeds."""
    return mean(abs(value) for value in excess(random, language).values()) - seeds


@as_retention(random_null_is_unlike)
@claim(
    "S5.1-ln-dominates-high",
    section="5.1",
    quote="most of them are layer normalization layers",
    scope="Hopper, medium, K=20, state token, random init",
    effect="share of layer norms among layers with CKA above 0.23, less their share of all layers",
    unit="share of layers",
    needs={"random": RANDOM},
    trend=above(0.0, interest=0.5 - 24 / 108, why='"Most" is a half, less the 24 norms among 108 layers.'),
    paper=Paper("24 of 34 = 0.71, base rate 0.22 (App. D.3)"),
    deviations=(1, 16, 17),
)
def test_norms_dominate(random: Cka) -> float:
    """How over-represented layer norms are among the layers that stay; 0 of none where no layer does."""
    layers = profile(random)
    high = [is_norm(layer) for layer, value in layers.items() if value > LOW]
    return (mean(high) if high else 0.0) - mean(is_norm(layer) for layer in layers)


@as_retention(random_null_is_unlike)
@claim(
    "D3-list-exact",
    section="D.3",
    quote="24 of 34 layers are layer norm modules",
    scope="Hopper, medium, K=20, state token, random init; the paper's seed, here every seed",
    effect="whether all 24 layer norms and at most 15 other layers have CKA above 0.23",
    unit="true or false",
    needs={"random": RANDOM},
    trend=in_most_seeds(),
    paper=Paper("24 layer norms and 10 others (App. D.3; seen in fig. 1 too)"),
    deviations=(1, 17),
)
def test_list(random: Cka) -> float:
    """The printed list as a statement about any seed: every layer norm is on it, and few others."""
    layers = profile(random)
    every_norm = all(value > LOW for layer, value in layers.items() if is_norm(layer))
    others = sum(value > LOW for layer, value in layers.items() if not is_norm(layer))
    return float(every_norm and others <= 15)


@as_retention(random_null_is_unlike)
@claim(
    "D3-threshold",
    section="D.3",
    quote="we find the threshold … is around 0.38",
    scope="HalfCheetah (the panel that the text names), medium, K=20, state token, random init",
    effect="whether the layers with CKA above 0.38 are the 34 that are listed",
    unit="true or false",
    tasks=("halfcheetah",),
    needs={"random": RANDOM},
    trend=in_most_seeds(),
    paper=Paper(
        "contradicted by its own fig. 1: 0.38 gives 30 layers there and 10 on Hopper, not the 34 of the list; 0.23 on "
        "Hopper does"
    ),
    deviations=(17,),
)
def test_threshold(random: Cka) -> float:
    """Whether the stated threshold separates the listed layers from the rest on the stated panel."""
    layers = profile(random)
    listed = {layer for layer in layers if is_norm(layer) or layer in LISTED}
    return float(listed == {layer for layer, value in layers.items() if value > 0.38})


@claim(
    "S5.1-ln-related-to-pretraining",
    section="5.1",
    quote="the difference in CKA similarity of layer normalization can be related to the effect of pre-training",
    scope="three tasks, medium, K=20, state token, first against last epoch",
    effect="CKA of random minus language arm, in layer norms minus in other layers",
    unit="CKA",
    tasks=ALL_TASKS,
    needs={"random": RANDOM, "language": LANGUAGE},
    trend=above(0.0, interest=0.05, why="Unrelated windows scatter a layer's CKA by ±0.03; below 0.05 is noise."),
    paper=Paper("+0.20 / +0.49 / +0.36 (seed 666), +0.29 / +0.07 / +0.11 (seed 42) [fig. 1, J.1]"),
    deviations=(1,),
)
def test_norms_related(random: Cka, language: Cka) -> float:
    """Whether the two arms differ in layer norms more than elsewhere."""
    layers = excess(random, language)
    return mean(layers[one] for one in layers if is_norm(one)) - mean(layers[one] for one in layers if not is_norm(one))


@as_retention(null_network_is_unlike)
@claim(
    "S5.1-multimodal-differs",
    section="5.1",
    quote="performs as well as or better than the baseline but largely changes the representation",
    scope="three tasks, medium, K=20, state token, first against last epoch",
    effect="mean CKA of blocks 0-3, language pre-trained",
    unit="CKA",
    tasks=ALL_TASKS,
    needs={"language": LANGUAGE},
    parts=("S4-gpt2-not-worse", "S5.1-cka-gpt2-low"),
    trend=LESS_THAN_HALF,
    paper=Paper("0.162 / 0.197 / 0.142 [fig. 1]"),
    deviations=(1,),
)
def test_shallow_third_changes(language: Cka) -> float:
    """What the language arm keeps of its first third, where multimodal models are said to keep theirs."""
    return mean(value for layer, value in profile(language).items() if block(layer) < 4)


BETWEEN = {
    "random_language": Need("cka_between", arm="random_init", versus="language_pretrained"),
    "random_image": Need("cka_between", arm="random_for_image", versus="image_pretrained"),
    "language_image": Need("cka_between", arm="language_pretrained", versus="image_pretrained"),
    "random_seeds": Need("cka_between", arm="random_init", next_seed=True),
    "language_seeds": Need("cka_between", arm="language_pretrained", next_seed=True),
    "image_seeds": Need("cka_between", arm="image_pretrained", next_seed=True),
}
PAIRS = ("random_language", "random_image", "language_image")
NULL_PAIRS = {
    f"{pair}_null": Need(BETWEEN[pair].quantity, **BETWEEN[pair].condition, parameters={"null": True}) for pair in PAIRS
}
CROSS = {
    "small": level_below(LOW, why="The paper's own line between low and high."),
    "same arm minus other": above(0.0),
}
"""The second: two seeds of one arm must be more alike than two arms, or low says nothing about different arms."""


def same_minus_other(values: dict[str, float]) -> float:
    """How much more alike the networks of two seeds of one arm are than those of two arms, means of three each."""
    same = mean(values[seeds] for seeds in ("random_seeds", "language_seeds", "image_seeds"))
    return same - mean(values[pair] for pair in PAIRS)


@claim(
    "D4-cross-model-low",
    section="D.4",
    quote="CKA values in these heat maps are small, confirming that different models learn different representations",
    scope="Hopper, medium, K=20, state token, last epoch, all pairs of layers",
    effect="mean CKA between all layers of two networks: of the two arms most alike, and of two seeds of one arm less "
    "that of two arms",
    unit="CKA",
    needs=BETWEEN,
    trend=CROSS,
    paper=Paper("small by eye (heat maps of App. D.4)"),
    deviations=(1, 16),
)
def test_other_models_differ(**values: float) -> dict[str, float]:
    """How alike the trained networks of two arms are at most, and how much more alike two seeds of one arm are."""
    return {"small": max(values[pair] for pair in PAIRS), "same arm minus other": same_minus_other(values)}


def other_models_differ(**values: float) -> dict[str, float]:
    """How alike the networks of two arms are at most, beyond two random networks that see the same windows, and how
    much more alike two seeds of one arm are than two arms."""
    beyond = max(values[pair] - values[f"{pair}_null"] for pair in PAIRS)
    return {"small": beyond, "same arm minus other": same_minus_other(values)}


test_other_models_differ = test_other_models_differ.corrected(
    "cka_axis",
    effect="mean CKA between all layers of two networks: of the two arms most alike, less that of two random networks "
    "of their configurations; and of two seeds of one arm less that of two arms",
    unit="CKA",
    needs={**BETWEEN, **NULL_PAIRS},
    trend=CROSS,
)(other_models_differ)


@claim(
    "J1-models-differ",
    section="J.1",
    quote="(figures)",
    scope="HalfCheetah and Walker2d, medium, K=20, state token, last epoch, all pairs of layers",
    effect="mean CKA between all layers of two networks, of two seeds of one arm less that of two arms",
    unit="CKA",
    tasks=OTHER_TASKS,
    needs=BETWEEN,
    trend=above(0.0),
    paper=Paper("small between arms by eye (heat maps of App. J.1)"),
    deviations=(1, 16),
)
def test_other_models_differ_on_other_tasks(**values: float) -> float:
    """How much more alike two seeds of one arm are than two arms, where D4-cross-model-low asks it of Hopper."""
    return same_minus_other(values)


@claim(
    "D5-random-lattice",
    section="D.5",
    quote="randomly initialized model has an almost equally divided lattice structure, while pre-trained models have "
    "some block-like structure",
    scope="Hopper, medium, K=20, state token, last epoch",
    effect="mean CKA between layers of different blocks, language pre-trained minus random init",
    unit="CKA",
    needs={"language": LANGUAGE_GRID, "random": RANDOM_GRID},
    trend=above(0.0),
    paper=Paper("by eye (heat maps of App. D.5)"),
    deviations=(1,),
)
def test_lattice(language: Grid, random: Grid) -> float:
    """Whether blocks resemble one another more in the language arm than in the random one."""
    return off_diagonal(language) - off_diagonal(random)


@claim(
    "D5-random-lattice-igpt",
    section="D.5",
    quote="randomly initialized model has an almost equally divided lattice structure, while pre-trained models have "
    "some block-like structure",
    scope="Hopper, medium, K=20, state token, last epoch, image arm",
    effect="mean CKA between layers of different blocks, image pre-trained minus random init",
    unit="CKA",
    needs={"image": IMAGE_GRID, "random": Need("cka_grid", arm="random_for_image")},
    trend=above(0.0),
    checks=(image_fails,),
    paper=Paper("by eye (heat maps of App. D.5)"),
    deviations=(1, 7),
)
def test_lattice_of_image(image: Grid, random: Grid) -> float:
    """Whether blocks resemble one another more in the image arm than in the random one."""
    return off_diagonal(image) - off_diagonal(random)


GRIDS_BY_TOKEN = {
    f"{name}_{token}": Need("cka_grid", arm=arm, parameters={"token": token})
    for name, arm in (("random", "random_init"), ("language", "language_pretrained"))
    for token in TOKENS
}


@claim(
    "J1-lattice",
    section="J.1",
    quote="(figures)",
    scope="three tasks, medium, K=20, state, action and return-to-go token, last epoch",
    effect="mean CKA between layers of different blocks, language pre-trained minus random init, at the token that "
    "shows it least",
    unit="CKA",
    tasks=ALL_TASKS,
    needs=GRIDS_BY_TOKEN,
    trend=above(0.0),
    paper=Paper("by eye (heat maps of App. J.1)"),
    deviations=(1,),
)
def test_lattice_at_other_tokens(**grids: Grid) -> float:
    """D5-random-lattice at every token, on every task."""
    return min(off_diagonal(grids[f"language_{token}"]) - off_diagonal(grids[f"random_{token}"]) for token in TOKENS)


@claim(
    "D5-gpt2-groups",
    section="D.5",
    quote="shallow blocks and the middle to top blocks of language-pre-trained model have a bit similar "
    "representation, respectively",
    scope="Hopper, medium, K=20, state token, last epoch; blocks 0-2 and 3-11, the split of section 5.3",
    effect="mean CKA within the two groups of blocks minus between them, language pre-trained minus random init",
    unit="CKA",
    needs={"language": LANGUAGE_GRID, "random": RANDOM_GRID},
    trend=above(0.0),
    paper=Paper("by eye (heat map of App. D.5)"),
    deviations=(1,),
)
def test_groups(language: Grid, random: Grid) -> float:
    """How much more the blocks of one group resemble one another than those of two, beyond what distance in depth alone
    gives in the random arm."""
    return grouped(language) - grouped(random)


@claim(
    "D5-random-separate",
    section="D.5",
    quote="layers of random initialization process information separately",
    scope="Hopper, medium, K=20, state token, last epoch",
    effect="CKA within blocks minus between blocks, random init minus language pre-trained",
    unit="CKA",
    needs={"random": RANDOM_GRID, "language": LANGUAGE_GRID},
    trend=above(0.0),
    paper=Paper("by eye (heat maps of App. D.5)"),
    deviations=(1,),
)
def test_separate(random: Grid, language: Grid) -> float:
    """Whether the layers of a block are more of a kind of their own in the random arm."""
    return contrast(random) - contrast(language)


@claim(
    "D5-pre-grid",
    section="D.5",
    quote="We observe the grid structure at the initial state as well",
    scope="Hopper, medium, K=20, state token, epoch 0, three arms",
    effect="CKA within blocks minus between blocks, before fine-tuning, of the arm that shows it least",
    unit="CKA",
    needs={
        "random": Need("cka_grid", arm="random_init", parameters={"epoch": 0}),
        "language": Need("cka_grid", arm="language_pretrained", parameters={"epoch": 0}),
        "image": Need("cka_grid", arm="image_pretrained", parameters={"epoch": 0}),
    },
    trend=above(0.0),
    paper=Paper("by eye (heat maps of App. D.5)"),
    deviations=(1,),
)
def test_grid_before(random: Grid, language: Grid, image: Grid) -> float:
    """Whether blocks show as a grid before any fine-tuning in all three arms."""
    return min(contrast(random), contrast(language), contrast(image))


@claim(
    "J1-cka-tokens",
    section="J.1",
    quote="(figures, action and return-to-go)",
    scope="three tasks, medium, K=20, action and return-to-go token, first against last epoch",
    effect="mean CKA over layers, random init minus language pre-trained, at the token that shows it less",
    unit="CKA",
    tasks=ALL_TASKS,
    needs={"random": RANDOM, "language": LANGUAGE},
    trend=above(0.0),
    paper=Paper(
        "action +0.040 / +0.136 / +0.079, return-to-go +0.101 / +0.048 / +0.065 (seed 666); action -0.005 / +0.111 / "
        "+0.042, return-to-go -0.038 / +0.156 / +0.023 (seed 42, reversed on Hopper) [App. J.1]"
    ),
    deviations=(1, 18),
)
def test_other_tokens(random: Cka, language: Cka) -> float:
    """S5.1-cka-random-higher-gpt2 at the other two tokens."""
    return min(level(random, token) - level(language, token) for token in TOKENS[1:])


@claim(
    "J1-cka-seed42",
    section="J.1",
    quote="(figures, seed 42)",
    scope="three tasks by three tokens, medium, K=20, first against last epoch; the second seed, here every seed",
    effect="share of the 9 cells where random init has the higher mean CKA",
    unit="share of cells",
    tasks=(),
    needs={
        f"{arm}_{task}": Need("cka", arm=f"{arm}_{start}", task=task)
        for task in ALL_TASKS
        for arm, start in (("random", "init"), ("language", "pretrained"))
    },
    trend=above(0.5),
    paper=Paper(
        "9 of 9 cells (seed 666), 6 of 9: state +0.039 / +0.003 / -0.001, action -0.005 / +0.111 / +0.042, "
        "return-to-go -0.038 / +0.156 / +0.023 (seed 42) [App. J.1]"
    ),
    deviations=(1, 9),
)
def test_cells_of_a_seed(
    random_hopper: Cka,
    language_hopper: Cka,
    random_halfcheetah: Cka,
    language_halfcheetah: Cka,
    random_walker2d: Cka,
    language_walker2d: Cka,
) -> float:
    """In how many cells a seed has the sign that seed 666 has in all nine."""
    pairs = (
        (random_hopper, language_hopper),
        (random_halfcheetah, language_halfcheetah),
        (random_walker2d, language_walker2d),
    )
    return mean(float(level(one, token) > level(other, token)) for one, other in pairs for token in TOKENS)


reuse = composite(
    "SUM-5.1",
    section="5.1",
    headline=True,
    quote="Re-using representation is not the cause of the good performance of GPT2",
    scope="three tasks, medium, K=20; the causal test on Hopper, under corrected only",
    parts=("S5.1-cka-gpt2-low", "S4-gpt2-not-worse"),
    paper=Paper("inferred from the two, not measured"),
    deviations=(1, 3),
)


def reuse_without_structure(language: float, moments: float) -> float:
    """What is lost on Hopper if the backbone's weights keep their means and spreads but nothing that was learned."""
    return language - moments


reuse = reuse.corrected(
    "random_arch",
    effect="score, language pre-trained minus the same moments without structure",
    unit="normalised points",
    needs={
        "language": Need("score", arm="language_pretrained", task="hopper"),
        "moments": Need("score", arm="language_moments", task="hopper"),
    },
    trend=not_above(
        0.0,
        margin=HALF_OF_THE_DATA / 2,
        why="A quarter of what the data score at least: the performance does not rest on what brings less.",
    ),
)(reuse_without_structure)
