"""From claims to the union of the jobs they need."""

import statistics
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from dtclaims.addresses import key_of, versions
from dtclaims.closure import code_of
from dtclaims.device import device_class
from dtclaims.errors import StoreError, UsageError
from dtclaims.harness.lab import Circumstances, Cost, Job, Lab, Need, Reading, Session, Unavailable
from dtclaims.harness.plan.again import again
from dtclaims.harness.plan.cells import WHOLE, Cell
from dtclaims.harness.plan.estimate import Machine, steady, wall
from dtclaims.harness.plan.plan import Plan, PlannedJob, PlannedReading
from dtclaims.harness.store.recorded import Recorded
from dtclaims.harness.store.results import Results
from dtclaims.harness.store.timings import Timing, read_timings

SCHEMA = 2
"""Of identities. 1 listed modules; 2 computes the code that a job depends on."""


def identity_of(job: Job, needs: Sequence[str]) -> dict[str, Any]:
    """Everything that a job's result depends on, as plain data; its hash is the job's address.

    Args:
        job: the job.
        needs: keys of the results that it reads.

    Raises:
        UsageError: its code meets a table that the job does not speak of.
    """
    code = code_of(*job.code.entries, chosen=dict(job.code.chosen), rows=job.code.rows)
    return {
        "schema": SCHEMA,
        "kind": job.kind,
        "what": dict(job.what),
        "how": dict(job.how),
        "resolved": dict(job.resolved),
        "needs": list(needs),
        "versions": versions(*job.versions),
        "device": device_class(job.device),
        "precision": job.precision,
        "code": code.to_json(),
    }


def make_plan(
    cells: Iterable[Cell],
    *,
    lab: Lab,
    session: Session,
    seeds: Sequence[int],
    device: str,
    store: Results,
    precision: str = "float32",
    recorded: Recorded | None = None,
    given: Mapping[str, str] | None = None,
    chosen: Sequence[str] = (),
) -> Plan:
    """The union of what the cells and their parts need, looked up in the store.

    With `recorded`, results are those that it knows, under the code and on the data that they were made with. `given`
    is what the user typed, and `chosen` the claims where they are some of more: the commands of remedies repeat both.

    A result that is damaged, or may not be read, is noted (`Plan.faults`) and stops nothing else.

    Raises:
        UsageError: a need that the lab cannot understand, or a part that is no claim.
        DtclaimsError: data or weights that were asked for are not there, or break their format.
    """
    cells = list(cells)
    bases = frozenset(cell.protocol.base for cell in cells)
    planner = _Planner(
        Plan(tuple(seeds), device, precision, given or {}, tuple(chosen)), lab, session, store, recorded, bases
    )
    for cell in cells:
        planner.add(cell)
    for cell in cells:
        # A variant of some switches explains a verdict; the verdict comes first.
        if cell.claim.headline and cell.protocol.name == cell.protocol.base:
            planner.put_first(cell)
    return planner.plan


_Resolved = list[tuple[int, str, str, Reading]]
"""Seed, task, name of the need, and what it means."""


class _Planner:
    def __init__(
        self,
        plan: Plan,
        lab: Lab,
        session: Session,
        store: Results,
        recorded: Recorded | None,
        bases: frozenset[str],
    ) -> None:
        self.plan = plan
        self._lab = lab
        self._session = session
        self._store = store
        self._recorded = recorded
        self._bases = bases
        """Protocols of the session."""
        self._timings = Timings(store)
        self._keys: dict[int, tuple[Job, str]] = {}
        """By identity of the object: a lab gives the same job to every reading of it."""

    def add(self, cell: Cell) -> None:
        """Plan a cell and its parts; one that cannot be tested here is noted with the reason."""
        if cell.name in self.plan.needs or cell.name in self.plan.unavailable:
            return
        for part in cell.parts:
            self.add(part)
        missing = self._unsupported(cell)
        if missing is not None:
            self.plan.unavailable[cell.name] = missing
            return
        form = cell.form
        resolved: dict[str | None, _Resolved] = {}
        for check, needs in ((None, form.needs), *((one.name, one.needs) for one in form.checks)) if form else ():
            found = self._resolve_all(needs, cell)
            if isinstance(found, Unavailable):
                self.plan.unavailable[cell.name] = found
                return
            resolved[check] = found
            if absent := [one for _, _, _, reading in found for one in reading.absent]:
                self.plan.absent[cell.name] = tuple(dict.fromkeys((*self.plan.absent.get(cell.name, ()), *absent)))
        planned = {check: self._planned(found) for check, found in resolved.items()}
        self.plan.needs[cell.name] = planned.pop(None, {})
        runs = set(self.plan.run_keys(cell))
        self.plan.checks[cell.name] = {name: by_seed for name, by_seed in planned.items() if name is not None}
        self._check_runs(cell, runs)
        self.plan.per_gpu = min(self.plan.per_gpu or cell.scale.per_gpu, cell.scale.per_gpu)

    def _resolve_all(self, needs: Mapping[str, Need], cell: Cell) -> _Resolved | Unavailable:
        resolved: _Resolved = []
        for seed in self.plan.seeds:
            for task in cell.judged_tasks:
                for name, need in needs.items():
                    found = self._resolve(need, task, seed, cell)
                    if isinstance(found, Unavailable):
                        return found
                    resolved.append((seed, task, name, found))
        return resolved

    def _planned(self, resolved: _Resolved) -> dict[int, dict[str, dict[str, str]]]:
        planned: dict[int, dict[str, dict[str, str]]] = {}
        for seed, task, name, reading in resolved:
            planned.setdefault(seed, {}).setdefault(task, {})[name] = self._reading(reading)
        return planned

    def _check_runs(self, cell: Cell, runs: set[str]) -> None:
        """A check costs no run: what a claim presupposes is seen in what it rests on."""
        for key in self.plan.run_keys(cell):
            if key not in runs:
                raise UsageError(
                    f"a check of claim {cell.claim.id} needs a run that the claim does not have",
                    given=self.plan.jobs[key].job.name,
                    expected="quantities of the claim's own runs",
                    remedy="Take the run among the claim's needs, or check something else.",
                )

    def put_first(self, cell: Cell) -> None:
        """Note what a headline cell and its parts rest on."""
        keys: dict[str, None] = {}
        waiting = [cell]
        while waiting:
            one = waiting.pop()
            keys |= dict.fromkeys(self.plan.job_keys(one))
            waiting += one.parts
        if keys:
            self.plan.proofs[cell.name] = tuple(keys)

    def _unsupported(self, cell: Cell) -> Unavailable | None:
        claim, form = cell.claim, cell.form
        self._check_tasks(cell)
        if not claim.protocols:
            return Unavailable("a limitation that the paper states, not a claim", "Nothing is to be run.")
        if cell.protocol.base not in claim.protocols:
            only = claim.protocols[0]
            there = "It is judged there." if only in self._bases else f"Run it with --protocol {only}."
            return Unavailable(f"only the {only} protocol can test it", there)
        if form is None:
            return None
        needs = [*form.needs.values(), *(need for check in form.checks for need in check.needs.values())]
        for need in needs:
            self._check(need, cell)
        named = cell.declared_tasks or tuple(dict.fromkeys(need.task for need in form.needs.values() if need.task))
        absent = [task for task in named if task not in cell.tasks]
        if absent and (not cell.declared_tasks or len(absent) == len(named)):
            has = " and ".join(cell.tasks) or "none"
            needed = " and ".join(absent)
            return Unavailable(f"it needs {needed} too, and this session is on {has} only", "Add --task all.")
        for need in needs:
            offered = self._lab.quantities[need.quantity].scales
            if offered is not None and cell.scale.name not in offered:
                # What was registered is of one scale.
                given = _without(self.plan.given, "registration")
                return Unavailable(
                    f"{need.quantity} is not measured at scale {cell.scale.name}: it needs {' or '.join(offered)}",
                    again(claim.file.parent, self._lab.scales[offered[0]], given, claims=[claim.id]),
                )
        if cell.scale.needs_gpu and device_class(self.plan.device) != "cuda":
            # Not on the device that was asked for here.
            given = _without(self.plan.given, "device", "precision")
            chosen = {name: given.get(name, "") for name in ("protocol", "task")}
            there = again(
                claim.file.parent, cell.scale, given, seeds=self.plan.seeds, claims=self.plan.chosen, **chosen
            )
            return Unavailable(
                f"scale {cell.scale.name} needs a CUDA device and this machine has none",
                f"Run `{there}` on a machine with a GPU, or judge a store made there with the same and "
                "`--judge-only --store DIR`.",
            )
        return None

    def _check_tasks(self, cell: Cell) -> None:
        """A task that the lab has not is not one that another session is on."""
        claim, tasks = cell.claim, self._lab.tasks
        numbers = claim.paper.numbers
        named = [*cell.declared_tasks, *(numbers if isinstance(numbers, Mapping) else ())]
        if unknown := [task for task in dict.fromkeys(named) if task not in tasks]:
            raise UsageError(
                f"claim {claim.id} names a task that there is not",
                given=", ".join(unknown),
                expected=f"one of {', '.join(tasks)}" if tasks else "no task",
            )

    def _check(self, need: Need, cell: Cell) -> None:
        known = self._lab.quantities
        if need.quantity not in known:
            raise UsageError(
                f"claim {cell.claim.id} needs a quantity that nobody provides",
                given=need.quantity,
                expected=f"one that the lab {self._lab.name} has: {', '.join(known) or 'none'}",
            )
        if need.task is not None and need.task not in self._lab.tasks:
            raise UsageError(
                f"claim {cell.claim.id} needs a task that there is not",
                given=need.task,
                expected=f"one of {', '.join(self._lab.tasks)}" if self._lab.tasks else "no task",
            )
        try:
            need.under(cell.protocol)
            self._session.check(need, cell.scale)
        except UsageError as error:
            raise UsageError(
                f"claim {cell.claim.id}: {error.problem}",
                given=error.given,
                expected=error.expected,
                remedy=error.remedy,
            ) from None

    def _resolve(self, need: Need, task: str, seed: int, cell: Cell) -> Reading | Unavailable:
        chosen = need.task or (task if task != WHOLE else None)
        at = Circumstances(cell.protocol, cell.scale, chosen, seed, self.plan.seeds)
        return self._session.resolve(need, at, device=self.plan.device, precision=self.plan.precision)

    def _reading(self, reading: Reading) -> str:
        keys = tuple(self._job(job) for job in reading.jobs)
        (key,) = keys if not reading.derived else (self._derived(reading, keys),)
        self.plan.readings.setdefault(key, PlannedReading(reading, keys, key))
        return key

    @staticmethod
    def _derived(reading: Reading, keys: Sequence[str]) -> str:
        said = {"switches": dict(reading.switches), "parameters": dict(reading.parameters)}
        return key_of({"quantity": reading.quantity, "jobs": list(keys), **said})

    def _job(self, job: Job) -> str:
        if id(job) in self._keys:
            return self._keys[id(job)][1]
        needs = tuple(self._job(need) for need in job.needs)
        identity: Mapping[str, Any] = identity_of(job, needs)
        if self._recorded is not None:
            identity = self._recorded.match(identity)
        key = key_of(identity)
        # The job is kept, so that nothing else gets its place in memory.
        self._keys[id(job)] = (job, key)
        if key not in self.plan.jobs:
            stored, problem = self._stored(job, identity, key)
            self.plan.jobs[key] = PlannedJob(job, identity, key, needs, stored, self._timings.corrected(job))
            if problem is None and not stored:
                problem = next((self.plan.faults[need] for need in needs if need in self.plan.faults), None)
            if problem is not None:
                self.plan.spoil(key, problem)
        return key

    def _stored(self, job: Job, identity: Mapping[str, Any], key: str) -> tuple[bool, str | None]:
        """Whether a result is stored; what is wrong with it, if it cannot be used: that is its own claims' trouble."""
        try:
            found = self._store.find(key) if job.keeps_files else self._store.find_measurement(identity)
        except StoreError as error:
            return True, str(error)
        return found is not None, None


class Timings:
    """What the lab says that jobs take, corrected by what jobs took that were made in the same store.

    A timing is of a job in company: it is compared with what the lab's figures say of a group of as many, slowed as the
    plan of that session had it slowed by what others did meanwhile. All workers are never at groups of one kind: to
    compare with that (`dtclaims.harness.plan.estimate.steady`, for timings that do not say how they were slowed) made a
    session of 776 s on two GPUs one of 518.
    """

    def __init__(self, store: Results) -> None:
        self._seen: dict[tuple[str, str, tuple[str, ...]], list[Timing]] = defaultdict(list)
        self._factors: dict[tuple[str, str, tuple[str, ...]], float] = {}
        for one in read_timings(store.root):
            self._seen[one.device, one.kind, one.like].append(one)

    def corrected(self, job: Job) -> Cost:
        """The cost of a job: the lab's, times the median of what like ones missed it by; as it is where none ran."""
        like = (device_class(job.device), job.kind, job.cost.like)
        if like not in self._seen:
            return job.cost
        if like not in self._factors:
            missed = [
                one.seconds / expected for one in self._seen[like] if (expected := expected_of(job.cost, one)) > 0
            ]
            self._factors[like] = statistics.median(missed) if missed else 1.0
        return job.cost.times(self._factors[like])


def expected_of(cost: Cost, timing: Timing) -> float:
    """Wall seconds that a group like the timed one takes by a cost."""
    machine, one = Machine(timing.cores, timing.workers, timing.gpus), cost.times(timing.steps / cost.steps)
    if timing.slowed is None:
        return steady(one, timing.together, machine)
    alone, _, _ = wall([one] * timing.together, machine.cores_each)
    return alone * timing.slowed


def _without(given: Mapping[str, str], *names: str) -> dict[str, str]:
    return {name: value for name, value in given.items() if name not in names}
