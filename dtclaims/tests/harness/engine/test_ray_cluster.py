"""Ray: the same plan on a cluster of two nodes, one of which is killed."""

import importlib.util
import io
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from dtclaims.errors import MissingDependency, UsageError
from dtclaims.harness.engine.engine import Ended, Event
from dtclaims.harness.engine.progress import Display
from dtclaims.harness.engine.ray_cluster import RayCluster
from dtclaims.harness.engine.work import Order
from dtclaims.harness.store.store import Store
from dtclaims.lab import LAB
from dtclaims.tests.support.examples import SAMPLE_CLAIMS
from dtclaims.tests.support.killing import carried_out, tiny_plan
from dtclaims.tests.support.plans import TINY, plan_for

LONG = replace(TINY, budget=replace(TINY.budget, epochs=16, steps_per_epoch=10))


@pytest.fixture(autouse=True)
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DTCLAIMS_HOME", str(tmp_path / "home"))


def test_without_ray_it_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is started."""
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(MissingDependency, match=r"pip install 'dtclaims\[ray\]'"):
        RayCluster(tmp_path, None, None, None)


def test_an_unknown_executor_is_refused(tmp_path: Path) -> None:
    """With the names of those that exist."""
    store = Store(tmp_path / "store")
    with pytest.raises(UsageError, match="unknown executor: got 'slurm', expected processes, inline, ray"):
        carried_out(plan_for(store), store, Display(io.StringIO()), executor="slurm")


@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="needs the extra `ray`")
def test_a_cluster_that_is_not_there_is_named(tmp_path: Path) -> None:
    """At once, instead of waiting for it."""
    engine = RayCluster(tmp_path, None, "127.0.0.1:9", None)
    with pytest.raises(UsageError, match=r"no Ray cluster to work on: got --ray-address 127\.0\.0\.1:9: .*refused"):
        engine.__enter__()


class Handle:
    """A task that was submitted: what it gives, or an error that takes it."""

    def __init__(self, does: Callable[[], Any]) -> None:
        self._does, self._over, self._gives = does, False, None
        self._error: Exception | None = None

    def run(self) -> None:
        """Do it, once."""
        if not self._over:
            self._over = True
            try:
                self._gives = self._does()
            except Exception as error:
                self._error = error

    def get(self) -> Any:
        """What it gave."""
        self.run()
        if self._error is not None:
            raise self._error
        return self._gives


class MadeUp:
    """As much of Ray as the engine asks for: tasks are done when they are waited for, in this process."""

    class exceptions:
        class RayError(Exception): ...

        class RayTaskError(RayError): ...

        class WorkerCrashedError(RayError): ...

    util = SimpleNamespace(
        scheduling_strategies=SimpleNamespace(NodeAffinitySchedulingStrategy=lambda node, *, soft: None)
    )

    def __init__(self, *nodes: dict[str, float]) -> None:
        self.resources, self.asked = nodes, list[dict[str, Any]]()
        self.dies: set[int] = set()
        """Numbers of the tasks whose worker dies after its first job."""
        self.submitted = 0

    def is_initialized(self) -> bool:
        return True

    def nodes(self) -> list[dict[str, Any]]:
        return [{"Alive": True, "Resources": one} for one in self.resources] + [
            {"Alive": False, "Resources": {"CPU": 99}}
        ]

    def get_runtime_context(self) -> Any:
        return SimpleNamespace(get_node_id=lambda: "here")

    def remote(self, **needs: Any) -> Callable[[Any], Any]:
        self.asked.append(needs)

        def made(of: Any) -> Any:
            if isinstance(of, type):
                actor = of()
                methods = {
                    name: SimpleNamespace(
                        remote=partial(lambda method, *said: Handle(partial(method, *said)), getattr(actor, name))
                    )
                    for name in ("tell", "take")
                }
                methods["tell"] = SimpleNamespace(remote=actor.tell)
                return SimpleNamespace(remote=lambda: SimpleNamespace(**methods))
            return SimpleNamespace(remote=lambda *said: self.submit(of, said))

        return made

    def submit(self, task: Any, said: tuple[Any, ...]) -> Handle:
        number, self.submitted = self.submitted, self.submitted + 1
        root, group, cores, reports = said

        def does() -> Any:
            if number in self.dies:
                task(root, group[:1], cores, reports)
                raise self.exceptions.WorkerCrashedError
            return task(root, group, cores, reports)

        return Handle(does)

    def wait(self, handles: list[Handle], timeout: float) -> tuple[list[Handle], list[Handle]]:
        handles[0].run()
        return handles[:1], handles[1:]

    def get(self, handle: Handle, timeout: float | None = None) -> Any:
        return handle.get()

    def kill(self, actor: Any) -> None: ...

    def cancel(self, task: Any, force: bool) -> None: ...


def cluster_of(
    made_up: MadeUp, monkeypatch: pytest.MonkeyPatch, root: Path, share: int | None, most: int | None
) -> RayCluster:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: True)
    monkeypatch.setattr("importlib.import_module", lambda _: made_up)
    return RayCluster(root, share, None, most)


@pytest.mark.parametrize(
    ("nodes", "share", "most", "slots", "needs"),
    [
        ([{"CPU": 4.0}, {"CPU": 3.0, "GPU": 1.0}], None, None, 7, {"num_cpus": 1}),
        ([{"CPU": 4.0}], None, 3, 3, {"num_cpus": 1}),
        # A node without a GPU does nothing; the one with fewest CPUs beside a GPU says how many a task has.
        (
            [{"CPU": 64.0, "GPU": 4.0}, {"CPU": 12.0, "GPU": 1.0}, {"CPU": 64.0}],
            5,
            None,
            25,
            {"num_cpus": 2, "num_gpus": 0.2},
        ),
        ([{"CPU": 2.0, "GPU": 1.0}], 5, None, 2, {"num_cpus": 1, "num_gpus": 0.2}),
    ],
)
def test_room_of_a_cluster(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    nodes: list[dict[str, float]],
    share: int | None,
    most: int | None,
    slots: int,
    needs: dict[str, float],
) -> None:
    """As many tasks as nodes that are alive have CPUs and shares of GPUs for, and each with its part of the CPUs."""
    made_up = MadeUp(*nodes)
    with cluster_of(made_up, monkeypatch, tmp_path, share, most) as engine:
        assert engine.slots == slots
    assert made_up.asked[0] == {"max_retries": 0, **needs}


def test_a_group_is_one_task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of its jobs ends once, alone; with its worker those die that had not ended."""
    store = Store(tmp_path / "store")
    jobs = list(tiny_plan(4).jobs.values())
    orders = [Order(one.key, one.job, one.identity, (), SAMPLE_CLAIMS, "cpu") for one in jobs]
    made_up, told = MadeUp({"CPU": 8.0}), list[Event]()
    made_up.dies.add(1)
    engine = cluster_of(made_up, monkeypatch, store.root, None, None)
    monkeypatch.undo()
    monkeypatch.setenv("DTCLAIMS_HOME", str(tmp_path / "home"))
    # On a CPU this paper's lab trains one run at a time; here it is asked for one after the other.
    monkeypatch.setattr("dtclaims.harness.engine.work.load_lab", lambda folder: SimpleNamespace(perform=LAB.perform))
    with engine:
        engine.start(tuple(orders[:2]))
        engine.start(tuple(orders[2:]))
        assert made_up.submitted == 2
        while engine._running:
            engine.wait(0.0, told.append)
    ended = {one.key: one for one in told if isinstance(one, Ended)}
    assert len(ended) == len([one for one in told if isinstance(one, Ended)]) == 4
    assert [ended[order.key].status for order in orders] == ["made", "made", "made", "died"]
    assert "WorkerCrashedError" in ended[orders[3].key].text
    assert {order.key for order in orders[:3]} == set(store.run_keys())


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Two nodes with one logical GPU each; Ray counts those that are in sight."""
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    import ray
    from ray.cluster_utils import Cluster

    # Connected while there is one node: the test itself is to be on the one that stays.
    head = {"num_cpus": 2, "num_gpus": 1, "include_dashboard": False}
    cluster = Cluster(initialize_head=True, connect=True, head_node_args=head)
    yield cluster
    ray.shutdown()
    cluster.shutdown()


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="needs the extra `ray`")
@pytest.mark.filterwarnings("default")
def test_a_node_is_killed_and_the_plan_finishes(tmp_path: Path, cluster: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs take half a GPU each; those of the dead node go on elsewhere from their last epoch, and none is lost."""
    second = cluster.add_node(num_cpus=2, num_gpus=1)
    cluster.wait_for_nodes()
    store = Store(tmp_path / "store")
    plan = plan_for(store, "SAMPLE-everywhere", seeds=(0, 1, 2), scale=LONG)
    slots: list[int] = []

    def engine(*_: object) -> RayCluster:
        class Watched(RayCluster):
            @property
            def slots(self) -> int:
                slots.append(super().slots)
                return slots[-1]

        return Watched(store.root, 2, cluster.address, None)

    monkeypatch.setattr("dtclaims.harness.engine.executor.make_engine", engine)

    def kill() -> None:
        while len(list(store.root.glob("work/*/state.safetensors"))) < 4:
            time.sleep(0.05)
        cluster.remove_node(second, allow_graceful=False)

    killer = threading.Thread(target=kill)
    killer.start()
    output = io.StringIO()
    outcome = carried_out(plan, store, Display(output), executor="ray")
    killer.join()
    assert outcome.failures == {}
    assert outcome.trained == 6
    assert slots[0] == 4
    assert "died" in output.getvalue()
    runs = [store.find(key) for key in plan.runs]
    assert sum(len(run.result["resumed"]) for run in runs if run is not None) >= 1
    assert len(store.run_keys()) == 6
