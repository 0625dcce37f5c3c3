"""A held-out part of a data set, by whole trajectories, for `corrected`."""

from dataclasses import replace
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from dtclaims.errors import DataError, UsageError
from dtclaims.lab.data.trajectories import Trajectories
from dtclaims.seeding import generator

LEAST_TRAJECTORIES = 4
"""Two for each part: a sampler leaves one out (DEV-32)."""


# Runs and measurements of one seed follow each other in a worker, and share it.
@lru_cache(maxsize=16)
def split_trajectories(
    data: Trajectories, share: float = 0.1, *, seed: int, min_steps: int = 10_000
) -> tuple[Trajectories, Trajectories]:
    """The training part and the held-out part of `data`.

    Trajectories are put in a random order that (seed, task) fix, and taken in it until the held-out part has
    `share` of the steps and at least `min_steps`. Where the data are too few for that, it stops short of half
    of the steps. Each part keeps the order of `data` and at least two trajectories. Nothing but `data`, `share`,
    `seed` and `min_steps` decides, so the arms of one seed share their split.

    State mean and standard deviation belong to the training part: sample held-out windows with
    `WindowSampler(held_out, ..., statistics_of=train)`.

    Args:
        data: what to split.
        share: of the steps to hold out.
        seed: of the order.
        min_steps: transitions to hold out at least.

    Raises:
        UsageError: a share outside (0, 1/2].
        DataError: fewer than four trajectories.
    """
    if not 0.0 < share <= 0.5:
        raise UsageError("the share to hold out", given=share, expected="more than 0, at most 1/2")
    count = len(data.lengths)
    if count < LEAST_TRAJECTORIES:
        raise DataError("too few trajectories to hold some out", given=count, expected=f"{LEAST_TRAJECTORIES} or more")
    steps = len(data.rewards)
    order = generator(seed, f"split/{data.task.name}").permutation(count)
    running = np.cumsum(data.lengths[order])
    enough = int(np.searchsorted(running, max(share * steps, min_steps))) + 1
    within_half = int(np.searchsorted(running, steps / 2, side="right"))
    taken = min(max(min(enough, within_half), 2), count - 2)
    held_out = np.zeros(count, dtype=bool)
    held_out[order[:taken]] = True
    made_by = {"seed": seed, "share": share, "min_steps": min_steps}
    return (
        _part(data, ~held_out, {"part": "train", **made_by}),
        _part(data, held_out, {"part": "held-out", **made_by}),
    )


def _part(data: Trajectories, chosen: npt.NDArray[np.bool_], split: dict[str, object]) -> Trajectories:
    steps = np.repeat(chosen, data.lengths)
    return replace(
        data,
        observations=data.observations[steps],
        actions=data.actions[steps],
        rewards=data.rewards[steps],
        lengths=data.lengths[chosen],
        terminated=data.terminated[chosen],
        provenance={**data.provenance, "split": split},
    )
