"""The paper's simulator beside ours: the tables of docs/simulators.md.

    python -m dtclaims.tests.benchmarks.simulators models     fields of the compiled models that differ
    python -m dtclaims.tests.benchmarks.simulators growth     the same start and actions, step by step
    python -m dtclaims.tests.benchmarks.simulators returns    random, medium and expert policies
    python -m dtclaims.tests.benchmarks.simulators sets       medium sets beside D4RL's
    python -m dtclaims.tests.benchmarks.simulators record     what 2.1.0 does, for tests: support/mujoco_2_1_0.json

Three are compared: `gym-v2`, which needs `dtclaims legacy install`; `v4`; and `v4, cylinders`, which is v4 with its
capsules weighed as MuJoCo 2.1.0 weighed them.
"""

import argparse
import json
import os
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium.envs.mujoco
import mujoco
import numpy as np
import numpy.typing as npt
from scipy.stats import t

from dtclaims.lab.data.collect import collect, policy_folder
from dtclaims.lab.data.physics import BatchedEnv
from dtclaims.lab.data.policy import Policy
from dtclaims.lab.data.policy_selection import Actor, returns_of
from dtclaims.lab.data.references import RandomPolicy
from dtclaims.lab.data.simulators import GYM_V2, V4
from dtclaims.lab.design.tasks import TASKS, Task
from dtclaims.lab.legacy import environment
from dtclaims.seeding import derive, generator
from dtclaims.tests.support.capsules import (
    INERTIAL,
    RECORDED_STEPS,
    CylinderSlots,
    recorded_actions,
    weigh_as_cylinders,
)

Floats = npt.NDArray[np.float64]
Fields = dict[str, Floats]

COMPILER = Path(__file__).parents[1] / "support" / "legacy_model.py"
"""Runs in the legacy environment: not imported here."""

CYLINDERS = "v4, cylinders"
COMPARED = (GYM_V2, V4, CYLINDERS)
ASSETS = Path(gymnasium.envs.mujoco.__file__).parent / "assets"
FILES = {"hopper": "hopper.xml", "halfcheetah": "half_cheetah.xml", "walker2d": "walker2d.xml"}
SHOWN_STEPS = (1, 2, 5, 10, 20, 50, 100, 300)
NO_PHYSICS = ("cam_", "light_", "mat_", "tex_", "vis", "stat", "nbuffer", "nstack", "njmax", "nconmax", "names")
"""Fields of drawing and of memory. Neither limit on contacts, 100 then, is ever met by seven capsules and a floor."""
LAYOUT = ("body_sameframe", "geom_sameframe")
"""Shortcuts of the engine, which code the same fact differently from release to release."""


def batch(task: Task, count: int, simulator: str) -> BatchedEnv:
    """Slots of a task in one of `COMPARED`."""
    if simulator != CYLINDERS:
        return BatchedEnv(task, count, simulator=simulator)
    env = BatchedEnv(task, count)
    env._slots = CylinderSlots(task, count)
    return env


def present_fields(model: Any) -> Fields:
    """Every numerical field of a compiled model of the installed MuJoCo."""
    found = {}
    for prefix, part in (("", model), ("opt.", model.opt)):
        for name in dir(part):
            value = None if name.startswith("_") else getattr(part, name)
            if isinstance(value, int | float | np.ndarray):
                found[prefix + name] = np.asarray(value)
    return found


def differing(one: Fields, other: Fields) -> tuple[int, dict[str, tuple[float, float]]]:
    """How many fields of physics both have, and the greatest absolute and relative difference of those that differ."""
    compared, found = 0, {}
    for name in sorted(one.keys() & other.keys()):
        a, b = one[name].ravel(), other[name].ravel()
        if name.startswith(NO_PHYSICS + LAYOUT) or a.dtype.kind not in "fiu":
            continue
        compared += 1
        if a.size != b.size:
            found[name] = (np.inf, np.inf)
        elif a.size and (a != b).any():
            gap = np.abs(a.astype(float) - b.astype(float))
            found[name] = (float(gap.max()), float((gap / np.maximum(np.abs(a), 1e-300))[gap > 0].max()))
    return compared, found


def legacy_models() -> Fields:
    """What 2.1.0 compiles from v2's and v4's files: arrays called TASK/VERSION/FIELD."""
    legacy = environment.ready()
    wanted = [f"{task}/v2={file}" for task, file in FILES.items()]
    wanted += [f"{task}/v4={ASSETS / file}" for task, file in FILES.items()]
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "models.npz"
        program = [*environment.python(legacy), str(COMPILER), str(out), *wanted]
        variables = os.environ | environment.variables(legacy)
        subprocess.run(program, check=True, env=variables, capture_output=True)
        return dict(np.load(out))


def models() -> Iterator[str]:
    """Fields of the compiled models, pair by pair."""
    arrays = legacy_models()

    def old(task: str, version: str) -> Fields:
        start = f"{task}/{version}/"
        return {name.removeprefix(start): value for name, value in arrays.items() if name.startswith(start)}

    for task, file in FILES.items():
        model = mujoco.MjModel.from_xml_path(str(ASSETS / file))
        v4 = present_fields(model)
        weighed = mujoco.MjModel.from_xml_path(str(ASSETS / file))
        weigh_as_cylinders(weighed, ASSETS / file)
        for said, one, other in (
            ("v2's file, v4's file, both compiled by 2.1.0", old(task, "v2"), old(task, "v4")),
            (f"v2 of 2.1.0, v4 of {mujoco.__version__}", old(task, "v2"), v4),
            (f"v2 of 2.1.0, v4 of {mujoco.__version__} with cylinders", old(task, "v2"), present_fields(weighed)),
        ):
            compared, found = differing(one, other)
            yield f"{task}: {said}: {len(found)} of {compared} fields differ"
            for name, (gap, relative) in found.items():
                yield f"    {name:24} {gap:.3g} ({relative:.3g} of it)"


def growth(episodes: int) -> Iterator[str]:
    """The greatest difference over episodes, step by step, with the same random actions: rounding's own growth last."""
    for task in TASKS.values():
        seeds = [derive(0, f"simulators/growth/{task.name}/{i}") % 2**31 for i in range(episodes)]
        draw = generator(0, f"simulators/growth/{task.name}")
        actions = draw.uniform(-1, 1, (max(SHOWN_STEPS), episodes, task.action_dim))
        paths = {simulator: path(batch(task, episodes, simulator), seeds, actions) for simulator in COMPARED}
        nudged = path(batch(task, episodes, CYLINDERS), seeds, np.nextafter(actions, 0))
        touched = paths[CYLINDERS].touched
        for said, one, other in (
            (f"{V4} from {GYM_V2}", paths[V4], paths[GYM_V2]),
            (f"{CYLINDERS} from {GYM_V2}", paths[CYLINDERS], paths[GYM_V2]),
            (f"{CYLINDERS} from itself, actions changed by their last bit", nudged, paths[CYLINDERS]),
        ):
            gap, paid = np.abs(one.states - other.states).max(axis=2), np.abs(one.rewards - other.rewards)
            yield f"{task.name}: {said}"
            yield "    " + "  ".join(f"{n}: {gap[n].max():.1e}" for n in SHOWN_STEPS)
            yield (
                f"    before contact: {gap[~touched].max():.1e}  reward at 1: {paid[0].max():.1e}  "
                f"ends equal in {(one.ends == other.ends).sum()} of {episodes}"
            )


@dataclass(frozen=True)
class Episodes:
    """What episodes went through; they are stepped on where they have ended."""

    states: Floats
    """(T + 1, episodes, S), the start first."""
    rewards: Floats
    """(T, episodes)."""
    ends: npt.NDArray[np.int64]
    """(episodes,): the step that ended each, 0 where none did."""
    touched: npt.NDArray[np.bool_]
    """(T + 1, episodes): whether there was a contact until then; all False where that is not known."""


def path(env: BatchedEnv, seeds: Sequence[int], actions: Floats) -> Episodes:
    """Episodes of given starts and actions (T, episodes, A)."""
    states, rewards, over = [env.reset(seeds).copy()], [], []
    touched = [np.zeros(env.count, dtype=bool)]
    for action in actions:
        state, reward, ended = env.step(action)
        states.append(state.copy())
        rewards.append(reward)
        over.append(ended)
        touched.append(touched[-1] | (env._slots.contacts() > 0 if isinstance(env._slots, CylinderSlots) else False))
    env.close()
    ends = np.where(np.any(over, axis=0), np.argmax(over, axis=0) + 1, 0)
    return Episodes(np.stack(states), np.stack(rewards), ends, np.stack(touched))


def returns(episodes: int) -> Iterator[str]:
    """Mean returns with 95 % intervals, standard deviations and mean lengths."""
    yield f"| task | policy | {' | '.join(COMPARED)} |"
    for task in TASKS.values():
        actors: dict[str, Actor] = {"random": RandomPolicy(task)}
        actors |= {level: Policy.load(policy_folder(task.name, level), task) for level in ("medium", "expert")}
        for name, actor in actors.items():
            purpose = f"simulators/returns/{task.name}/{name}"
            seeds = [derive(0, f"{purpose}/{i}") % 2**31 for i in range(episodes)]
            cells = []
            for simulator in COMPARED:
                totals, lengths = returns_of(
                    actor, batch(actor.task, len(seeds), simulator), seeds, generator(0, purpose)
                )
                half = t.ppf(0.975, episodes - 1) * totals.std(ddof=1) / np.sqrt(episodes)
                cells.append(f"{totals.mean():.1f} ± {half:.1f} (sd {totals.std():.1f}, {lengths.mean():.0f} steps)")
            yield f"| {task.name} | {name} | {' | '.join(cells)} |"


def sets(steps: int) -> Iterator[str]:
    """Medium sets of both simulators, and D4RL's: trajectories, and their mean, standard deviation, least and greatest.

    In gym-v2 of the policy that was trained in v4, and of the one that was fitted, where there is one.
    """
    for task in TASKS.values():
        facts = task.medium
        yield (
            f"| D4RL | {task.name}-medium-v2 | {facts.trajectories} | {facts.return_mean:.0f} | "
            f"{facts.return_std:.0f} | {facts.return_min:.0f} | {facts.return_max:.0f} |"
        )
        for simulator in (V4, GYM_V2):
            folders = {policy_folder(task.name, "medium"), policy_folder(task.name, "medium", simulator)}
            for folder in sorted(folders):
                totals = collect(Policy.load(folder, task), steps=steps, seed=0, simulator=simulator).returns
                yield (
                    f"| {simulator} | {folder.name} | {len(totals)} | {totals.mean():.0f} | {totals.std():.0f} | "
                    f"{totals.min():.0f} | {totals.max():.0f} |"
                )


def record() -> Iterator[str]:
    """Bodies of the models that 2.1.0 compiles, and states after some steps of `recorded_actions` from seed 0."""
    arrays, found = legacy_models(), {}
    for task in TASKS.values():
        env = batch(task, 1, GYM_V2)
        states = path(env, [0], recorded_actions(task)).states[:, 0]
        found[task.name] = {
            **{name: arrays[f"{task.name}/v2/{name}"].tolist() for name in INERTIAL},
            "states": {str(step): states[step].tolist() for step in RECORDED_STEPS},
        }
    yield json.dumps(found, indent=1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", choices=("models", "growth", "returns", "sets", "record"))
    parser.add_argument("--episodes", type=int, default=None, help="10 of growth, 100 of returns")
    parser.add_argument("--steps", type=int, default=1_000_000, help="of a set (default: D4RL's 1000000)")
    options = parser.parse_args()
    lines = {
        "models": models,
        "growth": lambda: growth(options.episodes or 10),
        "returns": lambda: returns(options.episodes or 100),
        "sets": lambda: sets(options.steps),
        "record": record,
    }[options.table]()
    for line in lines:
        print(line, flush=True)


if __name__ == "__main__":
    main()
