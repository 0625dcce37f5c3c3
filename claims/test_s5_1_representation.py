"""Section 5.1, Appendices D and J.1: representations before and after fine-tuning (CKA).

A profile is the CKA of each layer before against after fine-tuning, at the state token unless said. 0.23 is the paper's
own line between low and high; under `corrected` it applies to the rescaled value (DEV-01).
"""

from typing import Any

from dtclaims import Need, Paper, above, below, claim, composite, in_most_seeds, level_above, level_below, mean
from dtclaims.lab.design.tasks import ALL_TASKS

LOW = 0.23
NORMS = ("ln_1", "ln_2")

# App. D.3: the ten layers that it lists beside all 24 layer norms.
LISTED = {f"h.{number}.attn.c_attn" for number in (0, 1, 4, 5, 6, 10)}
LISTED |= {"h.0.mlp.c_fc", "h.0.mlp.c_proj", "h.0.mlp.dropout", "h.3.mlp.c_fc"}

RANDOM = Need("cka", arm="random_init")
LANGUAGE = Need("cka", arm="language_pretrained")
IMAGE = Need("cka", arm="image_pretrained")
# The random arm with the image arm's depth and width, where that is to be had.
RANDOM_FOR_IMAGE = Need("cka", arm="random_for_image")

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


def contrast(grid: Grid) -> float:
    """How much more alike layers of one block are than layers of two."""
    return mean(row[i] for i, row in enumerate(grid)) - off_diagonal(grid)


@claim(
    "S5.1-cka-gpt2-low",
    section="5.1",
    headline=True,
    quote="CKAs of pre-trained models (GPT2 and iGPT) are uniformly low across layers except for a few layers",
    scope="three tasks, medium, K=20, state token, first against last epoch, language arm",
    effect="share of layers with CKA below 0.23, language pre-trained",
    unit="share of layers",
    tasks=ALL_TASKS,
    needs={"language": LANGUAGE},
    # 0.8: "a few" exceptions are under a fifth.
    trend=level_above(0.8, why="?"),
    paper=Paper(
        "100, 95 and 99 of 108 layers; mean CKA 0.116 / 0.154 / 0.101 [fig. 1]",
        {"hopper": (100 / 108,), "halfcheetah": (95 / 108,), "walker2d": (99 / 108,)},
    ),
    deviations=(1, 3),
)
def test_language_low(language: Cka) -> float:
    """How many layers of the language arm end far from where they started."""
    return low_share(language)


@claim(
    "S5.1-cka-igpt-low",
    section="5.1",
    headline=True,
    quote="CKAs of pre-trained models (GPT2 and iGPT) are uniformly low across layers except for a few layers",
    scope="three tasks, medium, K=20, state token, first against last epoch, image arm",
    effect="share of layers with CKA below 0.23, image pre-trained",
    unit="share of layers",
    tasks=ALL_TASKS,
    needs={"image": IMAGE},
    # 0.8: "a few" exceptions are under a fifth.
    trend=level_above(0.8, why="?"),
    paper=Paper(
        "107, 106 and 97 of 108 layer pairs; mean CKA 0.065 / 0.040 / 0.113 [fig. 1]",
        {"hopper": (107 / 108,), "halfcheetah": (106 / 108,), "walker2d": (97 / 108,)},
    ),
    deviations=(1, 7, 18),
)
def test_image_low(image: Cka) -> float:
    """How many layers of the image arm end far from where they started."""
    return low_share(image)


@claim(
    "S5.1-pretrained-change-rep",
    section="5.1",
    headline=True,
    quote="pre-trained models largely change representation",
    scope="three tasks, medium, K=20, state token, first against last epoch, both pre-trained arms",
    effect="mean CKA over layers, less what unrelated windows give",
    unit="CKA",
    tasks=ALL_TASKS,
    needs={"language": LANGUAGE, "image": IMAGE},
    # 0.5: less is kept than is changed; 1 would be no change.
    trend={"language": below(1.0, interest=0.5, why="?"), "image": below(1.0, interest=0.5, why="?")},
    paper=Paper(
        "language 0.116 / 0.154 / 0.101, image 0.065 / 0.040 / 0.113 [fig. 1]",
        {"hopper": (0.116, 0.065), "halfcheetah": (0.154, 0.040), "walker2d": (0.101, 0.113)},
    ),
    deviations=(1,),
)
def test_pretrained_change(language: Cka, image: Cka) -> dict[str, float]:
    """What both pre-trained arms keep of their initial representation, above the level of chance."""
    return {"language": level(language) - language["floor"], "image": level(image) - image["floor"]}


@claim(
    "S5.1-cka-random-shallow-mid",
    section="5.1",
    quote="representations have a higher similarity to the initial state from the middle to the shallow layers",
    scope="three tasks, medium, K=20, state token, first against last epoch, random init",
    effect="mean CKA of blocks 0-7 minus that of blocks 8-11, random init",
    unit="CKA",
    tasks=ALL_TASKS,
    needs={"random": RANDOM},
    # 0.05: above the scatter of ±0.03 that unrelated data give at 100 windows.
    trend=above(0.0, interest=0.05, why="?"),
    paper=Paper(
        "thirds 0.246/0.133/0.133, 0.282/0.243/0.256, 0.241/0.151/0.147 [fig. 1]",
        {"hopper": (0.0565,), "halfcheetah": (0.0065,), "walker2d": (0.049,)},
    ),
    deviations=(1,),
)
def test_random_shallow(random: Cka) -> float:
    """How much more of the first two thirds of the random arm than of the last third stays as it was."""
    layers = profile(random)
    return mean(layers[one] for one in layers if block(one) < 8) - mean(layers[one] for one in layers if block(one) > 7)


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
        "+0.055 / +0.106 / +0.078 (seed 666), +0.039 / +0.003 / -0.001 (seed 42) [fig. 1, J.1]",
        {"hopper": (0.055,), "halfcheetah": (0.106,), "walker2d": (0.078,)},
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
    # 0.05: above the scatter of ±0.03 that unrelated data give at 100 windows.
    trend=above(0.0, interest=0.05, why="?"),
    paper=Paper(
        "+0.106 / +0.220 / +0.066 [fig. 1]", {"hopper": (0.106,), "halfcheetah": (0.221,), "walker2d": (0.067,)}
    ),
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
    # 0.75: a clear majority, where chance gives 0.5.
    trend=above(0.5, interest=0.25, why="?"),
    paper=Paper(
        "0.61 / 0.56 / 0.66 (seed 666), 0.52 / 0.40 / 0.37 (seed 42) [fig. 1, J.1]",
        {"hopper": (0.61,), "halfcheetah": (0.56,), "walker2d": (0.66,)},
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
        "not quantified; its curves of both seeds give 0.111 - 0.109, 0.192 - 0.095, 0.134 - 0.065 [fig. 1, J.1]",
        {"hopper": (0.002,), "halfcheetah": (0.096,), "walker2d": (0.069,)},
    ),
    deviations=(1,),
)
def test_structure_differs(random: Cka, language: Cka, seeds: float) -> float:
    """Whether the profiles of two arms differ more, layer by layer, than those of one arm's two seeds."""
    return mean(abs(value) for value in excess(random, language).values()) - seeds


@claim(
    "S5.1-ln-dominates-high",
    section="5.1",
    quote="most of them are layer normalization layers",
    scope="Hopper, medium, K=20, state token, random init",
    effect="share of layer norms among layers with CKA above 0.23, less their share of all layers",
    unit="share of layers",
    needs={"random": RANDOM},
    # 0.25: with a base rate of 24 in 108, the smallest round excess that makes a near majority.
    trend=above(0.0, interest=0.25, why="?"),
    paper=Paper("24 of 34 = 0.71, base rate 0.22 (App. D.3)", (24 / 34 - 24 / 108,)),
    deviations=(1, 16, 17),
)
def test_norms_dominate(random: Cka) -> float:
    """How over-represented layer norms are among the layers that stay; 0 of none where no layer does."""
    layers = profile(random)
    high = [is_norm(layer) for layer, value in layers.items() if value > LOW]
    return (mean(high) if high else 0.0) - mean(is_norm(layer) for layer in layers)


@claim(
    "D3-list-exact",
    section="D.3",
    quote="24 of 34 layers are layer norm modules",
    scope="Hopper, medium, K=20, state token, random init; the paper's seed, here every seed",
    effect="whether all 24 layer norms and at most 15 other layers have CKA above 0.23",
    unit="true or false",
    needs={"random": RANDOM},
    trend=in_most_seeds(),
    paper=Paper("24 layer norms and 10 others (App. D.3; seen in fig. 1 too)", (1.0,)),
    deviations=(1, 17),
)
def test_list(random: Cka) -> float:
    """The printed list as a statement about any seed: every layer norm is on it, and few others."""
    layers = profile(random)
    every_norm = all(value > LOW for layer, value in layers.items() if is_norm(layer))
    others = sum(value > LOW for layer, value in layers.items() if not is_norm(layer))
    return float(every_norm and others <= 15)


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
    paper=Paper("0.38 gives 30 layers there and 10 on Hopper, not the 34 of the list; 0.23 on Hopper does", (0.0,)),
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
    # 0.05: above the scatter of ±0.03 that unrelated data give at 100 windows.
    trend=above(0.0, interest=0.05, why="?"),
    paper=Paper("+0.20 / +0.49 / +0.36 [fig. 1]", {"hopper": (0.20,), "halfcheetah": (0.49,), "walker2d": (0.36,)}),
    deviations=(1,),
)
def test_norms_related(random: Cka, language: Cka) -> float:
    """Whether the two arms differ in layer norms more than elsewhere."""
    layers = excess(random, language)
    return mean(layers[one] for one in layers if is_norm(one)) - mean(layers[one] for one in layers if not is_norm(one))


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
    # 0.5: less is kept than is changed; 1 would be no change.
    trend=below(1.0, interest=0.5, why="?"),
    paper=Paper("0.162 / 0.197 / 0.142 [fig. 1]", {"hopper": (0.162,), "halfcheetah": (0.197,), "walker2d": (0.142,)}),
    deviations=(1,),
)
def test_shallow_third_changes(language: Cka) -> float:
    """What the language arm keeps of its first third, where multimodal models are said to keep theirs."""
    return mean(value for layer, value in profile(language).items() if block(layer) < 4)


@claim(
    "D4-cross-model-low",
    section="D.4",
    quote="CKA values in these heat maps are small, confirming that different models learn different representations",
    scope="Hopper, medium, K=20, state token, last epoch, all pairs of layers",
    effect="mean CKA between all layers of two networks",
    unit="CKA",
    needs={
        "random_language": Need("cka_between", arm="random_init", versus="language_pretrained"),
        "random_image": Need("cka_between", arm="random_for_image", versus="image_pretrained"),
        "language_image": Need("cka_between", arm="language_pretrained", versus="image_pretrained"),
        "random_seeds": Need("cka_between", arm="random_init", next_seed=True),
        "language_seeds": Need("cka_between", arm="language_pretrained", next_seed=True),
        "image_seeds": Need("cka_between", arm="image_pretrained", next_seed=True),
    },
    trend={
        "random and language": level_below(LOW, why="?"),
        "random and image": level_below(LOW, why="?"),
        "language and image": level_below(LOW, why="?"),
        # 0.05: two seeds of one arm must be more alike than two arms, or low says nothing about different arms.
        "same arm minus other": above(0.0, interest=0.05, why="?"),
    },
    paper=Paper("small by eye (heat maps of App. D.4)"),
    deviations=(1, 16),
)
def test_other_models_differ(
    random_language: float,
    random_image: float,
    language_image: float,
    random_seeds: float,
    language_seeds: float,
    image_seeds: float,
) -> dict[str, float]:
    """How alike the trained networks of two arms are, and how much more alike two seeds of one arm are."""
    across = {
        "random and language": random_language,
        "random and image": random_image,
        "language and image": language_image,
    }
    same = mean((random_seeds, language_seeds, image_seeds))
    return {**across, "same arm minus other": same - mean(across.values())}


@claim(
    "D5-random-lattice",
    section="D.5",
    quote="randomly initialized model has an almost equally divided lattice structure, while pre-trained models have "
    "some block-like structure",
    scope="Hopper, medium, K=20, state token, last epoch",
    effect="mean CKA between layers of different blocks, language pre-trained minus random init",
    unit="CKA",
    needs={"language": Need("cka_grid", arm="language_pretrained"), "random": Need("cka_grid", arm="random_init")},
    # 0.05: above the scatter of ±0.03 that unrelated data give at 100 windows.
    trend=above(0.0, interest=0.05, why="?"),
    paper=Paper("by eye (heat maps of App. D.5)"),
    deviations=(1,),
)
def test_lattice(language: Grid, random: Grid) -> float:
    """Whether blocks resemble one another more in the language arm than in the random one."""
    return off_diagonal(language) - off_diagonal(random)


@claim(
    "D5-gpt2-groups",
    section="D.5",
    quote="shallow blocks and the middle to top blocks of language-pre-trained model have a bit similar "
    "representation, respectively",
    scope="Hopper, medium, K=20, state token, last epoch; blocks 0-2 and 3-11, the split of section 5.3",
    effect="mean CKA within the two groups of blocks minus between them, language pre-trained",
    unit="CKA",
    needs={"language": Need("cka_grid", arm="language_pretrained")},
    # 0.05: above the scatter of ±0.03 that unrelated data give at 100 windows.
    trend=above(0.0, interest=0.05, why="?"),
    paper=Paper("by eye (heat map of App. D.5)"),
    deviations=(1,),
)
def test_groups(language: Grid) -> float:
    """Whether different blocks of one group resemble one another more than blocks of the two groups do."""
    pairs = [(i, j, value) for i, row in enumerate(language) for j, value in enumerate(row) if i != j]
    within = mean(value for i, j, value in pairs if (i < 3) == (j < 3))
    return within - mean(value for i, j, value in pairs if (i < 3) != (j < 3))


@claim(
    "D5-random-separate",
    section="D.5",
    quote="layers of random initialization process information separately",
    scope="Hopper, medium, K=20, state token, last epoch",
    effect="CKA within blocks minus between blocks, random init minus language pre-trained",
    unit="CKA",
    needs={"random": Need("cka_grid", arm="random_init"), "language": Need("cka_grid", arm="language_pretrained")},
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
    effect="CKA within blocks minus between blocks, before fine-tuning",
    unit="CKA",
    needs={
        "random": Need("cka_grid", arm="random_init", parameters={"epoch": 0}),
        "language": Need("cka_grid", arm="language_pretrained", parameters={"epoch": 0}),
        "image": Need("cka_grid", arm="image_pretrained", parameters={"epoch": 0}),
    },
    trend={"random": above(0.0), "language": above(0.0), "image": above(0.0)},
    paper=Paper("by eye (heat maps of App. D.5)"),
    deviations=(1,),
)
def test_grid_before(random: Grid, language: Grid, image: Grid) -> dict[str, float]:
    """Whether blocks show as a grid before any fine-tuning."""
    return {"random": contrast(random), "language": contrast(language), "image": contrast(image)}


@claim(
    "J1-cka-tokens",
    section="J.1",
    quote="(figures, action and return-to-go)",
    scope="three tasks, medium, K=20, action and return-to-go token, first against last epoch",
    effect="mean CKA over layers, random init minus language pre-trained",
    unit="CKA",
    tasks=ALL_TASKS,
    needs={"random": RANDOM, "language": LANGUAGE},
    trend={"action": above(0.0), "return-to-go": above(0.0)},
    paper=Paper(
        "action +0.040 / +0.136 / +0.078, return-to-go +0.101 / +0.049 / +0.065 (seed 666) [App. J.1]",
        {"hopper": (0.040, 0.101), "halfcheetah": (0.136, 0.049), "walker2d": (0.078, 0.065)},
    ),
    deviations=(1, 18),
)
def test_other_tokens(random: Cka, language: Cka) -> dict[str, float]:
    """S5.1-cka-random-higher-gpt2 at the other two tokens."""
    tokens = {"action": "action", "return-to-go": "return_to_go"}
    return {name: level(random, token) - level(language, token) for name, token in tokens.items()}


@claim(
    "J1-cka-seed42",
    section="J.1",
    quote="(figures, seed 42)",
    scope="three tasks by three tokens, medium, K=20, first against last epoch; the second seed, here every seed",
    effect="whether random init has the higher mean CKA in at least 8 of 9 cells",
    unit="true or false",
    tasks=(),
    needs={
        f"{arm}_{task}": Need("cka", arm=f"{arm}_{start}", task=task)
        for task in ALL_TASKS
        for arm, start in (("random", "init"), ("language", "pretrained"))
    },
    trend=in_most_seeds(),
    paper=Paper(
        "6 of 9 cells: state +0.039 / +0.003 / -0.001, action -0.005 / +0.111 / +0.042, "
        "return-to-go -0.038 / +0.156 / +0.023 (seed 42) [App. J.1]",
        (0.0,),
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
    """Whether a seed has the sign that seed 666 has in all nine cells, one exception allowed."""
    pairs = (
        (random_hopper, language_hopper),
        (random_halfcheetah, language_halfcheetah),
        (random_walker2d, language_walker2d),
    )
    tokens = ("state", "action", "return_to_go")
    return float(sum(level(one, token) > level(other, token) for one, other in pairs for token in tokens) >= 8)


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
    # Above 0 would refute that re-use plays no part.
    trend=below(0.0),
)(reuse_without_structure)
