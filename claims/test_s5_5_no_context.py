"""Section 5.5, Appendices H and J.5: training without context (K = 1)."""

from collections.abc import Mapping, Sequence

from dtclaims import Need, Paper, above, claim, equivalent, in_most_seeds, level_above, level_below
from dtclaims.lab.data.scores import score_reference
from dtclaims.lab.design.tasks import ALL_TASKS, get_task

LANGUAGE, RANDOM = "language_pretrained", "random_init"

TABLE = {
    "language": {"hopper": 81.3, "halfcheetah": 47.9, "walker2d": 71.2},
    "random": {"hopper": -0.3, "halfcheetah": 49.2, "walker2d": 35.6},
}
"""Table J.5: two-seed means of the best score at K=1, relative to mean dataset returns."""

NEVER = 41.0
"""Stands for an epoch after the paper's 40th: the level was not reached."""


def both_arms(measurement: str, **parameters: int) -> dict[str, Need]:
    """The language and the random arm without context."""
    return {
        "language": Need(measurement, arm=LANGUAGE, context=1, parameters=parameters),
        "random": Need(measurement, arm=RANDOM, context=1, parameters=parameters),
    }


def epoch_reaching(curve: Sequence[tuple[float, float]], level: float) -> float:
    """The first of the paper's epochs at which a curve is at a level."""
    return next((epoch for epoch, score in curve if score >= level), NEVER)


def on_d4rl_scale(task: str, score: float) -> float:
    """A score of the paper's relative to D4RL's constants (DEV-29)."""
    (low, high), (new_low, new_high) = (score_reference(get_task(task), name) for name in ("dataset_means", "d4rl"))
    return 100 * (low + score / 100 * (high - low) - new_low) / (new_high - new_low)


def off_table(table: Mapping[str, Mapping[str, float]]) -> dict[str, Need]:
    """Both arms' scores without context, minus a table's."""
    return {
        name: Need("score", arm=arm, context=1, parameters={"minus": table[name]})
        for name, arm in (("language", LANGUAGE), ("random", RANDOM))
    }


@claim(
    "S5.5-k1-gpt2-faster",
    section="5.5",
    headline=True,
    quote="GPT2 reaches the high mean return much faster than the randomly initialized model",
    scope="Hopper, HalfCheetah, Walker2d, medium, K=1: epochs 1-10 of 40, and epochs to half of the K=20 score",
    effect="language pre-trained against random init: mean score over epochs 1-10, and epochs saved",
    unit={"score": "normalised points", "epochs": "epochs of 40"},
    needs={
        **both_arms("score_span"),
        "language_curve": Need("score_curve", arm=LANGUAGE, context=1),
        "random_curve": Need("score_curve", arm=RANDOM, context=1),
        "with_context": Need("score", arm=LANGUAGE, context=20),
    },
    # 5 points: twice the largest two-seed ± of Tables 1 and 2 for a model that learns. 5 epochs: an eighth of training.
    trend={"score": above(0.0, interest=5, why="?"), "epochs": above(0.0, interest=5, why="?")},
    tasks=ALL_TASKS,
    paper=Paper(
        "score: +42.6 / +25.2 / +39.0 points (seed 666), +30.4 / +26.3 / +3.3 (seed 42) on Hopper / HalfCheetah / "
        "Walker2d; epochs to half of K=20: 3 vs never, 2 vs 9, 3 vs 26 (seed 666), 5 vs never, 2 vs 10, 13 vs never "
        "(seed 42) [fig. 8, J.5]",
        {"hopper": (42.6, 38.0), "halfcheetah": (25.2, 7.0), "walker2d": (39.0, 23.0)},
    ),
    deviations=(3, 4, 9, 11, 27),
)
def test_k1_language_faster(
    language: float,
    random: float,
    language_curve: list[tuple[float, float]],
    random_curve: list[tuple[float, float]],
    with_context: float,
) -> dict[str, float]:
    """Head start of the language arm while both still learn, and how much earlier it is at half of its K=20 score.

    An arm that never gets there counts as epoch 41.
    """
    half = with_context / 2
    return {
        "score": language - random,
        "epochs": epoch_reaching(random_curve, half) - epoch_reaching(language_curve, half),
    }


@claim(
    "S5.5-k1-random-fails-hopper",
    section="5.5",
    headline=True,
    quote="the randomly initialized model fails to learn the trajectory for a dataset (Hopper)",
    scope="Hopper, medium, K=1",
    effect="score of the random arm",
    unit="normalised points",
    needs={"random": Need("score", arm=RANDOM, context=1)},
    # 10: every failing cell of the paper is below 5 and every working one above 47.
    trend=level_below(10.0, why="?"),
    paper=Paper("-0.24 (seed 666, Table 2); -0.3 ± 0.1 over two seeds (Table J.5)", (-0.24,)),
    deviations=(9, 10, 11, 29),
)
def test_k1_random_fails(random: float) -> float:
    """The level the random arm reaches when it sees one step only."""
    return random


@claim(
    "S5.5-k1-random-fails-only-hopper",
    section="5.5",
    quote="for a dataset",
    scope="HalfCheetah, Walker2d, medium, K=1",
    effect="score of the random arm",
    unit="normalised points",
    needs={"random": Need("score", arm=RANDOM, context=1)},
    # 40: below every working cell of the paper (47 and more), far above every failing one (5 and less).
    trend=level_above(40.0, why="?"),
    tasks=("halfcheetah", "walker2d"),
    paper=Paper(
        "49.0 / 69.1 (seed 666, Table 2); 49.2 ± 0.1 / 35.6 ± 33.5 over two seeds (Table J.5); HalfCheetah / Walker2d",
        {"halfcheetah": (49.0, 49.4), "walker2d": (69.1, 2.1)},
    ),
    deviations=(9, 10, 11, 29),
)
def test_k1_random_works_elsewhere(random: float) -> float:
    """The level the random arm reaches on one step where the paper says that it learns."""
    return random


@claim(
    "S5.5-k1-gpt2-eq-k20",
    section="5.5",
    headline=True,
    quote="consistently achieves a comparable performance with that of the baseline result (K = 20)",
    scope="Hopper, HalfCheetah, Walker2d, medium, K=1 against K=20",
    effect="score of the language arm, K=1 minus K=20",
    unit="normalised points",
    needs={"without": Need("score", arm=LANGUAGE, context=1), "context": Need("score", arm=LANGUAGE, context=20)},
    # 5 points: twice the largest two-seed ± of Tables 1 and 2 for a model that learns.
    trend=equivalent(5.0, why="?"),
    tasks=ALL_TASKS,
    paper=Paper(
        "best of 40, two-seed means: +1.8 / -0.5 / 0.0; by seed +3.0, +0.6 / -0.7, -0.4 / -3.5, +3.6 [fig. 8, J.5]; "
        "Hopper / HalfCheetah / Walker2d",
        {"hopper": (2.98, 0.58), "halfcheetah": (-0.69, -0.43), "walker2d": (-3.55, 3.57)},
    ),
    deviations=(10, 29),
)
def test_k1_as_good_as_k20(without: float, context: float) -> float:
    """What the language arm loses when it sees one step instead of twenty."""
    return without - context


@claim(
    "S5.5-k1-gpt2-consistent",
    section="5.5",
    headline=True,
    quote="language-pre-trained Transformer consistently performs more efficiently when no context is provided",
    scope="Hopper, HalfCheetah, Walker2d, medium, K=1, epochs 1-40",
    effect="mean score over all epochs, language pre-trained minus random init",
    unit="normalised points",
    needs=both_arms("score_span", first=1, last=40),
    trend=above(0.0),
    tasks=ALL_TASKS,
    paper=Paper(
        "+52.1 / +4.6 / +30.2 (seed 666), +50.3 / +5.2 / +45.9 (seed 42) points, Hopper / HalfCheetah / Walker2d "
        "[fig. 8, J.5]",
        {"hopper": (52.1, 50.3), "halfcheetah": (4.6, 5.2), "walker2d": (30.2, 45.9)},
    ),
    deviations=(3, 4, 11),
)
def test_k1_language_consistently_better(language: float, random: float) -> float:
    """Area between the arms' curves over the whole training."""
    return language - random


@claim(
    "S5.5-gap-larger-without-context",
    section="5.5",
    quote="learns efficiently as well without context as it does with context",
    scope="Hopper, HalfCheetah, Walker2d, medium, K=1 against K=20, epochs 1-10 of 40",
    effect="what missing context costs the random arm, minus what it costs the language arm",
    unit="normalised points",
    needs={
        **both_arms("score_span"),
        "language_context": Need("score_span", arm=LANGUAGE, context=20),
        "random_context": Need("score_span", arm=RANDOM, context=20),
    },
    trend=above(0.0),
    tasks=ALL_TASKS,
    paper=Paper(
        "not stated; from fig. 8 and J.5 +39.4 / +26.7 / +38.8 (seed 666), +27.2 / +28.1 / +7.7 (seed 42), Hopper / "
        "HalfCheetah / Walker2d",
        {"hopper": (39.4, 27.2), "halfcheetah": (26.7, 28.1), "walker2d": (38.8, 7.7)},
    ),
    deviations=(3, 4, 11),
)
def test_context_matters_less_to_language(
    language: float, random: float, language_context: float, random_context: float
) -> float:
    """Early mean score with context minus without, of the random arm, less the same of the language arm."""
    return (random_context - random) - (language_context - language)


@claim(
    "S5.5-context-like-info",
    section="5.5",
    headline=True,
    quote="already acquired some kind of context-like information through pre-training",
    scope="Hopper, HalfCheetah, Walker2d, medium, K=1, epochs 1-10 of 40",
    effect="mean score of the language arm over epochs 1-10, minus its permuted weights' and minus an MLP's",
    unit="normalised points",
    needs={
        "language": Need("score_span", arm=LANGUAGE, context=1),
        "permuted": Need("score_span", arm="language_permuted", context=1),
        "mlp": Need("score_span", arm="mlp", context=1),
    },
    # 5 points: twice the largest two-seed ± of Tables 1 and 2 for a model that learns. An MLP within 5 points of the
    # language arm would show that the task needs no context-like information at all.
    trend={"over_permuted": above(0.0, interest=5, why="?"), "over_mlp": above(0.0, interest=5, why="?")},
    tasks=ALL_TASKS,
    paper=Paper("an inference; no such control was run"),
    deviations=(3, 4, 11, 13),
    # No network of the weights' scale without language was ever published, so only the valid comparison has one.
    protocols=("corrected",),
)
def test_context_like_information(language: float, permuted: float, mlp: float) -> dict[str, float]:
    """Head start without context over a stack with the same weights in random order, and over a plain MLP.

    The first sets apart what was learned from text from the mere scale of the weights, the second asks whether the
    task needs context at all.
    """
    return {"over_permuted": language - permuted, "over_mlp": language - mlp}


@claim(
    "S5.5-early-phase",
    section="5.6.1",
    quote="the early phase characterizes the difference of the models",
    scope="Hopper, HalfCheetah, Walker2d, medium, K=1, epochs 1-10 against epochs 31-40",
    effect="gap between language pre-trained and random init, early minus late",
    unit="normalised points",
    needs={
        **both_arms("score_span"),
        "language_late": Need("score_span", arm=LANGUAGE, context=1, parameters={"first": 31, "last": 40}),
        "random_late": Need("score_span", arm=RANDOM, context=1, parameters={"first": 31, "last": 40}),
    },
    trend=above(0.0),
    tasks=ALL_TASKS,
    paper=Paper(
        "-9.2 / +28.8 / +22.4 (seed 666), -27.2 / +28.6 / -61.1 (seed 42), Hopper / HalfCheetah / Walker2d "
        "[fig. 8, J.5]",
        {"hopper": (-9.2, -27.2), "halfcheetah": (28.8, 28.6), "walker2d": (22.4, -61.1)},
    ),
    deviations=(9, 11, 27),
)
def test_early_phase(language: float, random: float, language_late: float, random_late: float) -> float:
    """How much larger the gap between the arms is in the first quarter of training than in the last."""
    return (language - random) - (language_late - random_late)


@claim(
    "J5-seed42-curves",
    section="J.5",
    quote="(figure)",
    scope="Hopper, HalfCheetah, Walker2d, medium, K=1, epochs 1-10 of 40; the paper's second seed, every seed of ours",
    effect="mean score over epochs 1-10, language pre-trained minus random init",
    unit="normalised points",
    needs=both_arms("score_span"),
    trend=above(0.0),
    tasks=ALL_TASKS,
    paper=Paper(
        "+30.4 / +26.3 / +3.3 (seed 42), Hopper / HalfCheetah / Walker2d [fig. J.5]",
        {"hopper": (30.4,), "halfcheetah": (26.3,), "walker2d": (3.3,)},
    ),
    deviations=(9, 11),
)
def test_faster_on_another_seed(language: float, random: float) -> float:
    """Head start of the language arm; here it need not be large, only there on seeds that the paper did not choose."""
    return language - random


@claim(
    "J5-table",
    section="J.5",
    quote="(table)",
    scope="Hopper, HalfCheetah, Walker2d, medium, K=1, both arms",
    effect="both arms' scores within 5 points of the table",
    unit="share of seeds",
    needs=off_table(TABLE),
    trend=in_most_seeds(),
    tasks=ALL_TASKS,
    paper=Paper(
        "language 81.3 ± 2.5 / 47.9 ± 0.1 / 71.2 ± 2.2, random -0.3 ± 0.1 / 49.2 ± 0.1 / 35.6 ± 33.5, Hopper / "
        "HalfCheetah / Walker2d (Table J.5)"
    ),
    deviations=(9, 10, 29),
)
def test_table_of_scores(language: float, random: float) -> float:
    """Whether a seed gives a task's two cells of the table again.

    No single seed can give 35.6 on Walker2d: the cell is the mean of a run that works and one that fails.
    """
    return float(max(abs(language), abs(random)) <= 5.0)


def table_on_d4rl_scale(language: float, random: float) -> float:
    """Whether a seed gives a task's two cells of the table again, after the table is put on D4RL's scale (DEV-29)."""
    return float(max(abs(language), abs(random)) <= 5.0)


test_table_of_scores = test_table_of_scores.corrected(
    "score_refs",
    effect="both arms' scores within 5 points of the table on D4RL's scale",
    unit="share of seeds",
    needs=off_table(
        {name: {task: on_d4rl_scale(task, score) for task, score in row.items()} for name, row in TABLE.items()}
    ),
    trend=in_most_seeds(),
)(table_on_d4rl_scale)


@claim(
    "J5-walker-random-bimodal",
    section="J.5",
    quote="(±33.5)",
    scope="Walker2d, medium, K=1; meant for 8 seeds or more",
    effect="share of seeds on which the random arm fails",
    unit="share of seeds",
    needs={"random": Need("score", arm=RANDOM, context=1)},
    # Within 0.5 of 0.5: some seeds fail and some do not. The t interval stands in for the inventory's Wilson interval.
    trend=equivalent(0.5, to=0.5, why="?"),
    tasks=("walker2d",),
    paper=Paper("1 of 2 seeds: 35.6 ± 33.5 (Table J.5)", (0.0, 1.0)),
    deviations=(9, 11),
)
def test_walker_random_fails_sometimes(random: float) -> float:
    """Whether the random arm stays below 10 points, the line between the paper's failing and working cells."""
    return float(random < 10.0)


@claim(
    "SUM-5.5",
    section="5.5",
    headline=True,
    quote="GPT2 can learn efficiently even without the context provided",
    scope="Hopper, HalfCheetah, Walker2d, medium, K=1",
    effect="score of the language arm",
    unit="normalised points",
    needs={"language": Need("score", arm=LANGUAGE, context=1)},
    # 40: below every working cell of the paper (47 and more), far above every failing one (5 and less).
    trend=level_above(40.0, why="?"),
    tasks=ALL_TASKS,
    parts=("S5.5-k1-gpt2-eq-k20",),
    paper=Paper(
        "83.7 / 47.7 / 69.0 (seed 666, Table 2); 81.3 / 47.9 / 71.2 over two seeds (Table J.5); Hopper / HalfCheetah / "
        "Walker2d",
        {"hopper": (83.7, 78.8), "halfcheetah": (47.7, 48.0), "walker2d": (69.0, 73.4)},
    ),
    deviations=(9, 10, 29),
)
def test_language_works_without_context(language: float) -> float:
    """The level the language arm reaches when it sees one step only."""
    return language
