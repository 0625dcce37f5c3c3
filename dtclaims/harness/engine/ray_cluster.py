"""Workers that are tasks of a Ray cluster: many nodes, a share of a GPU each, one store on a folder they all see.

Every node needs this package, and the paths of the store and of `DTCLAIMS_HOME`, as the driver has them.
"""

import importlib
import importlib.util
import logging
import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from dtclaims.errors import MissingDependency, UsageError
from dtclaims.harness.engine.engine import Ended, Event, Status
from dtclaims.harness.engine.work import Group, perform, prepare_process
from dtclaims.harness.store.store import Store

LOOK = 0.5
"""Seconds between two looks at what the tasks report."""


class RayCluster:
    """An engine of Ray tasks. Nodes may come and go; a task that is lost with its node is reported as died.

    Args:
        root: of the store.
        runs_per_gpu: how many tasks share a GPU and the CPUs beside it; None for tasks of one CPU and no GPU.
        address: of a running cluster (`HOST:6379` or `auto`); None starts one on this machine.
        workers: at most how many tasks at once; None for as many as the cluster has room for.

    Raises:
        MissingDependency: Ray is not installed.
    """

    def __init__(self, root: Path, runs_per_gpu: int | None, address: str | None, workers: int | None) -> None:
        if importlib.util.find_spec("ray") is None:
            raise MissingDependency(
                "--executor ray needs Ray, which is not installed",
                remedy="`pip install 'dtclaims[ray]'`, or use --executor processes.",
            )
        self._ray: Any = importlib.import_module("ray")
        self._root, self._share, self._address, self._workers = root.resolve(), runs_per_gpu, address, workers
        self._running: dict[Any, set[str]] = {}
        self._cores = 1
        """Of each task."""
        self._ours = False

    def __enter__(self) -> Self:
        ray = self._ray
        if not ray.is_initialized():
            options = {"log_to_driver": False, "logging_level": logging.WARNING}
            if self._address is None:
                options["include_dashboard"] = False
            try:
                _reach(self._address)
                ray.init(address=self._address or "local", **options)
            except (OSError, ValueError, RuntimeError) as error:
                raise UsageError(
                    "no Ray cluster to work on",
                    given=f"--ray-address {self._address}: {error}",
                    remedy="Start one with `ray start --head`, or leave --ray-address out.",
                ) from None
            self._ours = True
        self._cores = self._cores_each()
        needs = (
            {"num_cpus": self._cores} if self._share is None else {"num_cpus": self._cores, "num_gpus": 1 / self._share}
        )
        # Whom to give a lost job is decided in one place, for all engines.
        self._task = ray.remote(max_retries=0, **needs)(_work)
        # Beside the driver, whose node outlives the others.
        here = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(
            ray.get_runtime_context().get_node_id(), soft=True
        )
        self._reports = ray.remote(num_cpus=0, max_restarts=-1, scheduling_strategy=here)(Reports).remote()
        return self

    def _nodes(self) -> list[tuple[int, float]]:
        """CPUs and GPUs of each node that jobs may go to."""
        there = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
        found = [(int(one.get("CPU", 0)), one.get("GPU", 0.0)) for one in there]
        return [one for one in found if self._share is None or one[1]]

    def _cores_each(self) -> int:
        """CPUs of a task: one, or its part of those beside a GPU, on the node that has fewest."""
        if self._share is None:
            return 1
        return max(1, min((int(cpus / (gpus * self._share)) for cpus, gpus in self._nodes()), default=1))

    @property
    def slots(self) -> int:
        """What the cluster has room for now."""
        rooms = [
            min(cpus // self._cores, cpus if self._share is None else int(gpus * self._share))
            for cpus, gpus in self._nodes()
        ]
        return max(1, min(sum(rooms), self._workers or sum(rooms)))

    def start(self, group: Group) -> None:
        """Submit a task for jobs that are done together."""
        if group[0].device.startswith("cuda"):
            # Of several GPUs Ray shows a task the one it may use.
            group = tuple(replace(order, device="cuda") for order in group)
        self._running[self._task.remote(self._root, group, self._cores, self._reports)] = {order.key for order in group}

    def wait(self, timeout: float | None, tell: Callable[[Event], None]) -> None:
        """Pass on what tasks report, and how they ended."""
        ended, _ = self._ray.wait(list(self._running), timeout=LOOK if timeout is None else min(LOOK, timeout))
        for event in self._said():
            self._pass_on(event, tell)
        for task in ended:
            status: Status = "failed"
            try:
                # What reports did not bring, or were lost with.
                for event in self._ray.get(task):
                    self._pass_on(event, tell)
                text = "its task did not say how it ended"
            except self._ray.exceptions.RayTaskError as error:
                text = str(error.cause)
            except self._ray.exceptions.RayError as error:
                status, text = "died", f"its worker or node died ({type(error).__name__})"
            for key in self._running.pop(task):
                tell(Ended(key, status, text))

    def _pass_on(self, event: Event, tell: Callable[[Event], None]) -> None:
        """Tell an event of a job that is still being done, once."""
        for keys in self._running.values():
            if event.key in keys:
                if isinstance(event, Ended):
                    keys.discard(event.key)
                tell(event)

    def _said(self) -> list[Event]:
        try:
            said: list[Event] = self._ray.get(self._reports.take.remote(), timeout=10.0)
        except self._ray.exceptions.RayError:
            # Only progress is lost with it.
            return []
        return said

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._running:
            self._ray.cancel(task, force=True)
        self._ray.kill(self._reports)
        if self._ours:
            self._ray.shutdown()


def _reach(address: str | None) -> None:
    """Find out at once whether anybody listens; Ray itself would try for minutes."""
    host, _, port = (address or "").rpartition(":")
    if host and port.isdigit():
        socket.create_connection((host, int(port)), timeout=10.0).close()


class Reports:
    """Where tasks leave what they report, until the driver takes it."""

    def __init__(self) -> None:
        self._events: list[Event] = []

    def tell(self, event: Event) -> None:
        """Leave something."""
        self._events.append(event)

    def take(self) -> list[Event]:
        """All that was left since the last time."""
        taken, self._events = self._events, []
        return taken


def _work(root: Path, group: Group, cores: int, reports: Any) -> list[Event]:
    """Do the jobs; how they ended, which is reported too, as soon as each does."""
    prepare_process(cores)
    ended: list[Event] = []

    def send(event: Event) -> None:
        if isinstance(event, Ended):
            ended.append(event)
        reports.tell.remote(event)

    perform(Store(root, create=False), group, send, cores)
    return ended
