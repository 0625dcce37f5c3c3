"""Speed of the paper's simulator, in processes of the legacy environment, beside v4's per core.

Both take the actions that the shipped policy chose on v4, from the same starts, in one process: the rates are per core.
Episodes of the two end at different steps, so the ratio is of steps a second, which is printed.
"""

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from dtclaims.lab.data.physics_pool import SharedSlots
from dtclaims.lab.design.tasks import TASKS, Task
from dtclaims.lab.legacy.slots import LegacySlots
from dtclaims.tests.benchmarks.bench_physics import recorded

pytestmark = pytest.mark.legacy

SLOTS, STEPS = 64, 100
MOST = 2.0
"""How much slower than v4's a core may be: the issue's bound."""

rates: dict[tuple[str, str], float] = {}


def replay(slots: SharedSlots, actions: np.ndarray) -> int:
    """Steps of episodes from their starts to their ends; how many there were."""
    slots.reset_slots(range(SLOTS), range(SLOTS))
    active, taken = np.ones(SLOTS, dtype=bool), 0
    for action in actions:
        taken += int(active.sum())
        active = active & ~slots.finish(slots.start(action, active))[2]
    return taken


@pytest.mark.parametrize("name", list(TASKS))
@pytest.mark.parametrize("kind", [SharedSlots, LegacySlots])
def test_one_core(benchmark: BenchmarkFixture, name: str, kind: type[SharedSlots]) -> None:
    """Steps a second of one process; the paper's simulator at least half as fast as v4's."""
    task: Task = TASKS[name]
    benchmark.group = f"one core, {name}, {SLOTS} slots x {STEPS} steps"
    actions, _ = recorded(task, SLOTS, STEPS, 1)
    slots = kind(task, SLOTS, 1)
    taken = benchmark.pedantic(replay, (slots, actions), rounds=4, warmup_rounds=1)
    slots.close()
    if benchmark.stats is None:
        return
    rate = taken / benchmark.stats.stats.min
    benchmark.extra_info["steps a second"] = rate
    rates[name, kind.__name__] = rate
    print(f"\n{name}, {kind.__name__}: {rate:,.0f} steps/s")
    if kind is LegacySlots and (name, "SharedSlots") in rates:
        ratio = rates[name, "SharedSlots"] / rate
        print(f"{name}: v4 is {ratio:.2f} times as fast")
        assert ratio < MOST
