"""Runs that train together: an epoch of all of them, and their evaluation (protocol §4 and §5).

Each stays a run of its own: what it computes, logs and fails by depends on nothing of the others (`stacked`). Alone it
is a company of one.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any

from dtclaims.errors import DtclaimsError
from dtclaims.lab.data.physics import BatchedEnv
from dtclaims.lab.design.spec import RunSpec
from dtclaims.lab.design.tasks import MAX_EPISODE_STEPS
from dtclaims.lab.train.evaluate import ROLLOUTS, physics_workers
from dtclaims.lab.train.lanes import LaneRollouts
from dtclaims.lab.train.loop import Trainer
from dtclaims.lab.train.rollouts import Precision, Rollouts
from dtclaims.lab.train.stepping import STEPPING, Logged, Steps

Progress = Callable[[int, int], None]
"""Called with (steps done, steps in all)."""
REHEARSED_HORIZON = 20
"""Steps of a rehearsed roll-out beyond two windows: enough for some episodes to end, and for what is captured."""


Failures = dict[int, DtclaimsError]
"""By a run's number in its company, what went wrong with it alone."""


class Company:
    """Some runs of one shape, context, task, simulator and budget, on one device.

    Args:
        trainers: the runs; each may be at another epoch.
        cores: that it may use beside the device; None for all there are.
        rehearses: the run that each stands for, if they are rehearsals: what is worth compiling is decided as there,
            and roll-outs, as wide as there, end soon after their windows are full.
    """

    def __init__(
        self, trainers: Sequence[Trainer], cores: int | None = None, *, rehearses: RunSpec | None = None
    ) -> None:
        self.trainers = list(trainers)
        self._whole = rehearses or self.trainers[0].spec
        self._horizon = MAX_EPISODE_STEPS if rehearses is None else 2 * rehearses.context + REHEARSED_HORIZON
        self.left: set[int] = set()
        """Runs that have failed or are over. Their networks stay where they are, and nobody asks what they do."""
        self._first = self.trainers[0]
        self._cores = cores
        self._kept: LaneRollouts | None = None
        self.spent: dict[str, float] = {}
        """Seconds of the last epoch: its updates, in roll-outs the waits for the networks and for the physics, and the
        error on what is held out, with a copy of what is best so far."""

    @cached_property
    def _steps(self) -> Steps:
        first = self._first
        steps: Steps = STEPPING[first.path](
            [one.member for one in self.trainers],
            first.spec.budget,
            first.precision,
            steps=self._whole.epochs * self._whole.budget.steps_per_epoch,
        )
        return steps

    @property
    def present(self) -> list[int]:
        """Runs that go on."""
        return [index for index in range(len(self.trainers)) if index not in self.left]

    def run_epoch(self, progress: Sequence[Progress] | None = None) -> Failures:
        """Train one epoch, evaluate, log; a run that fails leaves.

        Args:
            progress: of each run.
        """
        failures: Failures = {}
        said: dict[int, dict[str, float]] = {}
        began = time.perf_counter()
        for index, logged in self.update(progress).items():
            with self._alone(index, failures):
                said[index] = self.trainers[index].trained(logged)
        self.spent = {"updates": time.perf_counter() - began}
        if not self.present:
            return failures
        rollouts = self.roll_out()
        began = time.perf_counter()
        errors = self._steps.errors([one.held_out for one in self.trainers])
        for index in self.present:
            with self._alone(index, failures):
                self.trainers[index].evaluated(rollouts[index], errors[index], said[index])
        self.spent |= {**self._rollouts().waited, "held out": time.perf_counter() - began}
        return failures

    def update(self, progress: Sequence[Progress] | None = None) -> dict[int, Logged]:
        """The updates of one epoch, and nothing else: by run, what they logged."""
        steps = self._first.spec.budget.steps_per_epoch

        def report(step: int) -> None:
            for index in self.present:
                run, told = self.trainers[index], (progress or ())[index]
                told(run.updates + step, run.spec.epochs * steps)

        logged = self._steps.epoch(
            [one.starts() for one in self.trainers],
            [one.updates for one in self.trainers],
            [one.dropout_seed for one in self.trainers],
            None if progress is None else report,
        )
        return {index: logged[index] for index in self.present}

    def roll_out(self) -> list[Rollouts]:
        """The episodes of one epoch, and nothing else; those of runs that have left are empty."""
        return self._rollouts().run(
            self._of(self.present, [one.episode_seeds() for one in self.trainers]), self._horizon
        )

    def evaluate_afresh(self, which: Sequence[int] = (0,)) -> dict[int, dict[str, dict[str, Any]]]:
        """The best epoch's checkpoint and the last's, each on episodes that no epoch was chosen by.

        Both start in the same states. Where the last epoch is the best one, it is evaluated once.

        Args:
            which: runs that are over.

        Returns:
            By run: `best` (the first epoch with the highest mean return) and `last`, each with its `epoch` and the
            `returns` and `lengths` of each episode; empty if none is asked for.
        """
        count = self._first.spec.fresh_episodes
        if not count:
            return {index: {} for index in which}
        runs = self.trainers
        last = self._rollouts(count).run(self._of(which, [one.fresh_seeds() for one in runs]), self._horizon)
        found = {i: dict.fromkeys(("best", "last"), _said(runs[i].epoch, last[i])) for i in which}
        earlier = [index for index in which if runs[index].best_epoch != runs[index].epoch]
        if earlier:
            states = [one.parameters() if one.best is None else one.best for one in runs]
            evaluated = self._rollouts(count, self._steps.with_parameters(states))
            best = evaluated.run(self._of(earlier, [one.fresh_seeds() for one in runs]), self._horizon)
            for index in earlier:
                found[index]["best"] = _said(runs[index].best_epoch, best[index])
        return found

    @staticmethod
    def _of(which: Sequence[int], seeds: Sequence[list[int]]) -> list[list[int]]:
        return [own if index in which else [] for index, own in enumerate(seeds)]

    def _rollouts(self, episodes: int = 0, networks: Any = None) -> LaneRollouts:
        """What rolls the runs out: kept from one epoch to the next; made for so many episodes or other parameters."""
        if not episodes and self._kept is not None:
            return self._kept
        first = self._first
        count = episodes or first.spec.budget.evaluation_episodes
        slots = count * len(self.trainers)
        workers = physics_workers(first.device, slots, self._cores)
        env = BatchedEnv(first.task, slots, workers, simulator=first.spec.simulator)
        precision: Precision = "bfloat16" if first.precision == "bfloat16" else "float32"
        views = [one.view for one in self.trainers]
        made: LaneRollouts = ROLLOUTS[first.path](networks or self._steps.networks, env, views, first.device, precision)
        if not episodes:
            self._kept = made
        return made

    @contextmanager
    def _alone(self, index: int, failures: Failures) -> Iterator[None]:
        """What goes wrong here is one run's own: it leaves."""
        try:
            yield
        except DtclaimsError as error:
            failures[index] = error
            self.left.add(index)


def _said(epoch: int, rollouts: Rollouts) -> dict[str, Any]:
    returns, lengths = list(map(float, rollouts.returns)), list(map(int, rollouts.lengths))
    return {"epoch": epoch, "returns": returns, "lengths": lengths}
