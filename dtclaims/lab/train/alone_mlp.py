"""What one MLP computes by itself on a CPU."""

import torch
from torch import Tensor

from dtclaims.lab.data.windows import Batch
from dtclaims.lab.models.behaviour_cloning import BehaviourCloning
from dtclaims.lab.train.objective import action_loss


class MlpAlone:
    """See `Alone`."""

    def __init__(self, model: BehaviourCloning) -> None:
        self.model = model

    def error(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """See `Alone.error`."""
        return action_loss(self.model, batch)

    def actions(self, states: Tensor, actions: Tensor, returns_to_go: Tensor, timesteps: Tensor) -> Tensor:
        """See `Alone.actions`."""
        last = torch.tensor([states.shape[1] - 1])
        return self.model.actions_at(last, states, actions, returns_to_go, timesteps)
