"""Abstract, contributions and discussion: what the paper concludes, as claims made of the others (inventory §11)."""

from checks import random_fails_without_context, shams_fail_without_context

from dtclaims import Paper, above, claim, composite, limitation, mean
from dtclaims.lab.design.blocks import EDGES, MIDDLE, against_random, against_sham, gains

CONCLUSION = Paper("a conclusion; see its parts")

representation = composite(
    "ABS-rep",
    section="Abstract",
    headline=True,
    quote="acquire largely different representations before and after pre-training",
    parts=("S5.1-cka-gpt2-low", "S5.1-cka-igpt-low", "S5.1-pretrained-change-rep"),
    scope="Read: before and after fine-tuning. Holds if CKA is low for the language and the image arm, and if both "
    "largely change what they represent",
    paper=CONCLUSION,
    deviations=(1, 3, 7),
)

less_information = composite(
    "ABS-less-info",
    section="Abstract",
    headline=True,
    quote="acquire less information of data in fine-tuning than the randomly initialized one",
    parts=("S5.2-mi-x-random-higher-gpt2", "S5.2-mi-y-random-higher-gpt2", "S5.2-mi-random-higher-igpt"),
    scope="Holds if the random arm has more mutual information with input and label than both pre-trained arms",
    paper=CONCLUSION,
    deviations=(2, 7),
)

parameters = composite(
    "ABS-params",
    section="Abstract",
    headline=True,
    quote="their parameters do not change that much",
    parts=(
        "S5.3-params-little-change",
        "S5.3-l2-small-gpt2",
        "S5.3-l2-small-igpt",
        "S5.3-cos-large-gpt2",
        "S5.3-cos-large-igpt",
    ),
    scope="Holds if both pre-trained arms move little, in length and direction, and less than the random arm",
    paper=CONCLUSION,
    deviations=(3, 7, 19),
)

clipping = composite(
    "ABS-igpt-clip",
    section="Abstract",
    headline=True,
    quote="could partially come from large gradients and gradient clipping",
    parts=("SUM-5.4",),
    scope="Holds if section 5.4's conclusion on the image arm does: its gradients are large, clipped, and it costs",
    paper=CONCLUSION,
    deviations=(6, 7, 35),
)

without_context = composite(
    "ABS-no-context",
    section="Abstract",
    headline=True,
    quote="the model learns efficiently even without context information",
    parts=("SUM-5.5",),
    scope="Holds if section 5.5's conclusion on the language arm does: it learns without context, and fast",
    paper=CONCLUSION,
    deviations=(9, 10),
)

context_like = composite(
    "ABS-context-like",
    section="Abstract",
    headline=True,
    quote="likely to make the Transformer get context-like information and utilize it",
    parts=(
        "S5.5-context-like-info",
        "S5.6.1-other-blocks-help",
        "S5.6.2-gap-gpt2-small",
        "S5.6.2-gap-near-zero",
        "S5.6.2-gap-random-large",
        "SUM-5.6.2",
    ),
    scope="Holds if language weights help without context more than their scale does, block by block too, and if the "
    "way to attend is preserved and matters. The first part is tested under corrected only; published leaves it out",
    paper=CONCLUSION,
    deviations=(8, 11, 13),
)

confusion = composite(
    "INT-confusion",
    section="1",
    headline=True,
    quote="do not change parameters much perhaps due to gradient confusion",
    parts=(
        "S5.3-l2-small-gpt2",
        "S5.3-l2-small-igpt",
        "S5.4-confusion-gpt2",
        "S5.4-confusion-igpt",
        "S5.4-confusion-similar",
        "S5.4-confusion-explains",
    ),
    scope="Holds if both pre-trained arms move less than the random arm, if their gradients are more confused, alike, "
    "and if confusion goes with small change",
    paper=CONCLUSION,
    deviations=(3, 5, 22),
)

one_block = composite(
    "INT-one-block",
    section="1",
    headline=True,
    quote="this could be the case by replacing just a single Transformer block",
    parts=("S5.6.1-single-block-helps",),
    scope="Hopper, HalfCheetah, Walker2d: holds if replacing a single block helps on every task",
    paper=CONCLUSION,
    deviations=(9, 13, 31),
)


@claim(
    "D6-middle-blocks",
    section="6",
    quote="the usefulness of middle blocks",
    scope="Hopper, medium, K=1, epochs 1-10 of 40, one block replaced",
    effect="mean score with a middle block (3-10) replaced, minus that with one at the edges (0, 1, 2, 11)",
    unit="normalised points",
    needs=against_random("block_return"),
    trend=above(0.0),
    checks=(random_fails_without_context,),
    parts=("S5.6.2-mid-deep-clearer",),
    paper=Paper("not computed; from its figures +7.2 (seed 666), +2.7 (seed 42, 5 epochs) [fig. 9b, J.6]"),
    deviations=(9, 13, 31),
)
def test_middle_blocks_are_useful(**values: float) -> float:
    """How much more a middle block of the language model brings to the random arm than one at the edges."""
    return mean(gains(values)[block] for block in MIDDLE) - mean(gains(values)[block] for block in EDGES)


def middle_blocks_are_useful_beyond_shams(**values: float) -> float:
    """How much more a middle block brings beyond its permuted sham than one at the edges."""
    return mean(gains(values)[block] for block in MIDDLE) - mean(gains(values)[block] for block in EDGES)


test_middle_blocks_are_useful = test_middle_blocks_are_useful.corrected(
    "block_sham",
    effect="the same difference between middle and edges, each block's score less its permuted sham's",
    unit="normalised points",
    needs=against_sham("block_return"),
    trend=above(0.0),
    checks=(shams_fail_without_context,),
)(middle_blocks_are_useful_beyond_shams)


layer_norm = composite(
    "D6-layer-norm",
    section="6",
    quote="it may characterize the behavior in fine-tuning",
    parts=("S5.1-ln-related-to-pretraining", "S5.4-ln1-dominates"),
    scope="Layer normalisation: holds if it sets the arms' CKA apart and dominates the image arm's gradient",
    paper=CONCLUSION,
    deviations=(1, 7, 34),
)

not_contradictory = composite(
    "L-rep-param",
    section="L",
    quote="observations … are not necessarily contradictory",
    parts=("S5.3-rep-changes-with-few-params", "L-random-vice-versa"),
    scope="Holds if representations change in layers whose parameters hardly do, and the other way round in the random "
    "arm",
    paper=CONCLUSION,
    deviations=(1, 3),
)

many_more_seeds = limitation(
    "LIM-seeds",
    section="Limitations",
    quote="checking if the claim holds with the average results with many more seeds is crucial",
    scope="Not a claim: the reason for this harness. Every report says how many seeds each verdict rests on",
)
