"""The lab of a made-up paper: gradient descent on small quadratics, with and without momentum.

Its authors tuned the step size of their own method and left the baseline at a default: that is the one switch.
"""

import numpy as np
import numpy.typing as npt

from dtclaims import FunctionLab, Scale, Switch
from dtclaims.seeding import generator

LAB = FunctionLab(
    "toy-momentum",
    switches=(
        Switch(
            "step_size",
            published="baseline_default",
            corrected="both_tuned",
            meaning="the step size is tuned with momentum only, or for both methods",
        ),
    ),
    scales=(Scale("desk", "desk: a toy, measured in seconds; it is no verdict on any paper", seeds=3),),
)

Vector = npt.NDArray[np.float64]

DIMENSIONS = 20
MOMENTUM = 0.9
TOLERANCE = 1e-5
MOST_STEPS = 200_000
STEP_SIZES = (1.9, 1.5, 1.2, 1.0, 0.8, 0.6, 0.4, 0.2)
"""Tried where a method is tuned. The largest curvature is 1, so that gradient descent diverges beyond 2."""
DEFAULT_STEP_SIZE = 0.03


@LAB.quantity(packages=("numpy",))
def steps(seed: int, step_size: str, condition: float, momentum: bool) -> int:
    """Steps that gradient descent takes to shrink the gradient 100,000 times, on a random quadratic.

    The step size is tuned with momentum only, or for both methods.
    """
    random = generator(seed, "quadratic")
    inner = np.exp(random.uniform(-np.log(condition), 0.0, DIMENSIONS - 2))
    curvatures = np.concatenate(([1.0 / condition, 1.0], inner))
    start = random.normal(size=DIMENSIONS)
    tuned = momentum or step_size == "both_tuned"
    sizes = STEP_SIZES if tuned else (DEFAULT_STEP_SIZE,)
    fewest = MOST_STEPS
    for size in sizes:
        fewest = descend(curvatures, start, size, MOMENTUM if momentum else 0.0, fewest)
    return fewest


def descend(curvatures: Vector, start: Vector, step_size: float, momentum: float, most: int) -> int:
    """Steps until the gradient is small enough, at most `most`."""
    position, velocity = start, np.zeros_like(start)
    enough = TOLERANCE * np.linalg.norm(curvatures * start)
    for step in range(most):
        gradient = curvatures * position
        if np.linalg.norm(gradient) <= enough:
            return step
        velocity = momentum * velocity - step_size * gradient
        position = position + velocity
    return most


@LAB.quantity(packages=("numpy",))
def diverges(seed: int, condition: float, step_size_tried: float) -> bool:
    """Whether gradient descent without momentum fails within 1,000 steps at one step size."""
    random = generator(seed, "quadratic")
    inner = np.exp(random.uniform(-np.log(condition), 0.0, DIMENSIONS - 2))
    curvatures = np.concatenate(([1.0 / condition, 1.0], inner))
    start = random.normal(size=DIMENSIONS)
    position = start * (1.0 - step_size_tried * curvatures) ** 1000
    return bool(np.linalg.norm(curvatures * position) > np.linalg.norm(curvatures * start))
