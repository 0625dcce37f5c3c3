"""Training of R runs of one shape as one program: a step of all of them is one set of batched kernels.

On a GPU a whole step, from window starts on the device to the new weights, is one captured graph. Small networks leave
a GPU idle between launches, and many small ones cost as many launches; side by side they cost those of one. A run by
itself is R = 1. Nothing that a run's numbers depend on is shared: clip norm, eps, step count, windows and dropout are
each one's own, and no operation mixes two rows, so companions change a run by the rounding of kernels only.
"""

import copy
import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from dtclaims.lab.data.trajectories import Integers
from dtclaims.lab.data.windows import Batch, PooledWindows
from dtclaims.lab.design.spec import Budget
from dtclaims.lab.models.keyed_dropout import keys
from dtclaims.lab.models.transformer import Conv1D
from dtclaims.lab.train.capture import captured, mark
from dtclaims.lab.train.flat_adamw import FlatAdamW, update_
from dtclaims.lab.train.forward import FORWARDS, Forward, compiled
from dtclaims.lab.train.networks import Networks
from dtclaims.lab.train.precision import PRECISIONS, TrainPrecision, float32_products
from dtclaims.lab.train.stepping import Logged, Member, Report

WORTH_COMPILING = 5_000
"""Steps of all runs of a group from which on it is compiled: that takes half a minute the first time on a machine."""
WARM_UP = 3
"""Steps before a capture, undone afterwards: libraries allocate, and functions are compiled, on first use."""
REPORTED = 50
"""Steps between two reports of progress."""


class StackedSteps:
    """The updates of R runs: the mathematics of `PlainSteps`, without its waits; see `Steps`.

    The starts of an epoch go to the device at once; a step gathers the windows, runs forward and backward, clips, and
    updates; loss, norm and saturation of every step come back once an epoch. Models and the state in the optimisers
    are updated in place and can be read between epochs.

    Args:
        members: the runs: models of one shape, float32, on one device.
        budget: of all of them.
        precision: `bfloat16` computes the blocks' matrix products in it, with float32 master weights, residual
            stream, norms, embeddings and action head; `tf32` lets float32 products round their factors to it.
        steps: of a whole run; from `WORTH_COMPILING` of all of them on it is compiled on a GPU, and where that fails
            the same kernels run uncompiled, after a warning.
        gather: from starts (R, B) to a batch, if not from the members' samplers.
    """

    precisions: ClassVar[tuple[TrainPrecision, ...]] = PRECISIONS

    def __init__(
        self,
        members: Sequence[Member],
        budget: Budget,
        precision: TrainPrecision = "float32",
        *,
        steps: int = WORTH_COMPILING,
        gather: Callable[[Tensor], Batch] | None = None,
    ) -> None:
        model = members[0].model
        self.device = next(model.parameters()).device
        self.on_gpu = self.device.type == "cuda"
        self.budget, runs = budget, len(members)
        # Only blocks have products to round.
        self.precision: TrainPrecision = precision if model.kind == "stack" else "float32"
        self.compiling = self.on_gpu and steps * runs >= WORTH_COMPILING
        self.gather = gather or PooledWindows([one.sampler for one in members], self.device).gather
        rounded = rounded_parameters(model) if self.precision == "bfloat16" else ()
        self.adam = FlatAdamW(
            [one.model for one in members],
            [one.optimizer for one in members],
            budget,
            [one.gradient_clip for one in members],
            rounded,
            self._update(),
        )
        # The template's own parameters are never read: the leaves stand in for them.
        self._template = copy.deepcopy(model).to("meta")
        self.networks = self._asked(self.adam.leaves, self.compiling)
        self.forward: Forward = FORWARDS[model.kind](steps)
        self.index = torch.zeros((), dtype=torch.int32, device=self.device)
        self.seeds = torch.zeros(runs, dtype=torch.int32, device=self.device)
        shape = (budget.steps_per_epoch, runs, budget.batch_size)
        self.starts = torch.zeros(shape, dtype=torch.int64, device=self.device)
        self.log = torch.zeros(budget.steps_per_epoch, 3, runs, device=self.device)
        self.stream = torch.cuda.Stream(self.device) if self.on_gpu else None  # type: ignore[no-untyped-call]
        self.graph: torch.cuda.CUDAGraph | None = None

    def epoch(
        self, starts: Sequence[Integers], done: Sequence[int], seeds: Sequence[int], report: Report | None = None
    ) -> list[Logged]:
        """See `Steps.epoch`."""
        count = len(starts[0])
        self.networks.template.train()
        if self.stream is not None:
            self.stream.wait_stream(torch.cuda.current_stream(self.device))
        with torch.cuda.stream(self.stream):
            self.starts[:count] = torch.from_numpy(np.stack(starts, axis=1))
            self.seeds.copy_(torch.tensor([seed % 2**32 - 2**31 for seed in seeds], dtype=torch.int32))
            if self.on_gpu and self.graph is None:
                self.graph = self._captured()
            self.index.zero_()
            self.adam.taken.copy_(torch.tensor(done, dtype=torch.float32))
            with float32_products(self.precision):
                self._steps(count, report)
            log = self.log[:count].cpu()
        if self.stream is not None:
            torch.cuda.current_stream(self.device).wait_stream(self.stream)
        if report is not None:
            report(count)
        return [(log[:, 0, run], log[:, 1, run], log[:, 2, run]) for run in range(log.shape[2])]

    @torch.no_grad()
    def errors(self, batches: Sequence[Sequence[Batch]]) -> list[float | None]:
        """See `Steps.errors`."""
        if not batches[0]:
            return [None] * len(batches)
        masters = self._asked(self.adam.masters)
        masters.template.eval()
        keys = torch.zeros(masters.count, self.forward.parts(masters), dtype=torch.int32, device=self.device)
        total, steps = torch.zeros(masters.count, device=self.device), torch.zeros(masters.count, device=self.device)
        for column in zip(*batches, strict=True):
            rows = [vars(batch).values() for batch in column]
            together = Batch(*(torch.stack(parts).to(self.device) for parts in zip(*rows, strict=True)))
            count = together.mask.sum(dim=(1, 2))
            total += self.forward.errors(masters, together, keys, half=False)[0] * count
            steps += count
        found: list[float | None] = (total / steps).tolist()
        return found

    def with_parameters(self, states: Sequence[Mapping[str, Tensor]]) -> Networks:
        """See `Steps.with_parameters`."""
        kinds = [leaf.dtype for leaf in self.adam.leaves]
        return self._asked(
            [
                torch.stack([state[name] for state in states]).to(self.device, kind)
                for name, kind in zip(self.adam.names, kinds, strict=True)
            ]
        )

    def _asked(self, leaves: Sequence[Tensor], compiling: bool = False) -> Networks:
        return Networks(self._template, dict(zip(self.adam.names, leaves, strict=True)), compiling)

    def _steps(self, count: int, report: Report | None) -> None:
        marks: list[torch.cuda.Event] = []
        for step in range(1, count + 1):
            if self.graph is None:
                self._step()
            else:
                self.graph.replay()
            if step % REPORTED == 0:
                if self.on_gpu:
                    marks.append(mark())
                    marks[-1].record()
                    # One report behind, so that the GPU always has work queued.
                    if len(marks) == 1:
                        continue
                    marks.pop(0).synchronize()
                if report is not None:
                    report(step - REPORTED * self.on_gpu)
        # What copies the log would wait awake.
        for one in marks:
            one.synchronize()

    def _update(self) -> Callable[..., None]:
        return compiled(update_) if self.compiling else update_

    def _step(self) -> None:
        place = self.index[None].long()
        chosen = self.starts.index_select(0, place)[0]
        key = keys(self.seeds, self.index.expand_as(self.seeds), self.forward.parts(self.networks))
        half = self.precision == "bfloat16"
        losses, saturated = self.forward.errors(self.networks, self.gather(chosen), key, half=half)
        # No operation mixes runs: the gradient of the sum holds each one's own.
        gradients = torch.autograd.grad(losses.sum(), self.adam.leaves)
        norms = self.adam.step(gradients)
        self.log.index_copy_(0, place, torch.stack((losses.detach(), norms, saturated))[None])
        self.index += 1

    def _captured(self) -> torch.cuda.CUDAGraph:
        """A graph of one step; the step is tried first, and what that changed is put back."""
        changing = [tensor for flat in self.adam.flats for tensor in flat.tensors()]
        before = [tensor.clone() for tensor in changing]
        graph = torch.cuda.CUDAGraph()
        with float32_products(self.precision):
            try:
                self._warm_up()
            except Exception as error:
                # Which errors a compiler that is missing or broken raises is not documented.
                if not self.compiling:
                    raise
                warnings.warn(f"training runs uncompiled, so slower: {error}", RuntimeWarning, stacklevel=2)
                self.compiling = self.networks.compiling = False
                self.adam.update = self._update()
                self._warm_up()
            with captured(graph, self.device):
                self._step()
        for tensor, old in zip(changing, before, strict=True):
            tensor.copy_(old)
        return graph

    def _warm_up(self) -> None:
        with warnings.catch_warnings():
            # The compiler's remarks on its own choices and deprecations.
            warnings.filterwarnings("ignore", module=r"torch\.")
            for _ in range(WARM_UP):
                self.index.zero_()
                self._step()


def rounded_parameters(model: nn.Module) -> Collection[str]:
    """Names of what is rounded to bfloat16 where products are: matrices and biases of the blocks."""
    layers = [name for name, module in model.named_modules() if isinstance(module, Conv1D)]
    return {f"{layer}.{kind}" for layer in layers for kind in ("weight", "bias")}
