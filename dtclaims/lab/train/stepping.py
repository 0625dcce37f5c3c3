"""What takes the updates of a run, by device."""

from collections.abc import Callable
from typing import ClassVar, Protocol

from torch import Tensor

from dtclaims.choice import Choice
from dtclaims.lab.data.trajectories import Integers
from dtclaims.lab.train.precision import TrainPrecision

Report = Callable[[int], None]
"""Called with the number of updates of this epoch that are finished."""

STEPPING = Choice(cpu="dtclaims.lab.train.plain:PlainSteps", cuda="dtclaims.lab.train.fast:CapturedSteps")
"""By device: made with (model, optimizer, gather, budget, gradient clip, precision, steps=of the whole run)."""


class Steps(Protocol):
    """Trains a model in place, epoch by epoch; model and optimiser can be read between epochs."""

    precisions: ClassVar[tuple[TrainPrecision, ...]]
    """Those it offers."""

    def epoch(
        self, starts: Integers, done: int, seed: int, report: Report | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """One epoch of updates.

        Args:
            starts: of the windows, (steps, batch); at most the budget's steps.
            done: updates before this epoch.
            seed: of the dropout.
            report: called now and then, and at the end.

        Returns:
            Loss, gradient norm before clipping and share of saturated predictions of every step, on the CPU.
        """
