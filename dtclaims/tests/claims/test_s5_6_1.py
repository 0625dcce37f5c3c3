"""Claims of section 5.6.1 on made-up block runs: what makes each true, and what false."""

from collections.abc import Sequence
from typing import Any

import pytest

from dtclaims import Need, Paper, above, claim
from dtclaims.errors import UsageError
from dtclaims.harness.declare.claim import SINGLE
from dtclaims.harness.declare.registry import load_claims
from dtclaims.lab.design.arms import BLOCKS
from dtclaims.lab.design.blocks import OTHERS
from dtclaims.lab.design.switches import PROTOCOLS
from dtclaims.tests.support.effects import holding

CLAIMS = load_claims()
ONE = {SINGLE}
ELEVEN = {f"block_{block}" for block in OTHERS}

DESCRIBED = [20.0, 1.0, *[20.0] * 10]
"""Scores as the paper describes them: block 1 alone brings nothing to a random arm at 0."""
ONE_FAILS = [20.0, 1.0, -1.0, *[20.0] * 9]
FLAT = [20.0] * 12


def blocks(values: Sequence[float], kind: str = "language", suffix: str = "") -> dict[str, float]:
    """Values of needs by block."""
    return {f"{kind}_{block}{suffix}": value for block, value in enumerate(values)}


def over_random(values: Sequence[float]) -> dict[str, float]:
    """Real blocks against a random arm at 0."""
    return {"random": 0.0, **blocks(values)}


def over_shams(values: Sequence[float], shams: float = 0.0) -> dict[str, float]:
    """Real blocks against shams that are all alike."""
    return {**blocks(values), **blocks([shams] * BLOCKS, "permuted")}


@pytest.mark.parametrize(
    ("name", "values", "expected"),
    [
        ("S5.6.1-other-blocks-help", DESCRIBED, ELEVEN),
        ("S5.6.1-other-blocks-help", ONE_FAILS, ELEVEN - {"block_2"}),
        ("S5.6.1-single-block-helps", DESCRIBED, ONE),
        ("S5.6.1-single-block-helps", [-value for value in DESCRIBED], set()),
        ("S5.6.1-distributed", [1.0] * 7 + [-1.0] * 5, ONE),
        ("S5.6.1-distributed", [1.0] * 6 + [-1.0] * 6, set()),
        ("J6-block-seed42", DESCRIBED, ONE),
        # Second from the worst is still "not good"; third is not.
        ("J6-block-seed42", [20.0, 5.0, 1.0, *[20.0] * 9], ONE),
        ("J6-block-seed42", [20.0, 5.0, 1.0, 1.0, *[20.0] * 8], set()),
        ("J6-block-seed42", ONE_FAILS, set()),
    ],
)
def test_blocks_help_more_than_the_random_arm_or_a_sham(name: str, values: list[float], expected: set[str]) -> None:
    """Published compares with the random arm, corrected with each block's own sham (DEV-13)."""
    assert holding(CLAIMS[name], "published", over_random(values)) == expected
    assert holding(CLAIMS[name], "corrected", over_shams(values)) == expected


@pytest.mark.parametrize("name", ["S5.6.1-single-block-helps", "S5.6.1-distributed", "S5.6.1-other-blocks-help"])
def test_what_a_sham_brings_too_is_no_information(name: str) -> None:
    """Blocks that all score 20 over the random arm are no better than shams that score 20."""
    assert holding(CLAIMS[name], "published", over_random(FLAT)) in (ONE, ELEVEN)
    assert holding(CLAIMS[name], "corrected", over_shams(FLAT, 20.0)) == set()


@pytest.mark.parametrize("protocol", ["published", "corrected"])
@pytest.mark.parametrize(
    ("values", "language", "random", "expected"),
    [
        ([0.2, 1.0, *[0.3] * 10], 0.1, 1.2, {"block_1", "others", "gap"}),
        # Block 1 learns too.
        ([0.2, 0.3, *[0.3] * 10], 0.1, 1.2, {"others", "gap"}),
        # Another block does not learn either.
        ([0.2, 1.0, 1.0, *[0.3] * 9], 0.1, 1.2, {"block_1", "gap"}),
        # The arms are the wrong way round: there is nothing to be like.
        ([0.2, 1.0, *[1.9] * 10], 2.0, 1.9, {"block_1"}),
    ],
)
def test_only_block_1_errs_like_the_random_arm(
    values: list[float], language: float, random: float, expected: set[str], protocol: str
) -> None:
    """Nearer to the random arm for block 1, nearer to the language arm for all others, and a gap between the arms."""
    needs = {"language": language, "random": random, **blocks(values)}
    assert holding(CLAIMS["S5.6.1-block1-like-random-error"], protocol, needs) == expected


@pytest.mark.parametrize("protocol", ["published", "corrected"])
@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (DESCRIBED, {"block_1", "others", "gap"}),
        (ONE_FAILS, {"block_1", "gap"}),
        (FLAT, {"others", "gap"}),
    ],
)
def test_only_block_1_scores_like_the_random_arm(values: list[float], expected: set[str], protocol: str) -> None:
    """In the first quarter of the way for block 1, beyond it for all others."""
    needs = {"language": 40.0, "random": 0.0, **blocks(values)}
    assert holding(CLAIMS["S5.6.1-block1-like-random-return"], protocol, needs) == expected


@pytest.mark.parametrize("protocol", ["published", "corrected"])
def test_ranks_count_from_the_worst(protocol: str) -> None:
    """Low scores and high errors are bad: rank 1 both ways, and rank 12 the other way round."""
    one = CLAIMS["S5.6.1-block1-worst-elsewhere"]
    rising = [1.0, 0.0, *[float(block) for block in range(2, BLOCKS)]]
    worst = {**blocks(rising), **blocks([-value for value in rising], "error_of_language")}
    assert holding(one, protocol, worst) == {"return", "error"}
    assert holding(one, protocol, {name: -value for name, value in worst.items()}) == set()
    form = one.under(PROTOCOLS[protocol])
    assert form is not None
    assert form(**worst) == {"return": 1.0, "error": 1.0}
    assert form(**{name: -value for name, value in worst.items()}) == {"return": 12.0, "error": 12.0}


@pytest.mark.parametrize("protocol", ["published", "corrected"])
def test_hopper_stands_out_only_if_block_1_is_worse_there(protocol: str) -> None:
    """The deficit is 1 where block 1 brings nothing or less, 0 where it is like the others or none brings anything."""
    one = CLAIMS["S5.6.1-hopper-most-pronounced"]

    def values(hopper: list[float], elsewhere: list[float]) -> dict[str, float]:
        others = {**blocks(elsewhere, suffix="_halfcheetah"), **blocks(FLAT, suffix="_walker2d")}
        return {**blocks(hopper, suffix="_hopper"), **others}

    form = one.under(PROTOCOLS[protocol])
    assert form is not None
    assert holding(one, protocol, values([12.0, -3.0, *[12.0] * 10], [12.0, 6.0, *[12.0] * 10])) == ONE
    assert holding(one, protocol, values(FLAT, DESCRIBED)) == set()
    assert form(**values([12.0, -3.0, *[12.0] * 10], FLAT)) == pytest.approx({SINGLE: 1.0})
    assert form(**values([-1.0] * 12, FLAT)) == pytest.approx({SINGLE: 0.0})


@pytest.mark.parametrize("protocol", ["published", "corrected"])
def test_the_audit_contrast_asks_for_more_than_the_best_block(protocol: str) -> None:
    """The whole language arm against the best single block; said to be no claim of the paper's."""
    one = CLAIMS["S5.6.1-single-le-full"]
    assert holding(one, protocol, {"language": 35.0, **blocks(DESCRIBED)}) == ONE
    assert holding(one, protocol, {"language": 0.3, **blocks(DESCRIBED)}) == set()
    assert not one.headline
    assert "Audit contrast" in one.scope


def test_a_claim_may_take_its_needs_unnamed() -> None:
    """`**values` takes the needs that are not named; a named parameter still has to be a need."""
    need = Need("block_return", arm="random_init", context=1)
    declared: dict[str, Any] = {
        "section": "0",
        "quote": "q",
        "scope": "s",
        "effect": "e",
        "unit": "u",
        "predicate": above(0.0),
        "paper": Paper("1"),
        "deviations": (),
    }

    @claim("X-1", needs={"a": need, "b": need}, **declared)
    def sums(a: float, **values: float) -> float:
        """Doc."""
        return a + sum(values.values())

    assert holding(sums, "published", {"a": -1.0, "b": 2.0}) == ONE
    with pytest.raises(UsageError, match="must take what it needs"):

        @claim("X-2", needs={"a": need}, **declared)
        def other(b: float, **values: float) -> float:
            """Doc."""
            return b
