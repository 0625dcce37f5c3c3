"""What a worker does: train one run or take one measurement, straight into the store."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dtclaims.errors import RunFailed
from dtclaims.identity import key_of
from dtclaims.measurements import MEASUREMENTS, Bench
from dtclaims.runs.inputs import Inputs
from dtclaims.runs.spec import RunSpec
from dtclaims.runs.store import Store, write_json

if TYPE_CHECKING:
    from dtclaims.data.trajectories import Trajectories
    from dtclaims.models import Backbone

Report = Callable[[int, int], None]


@dataclass(frozen=True)
class TrainJob:
    """Train one run."""

    key: str
    spec: RunSpec
    identity: Mapping[str, Any]
    inputs: Inputs
    device: str


@dataclass(frozen=True)
class MeasureJob:
    """Take one measurement of a stored run."""

    key: str
    name: str
    run: str
    switches: Mapping[str, str]
    identity: Mapping[str, Any]
    inputs: Inputs
    device: str


def prepare_process(threads: int) -> None:
    """Settle a worker: its thread count, and no network for the hub."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    import torch

    # Two processes of one thread each beat one process of two by far at these sizes.
    torch.set_num_threads(threads)


def train_job(store: Store, job: TrainJob, report: Report) -> None:
    """Train the run unless somebody else has finished it meanwhile."""
    from safetensors.torch import save_file

    from dtclaims.train.loop import train

    with store.lock(job.key):
        if store.find(job.key) is not None:
            return
        data, backbone = _load(job.inputs)
        result = train(job.spec, data, backbone, device=job.device, progress=report)
        with store.new_run(job.identity) as folder:
            for epoch, tensors in result.checkpoints.items():
                save_file(tensors, folder / f"epoch_{epoch:03d}.safetensors")
            write_json(
                folder / "result.json",
                {
                    "curves": result.curves,
                    "seconds": result.seconds,
                    "provenance": provenance(job, data, backbone),
                },
            )


def provenance(job: TrainJob, data: "Trajectories", backbone: "Backbone") -> dict[str, Any]:
    """Where a run's numbers come from; runs are pooled only if this agrees."""
    import torch

    import dtclaims

    device = torch.device(job.device)
    return {
        "data": {"sha256": data.sha256, **job.identity["data"]},
        "backbone": dict(job.identity["backbone"]),
        "versions": {**job.identity["versions"], "dtclaims": dtclaims.__version__},
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu",
        "precision": job.identity["precision"],
    }


def measure_job(store: Store, job: MeasureJob, report: Report) -> None:
    """Take the measurement unless it is stored."""
    with store.lock(job.key):
        if store.find_measurement(job.identity) is not None:
            return
        run = store.find(job.run)
        if run is None:
            raise RunFailed(f"run {job.run} is not in the store", remedy="It failed, or was removed meanwhile.")
        measure = MEASUREMENTS[job.name].from_networks
        assert measure is not None
        data, backbone = _load(job.inputs)
        store.put_measurement(job.identity, measure(Bench(run, data, backbone, job.device), job.switches))
        report(1, 1)


_loaded: "dict[str, tuple[Trajectories, Backbone]]" = {}
"""A worker runs many jobs on the same data and backbone."""


def _load(inputs: Inputs) -> "tuple[Trajectories, Backbone]":
    key = key_of({"data": inputs.data, "backbone": inputs.backbone})
    if key not in _loaded:
        _loaded[key] = (inputs.load_data(), inputs.load_backbone())
    return _loaded[key]
