"""Behaviour of `dtclaims.harness.plan.planner`: what claims may ask for."""

from dataclasses import replace
from pathlib import Path

import pytest

from dtclaims.errors import UsageError
from dtclaims.harness.declare.claim import Check, Claim, check
from dtclaims.harness.lab import Need
from dtclaims.harness.stats.trends import level_below
from dtclaims.harness.study import Study, cells_of
from dtclaims.tests.support.studies import CLAIMS, settings_of


def checked(**needs: Need) -> Claim:
    """The claim about the random arm at K = 1, which presupposes something of these."""

    @check("it is low", needs=needs, trend=level_below(10.0, why="A score below ten is a failure."), unit="points")
    def low(**values: float) -> float:
        """The sum."""
        return sum(values.values())

    assert isinstance(low, Check)
    claim = CLAIMS["SAMPLE-fails"]
    assert claim.form is not None
    return replace(claim, form=replace(claim.form, checks=(low,)))


def planned(tmp_path: Path, claim: Claim) -> Study:
    """A study of the claim."""
    settings = settings_of({"store": str(tmp_path / "store"), "protocol": "published"})
    return Study(cells_of([claim], settings), settings)


def test_a_check_reads_other_quantities_of_the_claims_own_runs(tmp_path: Path) -> None:
    """Another quantity of the same run costs no run."""
    one = planned(tmp_path, checked(error=Need("action_errors", arm="random_init", context=1)))
    assert len(one.plan.runs) == len(planned(tmp_path, CLAIMS["SAMPLE-fails"]).plan.runs)
    assert list(one.plan.checks[one.cells[0].name]) == ["it is low"]


@pytest.mark.parametrize(
    "condition", [{"arm": "language_pretrained", "context": 1}, {"arm": "random_init", "context": 20}]
)
def test_a_check_that_needs_another_run_is_refused(tmp_path: Path, condition: dict[str, object]) -> None:
    """Another arm or context than the claim's: an error that names claim and run, before anything is done."""
    refused = "a check of claim SAMPLE-fails needs a run that the claim does not have"
    with pytest.raises(UsageError, match=refused) as error:
        planned(tmp_path, checked(score=Need("score", **condition)))
    assert str(condition["arm"]) in str(error.value)
    assert not list((tmp_path / "store" / "runs").iterdir())
