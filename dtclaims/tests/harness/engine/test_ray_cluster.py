"""Ray: the same plan on a cluster of two nodes, one of which is killed."""

import importlib.util
import io
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dtclaims.errors import MissingDependency, UsageError
from dtclaims.harness.engine.progress import Display
from dtclaims.harness.engine.ray_cluster import RayCluster
from dtclaims.harness.store.store import Store
from dtclaims.tests.support.killing import carried_out
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
