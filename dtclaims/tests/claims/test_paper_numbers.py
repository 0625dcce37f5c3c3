"""The numbers that claims quote from the paper: what each claim's own effect makes of its figures and tables."""

from collections.abc import Mapping
from functools import cache
from statistics import fmean as mean

import pytest

from dtclaims.harness.declare.claim import SINGLE, Claim
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


def quoted(claim: Claim, task: str | None) -> tuple[float, ...]:
    """The numbers that a claim quotes for a task."""
    numbers = claim.paper.numbers
    return numbers.get(task or "hopper", ()) if isinstance(numbers, Mapping) else numbers


def computed(name: str, task: str | None) -> list[float]:
    """What a claim's numbers should be: one per part, or of its one part one per seed of the paper's.

    Section 4 quotes the means of Table 1, which are of both seeds; claims on the second seed quote that one.
    """
    by_seed = {seed: effects(name, task, seed) for seed in (MAIN, SECOND)}
    if name.startswith("S4-"):
        one, other = by_seed[MAIN], by_seed[SECOND]
        return [mean((one[part], other[part])) for part in one] if one and other else []
    if "seed42" in name:
        return list((by_seed[SECOND] or {}).values())
    first = by_seed[MAIN] or {}
    if set(first) == {SINGLE}:
        return [*first.values(), *(by_seed[SECOND] or {}).values()]
    return list(first.values())


COMPARED = [(name, task) for name, task in CELLS if quoted(CLAIMS[name], task) and computed(name, task)]


def test_most_findings_can_be_run() -> None:
    """Every section whose figures are known has claims that find what they need; over nine tenths of seed 666 do."""
    found = [name for name, task in CELLS if effects(name, task, MAIN)]
    sections = {name.split("-")[0] for name in found}
    assert {"S4", "S5.1", "S5.2", "S5.3", "S5.4", "S5.5", "S5.6.1", "S5.6.2"} <= sections
    assert len(found) > 0.9 * len(CELLS)


@pytest.mark.parametrize(("name", "task"), COMPARED)
def test_quoted_numbers_are_those_of_the_figures(name: str, task: str | None) -> None:
    """A claim's function, given what the paper shows, returns what the claim quotes, to the printed digits."""
    for number, effect in zip(quoted(CLAIMS[name], task), computed(name, task), strict=False):
        digits = min(3, len(f"{number!r}".partition(".")[2]))
        assert effect == pytest.approx(number, abs=10.0**-digits)


@pytest.mark.parametrize(("name", "task"), CELLS)
def test_every_published_form_runs_on_the_papers_values(name: str, task: str | None) -> None:
    """A claim finds what it needs in the paper's values, or is told that it is not shown; nothing else happens."""
    form = CLAIMS[name].form
    assert form is not None
    for seed in (MAIN, SECOND):
        found = effects(name, task, seed)
        assert found is None or set(found) == set(form.trends)


@pytest.mark.parametrize("name", sorted(CLAIMS))
def test_a_claim_of_several_parts_quotes_a_number_for_each(name: str) -> None:
    """Reports set the numbers beside the parts by place: numbers of two seeds would be taken for those of two parts."""
    claim = CLAIMS[name]
    if claim.form is not None and set(claim.form.trends) != {SINGLE}:
        for task in claim.tasks or (None,):
            assert len(quoted(claim, task)) in (0, len(claim.form.trends)), task
