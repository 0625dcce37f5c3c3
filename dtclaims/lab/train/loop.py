"""Fine-tuning of one run, epoch by epoch: updates, roll-outs, curves (protocol §4 and §5)."""

import copy
import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from dtclaims.errors import RunFailed, UsageError
from dtclaims.lab.data.physics import BatchedEnv
from dtclaims.lab.data.split import split_trajectories
from dtclaims.lab.data.trajectories import Trajectories
from dtclaims.lab.data.windows import Batch, WindowSampler
from dtclaims.lab.design.spec import RunSpec
from dtclaims.lab.models import Backbone, build_model
from dtclaims.lab.models.displacement import block_parameters, relative_displacement
from dtclaims.lab.models.policy import Policy
from dtclaims.lab.train.evaluate import ROLLOUTS, physics_threads
from dtclaims.lab.train.lanes import LaneRollouts
from dtclaims.lab.train.objective import action_loss, make_optimizer
from dtclaims.lab.train.precision import TrainPrecision
from dtclaims.lab.train.rollouts import Precision, Rollouts, View
from dtclaims.lab.train.stepping import STEPPING, Steps
from dtclaims.seeding import derive, generator

HELD_OUT_CHUNK = 512

Progress = Callable[[int, int], None]
"""Called with (steps done, steps in all)."""


def training_part(data: Trajectories, spec: RunSpec) -> tuple[Trajectories, Trajectories | None]:
    """What a run trains on, and what it keeps out of training, if anything (DEV-12)."""
    if not spec.held_out:
        return data, None
    return split_trajectories(data, seed=spec.seed, min_steps=spec.budget.held_out_steps)


class Trainer:
    """A run between two epochs. Its state is all that the rest of the run depends on.

    Draws depend on (seed, purpose, epoch) alone. Arms of one seed see the same windows in the same order and the
    same initial states, so that the effects of a claim are paired; under `published` only weights are shared, as in
    the reference, whose data order and environments are not seeded (DEV-21).

    Args:
        spec: the run.
        data: all trajectories.
        backbones: by source, those the arm needs.
        device: where it trains; what takes the steps and rolls out there is in `STEPPING` and `ROLLOUTS`.
        precision: see `TrainPrecision`; roll-outs are then in bfloat16 too, or else in float32.
        threads: that step the physics of the roll-outs; None is `physics_threads`, as if the run were alone.

    Raises:
        UsageError: a precision that is not offered on the device.
    """

    def __init__(
        self,
        spec: RunSpec,
        data: Trajectories,
        backbones: Mapping[str, Backbone],
        device: torch.device | str = "cpu",
        precision: TrainPrecision = "float32",
        threads: int | None = None,
    ) -> None:
        self.spec = spec
        self.device = torch.device(device)
        if precision not in STEPPING[self.device.type].precisions:
            raise UsageError(
                "precision of training",
                given=f"{precision} on {self.device.type}",
                expected="float32 on a CPU; float32, tf32 or bfloat16 on a GPU",
            )
        self.precision = precision
        self.data, held_out = training_part(data, spec)
        self.task = data.task
        self._backbones = backbones
        self.model = self._untrained().to(device)
        self.optimizer = make_optimizer(self.model, spec.budget, spec.adam_eps)
        self.sampler = WindowSampler(self.data, spec.context, device)
        self._threads = threads or physics_threads(device)
        self.env = BatchedEnv(self.task, spec.budget.evaluation_episodes, self._threads)
        self.epoch = 0
        """Epochs done."""
        self.curves: dict[str, list[float]] = {}
        """One value per epoch 1…E: `return_mean`, `return_std`, `length_mean` of the evaluation episodes;
        `action_error` = loss of the epoch's last minibatch, dropout on, as the reference logs it (DEV-12);
        `held_out_error` = eval-mode error on trajectories kept out, where the run keeps some; `loss_mean`;
        `gradient_norm` (mean, before clipping), `clipped` (share of steps whose gradient was longer than the
        clipping norm) and `saturated` (share of predicted action coordinates past ±0.99)."""
        self._best: dict[str, Tensor] | None = None
        """Parameters after the best epoch so far, on the CPU, where that is to be evaluated afresh."""
        self._held_out = self._held_out_batches(held_out) if held_out is not None else []
        self._steps: Steps | None = None
        self._rollouts: LaneRollouts | None = None

    def _untrained(self) -> Policy:
        """The model at epoch 0: its draws depend on the seed alone."""
        spec = self.spec
        return build_model(
            spec.arm,
            task=self.task,
            head=spec.head,
            architecture=spec.architecture,
            backbones=self._backbones,
            seed=spec.seed,
        )

    def _held_out_batches(self, held_out: Trajectories) -> list[Batch]:
        sampler = WindowSampler(held_out, self.spec.context, self.device, statistics_of=self.data)
        count = math.ceil(self.spec.budget.held_out_steps / self.spec.context)
        starts = sampler.draw(count, generator(self.spec.seed, "held_out"))
        return [sampler.gather(starts[i : i + HELD_OUT_CHUNK]) for i in range(0, count, HELD_OUT_CHUNK)]

    def _purpose(self, what: str) -> str:
        return what if self.spec.paired else f"{what}/{self.spec.arm}/K{self.spec.context}"

    def run_epoch(self, progress: Progress | None = None) -> None:
        """Train one epoch, evaluate, log.

        Raises:
            RunFailed: the loss stopped being finite.
        """
        logged = self.train_epoch(progress)
        rollouts = self._roll_out(self.epoch)
        returns = {
            "return_mean": float(rollouts.returns.mean()),
            "return_std": float(rollouts.returns.std()),
            "length_mean": float(rollouts.lengths.mean()),
        }
        if self._held_out:
            logged["held_out_error"] = self._held_out_error()
        for name, value in {**returns, **logged}.items():
            self.curves.setdefault(name, []).append(self._finite(name, value))
        means = self.curves["return_mean"]
        if self.spec.fresh_episodes and means.index(max(means)) == self.epoch - 1:
            self._best = self.parameters()

    def train_epoch(self, progress: Progress | None = None) -> dict[str, float]:
        """The updates of one epoch, and nothing else; what they log.

        Raises:
            RunFailed: the loss stopped being finite.
        """
        budget, epoch = self.spec.budget, self.epoch + 1
        losses, norms, saturated = self._updates(epoch, progress)
        if not torch.isfinite(losses).all():
            step = int((~torch.isfinite(losses)).nonzero()[0]) + self.epoch * budget.steps_per_epoch + 1
            raise RunFailed(
                f"the loss of {self.spec.name} stopped being finite",
                given=f"step {step} of {self.spec.epochs * budget.steps_per_epoch}",
                remedy=f"The last sound epoch is {self.epoch}.",
            )
        self.epoch = epoch
        return {
            "action_error": float(losses[-1]),
            "loss_mean": float(losses.mean()),
            "gradient_norm": float(norms.mean()),
            "clipped": float((norms > budget.gradient_clip).float().mean()),
            "saturated": float(saturated.mean()),
        }

    def _updates(self, epoch: int, progress: Progress | None) -> tuple[Tensor, Tensor, Tensor]:
        """One epoch of updates; loss, gradient norm and saturation of every step, on the CPU."""
        budget, spec = self.spec.budget, self.spec
        stream = generator(spec.seed, f"{self._purpose('batches')}/{epoch}")
        starts = self.sampler.draw(budget.steps_per_epoch * budget.batch_size, stream).reshape(-1, budget.batch_size)
        done, total = self.epoch * budget.steps_per_epoch, spec.epochs * budget.steps_per_epoch
        report = None if progress is None else lambda step: progress(done + step, total)
        dropout = derive(spec.seed, f"dropout/{spec.arm}/K{spec.context}/{epoch}")
        if self._steps is None:
            self._steps = STEPPING[self.device.type](
                self.model,
                self.optimizer,
                self.sampler.gather,
                budget,
                spec.gradient_clip,
                self.precision,
                steps=total,
            )
        return self._steps.epoch(starts, done, dropout, report)

    def _roll_out(self, epoch: int) -> Rollouts:
        """The evaluation episodes of an epoch; what they are computed with is kept for the next."""
        seeds = [
            derive(self.spec.seed, f"{self._purpose('evaluate')}/{epoch}/{i}") % 2**31
            for i in range(self.spec.budget.evaluation_episodes)
        ]
        if self._rollouts is None:
            self._rollouts = self._rollouts_of(self.model, self.env)
        return self._rollouts.run(seeds)

    def evaluate_afresh(self) -> dict[str, dict[str, Any]]:
        """The best epoch's checkpoint and the last's, each on episodes that no epoch was chosen by; empty if not asked.

        Both start in the same states. Where the last epoch is the best one, it is evaluated once.

        Returns:
            `best` (the first epoch with the highest mean return) and `last`, each with its `epoch` and the `returns`
            and `lengths` of each episode.
        """
        count = self.spec.fresh_episodes
        if not count:
            return {}
        assert self._best is not None
        env = BatchedEnv(self.task, count, self._threads)
        seeds = [derive(self.spec.seed, f"{self._purpose('fresh')}/{i}") % 2**31 for i in range(count)]

        def evaluated(epoch: int, model: Policy) -> dict[str, Any]:
            rollouts = self._rollouts_of(model, env).run(seeds)
            returns, lengths = list(map(float, rollouts.returns)), list(map(int, rollouts.lengths))
            return {"epoch": epoch, "returns": returns, "lengths": lengths}

        curve = self.curves["return_mean"]
        best, last = 1 + curve.index(max(curve)), evaluated(self.epoch, self.model)
        if best == self.epoch:
            return {"best": last, "last": last}
        model = copy.deepcopy(self.model)
        model.load_state_dict(self._best)
        return {"best": evaluated(best, model), "last": last}

    def _rollouts_of(self, model: Policy, env: BatchedEnv) -> LaneRollouts:
        view = View(
            self.task.target, self.spec.context, self.data.state_mean, self.data.state_std, self.task.action_dim
        )
        precision: Precision = "bfloat16" if self.precision == "bfloat16" else "float32"
        found: LaneRollouts = ROLLOUTS[self.device.type](model, env, view, self.device, precision)
        return found

    @torch.no_grad()
    def _held_out_error(self) -> float:
        self.model.eval()
        errors = [(action_loss(self.model, batch)[0], batch.mask.sum()) for batch in self._held_out]
        steps = sum(int(count) for _, count in errors)
        return sum(float(error) * int(count) for error, count in errors) / steps

    def constant_error(self) -> float:
        """Error of the best constant prediction of the training actions (DEV-11)."""
        return float(self.data.actions.var(axis=0).mean())

    def displacement(self) -> float | None:
        """‖θ − θ0‖ / ‖θ0‖ over all tensors of the Transformer blocks, in float64; None of a network without blocks.

        How far training has moved them is what makes runs of two sizes or lengths comparable: see `docs/regime.md`.
        """
        # Built anew: a run that was taken up holds no start, and a second copy of each network would be dear.
        start = block_parameters(self._untrained().state_dict())
        if not start:
            return None
        return relative_displacement(start, block_parameters(self.parameters()))

    def parameters(self) -> dict[str, Tensor]:
        """The model's parameters, copied to the CPU."""
        return {name: tensor.detach().cpu().clone() for name, tensor in self.model.state_dict().items()}

    def state(self) -> dict[str, Any]:
        """All that the rest of the run depends on: tensors (copies, on the CPU), numbers and lists of them."""
        return {
            "epoch": self.epoch,
            "curves": {name: list(values) for name, values in self.curves.items()},
            "model": self.parameters(),
            "optimizer": _copied(self.optimizer.state_dict()),
            **({} if self._best is None else {"best": self._best}),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take up a state of this run; what follows is then what it would have been."""
        self.epoch = state["epoch"]
        self.curves = {name: list(values) for name, values in state["curves"].items()}
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self._best = state.get("best")
        # They may hold the tensors that were replaced.
        self._steps = self._rollouts = None

    def _finite(self, name: str, value: float) -> float:
        if not math.isfinite(value):
            raise RunFailed(f"{name} of {self.spec.name} is not finite", given=value)
        return value


def _copied(state: Any) -> Any:
    """The same nest of dicts and lists with every tensor copied to the CPU."""
    if isinstance(state, Tensor):
        return state.detach().cpu().clone()
    if isinstance(state, dict):
        return {key: _copied(value) for key, value in state.items()}
    return [_copied(value) for value in state] if isinstance(state, list | tuple) else state
