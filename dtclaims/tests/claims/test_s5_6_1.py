"""Claims of section 5.6.1 on made-up block runs: what makes each true, and what false."""

from collections.abc import Sequence
from typing import Any

import pytest

from dtclaims import Need, Paper, above, claim
from dtclaims.errors import UndefinedMeasurement, UsageError
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
        ("S5.6.1-other-blocks-help", [20.0, 1.0, 0.9, *[20.0] * 9], ELEVEN - {"block_2"}),
        ("S5.6.1-single-block-helps", [2.0] * 12, set()),
        ("S5.6.1-distributed", [1.0] * 9 + [-1.0] * 3, ONE),
        # More than half, but not what one would call distributed.
        ("S5.6.1-distributed", [1.0] * 8 + [-1.0] * 4, set()),
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
    ("values", "expected"),
    [
        ([0.2, 1.0, *[0.3] * 10], ONE),
        # Block 1 is the worst, but learns too.
        ([0.2, 0.6, *[0.3] * 10], set()),
        # Another block does not learn either.
        ([0.2, 1.0, 1.1, *[0.3] * 9], set()),
    ],
)
def test_only_block_1_errs_like_the_random_arm(values: list[float], expected: set[str], protocol: str) -> None:
    """The largest error of all blocks, and nearer to the random arm's than to the language arm's."""
    needs = {"language": 0.1, "random": 1.2, **blocks(values)}
    assert holding(CLAIMS["S5.6.1-block1-like-random-error"], protocol, needs) == expected


@pytest.mark.parametrize("protocol", ["published", "corrected"])
@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (DESCRIBED, ONE),
        (ONE_FAILS, set()),
        (FLAT, set()),
        ([40.0, 21.0, *[40.0] * 10], set()),
    ],
)
def test_only_block_1_scores_like_the_random_arm(values: list[float], expected: set[str], protocol: str) -> None:
    """The lowest score of all blocks, and nearer to the random arm's than to the language arm's."""
    needs = {"language": 40.0, "random": 0.0, **blocks(values)}
    assert holding(CLAIMS["S5.6.1-block1-like-random-return"], protocol, needs) == expected


def test_gaps_need_a_random_arm_that_fails() -> None:
    """Where the random arm, or a sham, learns at once without context, one block has nothing to bring."""
    for name in ("S5.6.1-single-block-helps", "S5.6.1-other-blocks-help", "S5.6.1-distributed"):
        published, corrected = (CLAIMS[name].under(PROTOCOLS[one]) for one in ("published", "corrected"))
        assert published is not None
        assert corrected is not None
        (fails,), (shams_fail,) = published.checks, corrected.checks
        assert [fails.trend.holds_for(fails(random=score)) for score in (-0.4, 35.0)] == [True, False]
        for score, expected in ((-0.4, True), (35.0, False)):
            shams = blocks([score] * BLOCKS, "permuted")
            assert shams_fail.trend.holds_for(shams_fail(**shams)) is expected


def test_claims_on_block_1_need_a_block_1_that_stands_out() -> None:
    """At epoch 0, by attention distance, whichever side it lies on; a block like any other lies at 1."""
    alike = [1.0, 2.0, 3.0, 4.0] * 3
    form = CLAIMS["S5.6.1-block1-like-random-return"].under(PROTOCOLS["published"])
    assert form is not None
    differs = form.checks[1]
    for first, expected in ((9.0, True), (-4.0, True), (2.0, False), (3.5, False)):
        assert differs.trend.holds_for(differs(language=[alike[0], first, *alike[2:]])) is expected
    with pytest.raises(UndefinedMeasurement, match="no spread of the other blocks"):
        differs(language=[1.0] * BLOCKS)


def test_replaced_blocks_are_each_read_in_their_place() -> None:
    """Where a claim has no run of the whole language arm, block B is read of the run that it was put into."""
    form = CLAIMS["S5.6.1-block1-worst-elsewhere"].under(PROTOCOLS["published"])
    assert form is not None
    (differs,) = form.checks
    own = [1.0, 9.0, *[1.0, 2.0, 3.0, 4.0, 5.0] * 2]
    runs = {f"language_{run}": [own[run] if run == b else 100.0 for b in range(BLOCKS)] for run in range(BLOCKS)}
    assert differs(**runs) == pytest.approx((9.0 - 3.0) / 1.0)


@pytest.mark.parametrize("protocol", ["published", "corrected"])
def test_ranks_count_from_the_worst(protocol: str) -> None:
    """Low scores and high errors are bad: rank 1 both ways, 12 the other way round, and in between the mean of both."""
    one = CLAIMS["S5.6.1-block1-worst-elsewhere"]
    rising = [1.0, 0.0, *[float(block) for block in range(2, BLOCKS)]]
    worst = {**blocks(rising), **blocks([-value for value in rising], "error_of_language")}
    assert holding(one, protocol, worst) == ONE
    assert holding(one, protocol, {name: -value for name, value in worst.items()}) == set()
    form = one.under(PROTOCOLS[protocol])
    assert form is not None
    assert form(**worst) == {SINGLE: 1.0}
    assert form(**{name: -value for name, value in worst.items()}) == {SINGLE: 12.0}


@pytest.mark.parametrize("protocol", ["published", "corrected"])
def test_hopper_stands_out_only_if_block_1_is_worse_there(protocol: str) -> None:
    """The deficit is 1 where block 1 brings nothing or less, 0 where it is like the others or none brings anything."""
    one = CLAIMS["S5.6.1-hopper-most-pronounced"]

    def values(hopper: list[float], elsewhere: list[float]) -> dict[str, float]:
        others = {**blocks(elsewhere, suffix="_halfcheetah"), **blocks(FLAT, suffix="_walker2d")}
        return {**blocks(hopper, suffix="_hopper"), **others}

    form = one.under(PROTOCOLS[protocol])
    assert form is not None
    both = {"over HalfCheetah", "over Walker2d"}
    assert holding(one, protocol, values([12.0, -3.0, *[12.0] * 10], [12.0, 6.0, *[12.0] * 10])) == both
    assert holding(one, protocol, values([12.0, 6.0, *[12.0] * 10], DESCRIBED)) == {"over Walker2d"}
    assert form(**values([12.0, -3.0, *[12.0] * 10], FLAT)) == pytest.approx(dict.fromkeys(both, 1.0))
    assert form(**values([-1.0] * 12, FLAT)) == pytest.approx(dict.fromkeys(both, 0.0))


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
        "trend": above(0.0),
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
