"""From the arrays of any source to `Trajectories`: the checks and the cutting rule that all loaders share."""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from dtclaims.errors import DataError, WrongTask
from dtclaims.lab.data.trajectories import Booleans, Floats, Trajectories
from dtclaims.lab.design.tasks import TASKS, Task

DROPPED = "dropped_tail_steps"
"""Provenance: steps left out because their trajectory has no end; absent if there were none."""


def from_steps(
    task: Task, steps: Mapping[str, Any], *, source: str, provenance: Mapping[str, Any] | None = None
) -> Trajectories:
    """Cut one long recording at its terminals and time-outs (protocol §1).

    The unfinished tail is dropped; its steps are added to `dropped_tail_steps` in the provenance.

    Args:
        task: whose widths must fit.
        steps: observations (N, S), actions (N, A); rewards, terminals and timeouts (N,) or (N, 1).
        source: where it comes from, for messages.
        provenance: what is known of it already.

    Raises:
        DataError: arrays that are not numbers, differ in length, have another width or values out of range, or no end.
    """
    observations, actions = (_numbers(steps[name], name, source) for name in ("observations", "actions"))
    rewards = _column(steps["rewards"], "rewards", source)
    terminals, timeouts = (_flags(steps[name], name, source) for name in ("terminals", "timeouts"))
    _check_lengths(
        source,
        observations=observations,
        actions=actions,
        rewards=rewards,
        terminals=terminals,
        timeouts=timeouts,
    )
    last = np.flatnonzero(terminals | timeouts)
    end = int(last[-1]) + 1 if len(last) else 0
    return Trajectories(
        task=task,
        observations=_float32(observations[:end]),
        actions=_float32(actions[:end]),
        rewards=_float32(rewards[:end]),
        lengths=np.diff(np.concatenate([[-1], last])).astype(np.int64),
        terminated=terminals[last],
        provenance=_with_dropped(provenance or {}, len(rewards) - end),
    )


def from_episodes(
    task: Task, episodes: Iterable[Mapping[str, Any]], *, source: str, provenance: Mapping[str, Any] | None = None
) -> Trajectories:
    """Join episodes that are stored one by one.

    Args:
        task: whose widths must fit.
        episodes: each with observations (T, S), actions (T, A), rewards and terminals (T,), and optionally timeouts
            (T,); without them an episode that was not terminated ended at the time limit. An episode with timeouts
            that says no end is unfinished and dropped.
        source: where they come from, for messages.
        provenance: what is known of them already.

    Raises:
        DataError: as `from_steps`; an empty episode; one that goes on after its end.
    """
    parts: dict[str, list[npt.NDArray[Any]]] = {name: [] for name in ("observations", "actions", "rewards")}
    lengths, terminated, dropped = [], [], 0
    for index, episode in enumerate(episodes):
        where = f"episode {index} of {source}"
        observations, actions = (_numbers(episode[name], name, where) for name in ("observations", "actions"))
        rewards, terminals = (
            _column(episode["rewards"], "rewards", where),
            _flags(episode["terminals"], "terminals", where),
        )
        has_timeouts = "timeouts" in episode
        timeouts = _flags(episode["timeouts"], "timeouts", where) if has_timeouts else np.zeros_like(terminals)
        _check_lengths(
            where,
            observations=observations,
            actions=actions,
            rewards=rewards,
            terminals=terminals,
            timeouts=timeouts,
        )
        if len(rewards) == 0:
            raise DataError(f"{where} is empty", expected="at least one step")
        for name, array, width in (
            ("observations", observations, task.state_dim),
            ("actions", actions, task.action_dim),
        ):
            if array.shape[1:] != (width,):
                raise DataError(
                    f"{name} of {where} have the wrong shape",
                    given=array.shape,
                    expected=(len(rewards), width),
                    remedy=f"Check that it belongs to {task.name}.",
                )
        if terminals[:-1].any() or timeouts[:-1].any():
            raise DataError(f"{where} goes on after its end", expected="terminals and time-outs on the last step only")
        if has_timeouts and not (terminals[-1] or timeouts[-1]):
            dropped += len(rewards)
            continue
        for name, array in (("observations", observations), ("actions", actions), ("rewards", rewards)):
            parts[name].append(_float32(array))
        lengths.append(len(rewards))
        terminated.append(bool(terminals[-1]))
    if not lengths:
        raise DataError(f"no complete trajectory in {source}", expected="at least one episode with an end")
    return Trajectories(
        task=task,
        observations=np.concatenate(parts["observations"]),
        actions=np.concatenate(parts["actions"]),
        rewards=np.concatenate(parts["rewards"]),
        lengths=np.array(lengths, dtype=np.int64),
        terminated=np.array(terminated, dtype=bool),
        provenance=_with_dropped(provenance or {}, dropped),
    )


def settle_task(wanted: Task | None, stated: str | None, label: str, shapes: tuple[Any, Any], source: str) -> Task:
    """The task of a set: as asked, as the file says, as its name says, or as its widths leave no doubt.

    HalfCheetah and Walker2d have the same widths, so a wrong guess would go unnoticed: none is made.

    Args:
        wanted: the task asked for.
        stated: the name that the file itself records.
        label: file name, dataset id or environment id, in which a task's name may occur.
        shapes: shapes of observations and actions.
        source: for messages.

    Raises:
        WrongTask: it is of another task than the one asked for.
        DataError: a name that is no task's, or nothing to go by.
    """
    if stated is not None and stated not in TASKS:
        raise DataError(f"{source} is of an unknown task", given=stated, expected=f"one of {', '.join(TASKS)}")
    named = [name for name in TASKS if name in label.lower().replace("half_cheetah", "halfcheetah")]
    found = stated or (named[0] if len(named) == 1 else None)
    if wanted is not None:
        if found is not None and found != wanted.name:
            raise WrongTask(f"{source} belongs to another task", given=found, expected=wanted.name)
        return wanted
    if found is not None:
        return TASKS[found]
    fitting = [
        task for task in TASKS.values() if (shapes[0][-1:], shapes[1][-1:]) == ((task.state_dim,), (task.action_dim,))
    ]
    if len(fitting) != 1:
        raise DataError(
            f"{source} does not say its task",
            expected=f"one of {', '.join(TASKS)} in its name",
            remedy="Name the task (--task), or rename the file.",
        )
    return fitting[0]


def _with_dropped(provenance: Mapping[str, Any], steps: int) -> dict[str, Any]:
    """A set that was read before may have lost a tail then; without one, a copy stays equal to its original."""
    total = provenance.get(DROPPED, 0) + steps
    return {**provenance, DROPPED: total} if total else dict(provenance)


def _numbers(value: Any, name: str, source: str) -> npt.NDArray[Any]:
    array = np.asarray(value)
    if array.dtype.kind not in "fiub" or array.ndim == 0:
        raise DataError(f"{name} of {source} are not an array of numbers", given=f"{array.dtype} {array.shape}")
    return array


def _column(value: Any, name: str, source: str) -> npt.NDArray[Any]:
    """(N,) or, as some files have it, (N, 1)."""
    array = _numbers(value, name, source)
    if array.ndim > 2 or (array.ndim == 2 and array.shape[1] != 1):
        raise DataError(f"{name} of {source} have the wrong shape", given=array.shape, expected="one number per step")
    return array.reshape(-1)


def _flags(value: Any, name: str, source: str) -> Booleans:
    """A column of zeros and ones: NaN, −1 and 0.5 are true to numpy, and would end episodes."""
    array = _column(value, name, source)
    wrong = np.flatnonzero((array != 0) & (array != 1))
    if len(wrong):
        raise DataError(
            f"{name} of {source} are no flags",
            given=f"{array[wrong[0]]} at step {wrong[0]}, {len(wrong)} such in all",
            expected="0 or 1, or false or true",
        )
    found: Booleans = array.astype(bool)
    return found


def _check_lengths(source: str, **arrays: npt.NDArray[Any]) -> None:
    lengths = {name: len(array) for name, array in arrays.items()}
    if len(set(lengths.values())) != 1:
        raise DataError(f"arrays of {source} differ in length", given=lengths)


def _float32(array: npt.NDArray[Any]) -> Floats:
    # A float64 too large for float32 becomes infinite, which `Trajectories` refuses by name.
    with np.errstate(over="ignore"):
        return np.asarray(array, dtype=np.float32)
