"""Block replacement and early learning, read off curves (§§5.5, 5.6.1; protocol §7.5)."""

from collections.abc import Mapping

import numpy as np

from dtclaims.harness.lab import Stored
from dtclaims.lab.data.scores import score_reference
from dtclaims.lab.design.blocks import RB_EPOCHS
from dtclaims.lab.design.tasks import get_task
from dtclaims.lab.measurements.bench import Measurement, table
from dtclaims.lab.measurements.curves import Values, error_curve, scores
from dtclaims.lab.results import budget_of, spec_of


def score_at(run: Stored, switches: Mapping[str, str], *, epoch: int = 4) -> float:
    """Normalised score at one of the paper's epochs: the one whose checkpoint measurements of networks read."""
    return float(scores(run, switches)[budget_of(run).epoch(epoch) - 1])


def score_curve(run: Stored, switches: Mapping[str, str]) -> list[tuple[float, float]]:
    """(epoch of the paper's 40, normalised score) of every epoch."""
    values = scores(run, switches)
    return [(budget_of(run).paper_epoch(epoch), float(value)) for epoch, value in enumerate(values, start=1)]


def block_return(run: Stored, switches: Mapping[str, str]) -> float:
    """Mean normalised score over the epochs of block replacement, of such a run or of one that trained longer (V_b)."""
    from dtclaims.lab.metrics.curves import normalized_score

    spec = spec_of(run.identity)
    reference = score_reference(get_task(spec.task), switches["score_refs"], spec.simulator)
    return float(normalized_score(_early(run, "return_mean", switches), reference).mean())


def block_error(run: Stored, switches: Mapping[str, str]) -> float:
    """Mean action error over the epochs of block replacement, of such a run or of one that trained longer (E_b)."""
    return float(_early(run, error_curve(switches), switches).mean())


def _early(run: Stored, curve: str, switches: Mapping[str, str]) -> Values:
    """A curve up to the last epoch of block replacement: smoothed as the paper's figures are, or as it is (DEV-12, 31).

    Raises:
        MeasurementError: NaN or infinity in the curve.
    """
    from dtclaims.lab.metrics.curves import published_ema

    epochs = budget_of(run).epoch(RB_EPOCHS[spec_of(run.identity).task])
    values = np.asarray(run.result["curves"][curve][:epochs], dtype=np.float64)
    return published_ema(values) if switches["action_error"] == "last_batch" else values


SMOOTHED = "smoothed as in the paper's figures (a filter that reads 20 % too high at epoch 1)"

MEASUREMENTS = table(
    Measurement(
        "score_at",
        ("score_refs",),
        {
            "published": "Normalised score at one epoch (4 of 40 unless said), scored with mean dataset returns.",
            "corrected": "Normalised score at one epoch (4 of 40 unless said), scored with D4RL's constants.",
        },
        from_curves=score_at,
    ),
    Measurement(
        "score_curve",
        ("score_refs",),
        {
            "published": "Normalised score of every epoch, scored with mean dataset returns.",
            "corrected": "Normalised score of every epoch, scored with D4RL's constants.",
        },
        from_curves=score_curve,
    ),
    Measurement(
        "block_return",
        ("action_error", "score_refs"),
        {
            "published": "Mean normalised score over epochs 1-10 (Hopper) or 1-5 (HalfCheetah, Walker2d), returns "
            f"{SMOOTHED}, scored with mean dataset returns.",
            "corrected": "Mean normalised score over epochs 1-10 (Hopper) or 1-5 (HalfCheetah, Walker2d), not "
            "smoothed, scored with D4RL's constants.",
        },
        from_curves=block_return,
    ),
    Measurement(
        "block_error",
        ("action_error",),
        {
            "published": "Mean action error of the epochs' last minibatches, dropout on, over epochs 1-10 (Hopper) or "
            f"1-5 (HalfCheetah, Walker2d), {SMOOTHED}.",
            "corrected": "Mean action error on trajectories kept out of training, over epochs 1-10 (Hopper) or 1-5 "
            "(HalfCheetah, Walker2d), not smoothed.",
        },
        from_curves=block_error,
    ),
)
