"""Runs as jobs: from their specifications to what each `result.json` holds, however often a worker is stopped."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any, Protocol

from dtclaims.errors import Damaged, OtherVersion
from dtclaims.files import check_file
from dtclaims.lab.data.trajectories import Trajectories
from dtclaims.lab.design.spec import RunSpec
from dtclaims.lab.models import Backbone
from dtclaims.lab.train.company import Company
from dtclaims.lab.train.loop import Trainer
from dtclaims.lab.train.precision import TrainPrecision
from dtclaims.lab.train.resume import Pauses, load_state, save_checkpoint, save_state


class Desk(Protocol):
    """Where one run is made, as the harness's workbench offers it."""

    @property
    def folder(self) -> Path | None:
        """Empty, or as an earlier worker left it."""

    def report(self, done: int, total: int) -> None:
        """Steps done so far."""

    def note(self, text: str) -> None:
        """What the user should read."""

    def spent(self, seconds: Mapping[str, float]) -> None:
        """What an epoch of all runs of the group was spent on."""

    def tell(self, epoch: int, values: Mapping[str, float]) -> None:
        """Every epoch's number and the last value of each curve."""

    def check(self) -> None:
        """After each epoch, before anything is written; what it raises ends the run."""


@dataclass(frozen=True)
class Asked:
    """A run that is to be made."""

    spec: RunSpec
    data: Trajectories
    """All trajectories."""
    backbones: Mapping[str, Backbone]
    """By source, those the arm needs."""
    desk: Desk
    rehearses: RunSpec | None = None
    """The run that it is a short rehearsal of."""


Ended = Callable[[int, Any], None]
"""Called with a run's number and its result, or the exception that ended it alone."""


def train_runs(
    runs: Sequence[Asked],
    ended: Ended,
    *,
    device: str = "cpu",
    precision: TrainPrecision = "float32",
    cores: int | None = None,
) -> None:
    """Train runs of one shape together and evaluate them after every epoch, each from where an earlier worker stopped.

    Each has a folder, which holds while it trains and afterwards:

        epoch_NNN.safetensors   the model's parameters at each of `spec.kept_epochs`
        state.safetensors       all that the rest of the run depends on, after one of the last epochs (`Pauses`)

    Files of other names are the caller's and are left alone. A state that is damaged or of another version, or beside
    which a checkpoint is damaged, is told, and the run starts again; one that may not be read ends the run.

    Args:
        runs: of one shape, context, task and budget (`jobs.together`).
        ended: told of each as soon as it is over. A result is plain data: `curves` (see `Trainer.curves`), `fresh`
            (see `Company.evaluate_afresh`, where it is asked for), `diagnostics` (`constant_error`: the error of the
            best constant prediction of the training actions, DEV-11; `displacement`: how far the blocks moved, see
            `Trainer.displacement`, where there are some; `fresh_return` and `fresh_return_last`: mean returns of the
            fresh evaluations of the best and the last epoch), `seconds` of training, its share of the group's, those
            of stopped workers up to their last save included, and `resumed`: the epochs after which it was taken up.
            An exception is RunFailed (the loss stopped being finite), StoreError (the disk is full, or the folder may
            not be written), or what the desk raised.
        device: where.
        precision: of the updates' matrix products.
        cores: that they may use beside a GPU, None for all; no result depends on them.

    Raises:
        UsageError: a precision that is not offered on the device.
    """
    made = [_Made(run, Trainer(run.spec, run.data, run.backbones, device, precision)) for run in runs]
    company = Company([one.trainer for one in made], cores, rehearses=runs[0].rehearses)
    # A rehearsal is to find out what a state takes.
    pauses = Pauses(0 if runs[0].rehearses else sum(one.trainer.state_bytes for one in made))

    def leave(index: int, what: Any) -> None:
        company.left.add(index)
        ended(index, what)

    def each(indices: Sequence[int], work: Callable[[int], None]) -> None:
        """What goes wrong with one run ends that one."""
        for index in indices:
            try:
                work(index)
            except Exception as error:
                leave(index, error)

    while company.present:
        began, busy = time.monotonic(), company.present
        over = [index for index in busy if made[index].trainer.epoch == made[index].run.spec.epochs]
        if over:
            fresh = company.evaluate_afresh(over)
            share = (time.monotonic() - began) / len(over)
            each(over, lambda index: leave(index, made[index].result(fresh[index], share)))  # noqa: B023
            continue
        for index, error in company.run_epoch([run.desk.report for run in runs]).items():
            leave(index, error)
        trained = time.monotonic()
        share = (trained - began) / len(busy)
        with pauses.saving() as due:
            each(company.present, lambda index: made[index].after_epoch(share, save=due))  # noqa: B023
        over_at = time.monotonic()
        seconds = {**company.spent, "files": over_at - trained, "all": over_at - began}
        runs[busy[0]].desk.spent({name: round(one, 3) for name, one in seconds.items()})


class _Made:
    """A run that is being made."""

    def __init__(self, run: Asked, trainer: Trainer) -> None:
        assert run.desk.folder is not None
        self.run, self.trainer, self.folder = run, trainer, run.desk.folder
        self.past, self.kept = _take_up(trainer, self.folder, run.desk.note)

    def after_epoch(self, seconds: float, *, save: bool) -> None:
        """Keep what an epoch of so many seconds left, its state too if it is time to."""
        trainer, spec, desk = self.trainer, self.run.spec, self.run.desk
        self.past["seconds"] += seconds
        desk.check()
        if trainer.epoch in spec.kept_epochs:
            name = f"epoch_{trainer.epoch:03d}.safetensors"
            self.kept[name] = save_checkpoint(self.folder / name, trainer.parameters())
        if save and trainer.epoch < spec.epochs:
            save_state(self.folder, trainer.state(), self.past, self.kept)
        desk.tell(trainer.epoch, {name: values[-1] for name, values in trainer.curves.items()})

    def result(self, fresh: Mapping[str, Any], seconds: float) -> dict[str, Any]:
        """What `result.json` holds of a run that is over.

        Raises:
            Damaged: a checkpoint is not as it was written: what comes next would take it for sound.
        """
        for name, recorded in self.kept.items():
            check_file(self.folder, name, recorded, remedy=f"Delete {self.folder}; the run is made again.")
        trainer, moved = self.trainer, self.trainer.displacement()
        names = {"best": "fresh_return", "last": "fresh_return_last"}
        return {
            "curves": trainer.curves,
            **({"fresh": dict(fresh)} if fresh else {}),
            "diagnostics": {
                "constant_error": trainer.constant_error(),
                **({} if moved is None else {"displacement": moved}),
                **{names[which]: fmean(found["returns"]) for which, found in fresh.items()},
            },
            "seconds": self.past["seconds"] + seconds,
            "resumed": self.past["resumed"],
        }


def _take_up(
    trainer: Trainer, folder: Path, note: Callable[[str], None]
) -> tuple[dict[str, Any], dict[str, dict[str, Any]]]:
    """Put the trainer where an earlier worker was stopped; what is known of the run's past, and what was kept.

    Raises:
        NotPermitted: somebody else's unfinished run, which may be sound: nothing of it is changed.
    """
    try:
        found = load_state(folder)
    except (Damaged, OtherVersion) as error:
        note(f"starts again: {error}")
        found = None
    if found is None:
        # Half-written files of a killed worker too: their names begin with a dot.
        for left in (*folder.glob("*.safetensors"), *folder.glob(".*.safetensors.*")):
            left.unlink()
        return {"seconds": 0.0, "resumed": []}, {}
    state, past, kept = found
    trainer.restore(state)
    note(f"goes on after epoch {trainer.epoch} of {trainer.spec.epochs}")
    return {**past, "resumed": [*past["resumed"], trainer.epoch]}, kept
