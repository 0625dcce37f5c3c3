"""Behaviour of `dtclaims.lab.paper`: the paper's numbers, as quantities would have read them of its own runs.

Numbers marked "calibration" were computed from the recovered figures by another program, before this module was
written, as effects of the claims of that day; here they are put together from readings, not by claims.
"""

import inspect
from collections.abc import Callable
from pathlib import Path
from statistics import fmean, median
from typing import Any

import pytest

from dtclaims.errors import FixtureError
from dtclaims.harness.lab import Need, NotShown
from dtclaims.lab import LAB
from dtclaims.lab.design.blocks import RB_EPOCHS
from dtclaims.lab.design.tasks import ALL_TASKS
from dtclaims.lab.figures.paper_values import paper_series
from dtclaims.lab.measurements import MEASUREMENTS
from dtclaims.lab.metrics.curves import published_ema
from dtclaims.lab.paper import plotted, readings
from dtclaims.lab.paper.readings import NOT_SHOWN, READERS, PaperReadings

PAPER = PaperReadings()
SEEDS = (666, 42)
RANDOM, LANGUAGE, IMAGE = "random_init", "language_pretrained", "image_pretrained"


def read(quantity: str, arm: str | None = None, task: str = "hopper", seed: int = 666, **condition: Any) -> Any:
    """A value of the paper's."""
    given = condition if arm is None else {"arm": arm, **condition}
    return PAPER.value(Need(quantity, **given), task, seed)


# --- the tables of readers --------------------------------------------------------------------------------------------


def test_the_lab_has_the_papers_values() -> None:
    """Of both seeds, that of the main text first."""
    assert LAB.published is not None
    assert LAB.published.seeds == SEEDS


def test_every_measurement_has_a_reader_or_a_reason() -> None:
    """Each stands in one of the two tables: a new one must say whether the paper shows it, and why not."""
    assert not set(READERS) & set(NOT_SHOWN)
    assert set(READERS) | set(NOT_SHOWN) == set(MEASUREMENTS)


@pytest.mark.parametrize("name", READERS)
def test_readers_take_the_parameters_of_their_measurement(name: str) -> None:
    """With the same defaults, so that a need means the same of the paper's runs as of ours."""
    ours = inspect.signature(MEASUREMENTS[name].from_curves or MEASUREMENTS[name].from_networks).parameters
    _, *theirs = inspect.signature(READERS[name].read).parameters.values()
    assert {one.name: one.default for one in theirs} == {one.name: ours[one.name].default for one in theirs}


# --- numbers ----------------------------------------------------------------------------------------------------------


def level(arm: str, task: str, seed: int, token: str = "state") -> float:
    return fmean(read("cka", arm, task, seed)[token])


def higher(task: str, seed: int) -> float:
    return level(RANDOM, task, seed) - level(LANGUAGE, task, seed)


def between_profiles(task: str, seed: int) -> float:
    ours, theirs = (read("cka", arm, task, seed)["state"] for arm in (RANDOM, LANGUAGE))
    distance = fmean(abs(a - b) for a, b in zip(ours, theirs, strict=True))
    return distance - float(read("cka_profile_distance", RANDOM, task, seed, next_seed=True))


def norms_and_others(task: str, seed: int) -> float:
    ours, theirs = (read("cka", arm, task, seed) for arm in (RANDOM, LANGUAGE))
    gaps = list(zip(ours["layers"], (a - b for a, b in zip(ours["state"], theirs["state"], strict=True)), strict=True))
    norm = fmean(gap for layer, gap in gaps if "ln_" in layer)
    return norm - fmean(gap for layer, gap in gaps if "ln_" not in layer)


def known(arm: str, kind: str, seed: int, quantity: str = "information_profile") -> float:
    return fmean(value for value in read(quantity, arm, "hopper", seed)[kind] if value is not None)


def moved(measure: str, task: str, seed: int, other: str = LANGUAGE) -> float:
    ours, theirs = (read("parameter_change", arm, task, seed)[measure] for arm in (RANDOM, other))
    return float(ours / theirs)


def cosine_gap(task: str, seed: int) -> float:
    return float(
        read("parameter_change", LANGUAGE, task, seed)["cosine"]
        - read("parameter_change", RANDOM, task, seed)["cosine"]
    )


def early(task: str, seed: int, context: int = 1) -> float:
    ours, theirs = (read("score_span", arm, task, seed, context=context) for arm in (LANGUAGE, RANDOM))
    return float(ours - theirs)


def one_block(quantity: str, task: str, seed: int) -> float:
    blocks = [read(quantity, f"block_{block}_language", task, seed, context=1, epochs=RB_EPOCHS) for block in range(12)]
    return fmean(blocks) - float(read(quantity, RANDOM, task, seed, context=1))


def gap_ratio(task: str, seed: int, epoch: int = 4) -> float:
    others = [block for block in range(12) if block != 1]
    ours, theirs = (
        read("attention_gap", arm, task, seed, context=1, parameters={"epoch": epoch}) for arm in (RANDOM, LANGUAGE)
    )
    return fmean(ours[block] for block in others) / fmean(theirs[block] for block in others)


def clipping(quantity: str, task: str, last: int = 10) -> tuple[Any, Any]:
    parameters = {"last": last} if quantity == "action_errors" else {}
    without = read(quantity, IMAGE, task, clip=False, epochs=10)
    return without, read(quantity, IMAGE, task, parameters=parameters)


# Calibration: by task (Hopper, HalfCheetah, Walker2d) for seed 666, then for seed 42.
CALIBRATED: list[tuple[Callable[[str, int], float], tuple[float, ...]]] = [
    (lambda task, seed: level(LANGUAGE, task, seed), (0.1159, 0.1544, 0.1015, 0.1687, 0.2168, 0.1639)),
    (lambda task, seed: level(IMAGE, task, seed), (0.06467, 0.03955, 0.1126, 0.05795, 0.06376, 0.03031)),
    (higher, (0.05459, 0.106, 0.0779, 0.03922, 0.003155, -0.0005177)),
    (
        lambda task, seed: level(RANDOM, task, seed, "action") - level(LANGUAGE, task, seed, "action"),
        (0.03995, 0.1362, 0.07859, -0.005096, 0.1113, 0.04218),
    ),
    (
        lambda task, seed: level(RANDOM, task, seed, "return_to_go") - level(LANGUAGE, task, seed, "return_to_go"),
        (0.1012, 0.04825, 0.06491, -0.0377, 0.1556, 0.02333),
    ),
    (between_profiles, (0.002121, 0.09612, 0.06893, 0.05059, 0.0006092, 0.03746)),
    (norms_and_others, (0.2027, 0.4861, 0.3612, 0.2912, 0.07479, 0.1055)),
    (lambda task, seed: moved("distance", task, seed), (1.839, 1.766, 1.698, 1.832, 1.75, 1.707)),
    (lambda task, seed: moved("rms", task, seed, IMAGE), (3.259, 2.865, 2.421, 2.862, 2.678, 3.089)),
    (cosine_gap, (0.6753, 0.6829, 0.6855, 0.6771, 0.683, 0.6794)),
    (early, (42.56, 25.21, 39.01, 30.42, 26.32, 3.281)),
    (
        lambda task, seed: early(task, seed) - early(task, seed, context=20),
        (39.39, 26.73, 38.83, 27.22, 28.09, 7.74),
    ),
    (
        lambda task, seed: read("score_at", LANGUAGE, task, seed, context=1),
        (1.615, 40.34, 56.86, 38.47, 38.86, 1.824),
    ),
    (
        lambda task, seed: (
            read("score", LANGUAGE, task, seed, context=1) - read("score", LANGUAGE, task, seed, context=20)
        ),
        (2.98, -0.6862, -3.551, 0.5826, -0.4256, 3.571),
    ),
    (lambda task, seed: one_block("block_return", task, seed), (17.35, 18.54, 15.56, 13.18, 15.79, 15.16)),
    (
        lambda task, seed: read("attention_gap_rest", LANGUAGE, task, seed, context=1),
        (0.02586, 0.02426, 0.03172, 0.03357, 0.02959, 0.02806),
    ),
    (gap_ratio, (3.398, 10.54, 16.6, 2.238, 11.69, 10.37)),
]


@pytest.mark.parametrize(("effect", "expected"), CALIBRATED)
def test_readings_of_both_seeds_and_all_tasks(effect: Callable[[str, int], float], expected: tuple[float, ...]) -> None:
    """CKA, parameters, returns, replaced blocks and attention: as in the calibration, to its four digits."""
    found = [effect(task, seed) for seed in SEEDS for task in ALL_TASKS]
    assert found == pytest.approx(expected, rel=6e-4)


def test_readings_of_hopper_alone() -> None:
    """Information by token, by step and at both ends, gradients and first shares: as in the calibration."""
    gains = {seed: [known(RANDOM, kind, seed) - known(LANGUAGE, kind, seed) for kind in ("x", "y")] for seed in SEEDS}
    assert gains[666] == pytest.approx([1.601, 1.408], rel=6e-4)
    assert gains[42] == pytest.approx([1.701, 1.322], rel=6e-4)
    ends = {arm: read("information_ends", arm) for arm in (RANDOM, LANGUAGE)}
    first = [fmean(ends[RANDOM]["first"][kind]) - fmean(ends[LANGUAGE]["first"][kind]) for kind in ("x", "y")]
    last = [fmean(ends[RANDOM]["last"][kind]) - fmean(ends[LANGUAGE]["last"][kind]) for kind in ("x", "y")]
    assert [*first, *last] == pytest.approx([1.183, 0.873, 1.208, 1.083], rel=6e-4)
    steps = [
        known(RANDOM, kind, 666, "information_steps") - known(LANGUAGE, kind, 666, "information_steps")
        for kind in ("state", "action")
    ]
    assert steps == pytest.approx([1.419, 1.286], rel=6e-4)
    cosines = [
        read("gradients", RANDOM, seed=seed)["cosine_minimum"]
        - read("gradients", LANGUAGE, seed=seed)["cosine_minimum"]
        for seed in SEEDS
    ]
    assert cosines == pytest.approx([0.5843, 0.5556], rel=6e-4)
    spread = [
        read("gradients", IMAGE, seed=seed)["norm_iqr"] / read("gradients", LANGUAGE, seed=seed)["norm_iqr"]
        for seed in SEEDS
    ]
    assert spread == pytest.approx([0.03852, 10.66], rel=6e-4)


def test_readings_of_training_without_clipping() -> None:
    """Errors, their jumps and scores of the image arm, seed 666: as in the calibration."""
    errors = [without[-1] / within[-1] for without, within in (clipping("action_errors", task) for task in ALL_TASKS)]
    assert errors == pytest.approx([0.414, 0.5453, 0.32], rel=6e-4)
    jumps = [without / within for without, within in (clipping("action_error_jumps", task) for task in ALL_TASKS)]
    assert jumps == pytest.approx([0.9706, 0.5565, 0.2077], rel=6e-4)
    gained = [without - within for without, within in (clipping("score_span", task) for task in ALL_TASKS)]
    assert gained == pytest.approx([1.822, 3.347, -0.2626], rel=6e-4)
    best = [read("score", IMAGE, task, clip=False, epochs=10) for task in ALL_TASKS]
    assert best == pytest.approx([5.1, 1.601, 0.2278], rel=6e-4)


def test_readings_of_the_data() -> None:
    """Medians of the boxes of figure 22: as in the calibration."""
    states = [median(read("data_information", task=task)["state"]) for task in ALL_TASKS]
    assert max(states) - min(states) == pytest.approx(0.4215, rel=6e-4)


@pytest.mark.parametrize("task", ALL_TASKS)
def test_curves_agree_with_the_printed_tables(task: str) -> None:
    """The best epochs of both seeds, averaged, are Tables 1 and 4; those of seed 666 are Table 2."""
    tables = plotted.all_plotted()["tables"]
    for table, context, seeds in ((1, 20, SEEDS), (4, 1, SEEDS), (2, 1, (666,))):
        for name, arm in (("random", RANDOM), ("language", LANGUAGE)):
            best = fmean(read("score", arm, task, seed, context=context) for seed in seeds)
            # HalfCheetah's and Walker2d's references of the score are inferred from Table 2 (`Task`).
            assert best == pytest.approx(tables[str(table)][task][name][0], abs=0.2), (table, name)


def test_smoothing_is_the_references() -> None:
    """What is drawn of block replacement is our filter's output on the raw values of it (DEV-12)."""
    both = plotted.all_plotted()["replacement"]
    for seed, tasks in both["raw"].items():
        for task, kinds in tasks.items():
            for kind, arms in kinds.items():
                for arm, raw in arms.items():
                    smoothed = both["smoothed"][seed][task][kind][arm]
                    assert published_ema(raw) == pytest.approx(smoothed, rel=1e-4, abs=1e-4), (seed, task, kind, arm)


def test_the_main_text_is_the_same_in_both_files() -> None:
    """What reports draw of seed 666 (`values.json`) is what claims are run on."""
    panels = {"hopper": "Hopper", "halfcheetah": "HalfCheetah", "walker2d": "Walker2D"}
    for task, panel in panels.items():
        for one in paper_series("fig1")[panel]:
            assert read("cka", one["arm"], task)["state"] == pytest.approx(one["y"], abs=1e-6)
        for one in paper_series("fig10")[panel]:
            assert read("attention_gap", one["arm"], task, context=1) == pytest.approx(one["y"], abs=1e-6)


def test_the_image_arms_layers_are_named_in_pairs() -> None:
    """As our measurement names what it averages: 108 pairs of 24 blocks."""
    layers = read("cka", IMAGE)["layers"]
    assert len(layers) == len(set(layers)) == 108
    assert layers[:1] + layers[-1:] == ["h.0.ln_1 + h.0.attn.c_attn", "h.23.mlp.act + h.23.mlp.dropout"]


@pytest.mark.parametrize(
    ("seed", "arm", "share", "told"),
    [
        # Four of the nine points below the whisker lie below 0.24.
        (666, IMAGE, 0.96, ""),
        (666, RANDOM, 0.0, ""),
        # The whisker crosses the line between the lower quartile and the median.
        (42, IMAGE, 0.5, "the box bounds the share of norms above 0.24: at least 0.5"),
    ],
)
def test_norms_at_the_bound_are_counted_where_the_box_allows(seed: int, arm: str, share: float, told: str) -> None:
    """Points beyond the whiskers are drawn; where the line lies among those within, a bound is given and said."""
    assert read("gradients", arm, seed=seed)["norm_near_clip"] == share
    assert PAPER.note(Need("gradients", arm=arm), "hopper", seed) == told


# --- what is told, and what is not shown ------------------------------------------------------------------------------


def test_what_stands_in_is_told() -> None:
    """A value of another kind than the quantity's comes with a note; the quantity's own has none."""
    score = Need("score", arm=IMAGE, parameters={"minus": {"hopper": 5.7}})
    assert PAPER.value(score, "hopper", 42) == pytest.approx(-3.1)
    assert PAPER.note(score, "hopper", 42) == "Table 1's mean of two seeds stands in for each seed's"
    assert PAPER.note(Need("score", arm=LANGUAGE), "hopper", 42) == ""
    block = Need("block_return", arm="block_3_language", context=1, epochs=RB_EPOCHS)
    assert PAPER.note(block, "hopper", 42) == "drawn for 5 epochs, not 10"
    assert PAPER.note(block, "walker2d", 42) == ""
    assert PAPER.note(Need("errors_and_returns", arm=RANDOM), "hopper", 42).startswith("a run is left out")
    assert PAPER.value(Need("errors_and_returns", arm=RANDOM), "hopper", 42) == {"error": [], "return": []}


def test_a_need_may_name_its_own_task() -> None:
    """As in claims that compare tasks: it counts before the task that the claim is on."""
    need = Need("score", arm=LANGUAGE, context=1, task="walker2d")
    assert PAPER.value(need, "hopper", 666) == PAPER.value(need, None, 666) == pytest.approx(68.92, rel=6e-4)


@pytest.mark.parametrize(
    ("need", "task", "seed", "reason"),
    [
        (Need("cka_grid", arm=RANDOM), "hopper", 666, "raster heat map"),
        (Need("cka_between", arm=RANDOM, versus=LANGUAGE), "hopper", 42, "raster heat map"),
        (Need("action_errors", arm=LANGUAGE), "hopper", 666, "K=20 action errors are not drawn"),
        (Need("action_errors", arm=LANGUAGE, context=1), "hopper", 666, "epochs of block replacement only"),
        (Need("score_span", arm=IMAGE, parameters={"last": 40}), "hopper", 666, "first ten epochs"),
        (Need("score_span", arm=IMAGE), "hopper", 42, "seed 666 and K=20 only"),
        (Need("score", arm=IMAGE, context=1), "hopper", 666, "with context only"),
        (Need("score", arm="language_permuted", context=1), "hopper", 666, "no such control was published"),
        (Need("score", arm=RANDOM, context=1, head="tied"), "hopper", 666, "no such control was published"),
        (Need("cka", arm="block_3_language"), "hopper", 666, "no such control was published"),
        (Need("parameter_change", arm=RANDOM, next_seed=True), "hopper", 666, "no such control was published"),
        (Need("score", arm=LANGUAGE, clip=False), "hopper", 666, "of the image pre-trained arm"),
        (Need("attention_gap", arm=RANDOM), "hopper", 666, "shown of runs with K=1, not K=20"),
        (Need("attention_gap", arm=RANDOM, context=1, parameters={"epoch": 10}), "hopper", 42, "at epoch 4 only"),
        (Need("information_profile", arm=RANDOM), "walker2d", 666, "for Hopper only"),
        (Need("information_steps", arm=RANDOM), "hopper", 42, "for seed 666 only"),
        (Need("gradients", arm=RANDOM, parameters={"epoch": 4}), "hopper", 666, "at epoch 1 only"),
        (Need("cka", arm=RANDOM, parameters={"depth": 4}), "hopper", 666, "no cka by depth"),
        (Need("score", arm=RANDOM), "hopper", 7, "seeds 666 and 42, not 7"),
        (Need("mood"), "hopper", 666, "the paper shows no mood"),
    ],
)
def test_what_is_not_shown_says_why(need: Need, task: str, seed: int, reason: str) -> None:
    """The true reason, as a sentence of the report, whether the value or its note is asked for."""
    with pytest.raises(NotShown, match=reason):
        PAPER.value(need, task, seed)
    with pytest.raises(NotShown, match=reason):
        PAPER.note(need, task, seed)


@pytest.mark.parametrize(
    ("quantity", "part", "reason"),
    [
        ("parameter_change", "relative", "0.12 to 0.13 for the language arm"),
        ("parameter_change", "starts", "epoch 0 are not shown"),
        ("cka", "retention", "no such control was published"),
        ("gradients", "total_median", "after clipping"),
        ("gradients", "cosine_percentile_1", "only the lowest cosine is drawn"),
        ("gradients", "shares", "for the image pre-trained arm only"),
    ],
)
def test_a_part_that_is_not_shown_says_why(quantity: str, part: str, reason: str) -> None:
    """A mapping gives what is shown and answers for the rest when it is read; a part that never was is a mistake."""
    found = read(quantity, LANGUAGE)
    with pytest.raises(NotShown, match=reason):
        found[part]
    with pytest.raises(KeyError, match="mood"):
        found["mood"]


@pytest.mark.parametrize("content", [None, "{", "[]", "{}"])
def test_a_damaged_file_is_one_error(content: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Absent, no JSON, no object or without the kind that is read: the file is named, or what it lacks."""
    (tmp_path / "paper").mkdir()
    if content is not None:
        (tmp_path / "paper" / "readings.json").write_text(content)
    monkeypatch.setattr(plotted, "fixture_dir", lambda: tmp_path)
    plotted.all_plotted.cache_clear()
    try:
        with pytest.raises(FixtureError, match="the paper's values"):
            readings.PaperReadings().value(Need("cka", arm=RANDOM), "hopper", 666)
    finally:
        plotted.all_plotted.cache_clear()
