"""What each claim's own effect makes of the paper's figures and tables."""

from functools import cache

import pytest

from dtclaims.harness.declare.registry import load_claims
from dtclaims.harness.lab import NotShown
from dtclaims.lab import LAB

CLAIMS = load_claims()
PAPER = LAB.published
assert PAPER is not None
MAIN, SECOND = PAPER.seeds

PUBLISHED = [name for name, claim in CLAIMS.items() if claim.form is not None and "published" in claim.protocols]
CELLS = [(name, task) for name in PUBLISHED for task in CLAIMS[name].tasks or (None,)]


@cache
def effects(name: str, task: str | None, seed: int) -> dict[str, float] | None:
    """What a claim's function makes of the paper's values; None where the paper does not show what it needs."""
    form = CLAIMS[name].form
    assert form is not None
    assert PAPER is not None
    try:
        return form(**{need: PAPER.value(one, task, seed) for need, one in form.needs.items()})
    except NotShown:
        return None


def test_most_findings_can_be_run() -> None:
    """Every section whose figures are known has claims that find what they need; over nine tenths of seed 666 do."""
    found = [name for name, task in CELLS if effects(name, task, MAIN)]
    sections = {name.split("-")[0] for name in found}
    assert {"S4", "S5.1", "S5.2", "S5.3", "S5.4", "S5.5", "S5.6.1", "S5.6.2"} <= sections
    assert len(found) > 0.9 * len(CELLS)


@pytest.mark.parametrize(("name", "task"), CELLS)
def test_every_published_form_runs_on_the_papers_values(name: str, task: str | None) -> None:
    """A claim finds what it needs in the paper's values, or is told that it is not shown; nothing else happens."""
    form = CLAIMS[name].form
    assert form is not None
    for seed in (MAIN, SECOND):
        found = effects(name, task, seed)
        assert found is None or set(found) == set(form.trends)


# Where the paper's main seed does not have the trend of a claim, and why the claim says so all the same.
EXCEPTIONS = {
    "J5-walker-random-bimodal": "one seed alone shows one outcome of two",
    "S5.6.1-single-le-full": "an audit contrast, which the paper's own data contradict",
    "S5.6.2-epoch4-contrast": "the paper's own data contradict its sentence on Hopper",
}


@pytest.mark.parametrize(
    "name", [one for one in PUBLISHED if CLAIMS[one].section in ("5.5", "5.6.1", "5.6.2", "J.5", "J.6.1", "J.6.2")]
)
def test_trends_of_sections_5_5_and_5_6_are_those_of_the_main_seed(name: str) -> None:
    """What the paper says of its figures its main seed shows, on the task that decides or on all; or it is named here."""
    claim = CLAIMS[name]
    form = claim.form
    assert form is not None
    deciding = (claim.primary,) if claim.primary else claim.tasks or (None,)
    found = {task: effects(name, task, MAIN) for task in deciding}
    held = [form.trends[part].holds_exactly(value) for one in found.values() if one for part, value in one.items()]
    assert held, "not shown at all"
    assert all(held) is (name not in EXCEPTIONS)
