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
