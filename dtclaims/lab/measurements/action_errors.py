"""Action errors by epoch (§5.2, App. G.3, M; protocol §7.5). They need no torch.

Those of block replacement, which the paper smooths, are in `dtclaims.lab.measurements.blocks`.
"""

from collections.abc import Mapping
from itertools import pairwise
from statistics import pstdev

from dtclaims.harness.lab import Stored
from dtclaims.lab.design.spec import Budget
from dtclaims.lab.measurements.bench import BEYOND_MINI, Measurement, table
from dtclaims.lab.measurements.curves import error_curve
from dtclaims.lab.results import budget_of


def action_errors(run: Stored, switches: Mapping[str, str], *, first: int = 1, last: int | None = None) -> list[float]:
    """Action error of every epoch of a span, not smoothed (DEV-12).

    Args:
        run: the run.
        switches: `action_error`.
        first: epoch of the paper's 40 at which the span starts.
        last: the one at which it ends, included; None for the end of the run.
    """
    span = budget_of(run).span(first, Budget.PAPER_EPOCHS if last is None else last)
    return [float(value) for value in run.result["curves"][error_curve(switches)][span]]


def action_error_jumps(run: Stored, switches: Mapping[str, str], *, first: int = 1, last: int = 10) -> float:
    """Standard deviation of the steps between neighbouring epochs of the error curve: how unsteady it is (App. G.3)."""
    errors = action_errors(run, switches, first=first, last=last)
    return pstdev(after - before for before, after in pairwise(errors))


def errors_and_returns(run: Stored, switches: Mapping[str, str]) -> dict[str, list[float]]:
    """Action error and mean return of every epoch of the run (App. M, footnote 7)."""
    returns = [float(value) for value in run.result["curves"]["return_mean"]]
    return {"error": action_errors(run, switches), "return": returns}


MEASUREMENTS = table(
    Measurement(
        "action_errors",
        ("action_error",),
        {
            "published": "Action error by epoch: the loss of the epoch's last training minibatch, dropout on.",
            "corrected": "Action error by epoch: mean squared error in eval mode on trajectories kept out of training.",
        },
        from_curves=action_errors,
    ),
    Measurement(
        "action_error_jumps",
        ("action_error",),
        {
            "published": "Standard deviation of the action error's change from epoch to epoch, the error being the "
            "loss of the epoch's last training minibatch.",
            "corrected": "Standard deviation of the held-out action error's change from epoch to epoch.",
        },
        from_curves=action_error_jumps,
        # Ten of the paper's epochs are one at the mini scale: there is no change from one to the next.
        scales=BEYOND_MINI,
    ),
    Measurement(
        "errors_and_returns",
        ("action_error",),
        {
            "published": "Action error (loss of the epoch's last training minibatch) and mean evaluation return by "
            "epoch.",
            "corrected": "Held-out action error and mean evaluation return by epoch.",
        },
        from_curves=errors_and_returns,
    ),
)
