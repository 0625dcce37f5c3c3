"""Section 5.6.2, Appendices I.2 and J.6.2: attention distance, and how fine-tuning changes it.

g_b is the attention gap of block b: how much fine-tuning changes, from epoch 0 to epoch 4, the distance that block b
looks back (published), or where it looks (corrected: the share of attention that lies on other keys, DEV-08). Most
claims are about ratios or signs of gaps, which mean the same in both units.
"""

import math
from collections.abc import Mapping, Sequence
from statistics import pstdev

from checks import (
    HALF_OF_THE_DATA,
    SPREAD,
    WHY_HALF,
    WHY_SPREAD,
    block_1_is_unlike,
    random_fails_without_context,
    shams_fail_without_context,
)

from dtclaims import Need, Paper, above, below, by, claim, composite, in_most_seeds, level_above, level_below, mean
from dtclaims.errors import UndefinedMeasurement
from dtclaims.harness.stats.ranks import partial_rank_correlation, rank_correlation
from dtclaims.lab.design.blocks import (
    EDGES,
    MIDDLE,
    OTHERS,
    SHAM,
    against_random,
    against_sham,
    by_block,
    gains,
    replaced,
)
from dtclaims.lab.design.tasks import ALL_TASKS

# Published: the paper's own runs, trained without context. Corrected: runs that have a context to attend to (DEV-08).
CONTEXT = by("context", one=1, twenty=20)
LANGUAGE = Need("attention_gap", arm="language_pretrained", context=CONTEXT)
BOTH = {"random": Need("attention_gap", arm="random_init", context=CONTEXT), "language": LANGUAGE}

SMALL = below(1.0, interest=0.5, why="Half: a gap above that is nearer to block 1's than to none.")
LARGER = above(0.0, interest=math.log(1.25), why="A quarter more, the least that a reader of box plots would see.")
FEWER_ERRORS = above(0.0, interest=math.log(1.1), why="A tenth less error; one would not call less a finding.")


def over(values: Sequence[float], blocks: Sequence[int]) -> float:
    """Mean over some blocks."""
    return mean(values[block] for block in blocks)


def times_larger(random: Sequence[float], language: Sequence[float]) -> float:
    """Log of the mean gap of the random arm over that of the language arm, block 1 left out."""
    ours, theirs = over(random, OTHERS), over(language, OTHERS)
    if ours == 0 or theirs == 0:
        raise UndefinedMeasurement("no ratio of a gap that is 0", given=f"{ours:g} and {theirs:g}")
    return math.log(ours / theirs)


def correlation(one: Sequence[float], other: Sequence[float], given: Sequence[float] | None = None) -> float:
    """Rank correlation over blocks, partial if a third is given; 0 if nothing is left to correlate."""
    try:
        return rank_correlation(one, other) if given is None else partial_rank_correlation(one, other, given)
    except UndefinedMeasurement:
        return 0.0


def logs(errors: Mapping[str, float]) -> dict[str, float]:
    """Logarithms of errors, so that their differences are ratios."""
    return {name: math.log(error) for name, error in errors.items()}


@claim(
    "S5.6.2-gap-gpt2-small",
    section="5.6.2",
    headline=True,
    quote="attention gaps of GPT2 except for block 1 are small",
    scope="Hopper, medium, epoch 4 of 40 against epoch 0; the other tasks are in S5.6.2-gap-near-zero",
    effect="largest attention gap of the language arm outside block 1, over that of block 1",
    unit="ratio",
    needs={"language": LANGUAGE},
    trend=SMALL,
    checks=(block_1_is_unlike,),
    paper=Paper("0.27 (seed 666), 0.30 (seed 42) on Hopper [fig. 10, J.6]"),
    deviations=(3, 8),
)
def test_language_gaps_small(language: list[float]) -> float:
    """How the most changed of the language arm's other blocks compares with block 1."""
    if language[1] == 0:
        raise UndefinedMeasurement("no ratio to a block whose attention does not change", given="0 in block 1")
    return max(language[block] for block in OTHERS) / language[1]


@claim(
    "S5.6.2-gap-near-zero",
    section="5.6.2",
    headline=True,
    quote="gaps of language-pre-trained models are almost zero except for block 1 (and block 2 for HalfCheetah)",
    scope="Hopper, HalfCheetah, Walker2d, medium, epoch 4 of 40 against epoch 0",
    effect="mean attention gap of the language arm outside block 1 (and 2 on HalfCheetah), as a share",
    # Of the distance of uniform attention under `published`; of all attention under `corrected`.
    unit="share",
    needs={"rest": Need("attention_gap_rest", arm="language_pretrained", context=CONTEXT)},
    trend=level_below(
        0.1, why="Almost zero is an order of magnitude below the whole: an ordinary distance, or all attention."
    ),
    tasks=ALL_TASKS,
    paper=Paper(
        "0.026 / 0.024 / 0.032 (seed 666), 0.034 / 0.030 / 0.028 (seed 42) of the uniform distance, Hopper / "
        "HalfCheetah / Walker2d [fig. 10, J.6]"
    ),
    deviations=(3, 8),
)
def test_language_gaps_near_zero(rest: float) -> float:
    """How much the language arm's attention changes outside the blocks that the paper excepts."""
    return rest


@claim(
    "S5.6.2-gap-random-large",
    section="5.6.2",
    headline=True,
    quote="while those for the randomly initialized model are large",
    scope="Hopper, HalfCheetah, Walker2d, medium, all blocks but block 1, epoch 4 of 40 against epoch 0",
    effect="log of the ratio of mean attention gaps over blocks, random init over language pre-trained",
    unit="log ratio",
    needs=BOTH,
    trend=LARGER,
    tasks=ALL_TASKS,
    paper=Paper(
        "3.4 / 10.5 / 16.6 times (seed 666), 2.2 / 11.7 / 10.4 times (seed 42), Hopper / HalfCheetah / Walker2d; "
        "blocks 3-10 of Hopper 0.015 vs 0.002 [fig. 10, J.6]"
    ),
    deviations=(3, 4, 8),
)
def test_gap_random_large(random: list[float], language: list[float]) -> float:
    """How many times more the random arm's attention changes than the language arm's."""
    return times_larger(random, language)


@claim(
    "S5.6.2-mid-deep-clearer",
    section="5.6.2",
    quote="This trend is clearer from middle to deep blocks (3 to 10) for all environments",
    scope="Hopper, HalfCheetah, Walker2d, medium, epoch 4 of 40 against epoch 0",
    effect="attention gap, random init minus language pre-trained, blocks 3-10 minus blocks 0, 1, 2 and 11",
    # Mean |i - j| over all pairs of tokens under `published`, share of attention under `corrected`.
    unit="attention gap",
    needs=BOTH,
    trend=above(0.0),
    tasks=ALL_TASKS,
    paper=Paper(
        "+0.003 / +0.055 / +0.033 (seed 666), +0.022 / +0.014 / +0.004 (seed 42), Hopper / HalfCheetah / Walker2d "
        "[fig. 10, J.6]"
    ),
    deviations=(3, 4, 8),
)
def test_clearer_in_the_middle(random: list[float], language: list[float]) -> float:
    """Whether the arms differ more in the middle than at the edges."""
    excess = [ours - theirs for ours, theirs in zip(random, language, strict=True)]
    return over(excess, MIDDLE) - over(excess, EDGES)


@claim(
    "S5.6.2-hc-block2",
    section="5.6.2",
    quote="(and block 2 for HalfCheetah)",
    scope="HalfCheetah against Hopper and Walker2d, medium, epoch 4 of 40 against epoch 0",
    effect="attention gap of the language arm in block 2 over that in block 1, HalfCheetah minus the other task",
    unit="ratio",
    needs={
        task: Need("attention_gap", arm="language_pretrained", context=CONTEXT, task=task)
        for task in ("halfcheetah", "hopper", "walker2d")
    },
    trend={"over Hopper": above(0.0), "over Walker2d": above(0.0)},
    tasks=(),
    paper=Paper(
        "0.57 on HalfCheetah vs 0.23 / 0.22 on Hopper / Walker2d (seed 666); seed 42 contradicts it: 0.23 vs 0.30 / "
        "0.21 [fig. 10, J.6]"
    ),
    deviations=(8, 9),
)
def test_block_2_of_halfcheetah(**gaps: list[float]) -> dict[str, float]:
    """Whether block 2 is an exception on HalfCheetah and on it alone."""
    share = {}
    for task, found in gaps.items():
        if found[1] == 0:
            raise UndefinedMeasurement("no ratio to a block whose attention does not change", given=f"0 on {task}")
        share[task] = found[2] / found[1]
    return {
        "over Hopper": share["halfcheetah"] - share["hopper"],
        "over Walker2d": share["halfcheetah"] - share["walker2d"],
    }


@claim(
    "S5.6.2-block1-exception-gpt2",
    section="5.6.2",
    quote="except for block 1",
    scope="Hopper, HalfCheetah, Walker2d, medium, epoch 4 of 40 against epoch 0",
    effect="whether block 1 has the largest of the language arm's 12 attention gaps",
    unit="true or false",
    needs={"language": LANGUAGE},
    trend=in_most_seeds(),
    checks=(block_1_is_unlike,),
    tasks=ALL_TASKS,
    paper=Paper("true on all tasks for both seeds [fig. 10, J.6]"),
    deviations=(3, 8),
)
def test_block_1_is_the_exception(language: list[float]) -> float:
    """Whether block 1 is where the language arm's attention changes most. By luck it is in one of 12 seeds."""
    return float(language[1] > max(language[block] for block in OTHERS))


@claim(
    "S5.6.2-blocks3-10-error-faster",
    section="5.6.2",
    quote="action error of these blocks decreases faster than the other block (0 to 2 and 11)",
    scope="Hopper, medium, K=1, epochs 1-10 of 40, one block replaced",
    effect="log of the ratio of action errors, a block at the edges replaced over a middle block (3-10) replaced, mean "
    "over blocks",
    unit="log ratio",
    needs=replaced("block_error", "language"),
    trend=FEWER_ERRORS,
    paper=Paper("errors 2.0 times larger (seed 666), 1.4 times (seed 42, 5 epochs) [fig. 9a, J.6]"),
    deviations=(9, 12, 13, 31),
)
def test_middle_blocks_learn_faster(**errors: float) -> float:
    """How many times larger the early action error is with a block at the edges of the language model than with one in
    the middle."""
    found = by_block(logs(errors))
    return over(found, EDGES) - over(found, MIDDLE)


def middle_blocks_learn_faster_than_shams(**errors: float) -> float:
    """How many times more a middle block lowers the error below its permuted sham's than one at the edges."""
    found = gains(logs(errors))
    return over(found, EDGES) - over(found, MIDDLE)


test_middle_blocks_learn_faster = test_middle_blocks_learn_faster.corrected(
    "block_sham",
    effect="the same, of each block's error over its permuted sham's",
    unit="log ratio",
    needs=against_sham("block_error"),
    trend=FEWER_ERRORS,
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
    trend={
        "language": level_above(
            HALF_OF_THE_DATA,
            why="The data score 40 or more on every task; half of that is the least that one would call high.",
        ),
        "random": level_below(HALF_OF_THE_DATA, why=WHY_HALF),
    },
    tasks=ALL_TASKS,
    paper=Paper(
        "the paper's own data contradict this: language 1.6 / 40.3 / 56.9 (seed 666), 38.5 / 38.9 / 1.8 (seed 42); "
        "random at most 4.4; Hopper / HalfCheetah / Walker2d [fig. 8, J.5]"
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
    checks=(random_fails_without_context,),
    paper=Paper("not computed; from its figures 0.46 (seed 666), 0.27 (seed 42) [fig. 9b, 10, J.6]"),
    deviations=(8, 9, 13),
)
def test_preserved_attention_helps(language: list[float], **blocks: float) -> float:
    """Whether blocks whose attention stays where it was are those that help most when put into the random arm."""
    return correlation([-gap for gap in language], gains(blocks))


def preserved_attention_helps_beyond_shams(language: list[float], scale: list[float], **blocks: float) -> float:
    """Whether blocks whose attention stays help most beyond their shams; blocks of large weights move less anyway."""
    return correlation([-gap for gap in language], gains(blocks), scale)


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
    checks=(shams_fail_without_context,),
)(preserved_attention_helps_beyond_shams)


@claim(
    "S5.6.2-varying-amount",
    section="5.6.2",
    quote="the information improving learning efficiency is preserved in all blocks only in the varying amount",
    scope="Hopper, medium, K=1, epochs 1-10 of 40; blocks other than 1 are in S5.6.1-other-blocks-help",
    effect="mean score with a block replaced: of block 1 minus the random arm's, and its standard deviation over the "
    "12 blocks",
    unit={"block 1 too": "normalised points", "varies": "normalised points"},
    needs=against_random("block_return"),
    trend={"block 1 too": above(0.0), "varies": level_above(SPREAD, why=WHY_SPREAD)},
    checks=(random_fails_without_context,),
    parts=("S5.6.1-other-blocks-help",),
    paper=Paper(
        "block 1 +0.5, standard deviation 9.8 (seed 666), +8.6, 10.2 (seed 42, 5 epochs). That block 1 brings "
        "something is at odds with S5.6.1-block1-like-random-return [fig. 9b, J.6]"
    ),
    deviations=(9, 13, 31),
)
def test_amounts_vary(**values: float) -> dict[str, float]:
    """What block 1, said to be like none, brings to the random arm, and how much the blocks differ in what they
    bring."""
    return {"block 1 too": gains(values)[1], "varies": pstdev(by_block(values))}


def amounts_vary_beyond_shams(**values: float) -> dict[str, float]:
    """What block 1 brings beyond its permuted sham, and how much more the blocks differ than their shams do."""
    return {"block 1 too": gains(values)[1], "varies": pstdev(by_block(values)) - pstdev(by_block(values, SHAM))}


test_amounts_vary = test_amounts_vary.corrected(
    "block_sham",
    effect="mean score with a block replaced: of block 1 minus its permuted sham's, and the standard deviation over "
    "the 12 blocks minus that over their shams",
    unit={"block 1 too": "normalised points", "varies": "normalised points"},
    needs=against_sham("block_return"),
    trend={"block 1 too": above(0.0), "varies": above(0.0)},
    checks=(shams_fail_without_context,),
)(amounts_vary_beyond_shams)


@claim(
    "S5.6.2-action-more-accurate",
    section="5.6.2",
    quote="the pre-trained context-like information could help the training by enabling the model to predict action "
    "more accurately",
    scope="Hopper, medium, K=1, epochs 1-10 of 40; attention gaps at epoch 4",
    effect="log of the ratio of action errors, random init over language pre-trained, and rank correlation over blocks "
    "of attention gap and error with that block replaced",
    unit={"error": "log ratio", "with the gap": "rank correlation"},
    needs={
        "gaps": LANGUAGE,
        "language": Need("block_error", arm="language_pretrained", context=1),
        **against_random("block_error"),
    },
    trend={"error": FEWER_ERRORS, "with the gap": above(0.0)},
    paper=Paper(
        "4.4 times the error, correlation not computed, 0.75 from its figures (seed 666); 2.3 times, 0.17 (seed 42, 5 "
        "epochs) [fig. 9a, 10, J.6]"
    ),
    deviations=(8, 9, 12, 13, 31),
)
def test_language_predicts_actions(gaps: list[float], language: float, **errors: float) -> dict[str, float]:
    """How many times larger the random arm's early action error is, and whether blocks whose attention stays are those
    with which it is low."""
    return {"error": math.log(errors["random"] / language), "with the gap": correlation(gaps, by_block(errors))}


def language_predicts_actions_beyond_shams(
    gaps: list[float], language: float, whole_random: float, **errors: float
) -> dict[str, float]:
    """The same, of each block's error over its permuted sham's."""
    return {"error": math.log(whole_random / language), "with the gap": correlation(gaps, gains(logs(errors)))}


test_language_predicts_actions = test_language_predicts_actions.corrected(
    "block_sham",
    effect="log of the ratio of action errors, random init over language pre-trained, and rank correlation over blocks "
    "of attention gap and error with that block replaced over its permuted sham's",
    unit={"error": "log ratio", "with the gap": "rank correlation"},
    needs={
        "gaps": LANGUAGE,
        "language": Need("block_error", arm="language_pretrained", context=1),
        "whole_random": Need("block_error", arm="random_init", context=1),
        **against_sham("block_error"),
    },
    trend={"error": FEWER_ERRORS, "with the gap": above(0.0)},
)(language_predicts_actions_beyond_shams)


@claim(
    "J6-att-epochs",
    section="J.6.2",
    quote="(figures, epochs 1, 10, 40)",
    scope="Hopper, HalfCheetah, Walker2d, medium, all blocks but block 1, epochs 1, 10 and 40 against epoch 0",
    effect="log of the ratio of mean attention gaps over blocks, random init over language pre-trained, at the epoch "
    "of the three where it is least",
    unit="log ratio",
    needs={
        f"{name}_{epoch}": Need("attention_gap", arm=arm, context=CONTEXT, parameters={"epoch": epoch})
        for epoch in (1, 10, 40)
        for name, arm in (("random", "random_init"), ("language", "language_pretrained"))
    },
    trend=LARGER,
    tasks=ALL_TASKS,
    paper=Paper(
        "epoch 1: 5.5 / 3.4 / 9.4, epoch 10: 1.9 / 6.9 / 20.6, epoch 40: 2.3 / 2.2 / 4.9 times (seed 666), Hopper / "
        "HalfCheetah / Walker2d [J.6]"
    ),
    deviations=(3, 4, 8),
)
def test_gap_random_large_at_other_epochs(**gaps: list[float]) -> float:
    """How many times more the random arm's attention changes than the language arm's, early and late."""
    return min(times_larger(gaps[f"random_{epoch}"], gaps[f"language_{epoch}"]) for epoch in (1, 10, 40))


@claim(
    "J6-att-seed42",
    section="J.6.2",
    quote="(figure)",
    scope="Hopper, HalfCheetah, Walker2d, medium, all blocks but block 1, epoch 4 of 40 against epoch 0; the paper's "
    "second seed, every seed of ours",
    effect="whether the mean attention gap over blocks is larger in the random arm",
    unit="true or false",
    needs=BOTH,
    trend=in_most_seeds(),
    tasks=ALL_TASKS,
    paper=Paper("true: 2.2 / 11.7 / 10.4 times (seed 42), Hopper / HalfCheetah / Walker2d [J.6]"),
    deviations=(3, 4, 8, 9),
)
def test_gap_random_large_on_another_seed(random: list[float], language: list[float]) -> float:
    """Whether a seed shows, however weakly, what S5.6.2-gap-random-large says of their mean."""
    return float(over(random, OTHERS) > over(language, OTHERS))


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
) -> float:
    """What the way to attend is worth, without context or with it, whichever is less: the same weights but for the
    queries and keys that the paper credits."""
    return min(language_1 - redrawn_1, language_20 - redrawn_20)


way_to_use_context = way_to_use_context.corrected(
    "att_dist",
    effect="score of the language arm, minus that with queries and keys of blocks 3-10 redrawn before fine-tuning, at "
    "K=1 or K=20, whichever is less",
    unit="normalised points",
    needs={
        "language_1": Need("score", arm="language_pretrained", context=1),
        "redrawn_1": Need("score", arm="language_qk_3_10_redrawn", context=1),
        "language_20": Need("score", arm="language_pretrained", context=20),
        "redrawn_20": Need("score", arm="language_qk_3_10_redrawn", context=20),
    },
    trend=above(0.0, interest=SPREAD, why=WHY_SPREAD),
)(language_needs_its_queries_and_keys)
