"""Scores read off stored curves."""

from dataclasses import replace
from pathlib import Path

import pytest

from dtclaims.errors import MeasurementError
from dtclaims.harness.store.store import StoredRun
from dtclaims.lab.data.scores import score_reference
from dtclaims.lab.design.scales import SCALES
from dtclaims.lab.design.switches import PROTOCOLS
from dtclaims.lab.design.tasks import get_task
from dtclaims.lab.measurements.curves import (
    curve_span,
    error_over_constant,
    fresh_score,
    score,
    score_span,
    scores,
)
from dtclaims.tests.support.examples import tiny_spec

PUBLISHED, CORRECTED = (PROTOCOLS[name].switches for name in ("published", "corrected"))


def run(returns: list[float], task: str = "hopper", scale: str = "mini", fresh_episodes: int = 0) -> StoredRun:
    """A stored run with these returns by epoch."""
    budget = replace(SCALES[scale].budget, epochs=len(returns), fresh_episodes=fresh_episodes)
    spec = tiny_spec(task=task, budget=budget).to_json()
    return StoredRun(Path(), {"spec": spec}, {"curves": {"return_mean": returns}}, {})


def normalised(value: float, references: str, task: str = "hopper") -> float:
    """By the definition."""
    random, expert = score_reference(get_task(task), references)
    return 100 * (value - random) / (expert - random)


RISING = [0.0, 100.0, 200.0, 900.0, 400.0, 500.0, 600.0, 700.0]


def test_published_takes_the_best_epoch() -> None:
    """Chosen on the number it reports, with the data sets' mean returns (DEV-10, 29)."""
    assert score(run(RISING), PUBLISHED) == pytest.approx(normalised(900, "dataset_means"))


def test_few_episodes_choose_the_best_epoch_and_fresh_ones_score_it() -> None:
    """Where an epoch's episodes are few, the published score is of the chosen one's own; corrected chooses none."""
    one = run(RISING)
    budget = replace(SCALES["mini"].budget, epochs=len(RISING))
    one = replace(one, identity={"spec": tiny_spec(task="hopper", budget=budget).to_json()})
    one.result["diagnostics"] = {"fresh_return": 650.0}
    assert score(one, PUBLISHED) == pytest.approx(normalised(650, "dataset_means"))
    assert score(one, CORRECTED) == score(run(RISING), CORRECTED)


@pytest.mark.parametrize("scale", ["full", "paper"])
def test_at_the_papers_episodes_the_best_epoch_is_scored_as_the_reference_does(scale: str) -> None:
    """An epoch of 100 episodes is chosen on the number it reports, though fresh ones are at hand (DEV-10)."""
    one = run(RISING, scale=scale, fresh_episodes=100)
    one.result["diagnostics"] = {"fresh_return": 650.0}
    assert score(one, PUBLISHED) == pytest.approx(normalised(900, "dataset_means"))
    assert fresh_score(one, PUBLISHED) == pytest.approx(normalised(650, "dataset_means"))


def test_fresh_scores_are_of_the_best_epoch_or_of_the_last() -> None:
    """By `selection`, with the references of `score_refs`; a run without them is refused by its name."""
    one = run(RISING)
    with pytest.raises(MeasurementError, match=r"the run was not evaluated afresh: got hopper/K3/random_init/"):
        fresh_score(one, CORRECTED)
    one.result["diagnostics"] = {"fresh_return": 650.0, "fresh_return_last": 300.0}
    assert fresh_score(one, PUBLISHED) == pytest.approx(normalised(650, "dataset_means"))
    assert fresh_score(one, CORRECTED) == pytest.approx(normalised(300, "d4rl"))
    assert fresh_score(one, {**CORRECTED, "selection": "best"}) == pytest.approx(normalised(650, "d4rl"))


def test_corrected_takes_the_last_quarter() -> None:
    """The last two of eight epochs, with D4RL's constants."""
    assert score(run(RISING), CORRECTED) == pytest.approx(normalised(650, "d4rl"))


@pytest.mark.parametrize("task", ["hopper", "halfcheetah", "walker2d"])
def test_a_printed_score_is_subtracted_by_task(task: str) -> None:
    """The task's own is taken, under both protocols; without one, nothing is."""
    printed = {"hopper": 79.1, "halfcheetah": 42.8, "walker2d": 78.3}
    one = run(RISING, task)
    for switches in (PUBLISHED, CORRECTED):
        assert score(one, switches, minus=printed) == pytest.approx(score(one, switches) - printed[task])


def test_spans_are_the_papers_epochs_at_scale() -> None:
    """The paper's epochs 1-10 are the first two of eight, 31-40 the last two, 1-40 all; 1-1 is never empty."""
    one = run(RISING)
    values = scores(one, PUBLISHED)
    assert score_span(one, PUBLISHED) == pytest.approx(values[:2].mean())
    assert score_span(one, PUBLISHED, first=31, last=40) == pytest.approx(values[6:].mean())
    assert score_span(one, PUBLISHED, first=1, last=40) == pytest.approx(values.mean())
    assert score_span(one, PUBLISHED, first=1, last=1) == pytest.approx(values[0])
    paper = run([float(epoch) for epoch in range(40)], scale="paper")
    assert score_span(paper, CORRECTED) == pytest.approx(normalised(4.5, "d4rl"))


def test_a_run_that_ends_early_is_read_at_its_last_epoch() -> None:
    """The paper's epochs 8 to 10 are the second of five; a run that trained one of the five has that one."""
    one = run(RISING[:5])
    one.result["curves"]["return_mean"] = [300.0]
    assert score_span(one, PUBLISHED, first=8, last=10) == pytest.approx(normalised(300, "dataset_means"))


def test_any_curve_can_be_read() -> None:
    """The mean over the epochs that stand for the span: of eight epochs 1-10 are two, 11-20 the next two."""
    one = run(RISING)
    one.result["curves"]["saturated"] = [0.8, 0.6, 0.5, 0.1, 0.0, 0.0, 0.0, 0.0]
    assert curve_span(one, PUBLISHED) == pytest.approx(0.7)
    assert curve_span(one, CORRECTED, curve="saturated", first=11, last=20) == pytest.approx(0.3)
    assert curve_span(one, PUBLISHED, curve="return_mean", first=31, last=40) == pytest.approx(650)


def test_an_error_is_put_beside_the_best_constant() -> None:
    """As published the last minibatch's, as corrected that on held-out trajectories (DEV-11, 12)."""
    one = run(RISING)
    one.result["curves"] |= {"action_error": [1.2] * 8, "held_out_error": [0.15] * 8}
    one.result["diagnostics"] = {"constant_error": 0.3}
    assert error_over_constant(one, PUBLISHED) == pytest.approx(4.0)
    assert error_over_constant(one, CORRECTED, first=8, last=10) == pytest.approx(0.5)
