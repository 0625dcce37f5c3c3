"""Trajectories in memory: one form for every source (paper §4; protocol §1)."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from dtclaims.errors import DataError
from dtclaims.lab.design.tasks import RETURN_SCALE, SetFacts, Task

Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]
Booleans = npt.NDArray[np.bool_]


def return_to_go(rewards: Floats) -> Floats:
    """R_t = r_t + R_{t+1}: the undiscounted return from each step to the end of one trajectory.

    Summed backwards in float32, as the reference does (DEV-42). Training windows and roll-outs both
    rest on this one function. Shape (T,) to (T,), in environment return (not divided by 1000).
    """
    return np.cumsum(rewards[::-1], dtype=np.float32)[::-1].copy()


@dataclass(frozen=True, eq=False)
class Trajectories:
    """Whole trajectories of one task, concatenated in time.

    observations (N, S), actions (N, A) and rewards (N,) are float32; lengths (E,) int64 sums to N;
    terminated (E,) is True where the environment ended the episode and False at a time-out.
    """

    task: Task
    observations: Floats
    actions: Floats
    rewards: Floats
    lengths: Integers
    terminated: Booleans
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        steps = len(self.rewards)
        for name, width in (("observations", self.task.state_dim), ("actions", self.task.action_dim)):
            array = getattr(self, name)
            if array.shape != (steps, width):
                raise DataError(
                    f"{name} of {self.task.name} have the wrong shape",
                    given=array.shape,
                    expected=(steps, width),
                    remedy="Check that the file belongs to this task.",
                )
        if len(self.lengths) == 0 or steps == 0:
            raise DataError("no complete trajectory", expected="at least one episode with an end")
        if (self.lengths < 1).any() or self.lengths.sum() != steps or len(self.terminated) != len(self.lengths):
            raise DataError(
                "episode lengths do not add up", given=int(self.lengths.sum()), expected=f"{steps} steps, none empty"
            )
        for name in ("observations", "actions", "rewards"):
            if not np.isfinite(getattr(self, name)).all():
                raise DataError(f"{name} hold NaN or infinity", expected="finite numbers")
        # Float32 tanh may round to exactly ±1, never past it.
        if np.abs(self.actions).max() > 1.0:
            raise DataError(
                "actions leave [-1, 1]",
                given=float(np.abs(self.actions).max()),
                remedy="The tasks' actions are bounded by 1; rescale or clip them before loading.",
            )

    @cached_property
    def starts(self) -> Integers:
        """Index of each trajectory's first step, shape (E,)."""
        return np.concatenate([[0], np.cumsum(self.lengths)[:-1]]).astype(np.int64)

    @cached_property
    def returns(self) -> Floats:
        """Undiscounted return of each trajectory, shape (E,)."""
        return np.add.reduceat(self.rewards, self.starts, dtype=np.float32)

    @cached_property
    def returns_to_go(self) -> Floats:
        """Return-to-go at every step, shape (N,), divided by 1000 (protocol §1)."""
        parts = [return_to_go(self.rewards[one]) for one in self.slices()]
        return (np.concatenate(parts).astype(np.float64) / RETURN_SCALE).astype(np.float32)

    @cached_property
    def state_mean(self) -> Floats:
        """Per-dimension mean over all steps, before any trajectory is left out; float32 sums (DEV-42)."""
        return np.asarray(self.observations.mean(axis=0), dtype=np.float32)

    @cached_property
    def state_std(self) -> Floats:
        """Per-dimension standard deviation over all steps, plus 1e-6; float32 sums (DEV-42)."""
        return np.asarray(self.observations.std(axis=0) + 1e-6, dtype=np.float32)

    @cached_property
    def sha256(self) -> str:
        """Digest of the content (not of a file's bytes, which carry dates and library versions)."""
        digest = hashlib.sha256(self.task.name.encode())
        for array in (self.observations, self.actions, self.rewards, self.lengths, self.terminated):
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()

    def slices(self) -> Iterator[slice]:
        """One slice into the steps per trajectory."""
        for start, length in zip(self.starts, self.lengths, strict=True):
            yield slice(int(start), int(start + length))

    def facts(self) -> SetFacts:
        """What the paper's data table prints; mean and (population) std of the returns in float64."""
        returns = self.returns.astype(np.float64)
        return SetFacts(
            trajectories=len(self.lengths),
            steps=len(self.rewards),
            return_mean=float(returns.mean()),
            return_std=float(returns.std()),
            return_max=float(returns.max()),
            return_min=float(returns.min()),
        )
