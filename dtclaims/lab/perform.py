"""Jobs of this lab, done. The only way from the harness to torch."""

import gc
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

from dtclaims import __version__
from dtclaims.addresses import key_of, versions
from dtclaims.harness.lab import STATE, Job, Provenance, Workbench
from dtclaims.lab.data.simulators import simulator_of_data
from dtclaims.lab.design.checkpoints import folder_name, number_in
from dtclaims.lab.design.spec import RunSpec
from dtclaims.lab.inputs import Inputs
from dtclaims.lab.jobs import MeasureOrder, RunOrder
from dtclaims.lab.measurements import MEASUREMENTS, Bench
from dtclaims.lab.results import SIZES

if TYPE_CHECKING:
    from dtclaims.lab.data.trajectories import Trajectories
    from dtclaims.lab.models import Backbone

    Loaded = tuple[Trajectories, dict[str, Backbone]]


def perform(job: Job, bench: Workbench) -> Any:
    """Train the run or take the measurement that a job is.

    Raises:
        RunFailed: the loss stopped being finite, or a run that is measured is gone.
        DataError: the data are no longer what the plan was made with.
    """
    if isinstance(job.order, MeasureOrder):
        with _settled(bench.device):
            return _measure(job, bench)
    found: list[Any] = []
    perform_together([job], [bench], lambda index, what: found.append(what))
    if isinstance(found[0], BaseException):
        raise found[0]
    return found[0]


def warm() -> None:
    """Import what jobs need; a GPU's context and first kernels take seconds too."""
    import torch

    import dtclaims.lab.train.job
    import dtclaims.lab.train.stacked  # noqa: F401

    if torch.cuda.is_available():
        torch.ones(8, 8, device="cuda").matmul(torch.ones(8, 8, device="cuda")).sum().item()


def perform_together(jobs: Sequence[Job], benches: Sequence[Workbench], ended: Callable[[int, Any], None]) -> None:
    """Train runs of one `Job.together` as one program.

    Args:
        jobs: runs.
        benches: of each.
        ended: told of each as soon as it is over: what `perform` returns, or the exception that ended it alone.
    """
    from dtclaims.lab.train.job import Asked, train_runs

    device = benches[0].device
    asked: list[Asked] = []
    numbers: list[int] = []
    for number, (job, bench) in enumerate(zip(jobs, benches, strict=True)):
        try:
            asked.append(Asked(job.order.spec, *_load(job.order.inputs), bench, job.order.rehearses))
            numbers.append(number)
        except Exception as error:
            # Its own data or weights: the others have theirs.
            ended(number, error)

    def tell(index: int, what: Any) -> None:
        number = numbers[index]
        if not isinstance(what, BaseException):
            what = {**what, "provenance": provenance(jobs[number], device, asked[index].data).to_json()}
            if (whole := jobs[number].order.rehearses) is not None:
                what["rehearsal"] = _demands(whole, benches[number], device)
        ended(number, what)

    if not asked:
        return
    with _settled(device):
        if jobs[0].order.rehearses is not None and device.startswith("cuda"):
            _forget_peak(device)
        train_runs(asked, tell, device=device, precision=jobs[0].precision, cores=benches[0].cores)  # type: ignore[arg-type]


def _forget_peak(device: str) -> None:
    import torch

    torch.cuda.reset_peak_memory_stats(device)


def _demands(whole: RunSpec, bench: Workbench, device: str) -> dict[str, int]:
    """What a rehearsed run will take (`dtclaims.harness.lab.Rehearses`), by what its rehearsal took."""
    assert bench.folder is not None
    kept = [file.stat().st_size for file in bench.folder.glob("epoch_*.safetensors")]
    state = bench.folder / STATE
    found = {
        "kept": max(kept, default=0) * len(whole.kept_epochs),
        "at_work": state.stat().st_size if state.is_file() else 0,
    }
    if device.startswith("cuda"):
        import torch

        # Held, not only used: other processes cannot have it.
        found["gpu"] = torch.cuda.max_memory_reserved(device)
    return found


@contextmanager
def _settled(device: str) -> Iterator[None]:
    """Around a job: one thread, and no more of a GPU's memory kept afterwards than is used."""
    _one_thread()
    try:
        yield
    finally:
        if device.startswith("cuda"):
            _free_gpu()


@cache
def _one_thread() -> None:
    """Once a process: two processes of one thread each beat one process of two by far at these sizes."""
    import torch

    torch.set_num_threads(1)


def _free_gpu() -> None:
    """Give memory that is kept for later back to the processes that share the GPU."""
    import torch

    gc.collect()
    torch.cuda.empty_cache()


def provenance(job: Job, device: str, data: "Trajectories") -> Provenance:
    """Where a run's numbers come from; runs are pooled only if this agrees."""
    import torch

    order: RunOrder = job.order
    name = torch.cuda.get_device_name(torch.device(device)) if device.startswith("cuda") else "cpu"
    inputs = order.inputs
    said = {_of(source, one): {n: v for n, v in one.items() if n != "path"} for source, one in inputs.backbones.items()}
    of = {
        "data": {order.spec.task: {"sha256": data.sha256, **_said(inputs.data)}},
        "backbones": {source: one for source, one in said.items() if one["kind"] != SIZES},
        # Apart: an arm that takes sizes only says nothing of the weights that another arm has.
        "sizes": {source: one for source, one in said.items() if one["kind"] == SIZES},
    }
    shared = {
        "versions": {**versions(*job.versions), "dtclaims": __version__},
        "simulator": dict(inputs.simulator),
        "device": name,
        "precision": job.precision,
    }
    return Provenance(shared, {part: found for part, found in of.items() if found})


def _said(data: Mapping[str, Any]) -> dict[str, Any]:
    """What is known of data, without their place; of D4RL's, their simulator too."""
    simulator = simulator_of_data(data)
    known = {} if simulator is None else {"simulator": {"name": simulator}}
    return {**known, **{name: value for name, value in data.items() if name != "path"}}


def _of(source: str, identity: Mapping[str, Any]) -> str:
    """What weights are of: `language`, or `language@2`: two seeds may start from two checkpoints of one source."""
    return folder_name(source, number_in(str(identity.get("name", ""))))


def _measure(job: Job, bench: Workbench) -> Any:
    order: MeasureOrder = job.order
    measure = MEASUREMENTS[order.quantity].from_networks
    assert measure is not None
    return measure(_bench(job, order, bench), order.switches, **order.parameters)


def _bench(job: Job, order: MeasureOrder, bench: Workbench) -> Bench:
    if not job.needs:
        return Bench(None, _load(order.inputs[0])[0], {}, bench.device, order.seed)
    first, *others = (
        Bench(bench.stored(run), *_load(inputs), bench.device, order.seed)
        for run, inputs in zip(job.needs, order.inputs, strict=True)
    )
    return replace(first, other=others[0]) if others else first


_loaded: "dict[str, Loaded]" = {}
"""A worker does many jobs on the same data and backbones."""


def _load(inputs: Inputs) -> "Loaded":
    said: Mapping[str, Any] = {"data": inputs.data, "backbones": inputs.backbones}
    key = key_of(said)
    if key not in _loaded:
        _loaded[key] = (inputs.load_data(), inputs.load_backbones())
    return _loaded[key]
