"""What takes the updates of runs, by path."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor

from dtclaims.choice import Choice
from dtclaims.lab.data.trajectories import Integers
from dtclaims.lab.data.windows import Batch, WindowSampler
from dtclaims.lab.models.policy import Policy
from dtclaims.lab.train.precision import TrainPrecision

Report = Callable[[int], None]
"""Called with the number of updates of this epoch that are finished."""

Logged = tuple[Tensor, Tensor, Tensor]
"""Loss, gradient norm before clipping and share of saturated predictions of every step of a run, on the CPU."""

STEPPING = Choice(plain="dtclaims.lab.train.plain:PlainSteps", stacked="dtclaims.lab.train.stacked:StackedSteps")
"""By path (`choices.path_of`): made with (members, budget, precision, steps=of a whole run)."""


@dataclass(frozen=True)
class Member:
    """One of the runs that are trained together."""

    model: Policy
    optimizer: torch.optim.AdamW
    """Of its parameters."""
    sampler: WindowSampler
    gradient_clip: float | None
    """Norm to clip to; None for not at all."""


class Steps(Protocol):
    """Trains models in place, epoch by epoch; models and optimisers can be read between epochs."""

    precisions: ClassVar[tuple[TrainPrecision, ...]]
    """Those it offers."""
    networks: Any
    """What roll-outs ask (`evaluate.ROLLOUTS`): it follows the updates."""

    def epoch(
        self, starts: Sequence[Integers], done: Sequence[int], seeds: Sequence[int], report: Report | None = None
    ) -> list[Logged]:
        """One epoch of updates of every run.

        Args:
            starts: of each run's windows, (steps, batch); at most the budget's steps, and of all alike.
            done: updates of each run before this epoch.
            seeds: of each run's dropout.
            report: called now and then, and at the end.

        Returns:
            What each run logged.
        """

    def errors(self, batches: Sequence[Sequence[Batch]]) -> list[float | None]:
        """Error of each run on its own batches, over all their steps, in eval mode and float32; None without batches.

        Args:
            batches: on the CPU; of all runs alike, or of none.
        """

    def with_parameters(self, states: Sequence[Mapping[str, Tensor]]) -> Any:
        """What roll-outs ask of the same networks with other parameters, by run and name."""
