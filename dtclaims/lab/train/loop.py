"""One run between two epochs: its networks, draws and curves (protocol §4 and §5)."""

import functools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from dtclaims.errors import RunFailed, UsageError
from dtclaims.lab.data.split import split_trajectories
from dtclaims.lab.data.trajectories import Integers, Trajectories
from dtclaims.lab.data.windows import Batch, WindowSampler
from dtclaims.lab.design.spec import RunSpec
from dtclaims.lab.models import Backbone, build_model
from dtclaims.lab.models.displacement import block_parameters, relative_displacement
from dtclaims.lab.models.policy import Policy
from dtclaims.lab.train.choices import path_of
from dtclaims.lab.train.objective import make_optimizer
from dtclaims.lab.train.precision import TrainPrecision
from dtclaims.lab.train.rollouts import Rollouts, View
from dtclaims.lab.train.stepping import STEPPING, Logged, Member
from dtclaims.seeding import derive, generator

if TYPE_CHECKING:
    from dtclaims.lab.train.company import Company, Progress

HELD_OUT_CHUNK = 512
"""Held-out windows that go through a network at once, at least."""
HELD_OUT_STEPS = 2560
"""Steps of short windows that do, at least."""


@dataclass(frozen=True)
class _Windows:
    """What a run trains on, and what it keeps out of training, if anything (DEV-12)."""

    data: Trajectories
    sampler: WindowSampler
    held_out: tuple[Batch, ...]


@functools.lru_cache(maxsize=16)
def _windows(data: Trajectories, seed: int | None, min_steps: int, context: int) -> _Windows:
    """Of the runs of one seed, or of all that keep nothing: they share them, so that a group holds them once."""
    if seed is None:
        return _Windows(data, WindowSampler(data, context), ())
    train, kept = split_trajectories(data, seed=seed, min_steps=min_steps)
    sampler = WindowSampler(kept, context, statistics_of=train)
    count = math.ceil(min_steps / context)
    starts = sampler.draw(count, generator(seed, "held_out"))
    chunk = max(HELD_OUT_CHUNK, HELD_OUT_STEPS // context)
    batches = tuple(sampler.gather(starts[i : i + chunk]) for i in range(0, count, chunk))
    return _Windows(train, WindowSampler(train, context), batches)


class Trainer:
    """A run between two epochs. Its state is all that the rest of the run depends on.

    Draws depend on (seed, purpose, epoch) alone. Arms of one seed see the same windows in the same order and the
    same initial states, so that the effects of a claim are paired; under `published` only weights are shared, as in
    the reference, whose data order and environments are not seeded (DEV-21).

    What takes steps and rolls out is a `Company`, of this run alone or of several.

    Args:
        spec: the run.
        data: all trajectories.
        backbones: by source, those the arm needs.
        device: where it trains.
        precision: see `TrainPrecision`; roll-outs are then in bfloat16 too, or else in float32.

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
    ) -> None:
        self.spec = spec
        self.device = torch.device(device)
        self.path = path_of(self.device.type)
        if precision not in STEPPING[self.path].precisions or (precision != "float32" and self.device.type == "cpu"):
            raise UsageError(
                "precision of training",
                given=f"{precision} on {self.device.type}",
                expected="float32 on a CPU; float32, tf32 or bfloat16 on a GPU",
            )
        self.precision = precision
        windows = _windows(data, spec.seed if spec.held_out else None, spec.budget.held_out_steps, spec.context)
        self.data, self.sampler, self.held_out = windows.data, windows.sampler, windows.held_out
        self.task = data.task
        self._backbones = backbones
        self.model = self._untrained().to(device)
        self.optimizer = make_optimizer(self.model, spec.budget, spec.adam_eps)
        self.epoch = 0
        """Epochs done."""
        self.curves: dict[str, list[float]] = {}
        """One value per epoch 1…E: `return_mean`, `return_std`, `length_mean` of the evaluation episodes;
        `action_error` = loss of the epoch's last minibatch, dropout on, as the reference logs it (DEV-12);
        `held_out_error` = eval-mode error on trajectories kept out, where the run keeps some; `loss_mean`;
        `gradient_norm` (mean, before clipping), `clipped` (share of steps whose gradient was longer than the
        clipping norm) and `saturated` (share of predicted action coordinates past ±0.99)."""
        self.best: dict[str, Tensor] | None = None
        """Parameters after the best epoch so far, on the CPU, where that is to be evaluated afresh."""

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

    @property
    def member(self) -> Member:
        """What steps are taken with."""
        return Member(self.model, self.optimizer, self.sampler, self.spec.gradient_clip)

    @property
    def view(self) -> View:
        """How the model sees its environment."""
        return View(
            self.task.target, self.spec.context, self.data.state_mean, self.data.state_std, self.task.action_dim
        )

    def _purpose(self, what: str) -> str:
        return what if self.spec.paired else f"{what}/{self.spec.arm}/K{self.spec.context}"

    def starts(self) -> Integers:
        """Window starts of the next epoch's updates, (steps, batch)."""
        budget = self.spec.budget
        stream = generator(self.spec.seed, f"{self._purpose('batches')}/{self.epoch + 1}")
        return self.sampler.draw(budget.steps_per_epoch * budget.batch_size, stream).reshape(-1, budget.batch_size)

    @property
    def dropout_seed(self) -> int:
        """Of the next epoch."""
        return derive(self.spec.seed, f"dropout/{self.spec.arm}/K{self.spec.context}/{self.epoch + 1}")

    @property
    def updates(self) -> int:
        """Updates done."""
        return self.epoch * self.spec.budget.steps_per_epoch

    def episode_seeds(self) -> list[int]:
        """Of the evaluation after the epochs done."""
        return self._seeds(f"{self._purpose('evaluate')}/{self.epoch}", self.spec.budget.evaluation_episodes)

    def fresh_seeds(self) -> list[int]:
        """Of the evaluations on episodes that no epoch is chosen by, where there are some."""
        return self._seeds(self._purpose("fresh"), self.spec.fresh_episodes)

    def _seeds(self, purpose: str, count: int) -> list[int]:
        return [derive(self.spec.seed, f"{purpose}/{i}") % 2**31 for i in range(count)]

    def trained(self, logged: Logged) -> dict[str, float]:
        """Take the updates of an epoch as done; what they say.

        Raises:
            RunFailed: the loss stopped being finite.
        """
        budget, (losses, norms, saturated) = self.spec.budget, logged
        if not torch.isfinite(losses).all():
            step = int((~torch.isfinite(losses)).nonzero()[0]) + self.updates + 1
            raise RunFailed(
                f"the loss of {self.spec.name} stopped being finite",
                given=f"step {step} of {self.spec.epochs * budget.steps_per_epoch}",
                remedy=f"The last sound epoch is {self.epoch}.",
            )
        self.epoch += 1
        return {
            "action_error": float(losses[-1]),
            "loss_mean": float(losses.mean()),
            "gradient_norm": float(norms.mean()),
            "clipped": float((norms > budget.gradient_clip).float().mean()),
            "saturated": float(saturated.mean()),
        }

    def evaluated(self, rollouts: Rollouts, held_out_error: float | None, said: Mapping[str, float]) -> None:
        """Log an epoch, with what its updates say.

        Raises:
            RunFailed: something is not finite.
        """
        if not rollouts.sound:
            raise RunFailed(f"an action of {self.spec.name} is not finite", given=f"epoch {self.epoch}")
        values = {
            "return_mean": float(rollouts.returns.mean()),
            "return_std": float(rollouts.returns.std()),
            "length_mean": float(rollouts.lengths.mean()),
            **said,
            **({} if held_out_error is None else {"held_out_error": held_out_error}),
        }
        for name, value in values.items():
            if not math.isfinite(value):
                raise RunFailed(f"{name} of {self.spec.name} is not finite", given=value)
            self.curves.setdefault(name, []).append(value)
        if self.spec.fresh_episodes and self.best_epoch == self.epoch:
            self.best = self.parameters()

    @property
    def best_epoch(self) -> int:
        """The first with the highest mean return."""
        means = self.curves["return_mean"]
        return 1 + means.index(max(means))

    def run_epoch(self, progress: "Progress | None" = None) -> None:
        """Train one epoch alone, evaluate, log; see `Company.run_epoch`.

        Raises:
            RunFailed: the loss stopped being finite.
        """
        for error in self._alone.run_epoch(None if progress is None else [progress]).values():
            raise error

    def train_epoch(self, progress: "Progress | None" = None) -> dict[str, float]:
        """The updates of one epoch alone, and nothing else; what they log.

        Raises:
            RunFailed: the loss stopped being finite.
        """
        return self.trained(self._alone.update(None if progress is None else [progress])[0])

    def roll_out(self) -> Rollouts:
        """See `Company.roll_out`."""
        return self._alone.roll_out()[0]

    def evaluate_afresh(self) -> dict[str, dict[str, Any]]:
        """See `Company.evaluate_afresh`."""
        return self._alone.evaluate_afresh()[0]

    @functools.cached_property
    def _alone(self) -> "Company":
        from dtclaims.lab.train.company import Company

        return Company([self])

    def constant_error(self) -> float:
        """Error of the best constant prediction of the training actions (DEV-11)."""
        return float(self.data.actions.var(axis=0).mean())

    def displacement(self) -> float | None:
        """‖θ − θ0‖ / ‖θ0‖ over all tensors of the Transformer blocks, in float64; None of a network without blocks.

        How far training has moved them is what makes runs of two sizes or lengths comparable: see `docs/regime.md`.
        """
        # Built anew: a run that was taken up holds no start, and a second copy of each network would be dear.
        start = block_parameters(self._untrained().to(self.device).state_dict())
        if not start:
            return None
        return relative_displacement(start, block_parameters(self.model.state_dict()))

    def parameters(self) -> dict[str, Tensor]:
        """The model's parameters, copied to the CPU."""
        copies: dict[str, Tensor] = _copied(dict(self.model.state_dict()))
        return copies

    @property
    def state_bytes(self) -> int:
        """What a state takes, nearly: parameters, Adam's two means of each, and the best ones where they are kept."""
        size: int = sum(one.numel() * one.element_size() for one in self.model.state_dict().values())
        return size * (4 if self.spec.fresh_episodes else 3)

    def state(self) -> dict[str, Any]:
        """All that the rest of the run depends on: tensors (copies, on the CPU), numbers and lists of them."""
        return {
            "epoch": self.epoch,
            "curves": {name: list(values) for name, values in self.curves.items()},
            "model": self.parameters(),
            "optimizer": _copied(self.optimizer.state_dict()),
            **({} if self.best is None else {"best": self.best}),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take up a state of this run, before any company takes it in; what follows is what it would have been."""
        self.epoch = state["epoch"]
        self.curves = {name: list(values) for name, values in state["curves"].items()}
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.best = state.get("best")
        # It may hold the tensors that were replaced.
        self.__dict__.pop("_alone", None)


def _copied(state: Any) -> Any:
    """The same nest of dicts and lists with every tensor copied to the CPU."""
    copies = iter(_on_cpu(list(_tensors(state))))

    def same(one: Any) -> Any:
        if isinstance(one, Tensor):
            return next(copies)
        if isinstance(one, dict):
            return {key: same(value) for key, value in one.items()}
        return [same(value) for value in one] if isinstance(one, list | tuple) else one

    return same(state)


def _tensors(state: Any) -> Iterator[Tensor]:
    """Of a nest, in order."""
    if isinstance(state, Tensor):
        yield state
    elif isinstance(state, dict | list | tuple):
        for one in state.values() if isinstance(state, dict) else state:
            yield from _tensors(one)


def _on_cpu(tensors: Sequence[Tensor]) -> list[Tensor]:
    """Copies, in order; those of a GPU as one of each kind, because each copy waits for all that others have queued."""
    kinds: dict[tuple[torch.device, torch.dtype], list[int]] = {}
    for place, one in enumerate(tensors):
        kinds.setdefault((one.device, one.dtype), []).append(place)
    copies: dict[int, Tensor] = {}
    for places in kinds.values():
        own = [tensors[place].detach() for place in places]
        flat = torch.cat([one.reshape(-1) for one in own]).cpu()
        parts = torch.split(flat, [one.numel() for one in own])
        # Each in memory of its own, as files want them.
        copies |= {place: part.view(one.shape).clone() for place, part, one in zip(places, parts, own, strict=True)}
    return [copies[place] for place in range(len(tensors))]
