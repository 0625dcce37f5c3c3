"""What `--plan` says of a plan."""

from dataclasses import replace
from pathlib import Path

from dtclaims.harness.engine.progress import clock
from dtclaims.harness.plan.estimate import Machine
from dtclaims.harness.plan.plan import Plan
from dtclaims.harness.plan.summary import plan_lines
from dtclaims.harness.store.store import Store
from dtclaims.lab import LAB
from dtclaims.tests.support.plans import plan_for

MACHINE = Machine(cores=2, workers=2)
SAID = "the first headline verdict after about "


def headlines(plan: Plan, store: Store) -> list[str]:
    """What is said of headline verdicts."""
    return [line for line in plan_lines(plan, (), MACHINE, store, LAB) if line.startswith(SAID)]


def test_what_fits_in_a_time_limit_is_counted(tmp_path: Path) -> None:
    """All of it where every job has a tenth of its time to spare, as the session asks; where nothing would be begun,
    what it would say; without a limit nothing is said."""
    store = Store(tmp_path)
    plan = plan_for(store)
    whole = plan.schedule(plan.to_do(), MACHINE).seconds

    def said(limit: float | None) -> list[str]:
        lines = plan_lines(plan, (), MACHINE, store, LAB, limit=limit)
        return [line for line in lines if line.startswith("within ")]

    assert [said(None), said(1.2 * whole)] == [[], [f"within {clock(1.2 * whole)}: all of it"]]
    (nothing,) = said(0.0)
    assert nothing.startswith("within 0:00: no time for 4 runs and 2 measurements: the shortest is expected to take ")


def test_the_first_headline_verdict_is_one_that_is_open(tmp_path: Path) -> None:
    """What is complete already is no verdict to wait for; where all are, nothing is said."""
    store = Store(tmp_path)
    plan = plan_for(store)
    stored, missing = list(plan.runs)[:2]
    plan.proofs = {("done", "published", "mini"): (stored,), ("open", "published", "mini"): (stored, missing)}
    plan.jobs[stored] = replace(plan.jobs[stored], cached=True)
    (line,) = headlines(plan, store)
    assert line != f"{SAID}0:00"
    plan.jobs[missing] = replace(plan.jobs[missing], cached=True)
    assert headlines(plan, store) == []
