"""The Decision Transformer as the paper runs it (protocol §3.1)."""

from typing import ClassVar, Literal, get_args

import torch
from torch import Tensor, nn

from dtclaims.errors import UsageError
from dtclaims.lab.models.attention import causal
from dtclaims.lab.models.initialisation import fill_linear, stream, unfilled_linear
from dtclaims.lab.models.policy import Kind, Policy
from dtclaims.lab.models.transformer import Record, Stack, StackConfig

Head = Literal["tied", "untied", "tied_low_scale"]
AttentionForm = Literal["boolean", "reference"]

LOW_SCALE = 0.1
"""What `tied_low_scale` multiplies the fresh action embedding with, so that tanh does not start saturated (DEV-11)."""

TOKENS_PER_STEP = 3
"""Return-to-go, state, action, in this order."""

STATES = slice(1, None, TOKENS_PER_STEP)
"""The state tokens, from which actions are predicted."""


class DecisionTransformer(Policy):
    """Predicts the action of each step from the return-to-go, state and action tokens up to its state.

    Tokens: LayerNorm over the three linear embeddings, then the step's time embedding is added to each (DEV-28).
    The stack has no position embedding of its own. Prediction at the state token's output h:

    - `tied`: tanh(W^T h) with W (width, A) the action embedding's weight, no bias: what the reference runs;
    - `tied_low_scale`: the same with W scaled by 0.1 at the start;
    - `untied`: tanh(V h + b), a linear layer of its own, as in the original Decision Transformer (DEV-11).

    Every weight is drawn from a stream named by (seed, what it is for), never from torch's global state: the
    epoch-0 model can be rebuilt bit for bit, and models of one seed and width share the embeddings, the time
    table and the head whatever their stacks are. The reference's arms of one seed do not (protocol §3.3).

    Args:
        config: of the stack.
        state_dim: S.
        action_dim: A.
        head: one of `Head`.
        seed: of the fresh weights.
        max_timestep: rows of the time table.

    Raises:
        UsageError: no such head.
    """

    kind: ClassVar[Kind] = "stack"

    def __init__(
        self,
        config: StackConfig,
        state_dim: int,
        action_dim: int,
        head: Head = "tied",
        *,
        seed: int = 0,
        max_timestep: int = 1000,
    ) -> None:
        super().__init__()
        if head not in get_args(Head):
            raise UsageError("unknown action head", given=repr(head), expected=f"one of {get_args(Head)}")
        width = config.width
        self.config = config
        self.head = head
        self.embed_timestep = nn.Embedding(max_timestep, width, _weight=torch.empty(max_timestep, width))
        self.embed_return = unfilled_linear(1, width)
        self.embed_state = unfilled_linear(state_dim, width)
        self.embed_action = unfilled_linear(action_dim, width)
        self.embed_ln = nn.LayerNorm(width)
        self.predict_action = unfilled_linear(width, action_dim) if head == "untied" else None
        self.transformer = Stack(config, stream(seed, "stack"))
        self._init_wrapper(seed)

    @torch.no_grad()
    def _init_wrapper(self, seed: int) -> None:
        self.embed_timestep.weight.normal_(generator=stream(seed, "embed_timestep"))
        for name in ("embed_return", "embed_state", "embed_action", "predict_action"):
            layer = getattr(self, name)
            if layer is not None:
                fill_linear(layer, stream(seed, name))
        if self.head == "tied_low_scale":
            self.embed_action.weight.mul_(LOW_SCALE)

    def forward(
        self,
        states: Tensor,
        actions: Tensor,
        returns_to_go: Tensor,
        timesteps: Tensor,
        mask: Tensor,
        *,
        attention: AttentionForm = "boolean",
        record: Record | None = None,
    ) -> Tensor:
        """Predict actions.

        Args:
            states: (B, K, S) normalised.
            actions: (B, K, A).
            returns_to_go: (B, K, 1), divided by the return scale.
            timesteps: (B, K) int64, below `max_timestep`.
            mask: (B, K) bool, True on real steps; padding is on the left.
            attention: `reference` computes attention as the released code does at padded positions (DEV-41);
                predictions of real steps are the same.
            record: see `Stack.forward`.

        Returns:
            Actions (B, K, A) in [-1, 1].
        """
        tokens = self.embed(states, actions, returns_to_go, timesteps)
        real = mask.repeat_interleave(TOKENS_PER_STEP, dim=1)
        if attention == "reference":
            out = self.transformer(tokens, real_keys=real, record=record)
        else:
            out = self.transformer(tokens, visible(real), record=record)
        return self.act(out[:, STATES])

    def act(self, out: Tensor) -> Tensor:
        """Actions (..., A) from ln_f's output (..., width) at state tokens: the head."""
        return torch.tanh(self.head_sums(out))

    def head_sums(self, out: Tensor) -> Tensor:
        """What tanh is taken of there: a head whose sums lie past ±2.65 is saturated (DEV-11)."""
        sums: Tensor = out @ self.embed_action.weight if self.predict_action is None else self.predict_action(out)
        return sums

    def embed(self, states: Tensor, actions: Tensor, returns_to_go: Tensor, timesteps: Tensor) -> Tensor:
        """The stack's input, (B, 3K, width)."""
        tokens = torch.stack(
            (self.embed_return(returns_to_go), self.embed_state(states), self.embed_action(actions)), dim=2
        )
        embedded: Tensor = self.embed_ln(tokens) + self.embed_timestep(timesteps)[:, :, None]
        return embedded.flatten(1, 2)


def visible(real: Tensor) -> Tensor:
    """Bool (B, 1, T, T) from real tokens (B, T): the causal past that is not padding, and always oneself.

    Oneself, because a padded query that sees nothing would be 0/0.
    """
    tokens = real.shape[1]
    oneself = torch.eye(tokens, dtype=torch.bool, device=real.device)
    return causal(tokens, real.device) & real[:, None, None, :] | oneself
