"""What a roll-out is asked and what it answers (protocol §5)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

Precision = Literal["float32", "bfloat16"]
"""What roll-outs compute the blocks' matrix products in."""


class Environment(Protocol):
    """What a roll-out needs of a batch of environments; `dtclaims.lab.data.physics.BatchedEnv` has it."""

    def reset(self, seeds: Sequence[int]) -> npt.NDArray[np.float64]:
        """Start one episode per seed; states (E, S)."""

    def step(
        self, actions: npt.NDArray[np.float32], active: npt.NDArray[np.bool_] | None = None
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
        """Advance the active episodes; states (E, S), rewards (E,), terminated (E,)."""


@dataclass(frozen=True)
class Rollouts:
    """Undiscounted returns (E,) float64 and lengths (E,) int64 of E episodes."""

    returns: npt.NDArray[np.float64]
    lengths: npt.NDArray[np.int64]
    precision: Precision = "float32"
    """What the blocks' matrix products were computed in."""
    sound: bool = True
    """Whether every action was finite; if not, the episodes ended where one was not."""


@dataclass(frozen=True)
class View:
    """How a policy sees its environment."""

    target: float
    """Initial return-to-go in environment return."""
    context: int
    """K."""
    state_mean: npt.NDArray[np.float32]
    """(S,) of the training data."""
    state_std: npt.NDArray[np.float32]
    """(S,), 1e-6 included."""
    action_dim: int
    """A."""
