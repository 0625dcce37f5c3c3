"""Jobs of no lab, plans of them, and a session that has nothing to make before."""

from typing import Any

from dtclaims.harness.lab import CodeUsed, Job, Preparation
from dtclaims.harness.plan.plan import Plan, PlannedJob


def job(name: str, needs: tuple[Job, ...] = (), together: str | None = None, most: int = 1) -> Job:
    code = CodeUsed((), {}, ())
    return Job(
        kind="made up",
        name=name,
        what={"name": name},
        how={},
        resolved={},
        code=code,
        versions=(),
        device="cpu",
        precision="float32",
        needs=needs,
        together=together,
        most_together=most,
    )


def plan_of(*jobs: Job) -> Plan:
    plan = Plan((0,), "cpu")
    for one in jobs:
        needs = tuple(need.name for need in one.needs)
        plan.jobs[one.name] = PlannedJob(one, {"name": one.name}, one.name, needs, False, one.cost)
    return plan


class Nothing:
    """A session that has nothing to make before."""

    def preparations(self, jobs: Any) -> tuple[Preparation, ...]:
        return ()
