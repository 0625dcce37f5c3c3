"""A run as a job: from its specification to what `result.json` holds, however often its worker is stopped."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import fmean
from typing import Any

from dtclaims.errors import StoreError
from dtclaims.lab.data.trajectories import Trajectories
from dtclaims.lab.design.spec import RunSpec
from dtclaims.lab.models import Backbone
from dtclaims.lab.train.evaluate import physics_threads
from dtclaims.lab.train.loop import Trainer
from dtclaims.lab.train.precision import TrainPrecision
from dtclaims.lab.train.resume import Saving, load_state, save_checkpoint


def train_run(
    spec: RunSpec,
    data: Trajectories,
    backbones: Mapping[str, Backbone],
    folder: Path,
    *,
    device: str = "cpu",
    precision: TrainPrecision = "float32",
    cores: int | None = None,
    report: Callable[[int, int], None] | None = None,
    note: Callable[[str], None] = lambda text: None,
    tell: Callable[[int, Mapping[str, float]], None] = lambda epoch, values: None,
    check: Callable[[], None] = lambda: None,
) -> dict[str, Any]:
    """Train a run and evaluate it after every epoch, from where an earlier worker was stopped.

    The folder holds, while it trains and afterwards:

        epoch_NNN.safetensors   the model's parameters at each of `spec.kept_epochs`
        state.safetensors       all that the rest of the run depends on, after one of the last epochs (`Saving`)

    Files of other names are the caller's and are left alone.

    Args:
        spec: the run.
        data: all trajectories.
        backbones: by source, those the arm needs.
        folder: empty, or as an earlier worker left it. A state that cannot be read is told, and the run starts again.
        device: where.
        precision: of the updates' matrix products.
        cores: that it may use beside a GPU, None for all; no result depends on them.
        report: called with steps done and steps in all.
        note: is told what the user should read.
        tell: called with every epoch's number and the last value of each curve.
        check: called after each epoch, before anything is written; what it raises ends the run.

    Returns:
        Plain data: `curves` (see `Trainer.curves`), `fresh` (see `Trainer.evaluate_afresh`, where it is asked for),
        `diagnostics` (`constant_error`: the error of the best constant prediction of the training actions, DEV-11;
        `displacement`: how far the blocks moved, see `Trainer.displacement`, where there are some; `fresh_return` and
        `fresh_return_last`: mean returns of the fresh evaluations of the best and the last epoch), `seconds` of
        training, those of stopped workers up to their last save included, and `resumed`: the epochs after which it was
        taken up.

    Raises:
        RunFailed: the loss stopped being finite.
        StoreError: the disk is full, or the folder may not be written.
        UsageError: a precision that is not offered on the device.
    """
    started = time.monotonic()
    trainer = Trainer(spec, data, backbones, device, precision, physics_threads(device, cores))
    past = _take_up(trainer, folder, note)

    def seconds() -> float:
        return float(past["seconds"]) + time.monotonic() - started

    saving = Saving(folder)
    while trainer.epoch < spec.epochs:
        trainer.run_epoch(report)
        check()
        if trainer.epoch in spec.kept_epochs:
            save_checkpoint(folder / f"epoch_{trainer.epoch:03d}.safetensors", trainer.parameters())
        if trainer.epoch < spec.epochs:
            saving.save(trainer.state, {**past, "seconds": seconds()})
        tell(trainer.epoch, {name: values[-1] for name, values in trainer.curves.items()})
    fresh, moved = trainer.evaluate_afresh(), trainer.displacement()
    names = {"best": "fresh_return", "last": "fresh_return_last"}
    return {
        "curves": trainer.curves,
        **({"fresh": fresh} if fresh else {}),
        "diagnostics": {
            "constant_error": trainer.constant_error(),
            **({} if moved is None else {"displacement": moved}),
            **{names[which]: fmean(found["returns"]) for which, found in fresh.items()},
        },
        "seconds": seconds(),
        "resumed": past["resumed"],
    }


def _take_up(trainer: Trainer, folder: Path, note: Callable[[str], None]) -> dict[str, Any]:
    """Put the trainer where an earlier worker was stopped; what is known of the run's past."""
    try:
        found = load_state(folder)
    except StoreError as error:
        note(f"starts again: {error}")
        found = None
    if found is None:
        # Half-written files of a killed worker too: their names begin with a dot.
        for left in (*folder.glob("*.safetensors"), *folder.glob(".*.safetensors.*")):
            left.unlink()
        return {"seconds": 0.0, "resumed": []}
    state, past = found
    trainer.restore(state)
    note(f"goes on after epoch {trainer.epoch} of {trainer.spec.epochs}")
    return {**past, "resumed": [*past["resumed"], trainer.epoch]}
