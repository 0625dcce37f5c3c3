"""Claims of section 5.5 on made-up scores: what makes each true, and what false."""

from typing import Any

import pytest

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


def faster(language: float, random: float, ours: Any, theirs: Any, with_context: float) -> dict[str, Any]:
    """Values of the claim that has most of them."""
    names = ("language", "random", "language_curve", "random_curve", "with_context")
    return dict(zip(names, (language, random, ours, theirs, with_context), strict=True))


# Claim, values of its needs, and the parts that hold for them.
CASES: list[tuple[str, dict[str, Any], set[str]]] = [
    ("S5.5-k1-gpt2-faster", faster(42.0, -0.5, SOON, NEVER, 60.0), {"score", "epochs"}),
    ("S5.5-k1-gpt2-faster", faster(42.0, 40.0, SOON, SOON, 60.0), set()),
    # Five epochs saved are not more than five.
    ("S5.5-k1-gpt2-faster", faster(42.0, 0.0, SOON, [(5.0, 0.0), (10.0, 30.0)], 60.0), {"score"}),
    # Nobody gets there: no epochs are saved.
    ("S5.5-k1-gpt2-faster", faster(42.0, 0.0, SOON, NEVER, 160.0), {"score"}),
    ("S5.5-k1-random-fails-hopper", {"random": -0.24}, ONE),
    ("S5.5-k1-random-fails-hopper", {"random": 49.0}, set()),
    ("S5.5-k1-random-fails-only-hopper", {"random": 49.0}, ONE),
    ("S5.5-k1-random-fails-only-hopper", {"random": 2.1}, set()),
    ("S5.5-k1-gpt2-eq-k20", {"without": 83.7, "context": 80.8}, ONE),
    ("S5.5-k1-gpt2-eq-k20", {"without": 60.0, "context": 80.8}, set()),
    ("S5.5-k1-gpt2-eq-k20", {"without": 90.0, "context": 80.8}, set()),
    ("S5.5-k1-gpt2-consistent", {"language": 52.0, "random": 47.4}, ONE),
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
    ("S5.5-early-phase", {"language": 35.4, "random": 10.1, "language_late": 47.0, "random_late": 49.0}, ONE),
    ("S5.5-early-phase", {"language": 42.0, "random": -0.5, "language_late": 52.0, "random_late": -0.5}, set()),
    ("J5-seed42-curves", {"language": 4.4, "random": 1.1}, ONE),
    ("J5-seed42-curves", {"language": 1.1, "random": 4.4}, set()),
    # These needs are differences from the table already.
    ("J5-table", {"language": -5.0, "random": 0.2}, ONE),
    ("J5-table", {"language": 0.0, "random": -33.5}, set()),
    ("SUM-5.5", {"language": 47.7}, ONE),
    ("SUM-5.5", {"language": 39.0}, set()),
]


@pytest.mark.parametrize("protocol", ["published", "corrected"])
@pytest.mark.parametrize(("name", "values", "expected"), CASES)
def test_effects(name: str, values: dict[str, Any], expected: set[str], protocol: str) -> None:
    """The paper's own numbers, or their opposite, under both protocols."""
    assert holding(CLAIMS[name], protocol, values) == expected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"language": 42.0, "permuted": 5.0, "mlp": 10.0}, {"over_permuted", "over_mlp"}),
        ({"language": 42.0, "permuted": 40.0, "mlp": 10.0}, {"over_mlp"}),
        ({"language": 42.0, "permuted": 5.0, "mlp": 60.0}, {"over_permuted"}),
    ],
)
def test_context_like_information_needs_a_control(values: dict[str, float], expected: set[str]) -> None:
    """Beyond the scale of the weights, and beyond what needs no context; testable under corrected only."""
    one = CLAIMS["S5.5-context-like-info"]
    assert holding(one, "corrected", values) == expected
    assert one.protocols == ("corrected",)


def test_walker_is_bimodal_only_if_some_seeds_fail_and_some_do_not() -> None:
    """The effect is 1 for a failing seed and 0 for a working one; the mean must lie strictly between."""
    form = CLAIMS["J5-walker-random-bimodal"].under(PROTOCOLS["published"])
    assert form is not None
    assert form(random=2.1) == {SINGLE: 1.0}
    assert form(random=69.1) == {SINGLE: 0.0}
    (predicate,) = form.predicates.values()
    assert [predicate.holds_for(share) for share in (0.0, 0.5, 1.0)] == [False, True, False]


def test_the_table_is_put_on_the_protocols_scale() -> None:
    """Published: the printed 81.3 of Hopper; corrected: the same return relative to D4RL's constants (DEV-29)."""
    printed, converted = (CLAIMS["J5-table"].under(PROTOCOLS[name]) for name in ("published", "corrected"))
    assert printed is not None
    assert converted is not None
    assert printed.needs["language"].condition["parameters"]["minus"]["hopper"] == 81.3
    (low, high), (new_low, new_high) = (score_reference(get_task("hopper"), n) for n in ("dataset_means", "d4rl"))
    episode = low + 0.813 * (high - low)
    expected = 100 * (episode - new_low) / (new_high - new_low)
    assert converted.needs["language"].condition["parameters"]["minus"]["hopper"] == pytest.approx(expected)
    # The audit's own conversion of a score nearby: 83.73 is 91.1.
    assert expected == pytest.approx(88.5, abs=0.1)
