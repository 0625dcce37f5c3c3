"""Medium sets made here: a shipped policy rolls out in MuJoCo (design: the self-collected source)."""

import itertools
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
from filelock import FileLock
from threadpoolctl import threadpool_limits

from dtclaims import __version__
from dtclaims.addresses import key_of
from dtclaims.closure import code_of, resolved
from dtclaims.device import cpu_count
from dtclaims.errors import DataError, UsageError
from dtclaims.lab.cards import WEIGHTS_FILE, checked_card
from dtclaims.lab.data.hdf5 import check_room, load_hdf5, save_hdf5
from dtclaims.lab.data.physics import BatchedEnv
from dtclaims.lab.data.policy import Policy
from dtclaims.lab.data.simulators import GYM_V2, SIMULATORS, V4, check_simulator, entry_of, version_of
from dtclaims.lab.data.trajectories import Booleans, Floats, Integers, Trajectories
from dtclaims.lab.design.tasks import MAX_EPISODE_STEPS, get_task
from dtclaims.places import fixture_dir, home
from dtclaims.seeding import derive, generator

CODE = ("dtclaims.lab.data.collect:collect", "dtclaims.lab.data.policy:Policy", "dtclaims.lab.design.tasks:Task")
"""Where the code of a collected set begins."""

WAVE = 64
"""Episodes in lock step. Fixed: it decides which draws an episode gets, so it is part of the recipe."""

MARGIN = 0.25
"""Share of a wave by which those under way may exceed what is still needed. Ours: some three standard errors of the sum
of 16 waves of Hopper's episodes, whose lengths spread most."""

SIMULATOR_NOTES = {
    V4: "Another simulator than mujoco-py's MuJoCo 2.1.0, in which D4RL's sets were collected with gym's v2 tasks. In "
    "our measurements Hopper's trajectories agree between MuJoCo 2.3.7 and 3.3.7 and part from 3.17 on within ten "
    "steps; HalfCheetah's and Walker2d's agree from 2.3.7 to 4.0.0.",
    GYM_V2: "Collected with gym's v2 tasks on mujoco-py's MuJoCo 2.1.0, as D4RL's sets were.",
}
"""What a set says of where it was collected."""

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Recipe:
    """How a set is collected: two equal recipes give equal sets on one version of their simulator."""

    task: str
    level: str
    steps: int
    seed: int
    policy_sha256: str
    simulator: str = V4

    def identity(self) -> dict[str, Any]:
        """Everything the collected set depends on, as plain data.

        Raises:
            SimulatorError: the simulator is not here.
        """
        return {
            "kind": "collected",
            **asdict(self),
            "simulator": version_of(self.simulator),
            "resolved": {"task": resolved(get_task(self.task))},
            "code": code_of(*CODE, chosen={"WORLDS": entry_of(self.simulator)}, rows=("TASKS",)).to_json(),
        }


def policy_folder(task: str, level: str, simulator: str = V4) -> Path:
    """Where the shipped policy of a task and level lies: the one fitted to a simulator, where there is one."""
    shipped = fixture_dir() / "policies" / f"{task}-{level}"
    fitted = shipped.with_name(f"{shipped.name}-{simulator}")
    return fitted if fitted.is_dir() else shipped


def shipped_recipe(task: str, *, level: str = "medium", steps: int, seed: int = 0, simulator: str = V4) -> Recipe:
    """The recipe that rolls out the shipped policy.

    Raises:
        FixtureError: the policy is not the recorded file.
        UsageError: no such task or simulator, a level without a shipped policy, or fewer than one step.
    """
    get_task(task)
    check_simulator(simulator)
    if steps < 1:
        raise UsageError("a set needs at least one step", given=steps)
    if not policy_folder(task, level, simulator).is_dir():
        names = {folder.name.removeprefix(f"{task}-") for folder in (fixture_dir() / "policies").glob(f"{task}-*")}
        shipped = sorted(names - {f"{name}-{other}" for name in names for other in SIMULATORS})
        raise UsageError(
            f"no {level} policy for {task} is shipped with this version",
            expected=f"one of {', '.join(shipped)}" if shipped else None,
            remedy=f"Train one: `dtclaims data train-policy {task}`.",
        )
    card = checked_card(policy_folder(task, level, simulator))
    return Recipe(task, level, steps, seed, card["files"][WEIGHTS_FILE]["sha256"], simulator)


def collect(
    policy: Policy,
    *,
    steps: int,
    seed: int,
    workers: int | None = None,
    progress: Progress | None = None,
    simulator: str = V4,
) -> Trajectories:
    """Whole episodes of the stochastic policy, the fewest in order that hold at least `steps` transitions.

    Episode i starts from its own seed; episodes are kept in the order of i, so short ones are not
    favoured. An episode ends at a terminal or after 1000 steps. Waves of episodes depend on nothing but their number,
    so several processes make them, and they are taken in order. Memory holds the set once, and the waves that are
    made at once besides. Several sets may be collected at once, from threads: they share this process's cores.

    Args:
        policy: who acts.
        steps: lower bound on the transitions.
        seed: of the initial states and the policy's noise.
        workers: processes, one for each core by default; 1 uses the caller's own. No result depends on it.
        progress: called with (steps so far, steps wanted).
        simulator: in which.

    Raises:
        UsageError: fewer than one worker, or no such simulator.
        SimulatorError: it is not here, or a worker died.
    """
    if workers is not None and workers < 1:
        raise UsageError("physics needs at least one worker", given=workers)
    task, version = policy.task, version_of(simulator)
    # The last episode may run past the wanted number of steps.
    room = steps + MAX_EPISODE_STEPS
    observations = np.empty((room, task.state_dim), dtype=np.float32)
    actions = np.empty((room, task.action_dim), dtype=np.float32)
    rewards = np.empty(room, dtype=np.float32)
    lengths: list[int] = []
    terminated: list[bool] = []
    collected = 0
    told = progress or (lambda done, total: None)
    with closing(_waves(policy, steps, seed, workers or cpu_count(), told, simulator)) as waves:
        for wave in waves:
            for i in range(WAVE):
                if collected >= steps:
                    break
                length = int(wave.lengths[i])
                place = slice(collected, collected + length)
                observations[place] = wave.states[i, :length]
                actions[place] = wave.actions[i, :length]
                rewards[place] = wave.rewards[i, :length]
                lengths.append(length)
                terminated.append(bool(wave.terminated[i]))
                collected = place.stop
            if collected >= steps:
                break
    return Trajectories(
        task,
        observations[:collected],
        actions[:collected],
        rewards[:collected],
        np.array(lengths, dtype=np.int64),
        np.array(terminated),
        provenance={"source": "self-collected", "seed": seed, "simulator": version},
    )


@dataclass(frozen=True)
class Wave:
    """`WAVE` episodes, padded to the time limit."""

    states: Floats
    """(WAVE, 1000, S)."""
    actions: Floats
    """(WAVE, 1000, A)."""
    rewards: Floats
    """(WAVE, 1000)."""
    lengths: Integers
    """(WAVE,)."""
    terminated: Booleans
    """(WAVE,): False of those that ran into the time limit."""

    @property
    def steps(self) -> int:
        """Transitions."""
        return int(self.lengths.sum())


def _waves(
    policy: Policy, steps: int, seed: int, workers: int, progress: Progress, simulator: str
) -> Generator[Wave, None, None]:
    """Waves 0, 1, … as far as `steps` transitions need them, or further."""
    if workers == 1:
        # BLAS rounds differently with another number of threads, and physics amplifies the last bit.
        with (
            threadpool_limits(limits=1, user_api="blas"),
            closing(BatchedEnv(policy.task, WAVE, simulator=simulator)) as env,
        ):
            done = 0
            for number in itertools.count():
                limit = MAX_EPISODE_STEPS
                wave = roll(policy, env, seed, number, limit, lambda now: progress(min(done + now, steps), steps))  # noqa: B023
                done += wave.steps
                yield wave
    from dtclaims.lab.data.crew import this_crew

    made: dict[int, Wave] = {}
    counts: list[int] = []
    started, taken = itertools.count(), 0
    under_way = 0

    def wanted() -> tuple[Any, ...] | None:
        """A wave that is surely or, by the mean of those that are made, probably needed."""
        nonlocal under_way
        longest = WAVE * MAX_EPISODE_STEPS
        # Where the mean leaves it open, one wave too many costs less than waiting for one that came too late.
        margin = MARGIN if min(counts, default=longest) < longest else 0.0
        coming = fmean(counts or [longest]) * (under_way - margin)
        if sum(counts) + coming >= steps:
            return None
        under_way += 1
        return policy, seed, next(started), WAVE, MAX_EPISODE_STEPS, simulator

    def pulse() -> None:
        progress(min(sum(counts), steps), steps)

    with closing(this_crew().each(wave_alone, wanted, workers, pulse)) as each:
        for (_, _, number, *_), wave in each:
            made[number] = wave
            counts.append(wave.steps)
            under_way -= 1
            pulse()
            while taken in made:
                yield made.pop(taken)
                taken += 1


def wave_alone(policy: Policy, seed: int, number: int, episodes: int, limit: int, simulator: str) -> Wave:
    """One wave of so many episodes of at most so many steps, made by a process of its own."""
    with (
        threadpool_limits(limits=1, user_api="blas"),
        closing(BatchedEnv(policy.task, episodes, simulator=simulator)) as env,
    ):
        return roll(policy, env, seed, number, limit, lambda steps: None)


def roll(policy: Policy, env: BatchedEnv, seed: int, wave: int, limit: int, advance: Callable[[int], None]) -> Wave:
    """The episodes of one wave, in lock step, each of at most so many steps."""
    task, count = policy.task, env.count
    rng = generator(seed, f"collect/{task.name}/actions/{wave}")
    states = env.reset([derive(seed, f"collect/{task.name}/episode/{wave * count + i}") % 2**31 for i in range(count)])
    seen = np.zeros((count, limit, task.state_dim), dtype=np.float32)
    done = np.zeros((count, limit, task.action_dim), dtype=np.float32)
    earned = np.zeros((count, limit), dtype=np.float32)
    length = np.zeros(count, dtype=np.int64)
    active = np.ones(count, dtype=bool)
    for step in range(limit):
        seen[active, step] = states[active]
        done[active, step] = policy.act(states[active], rng)
        states, reward, ended = env.step(done[:, step], active)
        earned[active, step] = reward[active]
        length += active
        active &= ~ended
        advance(int(length.sum()))
        if not active.any():
            break
    # A slot still active ran into the time limit.
    return Wave(seen, done, earned, length, ~active)


def collect_recipe(recipe: Recipe, *, workers: int | None = None, progress: Progress | None = None) -> Trajectories:
    """The set of a recipe, collected now, with everything it came from in its provenance."""
    policy = Policy.load(policy_folder(recipe.task, recipe.level, recipe.simulator), get_task(recipe.task))
    data = collect(
        policy, steps=recipe.steps, seed=recipe.seed, workers=workers, progress=progress, simulator=recipe.simulator
    )
    made_by = {**asdict(recipe), "dtclaims": __version__, "note": SIMULATOR_NOTES[recipe.simulator]}
    # The simulator with its version, not by its name alone.
    return replace(data, provenance={**made_by, **data.provenance})


def collected_path(recipe: Recipe) -> Path:
    """Where the set of a recipe is cached."""
    return home() / "data" / f"{recipe.task}-{recipe.level}-{key_of(recipe.identity())}.hdf5"


def obtain(recipe: Recipe, progress: Progress | None = None, *, workers: int | None = None) -> Trajectories:
    """The set of a recipe: read from the cache, or collected now and cached.

    Two processes never collect the same set twice: the second waits for the first.

    Raises:
        DataError: the cache cannot be written, or holds something else.
    """
    path = collected_path(recipe)
    if path.is_file():
        return load_hdf5(path)
    check_room(path, _size(recipe))
    try:
        held = FileLock(path.with_suffix(".lock")).acquire()
    except OSError as error:
        raise DataError(f"cannot lock {path}", given=error, remedy="Set DTCLAIMS_HOME to a folder of yours.") from None
    with held:
        if not path.is_file():
            save_hdf5(collect_recipe(recipe, workers=workers, progress=progress), path)
    return load_hdf5(path)


def collect_to(
    path: Path, recipe: Recipe, progress: Progress | None = None, *, workers: int | None = None
) -> Trajectories:
    """Write the set of a recipe to a file of the user's choice, copied from the cache if it is there.

    Raises:
        DataError: the file cannot be written; found out before anything is collected, where that can be.
    """
    check_room(path, _size(recipe))
    cached = collected_path(recipe)
    data = load_hdf5(cached) if cached.is_file() else collect_recipe(recipe, workers=workers, progress=progress)
    save_hdf5(data, path)
    return data


def _size(recipe: Recipe) -> int:
    """Bytes of the set before compression."""
    task = get_task(recipe.task)
    return (recipe.steps + MAX_EPISODE_STEPS) * (4 * (task.state_dim + task.action_dim + 1) + 2)
