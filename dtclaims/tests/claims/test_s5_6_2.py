"""Claims of section 5.6.2 on made-up attention gaps: what makes each true, and what false."""

from collections.abc import Sequence
from typing import Any

import pytest

from dtclaims.errors import UndefinedMeasurement
from dtclaims.harness.declare.claim import SINGLE
from dtclaims.harness.declare.registry import load_claims
from dtclaims.lab.design.arms import BLOCKS
from dtclaims.lab.design.switches import PROTOCOLS
from dtclaims.tests.support.effects import holding

CLAIMS = load_claims()
ONE = {SINGLE}
SMALL = [0.01, 0.05, *[0.01] * 10]
"""Gaps of a language arm as the paper describes them."""
LARGE = [0.02, 0.05, 0.02, *[0.04] * 8, 0.02]
"""Gaps of a random arm as the paper describes them."""
RISING = [float(block) for block in range(BLOCKS)]


def blocks(values: Sequence[float], kind: str = "language") -> dict[str, float]:
    """Values of needs by block."""
    return {f"{kind}_{block}": value for block, value in enumerate(values)}


def at_epochs(random: list[float], language: list[float]) -> dict[str, list[float]]:
    """The same gaps at the three epochs of App. J.6.2."""
    return {f"{name}_{e}": gaps for e in (1, 10, 40) for name, gaps in (("random", random), ("language", language))}


# Claim, values of its needs, and the parts that hold for them.
CASES: list[tuple[str, dict[str, Any], set[str]]] = [
    ("S5.6.2-gap-gpt2-small", {"language": SMALL}, ONE),
    ("S5.6.2-gap-gpt2-small", {"language": LARGE}, set()),
    ("S5.6.2-gap-near-zero", {"rest": 0.03}, ONE),
    ("S5.6.2-gap-near-zero", {"rest": 0.5}, set()),
    ("S5.6.2-gap-random-large", {"random": LARGE, "language": SMALL}, ONE),
    ("S5.6.2-gap-random-large", {"random": SMALL, "language": LARGE}, set()),
    ("S5.6.2-gap-random-large", {"random": [0.012] * 12, "language": [0.01] * 12}, set()),
    # A larger gap in block 1 alone does not count.
    ("S5.6.2-gap-random-large", {"random": [0.01, 9.0, *[0.01] * 10], "language": SMALL}, set()),
    ("S5.6.2-mid-deep-clearer", {"random": LARGE, "language": SMALL}, ONE),
    ("S5.6.2-mid-deep-clearer", {"random": [0.9] * 3 + [0.1] * 8 + [0.9], "language": SMALL}, set()),
    (
        "S5.6.2-hc-block2",
        {"halfcheetah": [0.0, 0.05, 0.03], "hopper": SMALL, "walker2d": SMALL},
        {"over Hopper", "over Walker2d"},
    ),
    (
        "S5.6.2-hc-block2",
        {"halfcheetah": [0.0, 0.05, 0.02], "hopper": [0.0, 0.05, 0.03], "walker2d": SMALL},
        {"over Walker2d"},
    ),
    ("S5.6.2-block1-exception-gpt2", {"language": SMALL}, ONE),
    ("S5.6.2-block1-exception-gpt2", {"language": [0.06, *SMALL[1:]]}, set()),
    ("S5.6.2-epoch4-contrast", {"language": 40.3, "random": 4.4}, {"language", "random"}),
    ("S5.6.2-epoch4-contrast", {"language": 1.6, "random": 30.0}, set()),
    ("J6-att-epochs", at_epochs(LARGE, SMALL), ONE),
    ("J6-att-epochs", {**at_epochs(LARGE, SMALL), "language_40": LARGE}, set()),
    ("J6-att-seed42", {"random": LARGE, "language": SMALL}, ONE),
    ("J6-att-seed42", {"random": SMALL, "language": LARGE}, set()),
]


@pytest.mark.parametrize("protocol", ["published", "corrected"])
@pytest.mark.parametrize(("name", "values", "expected"), CASES)
def test_effects(name: str, values: dict[str, Any], expected: set[str], protocol: str) -> None:
    """What the paper describes, or its opposite; ratios and signs mean the same under both protocols."""
    assert holding(CLAIMS[name], protocol, values) == expected


def test_attention_is_read_where_there_is_context_to_attend_to() -> None:
    """Published on runs trained without context, corrected on runs trained with it (DEV-08)."""
    for name in ("S5.6.2-gap-gpt2-small", "S5.6.2-gap-near-zero", "S5.6.2-gap-random-large", "J6-att-epochs"):
        for protocol, context in (("published", 1), ("corrected", 20)):
            form = CLAIMS[name].under(PROTOCOLS[protocol])
            assert form is not None
            assert {need.under(PROTOCOLS[protocol]).get("context", 20) for need in form.needs.values()} == {context}
            # Which runs are read is one switch, what is read of them another.
            other = PROTOCOLS[protocol].flipped("context")
            assert {need.under(other).get("context", 20) for need in form.needs.values()} == {21 - context}
            same = PROTOCOLS[protocol].flipped("att_dist")
            assert {need.under(same).get("context", 20) for need in form.needs.values()} == {context}


def test_middle_blocks_lower_the_error_beyond_their_shams() -> None:
    """Published: the error itself; corrected: the error less the sham's, which a difference in shams explains away."""
    one = CLAIMS["S5.6.2-blocks3-10-error-faster"]
    errors = [0.5] * 3 + [0.2] * 8 + [0.5]
    assert holding(one, "published", blocks(errors)) == ONE
    assert holding(one, "published", blocks([0.5] * BLOCKS)) == set()
    assert holding(one, "corrected", {**blocks(errors), **blocks([0.5] * BLOCKS, "permuted")}) == ONE
    assert holding(one, "corrected", {**blocks(errors), **blocks(errors, "permuted")}) == set()


@pytest.mark.parametrize(("gaps", "rho"), [(RISING, -1.0), (RISING[::-1], 1.0), ([0.1] * BLOCKS, 0.0)])
def test_preserved_attention_goes_with_a_high_score(gaps: list[float], rho: float) -> None:
    """Published: Spearman's correlation of -gap and gain over the blocks; 0 if the gaps do not differ."""
    form = CLAIMS["S5.6.2-preserved-helps"].under(PROTOCOLS["published"])
    assert form is not None
    assert form(language=gaps, random=1.0, **blocks([2.0**value for value in RISING])) == pytest.approx({SINGLE: rho})


def test_preserved_attention_must_help_beyond_shams_and_scale() -> None:
    """Corrected: partial rank correlation, by the textbook's formula; nothing is left if the scale explains all."""
    form = CLAIMS["S5.6.2-preserved-helps"].under(PROTOCOLS["corrected"])
    assert form is not None
    shams = blocks([0.0] * BLOCKS, "permuted")
    scale = [3.0, 1.0, 2.0, 5.0, 4.0, 6.0, 8.0, 7.0, 9.0, 12.0, 10.0, 11.0]
    gaps, scores = RISING[::-1], [1.0, 0.0, 2.0, 4.0, 3.0, 5.0, 6.0, 9.0, 7.0, 8.0, 11.0, 10.0]

    def rho(one: list[float], other: list[float]) -> float:
        return 1 - 6 * sum((a - b) ** 2 for a, b in zip(one, other, strict=True)) / (BLOCKS * (BLOCKS**2 - 1))

    ranks = [value - 1 for value in scale]
    xy, xz, yz = rho(RISING, scores), rho(RISING, ranks), rho(scores, ranks)
    expected = (xy - xz * yz) / ((1 - xz**2) * (1 - yz**2)) ** 0.5
    assert form(language=gaps, scale=scale, **blocks(scores), **shams) == pytest.approx({SINGLE: expected})
    assert form(language=gaps, scale=RISING, **blocks(scores), **shams) == {SINGLE: 0.0}
    flat = blocks(scores, "permuted")
    assert form(language=gaps, scale=scale, **blocks(scores), **flat) == {SINGLE: 0.0}


def test_blocks_differ_in_what_they_bring() -> None:
    """Published: block 1 brings something, and scores spread by more than seeds do; corrected: more than shams'."""
    one = CLAIMS["S5.6.2-varying-amount"]
    assert "S5.6.1-other-blocks-help" in one.parts
    spread, flat = [20.0, 1.0, *[10.0, 30.0] * 5], [20.0] * BLOCKS
    assert holding(one, "published", {"random": 0.0, **blocks(spread)}) == {"block 1 too", "varies"}
    assert holding(one, "published", {"random": 0.0, **blocks(flat)}) == {"block 1 too"}
    assert holding(one, "published", {"random": 2.0, **blocks(spread)}) == {"varies"}
    assert holding(one, "corrected", {**blocks(spread), **blocks([0.0] * BLOCKS, "permuted")}) == {
        "block 1 too",
        "varies",
    }
    assert holding(one, "corrected", {**blocks(flat), **blocks(spread, "permuted")}) == {"block 1 too"}


def test_the_language_model_predicts_actions_more_accurately() -> None:
    """A smaller error, and the smaller the less a block's attention changes; corrected, beyond the blocks' shams."""
    one = CLAIMS["S5.6.2-action-more-accurate"]
    errors = [1.0 + value / 10 for value in RISING]
    own = {"gaps": RISING, "language": 0.3}
    both = {"error", "with the gap"}
    assert holding(one, "published", {**own, "random": 1.2, **blocks(errors)}) == both
    assert holding(one, "published", {**own, "random": 1.2, **blocks(errors[::-1])}) == {"error"}
    assert holding(one, "published", {**own, "random": 0.31, **blocks(errors)}) == {"with the gap"}
    flat = blocks([2.0] * BLOCKS, "permuted")
    assert holding(one, "corrected", {**own, "whole_random": 1.2, **blocks(errors), **flat}) == both
    same = blocks(errors, "permuted")
    assert holding(one, "corrected", {**own, "whole_random": 1.2, **blocks(errors), **same}) == {"error"}


def test_a_ratio_to_attention_that_does_not_change_has_no_value() -> None:
    """No gap of block 1, or of a whole arm, gives no ratio: a typed error, and no infinity."""
    still = [0.0] * BLOCKS
    for name, values in {
        "S5.6.2-gap-gpt2-small": {"language": still},
        "S5.6.2-gap-random-large": {"random": LARGE, "language": still},
        "S5.6.2-hc-block2": {"halfcheetah": still, "hopper": SMALL, "walker2d": SMALL},
    }.items():
        form = CLAIMS[name].under(PROTOCOLS["published"])
        assert form is not None
        with pytest.raises(UndefinedMeasurement, match="no ratio"):
            form(**values)


def test_the_conclusion_has_an_intervention_under_corrected_only() -> None:
    """Published by its parts alone; corrected also by what redrawn queries and keys cost, with and without context."""
    one = CLAIMS["SUM-5.6.2"]
    assert one.under(PROTOCOLS["published"]) is None
    assert all(CLAIMS[part].headline for part in one.parts)
    values = {"language_1": 80.0, "redrawn_1": 20.0, "language_20": 80.0, "redrawn_20": 30.0}
    assert holding(one, "corrected", values) == ONE
    assert holding(one, "corrected", {**values, "redrawn_20": 78.0}) == set()
    assert holding(one, "corrected", {**values, "redrawn_1": 79.0}) == set()
