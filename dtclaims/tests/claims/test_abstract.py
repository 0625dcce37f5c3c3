"""The paper's conclusions: what each is made of, and the one that is no claim."""

from pathlib import Path

import pytest

from dtclaims.harness.declare.claim import SINGLE, Claim
from dtclaims.harness.declare.registry import load_claims, parts_of
from dtclaims.harness.lab import Wish
from dtclaims.harness.plan.cells import Cell
from dtclaims.harness.plan.planner import make_plan
from dtclaims.harness.store.store import Store
from dtclaims.lab import LAB
from dtclaims.lab.design.arms import BLOCKS
from dtclaims.lab.design.switches import PROTOCOLS
from dtclaims.tests.support.effects import holding

CLAIMS = load_claims()
CONCLUSIONS = [name for name in CLAIMS if name.startswith(("ABS-", "INT-", "SUM-"))]


@pytest.mark.parametrize("name", [*CONCLUSIONS, "D6-middle-blocks", "D6-layer-norm", "L-rep-param"])
def test_conclusions_are_made_of_claims(name: str) -> None:
    """Every part is declared, and no conclusion leads back to itself."""
    assert [part.id for part in parts_of(CLAIMS[name])] == list(CLAIMS[name].parts) != []


def test_the_headlines_of_the_paper() -> None:
    """Six of the abstract, two of the contributions and the seven lines that close section 5, all headlines."""
    assert len(CONCLUSIONS) == 15
    assert all(CLAIMS[name].headline for name in CONCLUSIONS)


NAMED = {
    "ABS-rep": {"S5.1-cka-gpt2-low", "S5.1-cka-igpt-low", "S5.1-pretrained-change-rep"},
    "ABS-igpt-clip": {"S5.4-large-gradients-igpt", "S5.4-norm-igpt-at-clip", "G3-clip-is-a-cause"},
    "INT-confusion": {"S5.3-l2-small-gpt2", "S5.3-l2-small-igpt", "S5.4-confusion-gpt2", "S5.4-confusion-explains"},
    "L-rep-param": {"S5.3-rep-changes-with-few-params", "L-random-vice-versa"},
}


@pytest.mark.parametrize("name", NAMED)
def test_a_conclusion_rests_on_all_that_its_sentence_says(name: str) -> None:
    """By itself or through its parts: gradients are large and not only clipped, parameters change little and not only
    for confusion, and both directions of the appendix."""
    assert NAMED[name] <= all_parts(CLAIMS[name])


def all_parts(one: Claim) -> set[str]:
    """Ids of its parts and of theirs."""
    return {found for part in parts_of(one) for found in (part.id, *all_parts(part))}


def test_a_gap_between_blocks_needs_room() -> None:
    """A random arm that learns without context, or one with a sham, leaves nothing for a block to bring."""
    one = CLAIMS["D6-middle-blocks"]
    assert one.form is not None
    (test,) = one.form.checks
    assert test.trend.holds_for(test(random=-0.3))
    assert not test.trend.holds_for(test(random=45.0))
    (test,) = one.corrections["block_sham"].checks
    shams = [f"permuted_{block}" for block in range(BLOCKS)]
    assert test.trend.holds_for(test(**dict.fromkeys(shams, -0.3)))
    assert not test.trend.holds_for(test(**dict.fromkeys(shams, 45.0)))


def test_middle_blocks_are_more_useful_than_edges() -> None:
    """Published over the random arm, corrected over shams, which explain the difference away if they show it too."""
    one = CLAIMS["D6-middle-blocks"]
    scores = [5.0] * 3 + [20.0] * 8 + [5.0]
    real = {f"language_{block}": score for block, score in enumerate(scores)}
    flat, same = ({f"permuted_{block}": s for block, s in enumerate(found)} for found in ([1.0] * BLOCKS, scores))
    assert holding(one, "published", {"random": 1.0, **real}) == {SINGLE}
    assert holding(one, "published", {"random": 1.0, **{name: -score for name, score in real.items()}}) == set()
    assert holding(one, "corrected", {**real, **flat}) == {SINGLE}
    assert holding(one, "corrected", {**real, **same}) == set()


def test_a_limitation_is_listed_and_never_judged(tmp_path: Path) -> None:
    """It needs nothing and says under every protocol that it is no claim."""
    one = CLAIMS["LIM-seeds"]
    assert not one.headline
    assert one.to_json()["test"] is None
    session = LAB.session(Wish("mini", (), False, {}))
    cells = [Cell(one, protocol, session.scale, LAB, ("hopper",)) for protocol in PROTOCOLS.values()]
    plan = make_plan(cells, lab=LAB, session=session, seeds=(0, 1, 2), device="cpu", store=Store(tmp_path / "store"))
    assert plan.runs == {}
    assert {plan.unavailable[cell.name].reason for cell in cells} == {"a limitation that the paper states, not a claim"}
