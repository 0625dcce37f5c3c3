"""Processes to be killed, and to compete: run by tests, because they fork, or die.

    python -m dtclaims.tests.support.killing kill FOLDER KILLS SEED    kill a tiny run at random moments, many times
    python -m dtclaims.tests.support.killing race FOLDER MAKERS        carry one plan out by several processes at once
    python -m dtclaims.tests.support.killing plan FOLDER               carry a plan of long runs out in a worker process

The first two import torch once and fork what works.
"""

import io
import json
import os
import random
import select
import signal
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any
from unittest import mock

import torch

from dtclaims.addresses import key_of
from dtclaims.harness.engine import work
from dtclaims.harness.engine.agenda import Outcome
from dtclaims.harness.engine.engine import Advanced, Ended, Event, Noted
from dtclaims.harness.engine.executor import execute
from dtclaims.harness.engine.progress import Display
from dtclaims.harness.engine.work import Order
from dtclaims.harness.lab import Wish
from dtclaims.harness.plan.plan import Plan, PlannedJob
from dtclaims.harness.plan.planner import identity_of
from dtclaims.harness.store.store import Store, StoredRun
from dtclaims.lab import LAB
from dtclaims.lab.data.trajectories import Trajectories
from dtclaims.lab.design.spec import RunSpec
from dtclaims.lab.inputs import Inputs
from dtclaims.lab.jobs import run_job
from dtclaims.lab.models import Backbone
from dtclaims.lab.train import resume
from dtclaims.lab.train.loop import Trainer
from dtclaims.lab.train.resume import load_state
from dtclaims.tests.support.examples import SAMPLE_CLAIMS, TINY_BUDGET, made_up, tiny_backbone, tiny_spec

EPOCHS = 10
SPEC = tiny_spec(
    budget=replace(TINY_BUDGET, epochs=EPOCHS, evaluation_episodes=1, held_out_steps=20), epochs=EPOCHS, held_out=True
)


class MadeUp(Inputs):
    """Data and backbone that need no files."""

    def load_data(self, progress: Callable[[int, int], None] | None = None) -> Trajectories:
        return made_up([30, 40, 25, 35])

    def load_backbones(self) -> dict[str, Backbone]:
        return {"language": tiny_backbone()}


def tiny_job(spec: RunSpec = SPEC, again: str | None = None, device: str = "cpu") -> Order:
    """A run of less than a second."""
    job = run_job(spec, MadeUp("hopper", {}, {}), device=device, precision="float32")
    identity = identity_of(job, ())
    return Order(key_of(identity), job, identity, (), SAMPLE_CLAIMS, device, again)


def train_job(
    store: Store,
    order: Order,
    report: Callable[[int, int], None] = lambda done, total: None,
    note: Callable[[str], None] = lambda text: None,
    cores: int = 1,
) -> bool:
    """Make a run here, telling every step; False if it is stored. What ended it is raised."""

    ended: list[Ended] = []
    errors: list[BaseException] = []
    told = work.ended_by

    def send(event: Event) -> None:
        if isinstance(event, Advanced):
            report(event.done, event.total)
        elif isinstance(event, Noted):
            note(event.text)
        elif isinstance(event, Ended):
            ended.append(event)

    def failure(key: str, error: BaseException, *failed: Any) -> Ended:
        errors.append(error)
        return told(key, error, *failed)

    with mock.patch.object(work, "REPORT_EVERY", 0.0), mock.patch.object(work, "ended_by", failure):
        work.perform(store, (order,), send, cores)
    for error in errors:
        raise error
    return ended[0].status == "made"


def carried_out(plan: Plan, store: Store, display: Display, **options: Any) -> Outcome:
    """`execute` with this paper's lab."""
    session = LAB.session(Wish("mini", ("hopper",), False, {}))
    return execute(plan, store, display, session=session, folder=SAMPLE_CLAIMS, **options)


def numbers(run: StoredRun) -> tuple[object, ...]:
    """All that must not depend on how often the run was stopped."""
    checkpoints: Mapping[str, object] = {name: entry for name, entry in run.manifest.items() if name[:6] == "epoch_"}
    return run.result["curves"], run.result["diagnostics"], checkpoints


def finished(store: Store) -> StoredRun | None:
    """The tiny run, if it is finished."""
    return store.find(tiny_job().key)


def attempt(store: Store, seconds: float) -> bool:
    """Train in a child that is killed after some time; whether it was killed. Checks that little was lost."""
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(ours)
        train_job(store, tiny_job(), lambda done, total: os.write(theirs, bytes([done])) and None)
        os._exit(0)
    os.close(theirs)
    seen = b""
    deadline = time.monotonic() + seconds
    while select.select([ours], [], [], max(0.0, deadline - time.monotonic()))[0]:
        if not (said := os.read(ours, 100)):
            break
        seen += said
    os.kill(child, signal.SIGKILL)
    killed = os.WIFSIGNALED(os.waitpid(child, 0)[1])
    while said := os.read(ours, 100):
        seen += said
    os.close(ours)
    if killed and finished(store) is None and seen:
        whole = (seen[-1] - 1) // SPEC.budget.steps_per_epoch
        state = load_state(store.root / "work" / tiny_job().key)
        saved = EPOCHS if (store.root / "work" / tiny_job().key / "manifest.json").exists() else 0
        saved = state[0]["epoch"] if state else saved
        assert saved >= whole or resume.PAUSE > 0, f"epoch {whole} was finished, epoch {saved} is saved"
    return killed


def warm_up() -> None:
    """Load what libraries load on first use: once, and not in every child."""
    torch.set_num_threads(1)
    job = tiny_job()
    order = job.job.order
    Trainer(order.spec, order.inputs.load_data(), order.inputs.load_backbones()).run_epoch()


def kill(folder: Path, kills: int, seed: int) -> dict[str, float]:
    """Kill a run until it is finished, again and again, and compare it with an unbroken one; what happened.

    In every second run the state is saved after every epoch, in the others as usual: after few of epochs so short.
    """
    usual = resume.PAUSE
    warm_up()
    whole = Store(folder / "whole")
    started = time.monotonic()
    while attempt(whole, 60.0):
        pass
    duration = time.monotonic() - started
    expected = finished(whole)
    assert expected is not None
    moments = random.Random(seed)
    done = runs = resumed = 0
    while done < kills:
        resume.PAUSE = usual if runs % 2 else 0.0
        store = Store(folder / f"killed-{runs}")
        while finished(store) is None:
            done += attempt(store, moments.uniform(0.0, duration) if done < kills else 60.0)
        broken = finished(store)
        assert broken is not None
        assert numbers(broken) == numbers(expected), f"run {runs} of seed {seed} ended otherwise"
        assert list((store.root / "work").iterdir()) == []
        resumed += len(broken.result["resumed"])
        runs += 1
    return {"kills": done, "runs": runs, "resumed": resumed, "duration": duration}


def tiny_plan(count: int, **budget: int) -> Plan:
    """Runs that need no files, on seeds 0, 1, …"""
    plan = Plan(tuple(range(count)), "cpu")
    for seed in range(count):
        spec = replace(SPEC, seed=seed, budget=replace(SPEC.budget, **budget))
        job = tiny_job(replace(spec, epochs=spec.budget.epochs))
        plan.jobs[job.key] = PlannedJob(job.job, job.identity, job.key, (), cached=False, cost=job.job.cost)
    return plan


def race(folder: Path, makers: int) -> list[int]:
    """Carry one plan out by several processes; how many runs each of them trained."""
    warm_up()
    plan, store = tiny_plan(5), Store(folder / "store")
    ours, theirs = os.pipe()
    children = []
    for _ in range(makers):
        children.append(os.fork())
        if children[-1] == 0:
            outcome = carried_out(plan, store, Display(io.StringIO()), executor="inline")
            os.write(theirs, bytes([255 if outcome.failures else outcome.trained]))
            os._exit(0)
    for child in children:
        os.waitpid(child, 0)
    return list(os.read(ours, makers))


def carry_out(folder: Path) -> None:
    """Carry a plan of two long runs out in one worker process; until somebody stops it."""
    carried_out(tiny_plan(2, epochs=1000), Store(folder / "store"), Display(sys.stdout), workers=1)


if __name__ == "__main__":
    from dtclaims.tests.support import killing

    what, where, *rest = sys.argv[1:]
    if what == "plan":
        # A shell ignores Ctrl-C in what it starts in the background, and so would this.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        # Of the module that workers can import, which this one's classes then are of.
        killing.carry_out(Path(where))
    else:
        print(json.dumps({"kill": kill, "race": race}[what](Path(where), *map(int, rest))))
