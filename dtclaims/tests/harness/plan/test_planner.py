"""Behaviour of `dtclaims.harness.plan.planner`: what claims may ask for."""

import itertools
import re
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dtclaims.errors import UsageError
from dtclaims.harness.declare.claim import Check, Claim, Paper, check
from dtclaims.harness.judge.registration import sealed_now, write
from dtclaims.harness.lab import Need, by
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


@pytest.mark.parametrize(
    ("otherwise", "said"),
    [
        ({"tasks": ("hoper",)}, "claim SAMPLE-fails names a task that there is not"),
        ({"paper": Paper("p", {"hoper": (1.0,)})}, "claim SAMPLE-fails names a task that there is not"),
        ({"needs": {"score": Need("score", arm=by("hed", tied="a"))}}, "claim SAMPLE-fails: unknown switch"),
        ({"needs": {"score": Need("score", arm=by("head", published="a"))}}, "has nothing for what it is set to"),
        ({"corrections": ("hed",)}, "unknown switch"),
    ],
)
def test_a_task_or_switch_that_there_is_not_is_named(tmp_path: Path, otherwise: dict[str, Any], said: str) -> None:
    """A task of no session is no reason to advise `--task all`, and a switch of no lab ends in no traceback."""
    claim = CLAIMS["SAMPLE-fails"]
    assert claim.form is not None
    if "needs" in otherwise:
        otherwise = {"form": replace(claim.form, **otherwise)}
    if "corrections" in otherwise:
        otherwise = {"corrections": dict.fromkeys(otherwise["corrections"], claim.form)}
    with pytest.raises(UsageError, match=said):
        planned(tmp_path, replace(claim, **otherwise))


def advised(study: Study) -> dict[str, str]:
    """The options of the command that is advised for a study's one cell."""
    entry = study.judge(study.cells[0])
    assert entry.verdict == "not_run"
    command = re.search("pytest [^`]*", entry.remedy or "")
    assert command is not None
    words = shlex.split(command[0])
    return {name.removeprefix("--"): value for name, value in itertools.pairwise(words) if name[:2] == "--"}


def test_what_is_advised_for_another_machine_is_the_same_study(tmp_path: Path) -> None:
    """Where a GPU is missing the command for one has the session's protocol and tasks too: what is followed as it is
    printed departs in nothing from the seal that it names."""
    seal, claim = tmp_path / "r.json", CLAIMS["SAMPLE-fails"]
    chosen = {"scale": "small", "protocol": "published", "task": "hopper", "seeds": "5,6,7", "registration": str(seal)}
    chosen |= {"store": str(tmp_path / "store")}
    settings = settings_of({**chosen, "device": "cpu"}, stored=True)
    write(seal, sealed_now([claim], settings))
    there = settings_of(advised(Study(cells_of([claim], settings), settings)), stored=True)
    assert there.registration == seal
    assert Study(cells_of([claim], there), there).departures() == []


def test_what_is_advised_at_another_scale_is_under_no_seal(tmp_path: Path) -> None:
    """A registration is of one scale: the command for a quantity that is measured at others alone does not name it."""
    seal, claim = tmp_path / "r.json", checked(jumps=Need("action_error_jumps", arm="random_init", context=1))
    chosen = {"scale": "mini", "protocol": "published", "store": str(tmp_path / "store"), "registration": str(seal)}
    settings = settings_of(chosen)
    write(seal, sealed_now([CLAIMS["SAMPLE-fails"]], settings))
    options = advised(Study(cells_of([claim], settings), settings))
    assert options["scale"] == "small"
    assert "registration" not in options
