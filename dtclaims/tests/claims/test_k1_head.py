"""The experiment on random init without context: one change a claim, and what makes each true, and false."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from dtclaims.harness.declare.claim import SINGLE, Claim
from dtclaims.harness.declare.registry import DEFAULT_FOLDER, load_claims
from dtclaims.harness.lab import Wish
from dtclaims.harness.plan.cells import Cell
from dtclaims.harness.plan.planner import make_plan
from dtclaims.harness.store.store import Store
from dtclaims.lab import LAB
from dtclaims.lab.design.switches import PROTOCOLS
from dtclaims.tests.support.effects import holding

CLAIMS = load_claims(DEFAULT_FOLDER / "k1_head")
ONE = {SINGLE}

CASES: list[tuple[str, dict[str, Any], set[str]]] = [
    ("K1-published-fails", {"random": -0.3}, ONE),
    ("K1-published-fails", {"random": 12.0}, set()),
    ("K1-published-saturated", {"saturated": 0.8}, ONE),
    ("K1-published-saturated", {"saturated": 0.05}, set()),
    ("K1-published-learns-nothing", {"ratio": 4.4}, ONE),
    ("K1-published-learns-nothing", {"ratio": 0.2}, set()),
    ("K1-architecture-rescues", {"changed": 50.0, "published": 0.0}, ONE),
    ("K1-architecture-rescues", {"changed": 9.0, "published": 0.0}, set()),
    ("K1-adam-eps-rescues", {"changed": 50.0, "published": 0.0}, ONE),
    ("K1-adam-eps-rescues", {"changed": 0.0, "published": 50.0}, set()),
    ("K1-low-scale-head-rescues", {"changed": 11.0, "published": 0.0}, ONE),
    ("K1-low-scale-head-rescues", {"changed": 50.0, "published": 45.0}, set()),
    ("K1-untied-head-rescues", {"changed": 50.0, "published": 0.0}, ONE),
    ("K1-untied-head-rescues", {"changed": 0.0, "published": 0.0}, set()),
    ("K1-mlp-works", {"score": 41.0}, ONE),
    ("K1-mlp-works", {"score": 39.0}, set()),
    ("K1-untied-head-works", {"score": 41.0}, ONE),
    ("K1-untied-head-works", {"score": 39.0}, set()),
    ("K1-low-scale-head-works", {"score": 41.0}, ONE),
    ("K1-low-scale-head-works", {"score": 39.0}, set()),
    ("K1-language-faster-as-published", {"language": 42.6, "random": 0.0}, ONE),
    ("K1-language-faster-as-published", {"language": 42.6, "random": 40.0}, set()),
    ("K1-language-faster-untied", {"language": 42.6, "random": 30.0}, ONE),
    ("K1-language-faster-untied", {"language": 30.0, "random": 42.6}, set()),
    ("K1-language-over-permuted", {"language": 42.6, "permuted": 30.0}, ONE),
    ("K1-language-over-permuted", {"language": 42.6, "permuted": 38.0}, set()),
    ("K1-language-over-synthetic", {"language": 42.6, "synthetic": 30.0}, ONE),
    ("K1-language-over-synthetic", {"language": 42.6, "synthetic": 42.0}, set()),
    ("K1-language-learns-tied", {"language": 60.0}, ONE),
    ("K1-language-learns-tied", {"language": 4.0}, set()),
    ("K1-language-learns-as-published", {"language": 60.0}, ONE),
    ("K1-language-learns-as-published", {"language": 4.0}, set()),
    ("K1-matched-fails-tied", {"matched": 1.0}, ONE),
    ("K1-matched-fails-tied", {"matched": 30.0}, set()),
    ("K1-language-unsaturated-tied", {"saturated": 0.05}, ONE),
    ("K1-language-unsaturated-tied", {"saturated": 1.0}, set()),
    *(
        case
        for name in ("markov-as-well-tied", "markov-as-well-untied", "matched-as-well-untied")
        for case in (
            (f"K1-{name}", {"one": 38.0, "other": 42.6}, ONE),
            (f"K1-{name}", {"one": 30.0, "other": 42.6}, set()),
        )
    ),
    *(
        case
        for name in ("language", "markov")
        for case in (
            (f"K1-{name}-fits-sooner-untied", {"slower": 0.11, "faster": 0.09}, ONE),
            (f"K1-{name}-fits-sooner-untied", {"slower": 0.09, "faster": 0.11}, set()),
        )
    ),
    *(
        case
        for control, heads in {
            "language-over-matched": ("tied", "low"),
            "language-over-permuted": ("tied", "low"),
            "language-over-moments": ("tied", "low", "untied"),
            "language-over-markov": ("tied", "low"),
            "markov-over-matched": ("tied", "low", "untied"),
            "moments-over-matched": ("tied",),
        }.items()
        for head in heads
        for case in (
            (f"K1-{control}-{head}", {"more": 42.6, "less": 30.0}, ONE),
            (f"K1-{control}-{head}", {"more": 42.6, "less": 42.0}, set()),
        )
    ),
]


@pytest.mark.parametrize(("name", "values", "parts"), CASES)
def test_effects_hold_where_they_should(name: str, values: dict[str, Any], parts: set[str]) -> None:
    """Each claim has values on both sides of its threshold."""
    assert holding(CLAIMS[name], "published", values) == parts


def test_every_claim_has_cases_on_both_sides() -> None:
    """No claim of the experiment is left out above."""
    for name in CLAIMS:
        assert {bool(parts) for case, _, parts in CASES if case == name} == {True, False}, name


def specifications(claim: Claim, store: Path, scale: str = "full") -> dict[str, dict[str, Any]]:
    """By need, the specification of its run."""
    session = LAB.session(Wish(scale, (), False, {}))
    cell = Cell(claim, PROTOCOLS["published"], session.scale, LAB, ("hopper",))
    plan = make_plan([cell], lab=LAB, session=session, seeds=[0], device="cuda", store=Store(store))
    (by_task,) = plan.needs[cell.name].values()
    return {need: asdict(plan.readings[key].reading.jobs[0].order.spec) for need, key in by_task["hopper"].items()}


@pytest.mark.parametrize(
    ("name", "field", "value"),
    [
        ("architecture", "architecture", "matched"),
        ("adam-eps", "adam_eps", 1e-6),
        ("low-scale-head", "head", "tied_low_scale"),
        ("untied-head", "head", "untied"),
    ],
)
def test_a_rescue_changes_one_thing(name: str, field: str, value: object, tmp_path: Path) -> None:
    """The changed run differs from the published one in a single field of its specification."""
    found = specifications(CLAIMS[f"K1-{name}-rescues"], tmp_path)
    changed, published = found["changed"], found["published"]
    assert {one for one in changed if changed[one] != published[one]} == {field}
    assert changed[field] == value
    assert (published["head"], published["architecture"], published["adam_eps"]) == ("tied", "reference", 1e-8)
    assert (published["context"], published["epochs"], published["budget"]["epochs"]) == (1, 10, 40)


@pytest.mark.parametrize(("name", "head"), [("tied", "tied"), ("low", "tied_low_scale"), ("untied", "untied")])
def test_a_contrast_of_weights_differs_in_nothing_else(name: str, head: str, tmp_path: Path) -> None:
    """The runs of a head start differ in arm only: fresh weights in the other's own network, under the head named."""
    found = specifications(CLAIMS[f"K1-markov-over-matched-{name}"], tmp_path, "mini")
    more, less = found["more"], found["less"]
    assert {one for one in more if more[one] != less[one]} == {"arm", "architecture"}
    assert (more["head"], more["adam_eps"], less["architecture"]) == (head, 1e-8, "matched")


def test_the_experiment_is_not_among_the_papers_claims() -> None:
    """`pytest claims` and `dtclaims claims` mean the paper's; the experiment runs where its folder is named."""
    assert not set(CLAIMS) & set(load_claims())
    assert all(one.protocols == ("published",) for one in CLAIMS.values())
