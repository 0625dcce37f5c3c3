"""Claims of section 5.5 on made-up scores: what makes each true, and what false."""

from typing import Any

import pytest

from dtclaims.errors import UndefinedMeasurement
from dtclaims.harness.declare.claim import SINGLE
from dtclaims.harness.declare.registry import load_claims
from dtclaims.lab.data.scores import score_reference
from dtclaims.lab.design.switches import PROTOCOLS
from dtclaims.lab.design.tasks import get_task
from dtclaims.tests.support.effects import holding

CLAIMS = load_claims()
ONE = {SINGLE}
NEVER = [(5.0, 0.0), (10.0, 1.0)]
SOON = [(5.0, 30.0), (10.0, 60.0)]


def curves(language: Any, random: Any, with_context: float = 60.0) -> dict[str, Any]:
    """Values of the claim on speed."""
    return {"language": language, "random": random, "with_context": with_context}


def off(**cells: float) -> dict[str, float]:
    """Differences from the table's five cells, 0 unless said."""
    names = ("language_hopper", "language_halfcheetah", "language_walker2d", "random_hopper", "random_halfcheetah")
    return {**dict.fromkeys(names, 0.0), **cells}


# Claim, values of its needs, and the parts that hold for them.
CASES: list[tuple[str, dict[str, Any], set[str]]] = [
    ("S5.5-k1-gpt2-faster", curves(SOON, NEVER), ONE),
    ("S5.5-k1-gpt2-faster", curves(SOON, SOON), set()),
    ("S5.5-k1-gpt2-faster", curves([(5.0, 30.0)], [(8.0, 30.0)]), set()),
    ("S5.5-k1-gpt2-faster", curves([(5.0, 30.0)], [(9.0, 30.0)]), ONE),
    # Nobody gets there: no epochs are saved.
    ("S5.5-k1-gpt2-faster", curves(SOON, NEVER, 160.0), set()),
    ("S5.5-k1-random-fails-hopper", {"random": -0.24}, ONE),
    ("S5.5-k1-random-fails-hopper", {"random": 49.0}, set()),
    ("S5.5-k1-random-fails-only-hopper", {"random": 49.0}, ONE),
    ("S5.5-k1-random-fails-only-hopper", {"random": 2.1}, set()),
    ("S5.5-k1-gpt2-eq-k20", {"without": 83.7, "context": 80.8}, ONE),
    ("S5.5-k1-gpt2-eq-k20", {"without": 60.0, "context": 80.8}, set()),
    # Better is no less comparable.
    ("S5.5-k1-gpt2-eq-k20", {"without": 99.0, "context": 80.8}, ONE),
    ("S5.5-k1-gpt2-consistent", {"language": 52.0, "random": 47.4}, ONE),
    ("S5.5-k1-gpt2-consistent", {"language": 52.0, "random": 50.0}, set()),
    ("S5.5-k1-gpt2-consistent", {"language": 47.4, "random": 52.0}, set()),
    (
        "S5.5-gap-larger-without-context",
        {"language": 42.0, "random": -0.5, "language_context": 51.7, "random_context": 48.6},
        ONE,
    ),
    (
        "S5.5-gap-larger-without-context",
        {"language": 2.0, "random": 40.0, "language_context": 51.7, "random_context": 48.6},
        set(),
    ),
    ("S5.5-early-phase", {"language": 42.0, "random": -0.5}, ONE),
    ("S5.5-early-phase", {"language": 35.4, "random": 35.1}, set()),
    ("J5-seed42-curves", {"language": 4.4, "random": 1.1}, ONE),
    ("J5-seed42-curves", {"language": 1.1, "random": 4.4}, set()),
    # These needs are differences from the table already.
    ("J5-table", off(language_walker2d=-5.0, random_hopper=0.2), ONE),
    ("J5-table", off(random_halfcheetah=-5.1), set()),
    ("SUM-5.5", {"language": 47.7}, ONE),
    ("SUM-5.5", {"language": 19.0}, set()),
]


@pytest.mark.parametrize("protocol", ["published", "corrected"])
@pytest.mark.parametrize(("name", "values", "expected"), CASES)
def test_effects(name: str, values: dict[str, Any], expected: set[str], protocol: str) -> None:
    """The paper's own numbers, or their opposite, under both protocols."""
    assert holding(CLAIMS[name], protocol, values) == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"language": 42.0, "permuted": 5.0, "mlp": 10.0}, ONE),
        ({"language": 42.0, "permuted": 40.0, "mlp": 10.0}, set()),
        ({"language": 42.0, "permuted": 5.0, "mlp": 60.0}, set()),
    ],
)
def test_context_like_information_needs_a_control(values: dict[str, float], expected: set[str]) -> None:
    """Beyond the scale of the weights, and beyond what needs no context; testable under corrected only."""
    one = CLAIMS["S5.5-context-like-info"]
    assert holding(one, "corrected", values) == expected
    assert one.protocols == ("corrected",)


def test_walker_is_bimodal_if_some_seeds_fail_and_some_do_not() -> None:
    """A rate: true of a failing seed, false of a working one, and both must be shown to happen."""
    form = CLAIMS["J5-walker-random-bimodal"].under(PROTOCOLS["published"])
    assert form is not None
    assert form(random=2.1) == {SINGLE: 1.0}
    assert form(random=69.1) == {SINGLE: 0.0}
    assert form.trends[SINGLE].kind == "rate"


def test_no_share_of_a_baseline_that_learned_nothing() -> None:
    """A ratio to a score that is not above a random policy's has no value, and the check says why beforehand."""
    form = CLAIMS["S5.5-k1-gpt2-eq-k20"].under(PROTOCOLS["published"])
    assert form is not None
    with pytest.raises(UndefinedMeasurement, match="no share of a score"):
        form(without=1.0, context=-0.3)
    (learns,) = form.checks
    assert not learns.trend.holds_for(learns(language=-0.3))
    assert learns.trend.holds_for(learns(language=48.0))


def test_a_random_arm_that_learns_refutes_the_gap() -> None:
    """No claim of section 5.5 presupposes that the random arm fails: where it learns, the gap is absent."""
    for name, one in CLAIMS.items():
        for form in filter(None, (one.form, *one.corrections.values())):
            if one.file.name == "test_s5_5_no_context.py":
                read = {need.condition.get("arm") for check in form.checks for need in check.needs.values()}
                assert read <= {"language_pretrained"}, name
    gap = CLAIMS["S5.5-k1-gpt2-consistent"].under(PROTOCOLS["corrected"])
    assert gap is not None
    assert gap.trends[SINGLE].interest > 0


def test_learning_efficiently_is_also_learning_fast() -> None:
    """The summary rests on the score without context, what is lost without it, and speed; the abstract on that."""
    assert {"S5.5-k1-gpt2-eq-k20", "S5.5-k1-gpt2-faster", "S5.5-k1-gpt2-consistent"} == set(CLAIMS["SUM-5.5"].parts)
    assert CLAIMS["ABS-no-context"].parts == ("SUM-5.5",)


def test_the_table_is_put_on_the_protocols_scale() -> None:
    """Published: the printed 81.3 of Hopper; corrected: the same return relative to D4RL's constants (DEV-29)."""
    printed, converted = (CLAIMS["J5-table"].under(PROTOCOLS[name]) for name in ("published", "corrected"))
    assert printed is not None
    assert converted is not None
    assert printed.needs["language_hopper"].condition["parameters"]["minus"]["hopper"] == 81.3
    (low, high), (new_low, new_high) = (score_reference(get_task("hopper"), n) for n in ("dataset_means", "d4rl"))
    episode = low + 0.813 * (high - low)
    expected = 100 * (episode - new_low) / (new_high - new_low)
    assert converted.needs["language_hopper"].condition["parameters"]["minus"]["hopper"] == pytest.approx(expected)
    # The audit's own conversion of a score nearby: 83.73 is 91.1.
    assert expected == pytest.approx(88.5, abs=0.1)
    # The sixth cell is a mean that no single seed can give.
    assert "random_walker2d" not in printed.needs
