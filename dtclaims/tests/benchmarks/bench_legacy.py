"""Speed of the paper's simulator, in processes of the legacy environment, beside v4's per core.

Both take the actions that the shipped policy chose on v4, from the same starts, in one process. Episodes of the two end
at different steps: what is compared, and printed, is steps in a second of a core.
"""

import os
from pathlib import Path

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from dtclaims.lab.data.physics_pool import SharedSlots
from dtclaims.lab.design.tasks import TASKS, Task
from dtclaims.lab.legacy.slots import LegacySlots
from dtclaims.tests.support.recorded import recorded

pytestmark = pytest.mark.legacy

SLOTS, STEPS = 64, 100
MOST = 2.0
"""How much slower than v4's a core may be: the issue's bound."""

rates: dict[tuple[str, type[SharedSlots]], float] = {}


def replay(slots: SharedSlots, actions: np.ndarray) -> int:
    """Steps of episodes from their starts to their ends; how many there were."""
    slots.reset_slots(range(SLOTS), range(SLOTS))
    active, taken = np.ones(SLOTS, dtype=bool), 0
    for action in actions:
        taken += int(active.sum())
        active = active & ~slots.finish(slots.start(action, active))[2]
    return taken


def seconds_on_a_core(slots: SharedSlots) -> float:
    """What its one process has computed for so far, whatever else the machine did meanwhile."""
    (process,) = slots._processes
    words = Path(f"/proc/{process.process.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.parametrize("name", list(TASKS))
@pytest.mark.parametrize("kind", [SharedSlots, LegacySlots])
def test_one_core(benchmark: BenchmarkFixture, name: str, kind: type[SharedSlots]) -> None:
    """Steps of one process in each second that it computes; the paper's simulator is at least half as fast as v4's."""
    task: Task = TASKS[name]
    benchmark.group = f"one core, {name}, {SLOTS} slots x {STEPS} steps"
    actions, _ = recorded(task, SLOTS, STEPS, 1)
    slots = kind(task, SLOTS, 1)
    replay(slots, actions)
    before, taken = seconds_on_a_core(slots), []
    benchmark.pedantic(lambda: taken.append(replay(slots, actions)), rounds=4)
    rates[name, kind] = sum(taken) / (seconds_on_a_core(slots) - before)
    slots.close()
    print(f"\n{name}, {kind.__name__}: {rates[name, kind]:,.0f} steps per second of a core")
    if kind is LegacySlots and (name, SharedSlots) in rates:
        ratio = rates[name, SharedSlots] / rates[name, kind]
        print(f"{name}: v4 is {ratio:.2f} times as fast")
        assert ratio < MOST
