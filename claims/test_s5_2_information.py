"""Section 5.2, Appendices E, H.2, J.2 and M: mutual information, and how well actions are predicted.

A profile holds I(x_t; T) ("input") of each of 59 tokens x_t and a block's output T at the last state, and I(a_K; T_t)
("label") of the last action and that output at each token t, after fine-tuning: in nats, as MINE estimates them
(`published`), or, as MINE's sixteen principal components are blind to what a network keeps in directions of low
variance, as the held-out R² of a linear probe on the full width (`corrected`; DEV-02).
"""

from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import Any

from checks import image_fails

from dtclaims import (
    Claim,
    Need,
    Paper,
    Trend,
    above,
    below,
    claim,
    in_most_seeds,
    level_below,
    mean,
    not_above,
    not_below,
)
from dtclaims.errors import MeasurementError, UndefinedMeasurement
from dtclaims.lab.design.blocks import replaced
from dtclaims.lab.design.tasks import ALL_TASKS

# Return-to-go, state, action; the last step has no action token, as that action is the label.
TOKENS_PER_STEP = 3

RANDOM = Need("information_profile", arm="random_init")
LANGUAGE = Need("information_profile", arm="language_pretrained")
IMAGE = Need("information_profile", arm="image_pretrained")
# The random arm with the image arm's depth and width, where that is to be had.
RANDOM_FOR_IMAGE = Need("information_profile", arm="random_for_image")

RANDOM_HIGHER = (
    "the randomly initialized model consistently has higher mutual information both for input and label than "
    "pre-trained models"
)

MORE_NATS = above(0.0, interest=0.1, why="Repeated estimates scatter by 0.1 nat.")
MORE_R2 = above(0.0, interest=0.02, why="A fiftieth of the variance: a smaller difference changes no prediction.")
NO_MORE_NATS = not_above(0.0, margin=0.1, why="Repeated estimates scatter by 0.1 nat.")
NO_MORE_R2 = not_above(0.0, margin=0.02, why="A fiftieth of the variance: a smaller difference changes no prediction.")
CONSISTENT = 0.75
"""Share of tokens or steps from which a finding is called consistent: three in four."""
AT_CONSISTENTLY_MANY = above(
    0.5, interest=CONSISTENT - 0.5, why="Consistently is three tokens of four and more; chance is a half."
)
MOSTLY_RETURNS = above(
    1 / 3, interest=CONSISTENT - 1 / 3, why="Consistently is three steps of four and more; chance is a third."
)
IN_MORE_BLOCKS = above(0.5)
ALMOST_NONE = level_below(0.1, why="Almost none is less than a tenth of what the random arm has.")

Information = dict[str, Any]

PROBES = {
    "information_profile": "probe_profile",
    "information_ends": "probe_ends",
    "information_steps": "probe_steps",
}


def by_probe(trend: Trend | Mapping[str, Trend] | None = None) -> Callable[[Claim], Claim]:
    """The same claim about what a linear probe reads, where the estimator is corrected (DEV-02).

    Args:
        trend: of R²; None where the claim's own has no unit.
    """

    def add(one: Claim) -> Claim:
        form = one.form
        assert form is not None
        return one.corrected(
            "mi_estimator",
            effect=f"{form.effect}; information as the held-out R² of a linear probe",
            needs={arm: Need(PROBES[need.quantity], **need.condition) for arm, need in form.needs.items()},
            trend=trend or form.trends,
            unit={part: "R²" if unit == "nats" else unit for part, unit in form.units.items()},
            checks=form.checks,
        )(form.function)

    return add


def estimates(information: Information, kind: str) -> list[float | None]:
    """The estimates of one kind, None where one failed; an error where too few are left to stand for all (DEV-20)."""
    if not information["evaluable"]:
        raise MeasurementError(
            "too many estimates of mutual information have no value",
            given=f"{information['lost']:.0%} of them NaN or infinite",
            expected="at most 5 % under corrected, some estimate under published (DEV-20)",
        )
    found: list[float | None] = information[kind]
    return found


def known(information: Information, kind: str) -> list[float]:
    """The estimates that have a value; the reference leaves out the others too."""
    return [value for value in estimates(information, kind) if value is not None]


def level(information: Information, kind: str) -> float:
    """Mean estimate over tokens, steps or blocks."""
    return mean(known(information, kind))


def both_known(one: Information, other: Information, kind: str) -> list[tuple[float, float]]:
    """Estimates of two arms at the same token, block or step, where both have a value."""
    pairs = zip(estimates(one, kind), estimates(other, kind), strict=True)
    return [(a, b) for a, b in pairs if a is not None and b is not None]


def share_higher(one: Information, other: Information, kind: str) -> float:
    """Share of tokens (or blocks) where the first arm has more information."""
    return mean(float(a > b) for a, b in both_known(one, other, kind))


def excess(one: Information, other: Information) -> dict[str, float]:
    """Mean information about input and label, the first arm's less the second's."""
    return {
        "input": level(one, "x") - level(other, "x"),
        "label": level(one, "y") - level(other, "y"),
    }


def share_of(one: Information, other: Information, kind: str) -> float:
    """The first arm's information as a share of the second's."""
    whole = level(other, kind)
    if whole <= 0:
        raise UndefinedMeasurement(
            "no information to have a share of", given=f"{whole:.3g}, random init", expected="more than 0"
        )
    return level(one, kind) / whole


def share_of_returns(information: Information) -> float:
    """Share of full steps at whose return-to-go the output knows more of the label than at state and action."""
    steps: dict[int, list[float]] = {}
    for token, value in zip(information["tokens"], estimates(information, "y"), strict=True):
        if value is not None:
            steps.setdefault(token // TOKENS_PER_STEP, []).append(value)
    return mean(float(step[0] > max(step[1:])) for step in steps.values() if len(step) == TOKENS_PER_STEP)


@by_probe(MORE_R2)
@claim(
    "S5.2-mi-x-random-higher-gpt2",
    section="5.2",
    headline=True,
    quote=RANDOM_HIGHER,
    scope="Hopper, medium, K=20, middle block, last epoch; input",
    effect="mean I(x_t; T) over tokens, random init minus language pre-trained",
    unit="nats",
    needs={"random": RANDOM, "language": LANGUAGE},
    trend=MORE_NATS,
    paper=Paper("2.40 vs 0.80 (seed 666), 2.32 vs 0.62 (seed 42) [fig. 2a, 46a]"),
    deviations=(2, 4, 24),
)
def test_random_knows_more_of_the_input(random: Information, language: Information) -> float:
    """How much more the random arm's middle block says about the input tokens than the language arm's."""
    return level(random, "x") - level(language, "x")


@by_probe(MORE_R2)
@claim(
    "S5.2-mi-y-random-higher-gpt2",
    section="5.2",
    headline=True,
    quote=RANDOM_HIGHER,
    scope="Hopper, medium, K=20, middle block, last epoch; label",
    effect="mean I(a_K; T_t) over tokens, random init minus language pre-trained",
    unit="nats",
    needs={"random": RANDOM, "language": LANGUAGE},
    trend=MORE_NATS,
    paper=Paper("2.68 vs 1.27 (seed 666), 2.60 vs 1.28 (seed 42) [fig. 2b, 46b]"),
    deviations=(2,),
)
def test_random_knows_more_of_the_label(random: Information, language: Information) -> float:
    """How much more the random arm's middle block says about the last action than the language arm's."""
    return level(random, "y") - level(language, "y")


@by_probe({"input": MORE_R2, "label": MORE_R2})
@claim(
    "S5.2-mi-random-higher-igpt",
    section="5.2",
    headline=True,
    quote=RANDOM_HIGHER,
    scope="Hopper, medium, K=20, middle block, last epoch; input and label, image arm",
    effect="mean information over tokens, random init minus image pre-trained",
    unit="nats",
    needs={"random": RANDOM_FOR_IMAGE, "image": IMAGE},
    trend={"input": MORE_NATS, "label": MORE_NATS},
    checks=(image_fails,),
    paper=Paper("input 2.40 vs 0.03, label 2.68 vs 0.00 (seed 666); 2.32 vs 0.01, 2.60 vs 0.00 (seed 42) [fig. 2, 46]"),
    deviations=(2, 7),
)
def test_random_knows_more_than_image(random: Information, image: Information) -> dict[str, float]:
    """How much more the random arm's middle block says about input and label than the image arm's."""
    return excess(random, image)


@by_probe()
@claim(
    "S5.2-mi-consistent",
    section="5.2",
    quote="consistently",
    scope="Hopper, medium, K=20, middle block, last epoch",
    effect="share of tokens where random init has more information than language pre-trained, the lower of input and "
    "label",
    unit="share of tokens",
    needs={"random": RANDOM, "language": LANGUAGE},
    trend=AT_CONSISTENTLY_MANY,
    paper=Paper("input 0.98, label 0.90 (seed 666); 1.00, 0.95 (seed 42) [fig. 2, 46]"),
    deviations=(2,),
)
def test_random_knows_more_at_every_token(random: Information, language: Information) -> float:
    """At how many tokens the random arm's middle block says more, for input or label, whichever is fewer."""
    return min(share_higher(random, language, "x"), share_higher(random, language, "y"))


@by_probe()
@claim(
    "S5.2-mi-consistent-igpt",
    section="5.2",
    quote="consistently",
    scope="Hopper, medium, K=20, middle block, last epoch, image arm",
    effect="share of tokens where random init has more information than image pre-trained, the lower of input and "
    "label",
    unit="share of tokens",
    needs={"random": RANDOM_FOR_IMAGE, "image": IMAGE},
    trend=AT_CONSISTENTLY_MANY,
    checks=(image_fails,),
    paper=Paper("input 0.98, label 1.00 (seed 666); 1.00, 1.00 (seed 42) [fig. 2, 46]"),
    deviations=(2, 7),
)
def test_random_knows_more_than_image_at_every_token(random: Information, image: Information) -> float:
    """At how many tokens the random arm's middle block says more than the image arm's, for input or label, whichever is
    fewer."""
    return min(share_higher(random, image, "x"), share_higher(random, image, "y"))


@by_probe()
@claim(
    "S5.2-mi-igpt-none",
    section="5.2",
    quote="iGPT representations have almost no information",
    scope="Hopper, medium, K=20, middle block, last epoch; input and label",
    effect="mean information over tokens, image pre-trained as a share of random init's, the larger of input and label",
    unit="share of the random arm's",
    needs={"image": IMAGE, "random": RANDOM_FOR_IMAGE},
    trend=ALMOST_NONE,
    checks=(image_fails,),
    paper=Paper(
        "input 0.03 of 2.40 nats, label 0.00 of 2.68 (seed 666); 0.01 of 2.32, 0.00 of 2.60 (seed 42) [fig. 2]"
    ),
    deviations=(2, 7, 20),
)
def test_image_knows_nothing(image: Information, random: Information) -> float:
    """What the image arm's middle block says at most about input or label, as a share of what the random arm's says."""
    return max(share_of(image, random, "x"), share_of(image, random, "y"))


@by_probe({"input": NO_MORE_R2, "label": NO_MORE_R2})
@claim(
    "S5.2-mi-gpt2-not-more",
    section="5.2",
    headline=True,
    quote="does not encode more information about the input or the label than the randomly initialized model",
    scope="Hopper, medium, K=20, middle block, last epoch; input and label",
    effect="mean information over tokens, language pre-trained minus random init",
    unit="nats",
    needs={"language": LANGUAGE, "random": RANDOM},
    trend={"input": NO_MORE_NATS, "label": NO_MORE_NATS},
    paper=Paper("input 0.80 vs 2.40, label 1.27 vs 2.68 (seed 666); 0.62 vs 2.32, 1.28 vs 2.60 (seed 42) [fig. 2, 46]"),
    deviations=(2,),
)
def test_language_knows_no_more(language: Information, random: Information) -> dict[str, float]:
    """Whether the language arm's middle block says more about input or label than the random arm's."""
    return excess(language, random)


@by_probe()
@claim(
    "S5.2-mi-y-rtg-gpt2",
    section="5.2",
    quote="for label the language-pre-trained model has consistently higher mutual information for a specific token "
    "type (return-to-go)",
    scope="Hopper, medium, K=20, middle block, last epoch, full steps; label",
    effect="share of steps whose I(a_K; T_t) is largest at the return-to-go, language pre-trained",
    unit="share of steps",
    needs={"language": LANGUAGE},
    trend=MOSTLY_RETURNS,
    paper=Paper("19 of 19 steps in both seeds [fig. 2b, 46b]"),
    deviations=(2,),
)
def test_language_knows_the_label_at_returns(language: Information) -> float:
    """At how many steps the language arm's output says most about the last action at the return-to-go token."""
    return share_of_returns(language)


@by_probe()
@claim(
    "S5.2-mi-y-rtg-not-random",
    section="5.2",
    quote="while that is not always the case for the randomly initialized model",
    scope="Hopper, medium, K=20, middle block, last epoch, full steps; label",
    effect="share of steps whose I(a_K; T_t) is largest at the return-to-go, random init",
    unit="share of steps",
    needs={"random": RANDOM},
    trend=level_below(CONSISTENT, why="Three steps of four: from there on the language arm is called consistent."),
    paper=Paper("1 of 19 steps (seed 666), 3 of 19 (seed 42) [fig. 2b, 46b]"),
    deviations=(2,),
)
def test_random_does_not_know_the_label_at_returns(random: Information) -> float:
    """At how many steps the random arm's output says most about the last action at the return-to-go token."""
    return share_of_returns(random)


@by_probe()
@claim(
    "S5.2-mi-y-rtg-each-layer",
    section="5.2",
    quote="the language-pre-trained model may process the information of a specific token type at each layer for "
    "prediction",
    scope="Hopper, medium, K=20, first and last block, last epoch, full steps; label",
    effect="share of steps whose I(a_K; T_t) is largest at the return-to-go, language pre-trained, in the block where "
    "it is lower",
    unit="share of steps",
    needs={"language": Need("information_ends", arm="language_pretrained")},
    trend=MOSTLY_RETURNS,
    paper=Paper(
        "contradicted by its own fig. 44 and 45: 5 of 19 steps in the first block and 1 of 19 in the last; only the "
        "middle block, which fig. 2 shows, has 19"
    ),
    deviations=(2, 20),
)
def test_language_knows_the_label_at_returns_in_each_layer(language: dict[str, Information]) -> float:
    """Whether what the middle block's label information shows (S5.2-mi-y-rtg-gpt2) is so at both ends of the stack."""
    return min(share_of_returns(language[end]) for end in ("first", "last"))


@by_probe({"input": MORE_R2, "label": MORE_R2})
@claim(
    "J2-mi-shallow-deep",
    section="J.2",
    quote="(figures)",
    scope="Hopper, medium, K=20, first and last block, last epoch; input and label",
    effect="mean information over tokens, random init minus language pre-trained, in the block where it is less",
    unit="nats",
    needs={
        "random": Need("information_ends", arm="random_init"),
        "language": Need("information_ends", arm="language_pretrained"),
    },
    trend={"input": MORE_NATS, "label": MORE_NATS},
    paper=Paper("first block 2.33 vs 1.15 and 2.36 vs 1.48, last 2.07 vs 0.86 and 2.21 vs 1.13 [fig. 44, 45]"),
    deviations=(2, 20),
)
def test_random_knows_more_in_other_blocks(
    random: dict[str, Information], language: dict[str, Information]
) -> dict[str, float]:
    """The comparison of the middle block, made at both ends of the stack."""
    gaps = [excess(random[end], language[end]) for end in ("first", "last")]
    return {kind: min(gap[kind] for gap in gaps) for kind in ("input", "label")}


@by_probe({"input": MORE_R2, "label": MORE_R2})
@claim(
    "J2-mi-seed42",
    section="J.2",
    quote="(figure)",
    scope="Hopper, medium, K=20, middle block, last epoch; input and label; the paper's second seed, here every seed",
    effect="mean information over tokens, random init minus language pre-trained",
    unit="nats",
    needs={"random": RANDOM, "language": LANGUAGE},
    trend={"input": MORE_NATS, "label": MORE_NATS},
    paper=Paper("input 2.32 vs 0.62, label 2.60 vs 1.28 (seed 42) [fig. 46]"),
    deviations=(2,),
)
def test_random_knows_more_in_other_seeds(random: Information, language: Information) -> dict[str, float]:
    """What the paper's second seed shows, input and label together, asked of each of our seeds."""
    return excess(random, language)


@by_probe({"input": MORE_R2, "label": MORE_R2, "generally": IN_MORE_BLOCKS})
@claim(
    "E3-mi-random-more",
    section="E.3",
    quote="randomly initialized model generally has more information on input and label",
    scope="Hopper, medium, K=20, all blocks, last epoch; a step's state and action, output at its state",
    effect="mean information over blocks, random init minus language pre-trained; and share of blocks where random "
    "init has more, the lower of input and label",
    unit={"input": "nats", "label": "nats", "generally": "share of blocks"},
    needs={
        "random": Need("information_steps", arm="random_init"),
        "language": Need("information_steps", arm="language_pretrained"),
    },
    trend={"input": MORE_NATS, "label": MORE_NATS, "generally": IN_MORE_BLOCKS},
    paper=Paper("state 2.73 vs 1.31, action 1.68 vs 0.40, each in 10 of 12 blocks [fig. 17]"),
    deviations=(2,),
)
def test_random_knows_more_of_its_step(random: Information, language: Information) -> dict[str, float]:
    """How much more the random arm's blocks say about a step's own state and action, and in how many blocks."""
    return {
        "input": level(random, "state") - level(language, "state"),
        "label": level(random, "action") - level(language, "action"),
        "generally": min(share_higher(random, language, kind) for kind in ("state", "action")),
    }


@by_probe()
@claim(
    "E3-igpt-no-label",
    section="E.3",
    quote="iGPT has almost nothing about label-related information",
    scope="Hopper, medium, K=20, all blocks, last epoch; a step's action, output at its state",
    effect="mean I(a_t; T) over steps and blocks, image pre-trained as a share of random init's",
    unit="share of the random arm's",
    needs={
        "image": Need("information_steps", arm="image_pretrained"),
        "random": Need("information_steps", arm="random_for_image"),
    },
    trend=ALMOST_NONE,
    checks=(image_fails,),
    paper=Paper("mean 0.03 of 1.68 nats, at most 0.14 [fig. 17]"),
    deviations=(2, 7),
)
def test_image_knows_no_label(image: Information, random: Information) -> float:
    """What the image arm's blocks say about a step's action, as a share of what the random arm's say."""
    return share_of(image, random, "action")


RANDOM_ERRORS = Need("action_errors", arm="random_init")
LANGUAGE_ERRORS = Need("action_errors", arm="language_pretrained")


@claim(
    "SUM-5.2",
    section="5.2",
    headline=True,
    quote="Fitting to data better is not the cause of the good performance of GPT2",
    scope="Hopper, medium, K=20, last epoch",
    effect="action error, language pre-trained over random init",
    unit="ratio",
    needs={"language": LANGUAGE_ERRORS, "random": RANDOM_ERRORS},
    trend=not_below(1.0, margin=0.1, why="A tenth of the error: an arm below that fits the data better."),
    parts=("S5.2-mi-gpt2-not-more",),
    paper=Paper("inferred; no action error is shown"),
    deviations=(2, 36),
)
def test_language_fits_no_better(language: Sequence[float], random: Sequence[float]) -> float:
    """Whether the language arm predicts the data's actions better than the random arm."""
    return language[-1] / random[-1]


@claim(
    "M-random-error-lower",
    section="M",
    quote="randomly initialized models seem to predict action better",
    scope="Hopper, medium, K=20, last epoch",
    effect="action error, language pre-trained over random init",
    unit="ratio",
    needs={"language": LANGUAGE_ERRORS, "random": RANDOM_ERRORS},
    trend=above(1.0),
    paper=Paper("not shown"),
    deviations=(36,),
)
def test_random_predicts_better(language: Sequence[float], random: Sequence[float]) -> float:
    """How many times as large the language arm's error on the data's actions is as the random arm's."""
    return language[-1] / random[-1]


@claim(
    "M-error-not-return",
    section="M",
    quote="a better action error does not always result in a better return",
    scope="three tasks, medium, K=1; random and language arm and block replacement, the second half of the epochs that "
    "all have",
    effect="whether there is a run whose error is at least a tenth lower than another's, and its return lower too, by "
    "at least a tenth of the highest",
    unit="true or false",
    tasks=ALL_TASKS,
    primary="hopper",
    needs={
        "random": Need("errors_and_returns", arm="random_init", context=1),
        "language": Need("errors_and_returns", arm="language_pretrained", context=1),
        **replaced("errors_and_returns", "language"),
    },
    trend=in_most_seeds(),
    paper=Paper(
        "such pairs of runs, of 91: 13 / 2 / 14 (seed 666), 6 / 1 / 17 (seed 42), from its figures without their "
        "smoothing [fig. 9, J.6]"
    ),
    deviations=(12,),
)
def test_error_is_not_return(**runs: dict[str, list[float]]) -> float:
    """Whether any pair of a seed's runs is clearly the other way round: "not always" asks for one."""
    shared = min(len(run["error"]) for run in runs.values())
    ends = [
        {curve: mean(values[shared // 2 : shared]) for curve, values in run.items() if curve in ("error", "return")}
        for run in runs.values()
    ]
    clearly = 0.1 * max(end["return"] for end in ends)
    return float(
        any(
            one["error"] <= 0.9 * other["error"] and one["return"] < other["return"] - max(clearly, 0.0)
            for one in ends
            for other in ends
        )
    )


DATA = {task: Need("data_information", task=task) for task in ALL_TASKS}


@claim(
    "H2-mi-rtg-hopper-lower",
    section="H.2",
    quote="between return-to-go and action is smaller on average for Hopper than for other environments",
    scope="three tasks, medium data alone, 20 steps of a window",
    effect="mean I(R_t; a_t) over steps, the lower of HalfCheetah and Walker2d minus Hopper",
    unit="nats",
    tasks=(),
    needs=DATA,
    trend=MORE_NATS,
    paper=Paper("medians 1.05 (Hopper) vs 1.43 and 1.58 [fig. 22b]"),
    deviations=(2, 37),
)
def test_return_says_less_on_hopper(hopper: Information, halfcheetah: Information, walker2d: Information) -> float:
    """How much less the return-to-go says about the action in Hopper's data than in the others'."""
    return min(level(halfcheetah, "return"), level(walker2d, "return")) - level(hopper, "return")


@claim(
    "H2-mi-state-equal",
    section="H.2",
    quote="between action and state does not differ that much",
    scope="three tasks, medium data alone, 20 steps of a window",
    effect="spread of the median over steps between the tasks, over its mean, of I(s_t; a_t) minus I(R_t; a_t)",
    unit="share of the mean",
    tasks=(),
    needs=DATA,
    trend=below(0.0),
    paper=Paper(
        "medians 2.92 / 3.11 / 2.69 (state) and 1.05 / 1.43 / 1.58 (return-to-go): 0.14 - 0.39; outliers -3.9 and -6.8 "
        "[fig. 22]"
    ),
    deviations=(2, 20),
)
def test_states_say_as_much(hopper: Information, halfcheetah: Information, walker2d: Information) -> float:
    """How much less the tasks lie apart in what a state says about the action than in what the return-to-go says."""
    tasks = (hopper, halfcheetah, walker2d)
    medians = {kind: [median(known(task, kind)) for task in tasks] for kind in ("state", "return")}
    if useless := [kind for kind, found in medians.items() if mean(found) <= 0]:
        raise UndefinedMeasurement("no information to spread", given=f"at most 0 of {' and '.join(useless)}")
    spread = {kind: (max(found) - min(found)) / mean(found) for kind, found in medians.items()}
    return spread["state"] - spread["return"]


@claim(
    "H2-hopper-needs-context",
    section="H.2",
    quote="models have to use more information from the other steps in the context to solve the Hopper task",
    scope="three tasks, medium, random init, K=20 against K=1",
    effect="share of the score at K=20 that is lost at K=1, Hopper minus the mean of the others",
    unit="share of the score",
    tasks=(),
    needs={
        f"{task}_{context}": Need("score", arm="random_init", context=context, task=task)
        for task in ALL_TASKS
        for context in (20, 1)
    },
    trend=above(0.0, interest=0.25, why="A quarter of the score: less is hardly a need."),
    paper=Paper("1.00 vs about 0 (seed 666); Walker2d loses 0.97 too in seed 42 [tables 1, 2, J.5]"),
    deviations=(9, 11),
)
def test_hopper_needs_context(**scores: float) -> float:
    """How much more of its score the random arm loses without context on Hopper than elsewhere."""
    if useless := [task for task in ALL_TASKS if scores[f"{task}_20"] <= 0]:
        raise UndefinedMeasurement("no score to lose", given=f"at most 0 at K=20 on {', '.join(useless)}")
    lost = {task: 1 - scores[f"{task}_1"] / scores[f"{task}_20"] for task in ALL_TASKS}
    return lost["hopper"] - mean((lost["halfcheetah"], lost["walker2d"]))


@claim(
    "H2-current-step-hopper-lower",
    section="H.2",
    quote="higher mutual information suggests that the model could predict action better only from the information at "
    "the current time step",
    scope="three tasks, medium, a perceptron that sees one step, last quarter of the epochs",
    effect="action error over that of the best constant prediction, Hopper minus the larger of the others",
    unit="share of the constant's error",
    tasks=(),
    needs={
        task: Need("error_over_constant", arm="mlp", context=1, task=task, parameters={"first": 31, "last": 40})
        for task in ALL_TASKS
    },
    trend=above(0.0),
    paper=Paper("concluded from the mutual information of the data, not measured"),
    deviations=(11, 37),
    protocols=("corrected",),
)
def test_hopper_is_predicted_worst_from_one_step(hopper: float, halfcheetah: float, walker2d: float) -> float:
    """How much less of the action one step alone predicts on Hopper than on either other task."""
    return hopper - max(halfcheetah, walker2d)
