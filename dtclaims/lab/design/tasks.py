"""The three MuJoCo tasks: names, sizes, targets and score references (paper §4; protocol §§1, 5)."""

from dataclasses import dataclass

from dtclaims.choice import rows
from dtclaims.errors import UsageError


@dataclass(frozen=True)
class SetFacts:
    """What the paper's data table prints of one set of trajectories (protocol §1)."""

    trajectories: int
    steps: int
    """Of whole trajectories; an unfinished tail is not counted."""
    return_mean: float
    return_std: float
    return_max: float
    return_min: float


@dataclass(frozen=True)
class Task:
    """One environment with its D4RL medium-v2 facts."""

    name: str
    gym_id: str
    state_dim: int
    action_dim: int
    target: float
    """Return target the paper uses (environment return; the model sees target / 1000)."""
    d4rl_reference: tuple[float, float]
    """(random, expert) returns of D4RL's infos.py: score 0 and score 100."""
    dataset_mean_reference: tuple[float, float]
    """(random, expert) mean dataset returns, which the paper scores with (DEV-29). Hopper's pair is
    printed by the reference notebook; the other two are inferred from Table 2."""
    medium: SetFacts
    """D4RL's medium-v2 set, as the reference's notebooks print it."""

    @property
    def medium_return(self) -> float:
        """Mean trajectory return of D4RL's medium-v2 set."""
        return self.medium.return_mean


RETURN_SCALE = 1000.0
"""Return-to-go is divided by this before the model sees it, in all three tasks."""

MAX_EPISODE_STEPS = 1000

TASKS: dict[str, Task] = rows(
    {
        task.name: task
        for task in (
            Task(
                "hopper",
                "Hopper-v4",
                11,
                3,
                3600.0,
                (-20.272305, 3234.3),
                (18.40, 3511.36),
                SetFacts(2186, 999_906, 1422.06, 378.95, 3222.36, 315.87),
            ),
            Task(
                "halfcheetah",
                "HalfCheetah-v4",
                17,
                6,
                6000.0,
                (-280.178953, 12135.0),
                (-288.8, 10656.4),
                SetFacts(1000, 1_000_000, 4770.33, 355.75, 5309.38, -310.23),
            ),
            Task(
                "walker2d",
                "Walker2d-v4",
                17,
                6,
                5000.0,
                (1.629008, 4592.3),
                (1.87, 4920.5),
                SetFacts(1190, 999_995, 2852.09, 1095.44, 4226.94, -6.61),
            ),
        )
    }
)


def get_task(name: str) -> Task:
    """The task called `name`.

    Raises:
        UsageError: no such task.
    """
    try:
        return TASKS[name]
    except KeyError:
        raise UsageError("unknown task", given=repr(name), expected=f"one of {', '.join(TASKS)}") from None
