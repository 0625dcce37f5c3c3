"""The forward of a training step of the MLP on a GPU: its own function, uncompiled."""

from torch import Tensor

from dtclaims.lab.data.windows import Batch
from dtclaims.lab.models.behaviour_cloning import BehaviourCloning
from dtclaims.lab.train.forward import Forward
from dtclaims.lab.train.objective import action_loss


def of_mlp(compiling: bool) -> Forward:
    """The same whether or not to compile: its few kernels are captured as they are."""
    return mlp_forward


def mlp_forward(model: BehaviourCloning, batch: Batch, *, half: bool) -> tuple[Tensor, Tensor]:
    """See `Forward`; it has no blocks to compute in bfloat16."""
    return action_loss(model, batch)
