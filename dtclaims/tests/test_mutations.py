"""The promise of an address: whatever can change a job's numbers changes its code's parts, and nothing else does.

Each job is done under a tracer, and every function of ours that it runs is edited, one constant or operator at a time.
"""

import importlib.util
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, is_dataclass
from types import ModuleType
from typing import Any

import pytest

from dtclaims.closure import resolved
from dtclaims.lab.design import arms, scales, switches, tasks
from dtclaims.lab.inputs import Inputs
from dtclaims.lab.jobs import RUN_CODE, run_job
from dtclaims.seeding import generator
from dtclaims.tests.support.examples import tiny_spec
from dtclaims.tests.support.mutations import (
    Job,
    Mutant,
    Place,
    executed,
    functions,
    modules,
    mutants,
    prose_mutants,
    source,
    table_mutants,
)
from dtclaims.tests.support.traced_jobs import JOBS

SAMPLE = 40
"""Edits of each kind and job in the unit tier."""
ALL_JOBS = pytest.mark.parametrize("job", JOBS, ids=[job.name for job in JOBS])


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Job], set[Place]]:
    """The functions that a job runs; each job is done once."""
    known: dict[str, set[Place]] = {}

    def run(job: Job) -> set[Place]:
        if job.name not in known:
            folder = tmp_path_factory.mktemp("job")
            known[job.name] = executed(job.prepare(folder))
        return known[job.name]

    return run


def sampled(found: Iterator[Mutant], purpose: str, count: int = SAMPLE) -> list[Mutant]:
    """Some of the edits, the same whenever there are the same to choose from."""
    every = list(found)
    chosen = generator(0, f"mutations/{purpose}").permutation(len(every))[:count]
    return [every[index] for index in chosen]


def edits_of(places: set[Place], of: Callable[[str, str], Iterator[Mutant]] = mutants) -> Iterator[Mutant]:
    """Edits of functions, in order."""
    for place in sorted(places, key=lambda one: (one.module, one.name)):
        yield from of(place.module, place.name)


def foreign_edits(job: Job) -> Iterator[Mutant]:
    """Edits of functions that the job does not depend on."""
    for module in modules(job.foreign):
        for name in functions(module):
            yield from mutants(module, name)


def parts_under(job: Job, mutant: Mutant) -> Mapping[str, str]:
    """The parts of a job's code after an edit."""
    return job.code({mutant.place.module: mutant.text}).parts


def unseen(job: Job, edits: list[Mutant]) -> list[str]:
    """The edits that leave the job's parts as they are."""
    before = job.code().parts
    return [str(one) for one in edits if parts_under(job, one) == before]


def seen(job: Job, edits: list[Mutant]) -> list[str]:
    """The edits that change the job's parts."""
    before = job.code().parts
    return [str(one) for one in edits if parts_under(job, one) != before]


@ALL_JOBS
def test_an_edit_of_what_a_job_runs_changes_its_code(job: Job, traced: Callable[[Job], set[Place]]) -> None:
    """A sample of the edits of functions that were seen to run: none is missed."""
    places = traced(job)
    assert len(places) > 10
    assert unseen(job, sampled(edits_of(places), job.name)) == []


@ALL_JOBS
def test_an_edit_of_other_code_or_of_prose_changes_nothing(job: Job, traced: Callable[[Job], set[Place]]) -> None:
    """A sample of the edits of code elsewhere, and of docstrings, annotations and texts of errors in what runs."""
    assert seen(job, sampled(foreign_edits(job), f"{job.name}/foreign", SAMPLE // 2)) == []
    assert seen(job, sampled(edits_of(traced(job), prose_mutants), f"{job.name}/prose", SAMPLE // 2)) == []


@pytest.mark.slow
@ALL_JOBS
def test_every_edit(job: Job, traced: Callable[[Job], set[Place]], capsys: pytest.CaptureFixture[str]) -> None:
    """All edits of all functions; those of the closure that did not run are counted, no more."""
    places = traced(job)
    edits = list(edits_of(places))
    missed = unseen(job, edits)
    others = [*sampled(foreign_edits(job), job.name, 400), *edits_of(places, prose_mutants)]
    needless = seen(job, others)
    parts, run = job.code().parts, {f"function {one.name}" for one in places}
    idle = [part for part in parts if part.startswith("function ") and part not in run]
    with capsys.disabled():
        print(
            f"\n{job.name}: {len(parts)} parts, {len(places)} functions run, {len(idle)} not; {len(edits)} mutants, "
            f"{len(missed)} missed; {len(others)} outside or prose, {len(needless)} needless"
        )
    assert missed == []
    assert needless == []


# Tables: their rows are in addresses as values.


@dataclass(frozen=True)
class TableOfRows:
    """A table marked by `rows`."""

    module: ModuleType
    name: str


ROWS = [TableOfRows(arms, "ARMS"), TableOfRows(scales, "SCALES"), TableOfRows(tasks, "TASKS")]
ROWS.append(TableOfRows(switches, "SWITCHES"))


def rows_of(text: str, table: TableOfRows) -> Mapping[str, Any]:
    """The table that a module of that text makes."""
    spec = importlib.util.spec_from_loader("mutated_table", None)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    # Where dataclasses look up their annotations.
    sys.modules["mutated_table"] = module
    try:
        exec(compile(text, "mutated_table", "exec"), vars(module))
    finally:
        del sys.modules["mutated_table"]
    found: Mapping[str, Any] = getattr(module, table.name)
    return found


def prose_of(value: object) -> list[Any]:
    """All that fields marked as prose hold, in a value and below."""
    if is_dataclass(value):
        held = [(field, getattr(value, field.name)) for field in fields(value)]
        return [one for f, one in held if f.metadata.get("prose")] + [p for _, one in held for p in prose_of(one)]
    if isinstance(value, Mapping):
        return [one for held in value.values() for one in prose_of(held)]
    return []


@pytest.mark.parametrize("table", ROWS, ids=[table.name for table in ROWS])
def test_an_edit_of_a_table_changes_its_rows_as_values(table: TableOfRows) -> None:
    """Each constant of a table is in the resolved rows, or prose; an edit of prose changes none."""
    original = rows_of(source(table.module.__name__), table)
    edits = list(table_mutants(table.module.__name__, table.name))
    assert len(edits) > 10
    for one in edits:
        edited = rows_of(one.text, table)
        spoken = prose_of(edited) != prose_of(original)
        assert (resolved(edited) == resolved(original)) is spoken, str(one)


ONE_MORE = """Arm("one_more", "another one", "mlp"),
        *_blocks(),"""


def test_a_new_arm_changes_nothing_for_others() -> None:
    """Neither the code of a run of another arm, nor its own row."""
    text = source("dtclaims.lab.design.arms")
    longer = text.replace("*_blocks(),", ONE_MORE)
    assert "one_more" in rows_of(longer, ROWS[0])
    assert resolved(rows_of(longer, ROWS[0])["mlp"]) == resolved(arms.get_arm("mlp"))
    training = next(job for job in JOBS if job.name == "training of random_init")
    assert training.code({"dtclaims.lab.design.arms": longer}) == training.code()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("gradient_clip: float = 0.25", "gradient_clip: float = 0.5"),
        ("self.budget.gradient_clip if self.clip", "2 * self.budget.gradient_clip if self.clip"),
        ("round(paper_epoch * self.epochs / self.PAPER_EPOCHS)", "paper_epoch * self.epochs // self.PAPER_EPOCHS"),
        ("for epoch in (1, 4, 10, 40)", "for epoch in (1, 4, 10)"),
    ],
    ids=["the clipping norm", "how it is applied", "the budget's arithmetic", "the kept epochs"],
)
def test_how_a_run_is_specified_is_part_of_its_code(old: str, new: str) -> None:
    """What was a hit on a store's old numbers once: each edit gives another address."""
    module = "dtclaims.lab.design.spec"
    assert old in source(module)
    for job in JOBS:
        if job.entries == RUN_CODE:
            assert job.code({module: source(module).replace(old, new)}) != job.code()


def test_what_a_row_means_for_a_run_is_in_its_identity() -> None:
    """The arm, the task, the kept epochs and the clipping norm of a run are there as values, without prose."""
    made = run_job(tiny_spec("mlp"), Inputs("hopper", {}, {}), device="cpu", precision="float32").resolved
    assert made["arm"] == {"name": "mlp", "shape": "mlp", "source": None, "change": None, "block": None}
    assert made["task"]["d4rl_reference"] == [-20.272305, 3234.3]
    assert (made["kept_epochs"], made["gradient_clip"]) == ([1, 4], 0.25)
