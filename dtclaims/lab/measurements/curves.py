"""Measurements that read a run's curves (protocol §7.5). They need no torch."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from dtclaims.errors import MeasurementError
from dtclaims.harness.lab import Stored
from dtclaims.lab.data.scores import score_reference
from dtclaims.lab.design.tasks import get_task
from dtclaims.lab.measurements.bench import Measurement, table
from dtclaims.lab.results import budget_of, spec_of

Values = npt.NDArray[np.float64]


def scores(run: Stored, switches: Mapping[str, str]) -> Values:
    """Normalised score of every epoch (DEV-29)."""
    return _normalised(run, np.asarray(run.result["curves"]["return_mean"]), switches)


def _normalised(run: Stored, returns: Values, switches: Mapping[str, str]) -> Values:
    from dtclaims.lab.metrics.curves import normalized_score

    spec = spec_of(run.identity)
    reference = score_reference(get_task(spec.task), switches["score_refs"], spec.simulator)
    return np.asarray(normalized_score(returns, reference))


def score(run: Stored, switches: Mapping[str, str], *, minus: Mapping[str, float] | None = None) -> float:
    """One normalised score per run: the best epoch, or the mean of the last quarter (DEV-10).

    Args:
        run: whose returns are scored.
        switches: of the protocol.
        minus: task → a score printed elsewhere, to be subtracted.
    """
    values = scores(run, switches)
    late = values[-max(1, len(values) // 4) :].mean()
    value = _best(run, values, switches) if switches["selection"] == "best" else float(late)
    return value - (minus[spec_of(run.identity).task] if minus else 0.0)


def _best(run: Stored, values: Values, switches: Mapping[str, str]) -> float:
    """The best epoch's score: on the episodes it was chosen by (DEV-10), or on fresh ones where those are fewer."""
    spec = spec_of(run.identity)
    if spec.fresh_episodes <= spec.budget.evaluation_episodes:
        return float(values.max())
    return fresh_score(run, switches)


def fresh_score(run: Stored, switches: Mapping[str, str]) -> float:
    """Normalised score of one checkpoint on episodes that nothing was chosen by: the best epoch's, or the last's.

    Raises:
        MeasurementError: the run was not evaluated afresh.
    """
    name = "fresh_return" if switches["selection"] == "best" else "fresh_return_last"
    found = run.result.get("diagnostics", {}).get(name)
    if found is None:
        raise MeasurementError(
            "the run was not evaluated afresh",
            given=spec_of(run.identity).name,
            expected="a run that this version made, of no replaced block",
            remedy="Train it again.",
        )
    return float(_normalised(run, np.asarray(found), switches))


def spanned(run: Stored, values: Values, first: int, last: int) -> Values:
    """The part of a curve that stands for a span of the paper's epochs; the last epoch where a short run has none."""
    span = budget_of(run).span(first, last)
    return values[min(span.start, len(values) - 1) : span.stop]


def score_span(run: Stored, switches: Mapping[str, str], *, first: int = 1, last: int = 10) -> float:
    """Mean normalised score over a span of the paper's epochs, both included."""
    return float(spanned(run, scores(run, switches), first, last).mean())


def curve_span(
    run: Stored, switches: Mapping[str, str], *, curve: str = "saturated", first: int = 1, last: int = 10
) -> float:
    """Mean of any logged curve over a span of the paper's epochs, both included.

    Args:
        run: whose curve is read.
        switches: none matter.
        curve: its name, see `dtclaims.lab.train.loop.Trainer`.
        first: epoch of the paper's 40.
        last: epoch of the paper's 40.
    """
    return float(spanned(run, np.asarray(run.result["curves"][curve]), first, last).mean())


def error_over_constant(run: Stored, switches: Mapping[str, str], *, first: int = 1, last: int = 10) -> float:
    """Mean action error over a span of the paper's epochs as a multiple of the best constant prediction's (DEV-11).

    1 and more: nothing was learned that the mean action does not already know.
    """
    error = curve_span(run, switches, curve=error_curve(switches), first=first, last=last)
    return error / float(run.result["diagnostics"]["constant_error"])


def error_curve(switches: Mapping[str, str]) -> str:
    """Name of the curve that holds the action error (DEV-12)."""
    return "held_out_error" if switches["action_error"] == "held_out" else "action_error"


MEASUREMENTS = table(
    Measurement(
        "score",
        ("selection", "score_refs"),
        {
            "published": "Best normalised score over all epochs (chosen on the number it reports; where an epoch has "
            "fewer than 100 episodes, evaluated afresh), scored with mean dataset returns.",
            "corrected": "Mean normalised score over the last quarter of epochs, scored with D4RL's constants.",
        },
        from_curves=score,
    ),
    Measurement(
        "fresh_score",
        ("selection", "score_refs"),
        {
            "published": "Normalised score of the best epoch's checkpoint on 100 fresh episodes (8 at mini), scored "
            "with mean dataset returns.",
            "corrected": "Normalised score of the last epoch's checkpoint on 100 fresh episodes (8 at mini), scored "
            "with D4RL's constants.",
        },
        from_curves=fresh_score,
    ),
    Measurement(
        "score_span",
        ("score_refs",),
        {
            "published": "Mean normalised score over a span of epochs (the first quarter unless said), scored with "
            "mean dataset returns.",
            "corrected": "Mean normalised score over a span of epochs (the first quarter unless said), scored with "
            "D4RL's constants.",
        },
        from_curves=score_span,
    ),
    Measurement(
        "curve_span",
        (),
        dict.fromkeys(("published", "corrected"), "Mean of a curve of the training log over a span of epochs."),
        from_curves=curve_span,
    ),
    Measurement(
        "error_over_constant",
        ("action_error",),
        {
            "published": "Action error of the epochs' last minibatches over the error of the best constant prediction.",
            "corrected": "Action error on trajectories kept out of training over the error of the best constant "
            "prediction.",
        },
        from_curves=error_over_constant,
    ),
)
