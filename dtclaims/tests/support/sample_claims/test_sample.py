"""Claims for the tests of the harness: one of every kind, on measurements that stay as they are."""

from dtclaims import Need, Paper, above, by, claim, composite, level_below, mean, not_below
from dtclaims.lab.design.tasks import ALL_TASKS

PAPER = Paper("one number", (1.0,))


@claim(
    "SAMPLE-fails",
    section="1",
    headline=True,
    quote="it fails",
    scope="K=1",
    effect="score",
    unit="points",
    needs={"random": Need("score", arm="random_init", context=1)},
    trend=level_below(10.0, why="A score below ten is a failure."),
    paper=PAPER,
    deviations=(10, 29),
)
def test_fails(random: float) -> float:
    """The score of the random arm."""
    return random


@claim(
    "SAMPLE-everywhere",
    section="1",
    headline=True,
    quote="it is not worse, and better somewhere",
    scope="K=20",
    effect="score, language minus random",
    unit="points",
    needs={
        "language": Need("score", arm="language_pretrained"),
        "random": Need("score", arm="random_init"),
    },
    tasks=ALL_TASKS,
    trend={"not worse": not_below(0.0, margin=5, why="Five points are the noise of a score."), "better": above(0.0)},
    any_of=("better",),
    paper=Paper("by task", {"hopper": (1.0,), "halfcheetah": (2.0,), "walker2d": (3.0,)}),
    deviations=(10,),
)
def test_everywhere(language: float, random: float) -> dict[str, float]:
    """The difference, for both parts."""
    return {"not worse": language - random, "better": language - random}


@claim(
    "SAMPLE-ratio",
    section="2",
    quote="the gap is larger",
    scope="blocks",
    effect="ratio of mean gaps",
    unit="ratio",
    needs={
        "random": Need("attention_gap", arm="random_init", context=by("att_dist", fused=1, causal=20)),
        "language": Need("attention_gap", arm="language_pretrained", context=by("att_dist", fused=1, causal=20)),
    },
    trend=above(1.0, interest=0.25, why="A quarter larger is the least that is called larger."),
    paper=PAPER,
    deviations=(8,),
)
def test_ratio(random: list[float], language: list[float]) -> float:
    """Random over language."""
    return mean(random) / mean(language)


def difference(random: list[float], language: list[float]) -> float:
    """Random minus language."""
    return mean(random) - mean(language)


test_ratio = test_ratio.corrected(
    "att_dist",
    effect="difference of mean gaps",
    unit="share",
    needs={
        "random": Need("attention_gap", arm="random_init"),
        "language": Need("attention_gap", arm="language_pretrained"),
    },
    trend=above(0.0, interest=0.5, why="Half a share is the least that is called a difference."),
)(difference)


@claim(
    "SAMPLE-tasks",
    section="2",
    quote="more on one task than on the other",
    scope="two tasks",
    effect="difference of scores",
    unit="points",
    needs={
        "hopper": Need("score", arm="random_init", task="hopper"),
        "walker": Need("score", arm="random_init", task="walker2d"),
    },
    tasks=(),
    trend=above(0.0),
    paper=PAPER,
    deviations=(),
)
def test_tasks(hopper: float, walker: float) -> float:
    """Hopper minus Walker2d."""
    return hopper - walker


@claim(
    "SAMPLE-corrected-only",
    section="2",
    quote="beyond its scale",
    scope="K=1",
    effect="early score, language minus its moment-matched control",
    unit="points",
    needs={
        "language": Need("score_span", arm="language_pretrained", context=1, parameters={"first": 1, "last": 10}),
        "control": Need("score_span", arm="language_moments", context=1, parameters={"first": 1, "last": 10}),
    },
    trend=above(0.0, interest=5, why="Five points are the noise of a score."),
    paper=PAPER,
    deviations=(13,),
    protocols=("corrected",),
)
def test_corrected_only(language: float, control: float) -> float:
    """Language minus control."""
    return language - control


whole = composite(
    "SAMPLE-whole",
    section="3",
    headline=True,
    quote="it fails and the gap is larger",
    parts=("SAMPLE-fails", "SAMPLE-ratio"),
    scope="as its parts",
    paper=PAPER,
)
