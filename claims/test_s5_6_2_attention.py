"""Section 5.6.2, Appendices I.2 and J.6.2: attention distance, and how fine-tuning changes it.

g_b is the attention gap of block b: how much the distance that block b looks back changes from epoch 0 to epoch 4. It
is a mean over all pairs of tokens under `published`, a share of the distance at epoch 0 under `corrected` (DEV-08).
Most claims are about ratios or signs of gaps, which mean the same in both units.
"""

from collections.abc import Sequence

from dtclaims import Need, Paper, above, below, by, claim, composite, in_most_seeds, level_above, level_below, mean
from dtclaims.errors import UndefinedMeasurement
from dtclaims.harness.stats.ranks import partial_rank_correlation, rank_correlation
from dtclaims.lab.design.blocks import EDGES, MIDDLE, OTHERS, against_random, against_sham, by_block, gains, replaced
from dtclaims.lab.design.tasks import ALL_TASKS

# Published: the paper's own runs, trained without context. Corrected: runs that have a context to attend to (DEV-08).
CONTEXT = by("context", one=1, twenty=20)
LANGUAGE = Need("attention_gap", arm="language_pretrained", context=CONTEXT)
BOTH = {"random": Need("attention_gap", arm="random_init", context=CONTEXT), "language": LANGUAGE}


def over(values: Sequence[float], blocks: Sequence[int]) -> float:
    """Mean over some blocks."""
    return mean(values[block] for block in blocks)


def differences(random: Sequence[float], language: Sequence[float]) -> list[float]:
    """The random arm's gaps minus the language arm's, by block."""
    return [ours - theirs for ours, theirs in zip(random, language, strict=True)]


def preserved_helps(gaps: Sequence[float], helps: Sequence[float], scale: Sequence[float] | None = None) -> float:
    """Rank correlation over blocks of a small gap and a gain, given their scale if told; 0 if nothing is left."""
    kept = [-gap for gap in gaps]
    try:
        return rank_correlation(kept, helps) if scale is None else partial_rank_correlation(kept, helps, scale)
    except UndefinedMeasurement:
        return 0.0


@claim(
    "S5.6.2-gap-gpt2-small",
    section="5.6.2",
    headline=True,
    quote="attention gaps of GPT2 except for block 1 are small",
    scope="Hopper, medium, epoch 4 of 40 against epoch 0; the other tasks are in S5.6.2-gap-near-zero",
    effect="largest attention gap of the language arm outside block 1, over that of block 1",
    unit="ratio",
    needs={"language": LANGUAGE},
    # One half: every other gap is nearer to none than to block 1's.
    trend=below(1.0, interest=0.5, why="?"),
    paper=Paper("0.27 (seed 666), 0.30 (seed 42) on Hopper [fig. 10, J.6]", (0.27, 0.30)),
    deviations=(3, 8),
)
def test_language_gaps_small(language: list[float]) -> float:
    """How the most changed of the language arm's other blocks compares with block 1."""
    return max(language[block] for block in OTHERS) / language[1]


@claim(
    "S5.6.2-gap-near-zero",
    section="5.6.2",
    headline=True,
    quote="gaps of language-pre-trained models are almost zero except for block 1 (and block 2 for HalfCheetah)",
    scope="Hopper, HalfCheetah, Walker2d, medium, epoch 4 of 40 against epoch 0",
    effect="mean attention gap of the language arm outside block 1 (and 2 on HalfCheetah), over an ordinary distance",
    # Of uniform attention under `published`; of the block itself at epoch 0 under `corrected`.
    unit="share of a distance",
    needs={"rest": Need("attention_gap_rest", arm="language_pretrained", context=CONTEXT)},
    # A tenth: the change is an order of magnitude below the distance that it changes.
    trend=below(1.0, interest=0.9, why="?"),
    tasks=ALL_TASKS,
    paper=Paper(
        "0.026 / 0.024 / 0.032 (seed 666), 0.034 / 0.030 / 0.028 (seed 42) of the uniform distance, Hopper / "
        "HalfCheetah / Walker2d [fig. 10, J.6]",
        {"hopper": (0.026, 0.034), "halfcheetah": (0.024, 0.030), "walker2d": (0.032, 0.028)},
    ),
    deviations=(3, 8),
)
def test_language_gaps_near_zero(rest: float) -> float:
    """How far the language arm's attention moves outside the blocks that the paper excepts."""
    return rest


@claim(
    "S5.6.2-gap-random-large",
    section="5.6.2",
    headline=True,
    quote="while those for the randomly initialized model are large",
    scope="Hopper, HalfCheetah, Walker2d, medium, all blocks but block 1, epoch 4 of 40 against epoch 0",
    effect="mean attention gap over blocks, random init against language pre-trained",
    # Mean |i - j| over all entries under `published`, a share of the initial distance under `corrected`.
    unit={"ratio": "ratio", "difference": "distance"},
    needs=BOTH,
    # 1.25: the smallest ratio the inventory calls larger.
    trend={"ratio": above(1.0, interest=0.25, why="?"), "difference": above(0.0)},
    tasks=ALL_TASKS,
    paper=Paper(
        "3.4 / 10.5 / 16.6 times (seed 666), 2.2 / 11.7 / 10.4 times (seed 42), Hopper / HalfCheetah / Walker2d; "
        "blocks 3-10 of Hopper 0.015 vs 0.002 [fig. 10, J.6]",
        {"hopper": (3.40, 0.010), "halfcheetah": (10.54, 0.061), "walker2d": (16.60, 0.082)},
    ),
    deviations=(3, 4, 8),
)
def test_gap_random_large(random: list[float], language: list[float]) -> dict[str, float]:
    """How much more the random arm's attention distances change than the language arm's."""
    ours, theirs = (over(gaps, OTHERS) for gaps in (random, language))
    return {"ratio": ours / theirs, "difference": ours - theirs}


@claim(
    "S5.6.2-mid-deep-clearer",
    section="5.6.2",
    quote="This trend is clearer from middle to deep blocks (3 to 10) for all environments",
    scope="Hopper, HalfCheetah, Walker2d, medium, epoch 4 of 40 against epoch 0",
    effect="excess gap of the random arm, blocks 3-10 minus blocks 0, 1, 2 and 11",
    unit="distance",
    needs=BOTH,
    trend=above(0.0),
    tasks=ALL_TASKS,
    paper=Paper(
        "+0.003 / +0.055 / +0.033 (seed 666), +0.022 / +0.014 / +0.004 (seed 42), Hopper / HalfCheetah / Walker2d "
        "[fig. 10, J.6]",
        {"hopper": (0.0026, 0.0218), "halfcheetah": (0.0554, 0.0139), "walker2d": (0.0325, 0.0039)},
    ),
    deviations=(3, 4, 8),
)
def test_clearer_in_the_middle(random: list[float], language: list[float]) -> float:
    """Whether the arms differ more in the middle than at the edges."""
    excess = differences(random, language)
    return over(excess, MIDDLE) - over(excess, EDGES)


@claim(
    "S5.6.2-hc-block2",
    section="5.6.2",
    quote="(and block 2 for HalfCheetah)",
    scope="HalfCheetah against Hopper and Walker2d, medium, epoch 4 of 40 against epoch 0",
    effect="attention gap of the language arm in block 2, over that in block 1",
    unit="ratio",
    needs={
        task: Need("attention_gap", arm="language_pretrained", context=CONTEXT, task=task)
        for task in ("halfcheetah", "hopper", "walker2d")
    },
    # One half: nearer to block 1's gap than to none on HalfCheetah, the other way round elsewhere.
    trend={
        "halfcheetah": above(0.0, interest=0.5, why="?"),
        "hopper": below(1.0, interest=0.5, why="?"),
        "walker2d": below(1.0, interest=0.5, why="?"),
    },
    tasks=(),
    paper=Paper(
        "0.57 on HalfCheetah vs 0.23 / 0.22 on Hopper / Walker2d (seed 666); 0.23 vs 0.30 / 0.21 (seed 42) "
        "[fig. 10, J.6]",
        (0.57, 0.23, 0.22),
    ),
    deviations=(8, 9),
)
def test_block_2_of_halfcheetah(**gaps: list[float]) -> dict[str, float]:
    """Whether block 2 is an exception on HalfCheetah and on it alone."""
    return {task: found[2] / found[1] for task, found in gaps.items()}


@claim(
    "S5.6.2-block1-exception-gpt2",
    section="5.6.2",
    quote="except for block 1",
    scope="Hopper, HalfCheetah, Walker2d, medium, epoch 4 of 40 against epoch 0",
    effect="block 1 has the largest of the language arm's 12 attention gaps",
    unit="share of seeds",
    needs={"language": LANGUAGE},
    trend=in_most_seeds(),
    tasks=ALL_TASKS,
    paper=Paper(
        "true on all tasks for both seeds [fig. 10, J.6]",
        {"hopper": (1.0, 1.0), "halfcheetah": (1.0, 1.0), "walker2d": (1.0, 1.0)},
    ),
    deviations=(3, 8),
)
def test_block_1_is_the_exception(language: list[float]) -> float:
    """Whether block 1 is where the language arm's attention changes most."""
    return float(language[1] > max(language[block] for block in OTHERS))


@claim(
    "S5.6.2-blocks3-10-error-faster",
    section="5.6.2",
    quote="action error of these blocks decreases faster than the other block (0 to 2 and 11)",
    scope="Hopper, medium, K=1, epochs 1-10 of 40, one block replaced",
    effect="mean action error with a block at the edges replaced, minus that with a middle block (3-10) replaced",
    unit="squared action",
    needs=replaced("block_error", "language"),
    # 0.05: a tenth of the error of a constant prediction.
    trend=above(0.0, interest=0.05, why="?"),
    paper=Paper("+0.33 (seed 666), +0.18 (seed 42, 5 epochs) [fig. 9a, J.6]", (0.33, 0.18)),
    deviations=(9, 12, 13, 31),
)
def test_middle_blocks_learn_faster(**errors: float) -> float:
    """How much lower the early action error is with a middle block of the language model than with one at the edges."""
    found = by_block(errors)
    return over(found, EDGES) - over(found, MIDDLE)


def middle_blocks_learn_faster_than_shams(**errors: float) -> float:
    """How much more a middle block lowers the error below its permuted sham's than one at the edges."""
    found = gains(errors)
    return over(found, EDGES) - over(found, MIDDLE)


test_middle_blocks_learn_faster = test_middle_blocks_learn_faster.corrected(
    "block_sham",
    effect="the same difference between edges and middle, each block's error less its permuted sham's",
    unit="squared action",
    needs=against_sham("block_error"),
    # 0.05: a tenth of the error of a constant prediction.
    trend=above(0.0, interest=0.05, why="?"),
)(middle_blocks_learn_faster_than_shams)


@claim(
    "S5.6.2-epoch4-contrast",
    section="5.6.2",
    quote="at epoch 4 for all environments the randomly initialized model still produces a low return, while the GPT2 "
    "achieves a high return",
    scope="Hopper, HalfCheetah, Walker2d, medium, K=1, epoch 4 of 40",
    effect="score at epoch 4",
    unit="normalised points",
    needs={
        "language": Need("score_at", arm="language_pretrained", context=1),
        "random": Need("score_at", arm="random_init", context=1),
    },
    # 20: twice the line below which a cell of the paper fails, half of what its working cells reach.
    trend={"language": level_above(20.0, why="?"), "random": level_below(20.0, why="?")},
    tasks=ALL_TASKS,
    paper=Paper(
        "language 1.6 / 40.3 / 56.9 (seed 666), 38.5 / 38.9 / 1.8 (seed 42); random at most 4.4; Hopper / "
        "HalfCheetah / Walker2d [fig. 8, J.5]",
        {"hopper": (1.6, -0.6), "halfcheetah": (40.3, 4.4), "walker2d": (56.9, 1.5)},
    ),
    deviations=(9, 27),
)
def test_contrast_at_epoch_4(language: float, random: float) -> dict[str, float]:
    """The levels of both arms at the epoch whose attention the paper looks at."""
    return {"language": language, "random": random}


@claim(
    "S5.6.2-preserved-helps",
    section="5.6.2",
    headline=True,
    quote="these preserved attention distances are likely to positively affect fine-tuning",
    scope="Hopper, medium, over the 12 blocks: attention gap at epoch 4, replacement's score over epochs 1-10",
    effect="rank correlation over blocks of a small attention gap and a high score with that block replaced",
    unit="rank correlation",
    needs={"language": LANGUAGE, **against_random("block_return")},
    trend=above(0.0),
    paper=Paper("not computed; from its figures 0.46 (seed 666), 0.27 (seed 42) [fig. 9b, 10, J.6]", (0.46, 0.27)),
    deviations=(8, 9, 13),
)
def test_preserved_attention_helps(language: list[float], **blocks: float) -> float:
    """Whether blocks whose attention stays where it was are those that help most when put into the random arm."""
    return preserved_helps(language, gains(blocks))


def preserved_attention_helps_beyond_shams(language: list[float], scale: list[float], **blocks: float) -> float:
    """Whether blocks whose attention stays help most beyond their shams; blocks of large weights move less anyway."""
    return preserved_helps(language, gains(blocks), scale)


test_preserved_attention_helps = test_preserved_attention_helps.corrected(
    "block_sham",
    effect="the same correlation, of the score beyond a permuted sham's and given the scale of the block's weights",
    unit="rank correlation",
    needs={
        "language": LANGUAGE,
        "scale": Need("block_scale", arm="language_pretrained", context=1),
        **against_sham("block_return"),
    },
    trend=above(0.0),
)(preserved_attention_helps_beyond_shams)


@claim(
    "J6-att-epochs",
    section="J.6.2",
    quote="(figures, epochs 1, 10, 40)",
    scope="Hopper, HalfCheetah, Walker2d, medium, all blocks but block 1, epochs 1, 10 and 40 against epoch 0",
    effect="mean attention gap over blocks, random init over language pre-trained",
    unit="ratio",
    needs={
        f"{name}_{epoch}": Need("attention_gap", arm=arm, context=CONTEXT, parameters={"epoch": epoch})
        for epoch in (1, 10, 40)
        for name, arm in (("random", "random_init"), ("language", "language_pretrained"))
    },
    # 1.25: the smallest ratio the inventory calls larger. A ratio above 1 is a difference above 0.
    trend={f"epoch_{epoch}": above(1.0, interest=0.25, why="?") for epoch in (1, 10, 40)},
    tasks=ALL_TASKS,
    paper=Paper(
        "epoch 1: 5.5 / 3.4 / 9.4, epoch 10: 1.9 / 6.9 / 20.6, epoch 40: 2.3 / 2.2 / 4.9 (seed 666), Hopper / "
        "HalfCheetah / Walker2d [J.6]",
        {"hopper": (5.51, 1.90, 2.34), "halfcheetah": (3.42, 6.91, 2.20), "walker2d": (9.39, 20.58, 4.94)},
    ),
    deviations=(3, 4, 8),
)
def test_gap_random_large_at_other_epochs(**gaps: list[float]) -> dict[str, float]:
    """How much more the random arm's attention distances change than the language arm's, early and late."""
    return {
        f"epoch_{epoch}": over(gaps[f"random_{epoch}"], OTHERS) / over(gaps[f"language_{epoch}"], OTHERS)
        for epoch in (1, 10, 40)
    }


@claim(
    "J6-att-seed42",
    section="J.6.2",
    quote="(figure)",
    scope="Hopper, HalfCheetah, Walker2d, medium, all blocks but block 1, epoch 4 of 40 against epoch 0; the paper's "
    "second seed, every seed of ours",
    effect="mean attention gap over blocks is at least 1.25 times larger in the random arm",
    unit="share of seeds",
    needs=BOTH,
    trend=in_most_seeds(),
    tasks=ALL_TASKS,
    paper=Paper(
        "true: 2.2 / 11.7 / 10.4 times (seed 42), Hopper / HalfCheetah / Walker2d [J.6]",
        {"hopper": (1.0,), "halfcheetah": (1.0,), "walker2d": (1.0,)},
    ),
    deviations=(3, 4, 8, 9),
)
def test_gap_random_large_on_another_seed(random: list[float], language: list[float]) -> float:
    """Whether a seed shows what S5.6.2-gap-random-large says of their mean."""
    return float(over(random, OTHERS) > 1.25 * over(language, OTHERS))


way_to_use_context = composite(
    "SUM-5.6.2",
    section="5.6.2",
    headline=True,
    quote="A cause of the good performance of GPT2 is a pre-acquired way to use context",
    parts=(
        "S5.6.2-gap-gpt2-small",
        "S5.6.2-gap-near-zero",
        "S5.6.2-gap-random-large",
        "S5.6.2-preserved-helps",
    ),
    scope="Holds if its parts do; under the corrected protocol also if the score falls when the language model's "
    "queries and keys are redrawn, on Hopper, HalfCheetah and Walker2d, K=1 and K=20",
    tasks=ALL_TASKS,
    paper=Paper("an inference from the attention gaps; no intervention was tried"),
    deviations=(3, 8, 9, 13),
)


def language_needs_its_queries_and_keys(
    language_1: float, redrawn_1: float, language_20: float, redrawn_20: float
) -> dict[str, float]:
    """What the way to attend is worth: the same weights but for the queries and keys that the paper credits."""
    return {"without_context": language_1 - redrawn_1, "with_context": language_20 - redrawn_20}


way_to_use_context = way_to_use_context.corrected(
    "att_dist",
    effect="score of the language arm, minus that with queries and keys of blocks 3-10 redrawn before fine-tuning",
    unit="normalised points",
    needs={
        "language_1": Need("score", arm="language_pretrained", context=1),
        "redrawn_1": Need("score", arm="language_qk_3_10_redrawn", context=1),
        "language_20": Need("score", arm="language_pretrained", context=20),
        "redrawn_20": Need("score", arm="language_qk_3_10_redrawn", context=20),
    },
    # 5 points: twice the largest two-seed ± of Tables 1 and 2 for a model that learns.
    trend={"without_context": above(0.0, interest=5, why="?"), "with_context": above(0.0, interest=5, why="?")},
)(language_needs_its_queries_and_keys)
