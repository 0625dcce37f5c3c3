"""What `--plan` prints: what is to be done by condition and task, how long it takes, what cannot be done and why."""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from dtclaims.harness.engine.limit import forecast
from dtclaims.harness.engine.progress import clock
from dtclaims.harness.engine.room import bytes_needed, size
from dtclaims.harness.lab import Lab, Unavailable
from dtclaims.harness.plan.cells import Cell
from dtclaims.harness.plan.estimate import Machine, Schedule
from dtclaims.harness.plan.explain import made_otherwise
from dtclaims.harness.plan.plan import Plan, PlannedJob
from dtclaims.harness.store.store import Store

NUMBER = re.compile(r"\d+")


@dataclass
class Reason:
    """Why some cells cannot be tested."""

    reason: str
    remedy: str
    """Of the first of them; others may name another claim."""
    declared: bool
    """Whether the claims themselves say so: no machine and no data would help."""
    cells: list[Cell] = field(default_factory=list)


def reasons(plan: Plan, cells: Iterable[Cell]) -> list[Reason]:
    """Why cells of a plan cannot be tested, each reason once, that of most cells first."""
    return _grouped((cell, missing) for cell in cells if (missing := plan.unavailable.get(cell.name)) is not None)


def absent(plan: Plan, cells: Iterable[Cell]) -> list[Reason]:
    """What has to be got before cells of a plan can be tested as planned, each once, that of most cells first."""
    return _grouped((cell, missing) for cell in cells for missing in plan.absent.get(cell.name, ()))


def _grouped(found: Iterable[tuple[Cell, Unavailable]]) -> list[Reason]:
    by_reason: dict[str, Reason] = {}
    for cell, missing in found:
        declared = cell.protocol.base not in cell.claim.protocols
        by_reason.setdefault(missing.reason, Reason(missing.reason, missing.remedy, declared)).cells.append(cell)
    return sorted(by_reason.values(), key=lambda one: -len(one.cells))


def plan_lines(
    plan: Plan,
    cells: Sequence[Cell],
    machine: Machine,
    store: Store,
    lab: Lab,
    *,
    every: bool = False,
    limit: float | None = None,
) -> list[str]:
    """The plan in lines.

    Args:
        plan: what the claims need.
        cells: of the session.
        machine: that it is planned for.
        store: where results are.
        lab: says what of a job tells runs apart for a reader (`Lab.shown`), and what a stored run is of.
        every: a line per job that takes long too.
        limit: seconds that the session has.
    """
    missing = plan.to_do()
    planned = plan.schedule(missing, machine)
    return [
        *(_each(plan) if every else ()),
        *_tables(plan, lab.shown),
        *_total(plan, missing, planned, machine, store, limit),
        *made_otherwise(plan, store, lab),
        *_room(plan, missing, store),
        *(f"needed first: {_told(one, every=every)}" for one in absent(plan, cells)),
        *impossible_lines(plan, cells, every=every),
    ]


def _each(plan: Plan) -> Iterator[str]:
    for one in sorted(_listed(plan), key=lambda one: (one.cached, one.job.name)):
        yield f"{one.key}  {'cached' if one.cached else f'~{clock(one.seconds)}':>8}  {one.job.name}"


def _listed(plan: Plan) -> list[PlannedJob]:
    """What takes long: runs, and where there are none, what is measured."""
    return list((plan.runs or plan.values).values())


def _tables(plan: Plan, shown: Sequence[str]) -> Iterator[str]:
    rows: dict[tuple[str, tuple[str, ...]], list[PlannedJob]] = defaultdict(list)
    for one in plan.jobs.values():
        rows[_row(one, shown)].append(one)
    tasks = list(dict.fromkeys(one.job.task for one in plan.jobs.values() if one.job.task))
    for kind in dict.fromkeys(kind for kind, _ in rows):
        found = {name: jobs for (of, name), jobs in rows.items() if of == kind}
        merged = _merged(found)
        unit = next((one.cost.unit for jobs in merged.values() for one in jobs if one.job.keeps_files), None)
        head = [kind, "", *(tasks if len(tasks) > 1 else ["number"]), *([unit] if unit else []), "stored", "alone"]
        lines = [head]
        for name, jobs in merged.items():
            counted = [[one for one in jobs if one.job.task == task] for task in tasks] if len(tasks) > 1 else [jobs]
            to_do = [one for one in jobs if not one.cached]
            lines.append(
                [
                    name[0],
                    " ".join(name[1:]),
                    *(str(len(one)) for one in counted),
                    *([f"{sum(one.cost.steps for one in jobs):g}"] if unit else []),
                    str(len(jobs) - len(to_do)),
                    clock(sum(one.seconds for one in to_do)) if to_do else "–",
                ]
            )
        yield from _columns(lines)
        yield ""


def _row(one: PlannedJob, shown: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    what = one.job.what
    if one.job.keeps_files:
        return one.job.kind, tuple(_word(name, what[name]) for name in shown if name != "task" and name in what)
    return one.job.kind, (str(what.get("quantity", one.job.name)),)


def _word(name: str, value: object) -> str:
    return str(value) if isinstance(value, str) else f"{name} {value}"


def _merged(rows: Mapping[tuple[str, ...], list[PlannedJob]]) -> dict[tuple[str, ...], list[PlannedJob]]:
    """Rows whose names differ in one number as one: `block_*_language (12)`."""
    alike: dict[tuple[str, ...], list[tuple[str, ...]]] = defaultdict(list)
    for name in rows:
        alike[NUMBER.sub("*", name[0]), *name[1:]].append(name)
    found = {}
    for pattern, names in alike.items():
        called = names[0] if len(names) == 1 else (f"{pattern[0]} ({len(names)})", *pattern[1:])
        found[called] = [one for name in names for one in rows[name]]
    return found


def _columns(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        left = [text.ljust(width) for text, width in zip(row[:2], widths, strict=False)]
        yield "  ".join([*left, *(text.rjust(width) for text, width in zip(row[2:], widths[2:], strict=True))])


def _total(
    plan: Plan, missing: Sequence[PlannedJob], planned: Schedule, machine: Machine, store: Store, limit: float | None
) -> Iterator[str]:
    listed = _listed(plan)
    runs = bool(plan.runs)
    to_do = [one for one in listed if not one.cached]
    what = f"{len(listed)} runs" if runs else f"{len(listed)} experiments"
    counts = f"{what}: {len(listed) - len(to_do)} cached, {len(to_do)} to {'train' if runs else 'take'}"
    values = [one for one in missing if not one.job.keeps_files]
    if runs and plan.values:
        counts += f"; {len(plan.values)} measurements: {len(plan.values) - len(values)} cached, {len(values)} to take"
    yield f"{counts}, about {clock(planned.seconds)} on {machine_words(machine)}"
    if limit is not None and missing:
        yield forecast(plan, store, machine, limit).told()
    # Of those that are complete nothing is scheduled.
    open_ = [keys for keys in plan.proofs.values() if not planned.jobs.keys().isdisjoint(keys)]
    if open_:
        yield f"the first headline verdict after about {clock(min(map(planned.done, open_)))}"
    if made := dict.fromkeys(once.name for one in missing for once in one.cost.once if once.by == "session"):
        yield f"made before, in the background: {', '.join(made)}"


def machine_words(machine: Machine) -> str:
    """A machine as people say it."""
    cores = f"{machine.cores} {'core' if machine.cores == 1 else 'cores'}"
    workers = f"{machine.workers} {'process' if machine.workers == 1 else 'processes'}"
    if not machine.gpus:
        return f"{workers}, {cores}"
    return f"{workers}, {machine.gpus} {'GPU' if machine.gpus == 1 else 'GPUs'} and {cores}"


def _room(plan: Plan, missing: Sequence[PlannedJob], store: Store) -> Iterator[str]:
    needed = bytes_needed(plan, store, missing)
    if needed:
        yield f"disk: about {size(needed)} in {store.root}, where {size(store.free())} are free"


def impossible_lines(plan: Plan, cells: Sequence[Cell], *, every: bool = False) -> Iterator[str]:
    """Why cells cannot be tested, a line for each reason; with `every` each claim is named."""
    for one in reasons(plan, cells):
        yield f"not run: {_told(one, every=every)}"


def _told(one: Reason, *, every: bool) -> str:
    ids = list(dict.fromkeys(cell.claim.id for cell in one.cells))
    count = f"{len(ids)} {'claim' if len(ids) == 1 else 'claims'}"
    named = f" ({', '.join(ids)})" if every else f" ({ids[0]}{', …' if len(ids) > 1 else ''})"
    return f"{count}: {one.reason}{named}. {one.remedy}"
