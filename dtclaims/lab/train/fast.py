"""Training on a GPU: one captured graph is a whole step, from window starts on the device to the new weights."""

import copy
import itertools
import math
import warnings
from collections.abc import Callable

import torch
from torch import Tensor, nn

from dtclaims.lab.data.trajectories import Integers
from dtclaims.lab.data.windows import Batch
from dtclaims.lab.design.spec import Budget
from dtclaims.lab.models.decision_transformer import DecisionTransformer
from dtclaims.lab.models.transformer import Conv1D
from dtclaims.lab.train.capture import captured, drawing_from
from dtclaims.lab.train.flat_adamw import FlatAdamW, update_
from dtclaims.lab.train.forward import EAGER, Forward, compiled, compiled_forward
from dtclaims.lab.train.precision import TrainPrecision, float32_products

WORTH_COMPILING = 5_000
"""Steps of a run from which on it is compiled: that takes half a minute the first time, and saves a third of a step."""
WARM_UP = 3
"""Steps before a capture, undone afterwards: libraries allocate, and functions are compiled, on first use."""
REPORTED = 50
"""Steps between two reports of progress."""


class FastTraining:
    """The updates of one run on a GPU: the mathematics of the plain loop, without its waits.

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
        compiling: whether to compile; where that fails the same kernels run uncompiled, after a warning.
    """

    def __init__(
        self,
        model: nn.Module,
        optimizer: torch.optim.AdamW,
        gather: Callable[[Tensor], Batch],
        budget: Budget,
        gradient_clip: float | None,
        precision: TrainPrecision = "bfloat16",
        *,
        compiling: bool = True,
    ) -> None:
        self.device = next(model.parameters()).device
        self.gather, self.budget = gather, budget
        self.precision = precision if isinstance(model, DecisionTransformer) else "float32"
        self.stream = torch.cuda.Stream(self.device)  # type: ignore[no-untyped-call]
        self.stream.wait_stream(torch.cuda.current_stream(self.device))
        with torch.cuda.stream(self.stream):
            self.generator = torch.Generator(self.device)
            self.network = with_rounded_blocks(model) if self.precision == "bfloat16" else model
            # In the order of `model.parameters()`, which deepcopy keeps.
            pairs = list(zip(model.parameters(), self.network.parameters(), strict=True))
            self.adam = FlatAdamW(optimizer, pairs, budget, gradient_clip, compiled(update_) if compiling else update_)
            self.forward: Forward = compiled_forward() if compiling else EAGER
            self.index = torch.zeros(1, dtype=torch.int64, device=self.device)
            self.starts = torch.zeros(budget.steps_per_epoch, budget.batch_size, dtype=torch.int64, device=self.device)
            self.log = torch.zeros(budget.steps_per_epoch, 3, device=self.device)
        self.graph: torch.cuda.CUDAGraph | None = None

    def epoch(
        self, starts: Integers, done: int, seed: int, report: Callable[[int], None] | None = None
    ) -> tuple[Tensor, Tensor, Tensor]:
        """One epoch of updates.

        Args:
            starts: of the windows, (steps, batch); at most the budget's steps.
            done: updates before this epoch.
            seed: of the dropout.
            report: called now and then with the number of updates of this epoch that are finished.

        Returns:
            Loss, gradient norm before clipping and share of saturated predictions of every step, on the CPU.
        """
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
                if self.forward is EAGER:
                    raise
                warnings.warn(f"training runs uncompiled, so slower: {error}", RuntimeWarning, stacklevel=2)
                self.forward, self.adam.update = EAGER, update_
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


def with_rounded_blocks(model: nn.Module) -> nn.Module:
    """A copy whose blocks' matrices and biases are bfloat16; every other parameter is shared with `model`."""
    rounded = {id(one) for module in model.modules() if isinstance(module, Conv1D) for one in module.parameters()}
    shared = {id(one): one for one in itertools.chain(model.parameters(), model.buffers()) if id(one) not in rounded}
    network = copy.deepcopy(model, shared)
    for module in network.modules():
        if isinstance(module, Conv1D):
            module.to(torch.bfloat16)
    return network


def step_operations(model: DecisionTransformer, batch_size: int, context: int) -> float:
    """Floating-point operations of one update, counted as a whole training step: 6 per weight and token.

    6 · B · T · (weights of the blocks) for the matrix products, forward and backward, and 12 · B · T² · width per
    block for attention, with T = 3K tokens; embeddings, norms, softmax and the optimiser are not counted.
    """
    tokens = 3 * context
    weights = sum(math.prod(one.weight.shape) for one in model.transformer.modules() if isinstance(one, Conv1D))
    attention = 12 * tokens * model.config.width * model.config.blocks
    return float(batch_size * tokens * (6 * weights + attention))
