"""Synthetic tokens: a Markov chain of `STATES` states, or independent ones, after Wang et al. (ICLR 2024).

arXiv 2310.00771 pre-trains a Decision Transformer on tokens that mean nothing: a one-step Markov chain over 100 states
whose transition probabilities are the softmax of numbers drawn uniformly from [0, 1] at temperature 1, or independent
tokens, uniform over the states. Here the first token of a window comes from the chain's stationary distribution
(there: from a distribution drawn like the rows), so every prediction costs the entropy rate at best.
"""

import hashlib
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import entr, softmax
from torch import Tensor, nn

from dtclaims.errors import UsageError
from dtclaims.lab.pretrain.bits import total_bits
from dtclaims.seeding import generator

KINDS = ("iid", "markov")
STATES = 100
TEMPERATURE = 1.0

HELD_OUT_TOKENS = 2**18
"""Predicted tokens of the held-out windows."""

GRID = 2**32
"""Probabilities are drawn as multiples of 1 / GRID: integers are exact however many states there are."""


@dataclass(frozen=True)
class Chain:
    """A one-step Markov chain that can reach every state from every state.

    `transitions` is (states, states) float64; row i is the distribution of what follows state i.
    """

    transitions: NDArray[np.float64]

    @property
    def states(self) -> int:
        """How many states there are."""
        return len(self.transitions)

    @cached_property
    def stationary(self) -> NDArray[np.float64]:
        """The distribution p with p = p P, (states,)."""
        # One of the equations follows from the others; that p sums to 1 takes its place.
        equations = self.transitions.T - np.eye(self.states)
        equations[-1] = 1.0
        return np.linalg.solve(equations, np.eye(self.states)[-1])

    @property
    def entropy_rate(self) -> float:
        """Bits per token of an infinitely long draw: - sum over i, j of p_i P_ij log2 P_ij."""
        return float(self.stationary @ entr(self.transitions).sum(1) / np.log(2.0))

    @property
    def fingerprint(self) -> str:
        """The sha256 of the transition probabilities."""
        return hashlib.sha256(self.transitions.astype("<f8").tobytes()).hexdigest()

    @cached_property
    def _edges(self) -> NDArray[np.int64]:
        """Upper ends of the transitions' shares of the grid, row after row, (states * states,); ascending."""
        edges = np.rint(np.cumsum(self.transitions, axis=1) * GRID).astype(np.int64)
        edges[:, -1] = GRID
        return (edges + GRID * np.arange(self.states)[:, None]).ravel()

    def draw(self, draws: np.random.Generator, count: int, length: int) -> NDArray[np.int64]:
        """`count` stationary windows of `length` tokens, (count, length)."""
        tokens = np.empty((length, count), dtype=np.int64)
        tokens[0] = draws.choice(self.states, count, p=self.stationary)
        places = draws.integers(0, GRID, (length, count))
        for step in range(1, length):
            before = tokens[step - 1]
            found = np.searchsorted(self._edges, before * GRID + places[step], side="right")
            tokens[step] = found - before * self.states
        return tokens.T


def make_chain(kind: str, seed: int) -> Chain:
    """The chain of a kind and seed; independent tokens are the chain whose rows are all uniform.

    Raises:
        UsageError: unknown kind.
    """
    if kind not in KINDS:
        raise UsageError("unknown kind of synthetic data", given=repr(kind), expected=f"one of {', '.join(KINDS)}")
    if kind == "iid":
        return Chain(np.full((STATES, STATES), 1.0 / STATES))
    return Chain(softmax(generator(seed, "markov/transitions").random((STATES, STATES)) / TEMPERATURE, axis=1))


class ChainExamples:
    """Windows of a chain, each drawn once; see `Examples`."""

    unit = "token"
    tokens: int | None = None

    def __init__(self, kind: str, chain: Chain, seed: int, context: int, device: torch.device) -> None:
        self.kind, self.chain, self.context, self.device = kind, chain, context, device
        windows = max(1, HELD_OUT_TOKENS // context)
        self.held_out = chain.draw(generator(seed, f"{kind}/held_out"), windows, context + 1)
        self.measured = (
            f"bits of the last {context} tokens of {windows} held-out windows of {context + 1}, each from those before "
            "it in its window; float32. `unigram` and `chain` are what the same tokens cost under the exact stationary "
            "distribution and the exact transition probabilities, `entropy_rate` is what tokens of the chain cost on "
            "average under the latter: no model is better in the long run"
        )

    def batch(self, draws: np.random.Generator, count: int) -> tuple[Tensor, Tensor]:
        """Fresh windows; see `Examples.batch`."""
        return self._pairs(self.chain.draw(draws, count, self.context + 1))

    def held_out_bits(self, model: nn.Module) -> float:
        """Bits per token; see `total_bits`."""
        inputs, targets = self._pairs(self.held_out)
        return total_bits(model, inputs, targets) / targets.numel()

    def baselines(self) -> dict[str, float]:
        """Bits per token of the best model that sees no context, of the chain itself, and its entropy rate."""
        before, after = self.held_out[:, :-1], self.held_out[:, 1:]
        return {
            "unigram": float(-np.log2(self.chain.stationary[after]).mean()),
            "chain": float(-np.log2(self.chain.transitions[before, after]).mean()),
            "entropy_rate": self.chain.entropy_rate,
        }

    def _pairs(self, windows: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        tokens = torch.from_numpy(np.ascontiguousarray(windows)).to(self.device)
        return tokens[:, :-1], tokens[:, 1:]
