"""Training on a GPU: one captured graph is a whole step, from window starts on the device to the new weights."""

import warnings
from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor

from dtclaims.lab.data.trajectories import Integers
from dtclaims.lab.data.windows import Batch
from dtclaims.lab.design.spec import Budget
from dtclaims.lab.models.policy import Policy
from dtclaims.lab.train.capture import captured, drawing_from
from dtclaims.lab.train.flat_adamw import FlatAdamW, update_
from dtclaims.lab.train.forward import FORWARDS, Forward, compiled
from dtclaims.lab.train.precision import PRECISIONS, TrainPrecision, float32_products
from dtclaims.lab.train.rounding import with_rounded_blocks
from dtclaims.lab.train.stepping import Report

WORTH_COMPILING = 5_000
"""Steps of a run from which on it is compiled: that takes half a minute the first time, and saves a third of a step."""
WARM_UP = 3
"""Steps before a capture, undone afterwards: libraries allocate, and functions are compiled, on first use."""
REPORTED = 50
"""Steps between two reports of progress."""


class CapturedSteps:
    """The updates of one run on a GPU: the mathematics of `PlainSteps`, without its waits; see `Steps`.

    The starts of an epoch go to the device at once; a step gathers its windows, runs forward and backward, clips,
    and updates, all inside one CUDA graph; loss, norm and saturation of every step come back once an epoch.
    `model` and the state in `optimizer` are updated in place and can be read between epochs.

    Args:
        model: float32, on a CUDA device.
        optimizer: of the model's parameters; its state is taken over.
        gather: from starts (B,) on the device to a batch.
        budget: of the run.
        gradient_clip: norm to clip to; None for not at all.
        precision: `bfloat16` computes the blocks' matrix products in it, with float32 master weights, residual
            stream, norms, embeddings and action head; `tf32` lets float32 products round their factors to it.
        steps: of the whole run; from `WORTH_COMPILING` on it is compiled, and where that fails the same kernels run
            uncompiled, after a warning.
    """

    precisions: ClassVar[tuple[TrainPrecision, ...]] = PRECISIONS

    def __init__(
        self,
        model: Policy,
        optimizer: torch.optim.AdamW,
        gather: Callable[[Tensor], Batch],
        budget: Budget,
        gradient_clip: float | None,
        precision: TrainPrecision = "bfloat16",
        *,
        steps: int = WORTH_COMPILING,
    ) -> None:
        self.device = next(model.parameters()).device
        self.gather, self.budget = gather, budget
        # Only blocks have products to round.
        self.precision: TrainPrecision = precision if model.kind == "stack" else "float32"
        self.compiling = steps >= WORTH_COMPILING
        self.stream = torch.cuda.Stream(self.device)  # type: ignore[no-untyped-call]
        self.stream.wait_stream(torch.cuda.current_stream(self.device))
        with torch.cuda.stream(self.stream):
            self.generator = torch.Generator(self.device)
            self.network = with_rounded_blocks(model) if self.precision == "bfloat16" else model
            # In the order of `model.parameters()`, which deepcopy keeps.
            pairs = list(zip(model.parameters(), self.network.parameters(), strict=True))
            self.adam = FlatAdamW(optimizer, pairs, budget, gradient_clip, self._update())
            self.forward: Forward = FORWARDS[model.kind](self.compiling)
            self.index = torch.zeros(1, dtype=torch.int64, device=self.device)
            self.starts = torch.zeros(budget.steps_per_epoch, budget.batch_size, dtype=torch.int64, device=self.device)
            self.log = torch.zeros(budget.steps_per_epoch, 3, device=self.device)
        self.graph: torch.cuda.CUDAGraph | None = None

    def epoch(
        self, starts: Integers, done: int, seed: int, report: Report | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """See `Steps.epoch`."""
        with torch.cuda.stream(self.stream):
            self.starts[: len(starts)] = torch.from_numpy(starts)
            if self.graph is None:
                self.graph = self._captured()
            self.index.zero_()
            self.adam.taken.fill_(done)
            self.generator.manual_seed(seed)
            marks: list[torch.cuda.Event] = []
            for step in range(1, len(starts) + 1):
                self.graph.replay()
                if step % REPORTED == 0:
                    marks.append(torch.cuda.Event())  # type: ignore[no-untyped-call]
                    marks[-1].record()
                    # One report behind, so that the GPU always has work queued.
                    if len(marks) > 1:
                        marks.pop(0).synchronize()
                        if report is not None:
                            report(step - REPORTED)
            losses, norms, saturated = self.log[: len(starts)].T.cpu()
        if report is not None:
            report(len(starts))
        return losses, norms, saturated

    def _update(self) -> Callable[..., None]:
        return compiled(update_) if self.compiling else update_

    def _step(self) -> None:
        chosen = self.starts.index_select(0, self.index)[0]
        loss, saturated = self.forward(self.network, self.gather(chosen), half=self.precision == "bfloat16")
        gradients = torch.autograd.grad(loss, self.adam.leaves)
        norm = self.adam.step(gradients)
        self.log.index_copy_(0, self.index, torch.stack((loss.detach(), norm, saturated))[None])
        self.index += 1

    def _captured(self) -> torch.cuda.CUDAGraph:
        """A graph of one step; the step is tried first, and what that changed is put back."""
        changing = [tensor for flat in self.adam.flats for tensor in flat.tensors()]
        before = [tensor.clone() for tensor in changing]
        graph = torch.cuda.CUDAGraph()
        self.network.train()
        with drawing_from(self.generator), float32_products(self.precision):
            try:
                self._warm_up()
            except Exception as error:
                # Which errors a compiler that is missing or broken raises is not documented.
                if not self.compiling:
                    raise
                warnings.warn(f"training runs uncompiled, so slower: {error}", RuntimeWarning, stacklevel=2)
                self.compiling = False
                self.forward, self.adam.update = FORWARDS[self.network.kind](False), self._update()
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
