"""What pre-training brings without context, under three heads (§5.5; DEV-03, DEV-04, DEV-11).

`test_k1_head.py` found that the paper's random arm fails at K = 1 by its tied tanh head, which starts saturated. The
paper's language arm learns through the same head. So: does a language model of our own learn through it where its own
network with fresh weights does not; what is left of the difference under a head that does not start saturated; and is
that of language, or do its permuted weights, its moments, or weights pre-trained on a Markov chain (Wang et al., ICLR
2024) bring the same?

Within a contrast all but the weights is equal: GPT-2's architecture, Adam's epsilon of 1e-8, dropout, head, data.
Runs are the first 10 of the paper's 40 epochs. Declared before any run of a language model at full size was made.

    pytest claims/k1_head -m gpu --scale full --task hopper --protocol published --seeds 8
"""

from typing import Any

from spans import EARLY, EQUAL_EPS, HEAD_START, LATE, LIKE_CONTEXT, NO_NUMBER, POINTS, Declare

from dtclaims import Need, Paper, claim, level_above, level_below
from dtclaims.lab.design.tasks import ALL_TASKS

LANGUAGE, MATCHED, MARKOV = "language_pretrained", "random_matched", "synthetic_markov"
PERMUTED, MOMENTS = "language_permuted", "language_moments"
HEADS = {"tied": "tied head", "low": "tied head, its weight a tenth at the start", "untied": "untied head"}
NAMES = {"tied": "tied", "low": "tied_low_scale", "untied": "untied"}


def run(measurement: str, arm: str, head: str, parameters: dict[str, Any]) -> Need:
    """A measurement of ten epochs without context, with equal epsilon."""
    return Need(measurement, arm=arm, context=1, epochs=10, parameters=parameters, head=NAMES[head], adam_eps=EQUAL_EPS)


def score(arm: str, head: str, span: dict[str, Any]) -> Need:
    """Mean normalised score over epochs."""
    return run("score_span", arm, head, span)


@claim(
    "K1-language-learns-tied",
    section="5.5",
    headline=True,
    quote="GPT2 reaches the high mean return much faster than the randomly initialized model",
    scope="K=1, medium, epochs 8-10; tied head, equal epsilon",
    effect="score of the language arm",
    unit=POINTS,
    needs={"language": score(LANGUAGE, "tied", LATE)},
    trend=level_above(10.0, why="A quarter of what the data score (40 and more): below it they are hardly imitated."),
    tasks=ALL_TASKS,
    paper=Paper("83.7 / 41.9 / 71.9, the best of 40 epochs (seed 666, Table 2), Hopper / HalfCheetah / Walker2d"),
    deviations=(10, 11),
    protocols=("published",),
)
def test_language_learns_tied(language: float) -> float:
    """Whether a language model learns through the head that starts saturated: the converse of K1-published-fails."""
    return language


@claim(
    "K1-language-saturated-tied",
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
def test_language_saturated_tied(saturated: float) -> float:
    """Whether a language model gets out of the saturation that it starts in too."""
    return saturated


CONTRASTS = {
    "language-over-matched": (LANGUAGE, MATCHED, "language pre-trained minus matched random init"),
    "language-over-permuted": (LANGUAGE, PERMUTED, "language pre-trained minus its permuted weights"),
    "language-over-moments": (LANGUAGE, MOMENTS, "language pre-trained minus Gaussian weights of its moments"),
    "language-over-markov": (LANGUAGE, MARKOV, "pre-trained on language minus pre-trained on a Markov chain"),
    "markov-over-matched": (MARKOV, MATCHED, "pre-trained on a Markov chain minus matched random init"),
}
"""By name: the arm that is to have a head start, the one that it is to have it on, and both in words."""


def contrast(name: str, head: str, *, headline: bool = False) -> Declare:
    """Declare that one arm has a head start on another of the same network under one head."""
    more, less, words = CONTRASTS[name]
    return claim(
        f"K1-{name}-{head}",
        section="5.5",
        headline=headline,
        quote=LIKE_CONTEXT,
        scope=f"K=1, medium, epochs 1-10; {HEADS[head]}, equal epsilon",
        effect=f"mean score over ten epochs, {words}",
        unit=POINTS,
        needs={"more": score(more, head, EARLY), "less": score(less, head, EARLY)},
        trend=HEAD_START,
        tasks=ALL_TASKS,
        paper=NO_NUMBER,
        deviations=(3, 4, 11),
        protocols=("published",),
    )


@contrast("language-over-matched", "tied", headline=True)
def test_language_over_matched_tied(more: float, less: float) -> float:
    """The paper's comparison, at equal architecture and epsilon: both start saturated."""
    return more - less


@contrast("language-over-matched", "low", headline=True)
def test_language_over_matched_low(more: float, less: float) -> float:
    """What is left of it where neither starts saturated (an untied head: K1-language-faster-untied)."""
    return more - less


@contrast("language-over-permuted", "tied")
def test_language_over_permuted_tied(more: float, less: float) -> float:
    """Whether it takes what was learned, or the sizes of the weights, to learn through the saturated head."""
    return more - less


@contrast("language-over-permuted", "low")
def test_language_over_permuted_low(more: float, less: float) -> float:
    """The same where the head starts sound (an untied head: K1-language-over-permuted)."""
    return more - less


@contrast("language-over-moments", "tied")
def test_language_over_moments_tied(more: float, less: float) -> float:
    """Whether mean and spread of each tensor do as well through the saturated head."""
    return more - less


@contrast("language-over-moments", "low")
def test_language_over_moments_low(more: float, less: float) -> float:
    """The same where the head starts sound."""
    return more - less


@contrast("language-over-moments", "untied")
def test_language_over_moments_untied(more: float, less: float) -> float:
    """The same with a head of its own."""
    return more - less


@contrast("language-over-markov", "tied", headline=True)
def test_language_over_markov_tied(more: float, less: float) -> float:
    """Whether it takes language, or any pre-training, to learn through the saturated head."""
    return more - less


@contrast("language-over-markov", "low")
def test_language_over_markov_low(more: float, less: float) -> float:
    """The same where the head starts sound (an untied head: K1-language-over-synthetic)."""
    return more - less


@contrast("markov-over-matched", "tied", headline=True)
def test_markov_over_matched_tied(more: float, less: float) -> float:
    """Whether pre-training on tokens without meaning is enough to learn through the saturated head."""
    return more - less


@contrast("markov-over-matched", "low")
def test_markov_over_matched_low(more: float, less: float) -> float:
    """What such pre-training brings where the head starts sound."""
    return more - less


@contrast("markov-over-matched", "untied")
def test_markov_over_matched_untied(more: float, less: float) -> float:
    """What such pre-training brings with a head of its own."""
    return more - less
