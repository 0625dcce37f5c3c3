"""Plans of the sample claims at a size that takes seconds."""

from dataclasses import replace
from typing import Any

from dtclaims.harness.declare.registry import load_claims
from dtclaims.harness.lab import Wish
from dtclaims.harness.plan.cells import Cell
from dtclaims.harness.plan.plan import Plan
from dtclaims.harness.plan.planner import make_plan
from dtclaims.harness.store.store import Store
from dtclaims.lab import LAB
from dtclaims.lab.design.scales import SCALES
from dtclaims.lab.design.switches import PROTOCOLS
from dtclaims.lab.inputs import Sources
from dtclaims.lab.laboratory import Session
from dtclaims.tests.support.examples import SAMPLE_CLAIMS, TINY_BUDGET

TINY = replace(SCALES["mini"], medium_steps=900, budget=replace(TINY_BUDGET, steps_per_epoch=1, evaluation_episodes=1))
IDS = ("SAMPLE-fails", "SAMPLE-ratio")


def cells(*ids: str, protocols: tuple[str, ...] = ("published",), scale: Any = TINY) -> list[Cell]:
    """Cells of some sample claims, on Hopper."""
    claims = load_claims(SAMPLE_CLAIMS)
    return [Cell(claims[one], PROTOCOLS[name], scale, LAB, ("hopper",)) for one in ids or claims for name in protocols]


def plan_for(store: Store, *ids: str, seeds: tuple[int, ...] = (0,), scale: Any = TINY, **options: Any) -> Plan:
    """What they need."""
    session = Session(scale, "for tests", Sources(), Wish(scale.name, ("hopper",), False, {}))
    return make_plan(
        cells(*ids, scale=scale, **options), lab=LAB, session=session, seeds=seeds, device="cpu", store=store
    )
