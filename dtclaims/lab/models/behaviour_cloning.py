"""Behaviour cloning by an MLP: what a step alone can teach, without any Transformer (DEV-11)."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from dtclaims.lab.design.arms import Arm
from dtclaims.lab.design.tasks import Task
from dtclaims.lab.models.arms import backbone_of
from dtclaims.lab.models.attention import Drop, drop
from dtclaims.lab.models.backbones import Backbone
from dtclaims.lab.models.initialisation import fill_linear, stream, unfilled_linear
from dtclaims.lab.models.policy import Kind, Policy, no_blocks

LAYERS = 3
"""Hidden layers, each with ReLU and dropout, before the output layer: the baseline of the Decision Transformer paper
(its released MLPBCModel with n_layer = 3)."""

DROPOUT = 0.1


class BehaviourCloning(Policy):
    """Predicts each step's action from that step's return-to-go and state.

    â = tanh(W_4 h_3 + b_4), h_i = drop(relu(W_i h_{i-1} + b_i)), h_0 = (R, s). With K = 1 it sees what the Decision
    Transformer sees, but for the time step. Longer windows are allowed and change nothing: steps do not mix.
    Weights have PyTorch's default initialisation, each layer from its own stream of the seed.

    Args:
        width: of the hidden layers.
        state_dim: S.
        action_dim: A.
        seed: of the weights.
    """

    kind: ClassVar[Kind] = "mlp"

    def __init__(self, width: int, state_dim: int, action_dim: int, *, seed: int = 0) -> None:
        super().__init__()
        sizes = (1 + state_dim, *[width] * LAYERS)
        self.hidden = nn.ModuleList(unfilled_linear(inputs, outputs) for inputs, outputs in pairwise(sizes))
        self.predict_action = unfilled_linear(width, action_dim)
        for index, layer in enumerate((*self.hidden, self.predict_action)):
            fill_linear(layer, stream(seed, f"mlp/{index}"))

    def forward(
        self,
        states: Tensor,
        actions: Tensor,
        returns_to_go: Tensor,
        timesteps: Tensor,
        mask: Tensor,
        *,
        attention: str = "boolean",
        record: Any = None,
        drop: Drop = drop,
    ) -> Tensor:
        """Predict actions; the arguments are `DecisionTransformer.forward`'s.

        Args:
            states: (B, K, S) normalised.
            actions: not used.
            returns_to_go: (B, K, 1), divided by the return scale.
            timesteps: not used.
            mask: not used: a padded step changes no other.
            attention: not used.
            record: must be None.
            drop: what drops from the hidden layers.

        Returns:
            Actions (B, K, A) in [-1, 1].

        Raises:
            MeasurementError: activations of blocks are asked for; there are none.
        """
        if record is not None:
            raise no_blocks(self)
        x = torch.cat((returns_to_go, states), dim=-1)
        for place, layer in enumerate(self.hidden):
            x = drop(torch.relu(layer(x)), DROPOUT, self.training, place)
        return torch.tanh(self.predict_action(x))

    def actions_at(self, step: Tensor, *windows: Tensor) -> Tensor:
        """Actions (B, A) at one step, (1,) int64: steps do not mix, and one alone is a window.

        Args:
            step: which.
            windows: states, actions, returns-to-go and time steps, as of `forward`.
        """
        here = [one.index_select(1, step) for one in windows]
        predicted: Tensor = self(*here, torch.ones_like(here[-1], dtype=torch.bool))
        return predicted[:, 0]


def build(
    arm: Arm, task: Task, head: str, architecture: str, backbones: Mapping[str, Backbone], seed: int
) -> BehaviourCloning:
    """The MLP of the language backbone's width; it has an output layer of its own whatever head is asked for.

    Raises:
        BackboneError: see `arms.backbone_of`.
    """
    width = backbone_of(arm, "language", backbones).config.width
    return BehaviourCloning(width, task.state_dim, task.action_dim, seed=seed)
