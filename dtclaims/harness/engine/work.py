"""What a worker does: train one run or take one measurement, straight into the store."""

import gc
import os
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dtclaims.addresses import key_of
from dtclaims.errors import DtclaimsError, RunFailed, StoreError, StoreLocked
from dtclaims.harness.declare.experiments import get_experiment
from dtclaims.harness.engine.engine import Advanced, Ended, Event, Noted
from dtclaims.harness.engine.loggers import telling
from dtclaims.harness.store.locks import Lock
from dtclaims.harness.store.store import Store, write_json
from dtclaims.lab.design.spec import RunSpec
from dtclaims.lab.inputs import Inputs
from dtclaims.lab.measurements import MEASUREMENTS, Bench

if TYPE_CHECKING:
    from dtclaims.lab.data.trajectories import Trajectories
    from dtclaims.lab.models import Backbone
    from dtclaims.lab.train.loop import Trainer

Report = Callable[[int, int], None]
REPORT_EVERY = 0.2
"""Seconds between two reports of one job's progress."""


@dataclass(frozen=True)
class TrainJob:
    """Train one run."""

    key: str
    spec: RunSpec
    identity: Mapping[str, Any]
    inputs: Inputs
    device: str
    again: str | None = None
    """Why it is trained although its curves are stored."""
    loggers: tuple[str, ...] = ()
    """Names of those that are told of every epoch."""


@dataclass(frozen=True)
class MeasureJob:
    """Take one measurement of stored runs or of the data, or an experiment."""

    key: str
    name: str
    runs: tuple[str, ...]
    """One run, two to compare, or none where the data alone are measured."""
    switches: Mapping[str, str]
    parameters: Mapping[str, Any]
    seed: int
    identity: Mapping[str, Any]
    inputs: tuple[Inputs, ...]
    """Of each run; of the data alone, one; of an experiment, none."""
    device: str
    file: Path | None = None
    """That declares the experiment."""


Job = TrainJob | MeasureJob


def prepare_process(threads: int) -> None:
    """Settle a worker: its thread count, and no network for the hub. Before torch's compiler is loaded."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    # Each worker would start a pool of compiling processes of its own, as large as the machine.
    os.environ.setdefault("TORCHINDUCTOR_COMPILE_THREADS", str(threads))
    import torch

    # Two processes of one thread each beat one process of two by far at these sizes.
    torch.set_num_threads(threads)


def perform(store: Store, job: Job, send: Callable[[Event], None], cores: int = 1) -> Ended:
    """Carry a job out and say how it ended; only the loss of whom `send` talks to is raised.

    Args:
        store: where results go.
        job: what to do.
        send: is told how it goes.
        cores: that the job may use beside a GPU; no result depends on them.
    """
    last = 0.0

    def report(done: int, total: int) -> None:
        nonlocal last
        if done == total or time.monotonic() - last >= REPORT_EVERY:
            last = time.monotonic()
            send(Advanced(job.key, done, total))

    try:
        if isinstance(job, TrainJob):
            made = train_job(store, job, report, lambda text: send(Noted(job.key, text)), cores)
        else:
            made = measure_job(store, job, report)
        return Ended(job.key, "made" if made else "found")
    except BrokenPipeError:
        raise
    except StoreLocked as error:
        return Ended(job.key, "busy", str(error))
    except DtclaimsError as error:
        return Ended(job.key, "failed", str(error))
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{Path(where.filename).name}:{where.lineno}"
        return Ended(job.key, "failed", f"{type(error).__name__} at {place}: {error}")
    finally:
        if job.device.startswith("cuda"):
            _free_gpu()


def _free_gpu() -> None:
    """Give memory that is kept for later back to the processes that share the GPU."""
    import torch

    gc.collect()
    torch.cuda.empty_cache()


def train_job(
    store: Store,
    job: TrainJob,
    report: Report,
    note: Callable[[str], None] = lambda text: None,
    cores: int = 1,
) -> bool:
    """Train the run, from where an earlier worker was stopped; False if somebody else has finished it meanwhile.

    Args:
        store: where it goes.
        job: the run.
        report: called with steps done and steps in all.
        note: is told what the user should read.
        cores: that it may use beside a GPU.

    Raises:
        StoreLocked: another process is training it.
        StoreError: the store cannot be read or written.
        RunFailed: the loss stopped being finite.
    """
    with store.lock(job.key) as lock:
        found = store.find(job.key)
        if found is not None and not (job.again and found.dropped):
            return False
        folder = store.workspace(job.key)
        # With a manifest it was whole when its worker was stopped.
        if not (folder / "manifest.json").is_file():
            _train(store, job, folder, lock, report, note, cores)
        lock.check()
        store.publish(folder)
    return True


def _train(
    store: Store, job: TrainJob, folder: Path, lock: Lock, report: Report, note: Callable[[str], None], cores: int
) -> None:
    from dtclaims.lab.train.evaluate import physics_threads
    from dtclaims.lab.train.loop import Trainer
    from dtclaims.lab.train.resume import Saving, save_checkpoint

    started = time.monotonic()
    data, backbones = _load(job.inputs)
    threads = physics_threads(job.device, cores)
    trainer = Trainer(job.spec, data, backbones, job.device, job.identity["precision"], threads)
    past = _take_up(trainer, folder, note)
    # Says what the folder is, should the run never be finished.
    write_json(folder / "identity.json", job.identity)

    def seconds() -> float:
        return float(past["seconds"]) + time.monotonic() - started

    saving = Saving(folder)
    logs = store.root / "logs"
    with telling(job.loggers, logs, job.key, job.spec, trainer.epoch, note) as tell:
        while trainer.epoch < job.spec.epochs:
            trainer.run_epoch(report)
            lock.check()
            if trainer.epoch in job.spec.kept_epochs:
                save_checkpoint(folder / f"epoch_{trainer.epoch:03d}.safetensors", trainer.parameters())
            if trainer.epoch < job.spec.epochs:
                saving.save(trainer.state, {**past, "seconds": seconds()})
            tell(trainer.epoch, {name: values[-1] for name, values in trainer.curves.items()})
    write_json(
        folder / "result.json",
        {
            "curves": trainer.curves,
            "diagnostics": {"constant_error": trainer.constant_error()},
            "seconds": seconds(),
            "resumed": past["resumed"],
            "provenance": provenance(job, data),
        },
    )
    store.complete(folder, job.identity)


def _take_up(trainer: "Trainer", folder: Path, note: Callable[[str], None]) -> dict[str, Any]:
    """Put the trainer where an earlier worker was stopped; what is known of the run's past."""
    from dtclaims.lab.train.resume import load_state

    try:
        found = load_state(folder)
    except StoreError as error:
        note(f"starts again: {error}")
        found = None
    if found is None:
        for left in folder.iterdir():
            left.unlink()
        return {"seconds": 0.0, "resumed": []}
    state, past = found
    trainer.restore(state)
    note(f"goes on after epoch {trainer.epoch} of {trainer.spec.epochs}")
    return {**past, "resumed": [*past["resumed"], trainer.epoch]}


def provenance(job: TrainJob, data: "Trajectories") -> dict[str, Any]:
    """Where a run's numbers come from; runs are pooled only if this agrees."""
    import torch

    import dtclaims

    device = torch.device(job.device)
    return {
        "data": {"sha256": data.sha256, **job.identity["data"]},
        "backbones": dict(job.identity["backbones"]),
        "versions": {**job.identity["versions"], "dtclaims": dtclaims.__version__},
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "precision": job.identity["precision"],
    }


def measure_job(store: Store, job: MeasureJob, report: Report) -> bool:
    """Take the measurement; False if it is stored.

    Raises:
        StoreLocked: another process is taking it.
        RunFailed: a run it reads is gone.
    """
    with store.lock(job.key) as lock:
        if store.find_measurement(job.identity) is not None:
            return False
        if job.file is not None:
            value = get_experiment(job.name, job.file).take(job.identity)
        else:
            measure = MEASUREMENTS[job.name].from_networks
            assert measure is not None
            value = measure(_bench(store, job), job.switches, **job.parameters)
        lock.check()
        store.put_measurement(job.identity, value)
        report(1, 1)
    return True


def _bench(store: Store, job: MeasureJob) -> Bench:
    if not job.runs:
        return Bench(None, _load(job.inputs[0])[0], {}, job.device, job.seed)
    benches: list[Bench] = []
    for key, inputs in zip(job.runs, job.inputs, strict=True):
        run = store.find(key)
        if run is None:
            raise RunFailed(f"run {key} is not in the store", remedy="It failed, or was removed meanwhile.")
        benches.append(Bench(run, *_load(inputs), job.device, job.seed))
    first, *others = benches
    return replace(first, other=others[0]) if others else first


_loaded: "dict[str, tuple[Trajectories, dict[str, Backbone]]]" = {}
"""A worker runs many jobs on the same data and backbones."""


def _load(inputs: Inputs) -> "tuple[Trajectories, dict[str, Backbone]]":
    key = key_of({"data": inputs.data, "backbones": inputs.backbones})
    if key not in _loaded:
        _loaded[key] = (inputs.load_data(), inputs.load_backbones())
    return _loaded[key]
