"""What pre-training brings without context, under three heads (§5.5; DEV-03, DEV-04, DEV-11).

`test_k1_head.py` found that the paper's random arm fails at K = 1 by its tied tanh head, which starts saturated. The
paper's language arm learns through the same head. So: does a language model of our own learn through it where its own
network with fresh weights does not; what is left of the difference under a head that does not start saturated; and is
that of language, or do its permuted weights, its moments, or weights pre-trained on a Markov chain (Wang et al., ICLR
2024) bring the same?

Within a contrast everything is equal but what is loaded: GPT-2's architecture, Adam's epsilon of 1e-8, dropout, kind of
head, data. The final LayerNorm is loaded too, and its gain scales the head, so that arms do not start equally saturated
(`claims/evidence/registered/README.md` has numbers). What scale alone brings, the weights' moments show against fresh
weights; and of the sound heads the untied one, which feels it least, comes first. Runs are the first 10 of the paper's
40 epochs. Declared before any run of a language model at full size was made.

    pytest claims/k1_head -m gpu --scale full --task hopper --protocol published --seeds 8
"""

from typing import Any

from spans import (
    EARLY,
    EQUAL_EPS,
    FAILS,
    FASTER,
    HEAD_START,
    IMITATED,
    LATE,
    LIKE_CONTEXT,
    NO_NUMBER,
    POINTS,
    WHY_IMITATED,
    Declare,
)

from dtclaims import Check, Need, Paper, Trend, above, check, claim, level_above, level_below, not_below
from dtclaims.lab.design.tasks import ALL_TASKS

EFFICIENTLY = "GPT2 can learn efficiently even without the context provided"
LANGUAGE, MATCHED, MARKOV = "language_pretrained", "random_matched", "synthetic_markov"
PERMUTED, MOMENTS = "language_permuted", "language_moments"
HEADS = {"tied": "tied head", "low": "tied head, its weight a tenth at the start", "untied": "untied head"}
NAMES = {"tied": "tied", "low": "tied_low_scale", "untied": "untied"}

AS_WELL = not_below(
    0.0, margin=10.0, why="A quarter of what the data score, as of a rescue: what keeps within it does as well."
)
FITS_SOONER = above(
    0.0, interest=0.005, why="A twentieth of the loss then, and seven times the spread of seeds (0.0007, random init)."
)


def run(measurement: str, arm: str, head: str, parameters: dict[str, Any], adam_eps: float = EQUAL_EPS) -> Need:
    """A measurement of ten epochs without context, with equal epsilon unless another is named."""
    return Need(measurement, arm=arm, context=1, epochs=10, parameters=parameters, head=NAMES[head], adam_eps=adam_eps)


def score(arm: str, head: str, span: dict[str, Any]) -> Need:
    """Mean normalised score over epochs."""
    return run("score_span", arm, head, span)


def learns(name: str, adam_eps: float, deviations: tuple[int, ...], *, headline: bool = False) -> Declare:
    """Declare that the language arm learns through the tied head."""
    return claim(
        f"K1-language-learns-{name}",
        section="5.5",
        headline=headline,
        quote=EFFICIENTLY,
        scope=f"K=1, medium, epochs 8-10; tied head, epsilon {adam_eps:.0e}".replace("e-0", "e-"),
        effect="score of the language arm",
        unit=POINTS,
        needs={"language": run("score_span", LANGUAGE, "tied", LATE, adam_eps)},
        trend=level_above(IMITATED, why=WHY_IMITATED),
        tasks=ALL_TASKS,
        paper=Paper("83.7 / 41.9 / 71.9, the best of 40 epochs (seed 666, Table 2), Hopper / HalfCheetah / Walker2d"),
        deviations=deviations,
        protocols=("published",),
    )


@learns("tied", EQUAL_EPS, (10, 11), headline=True)
def test_language_learns_tied(language: float) -> float:
    """Whether a language model learns through the tied head: the converse of K1-published-fails."""
    return language


@learns("as-published", 1e-6, (3, 10, 11))
def test_language_learns_as_published(language: float) -> float:
    """The same with the paper's own epsilon: before anything is concluded of an arm that fails with the other."""
    return language


@claim(
    "K1-matched-fails-tied",
    section="5.5",
    headline=True,
    quote=FAILS,
    scope="Hopper, medium, K=1, epochs 8-10; GPT-2's architecture, tied head, epsilon 1e-8",
    effect="score of the matched random arm",
    unit=POINTS,
    needs={"matched": score(MATCHED, "tied", LATE)},
    trend=level_below(IMITATED, why=WHY_IMITATED),
    paper=NO_NUMBER,
    deviations=(4, 11),
    protocols=("published",),
)
def test_matched_fails_tied(matched: float) -> float:
    """Whether the language model's own network with fresh weights does not learn through the tied head."""
    return matched


@claim(
    "K1-language-unsaturated-tied",
    section="H.2",
    quote="(figure)",
    scope="K=1, medium, epochs 8-10; tied head, equal epsilon",
    effect="share of the language arm's predicted action coordinates past ±0.99",
    unit="share",
    needs={"saturated": run("curve_span", LANGUAGE, "tied", {"curve": "saturated", **LATE})},
    trend=level_below(0.5, why="Saturated are most outputs: more than half. Of the data's actions a twentieth are."),
    tasks=ALL_TASKS,
    paper=Paper("not reported"),
    deviations=(11,),
    protocols=("published",),
)
def test_language_unsaturated_tied(saturated: float) -> float:
    """Whether most outputs of the language arm are within ±0.99 after nine epochs."""
    return saturated


@check(
    "the language arm learns through the tied head",
    needs={"language": score(LANGUAGE, "tied", LATE)},
    trend=level_above(IMITATED, why=WHY_IMITATED),
    unit=POINTS,
)
def learns_tied(language: float) -> float:
    """Score of the language arm: where it fails like the other, nothing is as good or worse than language."""
    return language


def compared(name: str, head: str, span: str, trend: Trend, **declared: Any) -> Declare:
    """Declare something of two arms of the same network under one head: what they have in common."""
    return claim(
        f"K1-{name}-{head}",
        section="5.5",
        scope=f"K=1, medium, {span}; {HEADS[head]}, equal epsilon",
        trend=trend,
        tasks=ALL_TASKS,
        paper=NO_NUMBER,
        deviations=(3, 4, 11),
        protocols=("published",),
        **declared,
    )


CONTRASTS = {
    "language-over-matched": (LANGUAGE, MATCHED, "language pre-trained minus matched random init"),
    "language-over-permuted": (LANGUAGE, PERMUTED, "language pre-trained minus its permuted weights"),
    "language-over-moments": (LANGUAGE, MOMENTS, "language pre-trained minus Gaussian weights of its moments"),
    "language-over-markov": (LANGUAGE, MARKOV, "pre-trained on language minus pre-trained on a Markov chain"),
    "markov-over-matched": (MARKOV, MATCHED, "pre-trained on a Markov chain minus matched random init"),
    "moments-over-matched": (MOMENTS, MATCHED, "Gaussian weights of language's moments minus matched random init"),
}
"""By name: the arm that is to have a head start, the one that it is to have it on, and both in words."""


def contrast(name: str, head: str, *, headline: bool = False, checks: tuple[Check, ...] = ()) -> Declare:
    """Declare that one arm scores more than another."""
    more, less, words = CONTRASTS[name]
    return compared(
        name,
        head,
        "epochs 1-10",
        HEAD_START,
        headline=headline,
        quote=LIKE_CONTEXT,
        effect=f"mean score over ten epochs, {words}",
        unit=POINTS,
        needs={"more": score(more, head, EARLY), "less": score(less, head, EARLY)},
        checks=checks,
    )


@contrast("language-over-matched", "tied", headline=True)
def test_language_over_matched_tied(more: float, less: float) -> float:
    """The paper's comparison, at equal architecture and epsilon."""
    return more - less


@contrast("language-over-matched", "low", headline=True)
def test_language_over_matched_low(more: float, less: float) -> float:
    """What is left of it under a tied head of small scale (an untied head: K1-language-faster-untied)."""
    return more - less


@contrast("language-over-permuted", "tied", checks=(learns_tied,))
def test_language_over_permuted_tied(more: float, less: float) -> float:
    """Whether it takes the weights in their places, or only their values, to learn through the tied head."""
    return more - less


@contrast("language-over-permuted", "low")
def test_language_over_permuted_low(more: float, less: float) -> float:
    """The same under a tied head of small scale (an untied head: K1-language-over-permuted)."""
    return more - less


@contrast("language-over-moments", "tied", checks=(learns_tied,))
def test_language_over_moments_tied(more: float, less: float) -> float:
    """Whether mean and spread of each tensor do as well through the tied head."""
    return more - less


@contrast("language-over-moments", "low")
def test_language_over_moments_low(more: float, less: float) -> float:
    """The same under a tied head of small scale."""
    return more - less


@contrast("language-over-moments", "untied")
def test_language_over_moments_untied(more: float, less: float) -> float:
    """The same with a head of its own."""
    return more - less


@contrast("language-over-markov", "tied", headline=True, checks=(learns_tied,))
def test_language_over_markov_tied(more: float, less: float) -> float:
    """Whether it takes language, or any pre-training, to learn through the tied head."""
    return more - less


@contrast("language-over-markov", "low")
def test_language_over_markov_low(more: float, less: float) -> float:
    """The same under a tied head of small scale (an untied head: K1-language-over-synthetic)."""
    return more - less


@contrast("markov-over-matched", "tied", headline=True)
def test_markov_over_matched_tied(more: float, less: float) -> float:
    """Whether pre-training on tokens without meaning is enough to learn through the tied head."""
    return more - less


@contrast("markov-over-matched", "low")
def test_markov_over_matched_low(more: float, less: float) -> float:
    """What such pre-training brings under a tied head of small scale."""
    return more - less


@contrast("markov-over-matched", "untied")
def test_markov_over_matched_untied(more: float, less: float) -> float:
    """What such pre-training brings with a head of its own."""
    return more - less


@contrast("moments-over-matched", "tied")
def test_moments_over_matched_tied(more: float, less: float) -> float:
    """What scale alone brings: nothing was learned in either."""
    return more - less


def as_well(
    name: str, arm: str, head: str, words: str, *, headline: bool = False, checks: tuple[Check, ...] = ()
) -> Declare:
    """Declare that an arm does as well as language."""
    return compared(
        f"{name}-as-well",
        head,
        "epochs 1-10",
        AS_WELL,
        headline=headline,
        quote=LIKE_CONTEXT,
        effect=f"mean score over ten epochs, {words} minus language",
        unit=POINTS,
        needs={"one": score(arm, head, EARLY), "other": score(LANGUAGE, head, EARLY)},
        checks=checks,
    )


@as_well("markov", MARKOV, "tied", "Markov chain", headline=True, checks=(learns_tied,))
def test_markov_as_well_tied(one: float, other: float) -> float:
    """Whether pre-training on tokens without meaning does as well through the tied head (Wang et al., ICLR 2024)."""
    return one - other


@as_well("markov", MARKOV, "untied", "Markov chain")
def test_markov_as_well_untied(one: float, other: float) -> float:
    """The same with a head of its own."""
    return one - other


@as_well("matched", MATCHED, "untied", "matched random init")
def test_matched_as_well_untied(one: float, other: float) -> float:
    """Whether nothing that matters is left of language once the head is sound."""
    return one - other


def fits_sooner(name: str, arm: str, words: str) -> Declare:
    """Declare that an arm fits the actions sooner than matched random init where both learn."""
    loss = {"curve": "loss_mean", "first": 1, "last": 3}
    return compared(
        f"{name}-fits-sooner",
        "untied",
        "epochs 1-3",
        FITS_SOONER,
        quote=FASTER,
        effect=f"mean training loss over three epochs, matched random init minus {words}",
        unit="loss",
        needs={"slower": run("curve_span", MATCHED, "untied", loss), "faster": run("curve_span", arm, "untied", loss)},
    )


@fits_sooner("language", LANGUAGE, "language")
def test_language_fits_sooner_untied(slower: float, faster: float) -> float:
    """Speed where random init learns too: by its third epoch it scores what it ever does, so no score can show it."""
    return slower - faster


@fits_sooner("markov", MARKOV, "Markov chain")
def test_markov_fits_sooner_untied(slower: float, faster: float) -> float:
    """The same of pre-training on tokens without meaning."""
    return slower - faster
